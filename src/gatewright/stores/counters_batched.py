"""Counters of one machine where many requests come: those of one kind are reserved together, and settled together.

    seat ─▶ the batch has a free seat: some subtractions            vacate ─▶ added up
      └─ else ─▶ open ─▶ the table that all workers share             └─ the last one, or the clock ─▶ the table

One rule: a batch is a reservation of so many requests, each at the most that one of them may use, counted in the table under the
marks that they will have. It ends with the sub-bucket that it was made in, is a small part of what is left, and what nobody sits
in goes back at once. So nothing is let through that the table would not have, and others are hardly kept from anything.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from gatewright.limits.meters import Claim, Kind, Meter
from gatewright.limits.windows import NEVER
from gatewright.stores.counters import Denied, Reserved, Seen
from gatewright.stores.counters_shared import SharedCounters
from gatewright.stores.counters_table import SLOTS

SHARE_BITS: Final = 8
"""A batch takes at most this part of what is left (1/256)."""
LEAST: Final = 4
"""Fewer are not worth it."""
MOST: Final = 512
"""Seats of a batch."""
SELDOM_US: Final = 100_000
"""Where the last one was made longer ago, too few come."""
TICK_S: Final = 0.1
"""What has ended is settled so often, and what nobody has sat in meanwhile goes back."""


class Kindred(Protocol):
    """What requests of one kind have in common: `pipeline.granted.Granted`."""

    batch: "Batch | None"

    def costs(self, reads: int, writes: int, micros: int) -> list[Claim]: ...
    def used(self, reads: int, writes: int, micros: int, requests: int = 1) -> list[int]: ...


class Batch:
    """Seats for requests of one kind that use no more than so much."""

    __slots__ = (
        "back", "claims", "ended", "free", "kind", "left", "lines", "made", "marks", "micros", "opened", "reads", "seen", "size",
        "until", "used_micros", "used_reads", "used_writes", "writes",
    )  # fmt: skip

    def __init__(self, kind: Kindred, size: int, most: tuple[int, int, int], now: int) -> None:
        """`most`: tokens read, tokens written, micro-dollars."""
        self.kind = kind
        self.made = self.size = size
        """Seats at first, and those that the table still counts."""
        self.free = 0
        self.back = 0
        """Seats that were given back unused."""
        self.opened = now
        self.reads, self.writes, self.micros = most
        """The most of each that a seat is for."""
        self.claims: list[Claim] = []
        """Of one seat."""
        self.marks: Sequence[int] = ()
        self.left: Sequence[int] = ()
        self.lines: dict[str, bytes] = {}
        """What clients are told of that, in each dialect: the same for all who sit here."""
        self.until = 0
        """When nobody may sit down any more, in microseconds."""
        self.seen = size
        """Seats that were free when it was last looked."""
        self.ended = 0
        """Of those who have left since it was last settled; and what they used."""
        self.used_reads = self.used_writes = self.used_micros = 0

    def vacate(self, reads: int, writes: int, micros: int) -> None:
        """One who sat here has ended, and has used so much."""
        self.ended += 1
        self.used_reads += reads
        self.used_writes += writes
        self.used_micros += micros

    def withdraw(self) -> None:
        """One who sat here has been settled alone."""
        self.size -= 1


class BatchedCounters(SharedCounters):
    """`Counters` for one of the workers of a machine. Used by one thread."""

    def __init__(self, folder: Path, *, slots: int = SLOTS, open_when_down: frozenset[str] = frozenset(("rates",))) -> None:
        super().__init__(folder, slots=slots, open_when_down=open_when_down)
        self._live: list[Batch] = []
        """Those of which somebody may still sit, or that are not settled yet."""
        self._timer: asyncio.TimerHandle | None = None

    def open(self, kind: Kindred, reads: int, writes: int, micros: int, now: int) -> Reserved | Denied:
        """A seat of a new batch, as large as the last one was busy; of one that few asked for a reservation of its own.

        A `total` budget, which is never over, is not reserved in advance: what a killed worker had would be gone for ever.
        """
        last, own = kind.batch, (reads, writes, micros)
        wanted = 1
        if last is not None:
            if 0 <= now - last.opened < SELDOM_US:
                sat = last.made - last.free - last.back
                wanted = min(MOST, sat + 1 if last.free or last.back else 2 * sat)
                # Those that come may be of several sizes.
                reads, writes = max(reads, last.reads * 3 // 4), max(writes, last.writes * 3 // 4)
                micros = max(micros, last.micros * 3 // 4)
            self._release(last, now)
        claims = kind.costs(reads, writes, micros)
        batch = kind.batch = Batch(kind, wanted, (reads, writes, micros), now)
        if wanted >= LEAST and last is not None:
            shares = [(rest >> SHARE_BITS) // cost for (_, cost), rest in zip(claims, last.left, strict=True) if cost]
            wanted = 1 if any(meter.period == "total" for meter, _ in claims) else min(wanted, *shares)
        if wanted >= LEAST:
            got = self.reserve([(meter, cost * wanted) for meter, cost in claims], now)
            if isinstance(got, Reserved) and got.open:
                batch.made, batch.size, batch.free, batch.seen = wanted, wanted, wanted - 1, wanted
                batch.claims, batch.marks, batch.left = claims, got.marks, got.left
                batch.until = min(_until(meter, mark, now) for (meter, _), mark in zip(claims, got.marks, strict=True))
                self._live.append(batch)
                self._look_again()
                return Reserved(claims, got.marks, got.left, batch)
        claims = kind.costs(*own)
        got = self.reserve(claims, now)
        if isinstance(got, Denied) and self._live:  # perhaps for what is held here for others to come
            self.flush(now)
            got = self.reserve(claims, now)
        if isinstance(got, Reserved):
            batch.left = got.left
        else:
            kind.batch = None
        return got

    def flush(self, now: int) -> None:
        """Settle what has ended, and give back what nobody sits in."""
        for batch in self._live:
            self._settle(batch, now, release=True)
        self._live = [batch for batch in self._live if batch.size]

    async def look(self, meters: Sequence[Meter], now: int) -> list[Seen] | None:
        self.flush(now)
        return await super().look(meters, now)

    async def correct(self, meter: Meter, used: int, now: int) -> None:
        self.flush(now)
        await super().correct(meter, used, now)

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush(time.time_ns() // 1000)
        await super().close()

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
        claims = [(meter, gone * cost) for meter, cost in batch.claims]
        self.settle(Reserved(claims, batch.marks, ()), used, now)
        batch.ended = batch.used_reads = batch.used_writes = batch.used_micros = 0
        batch.size -= gone
        batch.back += free
        batch.free -= free

    def _look_again(self) -> None:
        if self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
            except RuntimeError:  # a test or a tool, which ends soon
                return

    def _tick(self) -> None:
        self._timer, now = None, time.time_ns() // 1000
        for batch in self._live:
            self._settle(batch, now, release=batch.free == batch.seen)
            batch.seen = batch.free
        self._live = [batch for batch in self._live if batch.size]
        if self._live:
            self._look_again()


def _until(meter: Meter, mark: int, now: int) -> int:
    """Until when units that are counted under `mark` are those of a request that comes now, in microseconds."""
    if meter.kind is Kind.SLIDING:
        return (mark + 1) * meter.width
    return meter.end(now) if meter.kind is Kind.CALENDAR else NEVER
