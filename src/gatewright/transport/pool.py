"""Connections to one endpoint: the idle ones, the cap, the queue.

One rule: a slot belongs to exactly one of a connection, a task that is connecting, or a waiter just granted it; every
path out of here, cancellation included, passes it on. The last connection given back is the first taken: those below it
grow old and are dropped.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from gatewright.transport.connection import Connection
from gatewright.transport.failures import Closed, ConnectFailed, PoolTimeout
from gatewright.transport.seam import Timeouts
from gatewright.transport.strand import back_to, in_a_task, paused, running_in

DOUBT_AFTER_S = 1.0
"""An idle connection unused for longer is looked at before it is used: one system call, and fewer lost races."""

Dial = Callable[["Pool", float], Awaitable[Connection]]
"""Opens a connection within some seconds, or raises `ConnectFailed` or `TimedOut`."""


class Pool:
    """At most `max_connections` connections, opened by `dial`."""

    def __init__(self, where: str, dial: Dial, *, max_connections: int, idle_pool_s: float) -> None:
        self.where = where
        self._dial = dial
        self._max = max_connections
        self._idle_s = idle_pool_s
        self._all: set[Connection] = set()
        self._idle: list[Connection] = []
        """Oldest first. A closed one may still be in it: it is skipped."""
        self._slots = 0
        """Slots in use: connections, and tasks that are connecting."""
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False

    def take(self, now: float) -> Connection | None:
        """An idle connection, if there is one and nobody waits. `now` is the loop's time."""
        idle = self._idle
        while idle:
            conn = idle.pop()
            age = now - conn.idle_since
            if conn.closed:
                continue
            if age > DOUBT_AFTER_S and (age > self._idle_s or not conn.looks_alive()):
                conn.discard()
                continue
            return conn
        return None

    async def obtain(self, timeouts: Timeouts, *, retry: bool = False) -> Connection:
        """A new connection or, at the cap, the first one given back. First come, first served; a `retry` has waited before.

        To be called when `take` gave None, or for a `retry`, which distrusts idle connections.
        Raises `PoolTimeout`, `ConnectFailed`, `TimedOut` or `Closed`, all with `sent` False.
        """
        loop = asyncio.get_running_loop()
        strand = running_in(loop)
        if strand is not None and not retry:  # one may be given back in this very turn of the loop: that needs no task
            loop.call_soon(strand.resume)
            await paused()
            idle = self.take(loop.time())
            if idle is not None:
                return idle
        left = await in_a_task()
        conn = await self._obtained(timeouts, retry=retry)
        await back_to(left)
        return conn

    async def _obtained(self, timeouts: Timeouts, *, retry: bool) -> Connection:
        if retry:
            while self._slots >= self._max and self._idle:
                self._idle.pop(0).discard()
        elif (idle := self.take(asyncio.get_running_loop().time())) is not None:
            return idle  # given back meanwhile: had we queued up, nobody would come to give it to us
        while True:
            if self._is_closed:
                raise self._closed_error()
            if self._slots < self._max:
                self._slots += 1
                return await self._open(timeouts)
            conn = await self._wait(timeouts.connect_s, first=retry)
            if conn is None:
                return await self._open(timeouts)
            if not conn.closed:
                return conn
            retry = True  # it died on the way here: keep the place in the queue

    def give_back(self, conn: Connection) -> None:
        """A connection that finished an exchange and can serve another."""
        waiters = self._waiters
        while waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(conn)
                return
        conn.idle_since = conn.now()
        self._idle.append(conn)
        if self._sweeper is None:
            self._sweep_in(self._idle_s)

    def forget(self, conn: Connection) -> None:
        """A connection that is closed."""
        if conn in self._all:
            self._all.remove(conn)
            self._free_slot()

    def counts(self) -> tuple[int, int, int]:
        """Connections that are busy, and idle; and calls that wait for one."""
        idle = sum(not conn.closed for conn in self._idle)
        return len(self._all) - idle, idle, sum(not waiter.done() for waiter in self._waiters)

    def close(self) -> None:
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(self._closed_error())
        self._waiters.clear()
        for conn in tuple(self._all):
            conn.give_up()
        self._idle.clear()

    async def _open(self, timeouts: Timeouts) -> Connection:
        """Connect. The slot is ours already and is freed unless a connection takes it over."""
        try:
            conn = await self._dial(self, timeouts.connect_s)
        except BaseException:
            self._free_slot()
            raise
        if self._is_closed or conn.closed:
            conn.discard()
            self._free_slot()
            if self._is_closed:
                raise self._closed_error()
            raise ConnectFailed(f"{self.where} closed the connection at once", phase="connect", sent=False)
        self._all.add(conn)
        return conn

    async def _wait(self, seconds: float, *, first: bool) -> Connection | None:
        """A connection that was given back, or None: a free slot, now ours."""
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        if first:
            self._waiters.appendleft(waiter)
        else:
            self._waiters.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                return await waiter
        except BaseException as error:
            if not waiter.done() or waiter.cancelled():
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
            elif waiter.exception() is None:
                self._pass_on(waiter.result())
            if isinstance(error, TimeoutError):
                busy = f"{self.where}: all {self._max} connections were busy for {seconds:g} s"
                raise PoolTimeout(busy, phase="connect", sent=False) from None
            raise

    def _pass_on(self, gift: Connection | None) -> None:
        """What was granted to a waiter that left."""
        if gift is None:
            self._free_slot()
        elif not gift.closed:
            self.give_back(gift)

    def _free_slot(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._slots -= 1

    def _sweep_in(self, seconds: float) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(seconds, self._sweep)

    def _sweep(self) -> None:
        """Drop what has been idle for too long; come back when the next one is due."""
        self._sweeper = None
        now = asyncio.get_running_loop().time()
        count = 0
        for conn in self._idle:
            if not conn.closed and now - conn.idle_since < self._idle_s - 0.002:
                break
            count += 1
        old = self._idle[:count]
        del self._idle[:count]
        for conn in old:
            conn.discard()
        if self._idle:
            self._sweep_in(self._idle[0].idle_since + self._idle_s - now)

    def _closed_error(self) -> Closed:
        return Closed(f"{self.where}: the transport is closed", phase="connect", sent=False)
