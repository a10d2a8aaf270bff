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

_TELLING = re.compile(
    rb'"type"\s*:\s*"(?:response\.(?:completed|incomplete|failed|cancelled)|error)"|data:\s*\{\s*"error"|^event:\s*error',
    re.MULTILINE,
)
"""Marks of an event worth reading. Inside a JSON string the quotes would be escaped, so text cannot look like one."""
_CONTENT = re.compile(rb'\.delta"|"response\.output_item\.done"')
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
        seen = len(self._tail)
        self._tail += data
        ends = [found.end() for found in _BREAK.finditer(self._tail, max(0, seen - 3))]
        if ends:
            complete = bytes(self._tail[: ends[-1]])
            del self._tail[: ends[-1]]
            self.content = self.content or _CONTENT.search(complete) is not None
            if _TELLING.search(complete):
                self._read(complete)
        elif len(self._tail) > MAX_EVENT_BYTES:
            self._blind = True
            self._tail.clear()
        return data

    def close(self) -> bytes:
        """The last event may lack its blank line."""
        rest = bytes(self._tail)
        self._tail.clear()
        if _TELLING.search(rest):
            self._read(rest)
        return b""

    def _read(self, events: bytes) -> None:
        parser = SseParser()
        for name, data in [*parser.feed(events), *parser.close()]:
            if not _TELLING.search(data) and name != b"error" and not data.startswith(b'{"error"'):
                continue
            try:
                value = decode_lenient(data)
            except BadJson:
                continue
            if not isinstance(value, dict):
                continue
            kind = value.get("type")
            response = as_object(value.get("response"))
            if kind in _ENDS or kind == "response.failed":
                self.usage = parse_usage(response.get("usage"), response.get("service_tier")) or self.usage
                self.finished = True
            if kind == "response.failed":
                self.problem = failure_of(response) or problem_of(response, 0)
            elif kind not in _ENDS:
                self.problem = problem_of(value, 0)
