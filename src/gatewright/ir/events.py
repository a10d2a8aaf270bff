"""Stream events, one grammar for every dialect.

    MessageStart ( BlockStart Delta* BlockStop | UsageUpdate | NativeEvent )* ( MessageStop | StreamError )

One block is open at a time; `index` counts blocks from 0. A stream may also be nothing but a StreamError.
Parsers emit only this grammar and renderers accept all of it (`Grammar` checks it).
"""

from typing import TypeAlias

import msgspec

from gatewright.errors import Problem
from gatewright.ir.blocks import Block, Citation, DialectName, TokenLogprob
from gatewright.ir.response import Finish, Usage
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject


class Event(msgspec.Struct, frozen=True, gc=False):
    """Base of all events."""


class MessageStart(Event, frozen=True, kw_only=True):
    id: str
    model: str
    origin: DialectName
    created: int | None = None
    extras: JsonObject = {}
    """Fields of the first chunk (or of the message object) that the neutral form has no word for."""
    form: tuple[str, ...] = ()
    others: tuple[JsonObject, ...] = ()
    """Only from `unfold`: see `Response.others`."""


class BlockStart(Event, frozen=True):
    index: int
    block: Block
    """The block as far as it is known now: texts, arguments, summaries, citations and seals follow as deltas;
    Media, ToolResult and Native come whole."""


class TextDelta(Event, frozen=True):
    """More text of an open Text or Refusal block."""

    index: int
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


class ReasoningDelta(Event, frozen=True):
    index: int
    text: str
    part: int | None = None
    """Index of the summary part it belongs to. None: the reasoning itself."""


class ArgumentsDelta(Event, frozen=True):
    index: int
    text: str


class SealDelta(Event, frozen=True):
    """The open block's seal, whole. A later one replaces it."""

    index: int
    seal: Seal


class CitationDelta(Event, frozen=True):
    index: int
    citation: Citation


class BlockStop(Event, frozen=True):
    index: int
    extras: JsonObject = {}
    """Fields that the origin told only at the block's end; added to the block's own."""


class UsageUpdate(Event, frozen=True):
    """Cumulative: axes that are not None replace what was said before; `raw` replaces `raw`."""

    usage: Usage


class MessageStop(Event, frozen=True, kw_only=True):
    finish: Finish | None
    extras: JsonObject = {}
    """Fields that the origin told only at the end; added to the message's own."""


class StreamError(Event, frozen=True):
    problem: Problem


class NativeEvent(Event, frozen=True, kw_only=True):
    """An event that only its own dialect knows. Not part of the folded answer."""

    origin: DialectName
    data: JsonObject
    name: str = ""
    """The SSE event name, where the wire has one."""


StreamEvent: TypeAlias = (
    MessageStart
    | BlockStart
    | TextDelta
    | ReasoningDelta
    | ArgumentsDelta
    | SealDelta
    | CitationDelta
    | BlockStop
    | UsageUpdate
    | MessageStop
    | StreamError
    | NativeEvent
)

GRAMMAR: dict[str, dict[type[Event], str]] = {
    "start": {MessageStart: "message", StreamError: "end", NativeEvent: "start"},
    "message": {
        BlockStart: "block",
        UsageUpdate: "message",
        NativeEvent: "message",
        MessageStop: "end",
        StreamError: "end",
    },
    "block": {
        TextDelta: "block",
        ReasoningDelta: "block",
        ArgumentsDelta: "block",
        SealDelta: "block",
        CitationDelta: "block",
        UsageUpdate: "block",
        NativeEvent: "block",
        BlockStop: "message",
        StreamError: "end",
    },
    "end": {},
}
"""State → event → next state. Usage and native events may fall anywhere: upstreams send them when they like."""


class Grammar:
    """Checks a stream of events against the grammar; for tests, and for code that must not trust its input."""

    def __init__(self) -> None:
        self.state = "start"
        self.blocks = 0

    def check(self, event: StreamEvent) -> None:
        """Raises AssertionError with the state and the event when `event` may not come now."""
        following = GRAMMAR[self.state].get(type(event))
        assert following is not None, f"{type(event).__name__} may not come in state {self.state!r}"
        if isinstance(event, BlockStart):
            assert event.index == self.blocks, f"block {event.index} opened, {self.blocks} was next"
            self.blocks += 1
        elif isinstance(event, TextDelta | ReasoningDelta | ArgumentsDelta | SealDelta | CitationDelta | BlockStop):
            assert event.index == self.blocks - 1, f"{type(event).__name__} for block {event.index}, not the open one"
        self.state = following
