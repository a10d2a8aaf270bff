"""What the lab's providers say in all five APIs: answers whole and streamed, in two voices, filtered answers and errors.

One rule: written by hand after the APIs' own documents; the voice tells who answered.
"""

from collections.abc import Mapping
from typing import Final

from gatewright.ir.blocks import DialectName
from gatewright.wire.eventstream import CONTENT_TYPE, encode
from tests.plays import wires
from tests.plays.wires import dump, sse

DIALECTS: Final[tuple[DialectName, ...]] = (*wires.DIALECTS, "bedrock_converse")
FIRST, SECOND = "hello from far", "hello from near"
"""What the target under test says, and what the one behind it says; the same bytes would hide who answered."""
BEGUN: Final = "hello"
"""All that a stream has told when it is broken off after its first piece of content."""
SECRET: Final = "sk-of-the-operator"


def frame(name: str, **payload: object) -> bytes:
    """A frame of Bedrock's: an event or, by its name, an exception."""
    kind = "exception" if name.endswith("Exception") else "event"
    headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    return encode(headers, dump(payload))


def _frames(text: str, stop: str = "end_turn") -> list[bytes]:
    rest = text.removeprefix(BEGUN)
    usage = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
    return [
        frame("messageStart", role="assistant"),
        frame("contentBlockDelta", contentBlockIndex=0, delta={"text": BEGUN}),
        frame("contentBlockDelta", contentBlockIndex=0, delta={"text": rest}),
        frame("contentBlockStop", contentBlockIndex=0),
        frame("messageStop", stopReason=stop) + frame("metadata", usage=usage, metrics={"latencyMs": 1}),
    ]


def _conversed(text: str, stop: str = "end_turn") -> dict:
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": stop,
        "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
        "metrics": {"latencyMs": 1},
    }


def _in_voice(wire: bytes, text: str) -> bytes:
    return wire.replace(b" from far", text.removeprefix(BEGUN).encode())


def whole(dialect: DialectName, text: str = FIRST) -> bytes:
    """A whole answer."""
    if dialect == "bedrock_converse":
        return dump(_conversed(text))
    return _in_voice(dump(wires.WHOLE[dialect]), text)


def events(dialect: DialectName, text: str = FIRST) -> list[bytes]:
    """The same answer streamed; the last entry tells the end."""
    if dialect == "bedrock_converse":
        return _frames(text)
    return [_in_voice(event, text) for event in wires.STREAM[dialect]]


_EMPTY_GEMINI = sse({"candidates": [{"index": 0, "content": {"role": "model", "parts": []}}], "modelVersion": "m"})


def beginning(dialect: DialectName) -> bytes:
    """Of a stream, what comes before any content."""
    return _EMPTY_GEMINI if dialect == "gemini" else events(dialect)[0]


def begun(dialect: DialectName) -> bytes:
    """Of a stream, all up to its first piece of content."""
    count = 2 if dialect == "bedrock_converse" else wires.CONTENT_AT[dialect]
    return b"".join(events(dialect)[:count])


def next_event(dialect: DialectName) -> bytes:
    """The event after `begun`."""
    return events(dialect)[2 if dialect == "bedrock_converse" else wires.CONTENT_AT[dialect]]


def content_type(dialect: DialectName, *, stream: bool) -> str:
    if not stream:
        return "application/json"
    return CONTENT_TYPE if dialect == "bedrock_converse" else "text/event-stream"


_CHAT_FILTERED = {
    **wires.WHOLE["openai_chat"],
    "choices": [{"index": 0, "message": {"role": "assistant", "content": BEGUN}, "finish_reason": "content_filter"}],
}
_CUT_SHORT = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}


def filtered(dialect: DialectName, *, stream: bool) -> bytes:
    """An answer that was withheld for its content."""
    match dialect:
        case "openai_chat" if not stream:
            return dump(_CHAT_FILTERED)
        case "openai_responses" if not stream:
            return dump({**wires.WHOLE[dialect], **_CUT_SHORT})
        case "anthropic" if not stream:
            return dump({**wires.WHOLE[dialect], "stop_reason": "refusal"})
        case "gemini" if not stream:
            return whole(dialect).replace(b'"STOP"', b'"SAFETY"')
        case "bedrock_converse":
            return b"".join(_frames(FIRST, "content_filtered")) if stream else dump(_conversed(FIRST, "content_filtered"))
    *before, last = events(dialect)
    match dialect:
        case "openai_chat":
            last = last.replace(b'"finish_reason":"stop"', b'"finish_reason":"content_filter"')
        case "openai_responses":
            cut = {"type": "response.incomplete", "sequence_number": 8, "response": {**wires.WHOLE[dialect], **_CUT_SHORT}}
            last = sse(cut, "response.incomplete")
        case "anthropic":
            last = last.replace(b'"end_turn"', b'"refusal"')
        case _:
            last = last.replace(b'"STOP"', b'"SAFETY"')
    return b"".join((*before, last))


GEMINI_BLOCKED: Final = dump({"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "m"})
"""The prompt itself was withheld: no candidate at all."""

_WORDS: Final[Mapping[int, tuple[str, str, str]]] = {
    400: ("invalid_request_error", "INVALID_ARGUMENT", "ValidationException"),
    401: ("authentication_error", "UNAUTHENTICATED", "UnrecognizedClientException"),
    402: ("billing_error", "FAILED_PRECONDITION", "AccessDeniedException"),
    403: ("permission_error", "PERMISSION_DENIED", "AccessDeniedException"),
    404: ("not_found_error", "NOT_FOUND", "ResourceNotFoundException"),
    408: ("timeout_error", "DEADLINE_EXCEEDED", "ModelTimeoutException"),
    409: ("conflict_error", "ABORTED", "ConflictException"),
    413: ("request_too_large", "INVALID_ARGUMENT", "RequestEntityTooLargeException"),
    422: ("unprocessable_error", "INVALID_ARGUMENT", "ValidationException"),
    429: ("rate_limit_error", "RESOURCE_EXHAUSTED", "ThrottlingException"),
    500: ("api_error", "INTERNAL", "InternalServerException"),
    502: ("api_error", "INTERNAL", "ModelErrorException"),
    503: ("overloaded_error", "UNAVAILABLE", "ServiceUnavailableException"),
    504: ("timeout_error", "DEADLINE_EXCEEDED", "ModelTimeoutException"),
    529: ("overloaded_error", "UNAVAILABLE", "ServiceUnavailableException"),
}
"""Status → the word for it in OpenAI's and Anthropic's documents, in Google's, and in Bedrock's header."""


def refusal(dialect: DialectName, status: int, message: str = "the provider says no", delay: str = "") -> tuple[bytes, str]:
    """(document, header lines) of an error answer. `delay`: Google's `retryDelay`."""
    word, google, exception = _WORDS[status]
    match dialect:
        case "anthropic":
            return dump({"type": "error", "error": {"type": word, "message": message}}), ""
        case "gemini":
            details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}] if delay else []
            return dump({"error": {"code": status, "message": message, "status": google, "details": details}}), ""
        case "bedrock_converse":
            return dump({"message": message}), f"x-amzn-errortype: {exception}:http://internal.amazon.com/coral/\r\n"
        case _:
            return dump({"error": {"message": message, "type": word, "param": None, "code": None}}), ""


def spent(dialect: DialectName) -> tuple[int, bytes]:
    """(status, document) of an account without money; OpenAI's and Anthropic's only."""
    if dialect == "anthropic":
        message = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."
        return 400, dump({"type": "error", "error": {"type": "invalid_request_error", "message": message}})
    quota = {"message": "You exceeded your current quota.", "type": "insufficient_quota", "param": None}
    return 429, dump({"error": {**quota, "code": "insufficient_quota"}})


_INSIDE: Final[Mapping[str, tuple[tuple[str, str], str, str, tuple[int, str], str]]] = {
    "overloaded": (
        ("server_error", "overloaded"),
        "server_is_overloaded",
        "overloaded_error",
        (503, "UNAVAILABLE"),
        "serviceUnavailableException",
    ),
    "broken": (
        ("server_error", "server_error"),
        "server_error",
        "api_error",
        (500, "INTERNAL"),
        "internalServerException",
    ),
    "throttled": (
        ("rate_limit_error", "rate_limit_exceeded"),
        "rate_limit_exceeded",
        "rate_limit_error",
        (429, "RESOURCE_EXHAUSTED"),
        "throttlingException",
    ),
    "client": (
        ("invalid_request_error", "context_length_exceeded"),
        "context_length_exceeded",
        "invalid_request_error",
        (400, "INVALID_ARGUMENT"),
        "validationException",
    ),
}
"""Cause → how each API says it behind a 200: Chat's type and code, Responses' code, Anthropic's type, Google's, Bedrock's."""


def _error_document(dialect: DialectName, cause: str, message: str) -> dict:
    (kind, code), theirs, word, (status, google), _ = _INSIDE[cause]
    match dialect:
        case "openai_chat":
            return {"error": {"message": message, "type": kind, "code": code, "param": None}}
        case "openai_responses":
            return {"error": {"message": message, "type": kind, "code": theirs, "param": None}}
        case "anthropic":
            return {"type": "error", "error": {"type": word, "message": message}}
        case _:
            return {"error": {"code": status, "message": message, "status": google}}


def error_inside(dialect: DialectName, cause: str, message: str = "the provider says no") -> bytes:
    """An error as an event of a stream that began with a 200."""
    match dialect:
        case "openai_responses":
            code = _INSIDE[cause][1]
            event = {"type": "error", "code": code, "message": message, "param": None, "sequence_number": 1}
            return sse(event, "error")
        case "bedrock_converse":
            return frame(_INSIDE[cause][4], message=message)
        case _:
            return sse(_error_document(dialect, cause, message), "error" if dialect == "anthropic" else "")


def error_as_answer(dialect: DialectName, cause: str, message: str = "the provider says no") -> bytes:
    """An error as the whole document of a 200; Bedrock has none."""
    return dump(_error_document(dialect, cause, message))


def failed_response(*, stream: bool) -> bytes:
    """A Responses answer that tells its failure in its status."""
    failed = {
        **wires.WHOLE["openai_responses"],
        "status": "failed",
        "output": [],
        "usage": None,
        "error": {"code": "server_error", "message": "the provider says no"},
    }
    return (
        sse({"type": "response.failed", "sequence_number": 1, "response": failed}, "response.failed") if stream else dump(failed)
    )
