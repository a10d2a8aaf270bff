"""Which target of a tier first: six strategies over plain views, each an order in which to try them all.

One rule: an order holds every target exactly once.
Whether a target may be asked at all (breaker, capability, cooldown) is decided before; what is decided here is only preference.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

Strategy = Literal["weighted", "round_robin", "least_busy", "lowest_latency", "cheapest", "priority"]
Chance = Callable[[], float]
"""A number in [0, 1), another each time."""


class View(msgspec.Struct, frozen=True):
    """What is known of a target at the moment of choice."""

    weight: float = 1.0
    """Its share beside the others'. 0: only where no other is left."""
    in_flight: int = 0
    """Calls that have not ended."""
    ttft_s: float | None = None
    """Seconds to the first token, as `expected_s` tells it. None: never measured."""
    cost: float | None = None
    """Micro-dollars for a request of this size. None: no price is known."""
    priority: int = 0
    """The lowest number first."""


def weighted(views: Sequence[View], chance: Chance) -> list[int]:
    """Drawn without replacement in proportion to the weights.

    Sorting by u^(1/w) does that (Efraimidis and Spirakis, 2006); here by its logarithm, which no small weight rounds to nothing.
    """
    drawn = [math.log(1.0 - chance()) / view.weight if view.weight > 0 else -math.inf for view in views]
    return sorted(range(len(views)), key=drawn.__getitem__, reverse=True)


def round_robin(views: Sequence[View], turn: int) -> list[int]:
    """Each in its turn, `turn` being one more at each request. Weights do not count, except that 0 stands behind the others."""
    able = [i for i, view in enumerate(views) if view.weight > 0]
    rest = [i for i, view in enumerate(views) if view.weight <= 0]
    start = turn % len(able) if able else 0
    return [*able[start:], *able[:start], *rest]


def least_busy(views: Sequence[View], chance: Chance) -> list[int]:
    """The fewest calls in flight for its weight first, this one counted; of equals by the weights' draw."""
    return _sorted_by(views, chance, _busy)


def lowest_latency(views: Sequence[View], chance: Chance) -> list[int]:
    """The shortest time to the first token first, grown by the calls in flight.

    Without these a target would be swamped by all that choose it before its time is seen to grow.
    One never measured comes first, until a call is in flight there: what is not asked stays unknown.
    """
    known = [view.ttft_s for view in views if view.ttft_s is not None]
    guess = sum(known) / len(known) if known else 1.0

    def score(view: View) -> float:
        if view.ttft_s is None:
            return guess * _busy(view) if view.in_flight else 0.0
        return view.ttft_s * _busy(view)

    return _sorted_by(views, chance, score)


def cheapest(views: Sequence[View], chance: Chance) -> list[int]:
    """The lowest price of this request first; a price unknown is not a price of nothing, and comes last."""
    return _sorted_by(views, chance, lambda view: math.inf if view.cost is None else view.cost)


def priority(views: Sequence[View], chance: Chance) -> list[int]:
    """The lowest number first; of equals by the weights' draw."""
    return _sorted_by(views, chance, lambda view: view.priority)


def _busy(view: View) -> float:
    """Calls in flight with this one, for its weight."""
    return (view.in_flight + 1) / view.weight if view.weight > 0 else math.inf


def _sorted_by(views: Sequence[View], chance: Chance, score: Callable[[View], float]) -> list[int]:
    """By score, and of equals by the draw, which comes first: sorting is stable. A weight of 0 stands behind all others."""
    scores = [score(view) if view.weight > 0 else math.inf for view in views]
    return sorted(weighted(views, chance), key=scores.__getitem__)


DRAWN: Final[dict[Strategy, Callable[[Sequence[View], Chance], list[int]]]] = {
    "weighted": weighted,
    "least_busy": least_busy,
    "lowest_latency": lowest_latency,
    "cheapest": cheapest,
    "priority": priority,
}
"""Those that chance has a say in: all but `round_robin`."""


def order(strategy: Strategy, views: Sequence[View], turn: int, chance: Chance) -> list[int]:
    """Indices of `views` in the order to try.

    `turn` counts the requests of this tier; `chance` is asked once for each target at most, and not at all for a single one.
    """
    if len(views) == 1:
        return [0]
    return round_robin(views, turn) if strategy == "round_robin" else DRAWN[strategy](views, chance)


class Latency(msgspec.Struct, frozen=True):
    """A running measure of a target's time to its first token."""

    mean_s: float
    at: float
    """When it was last measured."""


LEAST_SHARE: Final = 0.1
"""Of a new measurement in the mean, however dense they come: ten slow answers in a row are news."""


def measured(before: Latency | None, sample_s: float, now: float, half_life_s: float = 10.0) -> Latency:
    """The measure after one more sample; what is `half_life_s` old counts half.

    A failure is no sample (a refusal comes quickly), save a timeout, which is told with the seconds waited.
    `now` in seconds of the clock that `before` was told by.
    """
    if before is None:
        return Latency(sample_s, now)
    share = max(LEAST_SHARE, 1.0 - 0.5 ** (max(0.0, now - before.at) / half_life_s))
    return Latency(before.mean_s + share * (sample_s - before.mean_s), max(now, before.at))


def expected_s(latency: Latency | None, now: float, forgets_s: float = 30.0) -> float | None:
    """Seconds to expect until the first token. None: never measured.

    Halves for every `forgets_s` without a measurement, so that a target once slow is asked again some day.
    """
    if latency is None:
        return None
    return float(latency.mean_s * 0.5 ** (max(0.0, now - latency.at) / forgets_s))
