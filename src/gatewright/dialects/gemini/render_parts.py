"""Blocks → parts, for requests and answers, from any origin.

One rule: at home a block is exactly the part it came from; abroad each thing a part cannot hold is a loss.
https://ai.google.dev/api/caching#Part
"""

from collections.abc import Iterable
from typing import assert_never

from msgspec import to_builtins

from gatewright.dialects.gemini.media import render_media
from gatewright.dialects.gemini.parts import PLAIN_RESULTS
from gatewright.dialects.gemini.proto import Speller, merge
from gatewright.dialects.gemini.seals import signature
from gatewright.errors import refuse
from gatewright.ir.blocks import (
    Block,
    CacheHint,
    DialectName,
    FileRef,
    Inline,
    Media,
    Native,
    Node,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Url,
)
from gatewright.ir.loss import Losses, join
from gatewright.ir.seal import Seal, readable
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import BadJson, decode

RAW_ARGUMENTS = "_raw"
"""Holds arguments that are not a JSON object: `args` can be nothing else."""


class PartWriter:
    """Writes parts of one document. `origin` is whose document it was; `issuer` the endpoint it goes to, None for a client."""

    def __init__(self, losses: Losses, origin: DialectName, *, issuer: str | None, media_in_results: bool = True) -> None:
        self.losses = losses
        self.origin = origin
        self.home = origin == "gemini"
        self.issuer = issuer
        self.media_in_results = media_in_results

    def parts(self, block: Block) -> list[JsonObject]:
        """The parts for one block: one, or none with a loss; more only for results with media."""
        match block:
            case Text():
                return [self._text(block)]
            case Refusal():
                self.losses.approximated(block.at, "gemini has no refusals: sent as text")
                return [self._extras(block, {"text": block.text})]
            case Reasoning():
                return self._reasoning(block)
            case Media():
                if self.issuer is None and isinstance(block.source, FileRef) and block.source.origin != "gemini":
                    # An answer is paid for: what cannot be shown of it is a loss, not an end.
                    self.losses.dropped(block.at, "a file that only its own provider can read", block.source.id)
                    return []
                return [self.media(block)]
            case ToolCall():
                return [self._call(block)]
            case ToolResult():
                return self._result(block)
            case Native():
                if block.origin == "gemini":
                    return [block.data]
                self.losses.dropped(block.at, f"only {block.origin} knows this block", block.data)
                return []
            case _:
                assert_never(block)

    def _extras(self, node: Node, part: JsonObject, *inner: str) -> JsonObject:
        return merge(part, self.losses.extras(node, origin=self.origin), Speller(node.form), inner)

    def seal(self, seal: Seal | None, at: str) -> str | None:
        """What goes into `thoughtSignature`; None with a hint when the endpoint could not read it."""
        if seal is None:
            return None
        if self.issuer is None:
            return signature(seal)
        if readable(seal, "gemini", self.issuer):
            return seal.data
        self.losses.hint(at, f"a seal of {seal.issuer or seal.dialect} that this endpoint cannot read", seal.data)
        return None

    def _signed(self, part: JsonObject, spell: Speller, seal: Seal | None, at: str) -> JsonObject:
        if (word := self.seal(seal, at)) is not None:
            part[spell("thoughtSignature")] = word
        return part

    def cache(self, cache: CacheHint | None, at: str) -> None:
        if cache is not None:
            self.losses.hint(cache.at or join(at, "cache"), "gemini has no cache points", cache.ttl)
            self.losses.extras(cache, origin=self.origin)

    def _text(self, block: Text) -> JsonObject:
        part: JsonObject = {} if "notext" in block.form else {"text": block.text}
        self.cache(block.cache, block.at)
        if self.issuer is not None and not self.home:
            self._about_text(block)
        self._signed(part, Speller(block.form), block.seal, block.at)
        return self._extras(block, part)

    def _about_text(self, block: Text) -> None:
        """What an answer told of its text, and a request cannot give back."""
        for i, citation in enumerate(block.citations):
            told: JsonObject = {"url": citation.url, "title": citation.title, "cited": citation.cited} | {
                "kind": citation.kind,
                "start": citation.start,
                "end": citation.end,
                **citation.extras,
            }
            self.losses.hint(citation.at or f"{block.at}.citations[{i}]", "gemini takes no citations back", told)
        if block.logprobs:
            self.losses.hint(join(block.at, "logprobs"), "gemini takes no log probabilities back", to_builtins(block.logprobs))

    def _reasoning(self, block: Reasoning) -> list[JsonObject]:
        text = block.text or "\n\n".join(block.summary)
        if block.text and block.summary:
            self.losses.hint(join(block.at, "summary"), "gemini has one text of reasoning", list(block.summary))
        spell = Speller(block.form)
        if self.home or self.issuer is None:
            part: JsonObject = {"thought": True} if "notext" in block.form else {"text": text, "thought": True}
            if block.id:
                self.losses.hint(join(block.at, "id"), "gemini has no ids of reasoning", block.id)
            return [self._extras(block, self._signed(part, spell, block.seal, block.at))]
        self.losses.extras(block, origin=self.origin)
        word = self.seal(block.seal, block.at)
        if block.id:
            self.losses.hint(join(block.at, "id"), "gemini has no ids of reasoning", block.id)
        if word is None:
            if text:
                self.losses.dropped(block.at, "reasoning that gemini did not sign is not sent back", text)
            return []
        return [{"text": text, "thought": True, "thoughtSignature": word}]

    def media(self, block: Media) -> JsonObject:
        if isinstance(block.source, FileRef) and block.source.origin != "gemini":
            raise refuse(
                "invalid_request",
                f'{block.at}: expected a URL or inline data, got the file "{block.source.id}" '
                f"(Gemini cannot read {block.source.origin} files)",
                param=block.at or None,
            )
        key, inner = render_media(block)
        spell = Speller(block.form)
        part: JsonObject = {key: inner}
        self._about(block, inner, spell)
        self._signed(part, spell, block.seal, block.at)
        return self._extras(block, part, "inlineData", "fileData")

    def _about(self, block: Media, inner: JsonObject, spell: Speller) -> None:
        """Title, detail and cache point of a media block, and what had to be guessed."""
        if block.title is not None:
            if self.home:
                inner[spell("displayName")] = block.title
            else:  # the Gemini API refuses displayName outside function responses (Vertex takes it)
                self.losses.hint(join(block.at, "title"), "gemini takes no titles of media", block.title)
        if block.detail is not None:
            self.losses.hint(join(block.at, "detail"), "gemini sets media resolution for the whole request", block.detail)
        self.cache(block.cache, block.at)
        if not self.home and isinstance(block.source, Url | Inline) and not block.source.media_type:
            self.losses.hint(block.at, "gemini wants a media type: guessed", inner.get("mimeType"))

    def _call(self, block: ToolCall) -> JsonObject:
        spell = Speller(block.form)
        call: JsonObject = {}
        if "noname" not in block.form:
            call["name"] = block.name
        if block.id:
            call["id"] = block.id
        if "args=null" in block.form and block.arguments == "{}":
            call["args"] = None
        elif not ("noargs" in block.form and block.arguments == "{}"):
            call["args"] = self._args(block)
        if block.item_id:
            self.losses.hint(join(block.at, "id"), "gemini has one id for a call", block.item_id)
        self.cache(block.cache, block.at)
        part: JsonObject = {spell("functionCall"): call}
        self._signed(part, spell, block.seal, block.at)
        return self._extras(block, part, "functionCall")

    def _args(self, block: ToolCall) -> JsonObject:
        if block.kind == "custom":
            self.losses.approximated(block.at, "gemini has no free-form calls: the text is the argument `input`")
            return {"input": block.arguments}
        try:
            args = decode(block.arguments.encode()) if block.arguments.strip() else {}
        except (BadJson, UnicodeEncodeError):
            args = None
        if isinstance(args, dict):
            return args
        self.losses.approximated(block.at, "the arguments are not a JSON object: wrapped", block.arguments)
        return {RAW_ARGUMENTS: block.arguments}

    def _result(self, block: ToolResult) -> list[JsonObject]:
        spell = Speller(block.form)
        response, rest = self._response(block)
        inner: JsonObject = {}
        if block.name or "noname" not in block.form:
            inner["name"] = block.name
        if block.call_id:
            inner["id"] = block.call_id
        if response is not None:
            inner["response"] = response
        if block.item_id:
            self.losses.hint(join(block.at, "id"), "gemini has no ids of results", block.item_id)
        self.cache(block.cache, block.at)
        inside, beside = self._media_of(block, rest)
        if inside:
            inner["parts"] = inside
        part: JsonObject = {spell("functionResponse"): inner}
        return [self._extras(block, part, "functionResponse"), *beside]

    def _response(self, block: ToolResult) -> tuple[JsonValue, list[Block]]:
        """The response object and the blocks it does not hold."""
        if self.home:
            for key in PLAIN_RESULTS:
                if f"response={key}" in block.form and block.content and isinstance(text := block.content[0], Text):
                    return {key: text.text}, list(block.content[1:])
            return block.structured, list(block.content)
        texts: list[str] = []
        rest: list[Block] = []
        for inner in block.content:
            match inner:
                case Text():
                    texts.append(inner.text)
                    self.cache(inner.cache, inner.at)
                    self._about_text(inner)
                    self.losses.extras(inner, origin=self.origin)
                case Refusal():
                    texts.append(inner.text)
                case _:
                    rest.append(inner)
        if isinstance(block.structured, dict) and not texts:
            return ({"error": block.structured} if block.is_error else block.structured), rest
        told = "\n".join(texts)
        response: JsonObject = {"error" if block.is_error else "result": told}
        if block.is_error is False:
            self.losses.hint(join(block.at, "is_error"), "gemini tells failures only")
        if len(texts) > 1:
            self.losses.approximated(block.at, "several texts of one result are joined by line breaks", len(texts))
        if block.structured is not None:
            response["structured"] = block.structured
        return response, rest

    def _media_of(self, block: ToolResult, rest: Iterable[Block]) -> tuple[list[JsonValue], list[JsonObject]]:
        """Parts inside the function response, and parts that must stand beside it."""
        inside: list[JsonValue] = []
        beside: list[JsonObject] = []
        for inner in rest:
            if self.home:
                inside += self.parts(inner)
                continue
            if isinstance(inner, Native) and inner.origin != "gemini":
                self.losses.dropped(inner.at or block.at, "gemini cannot hold this in a function response", inner.data)
                continue
            parts = self.parts(inner)
            if self.media_in_results and isinstance(inner, Media) and isinstance(inner.source, Inline):
                inside += parts
            elif parts:
                self.losses.approximated(inner.at or block.at, "sent beside the function response, not within")
                beside += parts
        return inside, beside
