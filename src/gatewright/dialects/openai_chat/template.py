"""The bytes around the one string in which most chunks of a stream differ.

One rule: the bytes before and after must be the same as in a chunk that was read in full and gave one plain delta, and what
stands between them must be one JSON string: then the chunk means what that one meant, with another text.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gatewright.ir.events import ArgumentsDelta, ReasoningDelta, StreamEvent, TextDelta

_string = msgspec.json.Decoder(str).decode
_END: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"')
_PADDING: Final = re.compile(rb'("(?:obfuscation|p)":")[A-Za-z0-9]*("\}\Z)')
_KEYS: Final[dict[type, tuple[bytes, ...]]] = {
    TextDelta: (b'"content":"', b'"content": "'),
    ReasoningDelta: (b'"reasoning_content":"', b'"reasoning":"', b'"reasoning_content": "', b'"reasoning": "'),
    ArgumentsDelta: (b'"arguments":"', b'"arguments": "'),
}


NOTHING: Final = (b"", b"", b"", 0, 0)


class Template:
    """Learns from each chunk that is read in full; matches those that follow."""

    __slots__ = ("_end", "_head", "_head_size", "_padded", "_tail", "event", "text")

    def __init__(self) -> None:
        self._head = b""
        """Empty: nothing learnt."""
        self._head_size = 0
        self.text = NOTHING
        """(head, tail, tail with the blank line after it, start, end) of a chunk of text without padding, start and end of the
        string with its quotes: for the reader's own loop."""
        self._tail = b""
        self._padded = False
        """The tail ends in random padding: `_tail` goes up to it, `_end` is what follows."""
        self._end = b""
        self.event: Callable[[int, str], StreamEvent] = TextDelta

    def match(self, data: bytes) -> str | None:
        """The text of a chunk that differs from the learnt one in its text only."""
        head = self._head
        if not head or not data.startswith(head):
            return None
        if self._padded:
            cut = data.rfind(self._tail)
            padding = data[cut + len(self._tail) : -len(self._end)]
            if cut < self._head_size or not data.endswith(self._end) or (padding and not padding.isalnum()):
                return None
        elif data.endswith(self._tail):
            cut = len(data) - len(self._tail)
        else:
            return None
        try:
            # One byte more on either side: the string's own quotes.
            text = _string(data[self._head_size - 1 : cut + 1])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return text or None

    def learn(self, data: bytes, events: Sequence[StreamEvent]) -> None:
        """`events` is what `data` gave: worth learning when it is one plain delta."""
        self._head = b""
        self.text = NOTHING
        if len(events) != 1:
            return
        event = events[0]
        if isinstance(event, TextDelta):
            text = "" if event.logprobs else event.text
        elif (isinstance(event, ReasoningDelta) and event.part is None) or isinstance(event, ArgumentsDelta):
            text = event.text
        else:
            return
        start = self._place(data, type(event))
        if not text or start < 0:
            return
        match = _END.match(data, start)
        if match is None:
            return
        end = match.end() - 1
        try:
            if _string(data[start - 1 : end + 1]) != text:
                return
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        tail = data[end:]
        padding = _PADDING.search(tail)
        self._padded = padding is not None
        self._tail = tail if padding is None else tail[: padding.end(1)]
        self._end = b"" if padding is None else padding[2]
        self._head, self._head_size = data[:start], start
        self.event = type(event)
        if self.event is TextDelta and padding is None:
            # One byte more on either side of the text: the string's own quotes.
            self.text = (self._head, tail, tail + b"\n\n", start - 1, 1 - len(tail))

    @staticmethod
    def _place(data: bytes, kind: type) -> int:
        """Where the string begins of the only key that can hold the delta; -1 when there are several or none."""
        found = [(key, data.find(key)) for key in _KEYS[kind] if data.count(key) == 1]
        present = sum(data.count(key) for key in _KEYS[kind])
        if len(found) != 1 or present != 1:
            return -1
        key, place = found[0]
        return place + len(key)
