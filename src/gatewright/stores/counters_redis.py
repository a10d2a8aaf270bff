"""Counters that several machines share, in a Redis or Valkey.

    reserve ─▶ a lease covers it: at once
       └─ ask ─▶ with all who ask in the same turn of the loop, one call ─▶ counted, and a lease for those to come

One rule: a store that is slow or gone costs a request one deadline, once in a while; what becomes of it then is the operator's to
say, for money and for all else.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from gatewright.limits.meters import Claim, Kind, Meter
from gatewright.limits.windows import NEVER
from gatewright.stores.counters import Denied, Reserved, Seen, parts_given_back, uncounted
from gatewright.stores.counters_wire import (
    CALL_S,
    DEADLINE_S,
    PREFIX,
    SILENT_US,
    TURN_S,
    Answer,
    Ask,
    Change,
    CountersWire,
    Wanted,
)
from gatewright.stores.leases import Lease

TURNS: Final = 20
"""Turns of the loop that a request waits beyond its deadline; they take no time where there is nothing else to do."""
AHEAD_US: Final = 50_000
"""A lease of a window ends so long before its sub-bucket does: whoever is served from it has yet to begin."""


class RedisCounters(CountersWire):
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
        """`url`: as for answers. `open_when_down`: `money` and `rates`, as far as they pass uncounted then. Raises ValueError."""
        super().__init__(url, open_when_down=open_when_down, deadline_s=deadline_s, prefix=prefix, clock=clock)
        self._leases: dict[Meter, Lease] = {}
        self._asks: list[Ask] = []
        self._turning: asyncio.TimerHandle | None = None
        self._running = 0
        """Gauges' units that this worker holds: others must hear that it lives."""

    # -- what requests ask -----------------------------------------------------------------------------------------------------

    def reserve(self, claims: Sequence[Claim], now: int) -> Reserved | Denied | None:
        """From leases alone; None where they do not cover it."""
        leases = self._leases
        for meter, cost in claims:
            if cost:
                lease = leases.get(meter)
                if lease is None or lease.left < cost or now >= lease.until:
                    return None
        marks, left = [], []
        for meter, cost in claims:
            lease = leases.get(meter)
            if lease is None:
                marks.append(0)
                left.append(meter.bound)
                continue
            lease.left -= cost
            lease.used = now
            marks.append(lease.mark)
            left.append(lease.room + lease.left)
            if meter.kind is Kind.GAUGE:
                self._running += cost
        return Reserved(claims, marks, left)

    async def ask(self, claims: Sequence[Claim], now: int) -> Reserved | Denied:
        taken: list[Change] = []
        wanted: list[Wanted] = []
        for meter, cost in claims:
            lease = self._leases.get(meter)
            if lease is None:
                lease = self._leases[meter] = Lease(meter)
            from_lease = min(cost, lease.good(now))
            lease.left -= from_lease
            if from_lease:
                taken.append((meter, lease.mark, from_lease))
            wanted.append((meter, cost - from_lease, lease.wish(cost, now)))
            lease.pending += 1
        asking = [self._leases[meter] for meter, _ in claims]
        try:
            answer = await self._asked(wanted)
        except asyncio.CancelledError:
            self._untake(taken)
            raise
        finally:
            for lease in asking:
                lease.pending -= 1
        if answer is None:
            self._untake(taken)
            return uncounted(claims, self.open_when_down)
        if answer[0] == 0:
            self._untake(taken)
            _, at, waits, left = answer
            return Denied(claims[at][0], min(NEVER, waits), left)
        marks, left = [], []
        for (meter, cost), (mark, room, extra) in zip(claims, answer[1], strict=True):
            lease = self._leases.setdefault(meter, Lease(meter))
            if meter.kind is Kind.SLIDING:
                until = now + (mark + 1) * meter.width - answer[2] - AHEAD_US
            else:
                until = meter.end(now) if meter.kind is Kind.CALENDAR else NEVER
                self._running += cost if meter.kind is Kind.GAUGE else 0
            old_mark, back = lease.take(mark, extra, room, until)
            if back:
                self._change(meter, old_mark, -back)
            lease.used = now
            marks.append(mark)
            left.append(room + lease.left)
        self._turn_on()
        return Reserved(claims, marks, left)

    def settle(self, reserved: Reserved, used: Sequence[int], now: int) -> None:
        if not reserved.open:
            return
        reserved.open = False
        for meter, mark, by in parts_given_back(reserved, used):
            lease = self._leases.get(meter)
            if meter.kind is Kind.GAUGE:
                self._running = max(0, self._running + by)
            if by < 0 and lease is not None and lease.keeps(mark, -by, now):
                lease.left -= by
            else:
                self._change(meter, mark, by)

    def extend(self, reserved: Reserved, more: Sequence[int], now: int) -> bool | None:
        if not reserved.open:
            return True  # let pass uncounted
        got = self.reserve(_with(reserved, more), now)
        if isinstance(got, Reserved):
            reserved.more += (got,)
            return True
        return None

    async def ask_more(self, reserved: Reserved, more: Sequence[int], now: int) -> bool:
        got = await self.ask(_with(reserved, more), now)
        if isinstance(got, Denied):
            return False
        if got.open:
            reserved.more += (got,)
        return True

    # -- what people ask -------------------------------------------------------------------------------------------------------

    async def look(self, meters: Sequence[Meter], now: int) -> list[Seen] | None:
        found = await self._call([], looks=[(meter, 0, 0) for meter in meters])
        return None if found is None else [Seen(used, min(NEVER, waits)) for used, waits in found[1]]

    async def correct(self, meter: Meter, used: int, now: int) -> None:
        await self._call([], corrections=[(meter, used, 0)])

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._turning is not None:
            self._turning.cancel()
        for lease in self._leases.values():
            if lease.left:
                self._changes.append((lease.meter, lease.mark, -lease.left))
                lease.left = 0
        await self._hang_up()

    # -- leases ----------------------------------------------------------------------------------------------------------------

    def _untake(self, taken: Sequence[Change]) -> None:
        """It came to nothing: what was taken of leases goes back to them, or where it is counted."""
        for meter, mark, units in taken:
            lease = self._leases.get(meter)
            if lease is not None and lease.mark == mark:
                lease.left += units
            else:
                self._change(meter, mark, -units)
        self._turn_on()

    def _turn_on(self) -> None:
        if self._turning is None and not self._closed:
            self._turning = asyncio.get_running_loop().call_later(TURN_S, self._turn)

    def _turn(self) -> None:
        """Give back what nobody uses, forget what is empty, and let others hear that this worker lives."""
        self._turning = None
        now = time.time_ns() // 1000
        for meter, lease in list(self._leases.items()):
            if lease.is_over(now):
                self._change(meter, lease.mark, -lease.left)
                lease.left = 0
            elif not (lease.left or lease.pending) and now - lease.asked > SILENT_US:
                del self._leases[meter]
        if self._running and not self._changes:
            self._send()
        if self._leases or self._running:
            self._turn_on()

    # -- asking ---------------------------------------------------------------------------------------------------------------

    async def _asked(self, wanted: list[Wanted]) -> Answer | None:
        """What the store says to one request."""
        future = self._sent(wanted)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():  # who asked has left in the moment in which the answer came
                self._unwant(wanted, future.result())
            raise

    def _sent(self, wanted: list[Wanted]) -> asyncio.Future[Answer | None]:
        """What will be there within the deadline; all of one turn of the loop go together."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer | None] = loop.create_future()
        if not self._asks:
            loop.call_soon(self._send_asks)
        self._asks.append((wanted, future))
        return future

    def _send_asks(self) -> None:
        asks, self._asks = self._asks, []
        self._begin(asks)
        self._look_in(asks, self.deadline_s if self._sha else max(CALL_S, self.deadline_s))  # the first connects

    def _look_in(self, asks: list[Ask], seconds: float) -> None:
        """Whether they have been answered by then."""
        loop = asyncio.get_running_loop()
        turns = TURNS

        def look() -> None:
            nonlocal turns
            waiting = [future for _, future in asks if not future.done()]
            if not waiting:
                return
            if turns:  # the answer may be there, and this process too busy to read it: that takes a few turns of the loop
                turns -= 1
                loop.call_soon(look)
                return
            self._failed(TimeoutError(f"no answer in {seconds * 1000:.0f} ms"))
            for future in waiting:
                future.set_result(None)

        loop.call_later(seconds, look)


def _with(reserved: Reserved, more: Sequence[int]) -> list[Claim]:
    return [(meter, cost) for (meter, _), cost in zip(reserved.claims, more, strict=True)]
