"""Places in a conversation, as Invariant writes them: `messages.2.content:25-30`.

One rule: of places that lie within one another only the innermost is told.
"""

from collections.abc import Iterable


def most_specific(ranges: Iterable[str]) -> list[str]:
    """Each once, without those that another one begins with; the shortest first, as the reference has them."""
    kept: list[str] = []
    ordered = sorted(dict.fromkeys(ranges), key=len)
    for number, place in enumerate(ordered):
        if not any(other.startswith(place) and _within(place, other) for other in ordered[number + 1 :]):
            kept.append(place)
    return kept


def _within(place: str, other: str) -> bool:
    """`messages.1` is not around `messages.12`."""
    return not place or other[len(place)] in ".:"


def split_range(place: str) -> tuple[str, int, int]:
    """(path, start, end); 0, 0 where it is all of what stands there."""
    path, _, numbers = place.rpartition(":")
    start, dash, end = numbers.partition("-")
    if path and dash and start.isdigit() and end.isdigit():
        return path, int(start), int(end)
    return place, 0, 0
