"""Which headers and which parts of a query a trace holds: those named here, and no others.

One rule: what nobody has thought of is left out. A credential cannot be in a list that does not name its header.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from gatewright.stores.trace_terms import Fields
from gatewright.wire.http import HeaderView

CLIENT: Final = (
    "content-type",
    "accept",
    "user-agent",
    "anthropic-version",
    "anthropic-beta",
    "openai-beta",
    "idempotency-key",
    "session_id",
    "session-id",
    "conversation_id",
    "x-session-id",
    "x-session-affinity",
    "x-claude-code-session-id",
    "x-gatewright-session",
    "x-gatewright-cache",
    "x-client-request-id",
    "x-goog-api-client",
    "x-app",
    "originator",
    "version",
    "traceparent",
    "tracestate",
    "x-stainless-lang",
    "x-stainless-package-version",
    "x-stainless-retry-count",
    "invariant-project-name",
)
"""Of requests."""
_CLIENT: Final = frozenset(CLIENT)
_ANSWERS: Final = (
    "content-type",
    "retry-after",
    "request-id",
    "x-request-id",
    "x-gatewright-",
    "x-ratelimit-",
    "anthropic-ratelimit-",
    "openai-processing-ms",
    "openai-version",
    "openai-model",
    "x-amzn-requestid",
    "x-amzn-errortype",
    "x-amzn-bedrock-",
    "x-should-retry",
    "x-envoy-upstream-service-time",
    "server-timing",
)
"""Beginnings of the names of those of answers."""
_ANSWER_BYTES: Final = tuple(name.encode("ascii") for name in _ANSWERS)
_REMEMBERED: Final = "trace"
_QUERY: Final = frozenset(
    ("alt", "api-version", "beta", "limit", "order", "after", "before", "include", "stream", "pagesize", "purpose", "model")
)
HIDDEN: Final = "***"
MOST: Final = 1000
"""Characters of a value."""


def of_client(headers: Mapping[str, str], more: tuple[str, ...] = ()) -> Fields:
    """`more`: what the operator names beside them. Remembered with the client's head, which comes again."""
    if not isinstance(headers, HeaderView):
        return _of_client(headers, more)
    lines: dict[str, Any] = headers.lines  # of values of our own, under a name of our own
    known = lines.get(_REMEMBERED)
    if known is None or known[0] is not more:
        known = lines[_REMEMBERED] = (more, _of_client(headers, more))
    fields: Fields = known[1]
    return fields


def _of_client(headers: Mapping[str, str], more: Iterable[str]) -> Fields:
    found = ((name, headers.get(name)) for name in (*CLIENT, *more))
    return tuple((name, value[:MOST]) for name, value in found if value is not None)


@lru_cache(256)
def of_request_lines(lines: bytes) -> Fields:
    """Of header lines of ours, to a provider."""
    return tuple((name, value) for name, value in _read(lines) if name in _CLIENT)


@lru_cache(256)
def of_answer_lines(lines: bytes) -> Fields:
    return tuple((name, value) for name, value in _read(lines) if _of_answers(name))


def of_answer(headers: Iterable[tuple[bytes, bytes]]) -> Fields:
    return tuple([(name, value.decode("latin-1")[:MOST]) for raw, value in headers if (name := _name_of_answers(raw))])


@lru_cache(1024)
def _name_of_answers(name: bytes) -> str:
    """Empty: it is not kept."""
    return name.decode("latin-1") if name.startswith(_ANSWER_BYTES) and b"key" not in name else ""


def of_query(pairs: Sequence[tuple[str, str]]) -> Fields:
    """Names as they are; values of those that are known alone."""
    if not pairs:
        return ()
    return tuple((name[:80], value[:MOST] if name.lower() in _QUERY else HIDDEN) for name, value in pairs[:50])


def _of_answers(name: str) -> bool:
    return name.startswith(_ANSWERS) and "key" not in name


def _read(lines: bytes) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in lines.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            found.append((name.lower(), value.strip()[:MOST]))
    return found
