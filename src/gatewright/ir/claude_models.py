"""What the Claude models of each generation accept, read off the name: two dialects speak to them, and neither knows the other.

One rule: a fact stands in one table, and a name that says nothing is treated with care: a Claude without a version as the newest,
any other name (hosts that speak this dialect for models of their own) as one of the middle generation.
https://platform.claude.com/docs/en/about-claude/models/overview, https://platform.claude.com/docs/en/build-with-claude/thinking
"""

import re
from typing import Literal

import msgspec

Version = tuple[int, int]
ThinkingForm = Literal["none", "budget", "adaptive"]

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_NEWEST: Version = (99, 0)
_ALWAYS_THINKING = ("fable", "mythos")


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a request for one model may say."""

    thinking: ThinkingForm
    """`budget`: enabled with budget_tokens. `adaptive`: adaptive with output_config.effort."""
    thinking_optional: bool = True
    """Whether `disabled` is accepted."""
    sampling: Literal["all", "one", "none"] = "one"
    """`one`: temperature or top_p, not both. `none`: neither, nor top_k."""
    native_schema: bool = False
    """Whether output_config.format and strict tools are there."""
    prefill: bool = True
    """Whether the conversation may end with an assistant turn."""
    efforts: tuple[str, ...] = ()
    """The effort words it knows, in rising order."""
    default_max_tokens: int = 8192
    most_tokens: int = 0
    """The largest max_tokens. 0: not known."""


_GENERATIONS: tuple[tuple[Version, ModelFacts], ...] = (
    (
        (4, 7),
        ModelFacts(
            thinking="adaptive",
            sampling="none",
            native_schema=True,
            prefill=False,
            efforts=("low", "medium", "high", "xhigh", "max"),
            default_max_tokens=32000,
        ),
    ),
    (
        (4, 6),
        ModelFacts(
            thinking="adaptive",
            native_schema=True,
            prefill=False,
            efforts=("low", "medium", "high", "max"),
            default_max_tokens=32000,
        ),
    ),
    ((4, 5), ModelFacts(thinking="budget", native_schema=True, default_max_tokens=32000, most_tokens=64000)),
    ((4, 1), ModelFacts(thinking="budget", default_max_tokens=32000, most_tokens=32000)),
    ((4, 0), ModelFacts(thinking="budget", sampling="all", default_max_tokens=32000, most_tokens=64000)),
    ((3, 7), ModelFacts(thinking="budget", sampling="all", default_max_tokens=32000, most_tokens=64000)),
    ((3, 5), ModelFacts(thinking="none", sampling="all", default_max_tokens=8192, most_tokens=8192)),
    ((0, 0), ModelFacts(thinking="none", sampling="all", default_max_tokens=4096, most_tokens=4096)),
)
"""First version of a generation → its facts, newest first."""

_OTHER = ModelFacts(thinking="budget")


def version_of(model: str) -> Version | None:
    """(major, minor) of a Claude's name, wherever hosts put the family; None: not a Claude."""
    name = model.lower()
    if "claude" not in name:
        return None
    found = _VERSION.search(name)
    if found is None:
        return _NEWEST
    return int(found[1]), int(found[2] or 0)


def facts_of(model: str) -> ModelFacts:
    """What a request for `model` may say."""
    version = version_of(model)
    if version is None:
        return _OTHER
    facts = next(facts for since, facts in _GENERATIONS if version >= since)
    if any(family in model.lower() for family in _ALWAYS_THINKING):
        return msgspec.structs.replace(facts, thinking_optional=False)
    if version == (4, 0) and "opus" in model.lower():
        return msgspec.structs.replace(facts, most_tokens=32000)
    return facts
