"""Access tokens of Google accounts: service accounts, gcloud's logins, workload identities, the metadata server.

One rule: a token is asked for in the way that its credential file describes; nothing is tried in turn.
https://developers.google.com/identity/protocols/oauth2/service-account https://google.aip.dev/auth/4117
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, assert_never
from urllib.parse import urlsplit

from gatewright.errors import Problem, UpstreamFailed
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.providers.auth.bearer import BearerToken
from gatewright.providers.auth.google_files import (
    TOKEN_URI,
    AuthorizedUser,
    ExternalAccount,
    GoogleFile,
    Impersonated,
    ServiceAccount,
    SubjectFrom,
    read_google,
)
from gatewright.providers.auth.jwt import signed_jwt
from gatewright.providers.auth.refreshed import Lease, Pace
from gatewright.providers.auth.seam import Fetch
from gatewright.providers.auth.token_endpoint import ask, lease_of, seconds_of
from gatewright.providers.auth.token_file import read_token_file
from gatewright.wire.json import BadJson, decode_object

PACE: Final = Pace(ahead_s=225.0)
"""The metadata server hands out the same token until four minutes before its end: asking earlier gets nothing new."""
IAM_SCOPE: Final = "https://www.googleapis.com/auth/iam"
ASSERTION_S: Final = 3600
METADATA_TRIES: Final = 3
METADATA_S: Final = 3.0
"""One try: the server is on this machine's link or not at all."""


def google_credential(
    provider: str,
    document: str | None,
    source: str,
    *,
    scope: str,
    metadata_host: str,
    fetch: Fetch,
    clock: Callable[[], float],
    chance: Callable[[], float],
) -> BearerToken:
    """The `Credential`. `document`: a file's JSON, or None for the metadata server. `clock` gives seconds since 1970.

    Raises ValueError for a document that is none of Google's.
    """
    file = read_google(document) if document is not None else None
    extra = b""
    if file is not None and file.quota_project:
        extra = b"x-goog-user-project: %b\r\n" % file.quota_project.encode("latin-1", "replace")
    issuer = GoogleIssuer(scope, fetch, clock, metadata_host)

    async def obtain() -> Lease[str]:
        return await (issuer.from_metadata() if file is None else issuer.of_file(file))

    account = f"{account_of(file)} ({source})" if file is not None else f"the machine's service account ({source})"
    return BearerToken(provider, account, obtain, clock=clock, chance=chance, pace=PACE, extra=extra)


def account_of(file: GoogleFile) -> str:
    """Who a credential file is, for messages."""
    match file:
        case ServiceAccount():
            return file.email
        case AuthorizedUser():
            return file.account
        case ExternalAccount():
            return _impersonated(file.impersonation_url) or "a federated workload"
        case Impersonated():
            return _impersonated(file.impersonation_url) or account_of(file.source)


class GoogleIssuer:
    """Asks for tokens. Every method raises UpstreamFailed."""

    def __init__(
        self, scope: str, fetch: Fetch, clock: Callable[[], float], metadata_host: str, *, metadata_s: float = METADATA_S
    ) -> None:
        """`metadata_s`: seconds that the metadata server has for one try."""
        self._metadata_s = metadata_s
        self._scope = scope
        self._fetch = fetch
        self._clock = clock
        self._metadata_host = metadata_host

    def of_file(self, file: GoogleFile) -> Awaitable[Lease[str]]:
        """A token for whoever the file is."""
        match file:
            case ServiceAccount():
                return self._by_assertion(file, self._scope)
            case AuthorizedUser():
                return self._by_refresh_token(file, self._scope)
            case ExternalAccount():
                return self._by_exchange(file)
            case Impersonated():
                return self._borrowed(self._lender(file.source), file.impersonation_url, 3600, file.delegates)
            case _:
                assert_never(file)

    async def from_metadata(self) -> Lease[str]:
        """The machine's own account. A server that hangs costs `METADATA_TRIES` x `METADATA_S` seconds and no more."""
        url = f"http://{self._metadata_host}/computeMetadata/v1/instance/service-accounts/default/token"
        for left in reversed(range(METADATA_TRIES)):
            try:
                told = await ask(
                    self._fetch,
                    "GET",
                    f"{url}?scopes={self._scope.replace(' ', ',')}",
                    headers={"metadata-flavor": "Google"},
                    clock=self._clock,
                    timeout_s=self._metadata_s,
                )
            except UpstreamFailed as error:
                if not left or error.problem.kind != "timeout":
                    why = f"{error.problem.message}; there is no credentials file, and the metadata server gave no token"
                    raise UpstreamFailed(Problem(kind=error.problem.kind, message=why)) from None
            else:
                return lease_of(told, self._metadata_host, self._clock())
        raise AssertionError("the last try returns or raises")

    def _lender(self, file: ServiceAccount | AuthorizedUser | ExternalAccount) -> Awaitable[Lease[str]]:
        """A token that is only to borrow another account's rights, and has no more of its own than that takes."""
        match file:
            case ServiceAccount():
                return self._by_assertion(file, IAM_SCOPE)
            case AuthorizedUser():
                return self._by_refresh_token(file, "")  # a person's grant has its scopes already
            case ExternalAccount():
                return self._by_exchange(file, lends=True)
            case _:
                assert_never(file)

    async def _by_assertion(self, file: ServiceAccount, scope: str) -> Lease[str]:
        now = int(self._clock())
        claims: JsonObject = {
            "iss": file.email,
            "scope": scope,
            "aud": TOKEN_URI,  # whatever address it is reached by
            "iat": now,
            "exp": now + ASSERTION_S,
        }
        header = {"kid": file.key_id} if file.key_id else None
        assertion = signed_jwt(claims, file.key, header=header)
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        return await self._token(file.token_uri, form, assertion)

    async def _by_refresh_token(self, file: AuthorizedUser, scope: str) -> Lease[str]:
        form = {
            "grant_type": "refresh_token",
            "client_id": file.client_id,
            "client_secret": file.client_secret,
            "refresh_token": file.refresh_token,
        }
        if scope:
            form["scope"] = scope
        return await self._token(file.token_uri, form, file.refresh_token, file.client_secret)

    async def _by_exchange(self, file: ExternalAccount, *, lends: bool = False) -> Lease[str]:
        subject = await self._subject(file.subject)
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "audience": file.audience,
            "scope": IAM_SCOPE if lends or file.impersonation_url else self._scope,
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token": subject,
            "subject_token_type": file.subject_token_type,
        }
        token = self._token(file.token_url, form, subject)
        return await (self._borrowed(token, file.impersonation_url, file.lifetime_s) if file.impersonation_url else token)

    async def _token(self, url: str, form: dict[str, str], *secrets: str) -> Lease[str]:
        told = await ask(self._fetch, "POST", url, form=form, secrets=secrets, clock=self._clock)
        return lease_of(told, urlsplit(url).netloc, self._clock())

    async def _borrowed(
        self, lender: Awaitable[Lease[str]], url: str, lifetime_s: int, delegates: tuple[str, ...] = ()
    ) -> Lease[str]:
        """A token of the account that `url` names, for one whose rights suffice."""
        token = (await lender).value
        scopes: list[JsonValue] = [*self._scope.split()]
        asked: JsonObject = {"scope": scopes, "lifetime": f"{lifetime_s}s"}
        if delegates:
            asked["delegates"] = [*delegates]
        headers = {"authorization": f"Bearer {token}"}
        told = await ask(self._fetch, "POST", url, document=asked, headers=headers, secrets=(token,), clock=self._clock)
        until = seconds_of(str(told.get("expireTime")))
        life = 3600.0 if until is None else until - self._clock()
        return lease_of({"access_token": told.get("accessToken"), "expires_in": life}, urlsplit(url).netloc, self._clock())

    async def _subject(self, source: SubjectFrom) -> str:
        """The workload's own token, read anew each time: its issuer replaces it."""
        if source.file:
            text = await asyncio.to_thread(read_token_file, source.file)
            where = f'file "{source.file}"'
        else:
            where = urlsplit(source.url).netloc
            status, _, body = await self._fetch("GET", source.url, dict(source.headers), b"", 10.0)
            if status != 200:
                raise UpstreamFailed(Problem(kind="upstream", message=f"{where} answered {status}, not with a subject token"))
            text = body.decode("utf-8", "replace").strip()
        if not source.json_field:
            return text
        try:
            token = decode_object(text.encode()).get(source.json_field)
        except BadJson:
            token = None
        if not isinstance(token, str) or not token:
            raise UpstreamFailed(Problem(kind="upstream", message=f'{where} has no subject token in "{source.json_field}"'))
        return token


def _impersonated(url: str) -> str:
    """The account in `…/serviceAccounts/{email}:generateAccessToken`."""
    return url.rpartition("/")[2].partition(":")[0] if "/serviceAccounts/" in url else ""
