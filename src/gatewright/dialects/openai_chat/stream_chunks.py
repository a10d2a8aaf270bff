"""Chunks of a stream, written one by one.

One rule: all that is the same in every chunk is encoded once, when the message starts.
"""

import msgspec

from gatewright.dialects.openai_chat.reasoning import foreign_details
from gatewright.dialects.openai_chat.render_home import fill
from gatewright.dialects.openai_chat.render_messages import foreign_media
from gatewright.dialects.openai_chat.render_response import (
    foreign_annotation,
    render_annotation,
)
from gatewright.dialects.openai_chat.tools import signature_field
from gatewright.dialects.openai_chat.words import NAME, digest, merge
from gatewright.ir.blocks import Citation, Inline, Media, Native, Node, Reasoning, Text, ToolResult
from gatewright.ir.loss import Loss, Losses, join
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue

_encode = msgspec.json.Encoder().encode
replace = msgspec.structs.replace
builtins = msgspec.to_builtins


class ChunkWriter:
    """The part of the renderer that knows what a chunk looks like."""

    def __init__(self, *, usage_asked: bool) -> None:
        self._usage_asked = usage_asked
        self._losses = Losses(NAME)
        self.losses: list[Loss] = self._losses.found
        self._home = False
        self._origin = ""
        self._id = ""
        self._base: JsonObject = {}
        self._head = b""
        self._tail = b'},"logprobs":null,"finish_reason":null}]}\n\n'
        self._before = b""
        """Chunk bytes before the text of the open block's deltas; empty: its deltas take the long way."""
        self._after = b""
        self._citations: list[Citation] = []
        self._length = 0
        """Characters of text in earlier blocks."""
        self._here = 0
        """Characters of text in the open block."""
        # Entries of lists written so far: OpenAI's SDKs join the lists of several chunks by `index`.
        self._details, self._annotations, self._images = 0, 0, 0
        self._signed = False

    def _extras(self, extras: JsonObject, at: str = "") -> JsonObject:
        return self._losses.extras(Node(extras=extras, at=at), origin=self._origin) if extras else {}

    def _chunk(
        self, delta: JsonObject, *, finish: str | None = None, choice: JsonObject | None = None, top: JsonObject | None = None
    ) -> bytes:
        body: JsonObject = {"index": 0, "delta": merge(dict(delta), {}), "logprobs": None, "finish_reason": finish}
        if choice:
            merge(body, choice)
        document: JsonObject = {**self._base, **(top or {}), "choices": [body]}
        if self._usage_asked:
            document["usage"] = None
        return b"data: " + _encode(document) + b"\n\n"

    def _other(self, choice: JsonObject) -> bytes:
        """A further choice of a whole answer, in one chunk."""
        body: JsonObject = {key: value for key, value in choice.items() if key != "message"}
        message = choice.get("message")
        delta: JsonObject = dict(message) if isinstance(message, dict) else {}
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            delta["tool_calls"] = [{"index": i, **call} for i, call in enumerate(calls) if isinstance(call, dict)]
        return b"data: " + _encode({**self._base, "choices": [{**body, "delta": delta}]}) + b"\n\n"

    def _fast(self, key: bytes, close: bytes = b"") -> None:
        self._before = self._head + key
        self._after = close + self._tail

    def _cite(self, block: Text, parts: list[bytes]) -> None:
        annotations: list[JsonValue] = []
        for citation in (*block.citations, *self._citations):
            if self._home:
                annotations.append(render_annotation(citation))
                continue
            self._losses.extras(citation, origin=self._origin)
            one = foreign_annotation(citation, self._length, self._length + self._here)
            if one is None:
                self._losses.dropped(citation.at, "chat completions cites only by URL", builtins(citation))
                continue
            if citation.start is None or citation.end is None:
                self._losses.hint(
                    citation.at or block.at, "no span was told: it covers the whole text", [citation.start, citation.end]
                )
            if citation.kind != "url_citation":
                self._losses.hint(citation.at or block.at, "chat completions cites only by URL", citation.kind)
            annotations.append({**one, "index": self._annotations})
            self._annotations += 1
        if annotations:
            parts.append(self._chunk({"annotations": annotations}))

    def _sign(self, seal: Seal, parts: list[bytes]) -> None:
        if not self._signed:
            self._signed = True
            parts.append(self._chunk(signature_field(seal)))
        else:
            entries: list[JsonValue] = [*foreign_details(Reasoning(seal=seal, redacted=True), self._details)]
            self._details += len(entries)
            parts.append(self._chunk({"reasoning_details": entries}))

    def _whole(self, block: Media | Native | ToolResult, index: int, parts: list[bytes]) -> None:
        if self._home:
            message: JsonObject = {}
            fill(message, (block,))
            parts.append(self._chunk(message))
            return
        self._losses.extras(block, origin=self._origin)
        if isinstance(block, Media) and block.title is not None:
            self._losses.hint(join(block.at, "title"), "media in an answer have no title", block.title)
        if isinstance(block, Media) and block.kind == "audio" and isinstance(block.source, Inline):
            made = digest("audio_", self._id, str(index))
            parts.append(self._chunk({"audio": {"id": made, "data": block.source.data, "expires_at": 0}}))
            self._losses.approximated(block.at, "the type of the audio is not said", block.source.media_type)
        elif isinstance(block, Media) and block.kind == "image" and (part := foreign_media(block)) is not None:
            parts.append(self._chunk({"images": [{**part, "index": self._images}]}))
            self._images += 1
            self._losses.approximated(block.at, "images in an answer are an extension of chat completions")
        else:
            self._losses.dropped(block.at, "chat completions has no such block in an answer", builtins(block))
