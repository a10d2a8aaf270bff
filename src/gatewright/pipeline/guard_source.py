"""A stream behind the guards: the events of the source beneath, as far as the rules let them go, told in the client's dialect.

One rule: what a rule ends is ended upstream too, at once, and settled like any other stream that broke.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from gatewright.dialects.protocol import Dialect, StreamParser, StreamRenderer
from gatewright.errors import Problem
from gatewright.exchange import Exchange, Segment
from gatewright.guards.check_stream import StreamCheck
from gatewright.guards.rules import Rule
from gatewright.ir.blocks import DialectName, Refusal
from gatewright.ir.events import (
    BlockStart,
    BlockStop,
    MessageStart,
    MessageStop,
    StreamError,
    StreamEvent,
    TextDelta,
    UsageUpdate,
)
from gatewright.ir.request import Request
from gatewright.ir.response import Finish, Response, Usage
from gatewright.pipeline.guard_book import blocked
from gatewright.pipeline.guard_terms import Ending
from gatewright.pipeline.sources import BaseSource, WrappedSource, bug
from gatewright.wire.sse import without_line_separators

log = logging.getLogger("gatewright")


DECLINED: Final[Mapping[DialectName, Finish]] = {
    "openai_chat": Finish(reason="content_filter", raw="content_filter"),
    "openai_responses": Finish(reason="refusal"),
    "anthropic": Finish(reason="refusal", raw="refusal"),
    "gemini": Finish(reason="content_filter", raw="SAFETY"),
    "bedrock_converse": Finish(reason="content_filter", raw="content_filtered"),
}
"""How an answer ends in which the model declines."""


class Ends:
    """How a stream that has begun is ended by a rule: it knows which block is open."""

    __slots__ = ("_begun", "_blocks", "_exchange", "_open")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._begun = False
        self._blocks = 0
        self._open: int | None = None

    def note(self, events: Sequence[StreamEvent]) -> None:
        for event in events:
            if isinstance(event, TextDelta):
                continue
            if isinstance(event, BlockStart):
                self._open, self._blocks = event.index, event.index + 1
            elif isinstance(event, BlockStop):
                self._open = None
            elif isinstance(event, MessageStart):
                self._begun = True

    def events(self, problem: Problem, ending: Ending, usage: Usage | None) -> list[StreamEvent]:
        """The events that end it."""
        if ending == "error":
            return [StreamError(problem)]
        exchange, at = self._exchange, self._blocks
        events: list[StreamEvent] = []
        if not self._begun:
            events.append(MessageStart(id=exchange.request_id, model=exchange.model, origin=exchange.dialect))
        if self._open is not None:
            events.append(BlockStop(self._open))
        events += (BlockStart(at, Refusal(text="")), TextDelta(at, problem.message), BlockStop(at))
        if usage is not None:
            events.append(UsageUpdate(usage))
        return [*events, MessageStop(finish=DECLINED[exchange.dialect])]


class GuardSource(WrappedSource):
    """The stream as the client gets it."""

    __slots__ = (
        "_ask",
        "_check",
        "_clock",
        "_dialect",
        "_ending",
        "_ends",
        "_exchange",
        "_parser",
        "_renderer",
        "_since",
    )

    def __init__(
        self,
        inner: BaseSource,
        check: StreamCheck,
        exchange: Exchange,
        dialect: Dialect,
        *,
        request: Request,
        parser: StreamParser,
        ask: Callable[[Response], Awaitable[None]],
        ending: Ending,
        clock: Callable[[], float],
    ) -> None:
        """`request`: for whom it is told. `ask`: has those judge who must be waited for, and tells the check."""
        super().__init__(inner)
        self._check = check
        self._exchange = exchange
        self._dialect = dialect
        self._renderer: StreamRenderer = dialect.stream_renderer(request)
        self._parser = parser
        self._ask = ask
        self._ending: Ending = ending
        self._ends = Ends(exchange)
        self._clock = clock
        self._since = 0.0
        """When what waits began to. 0: nothing does."""

    async def _pull(self) -> Segment | None:
        try:
            while True:
                segment = await self._inner.next()
                over = segment is None or self._inner.ended
                events = self._events(segment, over=over)
                out = await self._checked(events)
                self._ends.note(out)
                rule = self._check.stop
                if rule is not None:
                    out = [*out, *self._stopped(rule)]
                wire = self._wire(out)
                if over or rule is not None:
                    self._over()
                    return Segment(wire, out) if wire else None
                if wire:
                    return Segment(wire, out)
        except Exception:
            log.exception("request %s: its stream failed behind the guards, on a bug of ours", self._exchange.request_id)
            self._inner.abort()
            self.problem = bug(self._exchange.request_id)
            self._over()
            return Segment(self._dialect.render_stream_error(self.problem, self._exchange.request_id))

    def _events(self, segment: Segment | None, *, over: bool) -> Sequence[StreamEvent]:
        """What a segment means. Where a renderer was wrapped, or bytes pass, the bytes say it."""
        events: list[StreamEvent] = []
        if segment is not None:
            if segment.events is not None and self._exchange.over is None:
                return segment.events
            events = self._parser.feed(segment.wire)
        return [*events, *self._parser.close()] if over and not self._inner.broken else events

    async def _checked(self, events: Sequence[StreamEvent]) -> list[StreamEvent]:
        check = self._check
        out = check.feed(events)
        while check.question is not None:
            await self._ask(check.question)
            out += check.answered()
        self._measure()
        return out

    def _measure(self) -> None:
        check, exchange = self._check, self._exchange
        if check.holds:
            if not self._since:
                self._since = self._clock()
            return
        if self._since:
            waited, self._since = self._clock() - self._since, 0.0
            exchange.held_back = (exchange.held_back[0], max(exchange.held_back[1], waited))
        if check.most_held > exchange.held_back[0]:
            exchange.held_back = (check.most_held, exchange.held_back[1])

    def _stopped(self, rule: Rule) -> list[StreamEvent]:
        """The events that end it, and its end upstream."""
        usage = self._inner.usage_so_far()
        self._inner.abort()
        self.problem = blocked(self._exchange, rule, "answer")
        return self._ends.events(self.problem, self._ending, usage)

    def _wire(self, events: Sequence[StreamEvent]) -> bytes:
        if not events:
            return b""
        wire = self._renderer.render(events)
        return without_line_separators(wire) if self._dialect.framing == "sse" else wire

    def _over(self) -> None:
        self.content = self._inner.content
        super()._over()

    def _end(self) -> None:
        self._measure()
        exchange = self._exchange
        exchange.held_back = (max(exchange.held_back[0], self._check.most_held), exchange.held_back[1])
        exchange.findings += tuple(self._check.checker.findings)
        self._check.checker.findings.clear()
        super()._end()

    def keepalive(self) -> bytes:
        return b"" if self.ended else self._renderer.keepalive()

    def abort(self) -> None:
        self._inner.abort()
        if not self.ended:
            self.usage = self._inner.usage_so_far()
            self.left = self.problem is None
            self._end()
