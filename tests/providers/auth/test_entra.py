"""Managed identities: App Service's endpoint and the machine's metadata service, which is slow and sometimes busy."""

import time

import pytest
from tests.identity import serving

from gatewright.errors import UpstreamFailed
from gatewright.providers.auth.entra import Entra, EntraIssuer, entra_credential, resource_of
from gatewright.providers.auth.seam import CredentialFailed, Unsigned
from gatewright.transport.plain_fetch import PlainFetch

SCOPE = "https://cognitiveservices.azure.com/.default"


def entra(port=1, **more):
    told = {"authority": "http://127.0.0.1:1", "scope": SCOPE, "metadata_host": f"http://127.0.0.1:{port}"}
    return Entra(**(told | more))


def issuer(one, **more):
    return EntraIssuer(one, PlainFetch({}), time.time, lambda: 0.5, **more)


class Service:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.seen = []

    def answer(self, asked):
        self.seen.append(asked)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


TOKEN = (
    200,
    {"access_token": "eyJ.machine", "expires_in": "86399", "expires_on": "4102444800", "resource": "r", "refresh_in": "43200"},
)


@pytest.mark.parametrize("client", ["", "user-assigned"])
async def test_the_machines_identity_is_asked_for_as_documented(client):
    """`Metadata: true`, the resource without `/.default`, the client id of a user-assigned identity; numbers come as text."""
    service = Service(TOKEN)
    async with serving(service.answer) as port:
        lease = await issuer(entra(port, client=client)).obtain()
    assert lease.value == "eyJ.machine"
    assert 86_000 < lease.expires_at - time.time() < 86_400
    assert 43_000 < lease.refresh_at - time.time() < 43_201
    asked = service.seen[0]
    assert asked.path == "/metadata/identity/oauth2/token"
    told = {"api-version": "2018-02-01", "resource": "https://cognitiveservices.azure.com"}
    assert asked.query == (told | {"client_id": client} if client else told)
    assert asked.headers["metadata"] == "true"


async def test_app_service_has_an_endpoint_of_its_own():
    """Named by the environment, with a header as proof; the end of the token's life is a time there."""
    until = str(int(time.time()) + 3000)
    service = Service((200, {"access_token": "eyJ.app", "expires_on": until}))
    async with serving(service.answer) as port:
        one = entra(identity_endpoint=f"http://127.0.0.1:{port}/msi/token", identity_header="proof-1", client="c")
        lease = await issuer(one).obtain()
    assert 2900 < lease.expires_at - time.time() < 3001
    asked = service.seen[0]
    assert asked.path == "/msi/token"
    assert asked.query == {"api-version": "2019-08-01", "resource": "https://cognitiveservices.azure.com", "client_id": "c"}
    assert asked.headers["x-identity-header"] == "proof-1"


async def test_a_busy_metadata_service_is_asked_again():
    """404, 429 and 5xx pass by themselves there."""
    service = Service((404, {"error": "x"}), (429, {"error": "x"}), (503, "<html>"), TOKEN)
    async with serving(service.answer) as port:
        assert (await issuer(entra(port), imds_waits_s=(0.0, 0.0, 0.0)).obtain()).value == "eyJ.machine"
    assert len(service.seen) == 4


async def test_a_metadata_service_that_hangs_is_given_up_in_bounded_time():
    """Off Azure the address answers nobody."""
    service = Service(None)
    async with serving(service.answer) as port:
        began = time.monotonic()
        with pytest.raises(UpstreamFailed, match="the machine's identity was asked for") as raised:
            await issuer(entra(port), imds_s=0.05, imds_waits_s=(0.01, 0.01, 0.01)).obtain()
        assert time.monotonic() - began < 1
    assert raised.value.problem.kind == "timeout"
    assert len(service.seen) == 2


async def test_a_machine_without_an_identity_is_told_at_once():
    """400 does not pass."""
    service = Service((400, {"error": "invalid_request", "error_description": "Identity not found"}))
    async with serving(service.answer) as port:
        credential = entra_credential("azure", entra(port), fetch=PlainFetch({}), clock=time.time, chance=lambda: 0.0)
        with pytest.raises(CredentialFailed, match=r"machine's managed identity for provider 'azure'.*Identity not found"):
            await credential.sign(Unsigned("POST", "http://x", b"/", b"", b""))
    assert len(service.seen) == 1


async def test_a_workloads_token_that_is_not_there_is_named():
    """The file, not what would be in it."""
    one = entra(tenant="t", client="c", token_file="/nowhere/token")
    with pytest.raises(UpstreamFailed, match='cannot read file "/nowhere/token"'):
        await issuer(one).obtain()


def test_who_it_is_has_no_secret():
    """For messages, and for whoever prints it."""
    one = entra(tenant="t", client="c", secret="shh", identity_header="proof")
    assert "shh" not in repr(one)
    assert "proof" not in repr(one)
    assert one.account == "application c in tenant t"
    assert entra(client="c").account == "managed identity c"


def test_scopes_are_resources_for_managed_identities():
    """The older word for the same thing."""
    assert resource_of(SCOPE) == "https://cognitiveservices.azure.com"
    assert resource_of("api://mine") == "api://mine"
