"""Which requests may be answered from the cache, which answers may be kept, and what tells two requests apart.

One rule: in doubt nothing is kept, and two requests differ. Pure functions.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from gatewright.exchange import Exchange
from gatewright.ir.canonical import meaning
from gatewright.ir.request import Request
from gatewright.ir.response import FinishReason, Response
from gatewright.pipeline.endpoint import FORWARDED_REQUEST_HEADERS, Candidate
from gatewright.pipeline.invoke_headers import SAID
from gatewright.providers.auth.client_key import KEY_HEADERS, ClientKey

KEPT_FINISHES: Final[frozenset[FinishReason]] = frozenset(("stop", "stop_sequence", "length", "context", "tool_calls"))
"""Ends of an answer that the same request may be given again. A refusal or a filter's cut is an opinion of the moment, which must
not stick for as long as an answer does; a pause waits to be gone on with; errors are no answers."""

_ELSEWHERE: Final[Mapping[str, str]] = {
    "previous_response_id": "it goes on with a response that the provider keeps",
    "conversation": "it goes on with a conversation that the provider keeps",
    "background": "it is to run in the background",
    "prompt": "its prompt is kept by the provider, and may change there",
    "mcp_servers": "the provider is to call servers",
    "container": "the provider keeps a container for it",
    "plugins": "the provider is to run plugins",
    "search_parameters": "the provider is to search",
    "enable_search": "the provider is to search",
}
"""Top-level fields, by any dialect's name → why an answer to them is good once."""

_NO_MATTER: Final = frozenset(("idempotency-key", "anthropic-version"))
"""Headers that reach an upstream and do not change what it says. The version is how an answer is written, which is not kept."""
_HEADERS: Final = tuple(
    dict.fromkeys(name for names in (*FORWARDED_REQUEST_HEADERS.values(), SAID) for name in names if name not in _NO_MATTER)
)
"""Headers of a client that reach an upstream, and may change what it says."""


class Wishes(msgspec.Struct, frozen=True):
    """What a client's `cache-control` asks for."""

    use: bool = True
    """False (`no-store`): nothing is looked up, and nothing kept."""
    fresh: bool = False
    """`no-cache`: ask the provider, and keep what it says."""
    max_age_s: float | None = None
    """Nothing older than that. None: as old as the route allows."""


ANYTHING: Final = Wishes()


def wishes(cache_control: str | None) -> Wishes:
    """Of a request's header. Unknown words mean nothing; an age that cannot be read is 0 (RFC 9111, 1.3)."""
    if not cache_control:
        return ANYTHING
    use, fresh, oldest = True, False, None
    for directive in cache_control.lower().split(","):
        word, _, value = directive.strip().partition("=")
        if word == "no-store":
            use = False
        elif word == "no-cache":
            fresh = True
        elif word == "max-age":
            number = value.strip().strip('"')
            oldest = float(number[:12]) if number.isascii() and number.isdecimal() else 0.0
    return Wishes(use, fresh, oldest)


def why_not_asked(request: Request, *, keeps_responses: bool = True) -> str:
    """Why an answer to `request` is neither looked up nor kept, for a person; empty when it may be.

    `keeps_responses`: whether the gateway itself keeps what a Responses client wants stored.
    """
    if (request.sampling.n or 1) > 1:
        return "it asks for several answers"
    for tool in request.tools:
        if tool.kind == "hosted":
            return f"the provider is to run {tool.hosted or tool.name or 'a tool'}"
    for name, why in _ELSEWHERE.items():
        if _says(request.extras.get(name)) or _says(request.client.get(name)):
            return why
    if request.store and request.origin == "openai_chat":
        return "the provider is to store the answer"
    if request.origin == "openai_responses" and request.store is not False and not keeps_responses:
        return "the provider is to store the response"
    return ""


def _says(value: object) -> bool:
    return value not in (None, False, [], {})


def why_not_kept(response: Response) -> str:
    """Why an answer is not kept, for a person; empty when it is."""
    if response.finish is None:
        return "it did not tell its end"
    if response.finish.reason not in KEPT_FINISHES:
        return f"it ended by {response.finish.reason}"
    if response.others:
        return "it is several answers"
    return "" if response.blocks else "it is empty"


class Keys:
    """Makes the keys under which answers are kept."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        """`hosts`: provider → what tells it from another that had its name before the configuration changed."""
        self._hosts = hosts
        self._known: dict[Candidate, bytes] = {}

    def key(self, exchange: Exchange, request: Request, route: str) -> bytes:
        """32 bytes for a request that is routed. `route`: the route's name.

        Who asks, and what the key asks for beside it, which route by which name, whoever could answer, what travels beside the
        body, and the whole request.
        """
        principal = exchange.principal
        assert principal is not None
        digest = hashlib.sha256()
        for part in (principal.name, principal.key_id, route, exchange.model):
            _write(digest, part.encode("utf-8", "surrogatepass"))
        _write(digest, b"" if exchange.narrowed is None else msgspec.json.encode(exchange.narrowed, order="sorted"))
        candidates = [candidate for candidate in exchange.plan if isinstance(candidate, Candidate)]
        for identity in sorted({self._identity(candidate) for candidate in candidates}):
            _write(digest, identity)
        _write(digest, b"headers")
        get = exchange.call.headers.get
        for name in _HEADERS:
            value = get(name)
            if value is not None:
                _write(digest, f"{name}: {value}".encode("latin-1", "replace"))
        if any(isinstance(candidate.endpoint.credential, ClientKey) for candidate in candidates):
            for name in KEY_HEADERS:  # accounts of their own: one's answers are not another's
                _write(digest, hashlib.sha256((get(name) or "").encode("latin-1", "replace")).digest())
        _write(digest, b"query")
        for name, value in sorted(_pairs(exchange)):
            _write(digest, f"{name}={value}".encode("utf-8", "surrogatepass"))
        _write(digest, meaning(request))
        return digest.digest()

    def _identity(self, candidate: Candidate) -> bytes:
        """What of a target changes its answers."""
        known = self._known.get(candidate)
        if known is None:
            if len(self._known) >= 4096:
                self._known.clear()
            changes = (candidate.overrides, candidate.defaults, candidate.max_tokens, candidate.losses)
            known = self._known[candidate] = msgspec.json.encode(
                (candidate.name, self._hosts.get(candidate.endpoint.name, ""), changes), order="sorted"
            )
        return known


def _pairs(exchange: Exchange) -> Iterable[tuple[str, str]]:
    """The query without Gemini's word on framing."""
    call = exchange.call
    return (pair for pair in (call.pairs or call.query.items()) if pair[0] != "alt")


def _write(digest: "hashlib._Hash", part: bytes) -> None:
    digest.update(b"%d:" % len(part))
    digest.update(part)
