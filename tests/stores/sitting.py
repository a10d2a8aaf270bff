"""Processes that race for the same counters in batches: what tests of several workers start."""

import asyncio
import json
import random
import sys
import time
from pathlib import Path

from gatewright.limits.terms import Budget, Limit, Scope
from gatewright.pipeline.granted import Granted, Levels
from gatewright.stores import counters_batched, counters_batched_redis
from gatewright.stores.counters import Denied, Reserved
from gatewright.stores.counters_batched import BatchedCounters
from gatewright.stores.counters_batched_redis import BatchedRedisCounters

TOKENS = 200_000
SCOPE = Scope("team", "t", (Limit(86_400, "tokens", TOKENS), Limit(0, "concurrent", 50_000)))
WIDE = Scope("team", "w", (Limit(3600, "requests", 100_000),), (Budget("month", 10**9),))


def granted(*limits: Limit, budget: Budget = Budget("month", 10**9)) -> Granted:  # noqa: B008 - a frozen value
    return Levels().granted([Scope("team", "t", limits or WIDE.limits, (budget,))], ("m",))


class Client:
    """Takes seats as the stages do."""

    def __init__(self, counters: BatchedCounters | BatchedRedisCounters, kind: Granted) -> None:
        self.counters, self.kind = counters, kind
        self.waited = 0

    async def sit(self, writes: int, micros: int = 0, now: int | None = None) -> Reserved | Denied:
        now = time.time_ns() // 1000 if now is None else now
        batch = self.kind.batch
        if batch is not None and batch.free and now < batch.until and batch.fits(0, writes, micros):
            held = batch.sit()
            if batch.free == batch.low:
                self.counters.prepare(self.kind, 0, writes, micros)
            return held
        got = self.counters.open(self.kind, 0, writes, micros, now)
        if got is None:
            self.waited += 1
            got = await self.counters.wait(self.kind, 0, writes, micros, now)
        return got

    def leave(self, held: Reserved, writes: int, micros: int = 0) -> None:
        if held.batch is not None:
            held.batch.vacate(0, writes, micros)
        else:
            self.counters.settle(held, self.kind.used(0, writes, micros), time.time_ns() // 1000)


def counters_at(where: str) -> BatchedCounters | BatchedRedisCounters:
    if where.startswith("redis"):
        url, _, prefix = where.partition("#")
        return BatchedRedisCounters(url, prefix=prefix, deadline_s=5)  # the machine is busy
    return BatchedCounters(Path(where))


async def spend(where: str, seed: int) -> None:
    """Requests of random size, many at once, until none passes any more. Prints what they used, and how many sat in batches."""
    for file in (counters_batched, counters_batched_redis):  # how fast they come is the machine's matter
        file.seats_for = lambda *_: 64
    counters, chance = counters_at(where), random.Random(seed)
    client = Client(counters, Levels().granted([SCOPE], ("m",)))
    used = batched = 0

    async def one(most: int) -> bool:
        nonlocal used, batched
        held = await client.sit(most)
        if isinstance(held, Denied):
            assert held.meter is not None, "the counters could not say"
            return False
        batched += held.batch is not None
        if chance.random() < 0.5:
            await asyncio.sleep(chance.random() * 0.01)
        truth = chance.randint(most // 3, most)
        used += truth
        client.leave(held, truth)
        return True

    refused = 0
    until = time.monotonic() + 30
    while refused < 20 and time.monotonic() < until:
        passed = await asyncio.gather(*(one(chance.randint(6, 60 if refused < 3 else 10)) for _ in range(12)))
        refused = 0 if any(passed) else refused + 1
        if refused:
            counters.flush(time.time_ns() // 1000)
            await asyncio.sleep(0.02)
    await counters.close()
    print(json.dumps({"used": used, "batched": batched}))


async def sit(where: str) -> None:
    """Take seats until many are held in advance, and be killed with them."""
    client = Client(counters_at(where), Levels().granted([WIDE], ("m",)))
    made = 0
    while (batch := client.kind.batch) is None or batch.free < 20:
        held = await client.sit(0, 100)
        assert isinstance(held, Reserved)
        made += 1
    print(made, flush=True)
    await asyncio.sleep(60)


if __name__ == "__main__":
    order, place, *rest = sys.argv[1:]
    asyncio.run(sit(place) if order == "sit" else spend(place, int(rest[0])))
