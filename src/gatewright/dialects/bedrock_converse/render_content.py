"""Content blocks, written for an upstream: at home verbatim, from abroad as far as this API can say them.

One rule: a block that cannot be said is reported whole, so that nothing within it is lost in silence. A block may need two on the
wire: its cache point follows it.
"""

from typing import assert_never

from gatewright.dialects.bedrock_converse.content import STATUS, input_of
from gatewright.dialects.bedrock_converse.media import home_media, media_wire, plain
from gatewright.dialects.bedrock_converse.models import ModelFacts
from gatewright.dialects.bedrock_converse.seals import NAME, redacted, signature
from gatewright.ir.blocks import (
    Block,
    CacheHint,
    Citation,
    Media,
    Native,
    Node,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from gatewright.ir.loss import Losses, join
from gatewright.ir.seal import readable
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import decode, encode

EMPTY = "(empty)"
"""Stands for the text of a tool result that says nothing: the API refuses blank text."""
STATUS_OF = {is_error: word for word, is_error in STATUS.items()}


def deep(into: JsonObject, extras: JsonObject) -> JsonObject:
    """`into` with `extras` merged: what both have as objects is merged in turn; else what was rendered wins."""
    merged = dict(extras)
    for key, value in into.items():
        old = merged.get(key)
        merged[key] = deep(value, old) if isinstance(value, dict) and isinstance(old, dict) else value
    return merged


def cited_wire(block: Text, citations: list[JsonObject]) -> JsonObject:
    """`citationsContent`: the text in the pieces that it came in, or in one."""
    pieces: list[str] = []
    start = 0
    sizes = block.form[1] if len(block.form) > 1 and block.form[0] == "cited" else str(len(block.text)) if block.text else ""
    for size in sizes.split(",") if sizes else ():
        pieces.append(block.text[start : start + int(size)])
        start += int(size)
    if start != len(block.text):  # the text is not the one that came in pieces
        pieces = [block.text]
    wire: JsonObject = {}
    if pieces:
        wire["content"] = [{"text": piece} for piece in pieces]
    if citations:
        wire["citations"] = list[JsonValue](citations)
    return {"citationsContent": wire}


def citation_wire(citation: Citation) -> JsonObject:
    """A citation of this dialect, without its extras."""
    wire: JsonObject = {}
    if citation.title is not None:
        wire["title"] = citation.title
    if citation.cited is not None:
        wire["sourceContent"] = [{"text": citation.cited}]
    if citation.url is not None:
        if "source" in citation.form:
            wire["source"] = citation.url
        else:
            wire["location"] = {"web": {"url": citation.url}}
    return wire


def home_text(text: Text) -> JsonObject:
    """A block of this dialect's own, without citations and extras."""
    if "guard" in text.form:
        return {"guardContent": {"text": {"text": text.text}}}
    if "json" in text.form:
        return {"json": decode(text.text.encode())}
    return {"text": text.text}


class BlockWriter:
    """Writes blocks of one request. `origin` is the dialect they came from, `issuer` the endpoint they go to."""

    def __init__(self, origin: str, issuer: str, facts: ModelFacts, losses: Losses) -> None:
        self.origin = origin
        self.home = origin == NAME
        self.issuer = issuer
        self.facts = facts
        self.losses = losses

    def extras(self, node: Node, wire: JsonObject) -> JsonObject:
        extras = self.losses.extras(node, origin=self.origin)
        return deep(wire, extras) if extras else wire

    def cache_point(self, hint: CacheHint | None, *, tool: bool = False) -> list[JsonObject]:
        """The block that says it, to follow; [] where there is none or the model has none."""
        if hint is None:
            return []
        point: JsonObject = {"type": hint.form[0] if hint.form and self.home else "default"}
        if self.home:
            if hint.ttl is not None:
                point["ttl"] = hint.ttl
            return [{"cachePoint": self.extras(hint, point)}]
        if not (self.facts.caches_tools if tool else self.facts.caches):
            self.losses.hint(hint.at, "this model has no cache points here", plain(hint))
            return []
        if hint.ttl is not None:
            if self.facts.cache_ttl:
                point["ttl"] = hint.ttl
            else:
                self.losses.hint(join(hint.at, "ttl"), "this model's cache lives for five minutes", hint.ttl)
        self.losses.extras(hint, origin=self.origin)
        return [{"cachePoint": point}]

    def blocks(self, block: Block) -> list[JsonObject]:
        """The block on the wire, its cache point behind it; [] when it could not be said (and is reported)."""
        wire = self.block(block)
        if wire is None:
            if (hint := getattr(block, "cache", None)) is not None:
                self.losses.hint(hint.at, "the block that it follows is left out", plain(hint))
            return []
        return [wire, *self.cache_point(getattr(block, "cache", None))]

    def block(self, block: Block) -> JsonObject | None:
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
                return self._unless_blank(block.text, block, self.extras(block, {"text": block.text}))
            case Native():
                if block.origin == NAME:
                    return block.data
                self.losses.dropped(block.at, f"only {block.origin} knows this block", block.data)
                return None
            case _:
                assert_never(block)

    def _unless_blank(self, text: str, block: Node, wire: JsonObject) -> JsonObject | None:
        """The API refuses blank text (400, "The text field in the ContentBlock object … is blank")."""
        if self.home or text.strip():
            return wire
        self.losses.hint(block.at, "blank text is left out", text)
        return None

    def _text(self, block: Text) -> JsonObject | None:
        if self.home:
            if "cited" in block.form or block.citations:
                cited = [self.extras(citation, citation_wire(citation)) for citation in block.citations]
                return self.extras(block, cited_wire(block, cited))
            if block.seal is not None and not block.text:  # the carrier of a seal that has no block
                return None
            return self.extras(block, home_text(block))
        for citation in block.citations:
            at = citation.at or join(block.at, "citations")
            self.losses.dropped(at, "the API takes only citations of its own", plain(citation))
        if block.logprobs:
            self.losses.dropped(join(block.at, "logprobs"), "not in converse", plain(block.logprobs))
        if block.seal is not None:
            self.losses.hint(block.at, "converse does not sign text", plain(block.seal))
        return self._unless_blank(block.text, block, self.extras(block, {"text": block.text}))

    def _media(self, block: Media) -> JsonObject | None:
        if self.home:
            return self.extras(block, home_media(block))
        wire = media_wire(block, self.losses)
        if wire is None:
            return None
        if block.seal is not None:
            self.losses.hint(block.at, "converse does not sign media", plain(block.seal))
        return self.extras(block, wire)

    def _reasoning(self, block: Reasoning) -> JsonObject | None:
        seal = block.seal
        if self.home and seal is None:
            return self.extras(block, {"reasoningContent": {"reasoningText": {"text": block.text}}})
        if seal is None or not readable(seal, NAME, self.issuer):
            shown = plain(block)
            if block.text or block.summary:
                self.losses.dropped(block.at, "the API takes no reasoning without its own signature", shown)
            else:
                self.losses.hint(block.at, "a seal that only its issuer can read", shown)
            return None
        if block.id:
            self.losses.hint(join(block.at, "id"), "reasoning has no id here", block.id)
        if seal.kind == "redactedContent":
            return self.extras(block, {"reasoningContent": {"redactedContent": redacted(seal)}})
        text = block.text or "\n\n".join(block.summary)
        return self.extras(block, {"reasoningContent": {"reasoningText": {"text": text, "signature": signature(seal)}}})

    def _call(self, block: ToolCall) -> JsonObject:
        arguments = block.arguments
        if block.kind == "custom":
            self.losses.approximated(block.at, "free-form input is told as an object with one string", block.arguments)
            arguments = encode({"input": block.arguments}).decode()
        value, wrapped = input_of(arguments)
        if wrapped:
            self.losses.approximated(join(block.at, "arguments"), "arguments that are no JSON object are wrapped", arguments)
        inner: JsonObject = {"toolUseId": block.id, "name": block.name, "input": value}
        if "no_input" in block.form and self.home:
            del inner["input"]
        if block.seal is not None:
            self.losses.hint(block.at, "converse does not sign tool calls", plain(block.seal))
        if block.item_id:
            self.losses.hint(join(block.at, "id"), "calls have one id here", block.item_id)
        return self.extras(block, {"toolUse": inner})

    def _result(self, block: ToolResult) -> JsonObject:
        inner: JsonObject = {"toolUseId": block.call_id}
        parts: list[JsonObject] = [] if block.structured is None else [{"json": block.structured}]
        parts += [part for item in block.content if (part := self._result_part(item)) is not None]
        if not self.home and not parts:
            if block.content:
                self.losses.hint(block.at, f"a result that says nothing is told as {EMPTY}")
            parts.append({"text": EMPTY})
        if parts:
            inner["content"] = list[JsonValue](parts)
        if block.is_error is not None:
            inner["status"] = STATUS_OF[block.is_error]
        if block.name:
            self.losses.hint(join(block.at, "name"), "a result is known by its call's id alone", block.name)
        if block.item_id:
            self.losses.hint(join(block.at, "id"), "results have no id of their own", block.item_id)
        return self.extras(block, {"toolResult": inner})

    def _result_part(self, block: Block) -> JsonObject | None:
        if self.home:
            return self.block(block)
        if isinstance(block, Media) and block.kind == "audio":
            self.losses.dropped(block.at, "a tool result cannot hold audio", plain(block))
            return None
        if isinstance(block, Text | Media | Refusal | Native):
            if (hint := getattr(block, "cache", None)) is not None:
                self.losses.hint(hint.at, "no cache points within a tool result", plain(hint))
            return self.block(block)
        self.losses.dropped(block.at, "a tool result cannot hold this", plain(block))
        return None
