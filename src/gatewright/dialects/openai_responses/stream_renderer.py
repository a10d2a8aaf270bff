"""Streams, neutral -> wire: every event of the official order, numbered, under its name.

One rule: the item a stream built up and the item of a whole answer come from the same writer, so the last event repeats what
was streamed. A delta costs one encode and one format; nothing else is built for it.
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from gatewright.dialects.openai_responses.errors import error_event, failed_error
from gatewright.dialects.openai_responses.names import NAME, as_object, item_id, response_id
from gatewright.dialects.openai_responses.render_output import Writer, continues, is_part
from gatewright.dialects.openai_responses.render_parts import annotation, logprob_of, told_logprobs
from gatewright.dialects.openai_responses.render_response import answer_losses, as_told, body_of, extras_losses, head_of
from gatewright.dialects.openai_responses.tools import callables
from gatewright.errors import Problem
from gatewright.ir.blocks import Block, DialectName, Native, Reasoning, Refusal, Text, ToolCall
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
from gatewright.ir.fold import Folder
from gatewright.ir.loss import Loss, Losses, join
from gatewright.ir.request import Request
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import encode
from gatewright.wire.sse import event_name, sse

_string = msgspec.json.Encoder().encode
replace = msgspec.structs.replace


class ResponsesStreamRenderer:
    """Implements `dialects.protocol.StreamRenderer`."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._losses = Losses(NAME)
        self.losses: list[Loss] = self._losses.found
        self._folder = Folder()
        self._writer = Writer(response_id("", request), NAME, callables(request), self._losses)
        self._output: list[JsonValue] = []
        self._sequence = 0
        self._message: list[Block] = []
        """Finished parts of the message item that is open, if one is."""
        self._group_open = False
        self._item_id = ""
        self._delta = b""
        """What goes before the text of a delta of the open block. Empty: its deltas are held until it is whole."""
        self._texts: list[str] = []
        """Deltas of the open block (or of the open part of a reasoning) since its start."""
        self._part: int | None = None
        self._opened: list[int | None] = []
        """Reasoning parts told so far: their own index, or None for the reasoning itself."""
        self._ended = False

    def render(self, events: Sequence[StreamEvent]) -> bytes:
        wire: list[bytes] = []
        for event in events:
            if type(event) is TextDelta and self._delta and not event.logprobs:
                self._texts.append(event.text)
                wire.append(b'%b%b,"sequence_number":%d}\n\n' % (self._delta, _string(event.text), self._sequence))
                self._sequence += 1
            elif not self._ended:
                self._render(event, wire)
        return b"".join(wire)

    def keepalive(self) -> bytes:
        return b": keepalive\n\n"

    # -- writing one event ------------------------------------------------------------------------------------------

    def _say(self, wire: list[bytes], kind: str, **fields: JsonValue) -> None:
        data = encode({"type": kind, **fields, "sequence_number": self._sequence})
        self._sequence += 1
        wire.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))

    def _place(self, part: int | None = None) -> JsonObject:
        found: JsonObject = {"item_id": self._item_id, "output_index": len(self._output)}
        return found if part is None else {**found, "content_index": part}

    def _deltas(self, kind: str, **fields: JsonValue) -> bytes:
        """Everything of a delta event before its text."""
        head = encode({"type": kind, **self._place(), **fields})
        return b'event: %b\ndata: %b,"delta":' % (kind.encode(), head[:-1])

    def _one(self, wire: list[bytes], text: str) -> None:
        """One delta by the open block's own prefix."""
        self._texts.append(text)
        wire.append(b'%b%b,"sequence_number":%d}\n\n' % (self._delta, _string(text), self._sequence))
        self._sequence += 1

    # -- events -----------------------------------------------------------------------------------------------------

    def _render(self, event: StreamEvent, wire: list[bytes]) -> None:
        match event:
            case MessageStart():
                self._start(event, wire)
            case BlockStart():
                self._folder.add(event)
                self._block_start(event.block, wire)
            case TextDelta():
                self._text(event, wire)
            case ReasoningDelta():
                self._folder.add(event)
                self._reasoning(event, wire)
            case ArgumentsDelta():
                if self._delta:
                    self._one(wire, event.text)
                else:
                    self._texts.append(event.text)
            case SealDelta():
                self._folder.add(event)
            case CitationDelta():
                self._citation(event, wire)
            case BlockStop():
                self._block_stop(event, wire)
            case UsageUpdate():
                self._folder.add(event)
            case MessageStop():
                self._stop(event, wire)
            case StreamError(problem=problem):
                self._error(problem, wire)
            case NativeEvent():
                self._native(event, wire)
            case _:
                assert_never(event)

    @property
    def _origin(self) -> DialectName:
        return self._writer.origin

    def _start(self, event: MessageStart, wire: list[bytes]) -> None:
        self._folder.add(event)
        base = event.id if as_told(event.extras, event.origin) else response_id(event.id, self._request)
        self._writer = Writer(base, event.origin, self._writer.known, self._losses)
        extras_losses(self._folder.response, self._losses)
        body = self._in_progress()
        self._say(wire, "response.created", response=body)
        self._say(wire, "response.in_progress", response=body)

    def _in_progress(self) -> JsonObject:
        response = replace(self._folder.response, blocks=(), finish=None, usage=None)
        body = head_of(response, self._request)
        if not as_told(response.extras, response.origin):
            body |= {"usage": None, "output": []}
            body["status"] = "in_progress"
        return body

    def _block_start(self, block: Block, wire: list[bytes]) -> None:
        before = self._message[-1] if self._message else None
        if self._group_open and not continues(block, before, self._origin):
            self._close_message(wire)
        self._texts = []
        self._delta = b""
        index = len(self._output)
        if is_part(block):
            if not self._group_open:
                head = self._writer.message_head(block, index)
                self._open_item(wire, {**head, "content": [], "status": "in_progress"})
                self._group_open = True
            self._part_start(block, wire)
            return
        match block:
            case Reasoning():
                ref = block.id if block.id and self._writer.home else item_id("rs", self._writer.response_id, index)
                extras = block.extras if self._writer.home else {}
                self._part, self._opened = None, []
                self._open_item(wire, {"summary": [], **extras, "type": "reasoning", "id": ref})
                if block.text:
                    self._reasoning(ReasoningDelta(0, block.text), wire)
            case ToolCall():
                self._call_start(block, wire, index)
            case Native() if block.origin == NAME:
                self._open_item(wire, block.data)
            case _:
                pass  # told whole at its end, or a loss

    def _open_item(self, wire: list[bytes], item: JsonObject) -> None:
        given = item.get("id")
        self._item_id = given if isinstance(given, str) else ""
        self._say(wire, "response.output_item.added", output_index=len(self._output), item=item)

    def _part_start(self, block: Block, wire: list[bytes]) -> None:
        place = len(self._message)
        part = self._writer.part(block) if self._writer.home else _empty_part(block)
        match block:
            case Text():
                part = {**part, "text": ""}
                self._delta = self._deltas("response.output_text.delta", content_index=place, logprobs=[])
            case Refusal():
                part = {**part, "refusal": ""}
                self._delta = self._deltas("response.refusal.delta", content_index=place)
            case _:
                pass
        self._say(wire, "response.content_part.added", **self._place(place), part=part)
        if isinstance(block, Text | Refusal) and block.text:
            self._one(wire, block.text)
            self._folder.blocks[-1] = replace(block, text="")

    def _call_start(self, call: ToolCall, wire: list[bytes], index: int) -> None:
        losses = len(self.losses)
        head = self._writer.call_head(call, index)
        del self.losses[losses:]  # reported at the block's end
        custom = head["type"] == "custom_tool_call"
        if self._writer.home or not custom:
            head["status"] = "in_progress"
        self._open_item(wire, {**head, "input" if custom else "arguments": ""})
        if custom and call.kind != "custom":
            self._delta = b""  # wrapped in JSON: the text is known when the arguments are whole
        elif custom:
            self._delta = self._deltas("response.custom_tool_call_input.delta")
        else:
            self._delta = self._deltas("response.function_call_arguments.delta")
        if call.arguments and self._delta:
            self._one(wire, call.arguments)
            self._folder.blocks[-1] = replace(call, arguments="")

    def _text(self, event: TextDelta, wire: list[bytes]) -> None:
        """A text delta with log probabilities."""
        self._texts.append(event.text)
        self._folder.add(TextDelta(event.index, "", event.logprobs))
        found = [logprob_of(each, origin=self._origin, losses=Losses(NAME)) for each in event.logprobs]
        place = self._place(len(self._message))
        self._say(wire, "response.output_text.delta", **place, delta=event.text, logprobs=self._logprobs(found))

    def _logprobs(self, found: list[JsonObject]) -> list[JsonValue]:
        return list(found) if self._writer.home else told_logprobs(found)

    def _reasoning(self, event: ReasoningDelta, wire: list[bytes]) -> None:
        if not self._opened or self._part != event.part:
            self._close_thought(wire)
            self._part = event.part
            self._opened.append(event.part)
            place = self._thought_place()
            if self._summarised:
                empty: JsonObject = {"type": "summary_text", "text": ""}
                self._say(wire, "response.reasoning_summary_part.added", **place, part=empty)
                self._delta = self._deltas("response.reasoning_summary_text.delta", **place)
            else:
                empty = {"type": "reasoning_text", "text": ""}
                self._say(wire, "response.content_part.added", **place, part=empty)
                self._delta = self._deltas("response.reasoning_text.delta", **place)
        if event.text:
            self._one(wire, event.text)

    @property
    def _summarised(self) -> bool:
        """Whether the open part of the reasoning is shown as a summary: clients that drop all else keep that."""
        return self._part is not None or not self._writer.home

    def _thought_place(self) -> JsonObject:
        if not self._summarised:
            return {**self._place(), "content_index": 0}
        told = len(self._opened) - 1 if not self._writer.home else self._part or 0
        return {**self._place(), "summary_index": told}

    def _close_thought(self, wire: list[bytes]) -> None:
        if not self._opened:
            return
        text, place = "".join(self._texts), self._thought_place()
        self._texts = []
        if self._summarised:
            self._say(wire, "response.reasoning_summary_text.done", **place, text=text)
            part: JsonObject = {"type": "summary_text", "text": text}
            self._say(wire, "response.reasoning_summary_part.done", **place, part=part)
        else:
            self._say(wire, "response.reasoning_text.done", **place, text=text)
            self._say(wire, "response.content_part.done", **place, part={"type": "reasoning_text", "text": text})

    def _citation(self, event: CitationDelta, wire: list[bytes]) -> None:
        length = sum(map(len, self._texts))
        found = annotation(event.citation, length, origin=self._origin, losses=Losses(NAME))
        citation = event.citation
        if found is not None:
            block = self._folder.blocks[-1]
            told = len(block.citations) if isinstance(block, Text) else 0
            place = self._place(len(self._message))
            self._say(wire, "response.output_text.annotation.added", **place, annotation_index=told, annotation=found)
            if citation.end is None and not self._writer.home:
                if citation.start is not None:  # else the finished item tells it
                    self._losses.hint(join(citation.at, "end_index"), "the place is not told; the text so far is said")
                citation = replace(citation, end=length)
        self._folder.add(CitationDelta(event.index, citation))

    def _block_stop(self, event: BlockStop, wire: list[bytes]) -> None:
        block = self._folder.blocks[-1]
        text = "".join(self._texts)
        if isinstance(block, Text | Refusal):
            self._folder.add(TextDelta(event.index, text))
        elif isinstance(block, ToolCall):
            self._folder.add(ArgumentsDelta(event.index, text))
        elif isinstance(block, Reasoning):
            self._close_thought(wire)
        self._folder.add(event)
        block = self._folder.blocks[-1]
        if is_part(block):
            self._part_stop(block, wire)
        else:
            self._item_stop(block, wire)
        self._texts = []
        self._delta = b""

    def _part_stop(self, block: Block, wire: list[bytes]) -> None:
        losses = len(self.losses)
        part = self._writer.part(block)
        del self.losses[losses:]  # reported with the item
        place = self._place(len(self._message))
        if isinstance(block, Text):
            found = part.get("logprobs")
            told = self._logprobs([as_object(each) for each in found] if isinstance(found, list) else [])
            self._say(wire, "response.output_text.done", **place, text=block.text, logprobs=told)
        elif isinstance(block, Refusal):
            self._say(wire, "response.refusal.done", **place, refusal=block.text)
        self._say(wire, "response.content_part.done", **place, part=part)
        self._message.append(block)

    def _close_message(self, wire: list[bytes]) -> None:
        if not self._group_open:
            return
        self._finish_item(self._message, wire)
        self._message = []
        self._group_open = False

    def _item_stop(self, block: Block, wire: list[bytes]) -> None:
        if isinstance(block, ToolCall):
            place = self._place()
            known = self._writer.called(block)
            if block.kind == "custom" or (known is not None and known.custom):
                text = self._writer.custom_input(block)
                if block.kind != "custom":
                    self._say(wire, "response.custom_tool_call_input.delta", **place, delta=text)
                self._say(wire, "response.custom_tool_call_input.done", **place, input=text)
            else:
                self._say(wire, "response.function_call_arguments.done", **place, arguments=block.arguments)
        self._finish_item([block], wire)

    def _finish_item(self, group: list[Block], wire: list[bytes]) -> None:
        index = len(self._output)
        told = len(self._output)
        self._writer.finish(group, self._output)
        opened = is_part(group[0]) or isinstance(group[0], Reasoning | ToolCall | Native)
        for item in self._output[told:]:
            if index > told or not opened:
                self._say(wire, "response.output_item.added", output_index=index, item=item)
            self._say(wire, "response.output_item.done", output_index=index, item=item)
            index += 1

    def _native(self, event: NativeEvent, wire: list[bytes]) -> None:
        if event.origin != NAME:
            self._losses.hint("events", f"an event that only {event.origin} knows", event.data)
            return
        kind = event.data.get("type")
        data = encode({**event.data, "sequence_number": self._sequence})
        self._sequence += 1
        wire.append(sse(data, event_name(kind if isinstance(kind, str) else event.name)))

    def _stop(self, event: MessageStop, wire: list[bytes]) -> None:
        self._ended = True
        self._close_message(wire)
        self._folder.add(event)
        response = self._folder.response
        if response.origin != NAME:
            answer_losses(replace(response, extras=event.extras), self._losses)
        body = body_of(response, self._request, self._output)
        status = body.get("status")
        kind = "response.incomplete" if status == "incomplete" else "response.completed"
        self._say(wire, kind, response=body)

    def _error(self, problem: Problem, wire: list[bytes]) -> None:
        """The error; then, once a response has begun, that it failed: clients wait for a last event."""
        self._ended = True
        wire.append(b"event: error\ndata: %b\n\n" % encode(error_event(problem, self._sequence)))
        self._sequence += 1
        if self._folder.start is None:
            return
        body = self._in_progress()
        body |= {"status": "failed", "error": failed_error(problem), "output": self._output}
        usage = body_of(self._folder.response, self._request, []).get("usage")
        self._say(wire, "response.failed", response=body | {"usage": usage})


def _empty_part(block: Block) -> JsonObject:
    if isinstance(block, Refusal):
        return {"type": "refusal", "refusal": ""}
    return {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
