"""Streamed answers, pulled by the server: bytes that pass, and bytes that are rendered from events.

One rule: a source never raises. A cut, a stall or nonsense becomes the dialect's error event; a stream that did not tell its
own end never ends cleanly. Whoever asked by `when_ended` is told exactly once, however it ends.
"""

import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from gatewright.dialects.bedrock_converse.frames import KEEP_ALIVE
from gatewright.dialects.protocol import Dialect, StreamParser, StreamRenderer, Watch
from gatewright.errors import Problem
from gatewright.exchange import Client, Segment
from gatewright.ir.blocks import Block, DialectName, Reasoning, Text
from gatewright.ir.events import (
    BlockStart,
    BlockStop,
    CitationDelta,
    MessageStop,
    ReasoningDelta,
    SealDelta,
    StreamError,
    StreamEvent,
    TextDelta,
    UsageUpdate,
)
from gatewright.ir.fold import update_usage
from gatewright.ir.response import Usage
from gatewright.pipeline.names import Names, client_name
from gatewright.pipeline.replayed import Marker
from gatewright.pipeline.seals import SealWatch, name_call
from gatewright.pipeline.spoken import said, tokens, tokens_passed
from gatewright.transport import Incoming, TransportError
from gatewright.wire.sse import without_line_separators
from gatewright.wire.whole_events import ENDS, WholeEvents

_COMMENT = b": keep-alive\n\n"
_BLANK = b"\r\n"
_PINGS: dict[DialectName, bytes] = {"anthropic": b'event: ping\ndata: {"type": "ping"}\n\n', "gemini": _BLANK}
"""Google's own SDKs take a comment for JSON; blank lines they skip."""
_LAST_WORD: dict[DialectName, bytes] = {"openai_chat": b"[DONE]"}
"""What a stream that told a finish reason must still say before a cut is no loss: of several choices one may be unfinished."""

log = logging.getLogger("gatewright")

BEGINNING_BYTES = 64 << 10
"""A beginning without content that is longer than this goes out all the same."""

CUT = Problem(kind="upstream", code="stream_cut", message="The provider's stream ended before its answer did.")


def _bug(request_id: str) -> Problem:
    return Problem(kind="internal", message=f"The gateway failed on this answer ({request_id}); its log says why.")


def _only_opened(block: Block) -> bool:
    """Whether a block that starts shows nothing yet: what is in it comes as deltas, or does not come at all."""
    match block:
        case Text(text=""):
            return True
        case Reasoning(text="", summary=(), seal=None):
            return True
        case _:
            return False


def first_ping(dialect: DialectName) -> bytes:
    """What may be said before anything else of a stream."""
    if dialect == "bedrock_converse":
        return KEEP_ALIVE
    return _BLANK if dialect == "gemini" else _COMMENT


class BaseSource:
    """What both kinds share: the first segment is taken early (`begin`), the end is told once."""

    __slots__ = ("_first", "_incoming", "_on_end", "broken", "content", "ended", "left", "problem", "usage")

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._first: Segment | None = None
        self.ended = False
        """The last step has been given, or waits in `_first`."""
        self._on_end: tuple[Callable[[], None], ...] = ()
        self.usage: Usage | None = None
        self.problem: Problem | None = None
        """What ended the stream, if it was an error."""
        self.content = False
        """Whether anything a client can see has been told."""
        self.left = False
        """The client left before the end."""
        self.broken = False
        """The framing has no error event: the server must not end the body cleanly."""

    def when_ended(self, tell: Callable[[], None]) -> None:
        """Have `tell` called once, at the end of the answer, after whoever asked before; now, if that is past."""
        if self.ended:
            tell()
            return
        self._on_end += (tell,)

    async def begin(self, *, until_content: bool = False) -> None:
        """Wait for the first segment and keep it: until it is out, an error can still be an HTTP status.

        `until_content`: for as long as nothing that a client can see has come, within bounds: until then another target can
        take over without the client's notice.
        """
        first = self._first = await self._pull()
        while until_content and first is not None and not (self.content or self.ended or self.problem is not None):
            more = await self._pull()
            if more is None:
                break
            first.wire += more.wire
            first.events = None if first.events is None or more.events is None else (*first.events, *more.events)
            until_content = len(first.wire) < BEGINNING_BYTES

    async def flow(self, client: Client) -> None:
        """Push what arrives, where each piece can be told by itself and the transport can do so. Kinds that cannot are pulled."""
        pour = getattr(self._incoming, "pour", None)
        if pour is not None and self._first is None and not self.ended and type(self) in _FLOWING:
            await pour(self._sink(client))

    def _sink(self, client: Client) -> Callable[[bytes], bool]:
        """What `flow` pours into: does with a piece what `_pull` would, and says whether it did."""
        raise NotImplementedError

    def next(self) -> Coroutine[Any, Any, Segment | None]:
        """The next segment, to be awaited. Not `async` itself: that would be a frame more for every event."""
        return self._pull() if self._first is None and not self.ended else self._kept()

    async def _kept(self) -> Segment | None:
        first, self._first = self._first, None
        return first

    async def _pull(self) -> Segment | None:
        raise NotImplementedError

    def _end(self) -> None:
        self.ended = True
        on_end, self._on_end = self._on_end, ()
        for tell in on_end:
            try:
                tell()
            except Exception:  # the answer is out, whoever watched it
                log.exception("what follows an answer failed on a bug of ours")

    def keepalive(self) -> bytes:
        raise NotImplementedError

    def usage_so_far(self) -> Usage | None:
        """What has been told of usage until now."""
        return self.usage

    def spoken(self) -> int:
        """Tokens of the answer that were told until now: an estimate, for who cannot know from the usage."""
        return 0

    def abort(self) -> None:
        """The client left. Idempotent; after the end it does nothing but free the connection."""
        self._incoming.abort()
        if not self.ended:
            self.left = self.problem is None
            self._end()


class PassSource(BaseSource):
    """The upstream's own bytes, watched. Server-sent events go on whole, and the watch is given nothing else."""

    __slots__ = ("_broke", "_dialect", "_events", "_last", "_passed", "_request_id", "_sse", "_watch")

    def __init__(self, incoming: Incoming, dialect: Dialect, watch: Watch, request_id: str, *, sse: bool) -> None:
        super().__init__(incoming)
        self._dialect = dialect
        self._watch = watch
        self._request_id = request_id
        self._sse = sse
        self._events = WholeEvents()
        self._last = b""
        self._passed = 0
        """Bytes that have gone on."""
        self._broke = False

    async def _pull(self) -> Segment | None:
        watch, events = self._watch, self._events
        if self._broke:
            return self._fail(_bug(self._request_id))
        try:
            while (data := await self._incoming.next()) is not None:
                if self._sse and (events.held or not events.at_boundary or not data.endswith(ENDS)):  # as `feed` asks, uncalled
                    data = events.feed(data)
                    if not data:
                        continue
                wire = watch.feed(data)
                if wire:
                    self._last = wire
                    self._passed += len(wire)
                    self.content = watch.content
                    if watch.problem is not None:
                        self.problem = watch.problem
                    elif watch.finished and not events.held and getattr(self._incoming, "over", False):
                        self.usage = watch.usage
                        self._end()
                    return Segment(wire)
            rest = watch.feed(events.close()) if events.held else b""
        except TransportError as error:
            if watch.problem is None and not (watch.finished and _LAST_WORD.get(self._dialect.name, b"") in self._last):
                return self._fail(error.problem)
            self._incoming.abort()
            rest = b""
        except Exception:
            log.exception("request %s: its stream failed on a bug of ours", self._request_id)
            return self._fail(_bug(self._request_id))
        self.usage = watch.usage
        self.content = watch.content
        self.problem = watch.problem
        if not watch.finished and watch.problem is None:
            return self._fail(CUT)
        self._end()
        return Segment(rest) if rest else None

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
            if wire:
                self._last = wire
                self._passed += len(wire)
                if watch.problem is not None:
                    self.problem = watch.problem
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
        self._end()
        return Segment(gap + self._dialect.render_stream_error(problem, self._request_id))

    def keepalive(self) -> bytes:
        return _PINGS.get(self._dialect.name, _COMMENT) if self._sse and self._events.at_boundary and not self.ended else b""

    @property
    def whole_events(self) -> bool:
        """Whether it is events that pass, and not the pieces of a JSON array."""
        return self._sse

    def usage_so_far(self) -> Usage | None:
        return self._watch.usage

    def spoken(self) -> int:
        return tokens_passed(self._passed, self._last, self._dialect) if self._watch.content else 0

    def abort(self) -> None:
        self.usage = self._watch.usage
        super().abort()


class TranslatedSource(BaseSource):
    """The upstream's events, rendered in the client's dialect."""

    __slots__ = (
        "_broke", "_characters", "_feed", "_marker", "_names", "_parser", "_request_id", "_sse", "_told", "mute",
        "renderer", "seals",
    )  # fmt: skip

    def __init__(
        self,
        incoming: Incoming,
        parser: StreamParser,
        renderer: StreamRenderer,
        request_id: str,
        *,
        marker: Marker | None = None,
        names: Names | None = None,
        sse: bool = True,
    ) -> None:
        """`sse`: the client's framing is text, in which a line separator may end a line; binary frames are not to be touched."""
        super().__init__(incoming)
        self._sse = sse
        self._names = names or {}
        self._request_id = request_id
        self._marker = marker
        self.seals = SealWatch()
        self._parser = parser
        self._feed = parser.feed
        self.renderer = renderer
        self._told = False
        self._broke = False
        self.mute: list[StreamEvent] = []
        """Events that this client's dialect has no bytes for. They come with the next that have; at the end they stay here."""
        self._characters = 0
        """What the model has written."""

    async def _pull(self) -> Segment | None:
        try:
            while not self._broke and (data := await self._incoming.next()) is not None:
                events = self._feed(data)
                if events and not self._told:
                    self._note(events)
                    wire = self._render(events)
                    if wire or self.problem is not None:
                        if bool(self._told) and getattr(self._incoming, "over", False):  # bool: `_note` has set it
                            self._end()
                        events, self.mute = [*self.mute, *events], []
                        return Segment(wire, events)
                    self.mute += events
            if self._broke:
                self._incoming.abort()
                events = [StreamError(_bug(self._request_id))]
            else:
                events = [] if self._told else self._parser.close()
            self._note(events)
            wire = self._render(events) if events else b""
        except TransportError as error:
            self._incoming.abort()
            events = [] if self._told else self._ended_or(error.problem)
            wire = self._last_words(events)
        except Exception:
            log.exception("request %s: its stream failed on a bug of ours", self._request_id)
            self._incoming.abort()
            events = [StreamError(_bug(self._request_id))]
            wire = self._last_words(events)
        events, self.mute = [*self.mute, *events], []
        self._end()
        if wire:
            return Segment(wire, events)
        self.mute = events
        return None

    def _sink(self, client: Client) -> Callable[[bytes], bool]:
        feed, render, push, sse = self._feed, self.renderer.render, client.push, self._sse

        def sink(data: bytes) -> bool:
            if client.unread or self._told:
                return False
            try:
                events = feed(data)
                if not events:
                    return True
                if len(events) > 1 or type(events[0]) is not TextDelta:
                    self._note(events)
                else:
                    self.content = True
                    self._characters += len(events[0].text)
                wire = render(events)
                if wire:
                    push(without_line_separators(wire) if sse and 0xE2 in wire else wire)
            except Exception:
                log.exception("request %s: its stream failed on a bug of ours", self._request_id)
                self._broke = True
                return False
            return True

        return sink

    def spoken(self) -> int:
        return tokens(self._characters)

    def _ended_or(self, problem: Problem) -> list[StreamEvent]:
        """How a stream ends whose connection broke: as it told itself, where all but the end of its body had come."""
        last = self._parser.close()
        complete = bool(last) and isinstance(last[-1], MessageStop)
        return last if complete else [StreamError(problem)]

    def _render(self, events: list[StreamEvent]) -> bytes:
        wire = self.renderer.render(events)
        return without_line_separators(wire) if self._sse else wire

    def _last_words(self, events: list[StreamEvent]) -> bytes:
        """The wire that ends the stream in an error. Where even that fails, the server breaks the body off."""
        try:
            self._note(events)
            return self._render(events) if events else b""
        except Exception:
            log.exception("request %s: its error event failed on a bug of ours", self._request_id)
            self.broken = True
            return b""

    def _note(self, events: list[StreamEvent]) -> None:
        """Learn what the events tell; in place, name tool calls without an id and mark what is unsealed."""
        marks: list[tuple[int, StreamEvent]] = []
        self._characters += said(events)
        for i, event in enumerate(events):
            if type(event) is TextDelta:
                self.content = True
                continue
            match event:
                case BlockStart():
                    self.content = self.content or not _only_opened(event.block)
                    named = client_name(name_call(event, self._request_id), self._names)
                    event = events[i] = named  # noqa: PLW2901 - the same event, named
                case UsageUpdate():
                    self.usage = update_usage(self.usage, event.usage)
                case StreamError():
                    self.problem = event.problem
                    self._told = True
                case MessageStop():
                    self._told = True
                case ReasoningDelta() | SealDelta() | CitationDelta():
                    self.content = True
                case _:
                    pass
            self.seals.add(event)
            if self._marker is not None and self._marker.needs(event) and isinstance(event, BlockStop):
                marks.append((i, self._marker.delta(event.index)))
        for i, delta in reversed(marks):
            events.insert(i, delta)

    def keepalive(self) -> bytes:
        return b"" if self.ended else self.renderer.keepalive()


_FLOWING: Final = frozenset((PassSource, TranslatedSource))
"""Not their subclasses, which do more with what they pull."""
