"""GCRA: a rate limit whose whole state is one number, with no window and so no edge at which two bursts may meet.

The state is the *theoretical arrival time* (TAT): when everything let through so far is paid off at the steady rate.
One rule: what is refused changes nothing.
https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm (the virtual scheduling form)
"""

import math
from collections.abc import Sequence
from typing import Final

import msgspec

NEVER: Final = math.inf
"""Seconds to wait for what no waiting will let through: it costs more than the limit's whole burst."""
FRESH: Final = -math.inf
"""The state of a limit that nothing has passed yet."""
SLACK_S: Final = 1e-6
"""Seconds of grace for rounding: a float of seconds since 1970 cannot tell 0.24 µs apart. It does not add up."""


class Limit(msgspec.Struct, frozen=True):
    """So many units in a period: requests, tokens, micro-dollars."""

    units: float
    """Let through in `period_s` at the steady rate; above 0."""
    period_s: float
    burst: float = 0.0
    """Units that may pass at once after a rest. 0: all the `units` of a period."""

    @property
    def unit_s(self) -> float:
        """Seconds in which one unit is paid off."""
        return self.period_s / self.units

    @property
    def tolerance_s(self) -> float:
        """Seconds by which the TAT may lie ahead of the present."""
        return (self.burst or self.units) * self.unit_s


class Verdict(msgspec.Struct, frozen=True):
    allowed: bool
    tats: tuple[float, ...]
    """The new states, in the order of the limits; unchanged where `allowed` is false."""
    retry_after_s: float = 0.0
    """When refused: seconds until the same cost would pass, were nobody else to come. `NEVER`: it never would."""
    limited_by: int = -1
    """When refused: which limit wants the longest wait."""


def check(tat: float, limit: Limit, cost: float, now: float) -> Verdict:
    """Whether `cost` units may pass at `now` (seconds of any clock that is always the same one)."""
    return check_all((tat,), (limit,), (cost,), now)


def check_all(tats: Sequence[float], limits: Sequence[Limit], costs: Sequence[float], now: float) -> Verdict:
    """Whether all of several limits let their cost pass: together or not at all, so a refused request uses up none of them.

    A cost of 0 passes even a limit that is used up: there is nothing to count.
    A clock that goes back makes limits stricter, never looser.
    """
    after: list[float] = []
    longest, by = 0.0, -1
    for i, (tat, limit, cost) in enumerate(zip(tats, limits, costs, strict=True)):
        if cost <= 0:
            after.append(tat)
            continue
        paid = max(tat, now) + cost * limit.unit_s
        wait = wait_s(tat, limit, cost, now)
        if wait > longest:
            longest, by = wait, i
        after.append(paid)
    return Verdict(allowed=True, tats=tuple(after)) if by < 0 else Verdict(False, tuple(tats), longest, by)


def wait_s(tat: float, limit: Limit, cost: float, now: float) -> float:
    """Seconds until `cost` units would pass; 0: now; `NEVER`: it is more than the burst."""
    adds, tolerance = cost * limit.unit_s, limit.tolerance_s
    if adds > tolerance + SLACK_S:
        return NEVER
    wait = max(tat, now) + adds - tolerance - now
    return wait if wait > SLACK_S else 0.0


def remaining(tat: float, limit: Limit, now: float) -> float:
    """Units that would pass at once at `now`; 0 at the least."""
    return max(0.0, (limit.tolerance_s - max(0.0, tat - now)) / limit.unit_s)


def reset_s(tat: float, now: float) -> float:
    """Seconds until the limit is as if nothing had passed."""
    return max(0.0, tat - now)


def settle(tat: float, limit: Limit, reserved: float, used: float, now: float) -> float:
    """The state once `used` units are known of the `reserved` ones.

    Less used: the rest is given back. More used: the state goes beyond the burst and refuses until that too is paid off,
    from `now` on where all else is paid already. Never refuses: a request that ran must be paid for.
    """
    more = used - reserved
    return (max(tat, now) if more > 0 else tat) + more * limit.unit_s
