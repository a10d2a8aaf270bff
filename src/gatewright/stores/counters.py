"""Counters that everyone shares: what has been counted against every limit and budget, and whether more may be.

    reserve ─▶ Reserved ─▶ extend … ─▶ settle        all claims of one request together, or none
       └─────▶ Denied

One rule: what is reserved is counted at once, for everybody; so however many requests race, what has been let through is never
more than the amount. It is settled exactly once, with the truth.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from gatewright.limits.meters import Claim, Meter
from gatewright.limits.windows import SOON_US


class Vacated(Protocol):
    """Where several requests sit that were reserved together: `counters_batch.Batch`."""

    lines: dict[str, bytes]

    @property
    def claims(self) -> Sequence[Claim]:
        """Of one of them, as of a `Reserved`; and so …"""
        ...

    @property
    def marks(self) -> Sequence[int]: ...
    @property
    def left(self) -> Sequence[int]: ...

    def vacate(self, reads: int, writes: int, micros: int) -> None: ...
    def withdraw(self) -> None: ...


class Reserved(msgspec.Struct, eq=False, gc=False):
    """What one request holds, until it is settled."""

    claims: Sequence[Claim]
    marks: Sequence[int]
    """Under which each is counted."""
    left: Sequence[int]
    """What remained of each, directly afterwards."""
    batch: Vacated | None = None
    """Set where it is told what it used, and settles with others."""
    more: tuple["Reserved", ...] = ()
    """What was added later, oldest first: of the same meters in the same order."""
    open: bool = True
    """Not settled yet."""

    def reserved(self) -> list[int]:
        """Units of each claim, additions included."""
        costs = [cost for _, cost in self.claims]
        for part in self.more:
            costs = [cost + more for cost, (_, more) in zip(costs, part.claims, strict=True)]
        return costs


class Denied(msgspec.Struct, frozen=True):
    """Nothing was counted."""

    meter: Meter | None
    """The limit that wants the longest wait. None: the counters cannot say, and what they guard is closed then."""
    wait_us: int
    """Until the same would pass, were nobody else to come. `windows.NEVER`: it never would."""
    left: int = 0
    """What remains of that limit."""


class Seen(msgspec.Struct, frozen=True):
    """How one meter stands."""

    used: int
    """Reservations of what runs included."""
    wait_us: int
    """Until one more unit would pass; 0: now."""


class Counters(Protocol):
    """`now`: microseconds since 1970, of the machine's clock."""

    def reserve(self, claims: Sequence[Claim], now: int) -> Reserved | Denied | None:
        """All or nothing. None: it must be asked for with `ask`. Never raises."""
        ...

    async def ask(self, claims: Sequence[Claim], now: int) -> Reserved | Denied:
        """As `reserve`, where that gave None. Never raises but CancelledError, and holds nothing then."""
        ...

    def settle(self, reserved: Reserved, used: Sequence[int], now: int) -> None:
        """Give back what was not used, count what was used beyond it. Once; again it does nothing. Never raises, nor waits."""
        ...

    def extend(self, reserved: Reserved, more: Sequence[int], now: int) -> bool | None:
        """Reserve more of each, all or nothing. None: it must be asked for with `ask_more`."""
        ...

    async def ask_more(self, reserved: Reserved, more: Sequence[int], now: int) -> bool:
        """As `extend`."""
        ...

    async def look(self, meters: Sequence[Meter], now: int) -> list[Seen] | None:
        """How each stands. None: nobody can say now."""
        ...

    async def correct(self, meter: Meter, used: int, now: int) -> None:
        """Set what a budget's current period has spent: what the ledger says, which is right."""
        ...

    async def close(self) -> None:
        """Give back what nobody uses. Idempotent."""
        ...


def uncounted(claims: Sequence[Claim], open_when_down: frozenset[str]) -> Reserved | Denied:
    """What becomes of a request while the counters cannot say. `open_when_down`: of `money` and `rates`, what passes then."""
    kinds = {"money" if meter.unit == "micros" else "rates" for meter, _ in claims}
    if not kinds <= open_when_down:
        return Denied(None, SOON_US)
    passes = Reserved(claims, [0] * len(claims), [meter.bound for meter, _ in claims])
    passes.open = False
    return passes


def parts_given_back(reserved: Reserved, used: Sequence[int]) -> list[tuple[Meter, int, int]]:
    """What is to be adjusted: meter, mark, and by how much. What came last is given back first."""
    changes: list[tuple[Meter, int, int]] = []
    for i, (meter, _) in enumerate(reserved.claims):
        parts = [reserved, *reserved.more]
        over = used[i] - sum(part.claims[i][1] for part in parts)
        if over > 0:
            changes.append((meter, reserved.marks[i], over))
        for part in reversed(parts):
            if over >= 0:
                break
            back = max(over, -part.claims[i][1])
            if back:
                changes.append((meter, part.marks[i], back))
                over -= back
    return changes
