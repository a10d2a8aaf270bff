"""Rules held against a stream of events: what may leave, in its order, edited.

    events ─▶ queue ─▶ windows, checks, judges ─▶ events that may leave
                          └─ a violation: what stands before it leaves, then the stream ends

One rule: nothing leaves before all that came before it. What waits for a judgement holds up all behind it.
Blocks of text that stand side by side share one window: the end of one is held as long as a match may go on in the next.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from gatewright.guards.check import Checker, put_back, put_back_json
from gatewright.guards.check_native import NativeTexts, Pieces
from gatewright.guards.redact import Redactor, Restorer
from gatewright.guards.rules import Rule
from gatewright.guards.terms import Part
from gatewright.guards.text_run import TextRun
from gatewright.guards.window import Window
from gatewright.ir.blocks import Reasoning, Refusal, Text, ToolCall
from gatewright.ir.events import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    CitationDelta,
    MessageStart,
    MessageStop,
    NativeEvent,
    ReasoningDelta,
    StreamError,
    StreamEvent,
    TextDelta,
)
from gatewright.ir.fold import Folder
from gatewright.ir.request import Request
from gatewright.ir.response import Response

ReasoningUse: TypeAlias = Literal[
    "check",  # held back and looked at as text is
    "pass",  # goes by as it is, whatever rules say
    "drop",  # does not reach the client
]
_TELLS: Final = frozenset(("assistant", "reasoning", "other"))
"""Parts of an answer for whose judges all of it must be held."""

replace = msgspec.structs.replace


class _Entry:
    """An event that waits for its turn."""

    __slots__ = ("ends", "event", "gate", "start", "stop", "window")

    def __init__(self, event: StreamEvent | None) -> None:
        self.event = event
        self.window: Window | Pieces | None = None
        """What must have decided its text."""
        self.start = self.ends = 0
        """Of its text, in the window's."""
        self.stop: Rule | None = None
        """The stream ends before it."""
        self.gate: Response | None = None
        """Somebody must be asked about this before it goes on."""


class StreamCheck:
    """One stream. `feed` and `release` give what may leave; after `stop` is set nothing more does."""

    def __init__(
        self, rules: Sequence[Rule], redactor: Redactor, request: Request, window: int, reasoning: ReasoningUse = "check"
    ) -> None:
        """`request`: what the client asked, for judges."""
        rules = [rule for rule in rules if "answer" in rule.directions]
        if reasoning != "check":
            rules = [replace(rule, parts=rule.parts - {"reasoning"}) for rule in rules]
        self._rules = rules
        self._redactor = redactor
        self._request = request
        self._window = window
        self._reasoning = reasoning
        self._checker = Checker(rules, "answer", redactor)
        self._walk = self._checker.walk
        self._by_part: dict[Part, list[Rule]] = {}
        self._windows: dict[tuple[int, Part, int | None], tuple[Window, Restorer]] = {}
        self._run: TextRun | None = None
        """Of the blocks of text that came last, with nothing after them."""
        self._native = NativeTexts(rules, self._checker, redactor, window)
        self._call: list[StreamEvent] | None = None
        """Events of the call that is being told."""
        self._queue: deque[_Entry] = deque()
        waiting = [rule for rule in rules if rule.check.judge is not None or rule.check.asked is not None]
        self.asked = [rule for rule in waiting if rule.check.asked is not None]
        self._all_held = any(rule.acts and rule.parts & _TELLS for rule in waiting)
        self._calls_held = any("tool_call" in rule.parts for rule in rules) or bool(redactor.originals)
        self._folder = Folder() if waiting else None
        self._over = False
        self.question: Response | None = None
        """What those who must be waited for are to be asked about. Nothing leaves until `answered`."""
        self.stop: Rule | None = None
        """The rule that has ended the stream."""
        self.most_held = 0
        """Characters of the longest wait."""

    @property
    def checker(self) -> Checker:
        return self._checker

    @property
    def holds(self) -> bool:
        """Whether anything waits."""
        return bool(self._queue) or self._call is not None

    # -- what comes ----------------------------------------------------------------------------------------------------------

    def feed(self, events: Sequence[StreamEvent]) -> list[StreamEvent]:
        """What may leave now."""
        for event in events:
            if self._over:
                break
            if self._folder is not None:
                self._folder.add(event)
            if self._call is not None:
                self._of_call(event)
            else:
                self._take(event)
        return self.release()

    def _take(self, event: StreamEvent) -> None:
        match event:
            case TextDelta():
                self._text(event, "assistant", None)
            case ReasoningDelta():
                if self._reasoning != "drop":
                    self._text(event, "reasoning", event.part)
            case BlockStart():
                self._start(event)
            case BlockStop():
                self._close(event.index)
                self._whole(event)
            case MessageStop() | StreamError():
                self._close(None)
                self._native.close()
                self._over = True
                self._end(event)
            case NativeEvent():
                entry = _Entry(event)
                entry.window = self._native.take(event)
                entry.stop = self._stopped()
                self._queue.append(entry)
            case _:
                self._whole(event)

    def _text(self, event: TextDelta | ReasoningDelta, part: Part, summary: int | None) -> None:
        entry = _Entry(event)
        self._queue.append(entry)
        if not self._of(part) and not self._redactor.originals:
            return
        key = (event.index, part, summary)
        kept = self._windows.get(key)
        if kept is None:
            kept = self._windows[key] = (self._window_of(event.index, part), Restorer(self._redactor.originals))
        window, _ = kept
        entry.window, entry.start = window, window.end
        window.feed(event.text)
        entry.ends = window.end
        self._learn(window, event.index, part)

    def _window_of(self, index: int, part: Part) -> Window:
        if part != "assistant":
            return Window(self._of(part), self._redactor, self._window)
        self._run = self._run or TextRun(Window(self._of(part), self._redactor, self._window))
        return self._run.begins(index)

    def _start(self, event: BlockStart) -> None:
        block = event.block
        if not isinstance(block, Text | Refusal):
            self._end_run()
        elif block.text and self._of("assistant"):  # it may go on with what stands before it, and is gone on with
            self._whole(BlockStart(event.index, replace(block, text="")))
            self._text(TextDelta(event.index, block.text), "assistant", None)
            return
        if isinstance(event.block, ToolCall) and self._calls_held:
            self._call = [event]
            return
        if isinstance(event.block, Reasoning) and self._reasoning == "drop":
            event = BlockStart(event.index, replace(event.block, text="", summary=()))
        self._whole(event)

    def _whole(self, event: StreamEvent) -> None:
        """An event whose texts are all there."""
        entry = _Entry(self._checked(event))
        entry.stop = self._stopped()
        self._queue.append(entry)

    def _checked(self, event: StreamEvent) -> StreamEvent:
        originals = self._redactor.originals
        match event:
            case BlockStart():
                seen = self._walk.node(event.block, "assistant", f"blocks[{event.index}]")
                seen = put_back(seen, originals)
                return event if seen is event.block else BlockStart(event.index, seen)
            case CitationDelta():
                told = put_back(self._walk.node(event.citation, "other", f"blocks[{event.index}].citation"), originals)
                return event if told is event.citation else CitationDelta(event.index, told)
            case MessageStart() | BlockStop() | MessageStop() if event.extras:
                extras = put_back_json(self._walk.json(event.extras, "other", "", sealed=True), originals)
                return replace(event, extras=extras) if extras is not event.extras else event
            case _:
                return event

    def _stopped(self) -> Rule | None:
        """The rule by which what was just looked at ends the stream."""
        return self._checker.stop

    # -- tool calls: all or nothing --------------------------------------------------------------------------------------------

    def _of_call(self, event: StreamEvent) -> None:
        assert self._call is not None
        if isinstance(event, MessageStop | StreamError):  # cut: nobody knows what it would have been
            self._call = None
            self._take(event)
            return
        self._call.append(event)
        if not isinstance(event, BlockStop):
            return
        events, self._call = self._call, None
        start = events[0]
        assert isinstance(start, BlockStart)
        assert isinstance(start.block, ToolCall)
        told = "".join(one.text for one in events if isinstance(one, ArgumentsDelta))
        call = replace(start.block, arguments=start.block.arguments + told)
        seen = put_back(self._walk.node(call, "tool_call", f"blocks[{start.index}]"), self._redactor.originals)
        if self._folder is not None:
            answer = self._judge(calls=True)
            if any(_of_calls(rule) for rule in self.asked):
                gate = _Entry(None)
                gate.gate = answer
                self._queue.append(gate)
        if seen is not call:
            rest = [one for one in events[1:] if not isinstance(one, ArgumentsDelta)]
            events = [BlockStart(start.index, replace(seen, arguments="")), ArgumentsDelta(start.index, seen.arguments), *rest]
        for one in events:
            if isinstance(one, BlockStart | ArgumentsDelta):
                entry = _Entry(one)
                entry.stop = self._stopped()
                self._queue.append(entry)
            else:
                self._take(one)

    # -- judges ----------------------------------------------------------------------------------------------------------------

    def _judge(self, *, calls: bool) -> Response:
        """Have the whole judged as far as it has come. `calls`: a call is complete; else the answer is."""
        assert self._folder is not None
        answer = put_back(self._folder.response, self._redactor.originals)
        for rule in self._rules:
            if rule.check.judge is not None and (not calls or _of_calls(rule)):
                self._checker.said(rule, rule.check.judge.judge(self._request, answer))
        return answer

    def _end(self, event: StreamEvent) -> None:
        held, self._all_held = self._all_held, False
        if self._folder is not None and isinstance(event, MessageStop):
            before = self._stopped()
            answer = self._judge(calls=False)
            stop = self._stopped()
            if held and stop is not before and self._queue:  # their word is on all that is held
                self._queue[0].stop = stop
            if self.asked:
                gate = _Entry(None)
                gate.gate = answer
                if held:
                    self._queue.appendleft(gate)
                else:
                    self._queue.append(gate)
        self._whole(event)

    def answered(self) -> list[StreamEvent]:
        """They have spoken, and `checker` was told. What may leave now."""
        self.question = None
        if self._checker.stop is not None:
            self.stop = self._checker.stop
            self._queue.clear()
            return []
        return self.release()

    # -- what leaves -----------------------------------------------------------------------------------------------------------

    def release(self) -> list[StreamEvent]:
        """What may leave now, edited."""
        out: list[StreamEvent] = []
        queue = self._queue
        while queue and self.stop is None and self.question is None and not self._all_held:
            entry = queue[0]
            if entry.stop is not None:
                self._finish(entry.stop)
                break
            if entry.gate is not None:
                self.question = entry.gate
                queue.popleft()
                break
            if not self._leave(entry, out):
                break
            queue.popleft()
        return out

    def _leave(self, entry: _Entry, out: list[StreamEvent]) -> bool:
        """Whether all of an event has left."""
        event, window = entry.event, entry.window
        assert event is not None
        if isinstance(window, Pieces):
            if window.violation is not None:
                self._finish(window.violation.rule)
            elif window.decided:
                out.append(window.edited())
                return True
            return False
        if window is None:
            if isinstance(event, BlockStop):
                out += self._rest(event.index)
            elif isinstance(event, StreamError):
                for index in {key[0] for key in self._windows}:
                    out += self._rest(index)
            out.append(event)
            return True
        assert isinstance(event, TextDelta | ReasoningDelta)
        decided = min(window.decided, entry.ends)
        whole = decided == entry.ends
        if not whole and isinstance(event, TextDelta) and event.logprobs and window.violation is None:
            return False  # tokens and their text leave together
        told = window.cut(entry.start, decided)
        part: Part = "assistant" if isinstance(event, TextDelta) else "reasoning"
        key = (event.index, part, None if isinstance(event, TextDelta) else event.part)
        told = self._windows[key][1].feed(told) if self._redactor.originals else told
        if whole and told == event.text:
            out.append(event)
        elif told:
            out.append(replace(event, text=told, logprobs=()) if isinstance(event, TextDelta) else replace(event, text=told))
        entry.start = decided
        if not whole and window.violation is not None and window.violation.start < entry.ends:
            self._finish(window.violation.rule)
        return whole

    def _rest(self, index: int) -> list[StreamEvent]:
        """What restorers still hold of a block that ends."""
        rest: list[StreamEvent] = []
        for at, part, summary in [key for key in self._windows if key[0] == index]:
            _, restorer = self._windows.pop((at, part, summary))
            if text := restorer.close():
                rest.append(TextDelta(index, text) if part == "assistant" else ReasoningDelta(index, text, summary))
        return rest

    def _finish(self, rule: Rule) -> None:
        self.stop = rule
        self._queue.clear()

    # -- windows ---------------------------------------------------------------------------------------------------------------

    def _of(self, part: Part) -> list[Rule]:
        """The rules that look at a part, with a detector."""
        rules = self._by_part.get(part)
        if rules is None:
            rules = [rule for rule in self._rules if rule.check.detector is not None and part in rule.parts]
            self._by_part[part] = rules
        return rules

    def _close(self, index: int | None) -> None:
        """The texts of a block, or all, end here. What text there is may go on in the next block."""
        for (at, part, _), (window, _) in self._windows.items():
            if index is None or at == index:
                end = window.seam if part == "assistant" else window.close
                end()
                self._learn(window, at, part)
        if index is None:
            self._end_run()

    def _end_run(self) -> None:
        """No text stands beside what came last."""
        if self._run is not None:
            self._run.window.close()
            self._learn(self._run.window, 0, "assistant")
            self._run = None

    def _learn(self, window: Window, index: int, part: Part) -> None:
        self.most_held = max(self.most_held, window.held)
        if window.hits:
            run = self._run if part == "assistant" else None
            for hit in window.hits:
                place = run.place(hit) if run is not None else (f"blocks[{index}].{part}", hit.start, hit.end)
                self._checker.found(hit.rule, hit.kind, *place)
            window.hits.clear()


def _of_calls(rule: Rule) -> bool:
    """Whether a rule that waits speaks on each call as it comes; the others speak at the end of the answer."""
    return rule.acts and "tool_call" in rule.parts and not rule.parts & _TELLS
