"""The blocks of a streamed answer: parts come in, block events go out.

One rule: at most one block is open. Text and thoughts grow; function calls are held until they are whole; all else comes whole.
"""

from typing import Literal

from gatewright.dialects.gemini.grounding import parse_citations, parse_logprobs
from gatewright.dialects.gemini.partial_args import BadPath, put
from gatewright.dialects.gemini.parts import parse_part
from gatewright.dialects.gemini.proto import Proto
from gatewright.dialects.gemini.response import CONTENT
from gatewright.ir.blocks import Block, Media, Reasoning, Text, TokenLogprob, ToolCall
from gatewright.ir.events import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    CitationDelta,
    ReasoningDelta,
    SealDelta,
    StreamEvent,
    TextDelta,
)
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import BadJson, encode

Open = Literal["", "text", "thought", "call"]


class BlockStream:
    """Turns parts into events. `issuer` is the endpoint that answers, for its signatures."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._index = -1
        self._open: Open = ""
        self._sealed = False
        self._texts: list[str] = []
        self._args: JsonObject = {}
        self._growing: set[str] = set()
        self._call_seal: Seal | None = None
        self.called = False
        """Whether a function call has come."""

    def text(self, text: str, events: list[StreamEvent]) -> None:
        """One plain text part: the hot path. An empty one says nothing."""
        if not text:
            return
        if self._open != "text" or self._sealed:
            self._begin("text", Text(text="", at=f"{CONTENT}.parts[{self._index + 1}]"), events)
        self._texts.append(text)
        events.append(TextDelta(self._index, text))

    def thought(self, text: str, events: list[StreamEvent]) -> None:
        """One plain thought."""
        if not text:
            return
        if self._open != "thought" or self._sealed:
            self._begin("thought", Reasoning(at=f"{CONTENT}.parts[{self._index + 1}]"), events)
        events.append(ReasoningDelta(self._index, text))

    def part(self, value: JsonValue, events: list[StreamEvent], tokens: tuple[TokenLogprob, ...]) -> tuple[TokenLogprob, ...]:
        """Any part. `tokens` go with the first text; what is left of them is given back."""
        if isinstance(value, dict) and isinstance(call := value.get("functionCall"), dict) and self._partial(value, call, events):
            return tokens
        match block := parse_part(value, f"{CONTENT}.parts[{self._index + 1}]", self._issuer):
            case Text() if not block.extras:
                if tokens and block.text:
                    self._text_with(block.text, tokens, events)
                    tokens = ()
                else:
                    self.text(block.text, events)
                self._seal(block, "text", events)
            case Reasoning() if not block.extras:
                self.thought(block.text, events)
                self._seal(block, "thought", events)
            case ToolCall():
                self.called = True
                start = ToolCall(id=block.id, name=block.name, arguments="", at=block.at, form=block.form, extras=block.extras)
                self._whole(start, block.seal, events, ArgumentsDelta(self._index + 1, block.arguments))
            case Text():
                delta = TextDelta(self._index + 1, block.text, tokens)
                start_text = Text(text="", at=block.at, form=block.form, extras=block.extras)
                self._whole(start_text, block.seal, events, delta if block.text else None)
                tokens = () if block.text else tokens
            case Reasoning():
                thought = Reasoning(at=block.at, form=block.form, extras=block.extras)
                self._whole(thought, block.seal, events, ReasoningDelta(self._index + 1, block.text) if block.text else None)
            case Media():
                start_media = Media(
                    kind=block.kind, source=block.source, title=block.title, at=block.at, form=block.form, extras=block.extras
                )
                self._whole(start_media, block.seal, events, None)
            case _:
                self._whole(block, None, events, None)
        return tokens

    def _text_with(self, text: str, tokens: tuple[TokenLogprob, ...], events: list[StreamEvent]) -> None:
        if self._open != "text" or self._sealed:
            self._begin("text", Text(text="", at=f"{CONTENT}.parts[{self._index + 1}]"), events)
        self._texts.append(text)
        events.append(TextDelta(self._index, text, tokens))

    def _seal(self, block: Text | Reasoning, kind: Open, events: list[StreamEvent]) -> None:
        """A signature closes what it signs to further text; alone on an empty part it signs the open block, or an empty one."""
        if block.seal is None:
            return
        if self._open != kind or self._sealed:
            empty: Block = Text(text="", at=block.at) if kind == "text" else Reasoning(at=block.at)
            self._begin(kind, empty, events)
        events.append(SealDelta(self._index, block.seal))
        self._sealed = True

    def _whole(self, block: Block, seal: Seal | None, events: list[StreamEvent], delta: StreamEvent | None) -> None:
        self._begin("", block, events)
        if delta is not None:
            events.append(delta)
        if seal is not None:
            events.append(SealDelta(self._index, seal))
        events.append(BlockStop(self._index))

    def _begin(self, kind: Open, block: Block, events: list[StreamEvent]) -> None:
        self.stop(events)
        self._index += 1
        self._open = kind
        events.append(BlockStart(self._index, block))

    def stop(self, events: list[StreamEvent]) -> None:
        """Closes the open block, if any."""
        if self._open == "call":
            events.append(ArgumentsDelta(self._index, encode(self._args).decode()))
            if self._call_seal is not None:
                events.append(SealDelta(self._index, self._call_seal))
        if self._open:
            events.append(BlockStop(self._index))
        self._open = ""
        self._sealed = False
        self._texts = []
        self._args = {}
        self._growing = set()
        self._call_seal = None

    def _partial(self, value: JsonObject, call: JsonObject, events: list[StreamEvent]) -> bool:
        """A piece of a call whose arguments are streamed; False when this is a whole call.

        It begins with a name and `willContinue`, goes on with `partialArgs`, and ends with the first piece that lacks
        `willContinue`.
        """
        goes_on = call.get("willContinue") is True
        if isinstance(call.get("name"), str):
            if not goes_on and not call.get("partialArgs"):
                return False
            self.called = True
            plain: JsonObject = {key: call[key] for key in call if key not in ("willContinue", "partialArgs")}
            whole = parse_part({**value, "functionCall": plain}, "", self._issuer)
            assert isinstance(whole, ToolCall)
            start = ToolCall(
                id=whole.id, name=whole.name, arguments="", at=f"{CONTENT}.parts[{self._index + 1}]", extras=whole.extras
            )
            self._begin("call", start, events)
            self._args = dict(args) if isinstance(args := call.get("args"), dict) else {}
            self._call_seal = whole.seal
        elif self._open != "call":
            return False
        pieces = call.get("partialArgs")
        try:
            for piece in pieces if isinstance(pieces, list) else ():
                if isinstance(piece, dict):
                    put(self._args, piece, self._growing)
        except BadPath as error:
            raise BadJson(str(error)) from None
        if not goes_on:
            self.stop(events)
        return True

    def logprobs(self, candidate: Proto, parts: list[JsonValue]) -> tuple[TokenLogprob, ...]:
        """The candidate's log probabilities, taken from it, if a text can hold them and they can be written again just so."""
        if not any(isinstance(part, dict) and part.get("text") and not part.get("thought") for part in parts):
            return ()
        tokens = parse_logprobs(candidate.peek("logprobsResult"))
        if tokens:
            candidate.take("logprobsResult")
        return tokens

    def cite(self, grounding: JsonValue, events: list[StreamEvent]) -> None:
        """Citations of the open text; Gemini tells them at its end."""
        if self._open == "text":
            events += [CitationDelta(self._index, citation) for citation in parse_citations(grounding, "".join(self._texts))]
