"""Streams whose bytes pass. Server-sent events go on whole, and a watch reads from them what must be known."""

import logging
from collections.abc import Callable

from gatewright.dialects.protocol import Dialect, Watch
from gatewright.errors import Problem, scrubbed
from gatewright.exchange import Client, Segment
from gatewright.ir.blocks import DialectName
from gatewright.ir.response import Usage
from gatewright.pipeline.sources import COMMENT, CUT, PINGS, BaseSource, bug
from gatewright.pipeline.spoken import tokens_passed
from gatewright.transport import Incoming, TransportError
from gatewright.wire.whole_events import ENDS, WholeEvents

_LAST_WORD: dict[DialectName, bytes] = {"openai_chat": b"[DONE]"}
"""What a stream that told a finish reason must still say before a cut is no loss: of several choices one may be unfinished."""

log = logging.getLogger("gatewright")


class PassSource(BaseSource):
    """The upstream's own bytes, watched. Server-sent events go on whole, and the watch is given nothing else."""

    __slots__ = ("_broke", "_dialect", "_events", "_last", "_request_id", "_sse", "_watch", "edits", "passed")

    def __init__(self, incoming: Incoming, dialect: Dialect, watch: Watch, request_id: str, *, sse: bool) -> None:
        super().__init__(incoming)
        self._dialect = dialect
        self._watch = watch
        self._request_id = request_id
        self._sse = sse
        self._events = WholeEvents()
        self._last = b""
        self.passed = 0
        """Bytes of the upstream's that have gone on, …"""
        self.edits: tuple[tuple[int, int, bytes], ...] = ()
        """… but for these: where among them, how many, and what has gone on in their place."""
        self._broke = False

    async def _pull(self) -> Segment | None:
        watch, events = self._watch, self._events
        if self._broke:
            return self._fail(bug(self._request_id))
        try:
            while (data := await self._incoming.next()) is not None:
                if self._sse and (events.held or not events.at_boundary or not data.endswith(ENDS)):  # as `feed` asks, uncalled
                    data = events.feed(data)
                    if not data:
                        continue
                wire = watch.feed(data)
                if wire is not data or watch.problem is not None:
                    wire = self._changed(data, wire)
                self.passed += len(data)
                if wire:
                    self._last = wire
                    self.content = watch.content
                    if watch.problem is None and watch.finished and not events.held and getattr(self._incoming, "over", False):
                        self.usage = watch.usage
                        self._end()
                    return Segment(wire)
            rest = events.close() if events.held else b""
            if rest:
                held, rest = rest, watch.feed(rest)
                if rest is not held or watch.problem is not None:
                    rest = self._changed(held, rest)
                self.passed += len(held)
        except TransportError as error:
            if watch.problem is None and not (watch.finished and _LAST_WORD.get(self._dialect.name, b"") in self._last):
                return self._fail(error.problem)
            self._incoming.abort()
            rest = b""
        except Exception:
            log.exception("request %s: its stream failed on a bug of ours", self._request_id)
            return self._fail(bug(self._request_id))
        self.usage = watch.usage
        self.content = watch.content
        if watch.problem is None and not watch.finished:
            return self._fail(CUT)
        self._end()
        return Segment(rest) if rest else None

    def _changed(self, data: bytes, wire: bytes) -> bytes:
        """What goes on in place of `data`: what told of the error that ends the stream tells nothing that it must not."""
        problem = self._watch.problem
        if problem is not None:
            self.problem = scrubbed(problem, self.scrub)
            wire = self.scrub(wire)
        if wire != data:
            self.edits += ((self.passed, len(data), wire),)
        return wire

    async def flow(self, client: Client) -> None:
        if type(self) is PassSource:  # a subclass does more with what it pulls
            await self._pour(client)

    def _sink(self, client: Client) -> Callable[[bytes], bool]:
        watch, events = self._watch, self._events
        feed, push, sse = watch.feed, client.push, self._sse

        def sink(data: bytes) -> bool:
            if client.unread or (sse and (events.held or not events.at_boundary or not data.endswith(ENDS))):
                return False
            try:
                wire = feed(data)
            except Exception:
                log.exception("request %s: its stream failed on a bug of ours", self._request_id)
                self._broke = True
                return False
            if wire is not data or watch.problem is not None:
                wire = self._changed(data, wire)
            self.passed += len(data)
            if wire:
                self._last = wire
                push(wire)
            return True

        return sink

    def _fail(self, problem: Problem) -> Segment | None:
        self._incoming.abort()
        self.problem = problem
        self.usage = self._watch.usage
        if not self._sse:
            self.broken = True
            self._end()
            return None
        gap = b"" if self._events.at_boundary else b"\n\n"
        wire = gap + self._dialect.render_stream_error(problem, self._request_id)
        self.edits += ((self.passed, 0, wire),)
        self._end()
        return Segment(wire)

    def keepalive(self) -> bytes:
        return PINGS.get(self._dialect.name, COMMENT) if self._sse and self._events.at_boundary and not self.ended else b""

    @property
    def whole_events(self) -> bool:
        """Whether it is events that pass, and not the pieces of a JSON array."""
        return self._sse

    def usage_so_far(self) -> Usage | None:
        return self._watch.usage

    def spoken(self) -> int:
        return tokens_passed(self.passed, self._last, self._dialect) if self._watch.content else 0

    def abort(self) -> None:
        self.usage = self._watch.usage
        super().abort()
