"""How a client of each API reads an answer: complete, withheld, an error by status, an error event, or a lie.

One rule: whatever is not clearly one of the good ends is a `lie`, with the reason; no fault may ever end in one.
"""

import json
from typing import Final, Literal, NamedTuple

from gatewright.ir.blocks import DialectName
from gatewright.wire.eventstream import BadFrame, Decoder
from gatewright.wire.sse import SseParser
from tests.faults.saying import SECRET
from tests.plays import wires
from tests.serving import Answer

Sight = Literal["answer", "withheld", "error", "error event", "lie"]


class Read(NamedTuple):
    """What a client makes of it."""

    sight: Sight
    status: int
    text: str
    why: str = ""
    """Of an error its message; of a lie what is wrong."""


_CHAT_ENDS: Final = {"stop": "answer", "content_filter": "withheld"}
_ANTHROPIC_ENDS: Final = {"end_turn": "answer", "refusal": "withheld"}
_GEMINI_ENDS: Final = {
    "STOP": "answer",
    "SAFETY": "withheld",
    "PROHIBITED_CONTENT": "withheld",
    "BLOCKLIST": "withheld",
    "SPII": "withheld",
    "RECITATION": "withheld",
}
_CONVERSE_ENDS: Final = {"end_turn": "answer", "content_filtered": "withheld", "guardrail_intervened": "withheld"}


class _Told:
    """A stream, or a whole answer taken as one event of it."""

    def __init__(self) -> None:
        self.text = ""
        self.end = ""
        self.error = ""
        self.after_the_end = False

    def ended(self, end: str) -> None:
        self.after_the_end = self.after_the_end or bool(self.error)
        self.end = self.end if self.end == "withheld" else end

    def failed(self, message: object) -> None:
        self.after_the_end = self.after_the_end or bool(self.error)
        self.error = str(message) or "no message"


def read(dialect: DialectName, got: Answer, *, stream: bool, passing: bool) -> Read:
    """What the client sees. `passing`: events may be the upstream's own nonsense, which SDKs report as an error themselves."""
    if SECRET.encode() in got.body:
        return Read("lie", got.status, "", "the operator's key is shown")
    try:
        if got.status >= 400:
            return Read("error", got.status, "", _error(dialect, got))
        if got.broken:
            return Read("lie", got.status, "", f"the body broke off: {got.body[-200:]!r}")
        told = _Told()
        if stream:
            _stream(dialect, got.body, told, passing=passing)
        else:
            _whole(dialect, json.loads(got.body), told)
    except (ValueError, KeyError, TypeError, AssertionError, BadFrame) as error:
        return Read("lie", got.status, "", f"{type(error).__name__}: {error}: {got.body[-300:]!r}")
    if told.after_the_end:
        return Read("lie", got.status, told.text, f"more after an error: {got.body[-300:]!r}")
    if told.error:
        sight: Sight = "error event" if stream else "lie"
        return Read("lie" if told.end else sight, got.status, told.text, told.error)
    if told.end in ("answer", "withheld"):
        return Read("answer" if told.end == "answer" else "withheld", got.status, told.text)
    return Read("lie", got.status, told.text, f"it ends as {told.end!r}: {got.body[-300:]!r}")


def _error(dialect: DialectName, got: Answer) -> str:
    if dialect != "bedrock_converse":
        return wires.error_of(dialect, got.body)["message"]
    assert got.headers["x-amzn-errortype"], "SDKs read the exception's name off this header"
    message = json.loads(got.body)["message"]
    assert message
    return message


def _stream(dialect: DialectName, wire: bytes, told: _Told, *, passing: bool) -> None:
    if dialect == "bedrock_converse":
        decoder = Decoder()
        messages = decoder.feed(wire)
        decoder.close()
        for message in messages:
            name = message.headers.get(":event-type") or message.headers[":exception-type"]
            _converse_event(str(name), json.loads(message.payload), told)
        return
    parser = SseParser()
    for name, data in (*parser.feed(wire), *parser.close()):
        if data == b"[DONE]":
            assert told.end or told.error, "[DONE] before any finish reason"
            told.after_the_end = told.after_the_end or bool(told.error)
            continue
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            if passing:
                continue
            raise
        if dialect == "anthropic":
            assert name.decode() == event["type"], "the SDKs go by the event's name"
        _EVENT[dialect](event, told)


def _whole(dialect: DialectName, document: dict, told: _Told) -> None:
    match dialect:
        case "openai_chat":
            (choice,) = document["choices"]
            told.text = choice["message"].get("content") or ""
            told.ended("withheld" if choice["message"].get("refusal") else _CHAT_ENDS.get(choice["finish_reason"], ""))
        case "openai_responses":
            _responses_end(document, told)
            parts = [part for item in document["output"] if item["type"] == "message" for part in item["content"]]
            told.text = "".join(part.get("text", "") for part in parts)
        case "anthropic":
            told.text = "".join(block.get("text", "") for block in document["content"])
            told.ended(_ANTHROPIC_ENDS.get(document["stop_reason"], ""))
        case "gemini":
            _gemini_event(document, told)
        case _:
            told.text = "".join(block.get("text", "") for block in document["output"]["message"]["content"])
            told.ended(_CONVERSE_ENDS.get(document["stopReason"], ""))


def _chat_event(event: dict, told: _Told) -> None:
    if event.get("error"):
        told.failed(event["error"]["message"])
    for choice in event.get("choices") or ():
        delta = choice.get("delta") or {}
        told.text += delta.get("content") or ""
        if delta.get("refusal"):
            told.end = "withheld"
        if choice.get("finish_reason"):
            told.ended(_CHAT_ENDS.get(choice["finish_reason"], choice["finish_reason"]))


def _responses_end(response: dict, told: _Told) -> None:
    parts = [part["type"] for item in response["output"] if item["type"] == "message" for part in item["content"]]
    if response["status"] == "completed":
        told.ended("withheld" if "refusal" in parts else "answer")
    elif response["status"] == "incomplete" and response["incomplete_details"]["reason"] == "content_filter":
        told.ended("withheld")
    elif response["status"] == "failed" and not told.error:  # an `error` event may go before it
        told.failed(response["error"]["message"])


def _responses_event(event: dict, told: _Told) -> None:
    match event["type"]:
        case "error":
            told.failed(event["message"])
        case "response.completed" | "response.incomplete" | "response.failed":
            _responses_end(event["response"], told)
        case "response.output_text.delta":
            told.text += event["delta"]
        case _:
            pass


def _anthropic_event(event: dict, told: _Told) -> None:
    match event["type"]:
        case "error":
            told.failed(event["error"]["message"])
        case "content_block_delta":
            told.text += event["delta"].get("text", "")
        case "message_delta" if event["delta"].get("stop_reason") == "refusal":
            told.end = "withheld"
        case "message_stop":
            told.ended("answer")
        case _:
            pass


def _gemini_event(event: dict, told: _Told) -> None:
    if "error" in event:
        told.failed(event["error"]["message"])
    if (event.get("promptFeedback") or {}).get("blockReason"):
        told.end = "withheld"
    for candidate in event.get("candidates") or ():
        told.text += "".join(part.get("text", "") for part in (candidate.get("content") or {}).get("parts") or ())
        if candidate.get("finishReason"):
            told.ended(_GEMINI_ENDS.get(candidate["finishReason"], candidate["finishReason"]))


def _converse_event(name: str, payload: dict, told: _Told) -> None:
    if name.endswith("Exception"):
        told.failed(payload["message"])
    elif name == "contentBlockDelta":
        told.text += payload["delta"].get("text", "")
    elif name == "messageStop":
        told.ended(_CONVERSE_ENDS.get(payload["stopReason"], payload["stopReason"]))


_EVENT: Final = {
    "openai_chat": _chat_event,
    "openai_responses": _responses_event,
    "anthropic": _anthropic_event,
    "gemini": _gemini_event,
}
