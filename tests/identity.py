"""Issuers of tokens on the loopback, which check what they are asked as the real ones do, and an upstream that checks the tokens."""

import asyncio
import base64
import datetime as dt
import functools
import hashlib
import json
import time
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID


@functools.cache
def rsa_key(number=0):
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem_of(key):
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@functools.cache
def certificate_pem():
    """A self-signed certificate and its key."""
    key = rsa_key(1)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gatewright test")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    certificate = built.not_valid_before(start).not_valid_after(start.replace(year=2046)).sign(key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM).decode() + pem_of(key)


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def read_jwt(token, key, algorithm="RS256"):
    """(header, claims) of a token whose signature holds."""
    first, second, third = token.split(".")
    header = json.loads(unpadded(first))
    assert header["alg"] == algorithm
    how = padding.PKCS1v15() if algorithm == "RS256" else padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    key.public_key().verify(unpadded(third), f"{first}.{second}".encode(), how, hashes.SHA256())
    return header, json.loads(unpadded(second))


class Asked:
    """One request."""

    def __init__(self, method, target, lines, body):
        headers = {name.lower(): value for name, value in lines}
        assert len(headers) == len(lines), "no header comes twice"
        self.method = method
        parts = urlsplit(target)
        self.path = parts.path
        self.query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        self.headers = headers
        self.body = body

    @property
    def form(self):
        return {k: v[0] for k, v in parse_qs(self.body.decode()).items()}


@asynccontextmanager
async def serving(answer):
    """A server of `answer(Asked) -> (status, body) or (status, body, headers)`, awaited where it is a coroutine; None hangs."""
    running = set()

    async def one(reader, writer):
        running.add(asyncio.current_task())
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                lines = [(n, v) for n, _, v in (line.partition(": ") for line in head[1:] if line)]
                length = next((v for n, v in lines if n.lower() == "content-length"), 0)
                body = await reader.readexactly(int(length))
                method, target, _ = head[0].split(" ")
                told = answer(Asked(method, target, lines, body))
                told = await told if asyncio.iscoroutine(told) else told
                if told is None:
                    await reader.read()
                    return
                status, content, *more = told
                kind = "text/html" if isinstance(content, str) else "application/json"
                data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                lines = "".join(f"{n}: {v}\r\n" for n, v in {"content-type": kind, **(more[0] if more else {})}.items())
                writer.write(f"HTTP/1.1 {status} X\r\n{lines}content-length: {len(data)}\r\n\r\n".encode() + data)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=1)


class Issuer:
    """Hands out tokens that hold for `life_s`; each way of asking for one is checked. `trouble` answers in its place."""

    def __init__(self, life_s=3600.0):
        self.life_s = life_s
        self.pause_s = 0.0
        self.asked = []
        self.tokens = {}
        self.trouble = None
        self.port = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def issue(self):
        token = f"ya29.token-{len(self.tokens) + 1}-{hashlib.sha256(str(self.port).encode()).hexdigest()[:8]}"
        self.tokens[token] = time.time() + self.life_s
        return token

    def holds(self, authorization):
        return self.tokens.get(authorization.removeprefix("Bearer "), 0) > time.time()

    def revoke(self):
        self.tokens = dict.fromkeys(self.tokens, 0)

    async def answer(self, asked):
        self.asked.append(asked)
        await asyncio.sleep(self.pause_s)
        if self.trouble is not None:
            return self.trouble(asked) if callable(self.trouble) else self.trouble
        fault = self.fault(asked)
        if fault is not None:
            return 400, {"error": fault, "error_description": f"said of {asked.path}"}
        return 200, {"access_token": self.issue(), "expires_in": self.life_s, "token_type": "Bearer"}

    def fault(self, asked):
        """OAuth's word for what is wrong with a request; None when it is well."""
        form = asked.form
        grant = form.get("grant_type")
        if asked.path == "/token" and grant == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            header, claims = read_jwt(form["assertion"], rsa_key())
            ok = (
                header["kid"] == "k1" and claims["iss"] == "bot@proj.iam.gserviceaccount.com" and claims["aud"] == "https://oauth2.googleapis.com/token"
                and claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
                and abs(claims["iat"] - time.time()) < 60 and claims["exp"] - claims["iat"] <= 3600
            )  # fmt: skip
            return None if ok else "invalid_grant"
        if asked.path == "/token" and grant == "refresh_token":
            return None if form["refresh_token"] == "1//refresh" and form["client_secret"] == "shh-client" else "invalid_grant"
        if asked.path == "/tenant-1/oauth2/v2.0/token" and grant == "client_credentials":
            if form["client_id"] != "app-1" or form["scope"] != "https://cognitiveservices.azure.com/.default":
                return "invalid_scope"
            if "client_secret" in form:
                return None if form["client_secret"] == "shh-entra" else "invalid_client"
            if form.get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
                return "invalid_client"
            if form["client_assertion"].startswith("federated-"):
                return None
            header, claims = read_jwt(form["client_assertion"], rsa_key(1), "PS256")
            der = x509.load_pem_x509_certificate(certificate_pem().encode()).fingerprint(hashes.SHA256())
            ok = (
                unpadded(header["x5t#S256"]) == der and claims["iss"] == claims["sub"] == "app-1" and claims["jti"]
                and claims["aud"] == f"{self.url}/tenant-1/oauth2/v2.0/token" and claims["nbf"] <= time.time() < claims["exp"]
            )  # fmt: skip
            return None if ok else "invalid_client"
        return "unsupported_grant_type"


@asynccontextmanager
async def issuer(life_s=3600.0):
    one = Issuer(life_s)
    async with serving(one.answer) as one.port:
        yield one


def service_account(token_uri, **changes):
    document = {
        "type": "service_account", "project_id": "proj", "private_key_id": "k1", "private_key": pem_of(rsa_key()),
        "client_email": "bot@proj.iam.gserviceaccount.com", "token_uri": token_uri,
    }  # fmt: skip
    return json.dumps(document | changes)
