"""Watches a Chat Completions stream that passes through: usage, content, the end, errors.

One rule: bytes go on as they came, but for the one chunk that only tells usage, when the client did not ask for it.
JSON is decoded only for the events whose bytes may hold something to learn.
"""

import re
from typing import Final

import msgspec

from gatewright.dialects.openai_chat.errors import problem_in
from gatewright.dialects.openai_chat.plain import Plain
from gatewright.dialects.openai_chat.usage import Figures, usage_in, usage_of
from gatewright.errors import Problem
from gatewright.ir.response import Usage
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire import json as wire_json
from gatewright.wire.sse import OversizedEvent, SseParser

_BOUNDARY: Final = re.compile(rb"\r\n\r\n|\n\n")
TAIL_EVENTS: Final = 16
"""Of a piece with many events, those at its end are looked at, so many at most and back to the first plain delta: ends, errors
and usage (which is cumulative where it is told more than once) come last."""
CONTENT_KEYS: Final = ("content", "reasoning_content", "reasoning", "tool_calls", "function_call", "refusal", "audio", "images")


class _Choice(msgspec.Struct):
    delta: dict[str, JsonValue] | None = None
    finish_reason: str | None = None


class _Usual(msgspec.Struct):
    """What the watch wants of a chunk; all else is checked by the decoder and not built."""

    choices: list[_Choice] | None = None
    usage: Figures | None = None
    service_tier: JsonValue = None
    error: JsonValue = None
    x_groq: JsonValue = None
    object: JsonValue = None


_usual = msgspec.json.Decoder(_Usual).decode
_UNUSUAL: Final = _Usual()


class ChatWatch:
    def __init__(self, *, usage_asked: bool) -> None:
        self.usage: Usage | None = None
        self.content = False
        self.finished = False
        self.problem: Problem | None = None
        self._strip = not usage_asked
        self._plain = Plain()

    def feed(self, data: bytes) -> bytes:
        plain = self._plain
        if plain.match(data):  # by far the most frequent case
            return data
        first = 0 if self.content else self._until_content(data)
        start = end = len(data)
        for _ in range(TAIL_EVENTS):
            if end <= first:
                break
            place = data.rfind(b"\n\n", first, end - 2)
            begin = first if place < 0 else place + 2
            if plain.match(data[begin:end]):
                break
            start = end = begin
        if start == len(data):
            return data
        tail = data[start:]
        kept = self._events(tail)
        return data if kept is tail else data[:start] + kept

    def _until_content(self, data: bytes) -> int:
        """Reads events until one holds content; where the next begins."""
        start = 0
        while end := _boundary(data, start):
            if self._one(data[start:end]):
                return start  # to be left out: not here
            start = end
            if self.content:
                break
        return start

    def _events(self, data: bytes) -> bytes:
        kept: list[bytes] = []
        dropped = False
        start = 0
        while end := _boundary(data, start):
            event = data[start:end]
            start = end
            if self._one(event):
                dropped = True
            else:
                kept.append(event)
        if start < len(data):
            if self._one(data[start:]):
                dropped = True
            else:
                kept.append(data[start:])
        return b"".join(kept) if dropped else data

    def _one(self, event: bytes) -> bool:
        """Learns from one event; whether it is to be left out."""
        usage, finished = self.usage, self.finished
        drop = self._read(event)
        if self.content and self.usage is usage and self.finished is finished and self.problem is None:
            self._plain.learn(event)
        return drop

    def _read(self, event: bytes) -> bool:
        if event.startswith(b"data: ") and event.find(b"\n", 0, -2) < 0:
            return self._payload(b"", event[6:].strip())
        parser = SseParser()
        drop = False
        try:
            found = [*parser.feed(event.lstrip(b"\r\n")), *parser.close()]
        except OversizedEvent:
            return False
        for name, payload in found:
            drop = self._payload(name, payload.strip()) or drop
        return drop

    def _payload(self, name: bytes, payload: bytes) -> bool:
        if payload == b"[DONE]":
            self.finished = True
            return False
        try:
            usual = _usual(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            usual = _UNUSUAL
        if usual.error is None and usual.choices is not None and not name:
            return self._usual_chunk(usual, usual.choices)
        try:
            chunk = wire_json.decode_lenient(payload)
        except wire_json.BadJson:
            return False
        if not isinstance(chunk, dict):
            return False
        if name == b"error" and "error" not in chunk:
            chunk = {"error": chunk}
        problem = problem_in(chunk)
        if problem is not None:
            self.problem = problem
            return False
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._choice(choice)
        if chunk.get("object") == "chat.completion.done":
            self.finished = True
        usage = usage_in(chunk)
        if usage is None:
            return False
        self.usage = usage
        return self._strip and choices == [] and bool(chunk.get("usage"))

    def _usual_chunk(self, chunk: "_Usual", choices: "list[_Choice]") -> bool:
        """As `_payload`, for the shape that nearly all chunks have."""
        for choice in choices:
            if choice.finish_reason:
                self.finished = True
            if not self.content and choice.delta:
                self.content = any(_shown(choice.delta.get(key)) for key in CONTENT_KEYS)
        if chunk.object == "chat.completion.done":
            self.finished = True
        told = chunk.usage is not None and chunk.usage.said
        if chunk.usage is not None and told:
            self.usage = usage_of(chunk.usage, chunk.service_tier, {})
        elif chunk.x_groq is not None:
            self.usage = usage_in({"x_groq": chunk.x_groq, "service_tier": chunk.service_tier}) or self.usage
        return self._strip and not choices and told

    def _choice(self, choice: JsonObject) -> None:
        if choice.get("finish_reason"):
            self.finished = True
        delta = choice.get("delta")
        if not self.content and isinstance(delta, dict):
            self.content = any(_shown(delta.get(key)) for key in CONTENT_KEYS)


def _shown(value: JsonValue) -> bool:
    return value not in (None, "", [], {})


def _boundary(data: bytes, start: int) -> int:
    """Just behind the event that begins at `start`; 0 when it is not complete."""
    place = data.find(b"\n\n", start)
    if place >= 0 and data.find(b"\r", start, place) < 0:
        return place + 2
    match = _BOUNDARY.search(data, start)
    return 0 if match is None else match.end()
