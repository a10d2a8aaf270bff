"""A bill held against the ledger: by day and model, what differs by more than a tolerance, and the likely reason.

One rule: only what both know is compared. Days at the edge of time zones are looked at together before anybody is blamed.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final, Literal, TypeAlias

import msgspec

from gatewright.billing.bill import Bill, Entry

What: TypeAlias = Literal["requests", "read", "written", "cost"]
WHATS: Final[tuple[What, ...]] = ("requests", "read", "written", "cost")
TOKENS: Final[tuple[What, ...]] = ("read", "written")
SMALL: Final[dict[What, int]] = {"requests": 0, "read": 64, "written": 64, "cost": 10_000}
"""Differences that nobody is told of: a few tokens, a cent (in micro-dollars), for providers round each line of a bill."""


class Ours(msgspec.Struct, kw_only=True):
    """What the ledger has of one day and model."""

    requests: int = 0
    """Calls that a provider may have answered: attempts."""
    read: int = 0
    written: int = 0
    cost: int = 0
    """Micro-dollars, of those whose price is known."""
    unknown: int = 0
    """Calls without a price."""
    estimated: int = 0
    """Calls whose tokens are estimates."""

    def add(self, other: "Ours") -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


Ledger: TypeAlias = Mapping[tuple[date, str], Ours]


class Difference(msgspec.Struct, frozen=True):
    day: date
    model: str
    """As it is compared; empty: of all models together."""
    what: What
    theirs: int
    ours: int
    why: str
    """The likely reason, and what to do."""

    @property
    def share(self) -> float | None:
        """Of the bill's figure. None: that is 0."""
        return (self.ours - self.theirs) / self.theirs if self.theirs else None


class Compared(msgspec.Struct, frozen=True):
    differences: tuple[Difference, ...]
    """By day, the largest first."""
    pairs: int
    """Days and models that were compared."""
    theirs: dict[What, int]
    ours: dict[What, int]
    """Sums of what both know."""


def compare(bill: Bill, ledger: Ledger, *, tolerance: float) -> Compared:
    """`ledger`: of the bill's days and a day on either side. `tolerance`: a share of the bill's figure, such as 0.01."""
    by_model = any(model for _, model in bill.entries)
    ours = dict(ledger) if by_model else _without_models(ledger)
    first, last = bill.days
    keys = sorted({*bill.entries, *(key for key in ours if first <= key[0] <= last)})
    told = [what for what in WHATS if any(_theirs(entry, what) is not None for entry in bill.entries.values())]
    differences: list[Difference] = []
    sums: tuple[dict[What, int], dict[What, int]] = (dict.fromkeys(told, 0), dict.fromkeys(told, 0))
    for day, model in keys:
        entry, mine = bill.entries.get((day, model)), ours.get((day, model), Ours())
        for what in told:
            theirs = (_theirs(entry, what) if entry is not None else 0) or 0
            has = getattr(mine, what)
            sums[0][what] += theirs
            sums[1][what] += has
            if not _near(theirs, has, what, tolerance):
                why = _why(bill, ours, (day, model), what, tolerance)
                differences.append(Difference(day, model, what, theirs, has, why))
    differences.sort(key=lambda one: (one.day, -abs(one.theirs - one.ours), one.model))
    return Compared(tuple(differences), len(keys), *sums)


def _near(theirs: int, ours: int, what: What, tolerance: float) -> bool:
    return abs(theirs - ours) <= max(SMALL[what], int(tolerance * theirs))


def _why(bill: Bill, ours: Ledger, key: tuple[date, str], what: What, tolerance: float) -> str:
    entry, mine = bill.entries.get(key), ours.get(key)
    if mine is None:
        return "the ledger has none: not through this gateway, or under another name of the model"
    if entry is None:
        return "the bill has none: another account or key of the provider, another name of the model, or billed later"
    theirs, has = _theirs(entry, what) or 0, getattr(mine, what)
    if _moved(bill, ours, key, what, tolerance):
        return "with the days beside it, it agrees: the days are of another time zone, or requests ran across midnight"
    if what == "cost":
        if mine.unknown:
            return f"{mine.unknown} calls have no price here: set one under `pricing.models`"
        tokens = [name for name in TOKENS if _theirs(entry, name) is not None]
        if tokens and all(_near(_theirs(entry, name) or 0, getattr(mine, name), name, tolerance) for name in tokens):
            return "the tokens agree: another price (its date, a discount, a service tier)"
    if what != "requests" and mine.estimated:
        return f"the tokens of {mine.estimated} calls are estimates: they were cut off, or nothing was told of them"
    if theirs > has:
        return "more is billed: requests that did not go through this gateway"
    if what == "cost":
        return "less is billed: another price (its date, a discount, a batch), or credits"
    return "less is billed: failed calls that are not billed, or another account or key of the provider"


def _moved(bill: Bill, ours: Ledger, key: tuple[date, str], what: What, tolerance: float) -> bool:
    """Whether a day that differs makes up for one beside it, so that the two agree together."""
    day, model = key
    entry, mine = bill.entries.get(key), ours.get(key)
    over = (getattr(mine, what) if mine else 0) - ((_theirs(entry, what) if entry else 0) or 0)
    for beside in (day - timedelta(1), day + timedelta(1)):
        if not bill.days[0] <= beside <= bill.days[1]:
            continue
        theirs = bill.entries.get((beside, model))
        there = ours.get((beside, model))
        told = (_theirs(theirs, what) if theirs else 0) or 0
        other = (getattr(there, what) if there else 0) - told
        both = told + ((_theirs(entry, what) if entry else 0) or 0)
        if other * over < 0 and abs(over + other) <= max(SMALL[what], int(tolerance * both)):
            return True
    return False


def _theirs(entry: Entry, what: What) -> int | None:
    return entry.micros if what == "cost" else getattr(entry, what)


def _without_models(ledger: Ledger) -> dict[tuple[date, str], Ours]:
    found: dict[tuple[date, str], Ours] = {}
    for (day, _), mine in ledger.items():
        found.setdefault((day, ""), Ours()).add(mine)
    return found


def told_of(differences: Sequence[Difference]) -> list[str]:
    """The reasons, each once, the most frequent first."""
    counted: dict[str, int] = {}
    for one in differences:
        counted[one.why] = counted.get(one.why, 0) + 1
    return sorted(counted, key=lambda why: -counted[why])
