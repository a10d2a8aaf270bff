"""Events, written as a stream of Messages events for a client.

One rule: the wire numbers its blocks itself, because carriers of seals come in between and blocks that cannot be said fall out.
https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import assert_never, cast

import msgspec

from gatewright.dialects.anthropic.content import NAME, PREV, RAW
from gatewright.dialects.anthropic.errors import error_document
from gatewright.dialects.anthropic.finish import render_finish
from gatewright.dialects.anthropic.render_content import deep, plain
from gatewright.dialects.anthropic.response import report_message, report_usage, show
from gatewright.dialects.anthropic.show import call_start, carrier, show_citation, show_reasoning
from gatewright.dialects.anthropic.usage import LATE_USAGE, render_usage
from gatewright.ir.blocks import Block, Media, Native, Reasoning, Refusal, Text, ToolCall, ToolResult
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
from gatewright.ir.loss import Loss, Losses, is_void, join
from gatewright.ir.response import Usage
from gatewright.ir.seal import Seal, carry
from gatewright.jsontypes import JsonObject
from gatewright.wire.arguments import ArgumentsGate
from gatewright.wire.json import encode
from gatewright.wire.sse import event_name, sse

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
_EVENT_LEVEL = frozenset({"context_management"})
"""Late fields of a message that stand beside `delta` and not within it."""
_HELD_ORIGINS = frozenset({"gemini"})
"""Origins that tell a call whole and sign it afterwards: its carrier has to come before it."""
_encode = msgspec.json.Encoder().encode
_logprobs_of = attrgetter("logprobs")
_END = b"}}\n\n"


def _all_encoded(texts: list[str], between: bytes) -> bytes:
    """Texts as JSON strings, with something between them."""
    together = _encode(texts)
    if "," in texts or together.find(b'\\","') >= 0:  # in a list these would look like what stands between two others
        return between.join(map(_encode, texts))
    return together[1:-1].replace(b'","', b'"%b"' % between)


def _event(document: JsonObject) -> bytes:
    return sse(encode(document), event_name(str(document["type"])))


def _delta_head(index: int, word: bytes, key: bytes) -> bytes:
    head = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
    return head % (index, word, key)


class MessagesRenderer:
    """render(events) -> wire. `losses` is what could not be said so far."""

    def __init__(self) -> None:
        self._losses = Losses(NAME)
        self.losses: list[Loss] = self._losses.found
        self._origin = ""
        self._start: MessageStart | None = None
        self._pending = False  # message_start waits for the usage that follows it at home
        self._usage: Usage | None = None
        self._told: JsonObject = {}  # the usage that message_start gave
        self._next = 0  # index of the next block on the wire
        self._block: Block | None = None
        self._held = False  # the open block is written when it is whole
        self._pieces: list[str] = []
        self._seal: Seal | None = None
        self._behind: tuple[str, Seal] | None = None  # where a closed text stood, and its seal, whose carrier is not out yet
        self._part: int | None = None
        self._spoke = False  # whether the open reasoning has said anything
        self._gate: ArgumentsGate | None = None
        self._text_head = self._thinking_head = self._json_head = b""
        self._called = self._refused = False
        self._native_seen: set[str] = set()
        self._done = False

    def keepalive(self) -> bytes:
        return PING

    def render(self, events: Sequence[StreamEvent]) -> bytes:
        if len(events) == 1 and type(event := events[0]) is TextDelta and not event.logprobs:
            return self._text_head + _encode(event.text) + _END
        out: list[bytes] = []
        for kind, run in groupby(events, type):
            if kind is TextDelta:
                self._say(cast("list[TextDelta]", list(run)), out)
            else:
                for event in run:
                    if not self._done:
                        self._render(event, out)
        return b"".join(out)

    def _say(self, run: Sequence[TextDelta], out: list[bytes]) -> None:
        """Text in several pieces; no call for each, for in a burst these are nearly all."""
        texts = [event.text for event in run]
        if any(map(_logprobs_of, run)):
            for event in run:
                if event.logprobs and not self._done:
                    self._render(event, out)
                else:
                    out += (self._text_head, _encode(event.text), _END)
        else:
            out += (self._text_head, _all_encoded(texts, _END + self._text_head), _END)

    def _render(self, event: StreamEvent, out: list[bytes]) -> None:
        if self._pending and not isinstance(event, UsageUpdate | NativeEvent):
            self._flush_start(out)
        match event:
            case MessageStart():
                self._start = event
                self._origin = event.origin
                self._pending = True
                if event.origin != NAME:
                    self._flush_start(out)
            case UsageUpdate():
                self._usage = update_usage(self._usage, event.usage)
                if self._pending:
                    self._flush_start(out)
            case BlockStart():
                self._open(event.block, out)
            case TextDelta():
                self._losses.dropped(join(self._at(), "logprobs"), "not in messages", plain(event.logprobs))
                out += (self._text_head, _encode(event.text), _END)
            case ReasoningDelta():
                self._reason(event, out)
            case ArgumentsDelta():
                self._argue(event.text, out)
            case SealDelta():
                self._seal = event.seal
            case CitationDelta():
                shown = show_citation(event.citation, self._origin, self._at(), self._losses)
                if shown is not None:
                    self._delta({"type": "citations_delta", "citation": shown}, out)
            case BlockStop():
                self._close(event.extras, out)
            case MessageStop():
                self._finish(event, out)
            case StreamError():
                self._done = True
                out.append(sse(encode(error_document(event.problem, "")), b"error"))
            case NativeEvent():
                self._native(event, out)
            case _:
                assert_never(event)

    def _at(self) -> str:
        return "" if self._block is None else self._block.at

    def _flush_start(self, out: list[bytes]) -> None:
        start = self._start
        assert start is not None
        self._pending = False
        report_message(start.created, start.others, self._losses)
        usage = render_usage(self._usage, self._origin)
        self._told = usage if self._usage is not None else {}
        message: JsonObject = {
            "id": start.id or "msg_gateway",
            "type": "message",
            "role": "assistant",
            "model": start.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        extras = self._extras(start.extras)
        out.append(_event({"type": "message_start", "message": deep(message, extras)}))

    def _extras(self, extras: JsonObject) -> JsonObject:
        """Extras of the message at home; losses abroad."""
        if self._origin == NAME:
            return extras
        for key, value in extras.items():
            if not is_void(value):
                self._losses.dropped(key, f"{NAME} has no word for it", value)
        return {}

    def _delta(self, delta: JsonObject, out: list[bytes]) -> None:
        out.append(_event({"type": "content_block_delta", "index": self._next, "delta": delta}))

    def _begin(self, block: JsonObject, out: list[bytes]) -> None:
        index = self._next
        out.append(_event({"type": "content_block_start", "index": index, "content_block": block}))
        self._text_head = _delta_head(index, b"text_delta", b"text")
        self._thinking_head = _delta_head(index, b"thinking_delta", b"thinking")
        self._json_head = _delta_head(index, b"input_json_delta", b"partial_json")

    def _end(self, out: list[bytes]) -> None:
        out.append(_event({"type": "content_block_stop", "index": self._next}))
        self._next += 1

    def _whole(self, block: JsonObject, out: list[bytes]) -> None:
        """A block that has no deltas of its own, but whose input or content clients expect in one."""
        later: JsonObject | None = None
        if block["type"] == "compaction":
            later = {"type": "compaction_delta", "content": block.get("content")}
            block = {**block, "content": None}
        elif isinstance(given := block.get("input"), dict) and given:
            later = {"type": "input_json_delta", "partial_json": encode(given).decode()}
            block = {**block, "input": {}}
        self._begin(block, out)
        if later is not None:
            self._delta(later, out)
        self._end(out)

    def _open(self, block: Block, out: list[bytes]) -> None:
        if self._behind is not None:
            self._whole(carrier(self._behind[1], PREV), out)
            self._behind = None
        self._block, self._held, self._gate = block, False, None
        self._pieces, self._seal, self._part, self._spoke = [], getattr(block, "seal", None), None, False
        match block:
            case Text():
                head: JsonObject = {"type": "text", "text": ""}
                self._begin(deep(head, self._losses.extras(block, origin=self._origin)), out)
                if block.text:
                    self._delta({"type": "text_delta", "text": block.text}, out)
            case Refusal():
                self._refused = True
                self._losses.approximated(block.at, "a refusal is told as text")
                self._losses.extras(block, origin=self._origin)
                self._begin({"type": "text", "text": ""}, out)
            case Reasoning():
                self._held = block.redacted
                if not block.redacted:
                    self._begin(self._thinking(block), out)
            case ToolCall():
                self._called = True
                self._held = block.kind == "custom" or self._origin in _HELD_ORIGINS
                if not self._held:
                    if self._seal is not None:
                        self._whole(carrier(self._seal), out)
                        self._seal = None
                    self._begin(call_start(block, self._message_id(), self._next, self._origin, self._losses), out)
                    self._gate = None if self._origin == NAME else ArgumentsGate()
                if block.arguments:
                    self._argue(block.arguments, out)
            case Native() | Media() | ToolResult():
                self._held = True
            case _:
                assert_never(block)

    def _message_id(self) -> str:
        return "" if self._start is None else self._start.id

    def _thinking(self, block: Reasoning) -> JsonObject:
        """The start of a thinking block; text, summaries and seal follow."""
        if block.text or block.summary:
            self._pieces = [block.text, *block.summary]
        return {**show_reasoning(msgspec.structs.replace(block, text="", summary=(), seal=None), self._origin, self._losses),
                "thinking": "", "signature": ""}  # fmt: skip

    def _reason(self, event: ReasoningDelta, out: list[bytes]) -> None:
        if self._held:
            self._pieces.append(event.text)
            return
        text = event.text
        if event.part != self._part:
            if self._spoke and event.part is not None:
                text = "\n\n" + text
            self._part = event.part
        self._spoke = True
        out += (self._thinking_head, _encode(text), _END)

    def _argue(self, text: str, out: list[bytes]) -> None:
        if self._held:
            self._pieces.append(text)
            return
        flowing = text if self._gate is None else self._gate.feed(text)
        if flowing:
            out += (self._json_head, _encode(flowing), _END)

    def _close(self, extras: JsonObject, out: list[bytes]) -> None:
        block = self._block
        assert block is not None
        if extras and self._origin != NAME:
            for key, value in extras.items():
                if not is_void(value):
                    self._losses.dropped(join(block.at, key), f"{NAME} has no word for it", value)
        match block:
            case Native() | Media() | ToolResult():
                sealed = msgspec.structs.replace(block, seal=self._seal) if isinstance(block, Media) else block
                for shown in show(sealed, self._message_id(), self._next, self._origin, self._losses):
                    self._whole(shown, out)
            case Reasoning() if self._held:
                told = msgspec.structs.replace(block, text=block.text + "".join(self._pieces), seal=self._seal)
                self._begin(show_reasoning(told, self._origin, self._losses), out)
                self._end(out)
            case ToolCall() if self._held:
                told_call = msgspec.structs.replace(block, arguments="".join(self._pieces), seal=self._seal)
                for shown in show(told_call, self._message_id(), self._next, self._origin, self._losses):
                    self._whole(shown, out)
            case _:
                self._close_flowing(block, out)
        self._block = None

    def _close_flowing(self, block: Block, out: list[bytes]) -> None:
        if isinstance(block, Reasoning) and self._seal is not None:
            self._delta({"type": "signature_delta", "signature": carry(self._seal, NAME)}, out)
        gate = self._gate
        if gate is not None and gate.rest:
            path = join(block.at, "arguments")
            self._losses.approximated(path, "arguments that are no JSON object are wrapped or cut", gate.rest)
            if not gate.started:
                self._delta({"type": "input_json_delta", "partial_json": encode({RAW: gate.rest}).decode()}, out)
        self._end(out)
        if not isinstance(block, Reasoning) and self._seal is not None:
            self._behind = (block.at, self._seal)

    def _native(self, event: NativeEvent, out: list[bytes]) -> None:
        if event.origin == NAME:
            # an unknown delta belongs to the open block, whatever number that had upstream
            data = {**event.data, "index": self._next} if "index" in event.data else event.data
            out.append(sse(encode(data), event_name(event.name)))
        elif event.name not in self._native_seen:
            self._native_seen.add(event.name)
            self._losses.hint(event.name or "event", f"only {event.origin} knows this event", event.data)

    def _late(self, usage: JsonObject) -> JsonObject:
        """What message_delta says of the usage: the counts, and at home whatever message_start did not say already."""
        if self._origin != NAME:
            for key in sorted(usage.keys() - LATE_USAGE):
                self._losses.hint(join("usage", key), "only told where a stream begins", usage[key])
            return {key: value for key, value in usage.items() if key in LATE_USAGE}
        told = self._told
        return {key: value for key, value in usage.items() if key in LATE_USAGE or key not in told or told[key] != value}

    def _finish(self, event: MessageStop, out: list[bytes]) -> None:
        self._done = True
        if self._behind is not None:
            # Claude Code prints what the last block says, which a carrier behind the last text would make nothing. Seen 2026-11.
            at, seal = self._behind
            self._losses.hint(join(at, "signature"), "no block may follow the last text to carry it", seal.data)
        reason, sequence, beside = render_finish(
            event.finish, self._origin, self._losses, called=self._called, refused=self._refused
        )
        extras = self._extras(event.extras)
        outer = {key: value for key, value in extras.items() if key in _EVENT_LEVEL}
        inner = {key: value for key, value in extras.items() if key not in _EVENT_LEVEL}
        delta: JsonObject = {"stop_reason": reason, "stop_sequence": sequence, **beside}
        usage = render_usage(self._usage, self._origin)
        if self._usage is not None:
            report_usage(self._usage, self._origin, self._losses)
            usage = self._late(usage)
        wire: JsonObject = {
            "type": "message_delta",
            "delta": deep(delta, inner),
            "usage": usage,
        }
        out.append(_event(deep(wire, outer)))
        out.append(_event({"type": "message_stop"}))
