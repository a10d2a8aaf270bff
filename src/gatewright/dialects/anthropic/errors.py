"""Errors, both ways: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

One rule: status, retry-after and rate-limit headers of the upstream survive; a document of this dialect is passed on verbatim.
https://platform.claude.com/docs/en/api/errors
"""

import math
from collections.abc import Mapping

from gatewright.dialects.anthropic.content import NAME
from gatewright.errors import Problem, ProblemKind, kind_of
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.http import HttpAnswer
from gatewright.wire.json import BadJson, decode_lenient, encode
from gatewright.wire.sse import sse

KIND_OF_TYPE: dict[str, ProblemKind] = {
    "invalid_request_error": "invalid_request",
    "authentication_error": "authentication",
    "billing_error": "billing",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "timeout_error": "timeout",
    "api_error": "upstream",
    "overloaded_error": "overloaded",
}
TYPE_OF_KIND: dict[ProblemKind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "billing": "billing_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "conflict": "invalid_request_error",
    "too_large": "request_too_large",
    "unprocessable": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "cancelled": "api_error",
    "timeout": "timeout_error",
    "internal": "api_error",
    "upstream": "api_error",
    "overloaded": "overloaded_error",
}
STATUS_OF_TYPE: dict[str, int] = {"overloaded_error": 529, "timeout_error": 504, "request_too_large": 413}
"""Statuses of this API that differ from a kind's own."""
CODES = frozenset({"thread_unsupported_request"})
"""Codes that clients look for in `error.details.error_code`."""
_FOREIGN_LIMITS: dict[str, str] = {
    "x-ratelimit-limit-requests": "anthropic-ratelimit-requests-limit",
    "x-ratelimit-remaining-requests": "anthropic-ratelimit-requests-remaining",
    "x-ratelimit-limit-tokens": "anthropic-ratelimit-tokens-limit",
    "x-ratelimit-remaining-tokens": "anthropic-ratelimit-tokens-remaining",
}
"""OpenAI's rate-limit headers → ours. Their reset times are durations and ours dates: without a clock they stay theirs."""
_CARRIED = ("retry-after", "retry-after-ms", "x-should-retry")
_FAMILIES = ("anthropic-ratelimit-", "anthropic-fast-", "anthropic-priority-", "x-ratelimit-")
_TOO_LONG = ("prompt is too long", "exceed context limit", "exceeds the context window", "exceeds the model's context window")


def carried(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Response headers that a client should see too, names in lower case."""
    lower = ((name.lower(), value) for name, value in headers.items())
    return tuple((name, value) for name, value in lower if name in _CARRIED or name.startswith(_FAMILIES))


def retry_after_s(headers: tuple[tuple[str, str], ...]) -> float | None:
    """Seconds to wait, where the upstream gave a number; a date needs a clock and is left to the headers."""
    told = dict(headers)
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(told.get(name, "")) / unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """Any answer with a status of 400 or more, JSON or not. Never raises."""
    try:
        document = decode_lenient(body)
    except BadJson:
        document = None
    return problem_of(document, status, carried(headers))


def problem_of(document: JsonValue, status: int, headers: tuple[tuple[str, str], ...] = ()) -> Problem:
    """The problem an error document tells; status 0: it came within a 200 or a stream."""
    word, message, code = _read(document)
    kind = KIND_OF_TYPE.get(word or "") or (kind_of(status) if status else "upstream")
    if kind == "invalid_request" and status in {0, 400, 413} and message:
        if "credit balance is too low" in message:
            kind = "billing"
        elif code is None and any(phrase in message for phrase in _TOO_LONG):
            code = "context_length_exceeded"
    native = isinstance(document, dict) and document.get("type") == "error" and isinstance(document.get("error"), dict)
    return Problem(
        kind=kind,
        message=message or (f"the provider answered {status} without a readable error" if status else "the provider failed"),
        status=status,
        code=code,
        type=word,
        retry_after_s=retry_after_s(headers),
        headers=headers,
        origin=NAME if native else "",
        raw=document if native else None,
    )


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None


def _read(document: JsonValue) -> tuple[str | None, str | None, str | None]:
    """(type, message, code) of any shape that hosts of this dialect answer with."""
    if not isinstance(document, dict):
        return None, _text(document), None
    error = document.get("error")
    if isinstance(error, dict):
        details = error.get("details")
        code = details.get("error_code") if isinstance(details, dict) else error.get("code")
        word = _text(error.get("type")) or _text(error.get("status"))
        return word, _text(error.get("message")), str(code) if isinstance(code, str | int) else None
    message = _text(error) or _text(document.get("message")) or _text(document.get("detail"))
    return _text(document.get("__type")), message, _text(document.get("code"))


def error_document(problem: Problem, request_id: str) -> JsonObject:
    """The document for a client of this dialect."""
    if problem.origin == NAME and isinstance(problem.raw, dict):
        return problem.raw
    error: JsonObject = {"type": TYPE_OF_KIND[problem.kind], "message": problem.message}
    if problem.code in CODES:
        error["details"] = {"error_code": problem.code}
    return {"type": "error", "error": error, "request_id": request_id} if request_id else {"type": "error", "error": error}


def render_error(problem: Problem, request_id: str) -> HttpAnswer:
    """Status, body and headers for a client of this dialect."""
    status = problem.status or STATUS_OF_TYPE.get(TYPE_OF_KIND[problem.kind], problem.http_status)
    return HttpAnswer(
        status=status if status >= 400 else problem.http_status,
        body=encode(error_document(problem, request_id)),
        headers=(("request-id", request_id), *_headers(problem)),
    )


def _headers(problem: Problem) -> tuple[tuple[str, str], ...]:
    told = dict(problem.headers)
    for theirs, ours in _FOREIGN_LIMITS.items():
        if theirs in told:
            told.setdefault(ours, told[theirs])
    if problem.retry_after_s is not None and "retry-after" not in told:
        told["retry-after"] = str(math.ceil(problem.retry_after_s))
    return tuple(told.items())


def render_stream_error(problem: Problem, request_id: str) -> bytes:
    """The error event, for a stream whose head is out."""
    return sse(encode(error_document(problem, request_id)), b"error")
