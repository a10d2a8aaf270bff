"""The seam between an endpoint and its credential: sign a call, hear that it was refused, keep the secret out of errors.

    endpoint ── Unsigned ─▶ credential.sign ── header lines ─▶ upstream
                              ▲ refused(Refusal): refresh, rotate, cool down; one more try?

A provider with one fixed key needs none of this: its header lines are made once, at the start.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from gatewright.errors import GatewrightError, Problem, ProblemKind

Headers = Mapping[str, str]


class ClientHeaders(Protocol):
    """The headers of the client's request, by name in lower case."""

    def get(self, name: str, /) -> str | None: ...


class Unsigned(msgspec.Struct, frozen=True, gc=False):
    """A call as it will leave, but for its credential."""

    method: str
    origin: str
    """`https://host[:port]`, as in the base URL."""
    path: bytes
    """With the query, percent-encoded, as it stands in the request line."""
    headers: bytes
    """Ready lines, `name: value\\r\\n` each."""
    body: bytes
    client: ClientHeaders | None = None
    """Who asked, for credentials that are the client's own. None: the gateway itself does."""

    @property
    def host(self) -> str:
        """As the `host` header will say it."""
        return self.origin.partition("://")[2]


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """An upstream did not accept a signed call."""

    status: int
    signed: bytes
    """What `sign` had returned: which key or token it was."""
    body: bytes = b""
    retry_after_s: float | None = None
    """What the upstream asked for; None: nothing."""


class Credential(Protocol):
    """What makes calls to one provider its account holder's. Belongs to one event loop."""

    statuses: frozenset[int]
    """Which answers it wants to hear of; all others are the client's."""
    retries: int
    """How many more tries one call may get."""

    async def sign(self, call: Unsigned) -> bytes:
        """The header lines that this call needs; a line replaces one of the same name.

        Raises CredentialFailed, or Refused where the client must change its request. Waits a bounded time.
        """
        ...

    async def refused(self, call: Unsigned, refusal: Refusal) -> bool:
        """Called for each answer in `statuses`. Refresh, rotate or cool down; True when the call is worth one more try now.

        Raises CredentialFailed when the refusal shows that there is nothing left to try with.
        """
        ...

    def scrub(self, text: bytes) -> bytes:
        """`text` (an upstream's error) without secrets. What `sign` returned is taken out by the endpoint already."""
        ...

    async def close(self) -> None:
        """The gateway is stopping: end what runs in the background."""
        ...


class CredentialFailed(GatewrightError):
    """No credential for this call. The problem names provider and account, and never the secret."""


def failed(
    provider: str, account: str, why: str, *, kind: ProblemKind = "upstream", retry_after_s: float | None = None
) -> CredentialFailed:
    """A `CredentialFailed` to raise, in one line. `account` may be empty; `why` says what to do about it."""
    of = f" of {account}" if account else ""
    hint = (("retry-after", str(max(1, round(retry_after_s)))),) if retry_after_s is not None else ()
    return CredentialFailed(
        Problem(
            kind=kind,
            code="credential_failed",
            message=f"The credential{of} for provider '{provider}' cannot be used: {why}",
            retry_after_s=retry_after_s,
            headers=hint,
        )
    )


class Fetch(Protocol):
    """One request to a server that issues credentials."""

    async def __call__(
        self, method: str, url: str, headers: Headers | None = None, body: bytes = b"", timeout_s: float = 10.0
    ) -> tuple[int, Headers, bytes]:
        """(status, headers in lower case, body of at most 1 MiB). Raises GatewrightError naming host and port, never more.

        `timeout_s` is for all of it. Link-local addresses are never asked through a proxy. Redirects are not followed.
        """
        ...
