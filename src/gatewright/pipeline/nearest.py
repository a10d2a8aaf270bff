"""Which question that was answered is nearest to one that is asked: cosines, without a library and without waiting.

Vectors are of length 1, so that a cosine is a sum of products. The sum over the head alone, with what the rest can add at most
(Cauchy and Schwarz), rules nearly all others out: only those that come near are summed to the end.
One rule: what is ruled out could not have reached the threshold.
"""

import math
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from operator import mul
from typing import Final

import msgspec

HEAD: Final = 256
"""Dimensions of the head."""
MOST_EACH: Final = 256
"""Questions that are remembered of one kind: the oldest go first."""
MOST: Final = 8192
"""Of all kinds together; the kinds that were not asked for since longest go first. 6 KB each at 1536 dimensions."""
_EPSILON: Final = 1e-6
"""What single precision may have rounded away."""


class Vector(msgspec.Struct, frozen=True):
    """A direction: length 1."""

    head: "array[float]"
    rest: "array[float]"
    rest_length: float


def direction(numbers: Sequence[float]) -> Vector | None:
    """None for what has no direction: nothing, zeros, what is not finite."""
    try:
        length = math.sqrt(sum(map(mul, numbers, numbers)))
    except (TypeError, OverflowError):
        return None
    if not numbers or not math.isfinite(length) or length == 0:
        return None
    head = array("f", (number / length for number in numbers[:HEAD]))
    rest = array("f", (number / length for number in numbers[HEAD:]))
    return Vector(head, rest, math.sqrt(sum(map(mul, rest, rest))))


def cosine(one: Vector, other: Vector, threshold: float) -> float | None:
    """None where it is below `threshold`, or where the two are not of the same space."""
    if len(one.head) != len(other.head) or len(one.rest) != len(other.rest):
        return None
    first = sum(map(mul, one.head, other.head))
    if first + one.rest_length * other.rest_length < threshold - _EPSILON:
        return None
    whole = first + sum(map(mul, one.rest, other.rest))
    return whole if whole >= threshold else None


class _Question(msgspec.Struct, frozen=True):
    vector: Vector
    key: bytes
    ends: float


class Questions:
    """The questions of each kind that have an answer. A kind is all of a request but the question."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: seconds."""
        self._clock = clock
        self._kinds: OrderedDict[bytes, list[_Question]] = OrderedDict()
        self.size = 0

    def add(self, kind: bytes, vector: Vector, key: bytes, ttl_s: float) -> None:
        """Remember that the answer under `key` is for this question."""
        now = self._clock()
        before = self._kinds.pop(kind, [])
        self.size -= len(before)
        kept = [question for question in before if question.ends > now and question.key != key][-(MOST_EACH - 1) :]
        kept.append(_Question(vector, key, now + ttl_s))
        self._kinds[kind] = kept
        self.size += len(kept)
        while self.size > MOST:
            _, gone = self._kinds.popitem(last=False)
            self.size -= len(gone)

    def nearest(self, kind: bytes, vector: Vector, threshold: float) -> tuple[bytes, float] | None:
        """The key of the answer to the nearest question, and how near it is; None when none is near enough."""
        asked = self._kinds.get(kind)
        if not asked:
            return None
        self._kinds.move_to_end(kind)
        now, best, nearest = self._clock(), None, threshold
        for question in asked:
            if question.ends > now and (found := cosine(vector, question.vector, nearest)) is not None:
                best, nearest = question.key, found
        return None if best is None else (best, nearest)
