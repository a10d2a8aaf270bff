"""Counters in a Redis where many requests come: a batch is asked for in one call, before the last one is used up.

    a free seat: one subtraction, by who asks       few are free ─▶ prepare ─▶ the next batch comes meanwhile
       └─ else ─▶ open ─▶ the next batch, or a lease covers it
                    └─ else ─▶ wait ─▶ with all who wait for the same, one batch for them and for those to come

What a batch is: `counters_batch.py`. One rule: who waits has asked before the store counts, and sits in what it counted for them;
whom that does not fit asks for itself.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from gatewright.limits.meters import Claim, Kind, Meter
from gatewright.limits.windows import NEVER
from gatewright.stores.counters import Denied, Reserved, Seen, uncounted
from gatewright.stores.counters_batch import LEAST, Batch, Batching, Coming, Kindred, Waits, seats_for, sized, within_share
from gatewright.stores.counters_redis import AHEAD_US, RedisCounters
from gatewright.stores.counters_wire import DEADLINE_S, PREFIX, Answer
from gatewright.stores.leases import SHORTEST_US

log = logging.getLogger("gatewright")

FOR_US: Final = 100_000
"""For whom a batch is made: those who come within so long."""
LOW_BITS: Final = 2
"""The next batch is asked for when this part of the last one is left (1/4)."""


class BatchedRedisCounters(Batching, RedisCounters):
    """`Counters` over a network. Used within one event loop."""

    def __init__(
        self,
        url: str,
        *,
        open_when_down: frozenset[str] = frozenset(("rates",)),
        deadline_s: float = DEADLINE_S,
        prefix: str = PREFIX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """As `RedisCounters`."""
        Batching.__init__(self)
        RedisCounters.__init__(self, url, open_when_down=open_when_down, deadline_s=deadline_s, prefix=prefix, clock=clock)

    # -- what requests ask -----------------------------------------------------------------------------------------------------

    def open(self, kind: Kindred, reads: int, writes: int, micros: int, now: int) -> Reserved | Denied | None:
        """What there is without asking. None: `wait` must be asked."""
        coming = kind.coming
        if coming is not None:
            if (spare := coming.spare) is not None:
                coming.spare = None
                if now < spare.until and spare.free and spare.fits(reads, writes, micros):
                    spare.opened = now
                    self._replace(kind, spare, now)
                    return spare.sit()
                self._release(spare, now)
            if coming.asked:
                return None
        claims = kind.costs(reads, writes, micros)
        last = kind.batch
        wanted = self._wanted(kind, now)
        if last is None or wanted < LEAST or within_share(claims, last.left, wanted) < LEAST:
            got = self.reserve(claims, now)
            if isinstance(got, Reserved):
                self._alone(kind, (reads, writes, micros), got.left, now)
                return got
        return None

    async def wait(self, kind: Kindred, reads: int, writes: int, micros: int, now: int) -> Reserved | Denied:
        """As `open`. Never raises but CancelledError, and holds nothing then."""
        need = (reads, writes, micros)
        if kind.in_advance:
            one = Waits(need, asyncio.get_running_loop().create_future())
            self._next(kind).waiting.append(one)
            try:
                got = await one.came
            except asyncio.CancelledError:
                _leave(one)
                raise
            if got is not None:
                return got
        claims = kind.costs(reads, writes, micros)
        answer = await self.ask(claims, now)
        if isinstance(answer, Denied) and answer.meter is not None and self._give_way(claims, now):
            answer = await self.ask(claims, now)
        if isinstance(answer, Reserved) and answer.open:
            self._alone(kind, need, answer.left, now)
        return answer

    def prepare(self, kind: Kindred, reads: int, writes: int, micros: int) -> None:
        """The batch in use will soon have no seat left: the next one is asked for."""
        coming = kind.coming
        if not self._closed and (coming is None or not (coming.spare or coming.flying)):
            self._next(kind).need = reads, writes, micros

    # -- the next batch --------------------------------------------------------------------------------------------------------

    def _next(self, kind: Kindred) -> Coming:
        """Ask for the next one in this turn of the loop, if that is not to be done already."""
        coming = kind.coming
        if coming is None:
            coming = kind.coming = Coming()
        if not coming.asked:
            coming.asked = True
            asyncio.get_running_loop().call_soon(self._order, kind, coming)
        return coming

    def _wanted(self, kind: Kindred, now: int) -> int:
        return seats_for(kind, FOR_US, now) if _lasts(kind) else 1

    def _order(self, kind: Kindred, coming: Coming) -> None:
        """Ask the store for one batch, for those who wait and those to come; where that is not wise, each asks for itself."""
        waiting, coming.waiting, coming.asked = coming.waiting, [], False
        need, coming.need = coming.need, (0, 0, 0)
        try:
            last, now = kind.batch, time.time_ns() // 1000
            if last is None:
                _disperse(waiting)
                return
            needs = [need, *(one.need for one in waiting)]
            most = sized(last, *(max(each) for each in zip(*needs, strict=True)))
            claims = kind.costs(*most)
            wanted = len(waiting)
            if not coming.flying and not last.until <= now < last.until + AHEAD_US:  # else nobody could sit down any more
                wanted = max(wanted, self._wanted(kind, now))
            seats = within_share(claims, last.left, wanted)
            if seats < LEAST:
                _disperse(waiting)
                return
            _disperse(waiting[seats:])
            del waiting[seats:]
            batch = Batch(kind, seats, most, now)
            batch.claims = claims
            coming.flying += 1
            future = self._sent([(meter, cost * seats, 0) for meter, cost in claims])
            future.add_done_callback(partial(self._arrived, kind, coming, batch, waiting))
        except Exception:
            log.exception("limits: a batch failed on a bug of ours")
            _disperse(waiting)

    def _arrived(
        self, kind: Kindred, coming: Coming, batch: Batch, waiting: list[Waits], future: asyncio.Future[Answer | None]
    ) -> None:
        coming.flying -= 1
        try:
            answer, now = None if future.cancelled() else future.result(), time.time_ns() // 1000
            if answer is None:
                for one in waiting:
                    if not one.came.done():
                        one.came.set_result(uncounted(kind.costs(*one.need), self.open_when_down))
            elif answer[0] == 0:
                if kind.batch is not None:
                    self._release(kind.batch, now)
                kind.batch = None
            else:
                self._filled(batch, answer)
                for one in waiting:
                    if batch.free and not one.came.done() and batch.fits(*one.need):
                        one.came.set_result(batch.sit())
                self._put(kind, coming, batch, now)
        except Exception:
            log.exception("limits: a batch failed on a bug of ours")
        finally:
            _disperse(waiting)

    def _filled(self, batch: Batch, answer: Answer) -> None:
        """It is counted."""
        ends = NEVER
        marks: list[int] = []
        left: list[int] = []
        for (meter, cost), (mark, room, _) in zip(batch.claims, answer[1], strict=True):
            marks.append(mark)
            left.append(room)
            if meter.kind is Kind.SLIDING:
                ends = min(ends, batch.opened + (mark + 1) * meter.width - answer[2] - AHEAD_US)
            elif meter.kind is Kind.CALENDAR:
                ends = min(ends, meter.end(batch.opened))
            else:
                self._running += cost * batch.made
        batch.marks, batch.left, batch.until, batch.free = marks, left, ends, batch.made
        batch.low = batch.made >> LOW_BITS
        self._enlist(batch)
        self._turn_on()

    def _put(self, kind: Kindred, coming: Coming, batch: Batch, now: int) -> None:
        """Where those to come find it."""
        if self._closed or now >= batch.until:
            self._release(batch, now)
        last = kind.batch
        if last is None or not last.free or now >= last.until:
            self._replace(kind, batch, now)
        elif (
            batch.free and coming.spare is None and last.fits(batch.reads * 3 // 4, batch.writes * 3 // 4, batch.micros * 3 // 4)
        ):
            coming.spare = batch
        elif batch.free:
            self._replace(kind, batch, now)

    def _replace(self, kind: Kindred, batch: Batch, now: int) -> None:
        last, kind.batch = kind.batch, batch
        if last is not None:
            self._release(last, now)

    def _alone(self, kind: Kindred, need: tuple[int, int, int], left: Sequence[int], now: int) -> None:
        """One was counted by itself: others may come after it."""
        last = kind.batch
        if last is not None and last.claims and (last.free or last.until <= now) and now < last.until + AHEAD_US:
            return
        if last is not None and not last.claims and 0 <= now - last.opened < FOR_US:
            last.made += 1
            last.left = left
            last.reads, last.writes, last.micros = sized(last, *need)
            return
        batch = Batch(kind, 1, need, now)
        batch.left = left
        self._replace(kind, batch, now)

    # -- the end of requests, and what people ask ------------------------------------------------------------------------------

    def _account(self, claims: list[Claim], marks: Sequence[int], used: Sequence[int], now: int) -> None:
        """Past the leases: what a batch gives back is more than one of them should hold."""
        for (meter, cost), mark, count in zip(claims, marks, used, strict=True):
            if by := count - cost:
                if meter.kind is Kind.GAUGE:
                    self._running = max(0, self._running + by)
                self._change(meter, mark, by)

    async def look(self, meters: Sequence[Meter], now: int) -> list[Seen] | None:
        self.flush(now)
        return await super().look(meters, now)

    async def correct(self, meter: Meter, used: int, now: int) -> None:
        self.flush(now)
        await super().correct(meter, used, now)

    async def close(self) -> None:
        if not self._closed:
            self._hold_no_more()
        await super().close()


def _lasts(kind: Kindred) -> bool:
    """Whether a batch of it is not over before anybody sits."""
    return kind.in_advance and not 0 < kind.shortest < SHORTEST_US


def _disperse(waiting: Sequence[Waits]) -> None:
    """Who has got nothing yet asks for itself."""
    for one in waiting:
        if not one.came.done():
            one.came.set_result(None)


def _leave(one: Waits) -> None:
    """Who waited has left; perhaps in the moment in which a seat was there."""
    if one.came.done() and not one.came.cancelled():
        got = one.came.result()
        if isinstance(got, Reserved) and isinstance(got.batch, Batch):
            got.batch.free += 1
