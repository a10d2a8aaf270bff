"""Whose turn it is among several accounts. Pure.

`sticky` stays with one while it serves: prompt caches and limits are an account's own. `round-robin` shares calls out evenly;
`random` does so without remembering.
"""

from collections.abc import Callable, Sequence
from typing import Literal

Rotation = Literal["sticky", "round-robin", "random"]

ROTATIONS: tuple[Rotation, ...] = ("sticky", "round-robin", "random")


def order(rotation: Rotation, ids: Sequence[str], last: str, chance: Callable[[], float]) -> list[str]:
    """`ids` in the order in which to try them. `last`: the one used before; empty: none. `chance`: a number in [0, 1)."""
    if len(ids) < 2:
        return list(ids)
    match rotation:
        case "sticky":
            first = ids.index(last) if last in ids else 0
        case "round-robin":
            first = (ids.index(last) + 1) % len(ids) if last in ids else 0
        case "random":
            left = list(ids)
            return [left.pop(int(chance() * len(left))) for _ in ids]
    return [*ids[first:], *ids[:first]]
