"""Streams, wire -> neutral.

One rule: one item is open at a time; events about another item wait until it is done.
https://platform.openai.com/docs/api-reference/responses-streaming
"""

import msgspec

from gatewright.dialects.openai_responses.errors import problem_of
from gatewright.dialects.openai_responses.names import NAME, as_object
from gatewright.dialects.openai_responses.response import created_of, failure_of, finish_of, upstream
from gatewright.dialects.openai_responses.stream_items import OpenItem
from gatewright.dialects.openai_responses.usage import parse_usage
from gatewright.errors import GatewrightError, Problem
from gatewright.ir.blocks import Block
from gatewright.ir.events import (
    ArgumentsDelta,
    BlockStart,
    MessageStart,
    MessageStop,
    NativeEvent,
    ReasoningDelta,
    StreamError,
    StreamEvent,
    TextDelta,
    UsageUpdate,
)
from gatewright.ir.request import Asked
from gatewright.jsontypes import JsonObject
from gatewright.wire.fields import Fields
from gatewright.wire.json import BadJson, decode_lenient
from gatewright.wire.sse import OversizedEvent, SseEvent, SseParser

_ENDS = frozenset(("response.completed", "response.incomplete", "response.cancelled", "response.done"))
_STARTS = frozenset(("response.created", "response.in_progress"))
_IMPLIED = {"output_text": "message", "refusal": "message", "reasoning_text": "reasoning", "reasoning_summary_text": "reasoning"}
"""Event → kind of item, for hosts that begin an item without saying so."""


class _Delta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    delta: str
    output_index: int
    item_id: str = ""
    sequence_number: int = 0
    obfuscation: str = ""


class _Text(_Delta, tag="response.output_text.delta", forbid_unknown_fields=True, gc=False):
    content_index: int = 0
    logprobs: list[msgspec.Raw] = []


class _Arguments(_Delta, tag="response.function_call_arguments.delta", forbid_unknown_fields=True, gc=False):
    pass


class _Input(_Delta, tag="response.custom_tool_call_input.delta", forbid_unknown_fields=True, gc=False):
    pass


class _Summary(_Delta, tag="response.reasoning_summary_text.delta", forbid_unknown_fields=True, gc=False):
    summary_index: int = 0


class _Thought(_Delta, tag="response.reasoning_text.delta", forbid_unknown_fields=True, gc=False):
    content_index: int = 0


_decode_delta = msgspec.json.Decoder(_Text | _Arguments | _Input | _Summary | _Thought).decode
"""The common events, whole: any other shape falls back to the general way."""


class ResponsesStreamParser:
    """Implements `dialects.protocol.StreamParser`."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._sse = SseParser()
        self._start: MessageStart | None = None
        self._open: OpenItem | None = None
        self._open_at = -1
        self._held: dict[int, list[tuple[str, JsonObject, str]]] = {}
        self._done: set[int] = set()
        self._blocks = 0
        self._kinds: list[Block] = []
        """Blocks as they were begun, for the finish."""
        self._ended = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        if self._ended:
            return []
        try:
            return self._events(self._sse.feed(data))
        except OversizedEvent as error:
            return self._fail(upstream(str(error)))

    def close(self) -> list[StreamEvent]:
        events = [] if self._ended else self._events(self._sse.close())
        return events if self._ended else events + self._fail(upstream("the provider's stream was cut off"))

    def _fail(self, problem: Problem) -> list[StreamEvent]:
        self._ended = True
        return [StreamError(problem)]

    def _events(self, found: list[SseEvent]) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for name, data in found:
            if self._open is not None and (not name or name.endswith(b".delta")):
                event = self._delta(data)
                if event is not None:
                    events.append(event)
                    continue
            if not data or data == b"[DONE]":
                continue
            events += self._general(name, data)
            if self._ended:
                break
        return events

    def _delta(self, data: bytes) -> StreamEvent | None:
        """The one event of a delta of the open item; None for anything that needs a closer look."""
        try:
            found = _decode_delta(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        item = self._open
        if item is None or found.output_index != self._open_at:
            return None
        if type(found) is _Text:
            if found.logprobs or not item.takes_text(found.content_index):
                return None
            item.hot()
            return TextDelta(item.index, found.delta)
        if type(found) is _Summary and item.kind == "reasoning" and 0 <= found.summary_index < 4096:
            item.summary_seen(found.summary_index)
            return ReasoningDelta(item.index, found.delta, found.summary_index)
        if type(found) is _Thought and item.kind == "reasoning":
            item.hot()
            return ReasoningDelta(item.index, found.delta)
        if isinstance(found, _Arguments | _Input) and item.kind in ("function_call", "custom_tool_call"):
            item.hot()
            return ArgumentsDelta(item.index, found.delta)
        return None

    def _general(self, name: bytes, data: bytes) -> list[StreamEvent]:
        try:
            value = decode_lenient(data)
        except BadJson as error:
            return self._fail(upstream(f"an event of the provider's stream is {error}"))
        if not isinstance(value, dict):
            return self._fail(upstream("an event of the provider's stream is not a JSON object"))
        word = name.decode("utf-8", "replace")
        kind = value.get("type")
        try:
            return self._event(kind if isinstance(kind, str) else word, value, word)
        except GatewrightError as error:
            return self._fail(upstream(f"the provider's stream could not be read: {error}"))

    def _event(self, kind: str, value: JsonObject, name: str) -> list[StreamEvent]:
        if kind in _ENDS:
            return self._end(value)
        if kind in ("error", "response.error", "response.failed") or (not kind and "error" in value):
            inner = value.get("response") if kind == "response.failed" else value
            return self._fail(self._problem(as_object(inner)))
        if kind in _STARTS:
            return self._begin(as_object(value.get("response")))
        place = self._place(kind, value)
        if place is None:
            return [NativeEvent(origin=NAME, data=value, name=name)]
        events = self._begin({})
        if self._open is not None and place != self._open_at:
            self._held.setdefault(place, []).append((kind, value, name))
            return events
        return events + self._item_event(place, kind, value, name) + self._release()

    def _place(self, kind: str, value: JsonObject) -> int | None:
        """The output index of an event about an item; where a host leaves it out, the open item's or the next."""
        told = value.get("output_index")
        if isinstance(told, int) and not isinstance(told, bool):
            return told
        if isinstance(told, float) and told.is_integer():
            return int(told)
        if "item" not in value and "item_id" not in value:
            return None
        following = max(self._done, default=-1) + 1
        if self._open is None:
            return following
        return self._open_at + 1 if kind == "response.output_item.added" else self._open_at

    def _problem(self, value: JsonObject) -> Problem:
        return failure_of(value) or problem_of(value, 0)

    def _begin(self, response: JsonObject) -> list[StreamEvent]:
        if self._start is not None:
            return []
        fields = Fields(response)
        fields.array("output")
        if parse_usage(fields.peek("usage")) is not None:
            fields.take("usage")
        model = fields.text("model") or ""
        self._start = MessageStart(
            id=fields.text("id") or "", model=model, origin=NAME, created=created_of(fields), extras=fields.rest()
        )
        return [self._start]

    def _item_event(self, place: int, kind: str, value: JsonObject, name: str) -> list[StreamEvent]:
        """An event about the open item, or about the next one to open."""
        events: list[StreamEvent] = []
        if self._open is None:
            if place in self._done:
                return [NativeEvent(origin=NAME, data=value, name=name)]
            item = self._implied(kind, value)
            if item is None:
                return [NativeEvent(origin=NAME, data=value, name=name)]
            self._open = OpenItem(item, self._blocks, self._asked.issuer)
            self._open_at = place
            events += self._open.start()
        if kind == "response.output_item.done":
            events += self._close(as_object(value.get("item")))
        else:
            events += self._open.event(kind, value, name)
            self._blocks = self._open.next_index
        self._kinds += [event.block for event in events if isinstance(event, BlockStart)]
        return events

    def _implied(self, kind: str, value: JsonObject) -> JsonObject | None:
        """The item that this event opens; None when it opens none."""
        item = value.get("item")
        if isinstance(item, dict):
            if kind != "response.output_item.done":
                return item
            return {key: each for key, each in item.items() if key not in ("content", "summary", "status")}
        word = _IMPLIED.get(kind.removeprefix("response.").removesuffix(".delta"))
        return None if word is None else {"type": word, "id": value.get("item_id") or ""}

    def _close(self, item: JsonObject) -> list[StreamEvent]:
        assert self._open is not None
        events = self._open.done(item)
        self._blocks = self._open.next_index
        self._done.add(self._open_at)
        self._open = None
        self._open_at = -1
        return events

    def _release(self) -> list[StreamEvent]:
        """What waited for the item that has just closed, up to the next one that stays open."""
        events: list[StreamEvent] = []
        while self._open is None and self._held:
            place = min(self._held)
            for kind, value, name in self._held.pop(place):
                events += self._item_event(place, kind, value, name)
        return events

    def _end(self, value: JsonObject) -> list[StreamEvent]:
        response = as_object(value.get("response"))
        events = self._begin(response)
        output = response.get("output")
        items = [as_object(item) for item in output] if isinstance(output, list) else []
        while self._open is not None:  # some items have no end of their own
            place = self._open_at
            events += self._close(items[place] if 0 <= place < len(items) else self._open.item)
            events += self._release()
        if not self._blocks and items:
            for place, item in enumerate(items):  # nothing but this event told them
                events += self._item_event(place, "response.output_item.done", {"item": item}, "")
        fields = Fields(response)
        fields.array("output")
        usage = parse_usage(fields.peek("usage"), fields.peek("service_tier"), output)
        if usage is not None:
            fields.take("usage")
            events.append(UsageUpdate(usage))
        for key in ("id", "model"):
            fields.take(key)
        created_of(fields)
        before = self._start.extras if self._start is not None else {}
        extras = {k: v for k, v in fields.rest().items() if k not in before or before[k] != v}
        finish = finish_of(fields.peek("status") or self._status(value), fields.peek("incomplete_details"), self._kinds)
        self._ended = True
        return [*events, MessageStop(finish=finish, extras=extras)]

    @staticmethod
    def _status(value: JsonObject) -> str:
        return str(value.get("type")).removeprefix("response.").replace("done", "completed")
