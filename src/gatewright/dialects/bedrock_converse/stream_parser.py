"""An upstream's stream of Converse frames, read.

One rule: a block that only this dialect knows (the tools that Bedrock runs itself) is held back until it is whole; others flow.
Text and reasoning begin without an event of their own.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from typing import Any, TypeVar

import msgspec

from gatewright.dialects.bedrock_converse.content import nested, parse_block, parse_citation
from gatewright.dialects.bedrock_converse.finish import parse_finish, stopped_for_json
from gatewright.dialects.bedrock_converse.response import sealed_by, take_usage
from gatewright.dialects.bedrock_converse.seals import NAME, REDACTED, open_redacted, open_signature
from gatewright.dialects.bedrock_converse.watch import problem_in
from gatewright.errors import Malformed, Problem
from gatewright.ir.blocks import Block, Reasoning, Text, ToolCall
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
from gatewright.jsontypes import JsonObject
from gatewright.wire.eventstream import BadFrame, Decoder, Message
from gatewright.wire.fields import Fields
from gatewright.wire.json import BadJson, decode_lenient, decode_or_text, kind

_PADDING = "p"
"""Filler against traffic analysis."""
_Kind = TypeVar("_Kind", bound=Block)


class _TextPiece(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str


class _Delta(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The shape of nearly every event; anything beside it takes the general way."""

    contentBlockIndex: int  # noqa: N815 - the wire's own word
    delta: _TextPiece
    p: str = ""


_decode_delta = msgspec.json.Decoder(_Delta).decode


class ConverseParser:
    """feed(bytes) -> events, close() -> events. After an error or the end nothing more comes."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._frames = Decoder()
        self._done = False
        self._started = False
        self._index = -1  # of the neutral block that is open, or was last
        self._wire_index = -1  # of the block on the wire that is open, or was last
        self._open: Block | None = None
        self._held: JsonObject | None = None  # a native block that is not whole yet
        self._pieces: list[str] = []  # the input of a held call
        self._answer = False  # whether the open block is the forced tool that stands in for a format
        self._answered = False
        self._finish: Finish | None = None
        self._extras: JsonObject = {}

    def feed(self, data: bytes) -> list[StreamEvent]:
        if self._done:
            return []
        try:
            messages = self._frames.feed(data)
        except BadFrame as error:
            return self._broken(error)
        return self._read_all(messages)

    def _read_all(self, messages: list[Message]) -> list[StreamEvent]:
        found: list[StreamEvent] = []
        for message in messages:
            try:
                self._read(message, found)
            except (Malformed, BadJson) as error:
                why = error.problem.message if isinstance(error, Malformed) else str(error)
                found += self._fail(f"the provider's stream cannot be read: {why}")
            if self._done:
                break
        return found

    def close(self) -> list[StreamEvent]:
        if self._done:
            return []
        try:
            self._frames.close()
        except BadFrame as error:
            return self._broken(error)
        if self._finish is not None:
            return self._stop()
        return self._fail("the provider's stream was cut off")

    def _broken(self, error: BadFrame) -> list[StreamEvent]:
        """Bytes that are no frame: nothing is lost with them where the stream had told its end."""
        return self._fail(f"the provider's stream cannot be read: {error}") if self._finish is None else self._stop()

    def _fail(self, message: str) -> list[StreamEvent]:
        self._done = True
        return [StreamError(Problem(kind="upstream", message=message))]

    def _read(self, message: Message, found: list[StreamEvent]) -> None:
        name = message.headers.get(":event-type")
        if name == "contentBlockDelta" and self._held is None and type(self._open) is Text:
            try:
                piece = _decode_delta(message.payload)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass
            else:
                if piece.contentBlockIndex == self._wire_index:
                    found.append(TextDelta(self._index, piece.delta.text))
                    return
        problem = problem_in(message)
        if problem is not None:
            self._done = True
            found.append(StreamError(problem))
            return
        if not isinstance(name, str):
            return
        document = decode_lenient(message.payload) if message.payload else {}
        if not isinstance(document, dict):
            raise Malformed(name, "an object", kind(document))
        document.pop(_PADDING, None)
        self._event(name, Fields(document, name), found)

    def _event(self, name: str, fields: Fields, found: list[StreamEvent]) -> None:
        if not self._started:
            self._started = True
            extras = {key: value for key, value in fields.rest().items() if key != "role"} if name == "messageStart" else {}
            left: JsonObject = {"output": {"message": extras}} if extras else {}
            found.append(MessageStart(id="", model=self._asked.model, origin=NAME, extras=left))
            if name == "messageStart":
                return
        match name:
            case "contentBlockStart":
                self._begin(fields, found)
            case "contentBlockDelta":
                self._delta(fields, found)
            case "contentBlockStop":
                self._end(fields, found)
            case "messageStop":
                self._close_open(found)
                self._finish = parse_finish(fields.peek("stopReason")) or Finish(reason="other")
                fields.take("stopReason")
                self._extras |= fields.rest()
            case "metadata":
                usage = take_usage(fields)
                if usage is not None:
                    found.append(UsageUpdate(usage))
                self._extras |= fields.rest()
                if self._finish is not None:
                    found += self._stop()
            case _:
                found.append(NativeEvent(origin=NAME, data=fields.rest(), name=name))

    def _stop(self) -> list[StreamEvent]:
        self._done = True
        found: list[StreamEvent] = []
        self._close_open(found)
        finish = stopped_for_json(self._finish) if self._answered else self._finish
        return [*found, MessageStop(finish=finish, extras=self._extras)]

    # ------------------------------------------------------------------------------------------- blocks

    def _place(self, fields: Fields, found: list[StreamEvent]) -> int:
        """The event's block on the wire; another than the open one closes that."""
        index = fields.integer("contentBlockIndex")
        if index is None:
            raise Malformed(fields.path("contentBlockIndex"), "an integer", "nothing")
        if index != self._wire_index:
            self._close_open(found)
            self._wire_index = index
        return index

    def _start(self, block: _Kind, found: list[StreamEvent]) -> _Kind:
        self._index += 1
        self._open = block
        found.append(BlockStart(self._index, block))
        return block

    def _close_open(self, found: list[StreamEvent]) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            call = held.get("toolUse")
            if isinstance(call, dict):
                text = "".join(self._pieces)
                call["input"] = decode_or_text(text) if text.strip() else {}
            self._pieces = []
            self._start(parse_block(Fields(held)), found)
        if self._open is not None:
            found.append(BlockStop(self._index))
            self._open = None
            self._answer = False

    def _begin(self, fields: Fields, found: list[StreamEvent]) -> None:
        self._close_open(found)
        index = self._place(fields, found)
        start = fields.fields("start")
        at = f"output.message.content[{index}]"
        call = start.peek("toolUse") if start is not None else None
        if start is not None and isinstance(call, dict) and call and call.get("type") is None:
            inner = start.fields("toolUse")
            assert inner is not None
            inner.take("type")
            name = inner.need_text("name")
            call_id = inner.need_text("toolUseId")
            left = nested(start, "toolUse", inner.rest())
            if self._asked.json_tool and name == self._asked.json_tool:
                self._answer = self._answered = True
                self._start(Text(text="", at=at, extras=left), found)
            else:
                self._start(ToolCall(id=call_id, name=name, arguments="", at=at, extras=left), found)
        elif start is not None:
            self._held = {key: dict(value) if isinstance(value, dict) else value for key, value in start.rest().items()}
        self._beside(fields, "contentBlockStart", index, found)

    def _end(self, fields: Fields, found: list[StreamEvent]) -> None:
        before = self._wire_index
        index = self._place(fields, found)
        if self._open is None and self._held is None and index > before:
            self._start(Text(text="", at=f"output.message.content[{index}]"), found)
        self._close_open(found)
        self._beside(fields, "contentBlockStop", index, found)

    def _delta(self, fields: Fields, found: list[StreamEvent]) -> None:
        index = self._place(fields, found)
        delta = fields.fields("delta")
        at = f"output.message.content[{index}]"
        if delta is not None:
            if self._held is not None:
                self._hold(delta)
            else:
                self._piece(delta, at, found)
            if delta.rest():
                fields.put_back("delta", delta.rest())
        self._beside(fields, "contentBlockDelta", index, found)

    def _beside(self, fields: Fields, name: str, index: int, found: list[StreamEvent]) -> None:
        """What an event says that nobody here knows."""
        if fields.rest():
            found.append(NativeEvent(origin=NAME, data={"contentBlockIndex": index, **fields.rest()}, name=name))

    def _piece(self, delta: Fields, at: str, found: list[StreamEvent]) -> None:
        if (text := delta.text("text")) is not None:
            self._opened(Text, Text(text="", at=at), found)
            found.append(TextDelta(self._index, text))
        if isinstance(delta.peek("toolUse"), dict) and isinstance(self._open, ToolCall | Text):
            self._argue(delta, found)
        if isinstance(delta.peek("reasoningContent"), dict):
            self._reason(delta, at, found)
        if (citation := delta.fields("citation")) is not None:
            self._opened(Text, Text(text="", at=at), found)
            found.append(CitationDelta(self._index, parse_citation(citation)))
        if delta.peek("image") is not None or delta.peek("toolResult") is not None:
            self._close_open(found)
            self._held = {}
            self._hold(delta)

    def _opened(self, wanted: type[Any], fresh: Block, found: list[StreamEvent]) -> None:
        """Have a block of this kind open: a change of kind closes the one before."""
        if not isinstance(self._open, wanted):
            self._close_open(found)
            self._start(fresh, found)

    def _argue(self, delta: Fields, found: list[StreamEvent]) -> None:
        inner = delta.fields("toolUse")
        text = inner.text("input") if inner is not None else None
        if text:
            piece = TextDelta(self._index, text) if self._answer else ArgumentsDelta(self._index, text)
            if self._answer or isinstance(self._open, ToolCall):
                found.append(piece)
        if inner is not None and inner.rest():
            delta.put_back("toolUse", inner.rest())

    def _reason(self, delta: Fields, at: str, found: list[StreamEvent]) -> None:
        inner = delta.fields("reasoningContent")
        if inner is None:
            return
        if (word := inner.text(REDACTED)) is not None:
            self._close_open(found)
            opened, side = open_redacted(word)
            seal = Seal(dialect=NAME, data=word, kind=REDACTED) if side else opened
            self._start(Reasoning(redacted=True, at=at), found)
            found.append(SealDelta(self._index, self._signed(seal)))
        if (text := inner.text("text")) is not None:
            self._opened(Reasoning, Reasoning(at=at), found)
            if text:
                found.append(ReasoningDelta(self._index, text))
        if word := inner.text("signature"):
            self._opened(Reasoning, Reasoning(at=at), found)
            found.append(SealDelta(self._index, self._signed(open_signature(word))))
        if inner.rest():
            delta.put_back("reasoningContent", inner.rest())

    def _signed(self, seal: Seal) -> Seal:
        block = sealed_by(self._asked.issuer, Reasoning(seal=seal))
        assert isinstance(block, Reasoning)
        return block.seal or seal

    def _hold(self, delta: Fields) -> None:
        """A piece of a block that is told whole: input text, results, an image's bytes."""
        held = self._held
        assert held is not None
        call = delta.peek("toolUse")
        if isinstance(call, dict) and isinstance(text := call.get("input"), str):
            delta.take("toolUse")
            self._pieces.append(text)
        results = delta.peek("toolResult")
        if isinstance(results, list):
            delta.take("toolResult")
            inner = held.setdefault("toolResult", {})
            if isinstance(inner, dict):
                before = inner.get("content")
                inner["content"] = [*(before if isinstance(before, list) else []), *results]
        image = delta.peek("image")
        if isinstance(image, dict):
            delta.take("image")
            inner = held.setdefault("image", {})
            if isinstance(inner, dict):
                _joined(inner, image)


def _joined(inner: JsonObject, piece: JsonObject) -> None:
    """An image's next piece: bytes come in several, each whole base64."""
    source, more = inner.get("source"), piece.get("source")
    if isinstance(source, dict) and isinstance(more, dict) and isinstance(more.get("bytes"), str):
        inner["source"] = {**source, "bytes": f"{source.get('bytes', '')}{more['bytes']}"}
        inner |= {key: value for key, value in piece.items() if key != "source"}
    else:
        inner |= piece
