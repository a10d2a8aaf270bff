"""Needs: what a request asks of a model, and about how long it is; told from its meaning, in one walk.

One rule: a need is what would fail without. Wishes (to reason, to cache, to call tools in parallel) are told too, and conditions
may ask for them, but no target is passed over for want of them.
"""

from math import ceil
from typing import Final

import msgspec

from gatewright.ir.blocks import Block, Media, Native, Reasoning, Refusal, Text, ToolCall, ToolResult
from gatewright.ir.request import Request, Thinking
from gatewright.providers.facts import Capability
from gatewright.wire.json import encode

CHARS_PER_TOKEN: Final = 4.0
"""English prose and code average 3.5 to 4.5 characters a token with every current tokenizer."""
IMAGE_TOKENS: Final = 1_000
PER_MESSAGE: Final = 4
EXPECTED_OUTPUT: Final = 1_000
"""Tokens of an ordinary answer, where a price must be told before it is there."""

HARD: Final[frozenset[Capability]] = frozenset(("vision", "audio", "video", "documents", "tools", "json_schema", "web_search"))
"""Without these a request fails, or is answered as if half of it had not been said."""
OF_MEDIA: Final[dict[str, Capability]] = {
    "image": "vision",
    "audio": "audio",
    "video": "video",
    "document": "documents",
}
_MARKS: Final = (b"image", b"audio", b"video", b"document", b"file", b"nline", b"tool", b"function", b"chema", b"web_search")
"""One of these stands in every request that needs something beyond text, whatever its dialect."""


class Needs(msgspec.Struct, frozen=True):
    capabilities: frozenset[Capability] = frozenset()
    tokens: int = 0
    """Input, as it will probably be billed."""
    sure_tokens: int = 0
    """The same without what inline documents, sounds and films may come to: nobody knows that by their bytes."""
    max_tokens: int | None = None
    """Of the answer, as the client limits it."""

    @property
    def expected_output(self) -> int:
        """Tokens of the answer, for a comparison of prices."""
        return EXPECTED_OUTPUT if self.max_tokens is None else min(self.max_tokens, EXPECTED_OUTPUT)


def plainly_text(body: bytes) -> bool:
    """Whether a body surely asks for nothing but text: it need not be read to know that. False says nothing."""
    return not any(mark in body for mark in _MARKS)


def estimate(request: Request) -> int:
    """Tokens that a request will probably be billed as input: characters over four, images at a flat figure."""
    return needs_of(request).tokens


def needs_of(request: Request) -> Needs:
    walk = _Walk()
    for message in request.messages:
        walk.flat += PER_MESSAGE
        for block in message.blocks:
            walk.block(block)
    for tool in request.tools:
        walk.chars += len(tool.name) + len(tool.description or "") + len(encode(tool.parameters or tool.native))
        walk.flat += 8
        if tool.kind != "hosted":
            walk.found.add("tools")
        elif tool.hosted == "web_search":
            walk.found.add("web_search")
    output = request.output
    if output is not None:
        walk.chars += len(encode(output.schema)) if output.schema else 0
        if output.kind == "json_schema":
            walk.found.add("json_schema")
    if request.thinking is not None and _reasons(request.thinking):
        walk.found.add("reasoning")
    if request.parallel_tool_calls and request.tools:
        walk.found.add("parallel_tools")
    sure = ceil(walk.chars / CHARS_PER_TOKEN) + walk.flat
    tokens = ceil((walk.chars + walk.inline) / CHARS_PER_TOKEN) + walk.flat
    return Needs(frozenset(walk.found), tokens, sure, request.max_tokens)


def _reasons(thinking: Thinking) -> bool:
    wanted = thinking.adaptive or thinking.effort not in (None, "none") or thinking.budget not in (None, 0)
    return thinking.enabled is not False and (thinking.enabled is True or wanted)


class _Walk:
    """What is found on the way."""

    __slots__ = ("chars", "flat", "found", "inline")

    def __init__(self) -> None:
        self.chars = 0
        self.flat = 0
        """Tokens that have no characters."""
        self.inline = 0
        """Characters that inline documents, sounds and films are taken for."""
        self.found: set[Capability] = set()

    def block(self, block: Block) -> None:
        match block:
            case Text() | Refusal():
                self.chars += len(block.text)
            case Media():
                self._media(block)
            case Reasoning():
                self.chars += len(block.text) + sum(map(len, block.summary))
            case ToolCall():
                self.chars += len(block.name) + len(block.arguments)
                self.flat += 8
            case ToolResult():
                self.flat += 8
                for part in block.content:
                    self.block(part)
            case Native():
                self.chars += len(encode(block.data))
        if getattr(block, "cache", None) is not None:
            self.found.add("caching")

    def _media(self, media: Media) -> None:
        self.found.add(OF_MEDIA[media.kind])
        data = getattr(media.source, "data", "")
        if media.kind == "image" or not data:
            self.flat += IMAGE_TOKENS
        else:
            self.inline += len(data) * 3 // 8
