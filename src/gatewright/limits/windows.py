"""What has been counted, and whether more may be: sliding windows in sub-buckets, periods of the calendar, and gauges.

The state of each is a few integers in a row: the newest sub-bucket (or when the period began), the total, and the sub-buckets
in a ring. Nothing is changed here: what is to change is said as pairs of index and value, for who can do so all at once.

One rule: never looser than was said. A unit counts from its sub-bucket's beginning to the end of one more sub-bucket than the
window has, so no time of the window's length holds more than its amount, and there is no edge at which two bursts could meet.
What is refused changes nothing. A clock that goes back makes everything stricter until it has caught up.
"""

from collections.abc import MutableSequence
from typing import Final, TypeAlias

from gatewright.limits.meters import KEPT, UNBOUNDED, Kind, Meter, bounds
from gatewright.limits.terms import Period

RING: Final = KEPT + 1
"""The sub-bucket that runs, and those that are not wholly out of the window."""
NEWEST, TOTAL, CELLS = 0, 1, 2
WORDS: Final = CELLS + RING
"""Integers of one state. All 0: nothing has been counted."""
REFUSED: Final = -1
NEVER: Final = UNBOUNDED
"""Microseconds to wait for what no waiting lets through."""
SOON_US: Final = 1_000_000
"""When to come back where nobody can say: something that runs must end."""
FAR_US: Final = 3600 * 1_000_000
"""A clock that is set back by less than this across a period's beginning leaves the new period as it is."""
_PERIODS: Final[tuple[Period, ...]] = ("rolling", "day", "week", "month", "total")
GAUGE: Final = 0
"""The shape of a gauge: see `shape_of`."""

Words: TypeAlias = MutableSequence[int] | memoryview
Writes: TypeAlias = list[int]
"""Index, value, index, value, …: to be written in this order."""


def book(  # noqa: PLR0917 - keywords cost, and this is called for every limit of every request
    words: Words, at: int, meter: Meter, cost: int, now: int, writes: Writes, left: list[int]
) -> int:
    """Count `cost` more (0 or more), if that is within the bound. `left` gets what remains then.

    Gives the mark under which it is counted, for `adjust`; or REFUSED. `writes` may have got something even so.
    A cost of 0 passes what is used up: there is nothing to count.
    """
    kind = meter.kind
    if kind is Kind.SLIDING:
        bucket = now // meter.width
        total = words[at + TOTAL]
        if bucket == words[at]:
            cell = at + CELLS + bucket % RING
            here = words[cell]
        else:
            bucket, total, here = _advance(words, at, bucket, writes)
            cell = at + CELLS + bucket % RING
        after = total + cost
        if after > meter.bound and cost:
            return REFUSED
        writes += (cell, here + cost, at + TOTAL, after)
        left.append(meter.bound - after)
        return bucket
    if kind is Kind.CALENDAR:
        mark, total = _since(words, at, meter, now, writes)
    else:
        mark, total = 0, words[at + TOTAL]
    after = total + cost
    if after > meter.bound and cost:
        return REFUSED
    writes += (at + TOTAL, after)
    left.append(meter.bound - after)
    return mark


def adjust(  # noqa: PLR0917 - as `book`
    words: Words, at: int, meter: Meter, mark: int, by: int, now: int, writes: Writes
) -> None:
    """What was counted under `mark` was `by` more (or less) than was said then. Never refuses: what ran must be paid for.

    Less is given back where it was counted, if that still counts. More counts from now on in a window; in a period of the
    calendar it belongs to the one in which it began, and one that is over is closed.
    """
    total = words[at + TOTAL]
    if meter.kind is not Kind.SLIDING:
        if meter.kind is Kind.GAUGE or words[at] == mark:
            writes += (at + TOTAL, max(0, total + by))
        return
    if by > 0:
        bucket, total, here = _advance(words, at, now // meter.width, writes)
        writes += (at + CELLS + bucket % RING, here + by, at + TOTAL, total + by)
    elif words[at] - RING < mark <= words[at]:
        cell = at + CELLS + mark % RING
        less = max(by, -words[cell])
        writes += (cell, words[cell] + less, at + TOTAL, total + less)


def used(words: Words, at: int, meter: Meter, now: int) -> int:
    """What counts now."""
    if meter.kind is Kind.SLIDING:
        return _advance(words, at, now // meter.width, [])[1]
    if meter.kind is Kind.CALENDAR:
        return _since(words, at, meter, now, [])[1]
    return words[at + TOTAL]


def wait_us(words: Words, at: int, meter: Meter, cost: int, now: int) -> int:
    """Microseconds until `cost` would pass, were nobody else to come; `NEVER`: it is more than the whole."""
    if cost > meter.bound:
        return NEVER
    if meter.kind is Kind.GAUGE:
        return SOON_US
    if meter.kind is Kind.CALENDAR:
        return NEVER if meter.period == "total" else meter.end(now) - now
    bucket = max(now // meter.width, words[at])
    over = used(words, at, meter, now) + cost - meter.bound
    for oldest in range(bucket - KEPT, bucket + 1):
        if over <= 0:
            break
        if words[at] - RING < oldest <= words[at]:
            over -= words[at + CELLS + oldest % RING]
            if over <= 0:
                return (oldest + RING) * meter.width - now
    return 0 if over <= 0 else (bucket + RING) * meter.width - now


def resets_us(meter: Meter, mark: int, now: int) -> int:
    """Microseconds until nothing counts any more of what was counted up to `mark`; 0 where time changes nothing."""
    if meter.kind is Kind.SLIDING:
        return (mark + RING) * meter.width - now
    return meter.end(now) - now if meter.kind is Kind.CALENDAR and meter.period != "total" else 0


def is_idle(words: Words, at: int, shape: int, now: int) -> bool:
    """Whether the state says no more than one that is empty. `shape`: what `shape_of` says of its meter."""
    if shape > 0:
        return not words[at + TOTAL] or now // shape - words[at + NEWEST] >= RING
    if shape == GAUGE:
        return not words[at + TOTAL]
    return bounds(_PERIODS[-shape], words[at + NEWEST])[1] <= now


def shape_of(meter: Meter) -> int:
    """What must be known of a state to say whether it still counts: its sub-buckets' width, or what it is, below 1."""
    if meter.kind is Kind.SLIDING:
        return meter.width
    return GAUGE if meter.period is None else -_PERIODS.index(meter.period)


def rewound(words: Words, at: int, meter: Meter, now: int) -> Writes:
    """What to write where the clock was set far back, even if nothing passes: else nothing would until it has caught up."""
    writes: Writes = []
    if meter.kind is Kind.SLIDING and words[at] - now // meter.width > KEPT:
        _advance(words, at, now // meter.width, writes)
    elif meter.kind is Kind.CALENDAR and words[at] > meter.end(now) - 1 and words[at] - now > FAR_US:
        writes += (at + NEWEST, meter.start(now))
    return writes


def replaced(words: Words, at: int, meter: Meter, units: int, now: int) -> Writes:
    """What to write so that just `units` count, as of now."""
    newest = meter.start(now) if meter.kind is Kind.CALENDAR else now // meter.width if meter.kind is Kind.SLIDING else 0
    writes: Writes = []
    for cell in range(at + CELLS, at + WORDS):
        if words[cell]:
            writes += (cell, 0)
    if meter.kind is Kind.SLIDING:
        writes += (at + CELLS + newest % RING, units)
    writes += (at + NEWEST, newest, at + TOTAL, units)
    return writes


def _advance(words: Words, at: int, bucket: int, writes: Writes) -> tuple[int, int, int]:
    """Time has come to `bucket`. Gives the sub-bucket to count in, the total, and what that sub-bucket holds."""
    newest, total = words[at], words[at + TOTAL]
    gone = bucket - newest
    if -KEPT <= gone <= 0:
        return newest, total, words[at + CELLS + newest % RING]
    before = total
    if total:
        for old in range(max(newest + 1, bucket - KEPT) if gone > 0 else newest - KEPT, (bucket if gone > 0 else newest) + 1):
            cell = at + CELLS + old % RING
            if words[cell]:
                total -= words[cell]
                writes += (cell, 0)
    writes += (at + NEWEST, bucket)
    if gone > 0:
        writes += (at + TOTAL, total)
        return bucket, total, 0
    # The clock was set back by more than a window: all that counted counts as of now.
    writes += (at + CELLS + bucket % RING, before, at + TOTAL, before)
    return bucket, before, before


def _since(words: Words, at: int, meter: Meter, now: int, writes: Writes) -> tuple[int, int]:
    """When the period that counts began, and its total."""
    start = meter.start(now)
    if words[at] >= start:  # later than that: the clock was set back
        return words[at], words[at + TOTAL]
    writes += (at + NEWEST, start, at + TOTAL, 0)
    return start, 0
