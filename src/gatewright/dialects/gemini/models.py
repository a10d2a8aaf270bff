"""What a Gemini model's name tells of its abilities.

One rule: an unknown name (an alias, tomorrow's model) is taken for a newest one.
https://ai.google.dev/gemini-api/docs/thinking  https://ai.google.dev/gemini-api/docs/gemini-3
"""

import re

import msgspec

_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_NEWEST = (3, 0)


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a renderer must know before it writes a request."""

    levels: bool
    """Takes `thinkingLevel` (Gemini 3 and later)."""
    budgets: tuple[int, int] | None
    """Least and largest `thinkingBudget` above 0 (Gemini 2.5). None: takes none."""
    can_rest: bool
    """Thinking can be switched off."""
    wants_signatures: bool
    """Refuses function calls without a signature."""
    mixes_tools: bool
    """Takes hosted tools and JSON mode beside functions, and media inside function responses."""


def abilities(model: str) -> Abilities:
    found = _VERSION.search(model)
    version = (int(found[1]), int(found[2] or 0)) if found else _NEWEST
    if version >= _NEWEST:
        return Abilities(
            levels=True, budgets=None, can_rest=False, wants_signatures=found is not None or "gemini" in model, mixes_tools=True
        )
    if version < (2, 5):
        return Abilities(levels=False, budgets=None, can_rest=True, wants_signatures=False, mixes_tools=False)
    pro, lite = "pro" in model, "lite" in model
    least, largest = (128, 32768) if pro else (512 if lite else 1, 24576)
    return Abilities(levels=False, budgets=(least, largest), can_rest=not pro, wants_signatures=False, mixes_tools=False)
