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
from gatewright.ir.response import Usage

LEAST_OVERLAP: Final = 12
"""Characters that a continuation must repeat unasked before they are taken for a repetition."""
_AXES: Final = tuple(name for name in Usage.__struct_fields__ if name not in ("service_tier", "raw"))
_LEADS: Final = " \t\r\n\"'`“”„‘’«»…"
"""What models put before words that they were asked to repeat."""
_CLOSING: Final = {'"': '"', "'": "'", "`": "`", "“": "”", "„": "“", "‘": "’", "«": "»"}
_SPACELESS: Final = 0x0E00
"""From Thai on, most scripts put no spaces between words."""

replace = msgspec.structs.replace


class Joint:
    """Joins the text of a continuation to the text that is out: drops what it repeats, mends the white space between.

    Text is held for as long as it may still be a repetition, and never for longer than what is out.
    """

    def __init__(self, before: str, way: Way = "prefill", anchor: str = "") -> None:
        """`before`: the text that is out. `anchor`: the words that the continuation was asked to begin with."""
        self._before = before
        self._anchor = anchor
        self._exact = way == "prefill"
        self._held = ""
        self.settled = not before or way == "again"
        """Whether what comes now goes out as it is."""
        self.shift = 0
        """Characters that the continuation's text is longer here than as it came (shorter: less than 0)."""

    def feed(self, text: str) -> str:
        """What may go out now."""
        if self.settled:
            return text
        self._held += text
        return self._decided(last=False)

    def close(self) -> str:
        """What was held, when no more comes."""
        return "" if self.settled else self._decided(last=True)

    def _decided(self, *, last: bool) -> str:
        new, before = self._held, self._before
        if not new.strip() and not last:
            return ""
        place = _behind(new, self._anchor) if self._anchor else -1
        if place == 0 and not last:
            return ""
        if place > 0:
            rest = new[place:]
            if not rest.strip() and not last:
                return ""
            return self._settle(self._spaced(rest, repeated=True))
        if not self._exact:
            if new in before and not last:
                return ""
            if repeated := _overlap(before, new):
                return self._settle(new[repeated:])
        return self._settle(self._spaced(new, repeated=self._exact))

    def _settle(self, text: str) -> str:
        self.shift = len(text) - len(self._held)
        self.settled, self._held = True, ""
        return text

    def _spaced(self, text: str, *, repeated: bool) -> str:
        """`text` with the white space that fits behind what is out. `repeated`: it says itself whether any belongs there."""
        said = self._before.rstrip()
        out = self._before[len(said) :]
        bare = text.lstrip()
        lead = text[: len(text) - len(bare)]
        if out:  # of its repetition only what goes beyond it
            if lead.startswith(out):
                return text[len(out) :]
            return bare if out.startswith(lead) or not bare else text
        if lead or repeated or not bare:
            return text
        return f" {bare}" if _are_words(said[-1:], bare[0]) else bare


def _behind(new: str, anchor: str) -> int:
    """The place in `new` behind the anchor at its head; 0 while only the anchor's beginning is there; -1: it is not there."""
    for lead in ("", _LEADS):
        form = new.lstrip(lead) if lead else new
        if form.startswith(anchor):
            place = len(new) - len(form) + len(anchor)
            quote = _CLOSING.get(new[len(new) - len(form) - 1 :][:1]) if len(form) < len(new) else None
            return place + 1 if quote is not None and new.startswith(quote, place) else place
        if anchor.startswith(form):
            return 0
    return -1


def _overlap(before: str, new: str) -> int:
    """Characters at the head of `new` that `before` ends with; the most, and none below `LEAST_OVERLAP`."""
    for size in range(min(len(before), len(new)), LEAST_OVERLAP - 1, -1):
        if before.endswith(new[:size]):
            return size
    return 0


def _are_words(before: str, after: str) -> bool:
    """Whether a space belongs between two characters: a fresh turn leaves out the one that it would begin with."""
    if ord(before) >= _SPACELESS or ord(after) >= _SPACELESS or not after.isalnum():
        return False
    return before.isalnum() or before in ".,;:!?)]"


def added(first: Usage | None, second: Usage | None) -> Usage | None:
    """The tokens of both, axis by axis; the tier that served last. The origins' own words for them (`raw`) do not add up."""
    if first is None or second is None:
        told = first or second
        return None if told is None else replace(told, raw={})
    sums: dict[str, int | None] = {}
    for axis in _AXES:
        one, other = getattr(first, axis), getattr(second, axis)
        sums[axis] = None if one is None and other is None else (one or 0) + (other or 0)
    return Usage(**sums, service_tier=second.service_tier or first.service_tier)


class Splicer:
    """Events of a continuation -> the events that go on from what is out. Together with that they fit the grammar."""

    def __init__(
        self, delivered: Delivered, *, begun: bool = True, usage: Usage | None = None, way: Way = "again", anchor: str = ""
    ) -> None:
        """`begun`: the message's start is out. `usage`: what the streams before told. `way` and `anchor`: see `continuing`."""
        last = delivered.blocks[-1] if delivered.blocks else None
        self._begun = begun
        self._before = usage
        self._usage: Usage | None = None
        self._next = len(delivered.blocks)
        """Index of the next block that begins."""
        self._open = last if delivered.open else None
        """The block of what is out that waits for its end."""
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
                if not self._begun:
                    self._begun = True
                    out.append(event)
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
                self._close_open(out)
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

    def _close_open(self, out: list[StreamEvent]) -> None:
        """End the block that was open at the cut, if it still is."""
        if self._open is None:
            return
        if self._here == "open" and self._joint is not None:
            if text := self._joint.close():
                out.append(TextDelta(self._next - 1, text))
            self._joint = None
        self._open, self._here = None, "between"
        out.append(BlockStop(self._next - 1))

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


def _moved(citation: Citation, by: int) -> Citation:
    """The citation, with its places counted from the beginning of the whole block."""
    if not by:
        return citation
    start, end = (None if place is None else max(0, place + by) for place in (citation.start, citation.end))
    return replace(citation, start=start, end=end)
