"""How orders get to the Redis or Valkey where several machines count, and what becomes of them when they do not.

What is settled goes out in batches that have numbers, so that one that is sent again is not counted again.
One rule: a store that fails is left alone after a few times in a row, longer each time, and the log tells once.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias, cast

import msgspec
from redis.exceptions import NoScriptError, RedisError

from gatewright.limits.meters import Kind, Meter
from gatewright.limits.windows import RING
from gatewright.stores.counters_lua import SCRIPT
from gatewright.stores.redis_link import Rests, reached

log = logging.getLogger("gatewright")

DEADLINE_S: Final = 0.05
"""So long a request waits to be counted."""
CALL_S: Final = 1.0
"""For one call, waiting for a connection included: what it grants after its requests have gone on is given back."""
LONGEST_S: Final = 60.0
"""The longest deadline that may be configured; each call ends with its own."""
CONNECTIONS: Final = 8
PREFIX: Final = "gatewright:{limits}:1:"
SETTLE_S: Final = 0.02
"""For so long settlements are gathered."""
TURN_S: Final = 0.5
"""How often leases are looked through, while there are any, and changes sent that did not get there."""
SILENT_US: Final = 10_000_000
"""A worker that has said nothing for so long is taken for dead, and what it ran for ended."""
FORGOTTEN_US: Final = 86_400_000_000
"""A worker that has said nothing for so long is forgotten, and which batches it has sent: it will send none again."""
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


class CountersWire:
    """The store's other end. Used within one event loop."""

    def __init__(
        self, url: str, *, open_when_down: frozenset[str], deadline_s: float, prefix: str, clock: Callable[[], float]
    ) -> None:
        """`url`: as for answers. `open_when_down`: `money` and `rates`, as far as they pass uncounted then. Raises ValueError."""
        self.url = url
        self.open_when_down = open_when_down
        self.deadline_s = deadline_s
        self._prefix = prefix
        self._clock = clock
        self._redis = reached(url, connections=CONNECTIONS, deadline_s=LONGEST_S)
        self._sha = ""
        self._worker = secrets.token_hex(8)
        self._tasks: set[asyncio.Task[None]] = set()
        self._changes: list[Change] = []
        self._sending: list[Change] = []
        """The batch that is on its way, or will be sent again."""
        self._is_sending = False
        self._batch = 0
        self._settling: asyncio.TimerHandle | None = None
        self._rests = Rests(clock)
        self._closed = False

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

    def _unwant(self, wanted: list[Wanted], answer: Answer | None) -> None:
        """Nobody is there any more for what was granted."""
        if answer is not None and answer[0] == 1:
            for (meter, cost, _), (mark, _, extra) in zip(wanted, answer[1], strict=True):
                if cost + extra:
                    self._change(meter, mark, -(cost + extra))

    async def _call(
        self,
        asks: Sequence[Sequence[Wanted]],
        *,
        looks: Sequence[Wanted] = (),
        corrections: Sequence[Wanted] = (),
    ) -> tuple[list[Answer], list[tuple[int, int]]] | None:
        """One call of the script. None: the store cannot say."""
        if self._rests.resting:
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
        arguments = (self._worker, SILENT_US, batch, msgspec.msgpack.encode(orders), FORGOTTEN_US)
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
        if self._clock() - began <= self.deadline_s and self._rests.answered():
            log.warning("limits: the shared counters are back")
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
        if self._rests.failed():
            why = str(error) or type(error).__name__
            closed = [what for what in ("money", "rates") if what not in self.open_when_down]
            told = f"requests with limits on {' or '.join(closed)} are refused" if closed else "requests pass uncounted"
            log.error("limits: the shared counters do not answer (%s); %s until they do", why[:200], told)

    async def _hang_up(self) -> None:
        """Send what is to be sent, and close the connections."""
        if self._settling is not None:
            self._settling.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        while self._changes or self._sending:
            if await self._call([]) is None:
                break
        try:
            async with asyncio.timeout(1.0):
                if self._sha and not (self._changes or self._sending):  # else what was sent could be counted again
                    for name in ("alive", "batches"):
                        await self._redis.hdel(self._prefix + name, self._worker)
                await self._redis.aclose(close_connection_pool=True)
        except (RedisError, OSError):
            return


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
