"""fold(events) -> Response and unfold(response) -> events: the only bridge between whole and streamed."""

from collections.abc import Iterable
from typing import assert_never

import msgspec

from gatewright.errors import Problem, UpstreamFailed
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
from gatewright.ir.response import Finish, Response, Usage
from gatewright.jsontypes import JsonObject

replace = msgspec.structs.replace


def update_usage(before: Usage | None, update: Usage) -> Usage:
    """`update` over `before`: cumulative figures replace, unsaid ones stay."""
    if before is None:
        return update
    told = {k: v for k in Usage.__struct_fields__ if (v := getattr(update, k)) not in (None, {})}
    return replace(before, **told)


class Folder:
    """Folds events one by one; `response` is what is known so far, `problem` an error that ended the stream."""

    def __init__(self) -> None:
        self.start: MessageStart | None = None
        self.blocks: list[Block] = []
        self.finish: Finish | None = None
        self.usage: Usage | None = None
        self.extras: JsonObject = {}
        self.problem: Problem | None = None
        self._open: list[str] = []
        self._parts: list[list[str]] = []

    def add(self, event: StreamEvent) -> None:
        match event:
            case MessageStart():
                self.start = event
                self.extras = dict(event.extras)
            case BlockStart():
                self.blocks.append(event.block)
                self._open = []
                self._parts = []
            case TextDelta():
                self._open.append(event.text)
                if event.logprobs:
                    text = self.blocks[-1]
                    assert isinstance(text, Text)
                    self.blocks[-1] = replace(text, logprobs=text.logprobs + event.logprobs)
            case ReasoningDelta():
                if event.part is None:
                    self._open.append(event.text)
                else:
                    while len(self._parts) <= event.part:
                        self._parts.append([])
                    self._parts[event.part].append(event.text)
            case ArgumentsDelta():
                self._open.append(event.text)
            case SealDelta():
                block = self.blocks[-1]
                assert isinstance(block, Reasoning | ToolCall | Text | Media)
                self.blocks[-1] = replace(block, seal=event.seal)
            case CitationDelta():
                text = self.blocks[-1]
                assert isinstance(text, Text)
                self.blocks[-1] = replace(text, citations=(*text.citations, event.citation))
            case BlockStop():
                self._close(event.extras)
            case UsageUpdate():
                self.usage = update_usage(self.usage, event.usage)
            case MessageStop():
                self.finish = event.finish
                self.extras |= event.extras
            case StreamError():
                if self._open or self._parts:
                    self._close({})
                self.problem = event.problem
            case NativeEvent():
                pass
            case _:
                assert_never(event)

    def _close(self, extras: JsonObject) -> None:
        block = self.blocks[-1]
        text = "".join(self._open)
        match block:
            case Text() | Refusal():
                block = replace(block, text=block.text + text)
            case Reasoning():
                parts = tuple("".join(part) for part in self._parts)
                block = replace(block, text=block.text + text, summary=block.summary + parts)
            case ToolCall():
                block = replace(block, arguments=block.arguments + text)
            case Media() | ToolResult() | Native():
                pass
        if extras:
            block = replace(block, extras={**block.extras, **extras})
        self.blocks[-1] = block
        self._open = []
        self._parts = []

    @property
    def response(self) -> Response:
        start = self.start or MessageStart(id="", model="", origin="openai_chat")
        return Response(
            origin=start.origin,
            id=start.id,
            model=start.model,
            created=start.created,
            form=start.form,
            others=start.others,
            blocks=tuple(self.blocks),
            finish=self.finish,
            usage=self.usage,
            extras=self.extras,
        )


def fold(events: Iterable[StreamEvent]) -> Response:
    """The whole answer that a stream told. Raises UpstreamFailed with the problem when the stream ended in an error."""
    folder = Folder()
    for event in events:
        folder.add(event)
    if folder.problem is not None:
        raise UpstreamFailed(folder.problem)
    return folder.response


def unfold(response: Response) -> list[StreamEvent]:
    """The events of a stream that would have told this answer."""
    events: list[StreamEvent] = [
        MessageStart(
            id=response.id,
            model=response.model,
            origin=response.origin,
            created=response.created,
            extras=response.extras,
            form=response.form,
            others=response.others,
        )
    ]
    for index, block in enumerate(response.blocks):
        events += _unfold_block(index, block)
    if response.usage is not None:
        events.append(UsageUpdate(response.usage))
    events.append(MessageStop(finish=response.finish))
    return events


def _unfold_block(index: int, block: Block) -> list[StreamEvent]:
    deltas: list[StreamEvent] = []
    match block:
        case Text():
            if block.text or block.logprobs:
                deltas.append(TextDelta(index, block.text, block.logprobs))
            deltas += [CitationDelta(index, citation) for citation in block.citations]
            start: Block = replace(block, text="", citations=(), logprobs=(), seal=None)
        case Refusal():
            deltas.append(TextDelta(index, block.text))
            start = replace(block, text="")
        case Reasoning():
            if block.text:
                deltas.append(ReasoningDelta(index, block.text))
            deltas += [ReasoningDelta(index, text, part) for part, text in enumerate(block.summary)]
            start = replace(block, text="", summary=(), seal=None)
        case ToolCall():
            if block.arguments:
                deltas.append(ArgumentsDelta(index, block.arguments))
            start = replace(block, arguments="", seal=None)
        case Media():
            start = replace(block, seal=None)
        case ToolResult() | Native():
            return [BlockStart(index, block), BlockStop(index)]
        case _:
            assert_never(block)
    if block_seal := getattr(block, "seal", None):
        deltas.append(SealDelta(index, block_seal))
    return [BlockStart(index, start), *deltas, BlockStop(index)]
