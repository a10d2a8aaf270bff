"""Errors, both ways.

One rule: an error keeps its status, its own words and its rate-limit headers, whoever said it.
https://platform.openai.com/docs/guides/error-codes/api-errors
"""

from collections.abc import Mapping

from gatewright.dialects.openai_responses.names import NAME
from gatewright.errors import Problem, ProblemKind, kind_of
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.http import HttpAnswer
from gatewright.wire.json import BadJson, decode_lenient, encode
from gatewright.wire.sse import sse

TYPE_OF: dict[ProblemKind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "billing": "insufficient_quota",
    "permission": "permission_error",
    "not_found": "invalid_request_error",
    "conflict": "invalid_request_error",
    "too_large": "invalid_request_error",
    "unprocessable": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "cancelled": "invalid_request_error",
    "timeout": "server_error",
    "internal": "server_error",
    "upstream": "server_error",
    "overloaded": "server_error",
}
CODE_OF: dict[ProblemKind, str] = {
    "authentication": "invalid_api_key",
    "billing": "insufficient_quota",
    "not_found": "not_found",
    "rate_limit": "rate_limit_exceeded",
    "overloaded": "server_overloaded",
}
"""Codes for problems that bring none."""
FAILED_CODE: dict[ProblemKind, str] = {"rate_limit": "rate_limit_exceeded", "invalid_request": "invalid_prompt"}
"""Codes of a failed response, of which the API knows a closed list; all else is `server_error`."""
KIND_OF_CODE: dict[str, ProblemKind] = {
    "insufficient_quota": "billing",
    "billing_hard_limit_reached": "billing",
    "invalid_api_key": "authentication",
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "model_not_found": "not_found",
    "context_length_exceeded": "invalid_request",
    "invalid_prompt": "invalid_request",
    "invalid_request_error": "invalid_request",
    "authentication_error": "authentication",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "server_error": "upstream",
    "server_is_overloaded": "overloaded",
    "server_overloaded": "overloaded",
    "overloaded_error": "overloaded",
    "slow_down": "overloaded",
}
"""What a code or type means where there is no HTTP status, or where it says more."""
_SHARPER: frozenset[ProblemKind] = frozenset(("billing", "rate_limit", "overloaded", "authentication"))
"""Kinds that a code may put in place of the status's own."""

CARRIED = ("retry-after", "retry-after-ms", "x-ratelimit-", "anthropic-ratelimit-", "x-should-retry")
"""Starts of the headers that are carried over."""
_FROM_ANTHROPIC = {
    f"anthropic-ratelimit-{what}-{field}": f"x-ratelimit-{field}-{what}"
    for what in ("requests", "tokens")
    for field in ("limit", "remaining")
}
"""Resets are not mapped: a date there, a duration here, and no clock in a dialect."""


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """Any answer with a status of 400 or more. Never raises."""
    try:
        value = decode_lenient(body)
    except BadJson:
        value = None
    found = {key.lower(): text for key, text in headers.items()}
    carried = tuple((key, text) for key, text in found.items() if key.startswith(CARRIED))
    return problem_of(value, status, headers=carried, retry_after_s=retry_after(found))


def problem_of(
    value: JsonValue,
    status: int,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    retry_after_s: float | None = None,
) -> Problem:
    """The problem an error document tells, whatever its shape. `status` 0: it came inside a 200."""
    body = value if isinstance(value, dict) else {}
    error = body.get("error")
    if isinstance(error, dict):
        inner = error
    elif body.get("type") == "response.failed" and isinstance(body.get("response"), dict):
        return problem_of(body["response"], status, headers=headers, retry_after_s=retry_after_s)
    else:
        inner = {**body, "message": error if isinstance(error, str) else _message(body)}
    code, word = _word(inner.get("code")), _word(inner.get("type"))
    if not status and code is not None and code.isdigit() and 400 <= int(code) < 600:
        status = int(code)  # OpenRouter puts the HTTP status there
    kind = kind_of(status) if status else "upstream"
    said = KIND_OF_CODE.get(code or "") or KIND_OF_CODE.get(word or "")
    if said is not None and (not status or said in _SHARPER):
        kind = said
    message = inner.get("message")
    return Problem(
        kind=kind,
        message=message if isinstance(message, str) and message else f"the provider answered {status or 'an error'}",
        status=status,
        param=_word(inner.get("param")),
        code=code,
        type=word if word not in ("error", "response.failed") else None,
        retry_after_s=retry_after_s,
        headers=headers,
        origin=NAME if isinstance(value, dict) and status else "",
        raw=value if isinstance(value, dict) and status else None,
    )


def _message(body: JsonObject) -> JsonValue:
    for key in ("message", "detail", "error_description"):
        found = body.get(key)
        if isinstance(found, str):
            return found
        if isinstance(found, list) and found and isinstance(found[0], dict):
            return found[0].get("msg")
    return None


def _word(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; None when not told, or told as a date."""
    for key, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers[key]) / unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    return None


def error_object(problem: Problem) -> JsonObject:
    """The `error` of an error document."""
    return {
        "message": problem.message,
        "type": problem.type if problem.type and problem.origin == NAME else TYPE_OF[problem.kind],
        "param": problem.param,
        "code": problem.code or CODE_OF.get(problem.kind),
    }


def render_error(problem: Problem, request_id: str) -> HttpAnswer:
    verbatim = problem.origin == NAME and isinstance(problem.raw, dict)
    body = problem.raw if verbatim else {"error": error_object(problem)}
    headers = [("x-request-id", request_id)]
    told = {key.lower() for key, _ in problem.headers}
    for key, value in problem.headers:
        ours = _FROM_ANTHROPIC.get(key.lower())
        if ours is not None and ours not in told:
            headers.append((ours, value))
        headers.append((key, value))
    if problem.retry_after_s is not None and "retry-after" not in told:
        headers.append(("retry-after", f"{problem.retry_after_s:g}"))
    return HttpAnswer(status=problem.http_status, body=encode(body), headers=tuple(headers))


def error_event(problem: Problem, sequence: int) -> JsonObject:
    """The `error` event of a stream."""
    error = error_object(problem)
    return {
        "type": "error",
        "code": error["code"] or error["type"],
        "message": problem.message,
        "param": problem.param,
        "sequence_number": sequence,
    }


def failed_error(problem: Problem) -> JsonObject:
    """The `error` of a failed response."""
    return {"code": FAILED_CODE.get(problem.kind, "server_error"), "message": problem.message}


def render_stream_error(problem: Problem, request_id: str) -> bytes:
    """For a stream that passes through: how many events went before is not known, so it says 0."""
    del request_id  # the head, which carries it, is out
    return sse(encode(error_event(problem, 0)), b"error")
