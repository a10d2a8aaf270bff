"""What a limit or budget comes to as numbers: which units, in which time, and where its state is found.

A meter is made once for each limit or budget of each scope, and reckons with integers: units, and microseconds since 1970.
One rule: its key says what is counted, not how much is granted, so that a limit that is raised keeps what has been counted.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable
from enum import IntEnum
from typing import Final, TypeAlias

from gatewright.limits.terms import Budget, Level, Limit, Period, Scope, Unit

US: Final = 1_000_000
"""Microseconds in a second."""
KEPT: Final = 60
"""Sub-buckets of a sliding window."""
UNBOUNDED: Final = 1 << 60
"""The bound of a budget that only tells."""

_DAY: Final = 86_400
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()


class Kind(IntEnum):
    SLIDING = 0
    """No time of that length, wherever it begins, holds more."""
    CALENDAR = 1
    """Counted from the beginning of a period to its end."""
    GAUGE = 2
    """How many there are at once."""


class Meter:
    """One limit or budget of one scope. Compared by identity; two of the same key share their state.

    No request may be counted by two of the same key: see `apart`.
    """

    __slots__ = (
        "_ends",
        "_starts",
        "amount",
        "bound",
        "hi",
        "id",
        "key",
        "kind",
        "level",
        "lo",
        "period",
        "soft_left",
        "term",
        "unit",
        "width",
    )

    def __init__(self, level: Level, ident: str, term: Limit | Budget, nth: int = 0) -> None:
        """`nth`: how many before it count the same."""
        self.level = level
        self.id = ident
        self.term = term
        self.unit: Unit
        self.period: Period | None = None
        if isinstance(term, Budget):
            self.unit, self.amount = "micros", term.micros
            self.bound = term.micros if term.hard else UNBOUNDED
            self.period = term.period
            per_s = term.rolling_s
            self.kind = Kind.SLIDING if term.period == "rolling" else Kind.CALENDAR
        else:
            self.unit, self.amount, self.bound, per_s = term.unit, term.amount, term.amount, term.per_s
            self.kind = Kind.GAUGE if term.unit == "concurrent" else Kind.SLIDING
        self.width = -(-per_s * US // KEPT)
        """Microseconds of a sub-bucket, rounded up: a window may be longer than was said, never shorter."""
        counted = ("budget", self.period, per_s) if isinstance(term, Budget) else ("limit", self.unit, per_s)
        told = (level, ident, counted, sorted(term.models), *((nth,) if nth else ()))
        self.key = hashlib.blake2b(repr(told).encode(), digest_size=16).digest()
        self.hi = int.from_bytes(self.key[:8]) >> 1 or 1
        self.lo = int.from_bytes(self.key[8:]) >> 1
        self.soft_left: int | None = None
        """Of a budget: what is left when somebody is to be told first."""
        if isinstance(term, Budget):
            self.soft_left = round(term.micros * (1 - min((*term.soft, 1.0))))
        self._starts, self._ends = 0, 0

    @property
    def is_budget(self) -> bool:
        return isinstance(self.term, Budget)

    def start(self, now: int) -> int:
        """When the calendar period of `now` began, in microseconds; of one that never ends 1."""
        if not self._starts <= now < self._ends:
            assert self.period is not None
            self._starts, self._ends = bounds(self.period, now)
        return self._starts

    def end(self, now: int) -> int:
        """When it ends."""
        self.start(now)
        return self._ends


Claim: TypeAlias = tuple[Meter, int]
"""A meter, and how many units are wanted of it."""


def bounds(period: Period, now: int) -> tuple[int, int]:
    """The beginning and the end of the period that `now` lies in, by UTC's calendar, all in microseconds."""
    days = now // US // _DAY
    if period == "day":
        first, last = days, days + 1
    elif period == "week":
        first = days - (days + 3) % 7  # 1970 began on a Thursday
        last = first + 7
    elif period == "month":
        then = dt.date.fromordinal(days + _EPOCH)
        first = then.replace(day=1).toordinal() - _EPOCH
        last = (then.replace(day=28) + dt.timedelta(days=4)).replace(day=1).toordinal() - _EPOCH
    else:
        return 1, UNBOUNDED
    return first * _DAY * US, last * _DAY * US


def meters_of(scope: Scope) -> tuple[Meter, ...]:
    """All meters of a level, budgets first: they tell the client more."""
    budgets = tuple(Meter(scope.kind, scope.id, budget) for budget in scope.budgets)
    return apart(budgets + tuple(Meter(scope.kind, scope.id, limit) for limit in scope.limits))


def apart(meters: Iterable[Meter]) -> tuple[Meter, ...]:
    """The same, each with a state of its own: what counts the same as one before it, such as a budget that tells and one that
    stops, would else be counted twice where it is counted.
    """
    seen: set[bytes] = set()
    found: list[Meter] = []
    for meter in meters:
        own, nth = meter, 0
        while own.key in seen:
            nth += 1
            own = Meter(meter.level, meter.id, meter.term, nth)
        seen.add(own.key)
        found.append(own)
    return tuple(found)
