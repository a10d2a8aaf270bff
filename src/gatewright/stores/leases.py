"""What a process has taken of shared limits in advance, so that most of its requests need not ask for their own.

A lease is a reservation: it is counted where all see it, and nobody else can use it. One rule: a unit that is served from a
lease counts from when the lease was taken, so the lease of a window ends with the sub-bucket that it was taken in.

What a worker had leased when it was killed stays counted until the window or the period is over: which of it was used nobody
else can know, and what was used must not be given back. It is at most a `SHARE`th of what was left, or `MOST` requests.
"""

from typing import Final

from gatewright.limits.meters import US, Kind, Meter

SHARE: Final = 128
"""A lease is at most this part of what is left, so that what all others cannot use is little, and none of it near the end."""

MOST: Final = 16
"""Requests that are leased for, at the most."""
OFTEN_US: Final = 100_000
"""Who asks again sooner than this leases for twice as many, …"""
SELDOM_US: Final = 2_000_000
"""… and who asks later than this for none."""
IDLE_US: Final = 1_000_000
"""A lease that nobody has used for so long is given back."""
SHORTEST_US: Final = 200_000
"""A window whose sub-buckets are shorter than this is not leased: the lease would be over before it is used."""


class Lease:
    """Of one meter."""

    __slots__ = ("asked", "for_requests", "left", "mark", "meter", "pending", "room", "until", "used")

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.left = 0
        """Units that nobody uses yet."""
        self.mark = 0
        """Under which they are counted."""
        self.until = 0
        """When it ends, in microseconds of this machine's clock."""
        self.room = 0
        """What was left besides, when that was last heard."""
        self.pending = 0
        """Requests that ask now."""
        self.for_requests = 0
        self.asked = 0
        self.used = 0
        """When it was last asked for, and last of use."""

    def good(self, now: int) -> int:
        """Units that may be used now."""
        return self.left if now < self.until else 0

    def wish(self, cost: int, now: int) -> int:
        """How many units more than `cost` to ask for: more the more often that is done."""
        since, self.asked = now - self.asked, now
        if since < OFTEN_US:
            self.for_requests = min(MOST, max(1, self.for_requests * 2))
        elif since > SELDOM_US:
            self.for_requests = 0
        if self.meter.kind is Kind.SLIDING and self.meter.width < SHORTEST_US:
            return 0
        if self.meter.period == "total":  # what a killed worker had leased of it would stay counted for ever
            return 0
        if self.pending:  # many ask at once: one of them leases
            return 0
        return max(0, self.for_requests * cost - self.left)

    def take(self, mark: int, extra: int, room: int, until: int) -> tuple[int, int]:
        """What was asked for has come. Gives what is to be given back: the mark and units of a lease that it replaces."""
        back = (0, 0)
        if self.left and mark != self.mark:
            back = (self.mark, self.left)
            self.left = 0
        self.mark, self.until, self.room = mark, until, room
        self.left += extra
        return back

    def keeps(self, mark: int, units: int, now: int) -> bool:
        """Whether units that were not used are kept for the next request: where many come, and the limit is far."""
        far = self.room >= SHARE * units
        return far and self.mark == mark and now < self.until and self.for_requests > 0 and self.left < units * self.for_requests

    def is_over(self, now: int) -> bool:
        """Whether what is left is to be given back."""
        return bool(self.left) and (now >= self.until or now - self.used > IDLE_US or now < self.used - US)
