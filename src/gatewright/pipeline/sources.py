"""Streamed answers, pulled by the server: bytes that pass, and bytes that are rendered from events.

One rule: a source never raises. A cut, a stall or nonsense becomes the dialect's error event; a stream that did not tell its
own end never ends cleanly. Whoever asked by `when_ended` is told exactly once, however it ends.
"""

from collections.abc import Callable

from gatewright.dialects.protocol import Dialect, StreamParser, StreamRenderer, Watch
from gatewright.errors import Problem
from gatewright.exchange import Segment
from gatewright.ir.blocks import DialectName
from gatewright.ir.events import BlockStart, MessageStop, StreamError, StreamEvent, TextDelta, UsageUpdate
from gatewright.ir.fold import update_usage
from gatewright.ir.response import Usage
from gatewright.pipeline.seals import SealWatch, name_call
from gatewright.transport import Incoming, TransportError

_PINGS: dict[DialectName, bytes] = {"anthropic": b'event: ping\ndata: {"type": "ping"}\n\n'}
_COMMENT = b": keep-alive\n\n"

CUT = Problem(kind="upstream", code="stream_cut", message="The provider's stream ended before its answer did.")


class BaseSource:
    """What both kinds share: the first segment is taken early (`begin`), the end is told once."""

    __slots__ = ("_ended", "_first", "_incoming", "_on_end", "broken", "content", "problem", "usage")

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._first: Segment | None = None
        self._ended = False
        self._on_end: Callable[[], None] | None = None
        self.usage: Usage | None = None
        self.problem: Problem | None = None
        """What ended the stream, if it was an error."""
        self.content = False
        """Whether anything a client can see has been told."""
        self.broken = False
        """The framing has no error event: the server must not end the body cleanly."""

    def when_ended(self, tell: Callable[[], None]) -> None:
        """Have `tell` called once, at the end of the answer, after whoever asked before; now, if that is past."""
        if self._ended:
            tell()
            return
        before = self._on_end

        def both() -> None:
            if before is not None:
                before()
            tell()

        self._on_end = both

    async def begin(self) -> None:
        """Wait for the first segment and keep it: until it is out, an error can still be an HTTP status."""
        self._first = await self._pull()

    async def next(self) -> Segment | None:
        first = self._first
        if first is not None:
            self._first = None
            return first
        return None if self._ended else await self._pull()

    async def _pull(self) -> Segment | None:
        raise NotImplementedError

    def _end(self) -> None:
        self._ended = True
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()

    def abort(self) -> None:
        """The client left. Idempotent; after the end it does nothing but free the connection."""
        self._incoming.abort()
        if not self._ended:
            self._end()


class PassSource(BaseSource):
    """The upstream's own bytes, watched."""

    __slots__ = ("_at_boundary", "_dialect", "_request_id", "_sse", "_watch")

    def __init__(self, incoming: Incoming, dialect: Dialect, watch: Watch, request_id: str, *, sse: bool) -> None:
        super().__init__(incoming)
        self._dialect = dialect
        self._watch = watch
        self._request_id = request_id
        self._sse = sse
        self._at_boundary = True

    async def _pull(self) -> Segment | None:
        watch = self._watch
        try:
            while (data := await self._incoming.next()) is not None:
                wire = watch.feed(data)
                if wire:
                    self.content = watch.content
                    self._at_boundary = wire.endswith((b"\n\n", b"\r\n\r\n"))
                    if watch.problem is not None:
                        self.problem = watch.problem
                    return Segment(wire)
        except TransportError as error:
            return self._fail(error.problem)
        rest = watch.close()
        self.usage = watch.usage
        self.content = watch.content
        self.problem = watch.problem
        if not watch.finished and watch.problem is None:
            return self._fail(CUT, rest)
        self._end()
        return Segment(rest) if rest else None

    def _fail(self, problem: Problem, rest: bytes = b"") -> Segment | None:
        self._incoming.abort()
        self.problem = problem
        self.usage = self._watch.usage
        if not self._sse:
            self.broken = True
            self._end()
            return Segment(rest) if rest else None
        gap = b"" if (self._at_boundary if not rest else rest.endswith(b"\n\n")) else b"\n\n"
        self._end()
        return Segment(rest + gap + self._dialect.render_stream_error(problem, self._request_id))

    def keepalive(self) -> bytes:
        return _PINGS.get(self._dialect.name, _COMMENT) if self._sse and self._at_boundary and not self._ended else b""

    def abort(self) -> None:
        self.usage = self._watch.usage
        super().abort()


class TranslatedSource(BaseSource):
    """The upstream's events, rendered in the client's dialect."""

    __slots__ = ("_feed", "_parser", "_renderer", "_request_id", "_told", "seals")

    def __init__(self, incoming: Incoming, parser: StreamParser, renderer: StreamRenderer, request_id: str) -> None:
        super().__init__(incoming)
        self._request_id = request_id
        self.seals = SealWatch()
        self._parser = parser
        self._feed = parser.feed
        self._renderer = renderer
        self._told = False

    async def _pull(self) -> Segment | None:
        try:
            while (data := await self._incoming.next()) is not None:
                events = self._feed(data)
                if events and not self._told:
                    self._note(events)
                    wire = self._renderer.render(events)
                    if wire:
                        return Segment(wire, events)
            events = [] if self._told else self._parser.close()
        except TransportError as error:
            self._incoming.abort()
            events = [] if self._told else [StreamError(error.problem)]
        self._note(events)
        wire = self._renderer.render(events) if events else b""
        self._end()
        return Segment(wire, events) if wire else None

    def _note(self, events: list[StreamEvent]) -> None:
        """Learn what the events tell; give a tool call that has no id one, in place."""
        for i, event in enumerate(events):
            if type(event) is TextDelta:
                continue
            match event:
                case BlockStart():
                    self.content = True
                    event = events[i] = name_call(event, self._request_id)  # noqa: PLW2901 - the same event, named
                case UsageUpdate():
                    self.usage = update_usage(self.usage, event.usage)
                case StreamError():
                    self.problem = event.problem
                    self._told = True
                case MessageStop():
                    self._told = True
                case _:
                    pass
            self.seals.add(event)

    def keepalive(self) -> bytes:
        return b"" if self._ended else self._renderer.keepalive()
