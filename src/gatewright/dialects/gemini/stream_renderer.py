"""Events → a Gemini client's stream: server-sent events with `alt=sse`, else one JSON array, written piece by piece.

One rule: text leaves at once; function calls leave whole, when they are whole; finish reason, usage and all that is known only
at the end stand in the last chunk.
https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from gatewright.dialects.gemini.errors import error_document
from gatewright.dialects.gemini.finish import render_finish
from gatewright.dialects.gemini.grounding import render_grounding, render_logprobs
from gatewright.dialects.gemini.render_parts import PartWriter
from gatewright.dialects.gemini.render_response import (
    citation_losses,
    envelope,
    finish_losses,
    logprob_losses,
    moved,
    split_extras,
    usage_losses,
    without_candidates,
)
from gatewright.dialects.gemini.response import CANDIDATE
from gatewright.dialects.gemini.seals import signature
from gatewright.dialects.gemini.usage import render_usage
from gatewright.errors import Problem
from gatewright.ir.blocks import Block, Citation, Media, Native, Reasoning, Refusal, Text, ToolCall, ToolResult
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
from gatewright.ir.loss import Loss, Losses
from gatewright.ir.request import Request
from gatewright.ir.response import Usage
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import encode

replace = msgspec.structs.replace
_encode = msgspec.json.Encoder().encode
_MARK = '"\\u0000"'


class GeminiStreamRenderer:
    def __init__(self, request: Request) -> None:
        self._losses = Losses("gemini")
        self._events = request.client.get("alt") == "sse"
        self._before, self._after = (b"data: ", b"\r\n\r\n") if self._events else (b",\r\n", b"")
        self._begun = False
        self._home = False
        self._writer = PartWriter(self._losses, "openai_chat", issuer=None)
        self._start = MessageStart(id="", model="", origin="openai_chat")
        self._envelope: JsonObject = {}
        self._candidate: JsonObject = {}
        self._role: JsonObject = {}
        self._text_head = self._thought_head = self._text_tail = self._thought_tail = b""
        self._texts: list[str] = []
        self._citations: list[Citation] = []
        self._first_text = 0
        self._usage: Usage | None = None
        self._blocks = 0
        self._block: Block = Text(text="")
        self._held: list[str] | None = None
        self._seal: Seal | None = None
        self._part = 0
        self._templates()

    @property
    def losses(self) -> list[Loss]:
        return self._losses.found

    @losses.setter
    def losses(self, value: list[Loss]) -> None:
        self._losses.found = value

    def keepalive(self) -> bytes:
        """A blank line: Google's own SDK takes a comment for JSON."""
        return b"\r\n"

    def render(self, events: Sequence[StreamEvent]) -> bytes:
        out: list[bytes] = []
        head, tail, encode_text = self._text_head, self._text_tail, _encode
        held, texts = self._held, self._texts
        for event in events:
            if type(event) is TextDelta and held is None and not event.logprobs:
                out.append(head + encode_text(event.text) + tail)
                texts.append(event.text)
                continue
            self._event(event, out)
            head, tail, held = self._text_head, self._text_tail, self._held
        wire = b"".join(out)
        if wire and not self._begun:
            self._begun = True
            if not self._events:
                wire = b"[" + wire.removeprefix(self._before)
        return wire

    def _event(self, event: StreamEvent, out: list[bytes]) -> None:
        match event:
            case MessageStart():
                self._open(event)
            case BlockStart():
                self._begin(event.block)
            case TextDelta():
                self._text(event, out)
            case ReasoningDelta():
                self._thought(event, out)
            case ArgumentsDelta():
                if self._held is not None:
                    self._held.append(event.text)
            case SealDelta():
                self._seal = event.seal
            case CitationDelta():
                before = sum(map(len, self._texts)) - self._block_length()
                self._citations.append(moved(event.citation, before))
            case BlockStop():
                self._end_block(event.extras, out)
            case UsageUpdate():
                self._usage = update_usage(self._usage, event.usage)
            case MessageStop():
                self._stop(event, out)
            case StreamError():
                self._fail(event.problem, out)
            case NativeEvent():
                if event.origin == "gemini":
                    out.append(self._frame({**event.data, **self._envelope}))
                else:
                    self._losses.hint(event.name or "event", f"only {event.origin} knows this event", event.data)
            case _:
                assert_never(event)

    def _open(self, start: MessageStart) -> None:
        self._start = start
        self._home = start.origin == "gemini"
        self._writer = PartWriter(self._losses, start.origin, issuer=None)
        self._envelope = envelope(start.id, start.model, start.created, start.form, home=self._home)
        index = f"{CANDIDATE}.index"
        if not self._home:
            self._candidate = {"index": 0}
            self._losses.extras(Text(text="", extras=start.extras), origin=start.origin)
            for i, other in enumerate(start.others):
                self._losses.dropped(f"choices[{i + 1}]", "only the first answer can be shown across dialects", other)
        elif index in start.extras:
            self._candidate = {"index": start.extras[index]}
        self._role = {} if "norole" in start.form else {"role": "model"}
        self._templates()

    def _templates(self) -> None:
        """Bytes around the text of a plain delta."""
        for thought in (False, True):
            part: JsonObject = {"text": "\0"}
            if thought:
                part["thought"] = True
            head, tail = self._frame(self._chunk([part])).split(_MARK.encode(), 1)
            if thought:
                self._thought_head, self._thought_tail = head, tail
            else:
                self._text_head, self._text_tail = head, tail

    def _chunk(self, parts: list[JsonValue], candidate: JsonObject | None = None) -> JsonObject:
        content: JsonObject = {"parts": parts, **self._role}
        return {"candidates": [{"content": content, **self._candidate, **(candidate or {})}], **self._envelope}

    def _frame(self, document: JsonObject) -> bytes:
        return self._before + encode(document) + self._after

    def _begin(self, block: Block) -> None:
        self._blocks += 1
        self._seal = None
        self._part = 0
        self._block = block
        whole_only = isinstance(block, ToolCall) or (bool(block.extras) and self._home)
        self._held = [] if whole_only else None
        self._first_text = len(self._texts)

    def _block_length(self) -> int:
        return sum(map(len, self._texts[self._first_text :]))

    def _text(self, event: TextDelta, out: list[bytes]) -> None:
        if self._held is not None:
            self._held.append(event.text)
            self._texts.append(event.text)
            if event.logprobs and isinstance(self._block, Text):
                self._block = replace(self._block, logprobs=self._block.logprobs + event.logprobs)
            return
        candidate: JsonObject = {}
        if event.logprobs:
            candidate["logprobsResult"] = render_logprobs(event.logprobs)
            if not self._home:
                logprob_losses(event.logprobs, self._losses)
        self._texts.append(event.text)
        out.append(self._frame(self._chunk([{"text": event.text}], candidate)))

    def _thought(self, event: ReasoningDelta, out: list[bytes]) -> None:
        text = event.text
        if event.part is not None and event.part > self._part:
            self._part = event.part
            text = "\n\n" + text
        if self._held is not None:
            self._held.append(text)
        else:
            out.append(self._thought_head + _encode(text) + self._thought_tail)

    def _end_block(self, extras: JsonObject, out: list[bytes]) -> None:
        block = self._block
        if extras:
            block = replace(block, extras={**block.extras, **extras})
        held, self._held = "".join(self._held or ()), None
        candidate: JsonObject = {}
        match block:
            case ToolCall():
                block = replace(block, arguments=block.arguments + held, seal=self._seal)
            case Media():
                block = replace(block, seal=self._seal or block.seal)
            case Text() | Reasoning() if held:
                if isinstance(block, Text) and block.logprobs:
                    candidate["logprobsResult"] = render_logprobs(block.logprobs)
                block = replace(block, text=held, seal=self._seal)
            case Text() | Reasoning() | Refusal():
                self._end_text(block, out)
                return
            case ToolResult() | Native():
                pass
            case _:
                assert_never(block)
        parts: list[JsonValue] = list(self._writer.parts(block))
        if parts:
            out.append(self._frame(self._chunk(parts, candidate)))

    def _end_text(self, block: Text | Reasoning | Refusal, out: list[bytes]) -> None:
        """What is left to say of a text whose deltas are out: its seal; what it has begun with; its losses."""
        part: JsonObject = {"text": "" if isinstance(block, Reasoning) else block.text}
        if isinstance(block, Reasoning):
            part = {"text": block.text or "\n\n".join(block.summary), "thought": True}
            if block.id:
                self._losses.hint(f"{block.at}.id".lstrip("."), "gemini has no ids of reasoning", block.id)
        if isinstance(block, Refusal):
            self._losses.approximated(block.at or "refusal", "gemini has no refusals: sent as text")
        elif (seal := self._seal or block.seal) is not None:
            part["thoughtSignature"] = signature(seal)
        if isinstance(block, Text):
            self._texts.append(block.text)
            self._citations += block.citations
        part |= self._losses.extras(block, origin=self._start.origin)
        if part["text"] or len(part) > 1 + isinstance(block, Reasoning):
            out.append(self._frame(self._chunk([part])))

    def _stop(self, event: MessageStop, out: list[bytes]) -> None:
        extras = {**self._start.extras, **event.extras} if self._home else {}
        if not self._home:
            self._losses.extras(Text(text="", extras=event.extras), origin=self._start.origin)
        top, candidate, content = split_extras(extras)
        last: JsonObject
        if self._home and not self._blocks and without_candidates(event.finish, top, []):
            last = dict(self._envelope)
        else:
            last = self._chunk([{"text": ""}], {**self._ending(event), **candidate})
            candidates = last["candidates"]
            assert isinstance(candidates, list)
            first = candidates[0]
            assert isinstance(first, dict)
            inner = first["content"]
            if isinstance(inner, dict):  # else what the origin itself had in its place
                inner |= content
            if self._home:
                candidates += self._start.others
        if self._usage is not None:
            last["usageMetadata"] = render_usage(self._usage, home=self._home)
            usage_losses(self._usage, self._losses, home=self._home)
        out.append(self._frame(last | top))
        if not self._events:
            out.append(b"]")

    def _ending(self, event: MessageStop) -> JsonObject:
        """Finish reason, and the grounding that others' citations make."""
        out = render_finish(event.finish, home=self._home)
        if event.finish is not None:
            finish_losses(event.finish, self._losses, home=self._home)
        if self._citations and not self._home:
            citation_losses(self._citations, self._losses)
            if grounding := render_grounding(self._citations, "".join(self._texts)):
                out["groundingMetadata"] = grounding
        return out

    def _fail(self, problem: Problem, out: list[bytes]) -> None:
        out.append(self._frame(error_document(problem, "")))
        if not self._events:
            out.append(b"]")
