"""Events, written as frames for a client of this dialect.

One rule: text and reasoning begin without an event, as Bedrock's own do; a block that no frame can tell in pieces is told whole.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from gatewright.dialects.bedrock_converse.content import RAW
from gatewright.dialects.bedrock_converse.errors import render_stream_error
from gatewright.dialects.bedrock_converse.finish import render_finish
from gatewright.dialects.bedrock_converse.frames import DELTA, KEEP_ALIVE, event
from gatewright.dialects.bedrock_converse.media import plain
from gatewright.dialects.bedrock_converse.render_content import deep
from gatewright.dialects.bedrock_converse.response import report_message, report_usage
from gatewright.dialects.bedrock_converse.seals import NAME, PREV, signature
from gatewright.dialects.bedrock_converse.show import call_start, carrier, extras_of, show, show_citation
from gatewright.dialects.bedrock_converse.turns import inner_of
from gatewright.dialects.bedrock_converse.usage import render_tier, render_usage
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
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject
from gatewright.wire.arguments import ArgumentsGate
from gatewright.wire.eventstream import frame
from gatewright.wire.json import encode

_encode = msgspec.json.Encoder().encode
_HELD_ORIGINS = frozenset({"gemini"})
"""Origins that tell a call whole and sign it afterwards: its carrier has to come before it."""
_AT_STOP = frozenset({"additionalModelResponseFields"})
"""Late fields of an answer that stand in messageStop; all others are metadata's."""


class ConverseRenderer:
    """render(events) -> wire. `losses` is what could not be said so far."""

    def __init__(self) -> None:
        self._losses = Losses(NAME)
        self.losses: list[Loss] = self._losses.found
        self._origin = ""
        self._start: MessageStart | None = None
        self._usage: Usage | None = None
        self._next = 0  # index of the next block on the wire
        self._block: Block | None = None
        self._held = False  # the open block is written when it is whole
        self._said = False  # whether anything of the open block is on the wire
        self._pieces: list[str] = []
        self._seal: Seal | None = None
        self._behind: tuple[str, Seal] | None = None  # where a closed text stood, and its seal, whose carrier is not out yet
        self._part: int | None = None
        self._gate: ArgumentsGate | None = None
        self._text_head = b""
        self._called = self._refused = False
        self._native_seen: set[str] = set()
        self._extras: JsonObject = {}
        self._done = False

    def keepalive(self) -> bytes:
        return b"" if self._done else KEEP_ALIVE

    def render(self, events: Sequence[StreamEvent]) -> bytes:
        out: list[bytes] = []
        for told in events:
            if type(told) is TextDelta and not told.logprobs and not self._held:
                self._said = True
                out.append(frame(DELTA, b"%b%b}}" % (self._text_head, _encode(told.text))))
            elif not self._done:
                self._render(told, out)
        return b"".join(out)

    def _render(self, told: StreamEvent, out: list[bytes]) -> None:
        match told:
            case MessageStart():
                self._begin_message(told, out)
            case UsageUpdate():
                self._usage = update_usage(self._usage, told.usage)
            case BlockStart():
                self._open(told.block, out)
            case TextDelta():
                if told.logprobs:
                    self._losses.dropped(join(self._at(), "logprobs"), "not in converse", plain(told.logprobs))
                self._delta({"text": told.text}, out)
            case ReasoningDelta():
                self._reason(told, out)
            case ArgumentsDelta():
                self._argue(told.text, out)
            case SealDelta():
                self._seal = told.seal
            case CitationDelta():
                self._delta({"citation": show_citation(told.citation, self._origin, self._at(), self._losses)}, out)
            case BlockStop():
                self._close(told.extras, out)
            case MessageStop():
                self._finish(told, out)
            case StreamError():
                self._done = True
                out.append(render_stream_error(told.problem))
            case NativeEvent():
                self._native(told, out)
            case _:
                assert_never(told)

    def _begin_message(self, told: MessageStart, out: list[bytes]) -> None:
        self._start = told
        self._origin = told.origin
        extras = dict(extras_of(told.extras, told.origin, self._losses))
        output = extras.pop("output", None)
        message = output.get("message") if isinstance(output, dict) else None
        self._extras = extras
        if told.origin != NAME:
            report_message(told.id, told.model, told.created, told.others, self._losses)
        out.append(event("messageStart", {"role": "assistant", **(message if isinstance(message, dict) else {})}))

    def _at(self) -> str:
        return "" if self._block is None else self._block.at

    def _message_id(self) -> str:
        return "" if self._start is None else self._start.id

    # ------------------------------------------------------------------------------------------- pieces

    def _delta(self, delta: JsonObject, out: list[bytes]) -> None:
        self._said = True
        out.append(event("contentBlockDelta", {"contentBlockIndex": self._next, "delta": delta}))

    def _begin(self, start: JsonObject, out: list[bytes]) -> None:
        self._said = True
        out.append(event("contentBlockStart", {"contentBlockIndex": self._next, "start": start}))

    def _end(self, out: list[bytes]) -> None:
        out.append(event("contentBlockStop", {"contentBlockIndex": self._next}))
        self._next += 1
        self._said = False

    def _whole(self, block: JsonObject, out: list[bytes]) -> None:
        """A block as the frames that would have told it."""
        reasoning, call, result, image = (inner_of(block, key) for key in ("reasoningContent", "toolUse", "toolResult", "image"))
        if isinstance(text := block.get("text"), str):
            self._delta({"text": text}, out)
        elif isinstance(word := reasoning.get("redactedContent"), str):
            self._delta({"reasoningContent": {"redactedContent": word}}, out)
        elif told := inner_of(reasoning, "reasoningText"):
            self._delta({"reasoningContent": {"text": told.get("text")}}, out)
            if word := told.get("signature"):
                self._delta({"reasoningContent": {"signature": word}}, out)
        elif call:
            self._begin({**block, "toolUse": _without(call, "input")}, out)
            given = call.get("input")
            self._delta({"toolUse": {"input": given if isinstance(given, str) else _encode(given or {}).decode()}}, out)
        elif result:
            self._begin({**block, "toolResult": _without(result, "content")}, out)
            if content := result.get("content"):
                self._delta({"toolResult": content}, out)
        elif image:
            self._begin({"image": {"format": image.get("format")}}, out)
            self._delta({"image": _without(image, "format")}, out)
        else:
            self._losses.dropped(self._at(), "a converse stream cannot hold this", block)
            return
        self._end(out)

    # ------------------------------------------------------------------------------------------- blocks

    def _open(self, block: Block, out: list[bytes]) -> None:
        if self._behind is not None:
            self._whole(carrier(self._behind[1], PREV), out)
            self._behind = None
        self._block, self._held, self._said, self._gate = block, False, False, None
        self._pieces, self._seal, self._part = [], getattr(block, "seal", None), None
        self._text_head = b'{"contentBlockIndex":%d,"delta":{"text":' % self._next
        match block:
            case Text():
                self._losses.extras(block, origin=self._origin)
                if block.text:
                    self._delta({"text": block.text}, out)
            case Refusal():
                self._refused = True
                self._losses.approximated(block.at, "a refusal is told as text")
                self._losses.extras(block, origin=self._origin)
            case Reasoning():
                self._held = block.redacted
                if not block.redacted:
                    self._losses.extras(block, origin=self._origin)
                    if block.id:
                        self._losses.hint(join(block.at, "id"), "reasoning has no id here", block.id)
                    if told := "\n\n".join(part for part in (block.text, *block.summary) if part):
                        self._delta({"reasoningContent": {"text": told}}, out)
            case ToolCall():
                self._open_call(block, out)
            case Native() | Media() | ToolResult():
                self._held = True
            case _:
                assert_never(block)

    def _open_call(self, block: ToolCall, out: list[bytes]) -> None:
        self._called = True
        self._held = block.kind == "custom" or self._origin in _HELD_ORIGINS
        if not self._held:
            if self._seal is not None:
                self._whole(carrier(self._seal), out)
                self._seal = None
            start: JsonObject = {"toolUse": call_start(block, self._message_id(), self._next, self._losses)}
            self._begin(deep(start, self._losses.extras(block, origin=self._origin)), out)
            self._gate = None if self._origin == NAME else ArgumentsGate()
        if block.arguments:
            self._argue(block.arguments, out)

    def _reason(self, told: ReasoningDelta, out: list[bytes]) -> None:
        if self._held:
            self._pieces.append(told.text)
            return
        text = told.text
        if told.part != self._part:
            if self._said and told.part is not None:
                text = "\n\n" + text
            self._part = told.part
        self._delta({"reasoningContent": {"text": text}}, out)

    def _argue(self, text: str, out: list[bytes]) -> None:
        if self._held:
            self._pieces.append(text)
            return
        flowing = text if self._gate is None else self._gate.feed(text)
        if flowing:
            self._delta({"toolUse": {"input": flowing}}, out)

    def _close(self, extras: JsonObject, out: list[bytes]) -> None:
        block = self._block
        assert block is not None
        if self._origin != NAME:
            for key, value in extras.items():
                if not is_void(value):
                    self._losses.dropped(join(block.at, key), f"{NAME} has no word for it", value)
        match block:
            case Native() | Media() | ToolResult():
                sealed = msgspec.structs.replace(block, seal=self._seal) if isinstance(block, Media) else block
                self._tell(sealed, out)
            case Reasoning() if self._held:
                self._tell(msgspec.structs.replace(block, text=block.text + "".join(self._pieces), seal=self._seal), out)
            case ToolCall() if self._held:
                self._tell(msgspec.structs.replace(block, arguments="".join(self._pieces), seal=self._seal), out)
            case _:
                self._close_flowing(block, out)
        self._block, self._held = None, False

    def _tell(self, block: Block, out: list[bytes]) -> None:
        for wire in show(block, self._message_id(), self._next, self._origin, self._losses):
            self._whole(wire, out)

    def _close_flowing(self, block: Block, out: list[bytes]) -> None:
        if isinstance(block, Reasoning):
            if self._seal is not None:
                self._delta({"reasoningContent": {"signature": signature(self._seal)}}, out)
            elif not self._said:
                self._delta({"reasoningContent": {"text": ""}}, out)
        gate = self._gate
        if gate is not None and gate.rest:
            path = join(block.at, "arguments")
            self._losses.approximated(path, "arguments that are no JSON object are wrapped or cut", gate.rest)
        if gate is not None and not gate.started:
            self._delta({"toolUse": {"input": encode({RAW: gate.rest}).decode() if gate.rest else "{}"}}, out)
        if isinstance(block, Text) and not self._said and self._origin != NAME:
            self._losses.hint(block.at, "an empty text is not told: sent back, the API would refuse it", "")
        else:
            self._end(out)
        if isinstance(block, Text) and self._seal is not None:
            self._behind = (block.at, self._seal)
        elif isinstance(block, ToolCall) and self._seal is not None:
            self._whole(carrier(self._seal, PREV), out)

    def _native(self, told: NativeEvent, out: list[bytes]) -> None:
        if told.origin == NAME:
            # an unknown delta belongs to the open block, whatever number that had upstream
            data = {**told.data, "contentBlockIndex": self._next} if "contentBlockIndex" in told.data else told.data
            out.append(event(told.name, data))
        elif told.name not in self._native_seen:
            self._native_seen.add(told.name)
            self._losses.hint(told.name or "event", f"only {told.origin} knows this event", told.data)

    def _finish(self, told: MessageStop, out: list[bytes]) -> None:
        self._done = True
        if self._behind is not None:
            at, seal = self._behind
            self._losses.hint(join(at, "signature"), "no block may follow the last text to carry it", seal.data)
        reason = render_finish(told.finish, self._origin, self._losses, called=self._called, refused=self._refused)
        extras = {**self._extras, **extras_of(told.extras, self._origin, self._losses)}
        stop: JsonObject = {"stopReason": reason or "end_turn"}
        out.append(event("messageStop", stop | {key: value for key, value in extras.items() if key in _AT_STOP}))
        late: JsonObject = {key: value for key, value in extras.items() if key not in _AT_STOP}
        if self._usage is None and self._origin == NAME and not late:
            return  # the upstream sent none
        metadata: JsonObject = {}
        if self._usage is not None or self._origin != NAME:
            metadata["usage"] = render_usage(self._usage, self._origin)
        if (tier := render_tier(self._usage, self._origin)) is not None:
            metadata["serviceTier"] = tier
        if self._origin != NAME:
            metadata["metrics"] = {"latencyMs": 0}
            report_usage(self._usage, self._losses)
        out.append(event("metadata", deep(metadata, late)))


def _without(block: JsonObject, key: str) -> JsonObject:
    return {name: value for name, value in block.items() if name != key}
