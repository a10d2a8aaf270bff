"""One output item of a stream, while it is open: wire events -> neutral events.

One rule: deltas are believed; what `done` says is used only where no delta said it, so hosts that skip either are read alike.
https://platform.openai.com/docs/api-reference/responses-streaming
"""

import msgspec

from gatewright.dialects.openai_responses.items import parse_reasoning
from gatewright.dialects.openai_responses.names import ITEM, NAME, as_object
from gatewright.dialects.openai_responses.parts import parse_citation, parse_logprobs
from gatewright.dialects.openai_responses.response import CALL_KEYS, call_of, part_of
from gatewright.errors import Malformed
from gatewright.ir.blocks import Block, Native, Reasoning, Refusal, Text
from gatewright.ir.events import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    CitationDelta,
    NativeEvent,
    ReasoningDelta,
    SealDelta,
    StreamEvent,
    TextDelta,
)
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.fields import Fields

replace = msgspec.structs.replace

_PASSED = frozenset(
    f"response.{event}"
    for event in (
        "output_item.added",
        "content_part.added",
        "content_part.done",
        "reasoning_part.added",
        "reasoning_part.done",
        "reasoning_summary_part.added",
        "reasoning_summary_part.done",
        "reasoning_summary_text.done",
        "reasoning_text.done",
        "function_call_arguments.done",
        "custom_tool_call_input.done",
        "output_text.done",
        "refusal.done",
    )
)
"""Events whose meaning is in the deltas, or in the item's end."""
_SUMMARY = frozenset(("response.reasoning_summary_text.delta", "response.reasoning_summary.delta"))
_CONTENT = frozenset(("response.reasoning_text.delta", "response.reasoning.delta"))


def _rest(item: JsonObject, *taken: str) -> JsonObject:
    """What the neutral form has no word for."""
    return {key: value for key, value in item.items() if key not in taken}


def _first(item: JsonObject, *taken: str) -> JsonObject:
    """The same of an item that has just begun: its status is told at its end."""
    return {key: value for key, value in _rest(item, *taken).items() if (key, value) != ("status", "in_progress")}


def _changed(now: JsonObject, before: JsonObject) -> JsonObject:
    return {key: value for key, value in now.items() if key not in before or before[key] != value}


_PART_TEXT = {"output_text": "text", "refusal": "refusal"}
"""Type of a part → the field that its deltas fill."""


class OpenItem:
    """One item. `next_index` is the index of the next block; messages open one block a part, all else is one block."""

    __slots__ = (
        "_citations",
        "_got",
        "_head",
        "_issuer",
        "_open",
        "_part_key",
        "_parts",
        "_summary",
        "item",
        "kind",
        "next_index",
    )

    def __init__(self, item: JsonObject, index: int, issuer: str) -> None:
        self.item = item
        self.kind = str(item.get("type") or "")
        if self.kind == "message" and item.get("role") not in (None, "assistant"):
            self.kind = "other"
        self.next_index = index
        self._issuer = issuer
        self._open: Block | None = None
        self._got = False
        """Whether a delta has come for the open block."""
        self._citations = 0
        self._parts = 0
        self._part_key: JsonValue = None
        self._summary = 0
        self._head: JsonObject = _first(item, "type", "content")

    @property
    def index(self) -> int:
        """Index of the open block."""
        return self.next_index - 1

    def takes_text(self, content_index: int) -> bool:
        """Whether a text delta for this part is one of the block that is open."""
        return type(self._open) is Text and self._part_key == content_index

    def hot(self) -> None:
        """A delta has come by the short way."""
        self._got = True

    def summary_seen(self, part: int) -> None:
        self._got = True
        if part >= self._summary:
            self._summary = part + 1

    def start(self) -> list[StreamEvent]:
        item = self.item
        match self.kind:
            case "message":
                return []
            case "function_call" | "custom_tool_call" as kind:
                try:
                    call = call_of(Fields(_first(item, "type", CALL_KEYS[kind])), kind, whole=False)
                except Malformed:
                    self.kind = "other"
                    return self._begin(Native(origin=NAME, data=item))
                return self._begin(call)
            case "reasoning":
                extras = _first(item, "type", "id", "encrypted_content")
                ref = item.get("id")
                if any(extras.get(key) for key in ("summary", "content")):
                    extras = _rest(extras, "summary", "content")  # told again, in deltas or at the end
                return self._begin(Reasoning(id=ref if isinstance(ref, str) else "", extras=extras))
            case _:
                return self._begin(Native(origin=NAME, data=item))

    def _begin(self, block: Block) -> list[StreamEvent]:
        self._open = block
        self._got = False
        self._citations = 0
        self.next_index += 1
        return [BlockStart(self.index, block)]

    def event(self, kind: str, data: JsonObject, name: str) -> list[StreamEvent]:
        """The events of one wire event about this item, other than its end."""
        delta = data.get("delta")
        if isinstance(delta, str):
            if kind in ("response.output_text.delta", "response.refusal.delta") and self.kind == "message":
                return self._text(kind, data, delta)
            if kind in _SUMMARY and self.kind == "reasoning":
                part = data.get("summary_index")
                place = part if isinstance(part, int) and 0 <= part < 4096 else 0
                self.summary_seen(place)
                return [ReasoningDelta(self.index, delta, place)]
            if kind in _CONTENT and self.kind == "reasoning":
                self._got = True
                return [ReasoningDelta(self.index, delta)]
            if kind.endswith(("_call_arguments.delta", "_call_input.delta")) and self.kind in CALL_KEYS:
                self._got = True
                return [ArgumentsDelta(self.index, delta)]
        if self.kind == "message":
            if kind == "response.content_part.added":
                return self._part(data)
            if kind == "response.content_part.done":
                return self._told(as_object(data.get("part")))
            if kind == "response.output_text.annotation.added" and isinstance(self._open, Text):
                self._citations += 1
                return [CitationDelta(self.index, parse_citation(as_object(data.get("annotation"))))]
        if kind in _PASSED:
            return []
        return [NativeEvent(origin=NAME, data=data, name=name)]

    def _part(self, data: JsonObject) -> list[StreamEvent]:
        events = self._end_part({})
        value = as_object(data.get("part"))
        key = _PART_TEXT.get(str(value.get("type")))
        if key is not None and value.get(key) is None:
            value = {**value, key: ""}  # it follows in deltas
        block = part_of(value, "", item=None if self._parts else self._head)
        if isinstance(block, Text | Refusal):
            block = replace(block, text="")
        self._parts += 1
        self._part_key = data.get("content_index")
        return [*events, *self._begin(block)]

    def _text(self, kind: str, data: JsonObject, delta: str) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        if self._open is None or self._part_key != data.get("content_index"):
            part: JsonObject = {"type": "refusal", "refusal": ""}
            if kind == "response.output_text.delta":
                part = {"type": "output_text", "text": ""}
            events = self._part({**data, "part": part})
        if not isinstance(self._open, Text | Refusal):
            return [*events, NativeEvent(origin=NAME, data=data, name=kind)]
        self._got = True
        return [*events, TextDelta(self.index, delta, parse_logprobs(Fields({"logprobs": data.get("logprobs")})))]

    def _told(self, part: JsonObject) -> list[StreamEvent]:
        """What a part's end says beyond the deltas; its other fields wait for the block's end."""
        block = self._open
        if block is None or not part:
            return []
        told = part_of(part, "", item=None)
        events: list[StreamEvent] = []
        if isinstance(told, Text) and isinstance(block, Text):
            if not self._got and (told.text or told.logprobs):
                events.append(TextDelta(self.index, told.text, told.logprobs))
            events += [CitationDelta(self.index, each) for each in told.citations[self._citations :]]
            self._citations = max(self._citations, len(told.citations))
        elif isinstance(told, Refusal) and isinstance(block, Refusal) and not self._got and told.text:
            events.append(TextDelta(self.index, told.text))
        elif isinstance(told, Native) and isinstance(block, Native):
            told = replace(told, extras=_changed(told.data, block.data))
        self._got = True
        # Kept with the block itself until it ends.
        self._open = replace(block, extras={**block.extras, **told.extras})
        return events

    def _end_part(self, item: JsonObject) -> list[StreamEvent]:
        """Close the open part. `item`: fields of the message, if this is its end."""
        block = self._open
        if block is None:
            return []
        self._open = None
        extras = {key: value for key, value in block.extras.items() if key != ITEM}
        if item:
            extras[ITEM] = item
        return [BlockStop(self.index, extras)]

    def done(self, item: JsonObject) -> list[StreamEvent]:
        """The item's end. `item` is the whole of it, as far as the upstream told."""
        match self.kind:
            case "message":
                return self._message_done(item)
            case "function_call" | "custom_tool_call" as kind:
                told = item.get(CALL_KEYS[kind])
                before = _first(self.item, "type", CALL_KEYS[kind])
                after = _rest(item, "type", CALL_KEYS[kind], "call_id", "name", "id")
                events: list[StreamEvent] = []
                if not self._got and isinstance(told, str) and told:
                    events.append(ArgumentsDelta(self.index, told))
                return [*events, BlockStop(self.index, _changed(after, before))]
            case "reasoning":
                return self._reasoning_done(item)
            case _:
                return [BlockStop(self.index, _changed(item, self.item))]

    def _message_done(self, item: JsonObject) -> list[StreamEvent]:
        content = item.get("content")
        parts = [as_object(part) for part in content] if isinstance(content, list) else []
        head = _rest(item, "type", "content")
        events: list[StreamEvent] = []
        if self._open is not None and self._parts <= len(parts):
            events += self._told(parts[self._parts - 1])
        while self._parts < len(parts):
            part = parts[self._parts]
            events += self._part({"part": part, "content_index": self._parts})
            events += self._told(part)
        if self._parts:
            return [*events, *self._end_part(head)]
        return [*self._begin(Native(origin=NAME, data={**self.item, **item})), BlockStop(self.index)]

    def _reasoning_done(self, item: JsonObject) -> list[StreamEvent]:
        fields = Fields(_rest(item, "type"))
        told = parse_reasoning(fields, item, issuer=self._issuer)
        if isinstance(told, Native):
            return [BlockStop(self.index, _changed(_rest(item, "type", "id"), {}))]
        events: list[StreamEvent] = []
        if not self._got and told.text:
            events.append(ReasoningDelta(self.index, told.text))
        if "shown" not in told.form:
            events += [
                ReasoningDelta(self.index, text if not self._got else "", part)
                for part, text in enumerate(told.summary)
                if part >= self._summary
            ]
        if told.seal is not None:
            events.append(SealDelta(self.index, told.seal))
        block = self._open
        before = block.extras if block is not None else {}
        return [*events, BlockStop(self.index, _changed(told.extras, before))]
