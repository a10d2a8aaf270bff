"""Errors, both ways: google.rpc.Status with typed details.

One rule: a document of this dialect is shown verbatim to a client of this dialect; all else is told in Google's status words.
https://cloud.google.com/apis/design/errors  https://ai.google.dev/gemini-api/docs/troubleshooting
"""

import re
from collections.abc import Mapping

from gatewright.errors import Problem, ProblemKind, kind_of
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.http import HttpAnswer
from gatewright.wire.json import BadJson, decode_lenient, encode

KIND_OF_WORD: dict[str, ProblemKind] = {
    "INVALID_ARGUMENT": "invalid_request",
    "FAILED_PRECONDITION": "invalid_request",
    "OUT_OF_RANGE": "invalid_request",
    "UNIMPLEMENTED": "invalid_request",
    "UNAUTHENTICATED": "authentication",
    "PERMISSION_DENIED": "permission",
    "NOT_FOUND": "not_found",
    "ALREADY_EXISTS": "conflict",
    "ABORTED": "conflict",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "CANCELLED": "cancelled",
    "INTERNAL": "upstream",
    "UNKNOWN": "upstream",
    "DATA_LOSS": "upstream",
    "UNAVAILABLE": "overloaded",
    "DEADLINE_EXCEEDED": "timeout",
}
WORD_OF_KIND: dict[ProblemKind, str] = {
    "invalid_request": "INVALID_ARGUMENT",
    "too_large": "INVALID_ARGUMENT",
    "unprocessable": "INVALID_ARGUMENT",
    "billing": "FAILED_PRECONDITION",
    "authentication": "UNAUTHENTICATED",
    "permission": "PERMISSION_DENIED",
    "not_found": "NOT_FOUND",
    "conflict": "ABORTED",
    "rate_limit": "RESOURCE_EXHAUSTED",
    "cancelled": "CANCELLED",
    "timeout": "DEADLINE_EXCEEDED",
    "internal": "INTERNAL",
    "upstream": "INTERNAL",
    "overloaded": "UNAVAILABLE",
}
"""Not inverse: Google has fewer words than we have kinds, and more for what is the same to us."""

_TYPE = "type.googleapis.com/google.rpc."
_DURATION = re.compile(r"^(\d{1,12}(?:\.\d+)?)s$")
_NO_REASON = "the provider gave no reason"
_CARRIED = ("retry-after", "x-ratelimit-", "anthropic-ratelimit-")
_BAD_KEY = "API_KEY_INVALID"


def problem_of(document: JsonValue, status: int = 0, headers: Mapping[str, str] | None = None) -> Problem | None:
    """The problem in an error document; None when it is none. Also for an error that hides in a 200 or in an array."""
    whole = document
    if isinstance(document, list) and document:
        document = document[-1]
    if not isinstance(document, dict) or document.get("error") is None or document.get("candidates"):
        return None
    error = document["error"]
    if not isinstance(error, dict):
        return Problem(kind=kind_of(status or 502), message=str(error) or _NO_REASON, status=status, origin="gemini", raw=whole)
    code, word, message = error.get("code"), error.get("status"), error.get("message")
    if not status and isinstance(code, int) and 400 <= code < 600:
        status = code
    word = word if isinstance(word, str) else None
    kind = KIND_OF_WORD.get(word or "") or kind_of(status or 502)
    listed = error.get("details")
    details = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    reason = next((item["reason"] for item in details if isinstance(item.get("reason"), str)), None)
    if kind == "invalid_request" and reason == _BAD_KEY:
        kind = "authentication"  # Google answers 400 to a wrong key
    return Problem(
        kind=kind,
        message=message if isinstance(message, str) and message else _NO_REASON,
        status=status,
        type=word,
        code=reason if isinstance(reason, str) else None,
        param=_violated(details),
        retry_after_s=_retry_after(details, headers or {}),
        headers=_carried(headers or {}),
        origin="gemini",
        raw=whole,
    )


def _violated(details: list[JsonObject]) -> str | None:
    for item in details:
        violations = item.get("fieldViolations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict) and isinstance(field := violation.get("field"), str):
                return field
    return None


def _retry_after(details: list[JsonObject], headers: Mapping[str, str]) -> float | None:
    """Seconds: from the body's RetryInfo, else from the header."""
    for item in details:
        delay = item.get("retryDelay")
        if isinstance(delay, str) and (found := _DURATION.match(delay)):
            return float(found[1])
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:  # an HTTP date: its reader needs a clock
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _carried(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in headers.items() if name.startswith(_CARRIED))


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    headers = {name.lower(): value for name, value in headers.items()}
    try:
        problem = problem_of(decode_lenient(body), status, headers)
    except BadJson:
        problem = None
    if problem is not None:
        return problem
    return Problem(
        kind=kind_of(status),
        message=f"the provider answered {status} without an error document",
        status=status,
        retry_after_s=_retry_after([], headers),
        headers=_carried(headers),
    )


def error_document(problem: Problem, request_id: str) -> JsonObject:
    raw = problem.raw[-1] if isinstance(problem.raw, list) and problem.raw else problem.raw
    if problem.origin == "gemini" and isinstance(raw, dict):
        return raw
    word = WORD_OF_KIND[problem.kind]
    details: list[JsonValue] = []
    if problem.code is not None or problem.type is not None:
        reason = problem.code if problem.code is not None else problem.type
        info: JsonObject = {"@type": f"{_TYPE}ErrorInfo", "reason": reason, "domain": problem.origin or "gatewright"}
        if problem.code is not None and problem.type is not None:
            info["metadata"] = {"type": problem.type}
        details.append(info)
    if problem.param is not None:
        violation: JsonObject = {"field": problem.param, "description": problem.message}
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
    if problem.retry_after_s is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{problem.retry_after_s:.9g}s"})
    if request_id:
        details.append({"@type": f"{_TYPE}RequestInfo", "requestId": request_id})
    error: JsonObject = {"code": problem.http_status, "message": problem.message, "status": word}
    if details:
        error["details"] = details
    return {"error": error}


def render_error(problem: Problem, request_id: str) -> HttpAnswer:
    headers = list(problem.headers)
    if problem.retry_after_s is not None and not any(name == "retry-after" for name, _ in headers):
        headers.append(("retry-after", str(-int(-problem.retry_after_s // 1))))
    if request_id:
        headers.append(("x-request-id", request_id))
    verbatim = problem.raw if problem.origin == "gemini" and isinstance(problem.raw, list) else None
    body = encode(verbatim or error_document(problem, request_id))
    return HttpAnswer(status=problem.http_status, body=body, headers=tuple(headers))
