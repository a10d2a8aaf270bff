"""Blocks: what a message is made of, in no provider's words.

One rule: a node keeps, in `extras`, every field of its origin that the neutral form has no word for; a field becomes
neutral only when a second dialect can render it.
"""

from typing import Literal, TypeAlias

import msgspec

from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue

DialectName = Literal["openai_chat", "openai_responses", "anthropic", "gemini", "bedrock_converse"]


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every part of a request or response has."""

    extras: JsonObject = {}
    """Fields of the origin dialect that nobody took, explicit nulls and empty containers included.
    Merged back verbatim in the same dialect; reported as losses in any other (nulls and empties are not)."""
    form: tuple[str, ...] = ()
    """Which of several equal spellings the origin used. Words private to the origin dialect; others ignore them."""
    at: str = ""
    """Path in the origin's own document (`messages[2].content[0]`), for losses and errors. Empty: unknown or the top."""


class CacheHint(Node, frozen=True, kw_only=True):
    """A prompt-cache point after the node that carries it."""

    ttl: str | None = None
    """`5m` or `1h`, as given. None: the provider's default."""


class Citation(Node, frozen=True, kw_only=True):
    """Where a piece of text comes from."""

    kind: str
    """The origin's own type word (`url_citation`, `char_location`, `web_search_result_location`, …)."""
    origin: DialectName
    url: str | None = None
    title: str | None = None
    cited: str | None = None
    """The text that is cited, in the source's words."""
    start: int | None = None
    """First character of the answer's text that the citation covers."""
    end: int | None = None


class TokenLogprob(Node, frozen=True, kw_only=True):
    token: str
    logprob: float | None = None
    bytes: tuple[int, ...] | None = None
    top: tuple["TokenLogprob", ...] = ()


class Text(Node, frozen=True, kw_only=True):
    text: str
    bare: bool = False
    """The origin used the shorthand `"content": "hi"`."""
    cache: CacheHint | None = None
    citations: tuple[Citation, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    seal: Seal | None = None
    """Gemini signs text parts too."""


class Url(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="url"):
    url: str
    media_type: str | None = None


class Inline(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="inline"):
    media_type: str
    """Empty when the origin did not say."""
    data: str
    """Standard base64, as received (line breaks and all), or plain text where the origin's source is text (`text` true)."""
    text: bool = False


class FileRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="file"):
    """A file that only its provider can read."""

    id: str
    origin: DialectName
    media_type: str | None = None


Source: TypeAlias = Url | Inline | FileRef


class Media(Node, frozen=True, kw_only=True):
    kind: Literal["image", "audio", "video", "document"]
    source: Source
    title: str | None = None
    """File name or document title."""
    detail: str | None = None
    """`low`, `high`, `auto`, …: how closely to look at an image."""
    cache: CacheHint | None = None
    seal: Seal | None = None


class Reasoning(Node, frozen=True, kw_only=True):
    text: str = ""
    """The model's reasoning in full, if shown. Legally empty beside a seal."""
    summary: tuple[str, ...] = ()
    """Summary parts, where the origin tells a summary and not the reasoning itself."""
    seal: Seal | None = None
    redacted: bool = False
    """Nothing but the seal may be shown (Anthropic `redacted_thinking`, encrypted items without summary)."""
    id: str = ""
    """The origin's id of the reasoning item (`rs_…`), empty where it has none."""


class ToolCall(Node, frozen=True, kw_only=True):
    id: str
    """Empty when the origin gives none (Gemini, some hosts): renderers make one."""
    name: str
    arguments: str
    """JSON text as on the wire: invalid JSON from a model must survive. For `custom`: the raw input text."""
    kind: Literal["function", "custom"] = "function"
    seal: Seal | None = None
    item_id: str = ""
    """Responses item id (`fc_…`), beside the call id."""
    cache: CacheHint | None = None


class ToolResult(Node, frozen=True, kw_only=True):
    call_id: str
    content: "tuple[Block, ...]"
    name: str = ""
    """The tool's name, where the origin repeats it (Gemini, legacy functions)."""
    is_error: bool | None = None
    """None: the origin did not say (most have no word for it)."""
    kind: Literal["function", "custom"] = "function"
    structured: JsonValue = None
    """The result as a JSON object, where the origin sends one instead of text (Gemini)."""
    item_id: str = ""
    cache: CacheHint | None = None


class Refusal(Node, frozen=True, kw_only=True):
    text: str


class Native(Node, frozen=True, kw_only=True):
    """A block that only its own dialect knows: server tools, compaction, item references, whatever comes tomorrow."""

    origin: DialectName
    data: JsonObject
    """The whole block, verbatim."""


Block: TypeAlias = Text | Media | Reasoning | ToolCall | ToolResult | Refusal | Native


class Message(Node, frozen=True, kw_only=True):
    role: Literal["system", "user", "assistant"]
    """Tool results travel in `user` messages, developer instructions in `system` ones (the origin's word is in `form`)."""
    blocks: tuple[Block, ...]
    name: str | None = None
    """Chat's participant name."""
