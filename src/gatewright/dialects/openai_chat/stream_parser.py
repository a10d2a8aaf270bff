"""Chat Completions streams, read.

Chunks never say where a block begins; a change of kind closes the open block. Most chunks differ from the one before in one
string: the bytes around it are learnt, and as long as they stay the same only that string is decoded.
https://platform.openai.com/docs/api-reference/chat-streaming
"""

from itertools import repeat
from typing import cast

import msgspec

from gatewright.dialects.openai_chat.content import SEAL_PART, parse_part
from gatewright.dialects.openai_chat.errors import problem_in
from gatewright.dialects.openai_chat.reasoning import FLAT, parse_details
from gatewright.dialects.openai_chat.response import (
    CHOICE,
    DONE,
    MESSAGE,
    choice_problem,
    finish_of,
    is_constant,
    parse_annotation,
    parse_logprobs,
)
from gatewright.dialects.openai_chat.speech import Speech
from gatewright.dialects.openai_chat.stream_blocks import OpenBlocks
from gatewright.dialects.openai_chat.stream_calls import Late
from gatewright.dialects.openai_chat.template import Template
from gatewright.dialects.openai_chat.tools import take_signature
from gatewright.dialects.openai_chat.usage import usage_in
from gatewright.dialects.openai_chat.words import NAME, STRING
from gatewright.errors import Malformed, Problem
from gatewright.ir.blocks import Block, Media, Reasoning, Refusal, Text
from gatewright.ir.events import (
    ArgumentsDelta,
    CitationDelta,
    MessageStart,
    MessageStop,
    NativeEvent,
    ReasoningDelta,
    StreamError,
    StreamEvent,
    TextDelta,
    UsageUpdate,
)
from gatewright.ir.loss import is_void
from gatewright.ir.request import Asked
from gatewright.ir.response import Finish
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire import json as wire_json
from gatewright.wire.fields import Fields
from gatewright.wire.sse import OversizedEvent, SseParser, parse_block

IGNORED = frozenset({"obfuscation", "p", "id", "created", "model", "choices", "usage", "error"})
"""Keys of a chunk that are padding, or are read on their own."""
MANY = 4
"""From so many chunks on it pays to read them together."""
_string = msgspec.json.Decoder(str).decode
_strings = msgspec.json.Decoder(list[str]).decode
replace = msgspec.structs.replace


class ChatStreamParser(OpenBlocks):
    """feed(bytes) -> events. Raises nothing; after a StreamError or MessageStop nothing more comes."""

    def __init__(self, asked: Asked) -> None:
        super().__init__()
        self._issuer = asked.issuer
        self._sse = SseParser()
        self._over = False
        self._started = False
        self._seen: JsonObject = {}
        """What MessageStart told of the chunks' other keys."""
        self._late: JsonObject = {}
        """What came after it, or changed."""
        self._echo: dict[str, list[str]] = {}
        """What the flat reasoning fields told a second time."""
        self._cited = 0
        self._finish: str | None = None
        self._stop_string: str | None = None
        self._ended = False
        self._template = Template()
        self._speech = Speech()

    def feed(self, data: bytes) -> list[StreamEvent]:
        if self._over:
            return []
        head, _, tail, start, end = self._template.text
        if head and not self._sse.held and data.startswith(head) and data.endswith(tail):
            try:  # one event like the one before, from its first byte to its last: what a model that speaks token by token sends
                words = _string(data[start : end - 2])
            except (msgspec.DecodeError, UnicodeDecodeError):
                words = ""
            if words:
                return [TextDelta(self._index, words)]
        try:
            self._read(self._sse.split(data))
        except OversizedEvent as error:
            self._fail(str(error))
        events, self._events = self._events, []
        return events

    def close(self) -> list[StreamEvent]:
        if self._over:
            return []
        for name, payload in self._sse.close():
            self._one(name, payload)
        if not self._over and (self._finish is not None or self._ended):
            self._stop()
        elif not self._over:
            self._fail("the provider's stream was cut off")
        events, self._events = self._events, []
        return events

    def _read(self, blocks: list[bytes]) -> None:
        """Chunks that differ in their text alone are read together; the others one after the other."""
        at, count, template = 0, len(blocks), self._template
        while count - at > MANY:
            head = template.text[0]
            last = count - 1
            while head and last > at and not blocks[last].startswith(head):
                last -= 1
            size = last + 1 - at if head else 0
            if size < MANY or not self._read_run(blocks[at : at + size]):
                size = max(size, 1) if head else MANY
                self._read_each(blocks[at : at + size])
                if self._over:
                    return
            at += size
        if at < count:
            self._read_each(blocks[at:] if at else blocks)

    def _read_run(self, run: list[bytes]) -> bool:
        """Chunks, all of them like the one that was learnt but for the text; False where they are not.

        What they would be, were it so, is put together and compared with what they are: no call for each of them.
        """
        head, tail, _, start, end = self._template.text
        texts = [block[start:end] for block in run]
        if head[:-1] + (b"%b\n%b" % (tail[1:], head[:-1])).join(texts) + tail[1:] != b"\n".join(run):
            return False
        try:
            words = _strings(b"[%b]" % b",".join(texts))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        if len(words) != len(run) or "" in words:
            return False
        self._events += map(TextDelta, repeat(self._index), words)
        return True

    def _read_each(self, blocks: list[bytes]) -> None:
        template, events, index = self._template, self._events, self._index
        head, tail, _, start, end = template.text
        for block in blocks:
            if head and block.startswith(head) and block.endswith(tail):
                # By far the most frequent case, written out: a call would cost as much as all it does.
                try:
                    words = _string(block[start:end])
                except (msgspec.DecodeError, UnicodeDecodeError):
                    words = ""
                if words:
                    events.append(TextDelta(index, words))
                    continue
            text = template.match(block)
            if text is not None:
                events.append(template.event(index, text))
                if template.event is ArgumentsDelta:
                    self._calls.note(text)
                continue
            parsed = parse_block(block)
            if parsed is None:
                continue
            before = len(events)
            self._one(*parsed)
            if self._over:
                return
            index = self._index
            template.learn(block, events[before:])
            head, tail, _, start, end = template.text

    def _one(self, name: bytes, data: bytes) -> None:
        data = data.strip()
        if not data:
            return
        if data == b"[DONE]":
            if self._started:
                self._stop()
            else:
                self._fail("the provider's stream held no answer")
            return
        try:
            chunk = wire_json.decode_lenient(data)
        except wire_json.BadJson as error:
            self._fail(f"the provider's stream is broken: {error}")
            return
        if not isinstance(chunk, dict):
            self._fail(f"the provider's stream: expected an object, got {wire_json.kind(chunk)}")
            return
        if name == b"error" and "error" not in chunk:
            chunk = {"error": chunk}
        problem = problem_in(chunk)
        if problem is not None:
            self._fail(problem)
            return
        try:
            self._chunk(chunk)
        except Malformed as error:
            self._fail(f"the provider's stream: {error.problem.message}")
        except Late as error:
            self._fail(str(error))

    def _chunk(self, chunk: JsonObject) -> None:
        choices = chunk.get("choices")
        self._top(chunk, choices)
        if isinstance(choices, list):
            others: list[JsonValue] = []
            for choice in choices:
                if not isinstance(choice, dict):
                    raise Malformed("choices", "objects", wire_json.kind(choice))
                if choice.get("index") in (0, None):
                    self._choice(choice)
                else:
                    others.append(choice)
            if others:
                self._events.append(NativeEvent(origin=NAME, data={"choices": others}))
        if (usage := usage_in(chunk)) is not None:
            self._events.append(UsageUpdate(usage))
        if chunk.get("object") == DONE:
            self._ended = True

    def _top(self, chunk: JsonObject, choices: JsonValue) -> None:
        if not self._started:
            self._seen |= {k: v for k, v in chunk.items() if k not in IGNORED and not is_void(v) and not is_constant(k, v)}
            if not choices and not chunk.get("id") and usage_in(chunk) is None:
                return  # Azure: a first chunk that only tells how the prompt was filtered
            self._started = True
            id_, model, created = chunk.get("id"), chunk.get("model"), chunk.get("created")
            self._events.append(
                MessageStart(
                    id=id_ if isinstance(id_, str) else "",
                    model=model if isinstance(model, str) else "",
                    created=created if isinstance(created, int) else None,
                    origin=NAME,
                    extras=self._seen,
                )
            )
            return
        for key, value in chunk.items():
            if key not in IGNORED and not is_constant(key, value):
                self._add_late(key, value)

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

    def _choice(self, choice: JsonObject) -> None:
        if problem := choice_problem(choice.get("error")):
            self._fail(problem)
            return
        delta = choice.get("delta")
        tokens = choice.get("logprobs")
        for key, value in choice.items():
            if key not in {"index", "delta", "finish_reason", "logprobs", "stop_reason"}:
                self._add_late(f"{CHOICE}.{key}", value)
        if isinstance(delta, dict) and delta:
            tokens = self._delta(delta, tokens)
        if isinstance(tokens, dict):
            self._late_tokens(tokens)
        if isinstance(word := choice.get("stop_reason"), str):
            self._stop_string = word
        raw = choice.get("finish_reason")
        if isinstance(raw, str) and (raw or self._finish is None):
            self._finish = raw

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

    def _stop(self) -> None:
        self._open(None)
        if (speech := self._speech.block()) is not None:
            self._whole(speech)
        elif self._speech.rest:
            self._add_late(f"{MESSAGE}.audio", self._speech.rest)
        finish: Finish | None = finish_of(self._finish, self._blocks)
        if self._stop_string is not None and finish is not None:
            if finish.reason == "stop":
                finish = replace(finish, reason="stop_sequence", sequence=self._stop_string)
            else:
                self._late[f"{CHOICE}.stop_reason"] = self._stop_string
        self._late |= {f"{MESSAGE}.{key}": "".join(pieces) for key, pieces in self._echo.items()}
        self._events.append(MessageStop(finish=finish, extras=self._late))
        self._over = True

    def _fail(self, why: str | Problem) -> None:
        self._events.append(StreamError(Problem(kind="upstream", message=why) if isinstance(why, str) else why))
        self._over = True
