"""Chat Completions streams, read: bytes into chunks.

Most chunks differ from the one before in one string: the bytes around it are learnt, and as long as they stay the same only
that string is decoded, of many such chunks at once where they came together. All others are read in full (`stream_reader.py`).
https://platform.openai.com/docs/api-reference/chat-streaming
"""

from itertools import repeat

import msgspec

from gatewright.dialects.openai_chat.stream_reader import ChunkReader
from gatewright.dialects.openai_chat.template import Template
from gatewright.ir.events import ArgumentsDelta, StreamEvent, TextDelta
from gatewright.ir.request import Asked
from gatewright.wire.sse import OversizedEvent, SseParser, parse_block

MANY = 4
"""From so many chunks on it pays to read them together."""
_string = msgspec.json.Decoder(str).decode
_strings = msgspec.json.Decoder(list[str]).decode


class ChatStreamParser(ChunkReader):
    """feed(bytes) -> events. Raises nothing; after a StreamError or MessageStop nothing more comes."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked.issuer)
        self._sse = SseParser()
        self._template = Template()

    def feed(self, data: bytes) -> list[StreamEvent]:
        if self._over:
            return []
        head, _, tail, start, end = self._template.text
        if head and not self._sse.held and data.startswith(head) and data.endswith(tail):
            try:  # one event like the one before, from its first byte to its last: what a model that speaks token by token sends
                words = _string(data[start : end - 2])
            except (msgspec.DecodeError, UnicodeDecodeError):
                words = ""
            if words:
                return [TextDelta(self._index, words)]
        try:
            self._read(self._sse.split(data))
        except OversizedEvent as error:
            self._fail(str(error))
        events, self._events = self._events, []
        return events

    def close(self) -> list[StreamEvent]:
        if self._over:
            return []
        for name, payload in self._sse.close():
            self._one(name, payload)
        if not self._over and (self._finish is not None or self._ended):
            self._stop()
        elif not self._over:
            self._fail("the provider's stream was cut off")
        events, self._events = self._events, []
        return events

    def _read(self, blocks: list[bytes]) -> None:
        """Chunks that differ in their text alone are read together; the others one after the other."""
        at, count, template = 0, len(blocks), self._template
        while count - at > MANY:
            head = template.text[0]
            last = count - 1
            while head and last > at and not blocks[last].startswith(head):
                last -= 1
            size = last + 1 - at if head else 0
            if size < MANY or not self._read_run(blocks[at : at + size]):
                size = max(size, 1) if head else MANY
                self._read_each(blocks[at : at + size])
                if self._over:
                    return
            at += size
        if at < count:
            self._read_each(blocks[at:] if at else blocks)

    def _read_run(self, run: list[bytes]) -> bool:
        """Chunks, all of them like the one that was learnt but for the text; False where they are not.

        What they would be, were it so, is put together and compared with what they are: no call for each of them.
        """
        head, tail, _, start, end = self._template.text
        texts = [block[start:end] for block in run]
        if head[:-1] + (b"%b\n%b" % (tail[1:], head[:-1])).join(texts) + tail[1:] != b"\n".join(run):
            return False
        try:
            words = _strings(b"[%b]" % b",".join(texts))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        if len(words) != len(run) or "" in words:
            return False
        self._events += map(TextDelta, repeat(self._index), words)
        return True

    def _read_each(self, blocks: list[bytes]) -> None:
        template, events, index = self._template, self._events, self._index
        head, tail, _, start, end = template.text
        for block in blocks:
            if head and block.startswith(head) and block.endswith(tail):
                # By far the most frequent case, written out: a call would cost as much as all it does.
                try:
                    words = _string(block[start:end])
                except (msgspec.DecodeError, UnicodeDecodeError):
                    words = ""
                if words:
                    events.append(TextDelta(index, words))
                    continue
            text = template.match(block)
            if text is not None:
                events.append(template.event(index, text))
                if template.event is ArgumentsDelta:
                    self._calls.note(text)
                continue
            parsed = parse_block(block)
            if parsed is None:
                continue
            before = len(events)
            self._one(*parsed)
            if self._over:
                return
            index = self._index
            template.learn(block, events[before:])
            head, tail, _, start, end = template.text
