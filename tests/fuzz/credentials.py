"""Hostile credentials: nothing that is not a key opens anything, and nothing makes the gateway fail.

    python -m tests.fuzz.credentials --count 100000 --seed 1      `make fuzz-keys`

Each is made of good keys and tokens (cut, extended, altered, joined, encoded, forged) or of nothing good, put wherever credentials
are looked for, on routes for models, for principals and for the gateway itself.
One rule: the oracle does not use the gateway's own reading. A request that got past `authenticate` must hold, as a word of its
own in some header or in the query, a key that is good for it.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from joserfc import jwt
from joserfc.jwk import RSAKey

from gatewright.app import generation_of
from gatewright.config import load_config

ADMIN, MEMBER, VIEWER = "gw-admin-Kx81mQpZ0vRt5Lw2", "gw-member-a77Yt3nQz9Bc4Df6", "gw-viewer-Hj5Gk2Ls8Mn1Pq3R"
GONE, ELSEWHERE = "gw-gone-Zz0Yy1Xx2Ww3Vv4U", "gw-elsewhere-1Qa2Ws3Ed4Rf5"
ISSUER = "https://login.example.com"
SIGNER = RSAKey.generate_key(2048, {"kid": "one"})
STRANGER = RSAKey.generate_key(2048, {"kid": "one"})
YAML = f"""
providers:
  demo: {{kind: demo}}
  own: {{kind: openai, base_url: "http://127.0.0.1:1/v1", credentials: client}}
keys:
  - {{name: admin, key: {ADMIN}, role: admin}}
  - {{name: member, key: {MEMBER}}}
  - {{name: viewer, key: {VIEWER}, role: viewer}}
  - {{name: gone, key: {GONE}, role: admin, disabled: true}}
  - {{name: elsewhere, key: {ELSEWHERE}, role: admin, ips: [192.0.2.0/24]}}
auth: {{jwt: [{{issuer: "{ISSUER}", audience: gatewright, claims: {{role: roles}}}}]}}
"""
GOOD = {ADMIN: "admin", MEMBER: "member", VIEWER: "viewer"}
BODY = b'{"model": "demo/demo", "messages": [{"role": "user", "content": "hi"}]}'
ROUTES = (
    (b"POST", b"/v1/chat/completions", BODY, {"admin", "member"}),
    (b"POST", b"/v1/messages", BODY[:-1] + b', "max_tokens": 5}', {"admin", "member"}),
    (b"GET", b"/v1/models", b"", {"admin", "member", "viewer"}),
    (b"GET", b"/v1/responses/resp_x", b"", {"admin", "member"}),
    (b"GET", b"/v1/health/targets", b"", {"admin", "member", "viewer"}),
    (b"POST", b"/admin/v1/reload", b"", {"admin"}),
    (b"GET", b"/admin/v1/keys", b"", {"admin", "viewer"}),
    (b"POST", b"/admin/v1/keys", b'{"name": "mine", "role": "admin"}', {"admin"}),
    (b"GET", b"/nowhere", b"", {"admin", "member", "viewer"}),
)
HEADERS = (b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key", b"x-gatewright-key", b"invariant-authorization")
DANGEROUS = (
    b"", b" ", b"\x00", b"\xff\xfe", b"' or '1'='1", b"'; drop table keys; --", b"../../etc/passwd", b"null", b"undefined", b"None",
    b"true", b"admin", b"root", b"*", b"%", b"gw-", b"gw-%", b"{}", b"[]", b"${jndi:ldap://x}", b"{{7*7}}", b"a" * 60_000, "ключ".encode(),
    "gw-\u200badmin".encode(), b"Basic YWRtaW46YWRtaW4=", b"Bearer", b"bearer bearer", b"Digest x", b"AWS4-HMAC-SHA256 x", b"eyJ", b"eyJ..",
    b"eyJhbGciOiJub25lIn0.e30.", b";gatewright-auth=", b"|invariant-auth:", b"x;gatewright-auth=;gatewright-auth=",
)  # fmt: skip


def token(rng: random.Random) -> str:
    """One of the issuer, good or bad in one way."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": "gatewright", "sub": "ann", "exp": now + 600, "roles": ["admin"], "jti": rng.random()}
    bad: Callable[[], str] = rng.choice(
        (
            lambda: jwt.encode({"alg": "RS256", "kid": "one"}, claims, STRANGER),
            lambda: jwt.encode({"alg": "RS256", "kid": "two"}, claims, SIGNER),
            lambda: jwt.encode({"alg": "RS256", "kid": "one"}, {**claims, "exp": now - 999}, SIGNER),
            lambda: jwt.encode({"alg": "RS256", "kid": "one"}, {**claims, "aud": "x"}, SIGNER),
            lambda: jwt.encode({"alg": "RS256", "kid": "one"}, {**claims, "iss": "https://evil.example"}, SIGNER),
            lambda: f"{part({'alg': 'none'})}.{part(claims)}.",
            lambda: f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(claims)}.{part(rng.random())}",
            lambda: (
                f"{part({'alg': 'RS256', 'kid': 'one'})}.{part({**claims, 'exp': rng.choice([None, 'x', [], -1, 1e300])})}.AAAA"
            ),
            lambda: f"{part({'alg': rng.choice([1, None, [], {}]), 'kid': {}})}.{part(claims)}.AAAA",
            lambda: f"{part(claims)}.{part(claims)}.{part(claims)}",
            lambda: f"{part({'alg': 'RS256', 'kid': 'one', 'b64': False, 'crit': ['b64']})}.{part(claims)}.AAAA",
        )
    )
    return bad()


def part(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def credential(rng: random.Random, signed: str) -> bytes:
    """`signed`: a token that is good."""
    key = rng.choice((*GOOD, GONE, ELSEWHERE, signed)).encode()
    at = rng.randrange(len(key))
    kind = rng.randrange(16)
    if kind == 0:
        return key[:at]
    if kind == 1:
        return key + rng.choice((b"x", b"\x00", b".", b"=", b"\t", b"%00", b"\xc2\xa0"))
    if kind == 2:
        return key[:at] + bytes((key[at] ^ 1 << rng.randrange(7),)) + key[at + 1 :]
    if kind == 3:
        return rng.choice((key.upper(), key.lower(), key.swapcase(), key[::-1], key + key))
    if kind == 4:
        return rng.choice(
            (base64.b64encode(key), key.hex().encode(), hashlib.sha256(key).hexdigest().encode(), hashlib.sha256(key).digest())
        )
    if kind == 5:
        return rng.choice(DANGEROUS)
    if kind == 6:
        return token(rng).encode()
    if kind == 7:
        return rng.choice(DANGEROUS) + key
    if kind == 8:
        return b"%b;gatewright-auth=%b" % (rng.choice(DANGEROUS), key[:at])
    if kind == 9:
        return b"%b;gatewright-auth=%b" % (key[:at], rng.choice((*DANGEROUS, token(rng).encode())))
    if kind == 10:
        return bytes(rng.randrange(1, 256) for _ in range(rng.randrange(80)))
    if kind == 11:
        return key[:at] + rng.choice(DANGEROUS) + key[at:]
    if kind == 12:
        return b"gw-" + base64.urlsafe_b64encode(rng.randbytes(32)).rstrip(b"=")
    if kind == 13:
        return rng.choice((b"admin", b"member", b"gone", b"key_admin", b"ann", b"login.example.com:ann"))
    if kind == 14:
        return rng.choice((GONE.encode(), ELSEWHERE.encode()))
    return key


def request(rng: random.Random, signed: str) -> tuple[bytes, bytes, dict[bytes, bytes], bytes, set[str]]:
    method, path, body, roles = rng.choice(ROUTES)
    headers: dict[bytes, bytes] = {b"host": b"x"}
    for name in rng.sample(HEADERS, rng.choice((1, 1, 1, 2, 3))):
        value = credential(rng, signed).replace(b"\r", b"").replace(b"\n", b"")
        prefix = rng.choice((b"", b"", b"Bearer ", b"bearer ", b"Bearer  ", b"BEARER ", b"Bearer Bearer ", b"Basic ", b"Token "))
        headers[name] = (prefix + value) if name == b"authorization" else value
    if rng.random() < 0.1:
        quoted = "".join(f"%{byte:02x}" for byte in credential(rng, signed)[:500])
        path += b"?key=" + quoted.encode()
        if rng.random() < 0.5:
            headers = {b"host": b"x"}
    if rng.random() < 0.1:
        headers[b"x-forwarded-for"] = b"192.0.2.7"
    return method, path, headers, body, roles


def words(headers: dict[bytes, bytes], path: bytes) -> set[bytes]:
    """Whatever stands by itself in what was sent."""
    found: set[bytes] = set()
    for value in (*headers.values(), bytes.fromhex(path.partition(b"?key=")[2].replace(b"%", b"").decode())):
        found |= {
            value,
            value.strip(),
            *re.split(rb"[\s;|=]+|^[Bb]earer +", value),
            *re.split(rb"[;|] *(?:gatewright|invariant)-auth *[=:]", value),
        }
    return {word.strip() for word in found}


class Fault(AssertionError):
    pass


async def one(gateway, rng: random.Random, signed: str) -> int:
    """The status. Raises Fault."""
    method, path, headers, body, roles = request(rng, signed)
    exchange = gateway.exchange(method, path, headers, body)
    exchange.connection = SimpleNamespace(get_extra_info=lambda name, default=None: ("127.0.0.1", 1))
    reply = await gateway.handle(exchange)
    if reply.source is not None:
        reply.source.abort()
    sent = words(headers, path)
    keys = {role for key, role in GOOD.items() if key.encode() in sent} | ({"admin"} if signed.encode() in sent else set())
    said = f"{method!r} {path!r} {headers!r}: {reply.status} {reply.body[:300]!r}"
    if reply.status == 500 or b"bug of ours" in reply.body:
        raise Fault(f"failed: {said}")
    if reply.status not in (400, 401, 403) and not keys & roles:
        raise Fault(f"got in without a key that is good for it: {said}")
    if reply.status == 403 and not keys and not {GONE.encode(), ELSEWHERE.encode()} & sent:
        raise Fault(f"taken for somebody: {said}")
    for key in (*GOOD, GONE, ELSEWHERE, signed):
        if key.encode() in reply.body or key.encode() in reply.headers:
            raise Fault(f"told a key: {said}")
    return reply.status


async def run(count: int, seed: int, folder: Path, told: Callable[[int], None] = lambda _: None) -> Counter[int]:
    """How often each status came. Raises Fault at the first that is wrong."""
    file = folder / "gatewright.yaml"
    file.write_text(YAML)
    generation = generation_of(load_config(file, {"GATEWRIGHT_HOME": str(folder)}), {})
    tokens = generation.authenticate.tokens
    keys = next(iter(tokens._issuers.values())).keys
    keys._keys = {"one": type(SIGNER).import_key(SIGNER.as_dict(private=False))}
    keys._fetched, keys._tried = keys._clock(), float("inf")  # and it is fetched no more
    claims = {"iss": ISSUER, "aud": "gatewright", "sub": "ann", "exp": int(time.time()) + 3600, "roles": ["admin"]}
    signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, SIGNER)
    statuses: Counter[int] = Counter()
    for number in range(count):
        try:
            statuses[await one(generation.gateway, random.Random(f"{seed}:{number}"), signed)] += 1
        except Fault as fault:
            raise Fault(f"seed {seed}, number {number}: {fault}") from None
        if number % 10_000 == 9_999:
            told(number + 1)
    return statuses


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.credentials", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            statuses = asyncio.run(
                run(asked.count, asked.seed, Path(folder), lambda done: print(f"{done} done", file=sys.stderr, flush=True))
            )
        except Fault as fault:
            print(fault, file=sys.stderr)
            return 1
    print(
        f"seed {asked.seed}: {asked.count} credentials in {time.monotonic() - began:.0f} s, no 500 and no way in; {dict(sorted(statuses.items()))}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
