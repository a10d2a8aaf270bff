"""Content blocks, written for an upstream: at home verbatim, from abroad as far as this API can say them.

One rule: a block that cannot be said is reported whole, so that nothing within it is lost in silence.
"""

import base64
import binascii
from typing import assert_never

import msgspec

from gatewright.dialects.anthropic.content import NAME, input_of
from gatewright.ir.blocks import (
    Block,
    CacheHint,
    Citation,
    FileRef,
    Inline,
    Media,
    Native,
    Node,
    Reasoning,
    Refusal,
    Source,
    Text,
    ToolCall,
    ToolResult,
    Url,
)
from gatewright.ir.loss import Losses, join
from gatewright.ir.seal import carry, readable
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import encode

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_MAGIC = (
    ("iVBOR", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lG", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
)
"""First characters in base64 → media type, for origins that do not say it."""


def plain(value: object) -> JsonValue:
    """A node as JSON, to be the value of a loss."""
    built: JsonValue = msgspec.to_builtins(value)
    return built


def deep(into: JsonObject, extras: JsonObject) -> JsonObject:
    """`into` with `extras` merged: what both have as objects is merged in turn; else what was rendered wins."""
    merged = dict(extras)
    for key, value in into.items():
        old = merged.get(key)
        merged[key] = deep(value, old) if isinstance(value, dict) and isinstance(old, dict) else value
    return merged


class BlockWriter:
    """Writes blocks of one request. `origin` is the dialect they came from, `issuer` the endpoint they go to."""

    def __init__(self, origin: str, issuer: str, losses: Losses) -> None:
        self.origin = origin
        self.home = origin == NAME
        self.issuer = issuer
        self.losses = losses

    def extras(self, node: Node, wire: JsonObject) -> JsonObject:
        extras = self.losses.extras(node, origin=self.origin)
        return deep(wire, extras) if extras else wire

    def cache(self, hint: CacheHint | None, wire: JsonObject) -> None:
        if hint is None:
            return
        control: JsonObject = {"type": hint.form[0] if hint.form and self.home else "ephemeral"}
        if hint.ttl is not None:
            control["ttl"] = hint.ttl
        wire["cache_control"] = self.extras(hint, control)

    def block(self, block: Block) -> JsonObject | None:
        """The block on the wire; None when it could not be said (and is reported)."""
        match block:
            case Text():
                return self._text(block)
            case Media():
                return self._media(block)
            case Reasoning():
                return self._reasoning(block)
            case ToolCall():
                return self._call(block)
            case ToolResult():
                return self._result(block)
            case Refusal():
                self.losses.approximated(block.at, "a refusal is told as text", block.text)
                return self._nonempty(block.text, block, self.extras(block, {"type": "text", "text": block.text}))
            case Native():
                if block.origin == NAME:
                    return block.data
                self.losses.dropped(block.at, f"only {block.origin} knows this block", block.data)
                return None
            case _:
                assert_never(block)

    def _nonempty(self, text: str, block: Node, wire: JsonObject) -> JsonObject | None:
        """The API refuses empty text blocks (400, "text content blocks must be non-empty")."""
        if self.home or text.strip():
            return wire
        self.losses.hint(block.at, "empty text is left out", text)
        return None

    def _text(self, block: Text) -> JsonObject | None:
        wire: JsonObject = {"type": "text", "text": block.text}
        self.cache(block.cache, wire)
        if block.citations:
            told = [shown for citation in block.citations if (shown := self._citation(citation, block.at)) is not None]
            if told:
                wire["citations"] = list[JsonValue](told)
        if block.logprobs:
            self.losses.dropped(join(block.at, "logprobs"), "not in messages", plain(block.logprobs))
        if block.seal is not None:
            self.losses.hint(block.at, "anthropic does not sign text", plain(block.seal))
        return self._nonempty(block.text, block, self.extras(block, wire))

    def _citation(self, citation: Citation, at: str) -> JsonObject | None:
        if citation.origin != NAME:
            self.losses.dropped(citation.at or join(at, "citations"), "the API takes only citations of its own", plain(citation))
            return None
        named: list[tuple[str, JsonValue]] = [
            ("type", citation.kind or None),
            ("url", citation.url),
            ("title", citation.title),
            ("cited_text", citation.cited),
        ]
        return deep({key: value for key, value in named if value is not None}, citation.extras)

    def _media(self, block: Media) -> JsonObject | None:
        source = self._source(block)
        if source is None:
            return None
        wire: JsonObject = {"type": block.kind, "source": source}
        if block.title is not None:
            if block.kind == "document":
                wire["title"] = block.title
            else:
                self.losses.hint(join(block.at, "filename"), "images have no title", block.title)
        if block.detail is not None:
            self.losses.hint(join(block.at, "detail"), "anthropic has no image detail", block.detail)
        if block.seal is not None:
            self.losses.hint(block.at, "anthropic does not sign media", plain(block.seal))
        self.cache(block.cache, wire)
        return self.extras(block, wire)

    def _source(self, block: Media) -> JsonObject | None:
        if self.home:
            return _home_source(block.source, block.form)
        if block.kind in {"audio", "video"}:
            self.losses.dropped(block.at, f"anthropic does not take {block.kind}", plain(block))
            return None
        wire = self._foreign_source(block.source, block)
        if wire is None:
            self.losses.dropped(block.at, f"anthropic cannot read this {block.kind}", plain(block))
        return wire

    def _foreign_source(self, source: Source, block: Media) -> JsonObject | None:
        match source:
            case Url():
                if source.media_type:
                    self.losses.hint(block.at, "the API finds the media type of a URL itself", source.media_type)
                return {"type": "url", "url": source.url} if source.url.startswith(("http://", "https://")) else None
            case FileRef():
                return {"type": "file", "file_id": source.id} if source.origin == NAME else None
            case Inline():
                wire = _inline(source, block)
                if wire is not None and not source.media_type:
                    self.losses.hint(block.at, "the media type is read off the data", wire["media_type"])
                return wire
            case _:
                assert_never(source)

    def _reasoning(self, block: Reasoning) -> JsonObject | None:
        seal = block.seal
        if self.home and seal is None:
            return self.extras(block, {"type": "thinking", "thinking": block.text})
        if seal is None or not readable(seal, NAME, self.issuer):
            shown = plain(block)
            if block.text or block.summary:
                self.losses.dropped(block.at, "the API takes no reasoning without its own signature", shown)
            else:
                self.losses.hint(block.at, "a seal that only its issuer can read", shown)
            return None
        if block.id:
            self.losses.hint(join(block.at, "id"), "thinking blocks have no id", block.id)
        word = carry(seal, NAME)
        if seal.kind == "redacted_thinking":
            return self.extras(block, {"type": "redacted_thinking", "data": word})
        text = block.text or "\n\n".join(block.summary)
        return self.extras(block, {"type": "thinking", "thinking": text, "signature": word})

    def _call(self, block: ToolCall) -> JsonObject:
        arguments = block.arguments
        if block.kind == "custom":
            self.losses.approximated(block.at, "free-form input is told as an object with one string", block.arguments)
            arguments = encode({"input": block.arguments}).decode()
        value, wrapped = input_of(arguments)
        if wrapped:
            self.losses.approximated(join(block.at, "arguments"), "arguments that are no JSON object are wrapped", arguments)
        wire: JsonObject = {"type": "tool_use", "id": block.id, "name": block.name, "input": value}
        if "no_input" in block.form and self.home:
            del wire["input"]
        if block.seal is not None:
            self.losses.hint(block.at, "anthropic does not sign tool calls", plain(block.seal))
        if block.item_id:
            self.losses.hint(join(block.at, "id"), "calls have one id here", block.item_id)
        self.cache(block.cache, wire)
        return self.extras(block, wire)

    def _result(self, block: ToolResult) -> JsonObject:
        wire: JsonObject = {"type": "tool_result", "tool_use_id": block.call_id}
        match block.content:
            case (Text(bare=True) as only,) if block.structured is None and self.home:
                wire["content"] = only.text
            case (Text(bare=True, cache=None, citations=(), extras={}) as only,) if block.structured is None:
                wire["content"] = only.text
            case _:
                parts = [part for item in block.content if (part := self._result_part(item)) is not None]
                if block.structured is not None:
                    parts.insert(0, {"type": "text", "text": encode(block.structured).decode()})
                if parts:
                    wire["content"] = list[JsonValue](parts)
        if block.is_error is not None:
            wire["is_error"] = block.is_error
        if block.name:
            self.losses.hint(join(block.at, "name"), "a result is known by its call's id alone", block.name)
        if block.item_id:
            self.losses.hint(join(block.at, "id"), "results have no id of their own", block.item_id)
        self.cache(block.cache, wire)
        return self.extras(block, wire)

    def _result_part(self, block: Block) -> JsonObject | None:
        if self.home or isinstance(block, Text | Media | Refusal | Native):
            return self.block(block)
        self.losses.dropped(block.at, "a tool result cannot hold this", plain(block))
        return None


def _home_source(source: Source, form: tuple[str, ...]) -> JsonObject:
    match source:
        case Url():
            return {"type": "url", "url": source.url}
        case FileRef():
            return {"type": "file", "file_id": source.id}
        case Inline():
            if "content" in form:
                return {"type": "content", "content": source.data}
            wire: JsonObject = {"type": "text" if source.text else "base64", "data": source.data}
            if source.media_type:
                wire["media_type"] = source.media_type
            return wire
        case _:
            assert_never(source)


def _inline(source: Inline, block: Media) -> JsonObject | None:
    """A source the API reads: four image types, PDF, plain text."""
    if source.text:
        return {"type": "text", "media_type": "text/plain", "data": source.data} if block.kind == "document" else None
    said = source.media_type.partition(";")[0].strip().lower().replace("image/jpg", "image/jpeg")
    media_type = said or next((known for magic, known in _MAGIC if source.data.startswith(magic)), "")
    if (block.kind == "image" and media_type in IMAGE_TYPES) or (block.kind == "document" and media_type == "application/pdf"):
        return {"type": "base64", "media_type": media_type, "data": "".join(source.data.split())}
    if block.kind == "document" and (media_type.startswith("text/") or media_type == "application/json"):
        try:
            text = base64.b64decode(source.data).decode()
        except (binascii.Error, ValueError):
            return None
        return {"type": "text", "media_type": "text/plain", "data": text}
    return None
