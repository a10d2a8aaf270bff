"""Streams without `alt=sse`: one JSON array whose elements are the chunks, sans I/O.

One rule: an element is given as soon as its last brace is there; a lone top-level object counts as an element too.
https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

import re

from gatewright.wire.sse import MAX_EVENT_BYTES, OversizedEvent

_MARK = re.compile(rb'[{}"]')
_IN_STRING = re.compile(rb'["\\]')
_BETWEEN = b" \t\r\n,[]"


class JsonArraySplitter:
    """feed(bytes) -> complete top-level objects. Each byte is looked at once, whatever the chunking."""

    __slots__ = ("_at", "_buffer", "_depth", "_in_string", "broken", "max_bytes")

    def __init__(self, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._depth = 0
        self._in_string = False
        self.broken = False
        """Something stood between the elements that is neither white space, comma nor bracket."""
        self.max_bytes = max_bytes

    @property
    def pending(self) -> bool:
        """Whether an element has begun and not ended."""
        return self._depth > 0

    def feed(self, data: bytes) -> list[bytes]:
        """The elements that `data` completes. Raises OversizedEvent when one grows too large."""
        self._buffer += data
        found: list[bytes] = []
        while (document := self._next()) is not None:
            found.append(document)
        if len(self._buffer) > self.max_bytes and not found:  # what is complete goes first; the next call raises
            raise OversizedEvent(f"an element of the stream is larger than {self.max_bytes} bytes")
        return found

    def _next(self) -> bytes | None:
        buffer = self._buffer
        if self._depth == 0:
            start = buffer.find(b"{", self._at)
            gap = buffer[self._at : start if start >= 0 else len(buffer)]
            self.broken = self.broken or bool(gap.strip(_BETWEEN))
            if start < 0 or self.broken:
                buffer.clear()
                self._at = 0
                return None
            del buffer[:start]
            self._at, self._depth = 1, 1
        while True:
            mark = (_IN_STRING if self._in_string else _MARK).search(buffer, self._at)
            if mark is None:
                self._at = len(buffer)
                return None
            at, char = mark.start(), mark.group()
            if char == b"\\":
                if at + 1 >= len(buffer):
                    self._at = at  # what it escapes has not come yet
                    return None
                self._at = at + 2
                continue
            self._at = at + 1
            if char == b'"':
                self._in_string = not self._in_string
                continue
            self._depth += 1 if char == b"{" else -1
            if self._depth == 0:
                document = bytes(buffer[: self._at])
                del buffer[: self._at]
                self._at = 0
                return document
