"""Watches a Gemini stream that passes through as it is.

One rule: bytes go on untouched; a chunk is decoded only when its finish reason or an error must be known, and the last usage
only when somebody asks.
"""

from gatewright.dialects.gemini.errors import problem_of
from gatewright.dialects.gemini.finish import blocked
from gatewright.dialects.gemini.json_array import JsonArraySplitter
from gatewright.dialects.gemini.usage import parse_usage
from gatewright.errors import Problem
from gatewright.ir.response import Usage
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import BadJson, decode_lenient
from gatewright.wire.sse import OversizedEvent, SseParser

_CONTENT = (b'"text"', b'"functionCall"', b'"inlineData"', b'"executableCode"', b'"toolCall"')


class GeminiWatch:
    """`events`: the client asked for server-sent events; else the stream is one JSON array."""

    def __init__(self, *, events: bool) -> None:
        self._array = None if events else JsonArraySplitter()
        self._blind = False
        self._last_usage = b""
        self._last_output = b""
        self._usage: Usage | None = None
        self.content = False
        self.finished = False
        self.problem: Problem | None = None

    @property
    def usage(self) -> Usage | None:
        if self._last_usage:
            figures: JsonObject = {}
            for document in (_decode(self._last_output), _decode(self._last_usage)):
                if isinstance(document, dict) and isinstance(told := document.get("usageMetadata"), dict):
                    figures |= told
            self._last_usage = b""
            self._usage = parse_usage(figures) or self._usage
        return self._usage

    @usage.setter
    def usage(self, value: Usage | None) -> None:
        self._usage, self._last_usage = value, b""

    def feed(self, data: bytes) -> bytes:
        """`data`, always."""
        if not self._blind:
            try:
                for document in self._documents(data):
                    self._see(document)
            except OversizedEvent:
                self._blind = self._array is not None
        return data

    def _documents(self, data: bytes) -> list[bytes]:
        if self._array is not None:
            return self._array.feed(data)
        block = data[6:].rstrip(b"\r\n")
        if data.startswith(b"data: ") and 0x0A not in block and 0x0D not in block:  # one event, as nearly always
            return [block]
        parser = SseParser()
        return [document for _, document in (*parser.feed(data), *parser.close())]

    def _see(self, document: bytes) -> None:
        if document.find(b'"usageMetadata"') >= 0:
            self._last_usage = document
            if b'"candidatesTokenCount"' in document:
                self._last_output = document
        if not self.content and any(mark in document for mark in _CONTENT):
            self.content = True
        if b'"finishReason"' not in document and b'"error"' not in document and b'"blockReason"' not in document:
            return
        value = _decode(document)
        if (problem := problem_of(value)) is not None:
            self.problem = problem
            return
        if not isinstance(value, dict):
            return
        candidates = value.get("candidates")
        for candidate in candidates if isinstance(candidates, list) else ():
            if isinstance(candidate, dict) and candidate.get("finishReason") is not None:
                self.finished = True
        if blocked(value.get("promptFeedback")) is not None:
            self.finished = True


def _decode(document: bytes) -> JsonValue:
    try:
        return decode_lenient(document)
    except BadJson:
        return None
