"""The shape of what the operator says of prices.

One rule: a price is dollars for a million tokens, as vendors print it, unless the field says otherwise.
"""

from typing import Annotated, Literal

from pydantic import Field

from gatewright.config.section import Count, Name, Section

Usd = Annotated[float, Field(ge=0, lt=1_000_000)]


class TokenPrices(Section):
    """What tokens cost, by kind. What is left out costs what it is part of."""

    input: Usd | None = None
    """Tokens read."""
    output: Usd | None = None
    """Tokens written."""
    cache_read: Usd | None = None
    """Tokens read from a cache. Default: as `input`, and so for the next three."""
    cache_write: Usd | None = None
    """Tokens written to a cache."""
    cache_write_1h: Usd | None = None
    """Tokens written to a cache for an hour. Default: as `cache_write`."""
    audio_in: Usd | None = None
    """Sound read."""
    image_in: Usd | None = None
    """Pictures and pages read, where the provider tells of them."""
    reasoning: Usd | None = None
    """Thoughts. Default: as `output`, and so for the next two."""
    audio_out: Usd | None = None
    """Sound written."""
    image_out: Usd | None = None
    """Pictures written, where the provider tells of them."""


class BeyondSection(TokenPrices):
    """What a request costs that reads more than so many tokens: all of it, not only what is beyond."""

    tokens: Count
    """It reads more than so many."""


class PriceSection(TokenPrices):
    """What one target costs, or many: prices of its own, or those of another model of the price list."""

    request: Usd | None = None
    """For each request, whatever it uses."""
    web_search: Usd | None = None
    """For each search, where the provider tells how many there were."""
    audio_hour: Usd | None = None
    """For an hour of sound, where the provider tells of seconds."""
    beyond: list[BeyondSection] = []
    """Dearer long requests."""
    like: Annotated[str, Field(pattern=r"^[^/\s]+/\S+$")] | None = None
    """`host/model` of the price list, in place of prices; a `*` stands for what the `*` of the name took."""
    factor: Annotated[float, Field(gt=0, le=100)] | None = None
    """In place of prices: so much of the price list's, such as `0.8` for a fifth off."""


class AssumeSection(Section):
    """What a model costs of which nobody knows the price, with `unknown: assume`."""

    input: Usd = 3.0
    """A million tokens read."""
    output: Usd = 15.0
    """A million tokens written."""


class PricingSection(Section):
    """What calls cost, where that is not what the price list says."""

    unknown: Literal["deny", "allow", "assume"] = "allow"
    """What becomes of a model without a known price where a budget applies: refuse it, let it pass uncounted, or count it as
    `assume` says."""
    assume: AssumeSection = AssumeSection()
    batches: Literal["deny", "allow"] = "deny"
    """What becomes of a batch where a budget or a limit in dollars stops its key: nobody knows what it costs before it is done.
    `allow` lets it pass uncounted; the provider's bill is then the first to tell."""
    models: dict[Name, PriceSection] = {}
    """`provider/model`, with one `*` for any text → what it costs. The most exact name holds."""
