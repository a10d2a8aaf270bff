"""What one principal is granted of one model, ready to be asked for with every request.

One rule: made once for each key and name; what a request needs of it are indexes.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

import msgspec

from gatewright.ir.blocks import DialectName
from gatewright.limits.meters import Kind, Meter, apart, meters_of
from gatewright.limits.terms import Scope, Unit
from gatewright.stores.counters_batch import Batch, Coming

_PLACES: Final[dict[Unit, int]] = {
    "requests": 0,
    "concurrent": 1,
    "micros": 2,
    "tokens": 3,
    "input_tokens": 4,
    "output_tokens": 5,
}
_TOKENS: Final = frozenset(("tokens", "input_tokens", "output_tokens"))

Templates: TypeAlias = tuple[tuple[tuple[int, ...], tuple[bytes, ...]], ...]
"""For each unit: where its limits stand, and their header lines with `%d` for what is left; empty where they are made anew."""


class FlatPlan(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What plain requests for one target cost at most, where that depends on nothing but their tokens."""

    plan: Sequence[object]
    """Whose it is, as it is the same object for all of them."""
    may_be_dear: bool
    """Another tier, sound or pictures cost more: whoever may ask for that is reckoned by itself."""
    until: int
    """It holds so long, in microseconds since 1970."""
    request: int
    read: int
    written: int
    """For a request, for each token read and each written: so many times micro-dollars as `scale` says."""
    scale: int


class Granted:
    """The meters that a request for a model is counted by. Empty: none."""

    __slots__ = (
        "alarms",
        "amounts",
        "batch",
        "budgets",
        "coming",
        "flat",
        "has_money",
        "has_tokens",
        "in_advance",
        "least",
        "meters",
        "named",
        "shortest",
        "shown",
        "templates",
        "units",
    )

    def __init__(self, meters: tuple[Meter, ...]) -> None:
        self.meters = meters
        self.amounts = tuple(meter.amount for meter in meters)
        self.units = tuple(meter.unit for meter in meters)
        self.named = tuple((meter, _PLACES[meter.unit]) for meter in meters)
        self.least = min((meter.bound for meter in meters if meter.unit in _TOKENS), default=0)
        """Tokens that fit into all limits on tokens, whatever else has used them."""
        self.has_tokens = not _TOKENS.isdisjoint(self.units)
        self.has_money = "micros" in self.units
        self.budgets = tuple(i for i, meter in enumerate(meters) if meter.is_budget)
        """Where those stand that somebody may be told of, …"""
        self.alarms = tuple((i, meters[i].bound - meters[i].amount + (meters[i].soft_left or 0)) for i in self.budgets)
        """… and what is left of their bound when that is to be."""
        self.shown = tuple(
            tuple(i for i, meter in enumerate(meters) if meter.unit == unit and meter.kind is Kind.SLIDING)
            for unit in ("requests", "tokens", "input_tokens", "output_tokens")
            if unit in self.units
        )
        """For each unit that headers tell of: where its limits stand."""
        self.batch: Batch | None = None
        """Seats for those to come, where many come: see `stores/counters_batch.py`."""
        self.coming: Coming | None = None
        self.flat: FlatPlan | None = None
        """Of the last request that one could be made for: nearly all of a model have the same."""
        self.in_advance = all(meter.period != "total" for meter in meters)
        self.shortest = min((meter.width for meter in meters if meter.kind is Kind.SLIDING), default=0)
        self.templates: dict[DialectName, Templates] = {}
        """Their lines, made at the first answer in a dialect: see `held.py`."""

    def costs(self, reads: int, writes: int, micros: int) -> list[tuple[Meter, int]]:
        """What a request claims that reads and writes so many tokens, and costs so much."""
        tokens = reads + writes
        if tokens > self.least and self.has_tokens:
            return [(meter, _cost(meter, reads, writes, micros)) for meter in self.meters]
        amounts = (1, 1, micros, tokens, reads, writes)  # as in `_PLACES`
        return [(meter, amounts[place]) for meter, place in self.named]

    def used(self, reads: int, writes: int, micros: int, requests: int = 1) -> list[int]:
        """What it has used in the end, or so many have together. What ran runs no more."""
        amounts = (requests, 0, micros, reads + writes, reads, writes)
        return [amounts[place] for _, place in self.named]

    def more(self, writes: int, micros: int) -> list[int]:
        """What a longer answer claims beyond that: money, and tokens as far as there are any; limits settle with the truth."""
        return [micros if unit == "micros" else 0 for unit in self.units]


def _cost(meter: Meter, reads: int, writes: int, micros: int) -> int:
    unit = meter.unit
    if unit == "requests" or unit == "concurrent":  # noqa: PLR1714 - two comparisons cost less than a tuple
        return 1
    if unit == "micros":
        return micros
    if unit == "tokens":
        need = reads + writes
        # The longest answer that is possible must not shut out for ever what is short enough.
        return need if need <= meter.bound or reads > meter.bound else meter.bound
    if unit == "input_tokens":
        return reads
    return min(writes, meter.bound)


class Levels:
    """The meters of scopes, made once: a scope that many keys share has one of each."""

    def __init__(self) -> None:
        self._meters: dict[Scope, tuple[Meter, ...]] = {}

    def granted(self, scopes: Iterable[Scope], names: tuple[str, ...]) -> Granted:
        """`names`: by any of which a limit may mean the model: the one asked for, and the route's."""
        found: list[Meter] = []
        for scope in scopes:
            meters = self._meters.get(scope)
            if meters is None:
                meters = self._meters[scope] = meters_of(scope)
            found += (meter for meter in meters if _means(meter.term.models, names))
        return Granted(apart(found))


def _means(globs: tuple[str, ...], names: tuple[str, ...]) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs for name in names)
