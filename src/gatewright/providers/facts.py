"""What is known of a model beside its name: sizes, abilities, list prices.

One rule: None is "nobody said"; never a guess. Prices are decimals of US dollars for a million tokens, as vendors print them.
"""

from decimal import Decimal
from typing import Literal

import msgspec

Capability = Literal[
    "vision", "audio", "video", "documents", "tools", "parallel_tools", "json_schema", "reasoning", "caching", "web_search"
]
"""The field's words for what a model can do beyond text."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Of one model. Every field may be unknown."""

    title: str | None = None
    created: int | None = None
    """Unix seconds."""
    context: int | None = None
    """Tokens that fit in."""
    max_output: int | None = None
    """Tokens of the longest answer."""
    capabilities: tuple[Capability, ...] | None = None
    lacks: tuple[Capability, ...] = ()
    """What it cannot do, by its provider's own words. That `capabilities` leave something out says less: no list tells all."""
    input_usd: Decimal | None = None
    """US dollars for a million tokens read."""
    output_usd: Decimal | None = None
    """US dollars for a million tokens written."""

    def over(self, other: "Facts") -> "Facts":
        """These facts, and where they are silent the other's."""
        if other == NOTHING:
            return self
        if self == NOTHING:
            return other
        return Facts(
            title=other.title if self.title is None else self.title,
            created=other.created if self.created is None else self.created,
            context=other.context if self.context is None else self.context,
            max_output=other.max_output if self.max_output is None else self.max_output,
            capabilities=other.capabilities if self.capabilities is None else self.capabilities,
            lacks=self.lacks or (() if self.capabilities is not None else other.lacks),
            input_usd=other.input_usd if self.input_usd is None else self.input_usd,
            output_usd=other.output_usd if self.output_usd is None else self.output_usd,
        )


NOTHING = Facts()
