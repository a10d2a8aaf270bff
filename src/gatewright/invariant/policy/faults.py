"""What can be wrong with a policy, and with its evaluation.

One rule: whoever wrote the policy is told the place, what stands there, and what to write instead.
"""

from collections.abc import Iterable
from difflib import get_close_matches

import msgspec

_LONGEST_NAME = 64
"""A name that is longer is nobody's slip of the pen; comparing it would cost."""


class Spot(msgspec.Struct, frozen=True, gc=False):
    """A place in a policy; both count from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"policy:{self.line}:{self.column}"


START = Spot(1, 1)


class PolicyError(ValueError):
    """A policy that cannot be used. Says `policy:3:12 …`, with what to do."""

    def __init__(self, at: Spot, words: str, advice: str = "") -> None:
        super().__init__(f"{at} {words}" + (f"; {advice}" if advice else ""))
        self.at = at
        self.words = words
        self.advice = advice


class Failed(Exception):
    """An evaluation that cannot go on: the data does not fit the policy, or it is too much work."""

    def __init__(self, at: Spot, words: str) -> None:
        super().__init__(f"{at} {words}")
        self.at = at
        self.words = words


def suggest(word: str, known: Iterable[str]) -> str:
    """`did you mean "x"?`, or nothing."""
    if len(word) > _LONGEST_NAME:
        return ""
    near = get_close_matches(word, list(known), n=1)
    return f'did you mean "{near[0]}"?' if near else ""


def shown(text: str) -> str:
    """A piece of a policy in a message: never long."""
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"
