"""Streams that cross the neutral form: events in, and the client's bytes out."""

import logging
from collections.abc import Callable
from itertools import groupby
from operator import attrgetter

from gatewright.dialects.protocol import StreamParser, StreamRenderer
from gatewright.errors import Problem, scrubbed
from gatewright.exchange import Client, Segment
from gatewright.ir.blocks import Block, Reasoning, Text
from gatewright.ir.events import (
    ArgumentsDelta,
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
from gatewright.pipeline.names import Names, client_name
from gatewright.pipeline.replayed import Marker
from gatewright.pipeline.seals import SealWatch, name_call
from gatewright.pipeline.sources import BaseSource, bug
from gatewright.pipeline.spoken import tokens
from gatewright.transport import Incoming, TransportError
from gatewright.wire.sse import without_line_separators

log = logging.getLogger("gatewright")
_text_of = attrgetter("text")


def _only_opened(block: Block) -> bool:
    """Whether a block that starts shows nothing yet: what is in it comes as deltas, or does not come at all."""
    match block:
        case Text(text=""):
            return True
        case Reasoning(text="", summary=(), seal=None):
            return True
        case _:
            return False


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
                events = [StreamError(bug(self._request_id))]
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
            events = [StreamError(bug(self._request_id))]
            wire = self._last_words(events)
        events, self.mute = [*self.mute, *events], []
        self._end()
        if wire:
            return Segment(wire, events)
        self.mute = events
        return None

    async def flow(self, client: Client) -> None:
        if type(self) is TranslatedSource:  # a subclass does more with what it pulls
            await self._pour(client)

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
        at = characters = 0
        for kind, run in groupby(events, type):
            if kind is TextDelta:  # in a burst, nearly all
                sizes = list(map(len, map(_text_of, run)))
                at += len(sizes)
                characters += sum(sizes)
                continue
            for event in list(run):
                events[at], spoken = self._noted(event)
                characters += spoken
                if self._marker is not None and self._marker.needs(events[at]) and isinstance(event, BlockStop):
                    marks.append((at, self._marker.delta(event.index)))
                at += 1
        if characters:
            self._characters += characters
            self.content = True
        for i, delta in reversed(marks):
            events.insert(i, delta)

    def _noted(self, event: StreamEvent) -> tuple[StreamEvent, int]:
        """The same event, named where it begins a call without an id; and how many characters it says."""
        spoken = 0
        match event:
            case BlockStart():
                self.content = self.content or not _only_opened(event.block)
                event = client_name(name_call(event, self._request_id), self._names)
            case UsageUpdate():
                self.usage = update_usage(self.usage, event.usage)
            case StreamError():
                self.problem = scrubbed(event.problem, self.scrub)
                event = StreamError(self.problem)  # the same, without what it must not tell
                self._told = True
            case MessageStop():
                self._told = True
            case ReasoningDelta():
                self.content = True
                spoken = len(event.text)
            case ArgumentsDelta():
                spoken = len(event.text)
            case SealDelta() | CitationDelta():
                self.content = True
            case _:
                pass
        self.seals.add(event)
        return event, spoken

    def keepalive(self) -> bytes:
        return b"" if self.ended else self.renderer.keepalive()
