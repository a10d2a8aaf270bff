"""A whole answer in the neutral form."""

from typing import Literal

import msgspec

from gatewright.ir.blocks import Block, DialectName, Node
from gatewright.jsontypes import JsonObject

FinishReason = Literal[
    "stop",  # the model had said all
    "stop_sequence",  # one of the client's stop strings (`sequence` says which, where known)
    "length",  # max_tokens
    "context",  # the context window is full
    "tool_calls",
    "content_filter",  # a filter cut or blocked the answer
    "refusal",  # the model declined
    "pause",  # the provider wants the same conversation sent again (Anthropic pause_turn)
    "error",  # the provider broke within the answer
    "other",  # `raw` says what
]


class Finish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    reason: FinishReason
    raw: str | None = None
    """The origin's own word; used again at home."""
    sequence: str | None = None
    """The stop sequence that was hit."""
    message: str | None = None
    """The origin's explanation, where it gives one (Gemini finishMessage, Responses incomplete reason)."""


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens on disjoint axes: nothing is counted twice; a total is a sum. None: the upstream did not say; never guess 0."""

    input: int | None = None
    """Read uncached (text; audio apart)."""
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    output: int | None = None
    """Visible output (reasoning apart where the origin tells it, audio apart)."""
    reasoning: int | None = None
    audio_in: int | None = None
    audio_out: int | None = None
    searches: int | None = None
    """Searches of the web that the provider bills apart, where the answer shows them beside its usage. No tokens."""
    service_tier: str | None = None
    """The tier that served, where told."""
    raw: JsonObject = {}
    """The origin's usage object, verbatim."""

    @property
    def total_input(self) -> int:
        """All that was read, cached or not."""
        return (
            (self.input or 0)
            + (self.cache_read or 0)
            + (self.cache_write_5m or 0)
            + (self.cache_write_1h or 0)
            + (self.audio_in or 0)
        )

    @property
    def total_output(self) -> int:
        return (self.output or 0) + (self.reasoning or 0) + (self.audio_out or 0)


class Response(Node, frozen=True, kw_only=True):
    origin: DialectName
    id: str
    """Empty when the origin gives none: renderers make one up from the request id."""
    model: str
    blocks: tuple[Block, ...]
    finish: Finish | None = None
    """None: the origin did not say."""
    usage: Usage | None = None
    created: int | None = None
    """Unix seconds."""
    others: tuple[JsonObject, ...] = ()
    """Further choices or candidates (n > 1), verbatim: only their own dialect can show them."""


def told_in_usage(response: Response) -> tuple[str, ...]:
    """Extras of an answer that its usage says, too: whoever renders the usage has told them."""
    tier = response.usage.service_tier if response.usage is not None else None
    return ("service_tier",) if tier is not None and response.extras.get("service_tier") == tier else ()
