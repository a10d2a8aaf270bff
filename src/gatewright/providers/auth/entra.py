"""Access tokens of Entra ID: applications with a secret, a certificate or another issuer's token, and managed identities.

One rule: which of them is decided when the configuration is read; here it is only asked.
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
"""

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from gatewright.errors import Problem, UpstreamFailed
from gatewright.jsontypes import JsonObject
from gatewright.providers.auth.bearer import BearerToken
from gatewright.providers.auth.jwt import read_certificate, signed_jwt
from gatewright.providers.auth.refreshed import Lease
from gatewright.providers.auth.seam import Fetch
from gatewright.providers.auth.token_endpoint import ask, lease_of
from gatewright.providers.auth.token_file import read_token_file

ASSERTION_S: Final = 600
JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
IMDS_S: Final = 3.0
IMDS_WAITS_S: Final = (0.8, 1.6, 3.2)
"""Between tries where the service is updating or busy (404, 410, 429, 5xx)."""
IMDS_SILENCES: Final = 2
"""Tries without any answer: off Azure's machines the address answers nobody."""
IMDS_AGAIN: Final = frozenset(("404", "410", "429", "500", "502", "503", "504"))


class Entra(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and where. With neither secret, certificate nor token file: a managed identity."""

    tenant: str = ""
    client: str = ""
    secret: str = ""
    certificate: str = ""
    """PEM."""
    token_file: str = ""
    authority: str
    scope: str
    identity_endpoint: str = ""
    identity_header: str = ""
    metadata_host: str

    def __repr__(self) -> str:
        return f"Entra({self.account})"

    @property
    def account(self) -> str:
        """For messages."""
        if self.secret or self.certificate or self.token_file:
            return f"application {self.client} in tenant {self.tenant}"
        return f"managed identity {self.client}" if self.client else "the machine's managed identity"


def entra_credential(
    provider: str,
    entra: Entra,
    *,
    fetch: Fetch,
    clock: Callable[[], float],
    chance: Callable[[], float],
) -> BearerToken:
    """The `Credential`. `clock` gives seconds since 1970. Raises ValueError for a certificate that cannot be read."""
    issuer = EntraIssuer(entra, fetch, clock, chance)
    return BearerToken(provider, entra.account, issuer.obtain, clock=clock, chance=chance)


class EntraIssuer:
    """Asks for tokens."""

    def __init__(
        self,
        entra: Entra,
        fetch: Fetch,
        clock: Callable[[], float],
        chance: Callable[[], float],
        *,
        imds_s: float = IMDS_S,
        imds_waits_s: tuple[float, ...] = IMDS_WAITS_S,
    ) -> None:
        """`imds_s`, `imds_waits_s`: seconds that a machine's metadata service has for one try, and between tries."""
        self._entra = entra
        self._imds_s = imds_s
        self._imds_waits_s = imds_waits_s
        self._fetch = fetch
        self._clock = clock
        self._chance = chance
        self._certificate = read_certificate(entra.certificate) if entra.certificate else None

    async def obtain(self) -> Lease[str]:
        """Raises UpstreamFailed."""
        entra = self._entra
        if entra.secret or entra.certificate or entra.token_file:
            return await self._of_application()
        return await (self._of_app_service() if entra.identity_endpoint else self._of_machine())

    async def _of_application(self) -> Lease[str]:
        entra = self._entra
        url = f"{entra.authority}/{quote(entra.tenant, safe='.-')}/oauth2/v2.0/token"
        form = {"grant_type": "client_credentials", "client_id": entra.client, "scope": entra.scope}
        proof = entra.secret
        if proof:
            form["client_secret"] = proof
        else:
            proof = await asyncio.to_thread(read_token_file, entra.token_file) if entra.token_file else self._assertion(url)
            form |= {"client_assertion_type": JWT_BEARER, "client_assertion": proof}
        told = await ask(self._fetch, "POST", url, form=form, secrets=(proof,), clock=self._clock)
        return lease_of(told, urlsplit(url).netloc, self._clock())

    def _assertion(self, audience: str) -> str:
        assert self._certificate is not None
        now = int(self._clock())
        claims: JsonObject = {
            "aud": audience,
            "iss": self._entra.client,
            "sub": self._entra.client,
            "jti": f"{int(self._chance() * (1 << 53)):014x}{now:x}",
            "iat": now,
            "nbf": now,
            "exp": now + ASSERTION_S,
        }
        header = {"x5t#S256": self._certificate.thumbprint}
        return signed_jwt(claims, self._certificate.key, algorithm="PS256", header=header)

    async def _of_app_service(self) -> Lease[str]:
        """App Service, Functions, Container Apps: an endpoint that the environment names, with a header as proof."""
        entra = self._entra
        query = {"api-version": "2019-08-01", "resource": resource_of(entra.scope)}
        if entra.client:
            query["client_id"] = entra.client
        told = await ask(
            self._fetch,
            "GET",
            f"{entra.identity_endpoint}?{urlencode(query)}",
            headers={"x-identity-header": entra.identity_header},
            secrets=(entra.identity_header,),
            clock=self._clock,
        )
        return lease_of(told, urlsplit(entra.identity_endpoint).netloc, self._clock())

    async def _of_machine(self) -> Lease[str]:
        """The instance metadata service. One that hangs costs a bounded time."""
        entra = self._entra
        query = {"api-version": "2018-02-01", "resource": resource_of(entra.scope)}
        if entra.client:
            query["client_id"] = entra.client
        url = f"{entra.metadata_host}/metadata/identity/oauth2/token?{urlencode(query)}"
        where = urlsplit(url).netloc
        waits = iter(self._imds_waits_s)
        silences = 0
        while True:
            try:
                told = await ask(self._fetch, "GET", url, headers={"metadata": "true"}, clock=self._clock, timeout_s=self._imds_s)
                return lease_of(told, where, self._clock())
            except UpstreamFailed as error:
                silences += error.problem.kind == "timeout"
                wait_s = next(waits, None) if _passes(error.problem) and silences < IMDS_SILENCES else None
                if wait_s is None:
                    why = (
                        f"{error.problem.message}; without secret, certificate or token file the machine's identity was asked for"
                    )
                    raise UpstreamFailed(Problem(kind=error.problem.kind, message=why)) from None
            await asyncio.sleep(wait_s)


def resource_of(scope: str) -> str:
    """What managed identities call a scope: `https://cognitiveservices.azure.com` for `…/.default`."""
    return scope.removesuffix("/.default")


def _passes(problem: Problem) -> bool:
    """Whether the metadata service may do better in a moment."""
    return problem.kind == "timeout" or problem.type in IMDS_AGAIN
