"""What each API says on the wire, by hand: a request, an answer, a stream in its events, an error, and how a client tells an end.

One rule: written after the APIs' own documents, not by the gateway's renderers: they are what is under test.
"""

import json

from gatewright.ir.blocks import DialectName
from gatewright.wire.sse import SseParser

DIALECTS: tuple[DialectName, ...] = ("openai_chat", "openai_responses", "anthropic", "gemini")
TEXT = "hello from far"


def dump(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def sse(document: object, name: str = "") -> bytes:
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + dump(document) + b"\n\n"


def request(dialect: DialectName, model: str, *, stream: bool) -> tuple[str, dict]:
    """(path, body)."""
    turn = [{"role": "user", "content": "hi"}]
    match dialect:
        case "openai_chat":
            asked = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
            return "/v1/chat/completions", {"model": model, "messages": turn, **asked}
        case "openai_responses":
            return "/v1/responses", {"model": model, "input": "hi", "store": False, "stream": stream}
        case "anthropic":
            return "/v1/messages", {"model": model, "max_tokens": 100, "messages": turn, "stream": stream}
        case "gemini":
            verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
            return f"/v1beta/models/{model}:{verb}", {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def _chat(delta: dict, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return sse({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


_MESSAGE_ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
_PART = {"type": "output_text", "text": TEXT, "annotations": []}
_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
}
_RESPONSE |= {
    "output": [{**_MESSAGE_ITEM, "content": [_PART]}],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}
_BEGUN = {**_RESPONSE, "status": "in_progress", "output": [], "usage": None}
_ANTHROPIC_USAGE = {"input_tokens": 3, "output_tokens": 2}
_ANTHROPIC = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
_GEMINI_USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}


def _gemini(text: str, **more: object) -> dict:
    content = {"role": "model", "parts": [{"text": text}]}
    return {"candidates": [{"index": 0, "content": content, **more}], "modelVersion": "m", "usageMetadata": _GEMINI_USAGE}


def _responses(*events: dict) -> list[bytes]:
    return [sse({**event, "sequence_number": i}, event["type"]) for i, event in enumerate(events)]


_AT = {"item_id": "msg_1", "output_index": 0, "content_index": 0}

WHOLE: dict[DialectName, dict] = {
    "openai_chat": {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    },
    "openai_responses": _RESPONSE,
    "anthropic": {
        **_ANTHROPIC,
        "content": [{"type": "text", "text": TEXT}],
        "stop_reason": "end_turn",
        "usage": _ANTHROPIC_USAGE,
    },
    "gemini": _gemini(TEXT, finishReason="STOP"),
}

STREAM: dict[DialectName, list[bytes]] = {
    "openai_chat": [
        _chat({"role": "assistant", "content": ""}),
        _chat({"content": "hello"}),
        _chat({"content": " from far"}),
        _chat({}, "stop")
        + sse(
            {
                "id": "c1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "m",
                "choices": [],
                "usage": WHOLE["openai_chat"]["usage"],
            }
        )
        + b"data: [DONE]\n\n",
    ],
    "openai_responses": _responses(
        {"type": "response.created", "response": _BEGUN},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**_MESSAGE_ITEM, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **_AT, "part": {**_PART, "text": ""}},
        {"type": "response.output_text.delta", **_AT, "delta": "hello"},
        {"type": "response.output_text.delta", **_AT, "delta": " from far"},
        {"type": "response.output_text.done", **_AT, "text": TEXT},
        {"type": "response.content_part.done", **_AT, "part": _PART},
        {"type": "response.output_item.done", "output_index": 0, "item": _RESPONSE["output"][0]},
        {"type": "response.completed", "response": _RESPONSE},
    ),
    "anthropic": [
        sse(
            {"type": "message_start", "message": {**_ANTHROPIC, "content": [], "stop_reason": None, "usage": _ANTHROPIC_USAGE}},
            "message_start",
        ),
        sse({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, "content_block_start"),
        sse({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}}, "content_block_delta"),
        sse(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " from far"}},
            "content_block_delta",
        ),
        sse({"type": "content_block_stop", "index": 0}, "content_block_stop"),
        sse(
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": _ANTHROPIC_USAGE},
            "message_delta",
        )
        + sse({"type": "message_stop"}, "message_stop"),
    ],
    "gemini": [sse(_gemini("hello")), sse(_gemini(" from far")), sse(_gemini("", finishReason="STOP"))],
}
"""The last entry of each tells the end."""

CONTENT_AT: dict[DialectName, int] = {"openai_chat": 2, "openai_responses": 4, "anthropic": 3, "gemini": 1}
"""How many entries tell the first piece of content."""

_OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
ERROR_INSIDE: dict[DialectName, bytes] = {
    "openai_chat": sse({"error": {"message": "Overloaded", "type": "server_error", "code": None, "param": None}}),
    "openai_responses": sse(
        {"type": "error", "code": "server_error", "message": "Overloaded", "param": None, "sequence_number": 9}, "error"
    ),
    "anthropic": sse(_OVERLOADED, "error"),
    "gemini": sse({"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}),
}
ERROR_AS_ANSWER: dict[DialectName, bytes] = {
    "openai_chat": dump({"error": {"message": "Overloaded", "type": "server_error", "code": None, "param": None}}),
    "openai_responses": dump({"error": {"message": "Overloaded", "type": "server_error", "code": None, "param": None}}),
    "anthropic": dump(_OVERLOADED),
    "gemini": dump({"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}),
}


def error_of(dialect: DialectName, body: bytes) -> dict:
    """The error that an HTTP error answer tells a client of the dialect; fails when it is not of its shape."""
    document = json.loads(body)
    error = document["error"]
    assert isinstance(error["message"], str)
    assert error["message"]
    match dialect:
        case "openai_chat" | "openai_responses":
            assert {"message", "type", "param", "code"} <= error.keys()
        case "anthropic":
            assert document["type"] == "error"
            assert isinstance(error["type"], str)
        case "gemini":
            assert isinstance(error["code"], int)
            assert isinstance(error["status"], str)
    return error


def told(dialect: DialectName, wire: bytes, *, passing: bool = False) -> tuple[str, str]:
    """(how the stream ended: `stop`, `error` or `cut`; the text), as a client of the dialect reads it.

    `passing`: the upstream's own broken events may be in it; what is not JSON is passed over.
    """
    parser = SseParser()
    text, end = "", "cut"
    for name, data in (*parser.feed(wire), *parser.close()):
        if data == b"[DONE]":
            assert end != "error", "an error and then a clean end"
            end = "stop"
            continue
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            if not passing:
                raise
            continue
        kind = event.get("type", "")
        match dialect:
            case "openai_chat":
                if "error" in event:
                    assert event["error"]["message"]
                    end = "error"
                for choice in event.get("choices") or ():
                    text += (choice.get("delta") or {}).get("content") or ""
            case "openai_responses":
                if kind == "error" or kind == "response.failed":
                    assert event.get("message") or event["response"]["error"]["message"]
                    end = "error"
                elif kind in ("response.completed", "response.incomplete"):
                    assert end != "error", "an error and then a clean end"
                    end = "stop"
                elif kind == "response.output_text.delta":
                    text += event["delta"]
            case "anthropic":
                assert name.decode() == kind, "the SDKs go by the event's name"
                if kind == "error":
                    assert event["error"]["message"]
                    assert event["error"]["type"]
                    end = "error"
                elif kind == "message_stop":
                    assert end != "error", "an error and then a clean end"
                    end = "stop"
                elif kind == "content_block_delta":
                    text += event["delta"].get("text", "")
            case "gemini":
                if "error" in event:
                    assert event["error"]["message"]
                    end = "error"
                for candidate in event.get("candidates") or ():
                    text += "".join(part.get("text", "") for part in (candidate.get("content") or {}).get("parts") or ())
                    if candidate.get("finishReason"):
                        assert end != "error", "an error and then a clean end"
                        end = "stop"
    return end, text
