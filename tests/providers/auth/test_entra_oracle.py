"""Microsoft's own library, asked for the same token, sends the same request."""

import json
import time
from urllib.parse import parse_qs, urlsplit

import msal
import pytest
from tests.identity import certificate_pem, pem_of, read_jwt, rsa_key

from gatewright.providers.auth.entra import Entra, EntraIssuer
from gatewright.providers.auth.jwt import read_certificate

SCOPE = "https://cognitiveservices.azure.com/.default"
AUTHORITY = "https://login.microsoftonline.com"
TELEMETRY = ("x-client-", "x-ms-", "client_info", "x-app-")
OPENID = f"{AUTHORITY}/t/v2.0/.well-known/openid-configuration"
TOKEN = f"{AUTHORITY}/t/oauth2/v2.0/token"


class Answer:
    headers = {}

    def __init__(self, document):
        self.status_code = 200
        self.text = json.dumps(document)

    def raise_for_status(self):
        pass


class Wire:
    """The library's seam to HTTP: records what is sent."""

    def __init__(self):
        self.sent = []

    def get(self, url, params=None, headers=None, **more):
        place = {"issuer": f"{AUTHORITY}/t/v2.0", "authorization_endpoint": f"{AUTHORITY}/t/a", "token_endpoint": TOKEN}
        return Answer({"tenant_discovery_endpoint": OPENID, "metadata": [], **place})

    def post(self, url, params=None, data=None, headers=None, **more):
        self.sent.append((url, dict(data)))
        return Answer({"access_token": "eyJ", "expires_in": 3599, "token_type": "Bearer"})

    def close(self):
        pass


def meant(url, form, audience=TOKEN):
    """A request without telemetry and what differs each time."""
    form = {key: value for key, value in form.items() if not key.startswith(TELEMETRY)}
    if "client_assertion" in form and form["client_assertion"] != "federated":
        assertion = form.pop("client_assertion")
        assertion = assertion.decode() if isinstance(assertion, bytes) else assertion
        header, claims = read_jwt(assertion, rsa_key(1), "PS256")
        assert claims.pop("aud") == audience
        assert claims["exp"] - claims["iat"] == 600
        assert claims.pop("jti")
        header.pop("x5c", None)
        form["claims"] = {key: claims[key] for key in ("iss", "sub")}
        form["header"] = header | {"x5t#S256": header["x5t#S256"].rstrip("=")}  # the library pads, RFC 7515 does not
    if not isinstance(form["scope"], str):
        form["scope"] = " ".join(form["scope"])
    return urlsplit(url).geturl(), form


@pytest.mark.parametrize("proof", ["secret", "certificate", "workload"])
async def test_the_same_request(proof):
    """URL and form; for a certificate the assertion's header and who it is from."""
    pem = certificate_pem()
    theirs = {
        "secret": "shh",
        "certificate": {"private_key": pem_of(rsa_key(1)), "public_certificate": pem[: pem.index("-----BEGIN PRIVATE")]},
        "workload": {"client_assertion": lambda: "federated"},
    }[proof]
    wire = Wire()
    app = msal.ConfidentialClientApplication("c", theirs, f"{AUTHORITY}/t", http_client=wire, instance_discovery=False)
    assert app.acquire_token_for_client([SCOPE])["access_token"] == "eyJ"

    seen = []

    async def fetch(method, url, headers, body, timeout_s):
        seen.append((url, {key: value[0] for key, value in parse_qs(body.decode()).items()}))
        return 200, {"content-type": "application/json"}, b'{"access_token": "eyJ", "expires_in": 3599}'

    told = {"secret": {"secret": "shh"}, "certificate": {"certificate": pem}, "workload": {"token_file": __file__}}[proof]
    entra = Entra(tenant="t", client="c", authority=AUTHORITY, scope=SCOPE, metadata_host="http://x", **told)
    await EntraIssuer(entra, fetch, time.time, lambda: 0.5).obtain()
    url, form = seen[0]
    if proof == "workload":
        form["client_assertion"] = "federated"
    assert meant(url, form) == meant(*wire.sent[-1])
    assert read_certificate(pem).thumbprint in str(meant(url, form)) or proof != "certificate"
