"""Server-sent events, sans I/O: bytes in any chunking -> events; events -> bytes.

Follows https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream : LF, CR and CRLF, a leading BOM,
comments, `data:` with or without a space, several data lines. Deviation: an event that the stream's end cuts off before its
blank line is still given by `close()` (several providers end so).
"""

from typing import TypeAlias

MAX_EVENT_BYTES = 16 << 20
"""The largest event accepted from an upstream: an inline image of 8 MB in base64 fits; a runaway does not."""


class OversizedEvent(ValueError):
    """An event grew beyond the limit before its end came."""


_LF, _CR = 0x0A, 0x0D
"""As numbers: CPython looks for a number at once, and for a word in bytes only after an exception that this is none."""

SseEvent: TypeAlias = tuple[bytes, bytes]
"""(name, data): the `event:` field, empty when there was none; the `data:` lines joined by LF, empty for an event without data
(kept: some providers send them). A bare tuple, because there is one for every token."""


class SseParser:
    """feed(bytes) -> complete events. The common case (LF, one `data:` line) costs two slices an event."""

    __slots__ = ("_more", "_size", "_started", "held", "max_bytes")

    def __init__(self, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self.held = b""
        """The beginning of an event whose end has not come, or a part of it; to be read only. Empty: the next byte begins one."""
        self._more = bytearray()
        self._size = 0
        self._started = False
        self.max_bytes = max_bytes

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that `data` completes. Raises OversizedEvent when what is held back grows too large."""
        events: list[SseEvent] = []
        for block in self.split(data):
            if block.startswith(b"data: ") and _LF not in block:
                events.append((b"", block[6:]))
            elif (event := parse_block(block)) is not None:
                events.append(event)
        return events

    def split(self, data: bytes) -> list[bytes]:
        """As `feed`, but the events unread: each its lines, joined by LF, without the blank line. For who knows most by sight."""
        if self._started and not self.held and 0 <= data.find(b"\n\n") == len(data) - 2 and _CR not in data:
            return [data[:-2]]  # one event and nothing else: what a model that speaks token by token sends
        if self.held:
            if self._started and not self._ends_here(data):
                # Joining and searching anew with every read would make a large event quadratic.
                self._more += data
                self._size += len(data)
                if self._size > self.max_bytes:
                    raise OversizedEvent(f"a server-sent event is larger than {self.max_bytes} bytes")
                return []
            data = b"".join((self.held, self._more, data))
            self._more.clear()
        if not self._started:
            if len(data) < 3 and b"\xef\xbb\xbf".startswith(data):
                self.held = data
                return []
            self._started = True
            data = data.removeprefix(b"\xef\xbb\xbf")
        if _CR in data:
            # A CR at the very end may be half of a CRLF: wait for what follows.
            held = data[-1:] if data.endswith(b"\r") else b""
            data = (data[:-1] if held else data).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        else:
            held = b""
        blocks, rest = _split(data)
        self.held = rest + held
        self._size = len(self.held)
        if self._size > self.max_bytes and not blocks:  # what is complete goes first; the next call raises
            raise OversizedEvent(f"a server-sent event is larger than {self.max_bytes} bytes")
        return blocks

    def _ends_here(self, data: bytes) -> bool:
        """Whether a blank line can end in `data`, what is held back before it."""
        seam = bytes(self._more[-2:] if len(self._more) > 1 else self.held[-2:] + self._more) + data
        return b"\n\n" in seam or b"\r\r" in seam or b"\n\r" in seam

    def close(self) -> list[SseEvent]:
        """The event that the end of the stream cut off, if there is one."""
        block = b"".join((self.held, self._more)).replace(b"\r\n", b"\n").replace(b"\r", b"\n").strip(b"\n")
        self.held = b""
        self._more.clear()
        event = parse_block(block) if block else None
        return [] if event is None else [event]


def _split(data: bytes) -> tuple[list[bytes], bytes]:
    """Blocks between blank lines, and what follows the last. `data` has LF only.

    Splitting at single LFs is several times as fast as at pairs; where every second line is blank it says the same.
    """
    lines = data.split(b"\n")
    if len(lines) & 1 and not any(lines[1::2]):
        return lines[:-1:2], lines[-1]
    blocks = data.split(b"\n\n")
    return blocks, blocks.pop()


def parse_block(block: bytes) -> SseEvent | None:
    """One event's lines; None when they hold neither an event name nor data (comments, ids, retry)."""
    if block.startswith(b"event: ") and block.count(b"\n") == 1:
        before, found, value = block.partition(b"\ndata: ")
        if found:
            return (before[7:], value)
    name = b""
    lines: list[bytes] = []
    for line in block.split(b"\n"):
        field, colon, value = line.partition(b":")
        if not field:
            continue  # a comment, or a blank line
        if colon and value.startswith(b" "):
            value = value[1:]
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value
    if not lines and not name:
        return None
    return (name, b"\n".join(lines))


def event_name(word: str) -> bytes:
    """A name that a provider chose, fit for an `event:` line: with a line break in it the provider would write events of ours."""
    return word.encode("utf-8", "replace").replace(b"\r", b" ").replace(b"\n", b" ")


def sse(data: bytes, name: bytes = b"") -> bytes:
    """One event. `data` is one line (JSON has no raw line breaks)."""
    return b"event: %b\ndata: %b\n\n" % (name, data) if name else b"data: %b\n\n" % data


def without_line_separators(data: bytes) -> bytes:
    """JSON events with U+2028 and U+2029 written as escapes: the same strings, on lines that every reader takes for one.

    JSON allows them raw, but the Google SDK for Node ends its `.` there, and readers built on `str.splitlines` end a line.
    """
    if 0xE2 not in data or data.find(b"\xe2\x80") < 0:  # one byte is found fifty times as fast as two
        return data
    return data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
