"""Deltas of a stream, read: what each adds to the answer.

One rule: a delta never says where a block begins; a change of kind closes the open block. What belongs to no block waits for
the stop, each key in its last form.
"""

from typing import cast

import msgspec

from gatewright.dialects.openai_chat.content import SEAL_PART, parse_part
from gatewright.dialects.openai_chat.reasoning import FLAT, parse_details
from gatewright.dialects.openai_chat.response import CHOICE, MESSAGE, parse_annotation, parse_logprobs
from gatewright.dialects.openai_chat.speech import Speech
from gatewright.dialects.openai_chat.stream_blocks import OpenBlocks
from gatewright.dialects.openai_chat.tools import take_signature
from gatewright.dialects.openai_chat.words import NAME, STRING
from gatewright.ir.blocks import Block, Media, Reasoning, Refusal, Text
from gatewright.ir.events import CitationDelta, ReasoningDelta, TextDelta
from gatewright.ir.loss import is_void
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.fields import Fields

replace = msgspec.structs.replace


class DeltaReader(OpenBlocks):
    """The part of the parser that knows what a delta looks like."""

    def __init__(self, issuer: str) -> None:
        super().__init__()
        self._issuer = issuer
        self._seen: JsonObject = {}
        """What MessageStart told of the chunks' other keys."""
        self._late: JsonObject = {}
        """What came after it, or changed."""
        self._echo: dict[str, list[str]] = {}
        """What the flat reasoning fields told a second time."""
        self._cited = 0
        self._speech = Speech()

    def _delta(self, delta: JsonObject, tokens: JsonValue) -> JsonValue:
        """Gives back the `tokens` that belong to no text of it."""
        fields = Fields(delta, MESSAGE)
        if fields.peek("role") == "assistant":
            fields.take("role")
        self._reasoning(fields)
        content = fields.peek("content")
        if isinstance(content, str):
            fields.take("content")
            if content:
                self._open("text", Text(text="", form=STRING))
                told = parse_logprobs(tokens)
                self._events.append(TextDelta(self._index, content, told))
                if told and isinstance(tokens, dict):
                    tokens = {key: value for key, value in tokens.items() if key != "content"}
        elif isinstance(content, list) and content:
            fields.take("content")
            for i, item in enumerate(content):
                self._part(item, f"{MESSAGE}.content[{i}]")
        refusal = fields.peek("refusal")
        if isinstance(refusal, str):
            fields.take("refusal")
            if refusal:
                self._open("refusal", Refusal(text="", form=("field",)))
                self._events.append(TextDelta(self._index, refusal))
        if isinstance(fields.peek("audio"), dict):
            words = self._speech.add(cast("JsonObject", fields.take("audio")))
            if words:
                self._open("transcript", Text(text="", form=("transcript",)))
                self._events.append(TextDelta(self._index, words))
        self._annotations(fields)
        self._images(fields)
        self._signature(fields)
        for item in fields.array("tool_calls"):
            self._close()
            self._emit(self._calls.add(item, self._index + 1, self._issuer))
        legacy = fields.peek("function_call")
        if isinstance(legacy, dict) and (legacy.get("name") or legacy.get("arguments")):
            self._close()
            self._emit(self._calls.add_legacy(fields.take("function_call"), self._index + 1))
        for key, value in fields.rest().items():
            self._add_late(f"{MESSAGE}.{key}", value)
        return tokens

    def _late_tokens(self, tokens: JsonObject) -> None:
        """Log probabilities of a refusal, or of tokens that make no text: in lists that grow."""
        key = f"{CHOICE}.logprobs"
        before = self._late.get(key)
        known: JsonObject = dict(before) if isinstance(before, dict) else {}
        for name, value in tokens.items():
            so_far = known.get(name)
            if not is_void(value):
                known[name] = [*so_far, *value] if isinstance(so_far, list) and isinstance(value, list) else value
        self._add_late(key, known)

    def _reasoning(self, fields: Fields) -> None:
        blocks = parse_details(fields, issuer=self._issuer)
        told = "".join(block.text + "".join(block.summary) for block in blocks if isinstance(block, Reasoning))
        echoed = False
        for key in FLAT:
            value = fields.peek(key)
            if not isinstance(value, str):
                continue
            fields.take(key)
            if not value:
                continue
            if value == told:  # repeats the details, or the other flat field
                self._echo.setdefault(key, []).append(value)
                echoed = True
                continue
            told = told or value
            self._open(key, Reasoning(form=(key,)))
            self._seal = Seal(dialect=NAME, data="", issuer=self._issuer, kind=key)
            self._events.append(ReasoningDelta(self._index, value))
        for block in blocks:
            self._detail(block, echoed=echoed)

    def _detail(self, block: Block, *, echoed: bool) -> None:
        if not isinstance(block, Reasoning):
            self._whole(block)
            return
        kind = ("detail", block.form[1], block.extras.get("index"))
        form = (*block.form[:2], "echo") if echoed else block.form[:2]
        if self._kind != kind or (block.redacted and self._seal is not None):
            self._open(None)
            self._open(kind, replace(block, text="", summary=(), seal=None, form=form, at=""))
        if block.text:
            self._events.append(ReasoningDelta(self._index, block.text))
        for part in block.summary:
            if part:
                self._events.append(ReasoningDelta(self._index, part, 0))
        if block.seal is not None:
            self._seal = block.seal

    def _part(self, item: JsonValue, at: str) -> None:
        block = parse_part(item, at, issuer=self._issuer)
        if isinstance(block, Text):
            if block.text:
                self._open("text", Text(text="", form=STRING, extras=block.extras))
                self._events.append(TextDelta(self._index, block.text))
        elif isinstance(block, Reasoning):
            self._open(SEAL_PART, Reasoning(form=("thinking",)))
            self._seal = block.seal
            if block.text:
                self._events.append(ReasoningDelta(self._index, block.text))
            self._stop_extras |= block.extras
        else:
            self._whole(block)

    def _annotations(self, fields: Fields) -> None:
        value = fields.peek("annotations")
        if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
            return
        fields.take("annotations")
        self._open("text", Text(text="", form=STRING))
        for item in value:
            at = f"{MESSAGE}.annotations[{self._cited}]"
            self._cited += 1
            self._events.append(CitationDelta(self._index, parse_annotation(item, at)))

    def _images(self, fields: Fields) -> None:
        value = fields.peek("images")
        if not isinstance(value, list) or not value:
            return
        blocks = [parse_part(item, f"{MESSAGE}.images[{i}]") for i, item in enumerate(value)]
        if all(isinstance(block, Media) for block in blocks):
            fields.take("images")
            for block in blocks:
                assert isinstance(block, Media)
                self._whole(replace(block, form=(block.form[0], "flat" if block.form[1:] else "", "images")))

    def _signature(self, fields: Fields) -> None:
        seal = take_signature(fields, issuer=self._issuer)
        if seal is not None:
            self._open("signature", Reasoning(redacted=True, form=("signature",)))
            self._seal = seal

    def _add_late(self, key: str, value: JsonValue) -> None:
        """Something that the chunks tell beside the answer: what is new or has changed since the start."""
        if is_void(value) or self._seen.get(key) == value:
            return
        before = self._late.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            self._late[key] = {**before, **value}
        elif isinstance(before, list) and isinstance(value, list) and before != value and key.startswith(MESSAGE):
            self._late[key] = [*before, *value]
        else:
            self._late[key] = value
