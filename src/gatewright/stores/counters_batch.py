"""Batches: where many requests come, those of one kind are reserved together, and settled together.

    a free seat: one subtraction            vacate ─▶ added up ─▶ the last one, or the clock ─▶ settled, all that have ended

One rule: a batch is a reservation of so many requests, each at the most that one of them may use, counted where all are counted
under the marks that they will have. It ends with the sub-bucket that it was made in, is a small part of what is left, and what
nobody sits in goes back at once. So nothing is let through that would not have been by itself, and others are hardly kept from
anything.
"""

import asyncio
import time
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import msgspec

from gatewright.limits.meters import Claim, Kind, Meter
from gatewright.limits.windows import NEVER
from gatewright.stores.counters import Denied, Reserved

SHARE_BITS: Final = 8
"""A batch takes at most this part of what is left (1/256)."""
LEAST: Final = 4
"""Fewer are not worth it."""
MOST: Final = 512
"""Seats of a batch."""
GROWTH: Final = 4
"""It has at most so many times the seats that were taken of one before it."""
TICK_S: Final = 0.1
"""What has ended is settled so often, and what nobody has sat in meanwhile goes back."""


class Kindred(Protocol):
    """What requests of one kind have in common: `pipeline.granted.Granted`."""

    batch: "Batch | None"
    """The one in use."""
    coming: "Coming | None"
    """Where batches have to be waited for: what is under way."""

    @property
    def in_advance(self) -> bool:
        """Whether more may be reserved than who asks needs. Not of what is never over: what a killed worker had would be gone."""
        ...

    @property
    def shortest(self) -> int:
        """Microseconds of the shortest sub-bucket of a window. 0: there is no window."""
        ...

    def costs(self, reads: int, writes: int, micros: int) -> list[Claim]: ...
    def used(self, reads: int, writes: int, micros: int, requests: int = 1) -> list[int]: ...


class Batch:
    """Seats for requests of one kind that use no more than so much."""

    __slots__ = (
        "back", "claims", "ended", "free", "kind", "left", "lines", "low", "made", "marks", "micros", "opened", "peak", "reads",
        "seen", "size", "until", "used_micros", "used_reads", "used_writes", "writes",
    )  # fmt: skip

    def __init__(self, kind: Kindred, size: int, most: tuple[int, int, int], now: int) -> None:
        """`most`: tokens read, tokens written, micro-dollars."""
        self.kind = kind
        self.made = self.size = size
        """Seats at first, and those that are still counted."""
        self.free = 0
        self.low = -1
        """When so many are free, the next is to be made."""
        self.back = 0
        """Seats that were given back unused."""
        last = kind.batch
        self.peak: int = 0 if last is None else max(last.sat, last.peak >> 1)
        """Seats that were taken of one before it; of long ago it counts less and less."""
        self.opened = now
        self.reads, self.writes, self.micros = most
        """The most of each that a seat is for."""
        self.claims: list[Claim] = []
        """Of one seat."""
        self.marks: Sequence[int] = ()
        self.left: Sequence[int] = ()
        """What remains besides of each; empty: nobody has said yet."""
        self.lines: dict[str, bytes] = {}
        """What clients are told of that, in each dialect: the same for all who sit here."""
        self.until = 0
        """When nobody may sit down any more, in microseconds."""
        self.seen = size
        """Seats that were free when it was last looked."""
        self.ended = 0
        """Of those who have left since it was last settled; and what they used."""
        self.used_reads = self.used_writes = self.used_micros = 0

    @property
    def sat(self) -> int:
        """Seats that were taken."""
        return self.made - self.free - self.back

    def fits(self, reads: int, writes: int, micros: int) -> bool:
        """Whether a seat is enough."""
        return reads <= self.reads and writes <= self.writes and micros <= self.micros

    def sit(self) -> Reserved:
        """Take a seat; there must be a free one."""
        self.free -= 1
        return Reserved(self.claims, self.marks, self.left, self)

    def vacate(self, reads: int, writes: int, micros: int) -> None:
        """One who sat here has ended, and has used so much."""
        self.ended += 1
        self.used_reads += reads
        self.used_writes += writes
        self.used_micros += micros

    def withdraw(self) -> None:
        """One who sat here has been settled alone."""
        self.size -= 1


class Waits(msgspec.Struct, eq=False):
    """Who needs a seat that is not there yet."""

    need: tuple[int, int, int]
    """Tokens read, tokens written, micro-dollars."""
    came: asyncio.Future[Reserved | Denied | None]
    """None: there is none for it."""


class Coming(msgspec.Struct, eq=False):
    """What is on its way for one kind."""

    waiting: list[Waits] = []
    need: tuple[int, int, int] = (0, 0, 0)
    """As of those who wait; of one who did not have to."""
    asked: bool = False
    """A batch will be asked for in this turn of the loop."""
    flying: int = 0
    """Batches that have been asked for."""
    spare: Batch | None = None
    """One that came before it was needed."""


def seats_for(kind: Kindred, ahead_us: int, now: int) -> int:
    """How many are likely to come in the next `ahead_us`, as those came who sat in the last batch. Below `LEAST`: too few."""
    last = kind.batch
    if last is None or not kind.in_advance or now < last.opened:
        return 1
    if shortest := kind.shortest:
        ahead_us = min(ahead_us, shortest - now % shortest)
    sat = last.sat
    return min(MOST, GROWTH * max(sat, last.peak), sat * ahead_us * 3 // (2 * (now - last.opened or 1)) + 1)


def within_share(claims: Iterable[Claim], left: Sequence[int], seats: int) -> int:
    """So many of them as one worker may have of what is left."""
    if not left:
        return 0
    shares = ((rest >> SHARE_BITS) // cost for (_, cost), rest in zip(claims, left, strict=True) if cost)
    return min(seats, min(shares, default=seats))


def sized(last: Batch, reads: int, writes: int, micros: int) -> tuple[int, int, int]:
    """What a seat is to be for: those that come may be of several sizes."""
    return max(reads, last.reads * 3 // 4), max(writes, last.writes * 3 // 4), max(micros, last.micros * 3 // 4)


class Batching:
    """Those of one worker that live. Used by one thread."""

    def __init__(self) -> None:
        self._live: list[Batch] = []
        """Those of which somebody may still sit, or that are not settled yet."""
        self._timer: asyncio.TimerHandle | None = None

    @abstractmethod
    def open(self, kind: Kindred, reads: int, writes: int, micros: int, now: int) -> Reserved | Denied | None:
        """Where there is no seat for it: what there is without asking others. None: it must be waited for."""

    def prepare(self, kind: Kindred, reads: int, writes: int, micros: int) -> None:
        """Only `batch.low` seats are left of the batch in use. Where `open` makes the next one at once, that is time enough."""

    @abstractmethod
    def _account(self, claims: list[Claim], marks: Sequence[int], used: Sequence[int], now: int) -> None:
        """Of what was reserved so, so much was used."""

    def flush(self, now: int) -> None:
        """Settle what has ended, and give back what nobody sits in."""
        for batch in self._live:
            self._settle(batch, now, release=True)
        self._live = [batch for batch in self._live if batch.size]

    def _give_way(self, claims: Iterable[Claim], now: int) -> bool:
        """Give back what is held here for others, and settle what has ended, of the meters of one who was refused; whether
        there was any. Batches of other meters stay: whoever is refused again and again must not cost others theirs.
        """
        wanted = {meter.key for meter, cost in claims if cost}
        any_held = False
        for batch in self._live:
            if (batch.free or batch.ended) and not wanted.isdisjoint(meter.key for meter, _ in batch.claims):
                self._settle(batch, now, release=True)
                any_held = True
        return any_held

    def _enlist(self, batch: Batch) -> None:
        self._live.append(batch)
        self._look_again()

    def _release(self, batch: Batch, now: int) -> None:
        if batch.claims:
            self._settle(batch, now, release=True)
            if not batch.size and batch in self._live:
                self._live.remove(batch)

    def _settle(self, batch: Batch, now: int, *, release: bool) -> None:
        """What has ended used so much; `release`: what is free goes back, too. Its size is then what still runs."""
        ended, free = batch.ended, batch.free if release else 0
        if not (ended or free):
            return
        used = batch.kind.used(batch.used_reads, batch.used_writes, batch.used_micros, ended)
        gone = ended + free
        batch.ended = batch.used_reads = batch.used_writes = batch.used_micros = 0
        batch.size -= gone
        batch.back += free
        batch.free -= free
        self._account([(meter, gone * cost) for meter, cost in batch.claims], batch.marks, used, now)

    def _look_again(self) -> None:
        if self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
            except RuntimeError:  # a test or a tool, which ends soon
                return

    def _tick(self) -> None:
        self._timer, now = None, time.time_ns() // 1000
        for batch in self._live:
            # Idle, over, or the clock was set back: seats are for those who come soon.
            idle = batch.free == batch.seen or not batch.opened <= now < batch.until
            self._settle(batch, now, release=idle)
            batch.seen = batch.free
        self._live = [batch for batch in self._live if batch.size]
        if self._live:
            self._look_again()

    def _hold_no_more(self) -> None:
        """The end: all goes back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush(time.time_ns() // 1000)


def until(meter: Meter, mark: int, now: int) -> int:
    """Until when units that are counted under `mark` are those of a request that comes now, in microseconds."""
    if meter.kind is Kind.SLIDING:
        return (mark + 1) * meter.width
    return meter.end(now) if meter.kind is Kind.CALENDAR else NEVER
