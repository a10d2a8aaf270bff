"""The events of a second stream, spliced into the first where that was cut: together they are one answer.

One rule: what is out stays as it is. The second stream begins no message and repeats no words; its blocks are numbered on, its
tokens added to the first's, and it alone ends the answer.
"""

from collections.abc import Iterable
from typing import Final, Literal, assert_never

import msgspec

from gatewright.ir.blocks import Block, Citation, Reasoning, Text
from gatewright.ir.continuing import Delivered, Way
from gatewright.ir.events import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    CitationDelta,
    MessageStart,
    MessageStop,
    NativeEvent,
    ReasoningDelta,
    SealDelta,
    StreamError,
    StreamEvent,
    TextDelta,
    UsageUpdate,
)
from gatewright.ir.fold import update_usage
from gatewright.ir.joint import Joint
from gatewright.ir.response import Usage
from gatewright.jsontypes import JsonObject

_AXES: Final = tuple(name for name in Usage.__struct_fields__ if name not in ("service_tier", "raw"))

replace = msgspec.structs.replace


def added(first: Usage | None, second: Usage | None) -> Usage | None:
    """The tokens of both, axis by axis; the tier that served last. The origins' own words for them (`raw`) do not add up."""
    if first is None or second is None:
        told = first or second
        return None if told is None else replace(told, raw={})
    sums: dict[str, int | None] = {}
    for axis in _AXES:
        one, other = getattr(first, axis), getattr(second, axis)
        sums[axis] = None if one is None and other is None else (one or 0) + (other or 0)
    return replace(Usage(service_tier=second.service_tier or first.service_tier), **sums)


class Splicer:
    """Events of a continuation -> the events that go on from what is out. Together with that they fit the grammar."""

    def __init__(
        self,
        delivered: Delivered,
        *,
        begun: MessageStart | None,
        usage: Usage | None = None,
        way: Way = "again",
        anchor: str = "",
        ending: JsonObject | None = None,
    ) -> None:
        """`begun`: the message's start, if it is out. `usage`: what the streams before told. `way` and `anchor`: how the rest was
        asked for (`continuing`). `ending`: what the origin of the first stream tells at a text's end, where that is to be told.
        """
        last = delivered.blocks[-1] if delivered.blocks else None
        self._begun = begun
        self._before = usage
        self._usage: Usage | None = None
        self._next = len(delivered.blocks)
        """Index of the next block that begins."""
        self._open = last if delivered.open else None
        """The block of what is out that waits for its end."""
        self._ending = ending or {}
        self._alike = False
        """Both streams are of one dialect."""
        self._length = len(last.text) if isinstance(last, Text) and delivered.open else 0
        joint = Joint(delivered.text, way, anchor)
        self._joint: Joint | None = None if joint.settled else joint
        """For the first text; None where there is nothing to join, once that text has ended, or if something else came before."""
        self._here: Literal["between", "open", "own", "late", "dropped"] = "between"
        """What the second stream is within: nothing, the block that was open, one of its own, a text of its own that is shown
        with its first words, one that is not shown."""
        self._late = BlockStart(0, Text(text=""))

    @property
    def usage(self) -> Usage | None:
        """The tokens of all streams so far."""
        return added(self._before, self._usage)

    def feed(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        """The spliced events; none, where these say nothing new."""
        out: list[StreamEvent] = []
        for event in events:
            self._add(event, out)
        return out

    def _add(self, event: StreamEvent, out: list[StreamEvent]) -> None:
        match event:
            case MessageStart():
                if self._begun is None:
                    self._begun = event
                    out.append(event)
                self._alike = event.origin == self._begun.origin
            case NativeEvent():
                pass  # it speaks of the second stream, whose ids and numbers nobody has seen
            case UsageUpdate():
                self._usage = update_usage(self._usage, event.usage)
                if (usage := self.usage) is not None:
                    out.append(UsageUpdate(usage))
            case BlockStart():
                self._start(event.block, out)
            case BlockStop():
                self._stop(event, out)
            case MessageStop():
                self._close_open(out)
                out.append(event)
            case StreamError():
                out.append(event)
            case TextDelta():
                self._text(event, out)
            case ReasoningDelta() | ArgumentsDelta() | SealDelta() | CitationDelta():
                self._delta(event, out)
            case _:
                assert_never(event)

    def _start(self, block: Block, out: list[StreamEvent]) -> None:
        match self._open, block:
            case Text(), Text():
                self._here = "open"
                if block.text:
                    self._text(TextDelta(0, block.text), out)
                return
            case Text(), Reasoning():
                self._here = "dropped"  # thoughts on how to go on, in the middle of what is said
                return
            case Reasoning(), Reasoning() if replace(block, at=self._open.at, text="", seal=None) == self._open:
                self._here = "open"
                if block.text:
                    out.append(ReasoningDelta(self._next - 1, block.text))
                if block.seal is not None:
                    out.append(SealDelta(self._next - 1, block.seal))
                return
            case _:
                self._close_open(out)
        if isinstance(block, Text) and self._joint is not None:
            self._here, self._late = "late", BlockStart(self._next, replace(block, text=""))
            if block.text:
                self._text(TextDelta(0, block.text), out)
            return
        if not isinstance(block, Reasoning):
            self._joint = None
        self._here = "own"
        out.append(BlockStart(self._next, block))

    def _stop(self, event: BlockStop, out: list[StreamEvent]) -> None:
        here, self._here = self._here, "between"
        if here == "open":
            if isinstance(self._open, Text):
                self._here = "open"
                self._close_open(out, event.extras if self._alike else None)
            else:
                self._open = None
                out.append(BlockStop(self._next - 1, event.extras))
        elif here == "late":
            assert self._joint is not None
            if text := self._joint.close():
                out += (self._late, TextDelta(self._next, text))
                here = "own"  # else it had nothing to add, and is left out
        if here == "own":
            self._joint = self._joint if self._joint is not None and not self._joint.settled else None
            out.append(BlockStop(self._next, event.extras))
            self._next += 1

    def _close_open(self, out: list[StreamEvent], told: JsonObject | None = None) -> None:
        """End the block that was open at the cut, if it still is. `told`: what the second stream says at its end."""
        block = self._open
        if block is None:
            return
        if self._here == "open" and self._joint is not None:
            if text := self._joint.close():
                out.append(TextDelta(self._next - 1, text))
            self._joint = None
        self._open, self._here = None, "between"
        late = (self._ending if told is None else told) if isinstance(block, Text) else {}
        out.append(BlockStop(self._next - 1, _under(late, block.extras)))

    def _text(self, event: TextDelta, out: list[StreamEvent]) -> None:
        index = self._next - 1 if self._here == "open" else self._next
        if self._here == "own" or self._joint is None:
            out.append(replace(event, index=index))
            return
        text = self._joint.feed(event.text)
        if not text:
            return
        if self._here == "late":
            out.append(self._late)
            self._here = "own"
        out.append(replace(event, index=index) if text == event.text else TextDelta(index, text))

    def _delta(self, event: ReasoningDelta | ArgumentsDelta | SealDelta | CitationDelta, out: list[StreamEvent]) -> None:
        within_text = self._here == "open" and isinstance(self._open, Text)
        if self._here in ("dropped", "late") or (within_text and isinstance(event, SealDelta)):
            return  # not shown, or a seal on words of which some are another's
        index = self._next - 1 if self._here == "open" else self._next
        if isinstance(event, CitationDelta):
            by = (self._length if within_text else 0) + (self._joint.shift if self._joint is not None else 0)
            out.append(CitationDelta(index, _moved(event.citation, by)))
        else:
            out.append(replace(event, index=index))


def _under(late: JsonObject, told: JsonObject) -> JsonObject:
    """The fields of `late`; what was told of them before stands."""
    merged: JsonObject = {}
    for key, value in late.items():
        before = told.get(key, value)
        merged[key] = {**_under(value, before), **before} if isinstance(value, dict) and isinstance(before, dict) else before
    return merged


def _moved(citation: Citation, by: int) -> Citation:
    """The citation, with its places counted from the beginning of the whole block."""
    if not by:
        return citation
    start, end = (None if place is None else max(0, place + by) for place in (citation.start, citation.end))
    return replace(citation, start=start, end=end)
