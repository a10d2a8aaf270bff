"""Counters of one machine where many requests come: a batch at a time of the table that all workers share.

    a free seat: one subtraction, by who asks       else ─▶ open ─▶ the table, for as many as are likely to come

What a batch is: `counters_batch.py`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gatewright.limits.meters import Claim, Meter
from gatewright.stores.counters import Denied, Reserved, Seen
from gatewright.stores.counters_batch import LEAST, Batch, Batching, Kindred, seats_for, sized, until, within_share
from gatewright.stores.counters_shared import SharedCounters
from gatewright.stores.counters_table import SLOTS

AHEAD_US: Final = 50_000
"""For whom a batch is made: those who come within so long."""


class BatchedCounters(Batching, SharedCounters):
    """`Counters` for one of the workers of a machine. Used by one thread."""

    def __init__(self, folder: Path, *, slots: int = SLOTS, open_when_down: frozenset[str] = frozenset(("rates",))) -> None:
        Batching.__init__(self)
        SharedCounters.__init__(self, folder, slots=slots, open_when_down=open_when_down)

    def open(self, kind: Kindred, reads: int, writes: int, micros: int, now: int) -> Reserved | Denied:
        """A seat of a new batch, as large as the last one was busy; of one that few asked for a reservation of its own."""
        last, wanted = kind.batch, seats_for(kind, AHEAD_US, now)
        if last is not None:
            self._release(last, now)
            if wanted >= LEAST:
                most = sized(last, reads, writes, micros)
                claims = kind.costs(*most)
                wanted = within_share(claims, last.left, wanted)
                if wanted >= LEAST:
                    got = self.reserve([(meter, cost * wanted) for meter, cost in claims], now)
                    if isinstance(got, Reserved) and got.open:
                        return self._made(Batch(kind, wanted, most, now), claims, got, now)
        claims = kind.costs(reads, writes, micros)
        got = self.reserve(claims, now)
        if isinstance(got, Denied) and self._give_way(claims, now):
            got = self.reserve(claims, now)
        if isinstance(got, Reserved):
            kind.batch = Batch(kind, 1, (reads, writes, micros), now)
            kind.batch.left = got.left
        else:
            kind.batch = None
        return got

    def _made(self, batch: Batch, claims: list[Claim], got: Reserved, now: int) -> Reserved:
        batch.claims, batch.marks, batch.left = claims, got.marks, got.left
        batch.free = batch.made
        batch.until = min(until(meter, mark, now) for (meter, _), mark in zip(claims, got.marks, strict=True))
        batch.kind.batch = batch
        self._enlist(batch)
        return batch.sit()

    def _account(self, claims: list[Claim], marks: Sequence[int], used: Sequence[int], now: int) -> None:
        self.settle(Reserved(claims, marks, ()), used, now)

    async def look(self, meters: Sequence[Meter], now: int) -> list[Seen] | None:
        self.flush(now)
        return await super().look(meters, now)

    async def correct(self, meter: Meter, used: int, now: int) -> None:
        self.flush(now)
        await super().correct(meter, used, now)

    async def close(self) -> None:
        self._hold_no_more()
        await super().close()
