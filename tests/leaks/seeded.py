"""Five hundred secrets of all forms, the same in every run, and a configuration that has them wherever secrets can be.

One rule: a secret is made here and nowhere else, so that whatever is found of it was let out by the gateway.
"""

import json
import random
import string
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

SEED = 20261121
COUNT = 500
ALNUM = string.ascii_letters + string.digits

FORMS = {
    "gateway": lambda r: "gw-" + text(r, 43),
    "openai": lambda r: "sk-proj-" + text(r, 40),
    "anthropic": lambda r: "sk-ant-api03-" + text(r, 40),
    "google": lambda r: "AIza" + text(r, 35),
    "groq": lambda r: "gsk_" + text(r, 48),
    "huggingface": lambda r: "hf_" + text(r, 34),
    "hex": lambda r: f"{r.getrandbits(160):040x}",
    "words": lambda r: "-".join(text(r, 7) for _ in range(4)),  # of no known form
    "aws_id": lambda r: "AKIA" + "".join(r.choices(string.ascii_uppercase + "234567", k=16)),
    "aws": lambda r: "".join(r.choices(ALNUM + "/+", k=40)),
    "token": lambda r: f"eyJ{text(r, 20)}.eyJ{text(r, 30)}.{text(r, 40)}",
    "refresh": lambda r: "rt_" + text(r, 48),
    "password": lambda r: text(r, 14),
}


def text(chance: random.Random, length: int) -> str:
    return "".join(chance.choices(ALNUM, k=length))


def prime(chance: random.Random) -> int:
    """Of 512 bits; good enough for a key that opens nothing."""
    while True:
        found = chance.getrandbits(512) | 3 << 510 | 1
        if pow(2, found - 1, found) == 1 and (found - 1) % 65537:
            return found


def private_key(chance: random.Random) -> str:
    """An RSA key in PEM: the one secret that has lines."""
    p, q = prime(chance), prime(chance)
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return numbers.private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Seeded:
    """All of them, by where they are put."""

    def __init__(self, seed: int = SEED) -> None:
        self._chance = random.Random(seed)
        self.by_place: dict[str, list[str]] = {}
        of = self._of
        self.admin = of("admin", "gateway")[0]
        self.keys = {how: of(f"keys by {how}", "gateway", 30) for how in ("value", "env", "file")}
        kinds = ("openai", "anthropic", "google", "groq", "huggingface", "hex", "words", "token")
        self.providers = {how: [of(f"providers by {how}", kind, 5) for kind in kinds] for how in ("value", "env", "file")}
        self.pools = of("pools", "openai", 15) + of("pools", "words", 15)
        self.headers = of("headers", "hex", 20) + of("headers", "words", 20)
        self.aws = [tuple(of("aws", kind)[0] for kind in ("aws_id", "aws", "token")) for _ in range(5)]
        self.proxies = of("proxies", "password", 5)
        self.cache, self.webhook, self.guard, self.otlp, self.otlp_env, self.explorer = (
            of(place, kind)[0]
            for place, kind in (
                ("cache url", "password"), ("webhook", "hex"), ("guard webhook", "words"), ("otlp headers", "words"),
                ("otlp environment", "words"), ("explorer", "hex"),
            )
        )  # fmt: skip
        self.master = of("master key", "hex")[0] + of("master key", "hex")[0][:24]
        self.by_place["master key"] = [self.master]
        self.logins = list(zip(of("access tokens", "token", 30), of("refresh tokens", "refresh", 30), strict=True))
        self.entra = of("client secrets", "words", 5)
        self.private_key = private_key(self._chance)
        self.by_place["lines of a key"] = self.private_key.splitlines()[1:-2]
        self.own = of("clients' own keys", "anthropic", 20)
        self.strangers = of("unknown keys", "gateway", 40) + of("unknown keys", "openai", 20)
        self.broken = of("broken configurations", "words", 10)
        self.sent = of("request headers", "words", COUNT - len(self.all))
        assert len(set(self.all)) == COUNT

    def _of(self, place: str, kind: str, count: int = 1) -> list[str]:
        made = [FORMS[kind](self._chance) for _ in range(count)]
        self.by_place.setdefault(place, []).extend(made)
        return made

    @property
    def quoted(self) -> list[str]:
        """What is secret of settings that are more than a secret: URLs, a guard, a file of several lines."""
        return [self.cache, self.webhook, self.guard, *self.by_place["lines of a key"]]

    @property
    def all(self) -> list[str]:
        return [secret for secrets in self.by_place.values() for secret in secrets]

    # -- where they are put ----------------------------------------------------------------------------------------------------

    def reference(self, how: str, secret: str, folder: Path, environ: dict[str, str]) -> str:
        """As a configuration names it."""
        if how == "value":
            return secret
        number = len(environ)
        if how == "env":
            environ[f"SEEDED_{number}"] = secret
            return f"env:SEEDED_{number}"
        environ[f"FILE_{number}"] = ""
        file = folder / "secrets" / f"{number}"
        file.parent.mkdir(exist_ok=True)
        file.write_text(secret + "\n")
        return f"file:{file}"

    def configuration(self, folder: Path, port: int, environ: dict[str, str], redis: str) -> dict:
        """The whole file, as a document; variables are added to `environ`. The upstream listens on `port`."""
        base = f"http://127.0.0.1:{port}"
        providers: dict[str, dict] = {}
        for how, kinds in self.providers.items():
            for kind in kinds:
                for secret in kind:
                    api = ("openai", "anthropic", "gemini")[len(providers) % 3]
                    key = self.reference(how, secret, folder, environ)
                    providers[f"p{len(providers)}"] = {"kind": api, "base_url": base, "api_key": key}
        for number, name in enumerate(list(providers)[:40]):
            providers[name]["headers"] = {"x-internal-token": self.headers[number]}
        for number in range(10):
            providers[f"pool{number}"] = {"kind": "openai", "base_url": base, "api_keys": self.pools[3 * number : 3 * number + 3]}
        for number, (key_id, secret, session) in enumerate(self.aws):
            providers[f"aws{number}"] = {
                "kind": "bedrock", "base_url": base, "region": "us-east-1", "auth": "aws", "access_key_id": key_id,
                "secret_access_key": secret, "session_token": session,
            }  # fmt: skip
        providers["proxied"] = {"kind": "openai", "base_url": "http://elsewhere.test/v1", "api_key": "none"}
        for number, secret in enumerate(self.entra):
            providers[f"entra{number}"] = {
                "kind": "azure", "base_url": f"{base}/openai/v1", "auth": "entra", "tenant_id": "t", "client_id": "c", "client_secret": secret,
                "authority": base,
            }  # fmt: skip
        account = {
            "type": "service_account",
            "client_email": "a@b.test",
            "private_key": self.private_key,
            "token_uri": f"{base}/token",
        }
        (folder / "account.json").write_text(json.dumps(account, indent=1))
        providers["vertex"] = {
            "kind": "vertex",
            "project": "p",
            "location": "global",
            "credentials_file": str(folder / "account.json"),
        }
        providers["theirs"] = {"kind": "anthropic", "base_url": base, "credentials": "client"}
        providers["login"] = {
            "kind": "openai", "base_url": base, "auth": "account",
            "oauth": {"device_url": f"{base}/device", "token_url": f"{base}/token", "client_id": "cli"},
        }  # fmt: skip
        keys = [{"name": "boss", "key": self.admin, "role": "admin"}]
        for how, secrets in self.keys.items():
            keys += [
                {"name": f"{how}{i}", "key": self.reference(how, secret, folder, environ)} for i, secret in enumerate(secrets)
            ]
        keys[1]["budgets"] = [{"per": "day", "dollars": 0.000001, "soft": [0.1]}]
        environ |= {
            "GATEWRIGHT_SECRET_KEY": self.master,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{base}/otlp",
            "OTEL_EXPORTER_OTLP_METRICS_HEADERS": f"x-key={self.otlp}",
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-collector-key={self.otlp_env}",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "HTTP_PROXY": f"http://agent:{self.proxies[0]}@127.0.0.1:{port}",
            "NO_PROXY": "127.0.0.1",
        }
        return {
            "server": {"state_dir": str(folder / "state")},
            "providers": providers,
            "models": {"several": {"targets": ["p0/fail-500", "p3/fail-429"], "fallback": ["p6/ok"]}, "kept": {"targets": ["p0/ok"], "cache": {"ttl_s": 60}}},
            "keys": keys,
            "budgets": {"webhook": f"{base}/hooks/{self.webhook}"},
            "cache": {"url": redis.replace("redis://", f"redis://:{self.cache}@")},
            "pricing": {"models": {"p0/ok": {"input": 1000, "output": 1000}}},
            "traces": {"enabled": True, "otlp": {"content": True}},
            "routing": {"retry": {"base_s": 0.01}},
            "logging": {"level": "debug", "requests": "all"},
            "guards": {
                "rules": [
                    {"name": "digits", "kind": "patterns", "patterns": ["ELEPHANT[0-9]{1,9}"], "action": "flag"},
                    {"name": "stop", "kind": "patterns", "patterns": ["GIRAFFE[0-9]{1,9}"], "action": "block"},
                    {"name": "asked", "kind": "webhook", "url": f"{base}/guard", "api_key": self.guard, "action": "log", "on_failure": "open", "scope": {"models": ["p1/ok"]}},
                ]
            },
        }  # fmt: skip


def write(document: dict, file: Path) -> None:
    """YAML takes JSON."""
    file.write_text(json.dumps(document, indent=1))
