"""Tokens of identity providers in place of keys: who is let in, who is not, and what a token can make the gateway do."""

import asyncio
import base64
import hmac
import json
import time
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from gatewright.issuers import key_sets
from tests.serving import KEY, answer, call, gateway, upstream

SIGNER = RSAKey.generate_key(2048, {"kid": "one"})
NEXT = ECKey.generate_key("P-256", {"kid": "two"})
BODY = b'{"model": "demo/demo", "messages": [{"role": "user", "content": "hi"}]}'


class Issuer:
    """An identity provider on this machine."""

    def __init__(self) -> None:
        self.port = 0
        self.keys: list[dict] = [SIGNER.as_dict(private=False)]
        self.asked: list[str] = []
        self.up = True
        self.jwks_uri = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader, writer) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        self.asked.append(path)
        if not self.up:
            writer.transport.abort()
            return
        if path == "/.well-known/openid-configuration":
            told = {"issuer": self.url, "jwks_uri": self.jwks_uri or f"{self.url}/keys"}
        else:
            told = {"keys": self.keys}
        writer.write(answer(json.dumps(told).encode()))
        await writer.drain()
        writer.close()

    def token(self, key=SIGNER, alg: str = "RS256", header: dict | None = None, **claims) -> str:
        """A good one, but for what is said otherwise. None takes a claim away."""
        said = {"iss": self.url, "aud": "gatewright", "sub": "ann", "exp": int(time.time()) + 600, "groups": ["red"], **claims}
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode({"alg": alg, "kid": key.kid, **(header or {})}, said, key, algorithms=[alg])


@asynccontextmanager
async def trusting(tmp_path, settings: str = "claims: {team: groups, role: roles}", more: str = ""):
    issuer = Issuer()
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    issuer.port = server.sockets[0].getsockname()[1]
    yaml = f"""
providers: {{demo: {{kind: demo}}}}
teams: {{red: {{}}, cold: {{models: ["gpt-*"]}}, shut: {{disabled: true}}}}
users: {{bob: {{team: red, role: viewer}}}}
auth: {{jwt: [{{issuer: "{issuer.url}", audience: [gatewright, other], {settings}}}]}}
{more}"""
    try:
        async with gateway(yaml, tmp_path) as gw:
            yield issuer, gw
    finally:
        server.close()


async def ask(gw, token: str, path: str = "/v1/chat/completions", *, header: str = "authorization: Bearer "):
    body = BODY if path.startswith("/v1") else b""
    method = "POST" if body else "GET"
    got = await call(gw.port, path, body, method=method, headers=f"{header}{token}\r\n")
    told = json.loads(got.body)
    return got.status, (told.get("error") or told).get("code") or told.get("role", "")


async def test_a_good_token_is_as_good_as_a_key(tmp_path):
    """In any header that keys go in; its team narrows; who it is has the user's name; keys are fetched once for many."""
    async with trusting(tmp_path) as (issuer, gw):
        got = await asyncio.gather(*(ask(gw, issuer.token(jti=str(n))) for n in range(20)))
        assert {status for status, _ in got} == {200}
        assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]
        for header in ("x-api-key: ", "x-goog-api-key: ", "x-gatewright-key: "):
            assert (await ask(gw, issuer.token(), header=header))[0] == 200
        assert await ask(gw, issuer.token(groups=["nowhere", "cold"])) == (403, "model_not_allowed")
        assert (await ask(gw, KEY))[0] == 200, "keys go on"


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"roles": ["viewer", "admin"]}, "admin"),
        ({"roles": "team_admin"}, "team_admin"),
        ({"roles": ["nonsense"]}, "member"),
        ({}, "member"),
        ({"sub": "bob"}, "viewer"),
        ({"sub": "bob", "roles": ["member"]}, "member"),
    ],
)
async def test_claims_say_the_role(tmp_path, claims, role):
    """The highest that is known; without one the user's own, else that of a member."""
    async with trusting(tmp_path) as (issuer, gw):
        assert await ask(gw, issuer.token(**claims), "/admin/v1/self") == (200, role)


async def test_roles_can_be_named_otherwise(tmp_path):
    """Where the operator maps them, nothing else grants a role: not even our own words."""
    settings = "claims: {team: groups, role: realm.roles}, roles: {gw-root: admin}"
    async with trusting(tmp_path, settings) as (issuer, gw):
        assert await ask(gw, issuer.token(realm={"roles": ["gw-root"]}), "/admin/v1/self") == (200, "admin")
        assert await ask(gw, issuer.token(realm={"roles": ["admin"]}), "/admin/v1/self") == (200, "member")


def forged(token: str, **header) -> str:
    """The same token with another head, and no signature."""
    _, body, _ = token.split(".")
    head = base64.urlsafe_b64encode(json.dumps({"typ": "JWT", **header}).encode()).decode().rstrip("=")
    return f"{head}.{body}."


def confused(token: str, secret: bytes) -> str:
    """The same token, signed with the public key as if it were a shared secret."""
    unsigned = forged(token, alg="HS256", kid="one").removesuffix(".")
    mac = hmac.digest(secret, unsigned.encode(), "sha256")
    return f"{unsigned}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


async def test_what_is_wrong_is_401(tmp_path):
    """`none`, a shared secret made of the public key, another's key, another audience, expired, not yet, no end, altered."""
    async with trusting(tmp_path) as (issuer, gw):
        good = issuer.token()
        assert (await ask(gw, good))[0] == 200
        public = SIGNER.as_pem(private=False)
        stranger = RSAKey.generate_key(2048, {"kid": "one"})
        now = int(time.time())
        head, body, signature = good.split(".")
        said = {"iss": issuer.url, "aud": "gatewright", "sub": "root", "exp": now + 99, "groups": ["red"]}
        other_body = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
        bad = {
            "none": forged(good, alg="none"),
            "none, signed": forged(good, alg="none", kid="one") + signature,
            "None": forged(good, alg="None", kid="one"),
            "confused": confused(good, public),
            "stranger": issuer.token(stranger),
            "not allowed": issuer.token(SIGNER, "PS256"),
            "audience": issuer.token(aud="somebody"),
            "no audience": issuer.token(aud=None),
            "audience, an object": issuer.token(aud={"gatewright": True}),
            "expired": issuer.token(exp=now - 100),
            "no end": issuer.token(exp=None),
            "endless": issuer.token(exp=10**15),
            "an end in words": issuer.token(exp="tomorrow"),
            "not yet": issuer.token(nbf=now + 1000),
            "no user": issuer.token(sub=None),
            "issuer": issuer.token(iss="http://127.0.0.1:1"),
            "issuer with a slash": issuer.token(iss=issuer.url + "/"),
            "altered": f"{head}.{other_body}.{signature}",
            "no signature": f"{head}.{body}.",
            "crit": forged(good, alg="RS256", kid="one", crit=["x"]) + signature,
            "cut": good[:-10],
            "more": good + ".x",
        }
        for why, token in bad.items():
            status, code = await ask(gw, token)
            assert status == 401, (why, status, code)
        assert (await ask(gw, good))[0] == 200
        assert issuer.asked == ["/.well-known/openid-configuration", "/keys"], "none of them made it fetch anything"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"groups": ["nowhere"]}, "unknown_team"),
        ({"groups": None}, "unknown_team"),
        ({"groups": ["shut"]}, "not_permitted"),
        ({"sub": "bob", "groups": ["cold"]}, "not_permitted"),
    ],
)
async def test_a_token_of_no_team_is_refused(tmp_path, claims, code):
    """It should name a team; one that is unknown, disabled or not the user's is none."""
    async with trusting(tmp_path) as (issuer, gw):
        assert await ask(gw, issuer.token(**claims)) == (403, code)


async def test_the_clock_may_differ_a_little(tmp_path):
    """By as much as the operator says, and no more."""
    async with trusting(tmp_path, "skew_s: 100, claims: {}") as (issuer, gw):
        now = int(time.time())
        assert (await ask(gw, issuer.token(exp=now - 50)))[0] == 200
        assert await ask(gw, issuer.token(exp=now - 150)) == (401, "token_expired")
        assert (await ask(gw, issuer.token(nbf=now + 50)))[0] == 200


async def test_a_new_key_is_fetched_when_it_is_used_and_seldom(tmp_path, monkeypatch):
    """An issuer changes its keys: the first token by the new one is good. A thousand unknown ids fetch no more than once."""
    async with trusting(tmp_path, "algorithms: [RS256, ES256], claims: {}") as (issuer, gw):
        assert (await ask(gw, issuer.token()))[0] == 200
        monkeypatch.setattr(key_sets, "AGAIN_S", 0.0)
        issuer.keys.append(NEXT.as_dict(private=False))
        assert (await ask(gw, issuer.token(NEXT, "ES256")))[0] == 200
        monkeypatch.setattr(key_sets, "AGAIN_S", 1000.0)
        before = len(issuer.asked)
        for n in range(50):
            assert (await ask(gw, issuer.token(header={"kid": f"k{n}"})))[0] == 401
        assert len(issuer.asked) == before


async def test_without_its_keys_nobody_is_told_that_he_is_wrong(tmp_path, monkeypatch):
    """An issuer that does not answer: 503, come again; keys go on; once it answers, tokens are good."""
    async with trusting(tmp_path) as (issuer, gw):
        issuer.up = False
        assert await ask(gw, issuer.token()) == (503, "issuer_unavailable")
        assert (await ask(gw, KEY))[0] == 200
        issuer.up = True
        monkeypatch.setattr(key_sets, "AGAIN_S", 0.0)
        assert (await ask(gw, issuer.token()))[0] == 200


async def test_nothing_is_fetched_but_what_the_operator_named(tmp_path):
    """A discovery that leads elsewhere is not followed, nor is an address inside a token."""
    async with upstream() as elsewhere, trusting(tmp_path) as (issuer, gw):
        elsewhere.answers = [[answer(b'{"keys": []}')]]
        issuer.jwks_uri = f"http://127.0.0.1:{elsewhere.port}/keys"
        header = {"jku": issuer.jwks_uri, "x5u": issuer.jwks_uri}
        assert (await ask(gw, issuer.token()))[0] == 503
        assert (await ask(gw, forged(issuer.token(), alg="RS256", kid="one", **header)))[0] in (401, 503)
        assert elsewhere.requests == []


async def test_keys_that_are_none_do_not_count(tmp_path):
    """A shared secret, a key for encryption and a short one are published; no token by them is good."""
    secret = OctKey.generate_key(256, {"kid": "secret"})
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key().public_numbers()
    short = {
        "kty": "RSA",
        "kid": "short",
        "e": "AQAB",
        "n": base64.urlsafe_b64encode(numbers.n.to_bytes(128)).decode().rstrip("="),
    }
    sealing = OKPKey.generate_key("Ed25519", {"kid": "enc"})
    listed = [
        short,
        secret.as_dict(),
        {**sealing.as_dict(private=False), "use": "enc"},
        "x",
        {"kty": "RSA"},
    ]
    found = key_sets.keys_of({"keys": [*listed, SIGNER.as_dict(private=False)]})
    assert list(found) == ["one"]
    assert not found["one"].is_private
    assert not next(iter(key_sets.keys_of({"keys": [SIGNER.as_dict(private=True)]}).values())).is_private
