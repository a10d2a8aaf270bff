"""The client's own provider key, beside the gateway's: where each stands in a request, and how the provider's travels on.

    x-gatewright-key: <gateway key>         authorization: Bearer <provider key>       (or any header that SDKs put keys in)
    authorization: Bearer <provider key>;gatewright-auth=<gateway key>                 (where a client has one place for both)

One rule: a key of this gateway goes to no provider, wherever it stands in the request.
"""

import re
from collections.abc import Callable
from typing import Final

from gatewright.errors import Refused, refuse
from gatewright.providers.auth.keys import key_lines
from gatewright.providers.auth.seam import ClientHeaders, Refusal, Unsigned
from gatewright.providers.catalog.host import Auth

KEY_HEADERS: Final = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
"""Where SDKs put the key they were given."""

GATEWAY_HEADERS: Final = ("x-gatewright-key", "invariant-authorization")
"""Where the gateway's key may stand beside a provider's. The second is what Invariant's gateway reads."""

_JOINED: Final = re.compile(r"(?P<theirs>[^;|]*)(?:; *(?:gatewright|invariant)-auth *=|\| *invariant-auth *:)(?P<ours>[^;|]*)")
"""Two keys in one place."""

_KEY: Final = re.compile(r"[^\s;|,]+")
"""What a provider's key may be; `Basic …`, signatures and lists are none."""

_MARKS: Final = ("gatewright-auth", "invariant-auth")
"""What is in no key; a value with one of them that is not two keys is a slip, and must not be taken for a provider's key."""

OAUTH_BETA: Final = "oauth-2025-04-20"
"""Without this flag Anthropic refuses a subscription's token."""

_BETA: Final = re.compile(rb"^anthropic-beta: *([^\r\n]*)\r?$", re.MULTILINE | re.IGNORECASE)


def bare(value: str) -> str:
    """A header's value without `Bearer`, however often it is there."""
    value = value.strip()
    while (parts := value.partition(" "))[0].lower() == "bearer":
        value = parts[2].strip()
    return value


def split_keys(value: str) -> tuple[str, str] | None:
    """(provider's key, gateway's key) of two keys in one place; None where it is one. Raises Refused where either is empty."""
    joined = _JOINED.fullmatch(bare(value))
    if joined is None:
        if any(mark in value for mark in _MARKS):
            raise _malformed()
        return None
    theirs, ours = bare(joined["theirs"]), bare(joined["ours"])
    if not theirs or not ours:
        raise _malformed()
    return theirs, ours


def gateway_key(headers: ClientHeaders) -> str:
    """The gateway's key where it does not stand alone in one of the usual headers; empty when there is none."""
    for name in GATEWAY_HEADERS:
        if value := headers.get(name):
            return bare(value)
    for name in KEY_HEADERS:
        value = headers.get(name)
        if value and (both := split_keys(value)) is not None:
            return both[1]
    return ""


def provider_key(headers: ClientHeaders, is_ours: Callable[[str], bool]) -> str:
    """The client's key for the provider; empty when there is none. `is_ours`: whether a key is one of this gateway."""
    for name in KEY_HEADERS:
        value = headers.get(name)
        if not value:
            continue
        both = split_keys(value)
        key = both[0] if both is not None else bare(value)
        if _KEY.fullmatch(key) and not is_ours(key):
            return key
    return ""


class ClientKey:
    """A `Credential` that is the client's: its key passes through, in the header that the provider reads."""

    statuses: frozenset[int] = frozenset()
    retries = 0

    def __init__(self, provider: str, auth: Auth, *, is_ours: Callable[[str], bool]) -> None:
        self.provider = provider
        self.auth: Auth = auth
        self._is_ours = is_ours

    async def sign(self, call: Unsigned) -> bytes:
        key = provider_key(call.client, self._is_ours) if call.client is not None else ""
        if not key:
            header = "authorization: Bearer <key>" if self.auth == "bearer" else f"{self.auth}: <key>"
            raise refuse(
                "authentication",
                f"Provider '{self.provider}' is used with your own key of it, and the request has none: send it as "
                f"`{header}`, and the gateway's key as `x-gatewright-key` (or both in one header: "
                "`<provider key>;gatewright-auth=<gateway key>`).",
                code="missing_provider_key",
            )
        return client_lines(self.auth, key, call.headers)

    def key_of(self, client: ClientHeaders) -> str:
        """The key that a client's calls are made with; empty where it brought none."""
        return provider_key(client, self._is_ours)

    async def refused(self, call: Unsigned, refusal: Refusal) -> bool:
        """Another try would be with the same key."""
        return False

    def scrub(self, text: bytes) -> bytes:
        """Nothing is kept of a client's key: the endpoint has taken it out already."""
        return text

    async def close(self) -> None:
        """Nothing runs in the background."""


def client_lines(auth: Auth, key: str, headers: bytes) -> bytes:
    """The lines that carry a client's key. OAuth tokens travel as `Authorization`, whatever header keys use."""
    if key.startswith("sk-ant-oat"):  # a Claude subscription's token
        flags = [flag.strip() for flag in b",".join(_BETA.findall(headers)).decode("latin-1").split(",") if flag.strip()]
        if OAUTH_BETA not in flags:
            flags.append(OAUTH_BETA)
        return key_lines("bearer", key) + b"anthropic-beta: %b\r\n" % ",".join(flags).encode("latin-1")
    if auth == "x-goog-api-key" and key.startswith("ya29."):
        return key_lines("bearer", key)
    return key_lines(auth, key)


def _malformed() -> Refused:
    return refuse(
        "invalid_request",
        "Two keys in one header are written `<provider key>;gatewright-auth=<gateway key>`; one of the two is missing here.",
        code="invalid_key_format",
    )
