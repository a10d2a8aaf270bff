"""Watching a stream that passes through: its usage, its end, its errors.

One rule: bytes pass as they came; JSON is read only in the last event and in errors.
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from gatewright.dialects.openai_responses.errors import problem_of
from gatewright.dialects.openai_responses.names import as_object
from gatewright.dialects.openai_responses.response import failure_of
from gatewright.dialects.openai_responses.usage import parse_usage
from gatewright.errors import Problem
from gatewright.ir.response import Usage
from gatewright.wire.json import BadJson, decode_lenient
from gatewright.wire.sse import OversizedEvent, SseParser

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
_ENDS = frozenset(("response.completed", "response.incomplete", "response.cancelled"))


class ResponsesWatch:
    """Implements `dialects.protocol.Watch`."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.content = False
        self.finished = False
        self.problem: Problem | None = None

    def feed(self, data: bytes) -> bytes:
        self._look(data)
        return data

    def _look(self, events: bytes) -> None:
        """Any reading of `in` is far cheaper than a regular expression."""
        if not self.content:
            self.content = any(mark in events for mark in _CONTENT)
        for mark in _MARKS:
            if mark in events:
                self._read(events)
                return

    def _read(self, events: bytes) -> None:
        parser = SseParser()
        try:
            found = [*parser.feed(events), *parser.close()]
        except OversizedEvent:
            return
        for name, data in found:
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
                self.usage = (
                    parse_usage(response.get("usage"), response.get("service_tier"), response.get("output")) or self.usage
                )
                self.finished = True
                self.content = self.content or bool(response.get("output"))
            if kind == "response.failed":
                self.problem = failure_of(response) or problem_of(response, 0)
            elif kind == "error" or name == b"error" or (kind is None and value.get("error")):
                self.problem = problem_of(value, 0)
