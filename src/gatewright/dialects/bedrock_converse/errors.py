"""Errors, both ways: `{"message"}` with the exception's name in `x-amzn-errortype`; in a stream an exception frame.

One rule: status, retry-after and the exception's own name survive; a document of this dialect is passed on verbatim.
https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html
"""

import math
from collections.abc import Mapping

from gatewright.dialects.bedrock_converse.seals import NAME
from gatewright.errors import Problem, ProblemKind, kind_of
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.eventstream import encode as encode_frame
from gatewright.wire.http import HttpAnswer
from gatewright.wire.json import BadJson, decode_lenient, encode

KIND_OF_TYPE: dict[str, ProblemKind] = {
    "ValidationException": "invalid_request",
    "SerializationException": "invalid_request",
    "UnrecognizedClientException": "authentication",
    "InvalidSignatureException": "authentication",
    "IncompleteSignatureException": "authentication",
    "MissingAuthenticationTokenException": "authentication",
    "ExpiredTokenException": "authentication",
    "InvalidClientTokenId": "authentication",
    "AccessDeniedException": "permission",
    "OptInRequired": "permission",
    "ResourceNotFoundException": "not_found",
    "UnknownOperationException": "not_found",
    "ConflictException": "conflict",
    "RequestEntityTooLargeException": "too_large",
    "ThrottlingException": "rate_limit",
    "TooManyRequestsException": "rate_limit",
    "ServiceQuotaExceededException": "rate_limit",
    "ModelNotReadyException": "overloaded",
    "ServiceUnavailableException": "overloaded",
    "ModelTimeoutException": "timeout",
    "RequestTimeoutException": "timeout",
    "ModelErrorException": "upstream",
    "ModelStreamErrorException": "upstream",
    "InternalServerException": "upstream",
    "InternalFailure": "upstream",
}
TYPE_OF_KIND: dict[ProblemKind, str] = {
    "invalid_request": "ValidationException",
    "authentication": "UnrecognizedClientException",
    "billing": "AccessDeniedException",
    "permission": "AccessDeniedException",
    "not_found": "ResourceNotFoundException",
    "conflict": "ConflictException",
    "too_large": "ValidationException",
    "unprocessable": "ValidationException",
    "rate_limit": "ThrottlingException",
    "cancelled": "InternalServerException",
    "timeout": "ModelTimeoutException",
    "internal": "InternalServerException",
    "upstream": "ModelErrorException",
    "overloaded": "ServiceUnavailableException",
}
STATUS_OF_KIND: dict[ProblemKind, int] = {"authentication": 403}
"""Statuses of this API that differ from a kind's own. SDKs read the exception's name, but try again by the status: 5xx stay."""
TYPE_OF_STATUS: dict[int, str] = {
    500: "InternalServerException",
    503: "ServiceUnavailableException",
    529: "ServiceUnavailableException",
}
"""Of an upstream that broke, its status says more than the kind: SDKs' exception classes go by the name."""
IN_STREAM: dict[ProblemKind, str] = {
    "invalid_request": "validationException",
    "too_large": "validationException",
    "unprocessable": "validationException",
    "rate_limit": "throttlingException",
    "overloaded": "serviceUnavailableException",
    "internal": "internalServerException",
    "cancelled": "internalServerException",
}
"""The exceptions that a stream can hold; all other kinds are its `modelStreamErrorException`."""
_TOO_LONG = ("prompt is too long", "Input is too long", "exceeds the context", "exceed context limit", "maximum context length")
_CARRIED = ("retry-after", "x-amzn-errortype", "x-amzn-requestid")


def carried(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Response headers that a client should see too, names in lower case."""
    lower = ((name.lower(), value) for name, value in headers.items())
    return tuple((name, value) for name, value in lower if name in _CARRIED or name.startswith("x-ratelimit-"))


def _seconds(headers: tuple[tuple[str, str], ...]) -> float | None:
    try:
        seconds = float(dict(headers).get("retry-after", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def parse_error(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    """Any answer with a status of 400 or more, JSON or not. Never raises."""
    try:
        document = decode_lenient(body)
    except BadJson:
        document = None
    kept = carried(headers)
    return problem_of(document, status, dict(kept).get("x-amzn-errortype", ""), kept)


def problem_of(document: JsonValue, status: int, word: str, headers: tuple[tuple[str, str], ...] = ()) -> Problem:
    """The problem that an error's document tells. `word`: the exception's name, with the namespace that AWS may put around it;
    status 0: it came within a 200 or a stream.
    """
    told, message = _read(document)
    name = (word or told).partition(":")[0].rpartition("#")[2]
    named = KIND_OF_TYPE.get(name[:1].upper() + name[1:])
    kind = named or (kind_of(status) if status else "upstream")
    code = None
    if kind == "invalid_request" and any(phrase in message for phrase in _TOO_LONG):
        code = "context_length_exceeded"
    native = isinstance(document, dict) and isinstance(document.get("message"), str)
    return Problem(
        kind=kind,
        message=message or (f"the provider answered {status} without a readable error" if status else "the provider failed"),
        status=status,
        code=code,
        type=name or None,
        retry_after_s=_seconds(headers),
        headers=headers,
        origin=NAME if native else "",
        raw=document if native else None,
    )


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def _read(document: JsonValue) -> tuple[str, str]:
    """(type, message) of any shape that hosts of this dialect answer with."""
    if not isinstance(document, dict):
        return "", _text(document)
    error = document.get("error")
    inner = error if isinstance(error, dict) else {}
    word = _text(document.get("__type")) or _text(inner.get("type"))
    message = next((said for key in ("message", "Message", "detail") if (said := _text(document.get(key)))), "")
    return word, message or _text(inner.get("message")) or _text(error)


def error_document(problem: Problem) -> JsonObject:
    """The document for a client of this dialect."""
    if problem.origin == NAME and isinstance(problem.raw, dict):
        return problem.raw
    return {"message": problem.message}


def _type(problem: Problem) -> str:
    if problem.origin == NAME and problem.type:
        # Frames begin it in lower case, and SDKs have no class of that name.
        return problem.type[:1].upper() + problem.type[1:]
    by_status = TYPE_OF_STATUS.get(problem.status) if problem.kind == "upstream" else None
    return by_status or TYPE_OF_KIND[problem.kind]


def render_error(problem: Problem, request_id: str) -> HttpAnswer:
    """Status, body and headers for a client of this dialect: SDKs read the exception's name off its header."""
    status = problem.status or STATUS_OF_KIND.get(problem.kind, problem.http_status)
    told = {"x-amzn-errortype": _type(problem), "x-amzn-requestid": request_id, **dict(problem.headers)}
    told["x-amzn-requestid"] = request_id
    if problem.retry_after_s is not None:
        told.setdefault("retry-after", str(math.ceil(problem.retry_after_s)))
    return HttpAnswer(
        status=status if status >= 400 else problem.http_status, body=encode(error_document(problem)), headers=tuple(told.items())
    )


def render_stream_error(problem: Problem) -> bytes:
    """The exception frame, for a stream whose head is out."""
    word = IN_STREAM.get(problem.kind, "modelStreamErrorException")
    if problem.origin == NAME and problem.type and problem.type[:1].islower():
        word = problem.type  # as it came in a frame
    headers = {":exception-type": word, ":content-type": "application/json", ":message-type": "exception"}
    return encode_frame(headers, encode(error_document(problem)))
