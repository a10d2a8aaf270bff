"""A model's price, made ready to be multiplied: whole numbers for each axis of tokens, so that no sum is rounded twice.

    what the price list says            here
    dollars for a million tokens        micro-dollars for one token: the same number
    a price for what has none           that of what it is part of: cached input is input, reasoning is output
    more beyond so many tokens read     the whole request costs the dearer price ("cliff"), as all vendors bill it

One rule: all rates of a price share one scale, the smallest by which all are whole; only a request's sum is rounded, half up.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import lcm
from typing import Final, TypeAlias

import msgspec

from gatewright.ir.response import Usage
from gatewright.jsontypes import JsonObject
from gatewright.providers.price_told import TOLD

Steps: TypeAlias = tuple[tuple[int, Fraction], ...]
"""(beyond so many tokens read, dollars for the list's unit), rising; the first is beyond -1: from the first token on."""

AXES: Final = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "output", "reasoning", "audio_out")
"""As `ir.response.Usage` has them."""
READ: Final = 5
"""So many of them are read."""
_KEYS: Final = (
    ("input_mtok",),
    ("cache_read_mtok", "input_mtok"),
    ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    ("input_audio_mtok", "input_mtok"),
    ("output_mtok",),
    ("output_reasoning_mtok", "output_mtok"),
    ("output_audio_mtok", "output_mtok"),
)
"""Where the price of each axis stands; the first that there is."""
_PARTS: Final[Mapping[str, tuple[int | None, int]]] = {
    "cache_audio_read_mtok": (1, 1_000_000),
    "cache_image_read_mtok": (1, 1_000_000),
    "cache_video_read_mtok": (1, 1_000_000),
    "input_image_mtok": (0, 1_000_000),
    "input_video_mtok": (0, 1_000_000),
    "output_image_mtok": (5, 1_000_000),
    "output_video_mtok": (5, 1_000_000),
    "output_citation_mtok": (None, 1_000_000),
    "web_searches_kcount": (None, 1000),
    "audio_hours": (None, 3600),
    "input_document_kpages": (None, 1000),
}
"""What else may have a price → within which axis it is counted (None: beside all), and for how many the price is."""
_UNTOLD: Final = frozenset((
    "input_audio_hours",  # the same seconds as `audio_hours`
    "output_audio_hours",
    "input_annotated_document_kpages",
    "input_mchars",
    "input_text_messages_kcount",
    "input_gpixels",
    "rerank_searches_kcount",
    "social_searches_kcount",
    "storage_searches_kcount",
    "code_executions_kcount",
))  # fmt: skip
"""What no usage tells. It is not in the cost; where a model has no other price, its cost is unknown."""
KNOWN_KEYS: Final = frozenset((*(key for keys in _KEYS for key in keys), *_PARTS, *_UNTOLD, "requests_kcount"))
MOST_MICROS: Final = (1 << 53) - 1
"""What a provider tells of its own counting may be anything; a column takes no more."""


class Part(msgspec.Struct, frozen=True):
    """A price for what the axes alone do not tell."""

    read: Callable[[JsonObject], int | Fraction]
    axis: int
    """Within which it is counted; -1: beside all."""
    rates: tuple[int, ...]
    """For each bracket; within an axis: what it costs beyond that axis's own rate."""
    searches: bool = False
    """Counted by `Usage.searches`, where the usage object is silent."""


class Rates(msgspec.Struct, frozen=True):
    """Of one model, at one time, in one tier of service."""

    scale: int
    """Rates are so many times micro-dollars."""
    brackets: tuple[tuple[int, ...], ...]
    """The rates of `AXES`: the first bracket from the first token read on, the others each beyond its bound."""
    tops: tuple[tuple[int, int, int, int], ...]
    """Of each bracket and those before it, the dearest: see `_tops`."""
    bounds: tuple[int, ...] = ()
    """Tokens read, rising."""
    request: int = 0
    """For each request, whatever it uses."""
    parts: tuple[Part, ...] = ()
    is_paid: bool = True
    """Whether anything has a price: what is free costs nothing, whatever was told."""
    untold: bool = False
    """It has a price, but none for tokens: only `parts` can tell what it costs."""

    def cost(self, usage: Usage) -> int | None:
        """Micro-dollars. None: the usage does not tell what this price is for."""
        a, b, c, d, e = usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.audio_in
        rates = self.brackets[0]
        at = 0
        if self.bounds:
            read = (a or 0) + (b or 0) + (c or 0) + (d or 0) + (e or 0)
            for bound in self.bounds:
                if read <= bound:
                    break
                at += 1
            rates = self.brackets[at]
        total: int | Fraction = self.request
        if a:
            total += a * rates[0]
        if b:
            total += b * rates[1]
        if c:
            total += c * rates[2]
        if d:
            total += d * rates[3]
        if e:
            total += e * rates[4]
        if (n := usage.output) is not None:
            total += n * rates[5]
        if n := usage.reasoning:
            total += n * rates[6]
        if n := usage.audio_out:
            total += n * rates[7]
        if self.parts:
            told = False
            for part in self.parts if usage.raw or usage.searches else ():  # else nothing tells of them
                count = part.read(usage.raw) or (usage.searches or 0 if part.searches else 0)
                if count:
                    told = True
                    if part.axis >= 0:
                        count = min(count, getattr(usage, AXES[part.axis]) or 0)
                    total += count * part.rates[at]
            if self.untold and not told:
                return None
        elif self.untold:
            return None
        if not total and self.is_paid and all(getattr(usage, axis) is None for axis in AXES):
            return None
        scale = self.scale
        micros = int((2 * total + scale) // (2 * scale))
        if 0 <= micros <= MOST_MICROS:
            return micros
        return 0 if micros < 0 else MOST_MICROS

    @property
    def flat_most(self) -> tuple[int, int, int, int] | None:
        """(for the request, for each token read, for each written, scale) at the most, without sound; None: it depends."""
        if self.untold or self.bounds:
            return None
        return self.request, self.tops[0][0], self.tops[0][1], self.scale

    def most(self, read: int, written: int, *, any_kind: bool) -> int | None:
        """Micro-dollars that so many tokens cost at most, rounded up. `any_kind`: sound or pictures, too. None: that is
        not what it is priced by.
        """
        if self.untold:
            return None
        at = len(self.bounds)
        while read and at and read <= self.bounds[at - 1]:  # nothing read: of one that goes on
            at -= 1
        dearest_in, dearest_out, sound_in, sound_out = self.tops[at]
        if any_kind:
            dearest_in, dearest_out = sound_in, sound_out
        return min(-(-(self.request + read * dearest_in + written * dearest_out) // self.scale), MOST_MICROS)


def _tops(brackets: Sequence[Sequence[int]], parts: Sequence[Part]) -> tuple[tuple[int, int, int, int], ...]:
    """The dearest rates up to each bracket: (read, written) without sound and pictures, and with."""
    tops: list[tuple[int, int, int, int]] = []
    for at, rates in enumerate(brackets):
        others = [(part.axis, rates[part.axis] + part.rates[at]) for part in parts if part.axis >= 0]
        here = (
            max(rates[: READ - 1]),
            max(rates[READ:-1]),
            max(*rates[:READ], *(rate for axis, rate in others if axis < READ)),
            max(*rates[READ:], *(rate for axis, rate in others if axis >= READ)),
        )
        before = tops[-1] if tops else here
        tops.append((max(here[0], before[0]), max(here[1], before[1]), max(here[2], before[2]), max(here[3], before[3])))
    return tuple(tops)


def rates_of(prices: Mapping[str, Steps]) -> Rates | None:
    """From the list's keys. Empty: it is free. None: there is a key that nobody here understands, so nothing is known."""
    if not prices.keys() <= KNOWN_KEYS:
        return None
    bounds = sorted({over for steps in prices.values() for over, _ in steps if over >= 0})
    starts = (-1, *bounds)
    brackets = [[_axis_rate(prices, keys, start) for keys in _KEYS] for start in starts]
    parts: list[tuple[str, int | None, list[Fraction]]] = []
    for key, (axis, per) in _PARTS.items():
        steps = prices.get(key)
        if steps is None and key == "audio_hours":
            steps = prices.get("input_audio_hours")
        if steps is None:
            continue
        rates = [_at(steps, start) * 1_000_000 / per for start in starts]
        parts.append(
            (key, axis, rates if axis is None else [rate - own[axis] for rate, own in zip(rates, brackets, strict=True)])
        )
    request = _at(prices["requests_kcount"], -1) * 1000 if "requests_kcount" in prices else Fraction(0)
    scale = lcm(
        request.denominator,
        *(rate.denominator for rates in brackets for rate in rates),
        *(rate.denominator for _, _, rates in parts for rate in rates),
    )
    whole = tuple(tuple(int(rate * scale) for rate in rates) for rates in brackets)
    made = tuple(
        Part(TOLD[key], -1 if axis is None else axis, tuple(int(rate * scale) for rate in rates), key.startswith("web_searches"))
        for key, axis, rates in parts
    )
    return Rates(
        scale=scale,
        brackets=whole,
        tops=_tops(whole, made),
        bounds=tuple(bounds),
        request=int(request * scale),
        parts=made,
        is_paid=bool(prices),
        untold=bool(prices) and not any(key.endswith("_mtok") for key in prices),
    )


def _axis_rate(prices: Mapping[str, Steps], keys: tuple[str, ...], start: int) -> Fraction:
    for key in keys:
        if key in prices:
            return _at(prices[key], start)
    return Fraction(0)


def _at(steps: Steps, start: int) -> Fraction:
    """The price of requests that read more than `start`, up to the next bound."""
    return next(price for over, price in reversed(steps) if over <= start)
