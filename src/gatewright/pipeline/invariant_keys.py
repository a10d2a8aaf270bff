"""Two keys in a request to Invariant's paths: the provider's, which goes to the provider, and Invariant's, for its Explorer.

    Invariant-Authorization: Bearer <Invariant key>       authorization: Bearer <provider key>
    authorization: Bearer <provider key>;invariant-auth=<Invariant key>
    authorization: Bearer <provider key>|invariant-auth: <Invariant key>        (as its first versions had it)

One rule: a key of this gateway goes to neither.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from gatewright.errors import Problem, ProblemKind, Refused
from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonValue
from gatewright.pipeline.invariant_paths import PROVIDERS
from gatewright.providers.auth.client_key import ClientKey, bare, client_lines
from gatewright.providers.auth.seam import ClientHeaders, Refusal, Unsigned
from gatewright.transport import header_lines

SEPARATORS: Final = (";invariant-auth=", "|invariant-auth: ")
KEY_HEADER: Final[Mapping[str, str]] = {
    PROVIDERS["openai"]: "authorization",
    PROVIDERS["anthropic"]: "x-api-key",
    PROVIDERS["gemini"]: "x-goog-api-key",
}
FALLBACK: Final[Mapping[str, str]] = {PROVIDERS["gemini"]: "authorization", PROVIDERS["anthropic"]: "authorization"}
"""Where clients that know one header only put the key; Anthropic's own SDKs do so by now."""
MISSING: Final[Mapping[str, str]] = {
    PROVIDERS["openai"]: "Missing authorization header",
    PROVIDERS["anthropic"]: "Missing Anthropic authorization header",
    PROVIDERS["gemini"]: "Missing LLM Provider API Key",
}
NO_INVARIANT_KEY: Final = "Missing invariant api key"
BAD_FORMAT: Final = "Invalid API Key format"

_STAY: Final = frozenset(
    {
        "host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "content-length",
        "content-type", "content-encoding", "accept-encoding", "cookie", "forwarded", "x-real-ip", "x-forwarded-for",
        "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-forwarded-server", "authorization", "x-api-key",
        "x-goog-api-key", "api-key",
    }
)  # fmt: skip
"""Headers that end here, beside Invariant's and the gateway's own."""
_STAY_BEGIN: Final = ("invariant-", "x-gatewright-", "proxy-", "x-amz-")


def said(text: str, dialect: DialectName, status: int = 400, *, code: str = "invariant") -> Refused:
    """A refusal in the words, and the document, of Invariant's gateway."""
    raw: JsonValue = {"detail": text}
    kind: ProblemKind = "authentication" if status == 401 else "invalid_request"
    return Refused(Problem(kind=kind, status=status, message=text, code=code, origin=dialect, raw=raw))


class Keys:
    """What a request brings along. Empty: it does not."""

    __slots__ = ("guardrails", "invariant", "provider")

    def __init__(self, provider: str, invariant: str, guardrails: str = "") -> None:
        self.provider = provider
        self.invariant = invariant
        self.guardrails = guardrails
        """For the service that judges, where it is another."""


def read_keys(
    pin: str, dataset: str, headers: ClientHeaders, dialect: DialectName, is_ours: Callable[[str], bool], *, needed: bool = True
) -> Keys:
    """The keys of a request. Raises Refused in Invariant's own words.

    Without a dataset two keys in one header are no two keys but one of the provider's, as there: unless the second is ours.
    `needed`: whether a request for a dataset must bring an Invariant key.
    """
    value = headers.get(KEY_HEADER[pin])
    if value is None and pin in FALLBACK:
        value = headers.get(FALLBACK[pin])
    if value is None or not value.strip():
        raise said(MISSING[pin], dialect)
    invariant = bare(headers.get("invariant-authorization") or "")
    guardrails = bare(headers.get("invariant-guardrails-authorization") or "")
    separator = next((s for s in SEPARATORS if s in value), "")
    parts = [bare(part) for part in value.split(separator)] if separator else [bare(value)]
    if dataset and not invariant:
        if separator and (len(parts) != 2 or not all(parts)):
            raise said(BAD_FORMAT, dialect)
        if not separator and needed:
            raise said(NO_INVARIANT_KEY, dialect)
        provider, invariant = parts[0], parts[1] if separator else ""
    elif len(parts) == 2 and is_ours(parts[1]):
        provider, invariant = parts[0], invariant or parts[1]
    else:
        provider = bare(value)
    if not provider:
        raise said(BAD_FORMAT if separator else MISSING[pin], dialect)
    if is_ours(provider):
        raise said(
            "The key in this place is one of the gateway's; here it has to be the provider's own, and the gateway's stands in "
            "`x-gatewright-key`.",
            dialect,
            401,
        )
    return Keys(provider, invariant, guardrails)


class Brought(Mapping[str, str]):
    """The headers of a request to Invariant's paths, with what they bring along. Stands where `exchange.call.headers` does."""

    __slots__ = ("_view", "about", "brought", "version")

    def __init__(self, view: Mapping[str, str], keys: Keys, version: str = "") -> None:
        self._view = view
        self.brought = keys
        self.version = version
        """Of Gemini's API, as the path says it."""
        self.about: object | None = None
        """What is found out about the conversation on the way: an `invariant_policies.Conversation`."""

    def __getitem__(self, name: str) -> str:
        return self._view[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._view)

    def __len__(self) -> int:
        return len(self._view)


def passed_on(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The client's headers that its provider may see: all that are nobody else's business."""
    named = {name.strip().lower() for name in headers.get("connection", "").split(",")}
    return tuple(
        (name, headers[name]) for name in headers if name not in _STAY and name not in named and not name.startswith(_STAY_BEGIN)
    )


class BroughtKey(ClientKey):
    """A `Credential`: of a request to Invariant's paths, the key it brought and its headers; of all others, as for anybody's."""

    async def sign(self, call: Unsigned) -> bytes:
        client = call.client
        if not isinstance(client, Brought):
            return await super().sign(call)
        beside = header_lines(passed_on(client))
        return beside + client_lines(self.auth, client.brought.provider, call.headers + beside)

    async def refused(self, call: Unsigned, refusal: Refusal) -> bool:
        """As for any key of a client's: there is no other."""
        return False
