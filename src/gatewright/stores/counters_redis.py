"""Counters that several machines share, in a Redis or Valkey.

    reserve ─▶ a lease covers it: at once
       └─ ask ─▶ with all who ask in the same turn of the loop, one call ─▶ counted, and a lease for those to come

What is settled goes out in batches that have numbers, so that one that is sent again is not counted again.
One rule: a store that is slow or gone costs a request one deadline, once in a while; what becomes of it then is the operator's to
say, for money and for all else. It is left alone after a few failures, longer each time, and the log tells once.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias, cast

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from gatewright.limits.meters import Claim, Kind, Meter
from gatewright.limits.windows import NEVER, RING, SOON_US
from gatewright.stores.counters import Denied, Reserved, Seen, parts_given_back
from gatewright.stores.counters_lua import SCRIPT
from gatewright.stores.leases import Lease

log = logging.getLogger("gatewright")

DEADLINE_S: Final = 0.05
"""So long a request waits to be counted, …"""
TURNS: Final = 20
"""… and so many turns of the loop more, which take no time where this process has nothing else to do."""
CALL_S: Final = 1.0
"""For one call, waiting for a connection included: what it grants after its requests have gone on is given back."""
CONNECTIONS: Final = 8
IN_A_ROW: Final = 3
"""Failures after which it is left alone."""
REST_S: Final = 1.0
"""For so long at first; twice as long each time, …"""
LONGEST_REST_S: Final = 30.0
"""… up to this."""
PREFIX: Final = "gatewright:{limits}:1:"
SETTLE_S: Final = 0.02
"""For so long settlements are gathered."""
AHEAD_US: Final = 50_000
"""A lease of a window ends so long before its sub-bucket does: whoever is served from it has yet to begin."""
TURN_S: Final = 0.5
"""How often leases are looked through, while there are any."""
SILENT_US: Final = 10_000_000
"""A worker that has said nothing for so long is taken for dead, and what it ran for ended."""
MOST_CHANGES: Final = 100_000
"""Kept while the store does not answer; beyond it what was given back is forgotten, which is too strict and never too loose."""
BIG: Final = 1 << 52
"""Redis reckons in floats."""

Change: TypeAlias = tuple[Meter, int, int]
"""Meter, mark, and by how much."""
Wanted: TypeAlias = tuple[Meter, int, int]
"""Meter, cost, and what to lease beyond it."""
Answer: TypeAlias = list[Any]
"""[1, [[mark, room, leased], …], the store's time], or [0, index of who refuses, how long to wait, what is left]."""
Ask: TypeAlias = tuple[list[Wanted], asyncio.Future[Answer | None]]


class RedisCounters:
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
        self.url = url
        self.open_when_down = open_when_down
        self.deadline_s = deadline_s
        self._prefix = prefix
        self._clock = clock
        pool = BlockingConnectionPool.from_url(
            url.replace("valkey", "redis", 1) if url.startswith("valkey") else url,
            max_connections=CONNECTIONS,
            timeout=CALL_S,
            socket_timeout=CALL_S,
            socket_connect_timeout=CALL_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis(connection_pool=pool)
        self._sha = ""
        self._worker = secrets.token_hex(8)
        self._leases: dict[Meter, Lease] = {}
        self._asks: list[Ask] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._changes: list[Change] = []
        self._sending: list[Change] = []
        """The batch that is on its way, or will be sent again."""
        self._is_sending = False
        self._batch = 0
        self._settling: asyncio.TimerHandle | None = None
        self._turning: asyncio.TimerHandle | None = None
        self._running = 0
        """Gauges' units that this worker holds: others must hear that it lives."""
        self._failures = 0
        self._rests_until = 0.0
        self._closed = False

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
            return self._without(claims)
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
        for timer in (self._settling, self._turning):
            if timer is not None:
                timer.cancel()
        for lease in self._leases.values():
            if lease.left:
                self._changes.append((lease.meter, lease.mark, -lease.left))
                lease.left = 0
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        while self._changes or self._sending:
            if await self._call([]) is None:
                break
        try:
            async with asyncio.timeout(1.0):
                await self._redis.aclose(close_connection_pool=True)
        except (RedisError, OSError):
            return

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

    # -- the wire --------------------------------------------------------------------------------------------------------------

    def _without(self, claims: Sequence[Claim]) -> Reserved | Denied:
        """The store cannot say."""
        kinds = {"money" if meter.unit == "micros" else "rates" for meter, _ in claims}
        if not kinds <= self.open_when_down:
            return Denied(None, SOON_US)
        uncounted = Reserved(claims, [0] * len(claims), [meter.bound for meter, _ in claims])
        uncounted.open = False
        return uncounted

    def _change(self, meter: Meter, mark: int, by: int) -> None:
        if len(self._changes) >= MOST_CHANGES and by < 0:
            return
        self._changes.append((meter, mark, by))
        self._send_in(SETTLE_S)

    def _send_in(self, seconds: float) -> None:
        if self._settling is None and not self._closed:
            self._settling = asyncio.get_running_loop().call_later(seconds, self._send)

    def _send(self) -> None:
        self._settling = None
        self._begin([])

    async def _asked(self, wanted: list[Wanted]) -> Answer | None:
        """What the store says to one request; all of one turn of the loop go together."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer | None] = loop.create_future()
        if not self._asks:
            loop.call_soon(self._flush)
        self._asks.append((wanted, future))
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():  # who asked has left in the moment in which the answer came
                self._unwant(wanted, future.result())
            raise

    def _unwant(self, wanted: list[Wanted], answer: Answer | None) -> None:
        """Nobody is there any more for what was granted."""
        if answer is not None and answer[0] == 1:
            for (meter, cost, _), (mark, _, extra) in zip(wanted, answer[1], strict=True):
                if cost + extra:
                    self._change(meter, mark, -(cost + extra))

    def _flush(self) -> None:
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

    def _begin(self, asks: list[Ask]) -> None:
        task = asyncio.get_running_loop().create_task(self._begun(asks))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begun(self, asks: list[Ask]) -> None:
        try:
            found = await self._call([wanted for wanted, _ in asks])
        except Exception:
            log.exception("limits: the shared counters failed on a bug of ours")
            found = None
        for i, (wanted, future) in enumerate(asks):
            if not future.done():
                future.set_result(None if found is None else found[0][i])
            elif found is not None:  # who asked has left meanwhile
                self._unwant(wanted, found[0][i])

    async def _call(
        self,
        asks: Sequence[Sequence[Wanted]],
        *,
        looks: Sequence[Wanted] = (),
        corrections: Sequence[Wanted] = (),
    ) -> tuple[list[Answer], list[tuple[int, int]]] | None:
        """One call of the script. None: the store cannot say."""
        if self._clock() < self._rests_until:
            if self._changes or self._sending:
                self._send_in(TURN_S)
            return None
        now, began = time.time_ns() // 1000, self._clock()
        keys: dict[Meter, int] = {}
        batch = 0
        changes: list[Change] = []
        if (self._changes or self._sending) and not self._is_sending:
            if not self._sending:
                self._sending, self._changes = self._changes, []
                self._batch += 1
            batch, changes = self._batch, self._sending
            self._is_sending = True
        orders = (
            [[*_place(keys, meter, now), mark, by, _ttl_ms(meter, now)] for meter, mark, by in changes],
            [
                [[*_place(keys, m, now), cost, extra, min(BIG, m.bound), _ttl_ms(m, now)] for m, cost, extra in ask]
                for ask in asks
            ],
            [[*_place(keys, m, now), 0, 0, min(BIG, m.bound), 0] for m, _, _ in looks],
            [[*_place(keys, m, now), used, 0, 0, _ttl_ms(m, now)] for m, used, _ in corrections],
        )
        names = [self._prefix + "alive", self._prefix + "batches", *(self._prefix + meter.key.hex() for meter in keys)]
        arguments = (self._worker, SILENT_US, batch, msgspec.msgpack.encode(orders))
        try:
            async with asyncio.timeout(max(CALL_S, self.deadline_s)):
                said = await self._evaluated(names, arguments)
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._failed(error)
            if self._changes or self._sending:
                self._send_in(TURN_S)
            return None
        finally:
            if batch:
                self._is_sending = False
        if batch:
            self._sending = []
            if self._changes:
                self._send_in(SETTLE_S)
        if self._clock() - began <= self.deadline_s:
            if self._failures >= IN_A_ROW:
                log.warning("limits: the shared counters are back")
            self._failures = 0
        answers: tuple[list[Answer], list[tuple[int, int]]] = msgspec.msgpack.decode(said)
        return answers

    async def _evaluated(self, names: list[str], arguments: tuple[str | int | bytes, ...]) -> bytes:
        run = cast("Callable[..., Awaitable[bytes]]", self._redis.evalsha)
        if not self._sha:
            self._sha = await self._redis.script_load(SCRIPT)
        try:
            return await run(self._sha, len(names), *names, *arguments)
        except NoScriptError:  # it was restarted
            self._sha = await self._redis.script_load(SCRIPT)
            return await run(self._sha, len(names), *names, *arguments)

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures < IN_A_ROW:
            return
        doublings = min(self._failures - IN_A_ROW, 10)
        self._rests_until = self._clock() + min(LONGEST_REST_S, REST_S * 2.0**doublings)
        if self._failures == IN_A_ROW:  # once, however long it lasts
            why = str(error) or type(error).__name__
            closed = [what for what in ("money", "rates") if what not in self.open_when_down]
            told = f"requests with limits on {' or '.join(closed)} are refused" if closed else "requests pass uncounted"
            log.error("limits: the shared counters do not answer (%s); %s until they do", why[:200], told)


def _with(reserved: Reserved, more: Sequence[int]) -> list[Claim]:
    return [(meter, cost) for (meter, _), cost in zip(reserved.claims, more, strict=True)]


def _place(keys: dict[Meter, int], meter: Meter, now: int) -> tuple[int, int, int, int]:
    """Which of the keys it is, counted as Lua does, behind the two that are always there; its kind, and its time."""
    at = keys.setdefault(meter, len(keys) + 3)
    if meter.kind is Kind.CALENDAR:
        return at, meter.kind, meter.start(now), min(BIG, meter.end(now))
    return at, meter.kind, meter.width, 0


def _ttl_ms(meter: Meter, now: int) -> int:
    """After which nobody needs it any more; 0: never."""
    if meter.kind is Kind.SLIDING:
        return (RING + 1) * meter.width // 1000
    if meter.kind is Kind.GAUGE:
        return 86_400_000
    return 0 if meter.period == "total" else (meter.end(now) - now) // 1000 + 86_400_000
