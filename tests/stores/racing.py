"""Processes that race for the same counters: what tests of several workers start."""

import asyncio
import fcntl
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from gatewright.limits.meters import US, Meter
from gatewright.limits.terms import Budget, Limit
from gatewright.stores.counters import Counters, Denied
from gatewright.stores.counters_shared import SharedCounters

BUDGET = Meter("team", "t", Budget("total", 1_000_000))
REQUESTS = Meter("key", "k", Limit(3600, "requests", 300))
TOKENS = Meter("key", "k", Limit(3600, "tokens", 500_000))
RUNNING = Meter("key", "k", Limit(0, "concurrent", 7))


def counters_at(where: str) -> Counters:
    if where.startswith("redis"):
        from gatewright.stores.counters_redis import RedisCounters  # noqa: PLC0415 - an extra

        url, _, prefix = where.partition("#")
        return RedisCounters(url, prefix=prefix, deadline_s=5)  # the machine is busy
    return SharedCounters(Path(where))


async def spend(where: str, what: str, count: int, seed: int) -> None:
    """`count` requests of random cost, many at once: reserve an upper estimate, then settle with the truth. Prints what was used."""
    counters, random_ = counters_at(where), random.Random(seed)
    meter = {"budget": BUDGET, "requests": REQUESTS, "tokens": TOKENS, "running": RUNNING}[what]
    used = refused = most = running = 0

    async def one() -> None:
        nonlocal used, refused, most, running
        upper = random_.randint(200, 6000) if what in ("budget", "tokens") else 1
        claims = [(meter, upper)]
        now = time.time_ns() // 1000
        held = counters.reserve(claims, now)
        if held is None:
            held = await counters.ask(claims, now)
        if isinstance(held, Denied):
            assert held.meter is not None, "the counters could not say"
            refused += 1
            return
        running += 1
        most = max(most, running)
        await asyncio.sleep(random_.random() * 0.01)
        running -= 1
        truth = random_.randint(upper // 3, upper) if what in ("budget", "tokens") else 0 if what == "running" else 1
        used += truth
        counters.settle(held, [truth], time.time_ns() // 1000)

    comes_back = what in ("budget", "tokens")  # who was refused for the sake of others' estimates
    idle = 0
    while count > 0 and idle < 20 and time.monotonic() < DEADLINE:
        before, refused = used, 0
        together = min(count, 500)
        await asyncio.gather(*(one() for _ in range(together)))
        count -= together - (refused if comes_back else 0)
        idle = 0 if used > before else idle + 1
    await asyncio.sleep(0.05)
    await counters.close()
    print(json.dumps({"used": used, "most": most}))


DEADLINE = time.monotonic() + 20.0


async def hold(where: str) -> None:
    """Hold three that run and 700 of the budget, and be killed with them."""
    counters = counters_at(where)
    claims = [(RUNNING, 3), (BUDGET, 700)]
    held = counters.reserve(claims, time.time_ns() // 1000)
    if held is None:
        held = await counters.ask(claims, time.time_ns() // 1000)
    print("held", flush=True)
    await asyncio.sleep(60)
    assert held


class _Deadly:
    """Words that kill whoever makes the nth write to them."""

    def __init__(self, words: memoryview, writes: int) -> None:
        self.words = words
        self.writes = writes

    def __getitem__(self, at):
        return self.words[at]

    def __len__(self) -> int:
        return len(self.words)

    def __setitem__(self, at, value) -> None:
        if not self.writes:
            os.kill(os.getpid(), signal.SIGKILL)
        self.writes -= 1
        self.words[at] = value


DAILY = Meter("team", "t", Budget("day", 1_000_000))
BRIEFLY = Meter("team", "t", Limit(2, "requests", 10_000))
LEASED = ((DAILY, 100), (BRIEFLY, 1), (BUDGET, 100), (RUNNING, 1))


async def lease(where: str) -> None:
    """Ask so often that more is leased, settle none of it, and be killed with that."""
    counters = counters_at(where)
    made = 0
    while made < 6:
        now = time.time_ns() // 1000
        held = counters.reserve(LEASED, now) or await counters.ask(LEASED, now)
        assert not isinstance(held, Denied)
        made += 1
    print(made, flush=True)
    await asyncio.sleep(60)


def stop(where: str) -> None:
    """Be stopped within the lock, as by a debugger or a frozen container; go on when continued, until killed."""
    counters = SharedCounters(Path(where))
    counters.reserve([(BUDGET, 1)], time.time_ns() // 1000)
    fcntl.flock(counters._file, fcntl.LOCK_EX)
    print("stopped", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    fcntl.flock(counters._file, fcntl.LOCK_UN)
    print("gone on", flush=True)
    time.sleep(60)


def die(where: str, what: str, writes: int) -> None:
    """Be killed within the lock, before the nth write of a reservation or a settlement; if it has no more, end well."""
    counters, now = SharedCounters(Path(where)), time.time_ns() // 1000
    claims = [(BUDGET, 100), (TOKENS, 100), (RUNNING, 1)]
    held = counters.reserve(claims, now - 61 * 60 * US)
    assert not isinstance(held, Denied)
    counters._words = _Deadly(counters._words, writes)
    if what == "reserve":
        counters.reserve(claims, now)
    else:
        counters.settle(held, [150, 150, 0], now)
    print("survived")
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    order, *rest = sys.argv[1:]
    if order == "spend":
        asyncio.run(spend(rest[0], rest[1], int(rest[2]), int(rest[3])))
    elif order == "lease":
        asyncio.run(lease(rest[0]))
    elif order == "stop":
        stop(rest[0])
    elif order == "hold":
        asyncio.run(hold(rest[0]))
    else:
        die(rest[0], rest[1], int(rest[2]))
