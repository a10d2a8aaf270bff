"""Messages of another dialect's, written for a chat upstream.

One rule: what chat cannot place is told: media in tool results move to a user message behind the results; everything else
that does not fit is a loss with its whole value. Results stand right behind the calls they answer, ids are at most 40 characters.
"""

from typing import assert_never

import msgspec

from gatewright.dialects.openai_chat.reasoning import FLAT
from gatewright.dialects.openai_chat.tools import signature_field
from gatewright.dialects.openai_chat.words import AUDIO_FORMAT, NAME, digest, short_id, url_of
from gatewright.ir.blocks import (
    Block,
    CacheHint,
    FileRef,
    Inline,
    Media,
    Message,
    Native,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Url,
)
from gatewright.ir.loss import Losses, join
from gatewright.ir.request import Request, Target
from gatewright.ir.seal import carry, readable
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire import json as wire_json

builtins = msgspec.to_builtins


class MessageWriter:
    """Writes one request's messages in order; `messages` is the result so far."""

    def __init__(self, request: Request, target: Target, losses: Losses) -> None:
        self.origin = request.origin
        self.issuer = target.issuer
        self.losses = losses
        self.messages: list[JsonValue] = []
        self._assistant: JsonObject | None = None
        """The message that further assistant blocks join: origins with items tell one turn in pieces."""
        self._moved: list[JsonValue] = []
        """Media of tool results, waiting for the user message behind the results."""
        self._unanswered: list[tuple[str, str]] = []
        """(name, made-up id) of calls that came without an id."""
        self._made = 0
        self._awaited: list[str] = []
        """Ids of the latest calls, whose results must follow at once."""

    def write(self, message: Message) -> None:
        self.losses.extras(message, origin=self.origin)
        if message.role == "assistant":
            self._write_assistant(message)
            return
        self._assistant = None
        results = [block for block in message.blocks if isinstance(block, ToolResult)]
        others = [block for block in message.blocks if not isinstance(block, ToolResult)]
        if not results:
            self._settle()
        for result in results:
            self._write_result(result)
        parts: list[JsonValue] = [part for block in others if (part := self._part(block, message.role)) is not None]
        if not others and results:
            return
        self._settle()
        if message.role == "system":
            self.flush()
            if parts:
                self._add("system", parts, message.name)
        else:
            moved, self._moved = self._moved, []
            if moved or parts:
                self._add("user", [*moved, *parts], message.name)

    def _settle(self) -> None:
        """OpenAI answers 400 to calls without results: the missing ones are written empty."""
        for ref in self._awaited:
            self.messages.append({"role": "tool", "tool_call_id": ref, "content": ""})
            self.losses.approximated("", f"tool call {ref} has no result: an empty one is written")
        self._awaited = []

    def flush(self) -> None:
        """Ends the results: the missing ones, and the media that wait."""
        self._settle()
        moved, self._moved = self._moved, []
        if moved:
            self._add("user", moved, None)

    def _add(self, role: str, parts: list[JsonValue], name: str | None) -> None:
        body: JsonObject = {"role": role, "content": plain(parts)}
        if name is not None:
            body["name"] = name
        self.messages.append(body)

    def _write_assistant(self, message: Message) -> None:
        if self._assistant is None:
            self.flush()
            self._assistant = {"role": "assistant"}
            self.messages.append(self._assistant)
        body = self._assistant
        if message.name is not None:
            body["name"] = message.name
        for block in message.blocks:
            self._assistant_block(body, block)
        if "content" not in body and "tool_calls" not in body:
            body["content"] = ""

    def _assistant_block(self, body: JsonObject, block: Block) -> None:
        match block:
            case Text():
                self._text_losses(block)
                before = body.get("content")
                if isinstance(before, list):
                    before.append({"type": "text", "text": block.text})
                else:
                    body["content"] = (before if isinstance(before, str) else "") + block.text
            case Refusal():
                self.losses.extras(block, origin=self.origin)
                before = body.get("refusal")
                body["refusal"] = (before if isinstance(before, str) else "") + block.text
            case Reasoning():
                self._reasoning(body, block)
            case ToolCall():
                calls = body.setdefault("tool_calls", [])
                assert isinstance(calls, list)
                call = self._call(block)
                self._awaited.append(str(call["id"]))
                calls.append(call)
            case Media() | Native() | ToolResult():
                self._drop(block, "chat completions takes no such block from an assistant")
            case _:
                assert_never(block)

    def _reasoning(self, body: JsonObject, block: Reasoning) -> None:
        seal = block.seal
        if seal is None:
            self._drop(block, "chat completions upstreams take back only reasoning that they sealed")
            return
        if not readable(seal, NAME, self.issuer):
            self.losses.hint(block.at, "sealed by another API; the upstream cannot read it", builtins(block))
            return
        self.losses.extras(block, origin=self.origin)
        text = block.text or "".join(block.summary)
        if seal.kind in FLAT:
            before = body.get(seal.kind)
            body[seal.kind] = (before if isinstance(before, str) else "") + text
            return
        if seal.kind == "thinking":
            # Mistral takes its thinking back as a part before the text.
            before = body.get("content")
            rest: list[JsonValue] = [{"type": "text", "text": before}] if isinstance(before, str) and before else []
            body["content"] = [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}, *rest]
            return
        if seal.kind == "thought_signature":
            body |= signature_field(seal)
            return
        details = body.setdefault("reasoning_details", [])
        assert isinstance(details, list)
        named: JsonObject = {"id": block.id or seal.ref} if block.id or seal.ref else {}
        if seal.kind == "reasoning.text":
            details.append({"type": "reasoning.text", "text": text, "signature": seal.data, **named})
            return
        if text:
            details.append({"type": "reasoning.summary", "summary": text, **named})
        details.append({"type": "reasoning.encrypted", "data": seal.data, **named})

    def _call(self, call: ToolCall) -> JsonObject:
        self.losses.extras(call, origin=self.origin)
        self._cache(call.cache, call.at)
        if call.item_id:
            self.losses.hint(join(call.at, "id"), "chat completions has no item ids", call.item_id)
        arguments = call.arguments or "{}"
        if call.kind == "custom":
            arguments = wire_json.encode({"input": call.arguments}).decode("utf-8")
            self.losses.approximated(call.at, "a free-form tool call becomes a function call with `input`")
        ref = short_id(call.id)
        if not ref:
            ref = digest("call_", call.name, str(self._made))
            self._made += 1
            self._unanswered.append((call.name, ref))
        body: JsonObject = {"id": ref, "type": "function", "function": {"name": call.name, "arguments": arguments}}
        if call.seal is not None:
            if readable(call.seal, NAME, self.issuer):
                body |= signature_field(call.seal)
            else:
                self.losses.hint(call.at, "sealed by another API; the upstream cannot read it", carry(call.seal, NAME))
        return body

    def _answered(self, result: ToolResult) -> str:
        """The id of the call that a result without one answers: the first of its name, else the first."""
        if result.call_id:
            return short_id(result.call_id)
        found = next((pair for pair in self._unanswered if pair[0] == result.name), None)
        if found is None and self._unanswered:
            found = self._unanswered[0]
        if found is None:
            return digest("call_", result.name, "unasked")
        self._unanswered.remove(found)
        return found[1]

    def _write_result(self, result: ToolResult) -> None:
        self.losses.extras(result, origin=self.origin)
        self._cache(result.cache, result.at)
        if result.item_id:
            self.losses.hint(join(result.at, "id"), "chat completions has no item ids", result.item_id)
        if result.name:
            self.losses.hint(join(result.at, "name"), "a chat tool message is known by its call id alone", result.name)
        if result.is_error is not None:
            # The text stays as it is: a prefix would change what the tool said, and error texts mostly say so themselves.
            self.losses.approximated(
                join(result.at, "is_error"), "chat completions cannot mark a result as failed", result.is_error
            )
        ref = self._answered(result)
        parts: list[JsonValue] = []
        for block in result.content:
            part = self._part(block, "tool")
            if part is None:
                continue
            if isinstance(part, dict) and part.get("type") != "text":
                if not self._moved:
                    self._moved.append({"type": "text", "text": f"Attachments of tool call {ref}:"})
                self._moved.append(part)
                self.losses.approximated(block.at or result.at, "a chat tool message takes only text: moved to a user message")
            else:
                parts.append(part)
        if result.structured is not None:
            parts.append({"type": "text", "text": wire_json.encode(result.structured).decode("utf-8")})
        if ref in self._awaited:
            self._awaited.remove(ref)
            self.messages.append({"role": "tool", "tool_call_id": ref, "content": plain(parts)})
            return
        # Its call stands elsewhere (another response, a compacted history): a tool message would be refused.
        self.losses.approximated(result.at, "a result whose call is not there becomes a user message")
        self._settle()
        self._add("user", [{"type": "text", "text": f"Result of tool call {ref}:"}, *parts], None)

    def _part(self, block: Block, role: str) -> JsonValue:
        """A content part of a user, system or tool message; None (and a loss) for what cannot stand there."""
        match block:
            case Text():
                self._text_losses(block)
                return {"type": "text", "text": block.text}
            case Media():
                if role == "system":
                    self._drop(block, "instructions in chat completions are text only")
                    return None
                return self._media(block)
            case Refusal():
                self.losses.approximated(block.at, "a refusal outside an assistant message becomes text")
                self.losses.extras(block, origin=self.origin)
                return {"type": "text", "text": block.text}
            case Native() | Reasoning() | ToolCall() | ToolResult():
                self._drop(block, f"chat completions has no such block in a {role} message")
                return None
            case _:
                assert_never(block)

    def _media(self, media: Media) -> JsonValue:
        source = media.source
        part = foreign_media(media)
        if part is None:
            why = "a file that only its own provider can read" if isinstance(source, FileRef) else "no such medium by URL"
            self._drop(media, f"chat completions: {why}")
            return None
        self.losses.extras(media, origin=self.origin)
        self._cache(media.cache, media.at)
        if media.seal is not None:
            self.losses.hint(media.at, "sealed by another API; the upstream cannot read it", carry(media.seal, NAME))
        if media.title is not None and media.kind != "document":
            self.losses.hint(join(media.at, "title"), f"{media.kind} parts have no title", media.title)
        if media.detail is not None and media.kind != "image":
            self.losses.hint(join(media.at, "detail"), f"{media.kind} parts have no detail", media.detail)
        if not isinstance(source, FileRef) and source.media_type and isinstance(source, Url):
            self.losses.hint(join(media.at, "media_type"), "a link has no media type in chat", source.media_type)
        if isinstance(source, Inline) and source.text:
            self.losses.approximated(media.at, "a text document becomes plain text", source.media_type)
        if media.kind == "video":
            self.losses.approximated(media.at, "video parts are an extension that not every chat host knows")
        return part

    def _text_losses(self, text: Text) -> None:
        self.losses.extras(text, origin=self.origin)
        self._cache(text.cache, text.at)
        for i, citation in enumerate(text.citations):
            at = citation.at or f"{text.at}.citations[{i}]"
            self.losses.hint(at, "chat completions has no citations in a request", builtins(citation))
        if text.seal is not None:
            self.losses.hint(text.at, "sealed by another API; the upstream cannot read it", carry(text.seal, NAME))
        if text.logprobs:
            self.losses.hint(text.at, "chat completions has no logprobs in a request", builtins(text.logprobs))

    def _cache(self, cache: CacheHint | None, at: str) -> None:
        if cache is not None:
            self.losses.hint(cache.at or join(at, "cache_control"), "chat completions has no cache points", builtins(cache))

    def _drop(self, block: Block, why: str) -> None:
        self.losses.dropped(block.at, why, builtins(block))


def foreign_media(media: Media) -> JsonObject | None:
    """The chat part for a medium; None when chat has none for it."""
    source = media.source
    if isinstance(source, FileRef):
        return None
    if isinstance(source, Inline) and source.text:
        return {"type": "text", "text": f"{media.title}\n\n{source.data}" if media.title else source.data}
    match media.kind:
        case "image":
            inner: JsonObject = {"url": url_of(source)}
            if media.detail is not None:
                inner["detail"] = media.detail
            return {"type": "image_url", "image_url": inner}
        case "audio":
            if not isinstance(source, Inline):
                return None
            word = AUDIO_FORMAT.get(source.media_type, source.media_type.partition("/")[2] or "wav")
            return {"type": "input_audio", "input_audio": {"data": source.data, "format": word}}
        case "video":
            return {"type": "video_url", "video_url": {"url": url_of(source)}}
        case "document":
            if not isinstance(source, Inline):
                return None
            return {"type": "file", "file": {"filename": media.title or "document", "file_data": url_of(source)}}
        case _:
            assert_never(media.kind)


def plain(parts: list[JsonValue]) -> JsonValue:
    """The shorthand where there is but one text: hosts that know only strings exist."""
    match parts:
        case []:
            return ""
        case [{"type": "text", "text": str(text)}]:
            return text
        case _:
            return parts
