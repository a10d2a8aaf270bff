"""Watching a stream that passes through: its usage, its end, its errors.

One rule: bytes pass as they came; JSON is read only in the last event and in errors.
https://platform.openai.com/docs/api-reference/responses-streaming
"""

import re

from gatewright.dialects.openai_responses.errors import problem_of
from gatewright.dialects.openai_responses.names import as_object
from gatewright.dialects.openai_responses.response import failure_of
from gatewright.dialects.openai_responses.usage import parse_usage
from gatewright.errors import Problem
from gatewright.ir.response import Usage
from gatewright.wire.json import BadJson, decode_lenient
from gatewright.wire.sse import MAX_EVENT_BYTES, SseParser

_MARKS = (
    b'"response.completed"',
    b'"response.incomplete"',
    b'"response.failed"',
    b'"response.cancelled"',
    b'"error"',
    b"event: error",
)
"""Marks of an event worth reading. Inside a JSON string the quotes would be escaped, so text cannot look like one."""
_CONTENT = (b'.delta"', b'"response.output_item.done"')
_BREAK = re.compile(rb"\r?\n\r?\n|\r\r")
_ENDS = frozenset(("response.completed", "response.incomplete", "response.cancelled"))


class ResponsesWatch:
    """Implements `dialects.protocol.Watch`."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.content = False
        self.finished = False
        self.problem: Problem | None = None
        self._tail = bytearray()
        """The event that is not complete yet: a mark may lie across two reads."""
        self._blind = False

    def feed(self, data: bytes) -> bytes:
        if self._blind:
            return data
        if not self._tail and data.endswith(b"\n\n"):
            self._look(data)
            return data
        seen = len(self._tail)
        self._tail += data
        end = self._last_break(max(0, seen - 3))
        if end:
            complete = bytes(self._tail[:end])
            del self._tail[:end]
            self._look(complete)
        elif len(self._tail) > MAX_EVENT_BYTES:
            self._blind = True
            self._tail.clear()
        return data

    def _last_break(self, start: int) -> int:
        """Where the last complete event in the tail ends; 0 when none does."""
        if 0x0D in self._tail:
            return max((found.end() for found in _BREAK.finditer(self._tail, start)), default=0)
        return self._tail.rfind(b"\n\n", start) + 2 if self._tail.find(b"\n\n", start) >= 0 else 0

    def _look(self, events: bytes) -> None:
        """Complete events. Any reading of `in` is far cheaper than a regular expression."""
        if not self.content:
            self.content = any(mark in events for mark in _CONTENT)
        for mark in _MARKS:
            if mark in events:
                self._read(events)
                return

    def close(self) -> bytes:
        """The last event may lack its blank line."""
        rest = bytes(self._tail)
        self._tail.clear()
        self._look(rest)
        return b""

    def _read(self, events: bytes) -> None:
        parser = SseParser()
        for name, data in [*parser.feed(events), *parser.close()]:
            if name != b"error" and not any(mark in data for mark in _MARKS):
                continue
            try:
                value = decode_lenient(data)
            except BadJson:
                continue
            if not isinstance(value, dict):
                continue
            kind = value.get("type")
            response = as_object(value.get("response"))
            if kind == "response.failed" or (isinstance(kind, str) and kind in _ENDS):
                self.usage = parse_usage(response.get("usage"), response.get("service_tier")) or self.usage
                self.finished = True
                self.content = self.content or bool(response.get("output"))
            if kind == "response.failed":
                self.problem = failure_of(response) or problem_of(response, 0)
            elif kind == "error" or name == b"error" or (kind is None and value.get("error")):
                self.problem = problem_of(value, 0)
