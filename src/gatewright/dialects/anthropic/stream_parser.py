"""An upstream's stream of Messages events, read.

One rule: a block that only this dialect knows (server tools, compaction) is held back until it is whole; all others flow.
https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from typing import Literal, assert_never

import msgspec

from gatewright.dialects.anthropic.content import NAME, input_of, parse_block, parse_citation
from gatewright.dialects.anthropic.errors import problem_of
from gatewright.dialects.anthropic.finish import parse_finish, stopped_for_json
from gatewright.dialects.anthropic.response import sealed_by
from gatewright.dialects.anthropic.usage import merge_usage, parse_usage
from gatewright.errors import Malformed, Problem
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
from gatewright.ir.request import Asked
from gatewright.ir.response import Finish
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.fields import Fields
from gatewright.wire.json import BadJson, decode_lenient, kind
from gatewright.wire.sse import OversizedEvent, SseEvent, SseParser


class _TextPiece(msgspec.Struct, tag="text_delta", forbid_unknown_fields=True, gc=False):
    text: str


class _ThinkingPiece(msgspec.Struct, tag="thinking_delta", forbid_unknown_fields=True, gc=False):
    thinking: str


class _JsonPiece(msgspec.Struct, tag="input_json_delta", forbid_unknown_fields=True, gc=False):
    partial_json: str


class _Delta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The shape of nearly every event; anything beside it takes the general way."""

    type: Literal["content_block_delta"]
    index: int
    delta: _TextPiece | _ThinkingPiece | _JsonPiece


_decode_delta = msgspec.json.Decoder(_Delta).decode
_DELTA = b"content_block_delta"
_EVENT_LEVEL = frozenset({"type", "delta", "usage", "message", "content_block", "index"})
_NULLS = frozenset({"stop_reason", "stop_sequence", "content", "type", "role"})
"""Fields of message_start's message that only hold a place."""


def _index(fields: Fields, otherwise: int) -> int:
    """The block's index on the wire; `otherwise` where a host leaves it out."""
    value = fields.peek("index")
    if isinstance(value, float) and value.is_integer():
        fields.take("index")
        return int(value)
    index = fields.integer("index")
    return otherwise if index is None else index


class MessagesParser:
    """feed(bytes) -> events, close() -> events. After an error or the end nothing more comes."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._sse = SseParser()
        self._done = False
        self._started = False
        self._index = -1  # of the neutral block that is open, or was last
        self._wire_index: int | None = None  # of the open block on the wire
        self._open: Block | None = None
        self._held: JsonObject | None = None  # a native block that is not whole yet
        self._json: list[str] = []  # the input of a held block
        self._arguments = False  # whether the open call has been told any
        self._answer = False  # whether the open block is the forced tool that stands in for a format
        self._answered = False
        self._usage: JsonObject = {}
        self._finish: Finish | None = None
        self._extras: JsonObject = {}

    def feed(self, data: bytes) -> list[StreamEvent]:
        if self._done:
            return []
        try:
            events = self._sse.feed(data)
        except OversizedEvent as error:
            return self._fail(str(error))
        return self._read_all(events)

    def close(self) -> list[StreamEvent]:
        if self._done:
            return []
        found = self._read_all(self._sse.close())
        if found and isinstance(found[-1], MessageStop | StreamError):
            return found
        if self._finish is not None and self._open is None and self._held is None:
            return [*found, *self._stop()]
        return [*found, *self._fail("the provider's stream was cut off")]

    def _keep(self, fields: Fields) -> None:
        """What an event or a delta says beyond what is known: the last word of each stands with the message."""
        self._extras |= {key: value for key, value in fields.rest().items() if key not in _EVENT_LEVEL}

    def _fail(self, message: str) -> list[StreamEvent]:
        self._done = True
        return [StreamError(Problem(kind="upstream", message=message))]

    def _read_all(self, events: list[SseEvent]) -> list[StreamEvent]:
        found: list[StreamEvent] = []
        for name, data in events:
            if name == _DELTA or (not name and _DELTA in data):
                try:
                    event = _decode_delta(data)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    pass
                else:
                    if event.index == self._wire_index and self._held is None:
                        piece = event.delta
                        if type(piece) is _TextPiece and type(self._open) is Text:
                            if piece.text:
                                found.append(TextDelta(self._index, piece.text))
                            continue
                        if type(piece) is _JsonPiece and type(self._open) is ToolCall:
                            if piece.partial_json:
                                found.append(self._argument(piece.partial_json))
                            continue
                        if type(piece) is _ThinkingPiece and type(self._open) is Reasoning:
                            if piece.thinking:
                                found.append(ReasoningDelta(self._index, piece.thinking))
                            continue
            if not data or data == b"[DONE]":
                continue
            try:
                found += self._read(data, name)
            except (BadJson, Malformed) as error:
                said = error.problem.message if isinstance(error, Malformed) else str(error)
                found += self._fail(f"the provider's stream could not be read: {said}")
            if self._done:
                break
        return found

    def _read(self, data: bytes, name: bytes) -> list[StreamEvent]:
        event = decode_lenient(data)
        fields = Fields(event)
        assert isinstance(event, dict)
        word = event.get("type")
        match name.decode("utf-8", "replace") if word is None and name else word:
            case "message_start":
                return [] if self._started else self._start(fields)
            case "content_block_start":
                return [*self._begin(), *self._block_start(fields)]
            case "content_block_delta":
                return [*self._begin(), *self._block_delta(fields, event)]
            case "content_block_stop":
                self._keep(fields)
                return self._block_stop()
            case "message_delta":
                return [*self._begin(), *self._message_delta(fields)]
            case "message_stop":
                self._keep(fields)
                return [*self._begin(), *self._block_stop(), *self._stop()]
            case "ping":
                return []
            case "error":
                self._done = True
                return [StreamError(problem_of(event, 0))]
            case None if "error" in event:
                self._done = True
                return [StreamError(problem_of(event, 0))]
            case str():
                return [NativeEvent(origin=NAME, data=event, name=name.decode("utf-8", "replace"))]
            case _:
                raise Malformed("type", "a string", "something else")

    def _begin(self) -> list[StreamEvent]:
        """The start of a message whose upstream did not tell it."""
        if self._started:
            return []
        self._started = True
        return [MessageStart(id="", model=self._asked.model, origin=NAME)]

    def _start(self, fields: Fields) -> list[StreamEvent]:
        self._started = True
        self._keep(fields)
        message = fields.fields("message")
        if message is None:
            return [MessageStart(id="", model=self._asked.model, origin=NAME)]
        for key, word in (("type", "message"), ("role", "assistant")):
            if message.peek(key) not in (None, word):
                raise Malformed(message.path(key), f'"{word}"', kind(message.peek(key)))
        usage = message.object("usage")
        start = MessageStart(
            id=message.text("id") or "",
            model=message.text("model") or "",
            origin=NAME,
            extras={key: value for key, value in message.rest().items() if key not in _NULLS},
        )
        if usage is None:
            return [start]
        self._usage = usage
        return [start, UsageUpdate(parse_usage(usage))]

    def _block_start(self, fields: Fields) -> list[StreamEvent]:
        closed = self._block_stop()
        self._wire_index = _index(fields, self._index + 1)
        given = fields.object("content_block")
        if given is None:
            raise Malformed("content_block", "an object", "nothing")
        self._keep(fields)
        whole = dict(given)
        if (key := whole.get("type")) in ("text", "thinking") and whole.get(str(key)) is None:
            whole[str(key)] = ""  # its text follows in deltas
        block = Fields(whole, f"content[{self._index + 1}]")
        if whole.get("signature") == "":
            block.take("signature")
        read = parse_block(block)
        return [*closed, *self._open_block(read, whole)]

    def _open_block(self, block: Block, whole: JsonObject) -> list[StreamEvent]:
        self._arguments = self._answer = False
        if isinstance(block, Native | Media | ToolResult):
            self._held, self._json = whole, []
            return []
        self._index += 1
        index = self._index
        match block:
            case Text():
                self._open = block
                deltas: list[StreamEvent] = [TextDelta(index, block.text)] if block.text else []
                deltas += [CitationDelta(index, citation) for citation in block.citations]
                start: Block = msgspec.structs.replace(block, text="", citations=())
            case Reasoning():
                self._open = block
                deltas = [ReasoningDelta(index, block.text)] if block.text else []
                if block.seal is not None:
                    sealed = sealed_by(self._asked.issuer, block)
                    assert isinstance(sealed, Reasoning)
                    assert sealed.seal is not None
                    deltas.append(SealDelta(index, sealed.seal))
                start = msgspec.structs.replace(block, text="", seal=None)
            case ToolCall():
                self._open = block
                self._answer = block.name == self._asked.json_tool
                self._answered = self._answered or self._answer
                deltas = [self._argument(block.arguments)] if block.arguments != "{}" else []
                start = msgspec.structs.replace(block, arguments="", form=())
                if self._answer:
                    start = Text(text="", at=block.at, extras=block.extras)
            case Refusal():  # pragma: no cover - this dialect has no such block
                return []
            case _:
                assert_never(block)
        return [BlockStart(index, start), *deltas]

    def _argument(self, text: str) -> StreamEvent:
        self._arguments = True
        return TextDelta(self._index, text) if self._answer else ArgumentsDelta(self._index, text)

    def _block_delta(self, fields: Fields, event: JsonObject) -> list[StreamEvent]:
        index = _index(fields, self._index if self._wire_index is None else self._wire_index)
        delta = fields.fields("delta")
        if delta is None:
            return []
        word = delta.need_text("type")
        opened: list[StreamEvent] = []
        if self._open is None and self._held is None:
            opened = self._imply(word, index)
        elif index != self._wire_index:
            raise Malformed("index", f"{self._wire_index}, the open block's", str(index))
        self._keep(fields)
        if self._held is not None:
            self._grow(delta, word)
            return opened
        told = self._known_delta(delta, word, event)
        if not any(isinstance(one, NativeEvent) for one in told):
            self._keep(delta)
        return [*opened, *told]

    def _imply(self, word: str, index: int) -> list[StreamEvent]:
        """Open the block that a delta without a start belongs to (some hosts send none)."""
        self._wire_index = index
        at = f"content[{self._index + 1}]"
        block: Block = Reasoning(at=at) if word in {"thinking_delta", "signature_delta"} else Text(text="", at=at)
        return self._open_block(block, {})

    def _known_delta(self, delta: Fields, word: str, event: JsonObject) -> list[StreamEvent]:
        index = self._index
        match word:
            case "text_delta" if isinstance(self._open, Text):
                text = delta.text("text")
                return [TextDelta(index, text)] if text else []
            case "thinking_delta" if isinstance(self._open, Reasoning):
                text = delta.text("thinking")
                return [ReasoningDelta(index, text)] if text else []
            case "input_json_delta" if isinstance(self._open, ToolCall):
                text = delta.text("partial_json")
                return [self._argument(text)] if text else []
            case "signature_delta" if isinstance(self._open, Reasoning):
                text = delta.text("signature")
                return [SealDelta(index, Seal(dialect=NAME, data=text, issuer=self._asked.issuer))] if text else []
            case "citations_delta" if isinstance(self._open, Text):
                citation = delta.fields("citation")
                return [] if citation is None else [CitationDelta(index, parse_citation(citation))]
            case _:
                return [NativeEvent(origin=NAME, data=event, name="content_block_delta")]

    def _grow(self, delta: Fields, word: str) -> None:
        """A delta of a held block: its input in pieces, or fields of it."""
        assert self._held is not None
        if word == "input_json_delta":
            self._json.append(delta.text("partial_json") or "")
            return
        for key, value in delta.rest().items():
            before = self._held.get(key)
            self._held[key] = before + value if isinstance(before, str) and isinstance(value, str) else value

    def _block_stop(self) -> list[StreamEvent]:
        self._wire_index = None
        if self._held is not None:
            block, self._held = self._held, None
            if said := "".join(self._json):
                block["input"] = input_of(said)[0]
            self._index += 1
            native = Native(origin=NAME, data=block, at=f"content[{self._index}]")
            return [BlockStart(self._index, native), BlockStop(self._index)]
        if self._open is None:
            return []
        last: list[StreamEvent] = []
        if isinstance(self._open, ToolCall) and not self._arguments:
            last = [self._argument("{}")]
        self._open = None
        return [*last, BlockStop(self._index)]

    def _message_delta(self, fields: Fields) -> list[StreamEvent]:
        closed = self._block_stop()
        delta: JsonValue = fields.peek("delta")
        usage = fields.peek("usage")
        if isinstance(delta, dict):
            finish = parse_finish(delta.get("stop_reason"), delta.get("stop_sequence"), delta.get("stop_details"))
            self._finish = finish or self._finish
            taken = {"stop_reason"} | ({"stop_sequence"} if finish is not None and finish.sequence is not None else set())
            self._extras |= {key: value for key, value in delta.items() if key not in taken}
        self._keep(fields)
        if isinstance(usage, dict) and usage:
            self._usage = merge_usage(self._usage, usage)
            closed.append(UsageUpdate(parse_usage(self._usage)))
        return closed

    def _stop(self) -> list[StreamEvent]:
        self._done = True
        finish = stopped_for_json(self._finish) if self._answered else self._finish
        return [MessageStop(finish=finish, extras=self._extras)]
