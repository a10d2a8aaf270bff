"""Parameters of requests that an operator sets for a model or a key.

One rule: names are neutral; every dialect has its own for them.
"""

from typing import Annotated, Literal

from pydantic import Field

from gatewright.config.section import Count, Name, Section
from gatewright.ir.request import Effort


class OverridesSection(Section):
    """Parameters of a request in neutral names: every dialect has its own for them."""

    max_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Count | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: list[Name] | None = None
    """Stop sequences."""
    effort: Effort | None = None
    """How much to reason."""
    verbosity: Literal["low", "medium", "high"] | None = None
    parallel_tool_calls: bool | None = None
    service_tier: Name | None = None
    user: Name | None = None
    """End user, as told to the provider."""
    store: bool | None = None
