"""Forwarded streams behind the guards: server-sent events of any kind, and text that comes as it likes.

One rule: an event leaves whole, when every piece of text in it is decided; a text leaves as far as it is decided.
"""

import codecs
from collections import deque
from collections.abc import Sequence

import msgspec

from gatewright.dialects.protocol import Dialect
from gatewright.errors import Problem
from gatewright.exchange import Exchange, Segment
from gatewright.guards.check import Checker
from gatewright.guards.check_native import NativeTexts, Pieces
from gatewright.guards.redact import Redactor, Restorer
from gatewright.guards.rules import Rule
from gatewright.guards.window import Window
from gatewright.ir.events import NativeEvent
from gatewright.pipeline.guard_book import blocked
from gatewright.pipeline.guard_json import UNREADABLE
from gatewright.pipeline.sources import BaseSource, WrappedSource
from gatewright.wire.json import BadJson, decode_lenient, encode
from gatewright.wire.sse import OversizedEvent, SseParser, sse


class Kit(msgspec.Struct, frozen=True):
    """By what an answer is looked at."""

    rules: Sequence[Rule]
    checker: Checker
    redactor: Redactor
    window: int


class _PlainSource(WrappedSource):
    """What both kinds share: the end, and what is settled then."""

    __slots__ = ("_checker", "_dialect", "_exchange")

    def __init__(self, inner: BaseSource, kit: Kit, exchange: Exchange, dialect: Dialect) -> None:
        super().__init__(inner)
        self._checker = kit.checker
        self._exchange = exchange
        self._dialect = dialect
        self._begin(kit)

    def _begin(self, kit: Kit) -> None:
        raise NotImplementedError

    async def _pull(self) -> Segment | None:
        while True:
            segment = await self._inner.next()
            over = segment is None or self._inner.ended
            wire, stop = self._step(b"" if segment is None else segment.wire, over=over)
            if stop is not None:
                self._inner.abort()
                self.problem = stop
                wire += self._last_word(stop)
            if over or stop is not None:
                self._over()
                return Segment(wire) if wire else None
            if wire:
                return Segment(wire)

    def _step(self, wire: bytes, *, over: bool) -> tuple[bytes, Problem | None]:
        """What leaves of it, and what ends it."""
        raise NotImplementedError

    def _last_word(self, problem: Problem) -> bytes:
        return self._dialect.render_stream_error(problem, self._exchange.request_id)

    def _blocked(self, rule: Rule) -> Problem:
        return blocked(self._exchange, rule, "answer")

    def _end(self) -> None:
        self._exchange.findings += tuple(self._checker.findings)
        self._checker.findings.clear()
        super()._end()

    def keepalive(self) -> bytes:
        return b""

    def abort(self) -> None:
        self._inner.abort()
        if not self.ended:
            self.usage, self.left = self._inner.usage, self.problem is None
            self._end()


class EventSource(_PlainSource):
    """Server-sent events with JSON in them."""

    __slots__ = ("_native", "_parser", "_queue")

    def _begin(self, kit: Kit) -> None:
        self._parser = SseParser()
        self._native = NativeTexts(kit.rules, kit.checker, kit.redactor, kit.window)
        self._queue: deque[tuple[Pieces, bytes]] = deque()

    def _step(self, wire: bytes, *, over: bool) -> tuple[bytes, Problem | None]:
        try:
            events = self._parser.feed(wire) + (self._parser.close() if over else [])
        except OversizedEvent:
            return b"", UNREADABLE
        for name, data in events:
            self._queue.append(self._taken(name, data))
            stop = self._checker.stop
            if stop is not None and self._queue[-1][0].violation is None:
                self._queue.pop()
                told, _ = self._released()
                return told, self._blocked(stop)
        if over:
            self._native.close()
        told, rule = self._released()
        self._exchange.held_back = (max(self._exchange.held_back[0], self._native.held), self._exchange.held_back[1])
        return told, None if rule is None else self._blocked(rule)

    def _taken(self, name: bytes, data: bytes) -> tuple[Pieces, bytes]:
        """An event; what is no object is one text in it."""
        try:
            document = decode_lenient(data) if data else None
        except BadJson:
            document = None
        known = isinstance(document, dict)
        event = NativeEvent(
            origin=self._exchange.dialect,
            data=document if isinstance(document, dict) else {"text": data.decode("utf-8", "replace")},
            name=name.decode("utf-8", "replace"),
        )
        return self._native.take(event), sse(data, name) if known else _lines(data, name)

    def _released(self) -> tuple[bytes, Rule | None]:
        out = b""
        while self._queue:
            pieces, wire = self._queue[0]
            if (hit := pieces.violation) is not None:
                return out, hit.rule
            if not pieces.decided:
                break
            self._queue.popleft()
            told = pieces.edited()
            out += wire if told is pieces.event else sse(encode(told.data), told.name.encode())
        return out, None


def _lines(data: bytes, name: bytes) -> bytes:
    """An event whose data may have several lines."""
    head = b"event: %b\n" % name if name else b""
    return head + b"".join(b"data: %b\n" % line for line in data.split(b"\n")) + b"\n"


class TextSource(_PlainSource):
    """Text as it comes. Where the beginning is no UTF-8 it is no text, and passes."""

    __slots__ = ("_binary", "_decoder", "_restorer", "_taken", "_window")

    def _begin(self, kit: Kit) -> None:
        looking = [rule for rule in kit.rules if "other" in rule.parts]
        self._window = Window(looking, kit.redactor, kit.window)
        self._restorer = Restorer(kit.redactor.originals)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._binary: bool | None = None
        self._taken = 0

    def _step(self, wire: bytes, *, over: bool) -> tuple[bytes, Problem | None]:
        if self._binary:
            return wire, None
        try:
            text = self._decoder.decode(wire, over)
        except UnicodeDecodeError:
            if self._binary is None:
                self._binary = True
                return wire, None
            return b"", UNREADABLE
        if self._binary is None and wire:
            self._binary = b"\0" in wire
            if self._binary:
                return wire, None
        window = self._window
        window.feed(text)
        if over:
            window.close()
        for hit in window.hits:
            self._checker.found(hit.rule, hit.kind, "", hit.start, hit.end)
        window.hits.clear()
        told = self._restorer.feed(window.cut(self._taken, window.decided)) + (self._restorer.close() if over else "")
        self._taken = window.decided
        self._exchange.held_back = (max(self._exchange.held_back[0], window.held), self._exchange.held_back[1])
        stop = window.violation
        return told.encode(), None if stop is None else self._blocked(stop.rule)

    def _last_word(self, problem: Problem) -> bytes:
        self.broken = True  # plain text has no error of its own: the body is broken off
        return b""
