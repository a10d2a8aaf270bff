"""Chat Completions streams, written.

One rule: a text delta is one precomputed chunk around one encoded string; everything that needs thought happens at block edges.
The role comes in the first chunk, `finish_reason` in its own, usage (choices empty) only when the client asked, then `[DONE]`.
https://platform.openai.com/docs/api-reference/chat-streaming
"""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from gatewright.dialects.openai_chat.errors import render_stream_error
from gatewright.dialects.openai_chat.reasoning import FLAT, GAP, foreign_details, render_detail
from gatewright.dialects.openai_chat.render_response import (
    answer_id,
    call_id,
    finish_word,
    foreign_logprob,
    render_logprob,
    split_extras,
)
from gatewright.dialects.openai_chat.stream_chunks import ChunkWriter
from gatewright.dialects.openai_chat.tools import is_custom, is_legacy, signature_field, unwrap_input
from gatewright.dialects.openai_chat.usage import render_usage
from gatewright.dialects.openai_chat.words import NAME, SERVICE_TIERS, merge
from gatewright.errors import Problem
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
from gatewright.ir.request import Request
from gatewright.ir.response import Finish, Usage
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue

_encode = msgspec.json.Encoder().encode
replace = msgspec.structs.replace
builtins = msgspec.to_builtins

ROLE: JsonObject = {"role": "assistant", "content": ""}


class ChatStreamRenderer(ChunkWriter):
    def __init__(self, request: Request) -> None:
        options = request.client.get("stream_options")
        super().__init__(usage_asked=isinstance(options, dict) and options.get("include_usage") is True)
        self._request = request
        self._legacy = is_legacy(request)
        self._open: Block | None = None
        self._over = False
        self._texts: list[str] = []
        """The open block's deltas, where its end needs them whole."""
        self._keep = False
        self._seal: Seal | None = None
        self._reasoned = False
        self._part: int | None = None
        self._calls = 0
        self._call_ref = ""
        self._refused = False
        self._echoed = False
        self._usage: Usage | None = None

    def keepalive(self) -> bytes:
        return b": keepalive\n\n"

    def render(self, events: Sequence[StreamEvent]) -> bytes:
        parts: list[bytes] = []
        add = parts.append
        before, after, keep = self._before, self._after, self._keep
        for event in events:
            kind = type(event)
            if before and (kind is TextDelta or kind is ArgumentsDelta) and not keep and not getattr(event, "logprobs", ()):
                text = event.text  # type: ignore[union-attr]
                add(before)
                add(_encode(text))
                add(after)
                self._here += len(text)
                continue
            if self._over:
                break
            self._event(event, parts)
            before, after, keep = self._before, self._after, self._keep
        return b"".join(parts)

    def _event(self, event: StreamEvent, parts: list[bytes]) -> None:
        match event:
            case MessageStart():
                self._start(event, parts)
            case BlockStart():
                self._begin(event, parts)
            case TextDelta():
                self._text(event, parts)
            case ReasoningDelta():
                self._reasoning(event, parts)
            case ArgumentsDelta():
                self._texts.append(event.text)
                if self._before and not self._keep:
                    parts += (self._before, _encode(event.text), self._after)
            case SealDelta():
                self._seal = event.seal
            case CitationDelta():
                self._citations.append(event.citation)
            case BlockStop():
                self._end(event, parts)
            case UsageUpdate():
                self._usage = update_usage(self._usage, event.usage)
            case MessageStop():
                self._stop(event, parts)
            case StreamError():
                self._error(event.problem, parts)
            case NativeEvent():
                if event.origin == NAME:
                    parts.append(b"data: " + _encode({**self._base, **event.data}) + b"\n\n")
                else:
                    self._losses.dropped("", f"an event of {event.origin} alone: {event.name}", event.data)
            case _:
                assert_never(event)

    def _start(self, event: MessageStart, parts: list[bytes]) -> None:
        self._home = event.origin == NAME
        self._origin = event.origin
        self._id = event.id
        self._base = {
            "id": event.id if self._home else answer_id(event.id, event.model),
            "object": "chat.completion.chunk",
            "created": event.created or 0,
            "model": event.model,
        }
        top, choice, message = split_extras(self._extras(event.extras))
        self._base |= {key: top[key] for key in ("system_fingerprint", "service_tier") if key in top}
        # The chunk's fixed bytes up to the delta's first key.
        self._head = b"data: " + _encode(self._base)[:-1] + b',"choices":[{"index":0,"delta":{'
        if self._usage_asked:
            self._tail = b'},"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
        parts.append(self._chunk({**ROLE, **message}, choice=choice, top=top))
        if self._home:
            parts += (self._other(other) for other in event.others)
        elif event.others:
            self._losses.dropped("", "further choices cannot be shown in another dialect", list(event.others))

    def _begin(self, event: BlockStart, parts: list[bytes]) -> None:
        block = event.block
        self._open, self._seal, self._texts, self._citations = block, None, [], []
        self._here, self._part, self._keep, self._before = 0, None, False, b""
        match block:
            case Text():
                key = b'"content":'
                if block.form == ("transcript",):
                    key = b'"audio":{"transcript":'
                self._fast(key, b"}" if block.form == ("transcript",) else b"")
                if block.text:
                    parts += (self._before, _encode(block.text), self._after)
            case Refusal():
                self._refused = True
                self._fast(b'"refusal":')
                if block.text:
                    parts += (self._before, _encode(block.text), self._after)
            case ToolCall():
                self._begin_call(block, event.index, parts)
            case Reasoning():
                self._keep = True
                if not self._home and self._reasoned and (block.text or not block.redacted):
                    self._part = -1
                for text in (block.text, *block.summary):
                    if text:
                        self._reasoning(ReasoningDelta(event.index, text), parts)
            case Media() | Native() | ToolResult():
                self._whole(block, event.index, parts)
            case _:
                assert_never(block)
        if block.extras and not (self._home and isinstance(block, ToolCall | Reasoning | Media | Native | ToolResult)):
            extras = self._extras(block.extras, block.at)
            if extras:
                parts.append(self._chunk({"content": [{"type": "text", "text": "", **extras}]}))

    def _begin_call(self, call: ToolCall, index: int, parts: list[bytes]) -> None:
        custom = call.kind == "custom" or (not self._home and is_custom(self._request, call.name))
        self._call_ref = call.id if self._home else call_id(call, self._id, index)
        number = self._calls
        self._calls += 1
        if call.item_id and not self._home:
            self._losses.hint(call.at, "chat completions has no item ids", call.item_id)
        if call.form[:1] == ("legacy",) or (self._legacy and not self._home):
            self._before = b""
            if number and self._legacy and not self._home:
                self._keep = True
                self._losses.dropped(call.at, "a client that speaks of functions takes one call", builtins(call))
                return
            parts.append(self._chunk({"function_call": {"name": call.name, "arguments": ""}}))
            self._fast(b'"function_call":{"arguments":', b"}")
        else:
            word, key = ("custom", "input") if custom else ("function", "arguments")
            item: JsonObject = {"index": number, "id": self._call_ref, "type": word, word: {"name": call.name, key: ""}}
            if self._home:
                merge(item, call.extras)
            parts.append(self._chunk({"tool_calls": [item]}))
            self._fast(b'"tool_calls":[{"index":%d,"%b":{"%b":' % (number, word.encode(), key.encode()), b"}}]")
            # The stand-in's arguments become the input when they are complete.
            self._keep = custom and call.kind == "function"
        if call.arguments:
            self._event(ArgumentsDelta(index, call.arguments), parts)

    def _text(self, event: TextDelta, parts: list[bytes]) -> None:
        self._here += len(event.text)
        if event.logprobs:
            tokens: list[JsonValue] = []
            for one in event.logprobs:
                self._losses.extras(one, origin=self._origin)
                tokens.append(
                    render_logprob(one)
                    if self._home
                    else {**foreign_logprob(one), "top_logprobs": [foreign_logprob(top) for top in one.top]}
                )
            logprobs: JsonObject = {"content": tokens, "refusal": None}
            parts.append(self._chunk({"content": event.text}, choice={"logprobs": logprobs}))
        elif self._before:
            parts += (self._before, _encode(event.text), self._after)

    def _reasoning(self, event: ReasoningDelta, parts: list[bytes]) -> None:
        block = self._open
        assert isinstance(block, Reasoning)
        if self._home and block.form[:1] == ("detail",):
            entry = {"type": block.form[1], **({"id": block.id} if block.id else {}), **block.extras}
            entry["text" if block.form[1] == "reasoning.text" else "summary"] = event.text
            echo: JsonObject = {"reasoning": event.text} if "echo" in block.form else {}
            self._echoed = self._echoed or bool(echo)
            parts.append(self._chunk({**echo, "reasoning_details": [entry]}))
            self._texts.append(event.text)
            return
        if self._home and block.form[:1] == ("thinking",):
            thinking: JsonObject = {"type": "thinking", "thinking": [{"type": "text", "text": event.text}]}
            parts.append(self._chunk({"content": [thinking]}))
            return
        if self._part != event.part and self._part is not None:
            parts.append(self._chunk({"reasoning_content": GAP}))
        self._part = event.part
        self._reasoned = True
        self._texts.append(event.text)
        key = block.form[0] if self._home and block.form and block.form[0] in FLAT else "reasoning_content"
        parts += (self._head, b'"%b":' % key.encode(), _encode(event.text), self._tail)

    def _end(self, event: BlockStop, parts: list[bytes]) -> None:
        block, seal = self._open, self._seal
        assert block is not None
        self._open, self._before, self._keep = None, b"", False
        match block:
            case Text():
                self._cite(block, parts)
                self._length += self._here
                seal = seal or block.seal
                if seal is not None:
                    self._sign(seal, parts)
            case ToolCall():
                seal = seal or block.seal
                self._end_call(block, seal, parts)
            case Reasoning():
                self._end_reasoning(block, seal or block.seal, event, parts)
            case Media():
                if seal is not None and not self._home:
                    self._sign(seal, parts)
            case _:
                pass
        if event.extras and not (self._home and isinstance(block, Reasoning)):
            extras = self._extras(event.extras, block.at)
            if extras and isinstance(block, ToolCall):
                holders: JsonObject = {key.partition(".")[0]: {} for key in extras if "." in key}
                parts.append(self._chunk({"tool_calls": [merge({"index": self._calls - 1, **holders}, extras)]}))

    def _end_call(self, call: ToolCall, seal: Seal | None, parts: list[bytes]) -> None:
        number = self._calls - 1
        if call.kind == "function" and not self._home and is_custom(self._request, call.name) and not self._legacy:
            words = unwrap_input("".join(self._texts))
            parts.append(self._chunk({"tool_calls": [{"index": number, "custom": {"input": words}}]}))
        if seal is not None:
            # The SDKs want `function` in every delta.
            parts.append(self._chunk({"tool_calls": [{"index": number, "function": {"arguments": ""}, **signature_field(seal)}]}))

    def _end_reasoning(self, block: Reasoning, seal: Seal | None, event: BlockStop, parts: list[bytes]) -> None:
        if not self._home:
            self._losses.extras(block, origin=self._origin)
            # Summary parts are told apart by the gaps written between them.
            text = "".join(self._texts)
            entries: list[JsonValue] = [*foreign_details(self._summed(block, text, seal), self._details)]
            self._details += len(entries)
            if entries:
                parts.append(self._chunk({"reasoning_details": entries}))
            return
        if block.form == ("signature",):
            if seal is not None:
                parts.append(self._chunk(signature_field(seal)))
        elif block.form[:1] == ("thinking",):
            extras = {**block.extras, **event.extras}
            if extras:
                parts.append(self._chunk({"content": [{"type": "thinking", "thinking": [], **extras}]}))
        elif block.form[:1] == ("detail",) and (seal is not None or not self._texts):
            done = replace(block, text="", summary=(), seal=seal, extras={**block.extras, **event.extras})
            entry = render_detail(done)
            if done.form[1] == "reasoning.text" and seal is not None:
                entry.pop("text", None)
            parts.append(self._chunk({"reasoning_details": [entry]}))

    def _summed(self, block: Reasoning, text: str, seal: Seal | None) -> Reasoning:
        if self._part is None or self._part < 0:
            return replace(block, text=text, summary=(), seal=seal)
        return replace(block, text="", summary=(text,) if text else (), seal=seal)

    def _stop(self, event: MessageStop, parts: list[bytes]) -> None:
        self._over = True
        top, choice, message = split_extras(self._extras(event.extras))
        if self._echoed:
            message.pop("reasoning", None)
        finish: Finish | None = event.finish
        word: str | None
        if self._home:
            word = None if finish is None else finish.raw
        else:
            word = finish_word(finish, refused=self._refused, legacy=self._legacy, origin=self._origin, losses=self._losses)
        if finish is not None and finish.sequence is not None:
            choice["stop_reason"] = finish.sequence
        usage = self._usage
        tier = usage.service_tier if usage is not None else None
        if not self._home and tier in SERVICE_TIERS:
            top["service_tier"] = tier
        if word is not None or top or choice or message:
            parts.append(self._chunk(message, finish=word, choice=choice, top=top))
        if self._usage_asked and usage is not None and "x_groq" not in usage.raw:
            figures = usage.raw if self._home and usage.raw else render_usage(usage)
            tiered: JsonObject = {"service_tier": tier} if self._home and tier and "service_tier" not in figures else {}
            parts.append(b"data: " + _encode({**self._base, **tiered, "choices": [], "usage": figures}) + b"\n\n")
        parts.append(b"data: [DONE]\n\n")

    def _error(self, problem: Problem, parts: list[bytes]) -> None:
        self._over = True
        parts.append(render_stream_error(problem))
