"""Errors, both ways: HTTP answers, errors in a 200, error chunks.

One rule: reading never raises, and what an upstream of this dialect said is shown to a client of this dialect as it was.
https://platform.openai.com/docs/guides/error-codes
"""

import math
from collections.abc import Mapping

from gatewright.dialects.openai_chat.words import NAME
from gatewright.errors import Problem, ProblemKind, kind_of
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire import json as wire_json
from gatewright.wire.http import HttpAnswer
from gatewright.wire.sse import sse

TYPE_OUT: dict[ProblemKind, tuple[str, str | None]] = {
    "invalid_request": ("invalid_request_error", None),
    "authentication": ("invalid_request_error", "invalid_api_key"),
    "billing": ("insufficient_quota", "insufficient_quota"),
    "permission": ("permission_error", None),
    "not_found": ("invalid_request_error", "not_found"),
    "conflict": ("invalid_request_error", "conflict"),
    "too_large": ("invalid_request_error", "request_too_large"),
    "unprocessable": ("invalid_request_error", None),
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded"),
    "cancelled": ("cancelled", "request_cancelled"),
    "timeout": ("server_error", "timeout"),
    "internal": ("server_error", "internal_error"),
    "upstream": ("server_error", "upstream_error"),
    "overloaded": ("server_error", "overloaded"),
}
"""Kind → OpenAI's type word and, where it has one, code."""

KIND_IN: dict[str, ProblemKind] = {
    "invalid_request_error": "invalid_request",
    "invalid_request": "invalid_request",
    "context_length_exceeded": "invalid_request",
    "invalid_api_key": "authentication",
    "authentication_error": "authentication",
    "invalid_authentication": "authentication",
    "insufficient_quota": "billing",
    "billing_error": "billing",
    "permission_error": "permission",
    "model_not_found": "not_found",
    "not_found_error": "not_found",
    "rate_limit_error": "rate_limit",
    "rate_limit_exceeded": "rate_limit",
    "tokens": "rate_limit",
    "requests": "rate_limit",
    "ratelimitreached": "rate_limit",
    "server_error": "upstream",
    "internal_server_error": "upstream",
    "internalservererror": "upstream",
    "api_error": "upstream",
    "engine_overloaded": "overloaded",
    "overloaded_error": "overloaded",
    "overloaded": "overloaded",
    "service_unavailable": "overloaded",
    "timeout": "timeout",
    "tool_use_failed": "upstream",  # Groq: its model failed to form a call
}
"""An error's type or code word → kind, where no HTTP status says it."""

LIMITS_FROM_ANTHROPIC: dict[str, str] = {
    "anthropic-ratelimit-requests-limit": "x-ratelimit-limit-requests",
    "anthropic-ratelimit-requests-remaining": "x-ratelimit-remaining-requests",
    "anthropic-ratelimit-tokens-limit": "x-ratelimit-limit-tokens",
    "anthropic-ratelimit-tokens-remaining": "x-ratelimit-remaining-tokens",
}
"""Resets are a moment there and a duration here: without a clock they are left out; `retry-after` says when."""

CARRIED = ("retry-after", "retry-after-ms")
FAMILIES = ("x-ratelimit-", "ratelimit-", "anthropic-ratelimit-")


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """Never raises."""
    try:
        document = wire_json.decode_lenient(body)
    except wire_json.BadJson:
        document = None
    carried = tuple((key, value) for key, value in headers.items() if key in CARRIED or key.startswith(FAMILIES))
    found = _read(document)
    message = found.message or f"the provider answered {status}" + ("" if document is not None else " without a JSON body")
    kind = kind_of(status)
    words = {str(word).lower() for word in (found.code, found.type) if word}
    if "insufficient_quota" in words:
        kind = "billing"
    elif kind == "invalid_request" and words & {"invalid_api_key", "authentication_error"}:
        kind = "authentication"
    return Problem(
        kind=kind,
        message=message,
        status=status,
        param=found.param,
        code=found.code,
        type=found.type,
        retry_after_s=_retry_after(headers),
        headers=carried,
        origin=NAME if document is not None else "",
        raw=document,
    )


def problem_in(document: JsonObject) -> Problem | None:
    """The error that a 200's document or a chunk tells; None when it tells none."""
    error = document.get("error")
    if not error:
        if document.get("choices") is not None or not _says_error(document):
            return None
    elif document.get("choices"):
        return None if not isinstance(error, dict | str) else _problem(document)
    return _problem(document)


def _says_error(document: JsonObject) -> bool:
    """An error without an `error` key: `{"message": …}`, `{"detail": …}`, `{"object": "error", …}`."""
    if document.get("object") == "error" or document.get("type") == "error":
        return True
    return "object" not in document and bool(document.get("message") or document.get("detail") or document.get("errors"))


def _problem(document: JsonObject) -> Problem:
    found = _read(document)
    words = (found.code, found.type)
    kind: ProblemKind = "upstream"
    status = 0
    if found.status:
        kind, status = kind_of(found.status), found.status if found.status >= 400 else 0
    for word in words:
        if word and word.lower() in KIND_IN:
            kind = KIND_IN[word.lower()]
            break
    return Problem(
        kind=kind,
        message=found.message or "the provider told an error without a message",
        status=status,
        param=found.param,
        code=found.code,
        type=found.type,
        origin=NAME,
        raw=document,
    )


class _Found:
    """What an error document of any shape says."""

    __slots__ = ("code", "message", "param", "status", "type")

    def __init__(self) -> None:
        self.message = ""
        self.type: str | None = None
        self.param: str | None = None
        self.code: str | None = None
        self.status = 0


def _read(document: JsonValue) -> _Found:
    found = _Found()
    if isinstance(document, list) and document:  # Gemini's OpenAI endpoint wraps its error in an array
        document = document[0]
    if isinstance(document, str):
        found.message = document
    if not isinstance(document, dict):
        return found
    error = document.get("error")
    inner = error if isinstance(error, dict) else document
    for key in ("message", "detail", "msg", "error_description", "errors"):
        found.message = found.message or _words(inner.get(key))
    if isinstance(error, str):
        found.message = error
    found.type = _word(inner.get("type")) or _word(inner.get("status"))
    found.param = _word(inner.get("param"))
    code = inner.get("code")
    found.code = str(code) if isinstance(code, int) and not isinstance(code, bool) else _word(code)
    for value in (inner.get("status_code"), code, inner.get("status")):
        if not found.status and isinstance(value, int) and 400 <= value < 600:
            found.status = value
    return found


def _word(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None


def _words(value: JsonValue) -> str:
    """A message that may be a string, or a list of them or of `{"msg": …}`."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(filter(None, (_words(item) for item in value)))
    if isinstance(value, dict):
        return _words(value.get("msg") or value.get("message"))
    return ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    for key, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[key]) * unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def error_body(problem: Problem) -> JsonValue:
    """The error document for a client of this dialect."""
    if problem.origin == NAME and problem.raw is not None:
        return problem.raw
    word, code = TYPE_OUT[problem.kind]
    return {
        "error": {
            "message": problem.message,
            "type": problem.type if problem.origin == NAME and problem.type else word,
            "param": problem.param,
            "code": problem.code or code,
        }
    }


def render_error(problem: Problem, request_id: str) -> HttpAnswer:
    headers: dict[str, str] = {"x-request-id": request_id} if request_id else {}
    for key, value in problem.headers:
        if key in CARRIED or key.startswith("x-ratelimit-"):
            headers[key] = value
        elif key in LIMITS_FROM_ANTHROPIC:
            headers[LIMITS_FROM_ANTHROPIC[key]] = value
    if problem.retry_after_s is not None:
        headers.setdefault("retry-after", str(math.ceil(problem.retry_after_s)))
    return HttpAnswer(status=problem.http_status, body=wire_json.encode(error_body(problem)), headers=tuple(headers.items()))


def render_stream_error(problem: Problem) -> bytes:
    """The chunk that ends a stream in an error; no `[DONE]` follows it. OpenAI's SDKs look for the `error` key."""
    body = error_body(problem)
    if not isinstance(body, dict) or "error" not in body:
        body = error_body(Problem(kind=problem.kind, message=problem.message, param=problem.param, code=problem.code))
    return sse(wire_json.encode(body))
