"""Batches of counters in a Redis: as exact as each request alone, hardly anybody waits, and nothing is kept for nobody."""

import asyncio
import json
import random
import socket
import subprocess
import sys
import time

import pytest
from tests.redis_here import redis_url
from tests.stores.clock import now
from tests.stores.sitting import SCOPE, TOKENS, WIDE, Client, granted

from gatewright.limits.terms import Budget, Limit, Scope
from gatewright.pipeline.granted import Levels
from gatewright.stores import counters_batch, counters_batched_redis
from gatewright.stores.counters import Denied, Reserved
from gatewright.stores.counters_batch import MOST, SHARE_BITS
from gatewright.stores.counters_batched_redis import BatchedRedisCounters


@pytest.fixture
async def counters(prefix):
    made = BatchedRedisCounters(redis_url(), prefix=prefix, deadline_s=5)
    yield made
    await made.close()


@pytest.fixture
async def other(prefix):
    """Another worker."""
    made = BatchedRedisCounters(redis_url(), prefix=prefix, deadline_s=5)
    yield made
    await made.close()


def counted(counters) -> list[int]:
    """Grows by the requests of each call of the script."""
    calls, inner = [], counters._call

    async def call(asks, **more):
        if asks:
            calls.append(len(asks))
        return await inner(asks, **more)

    counters._call = call
    return calls


async def used(counters, kind) -> dict[str, int]:
    """Without what it has leased: whoever was counted by itself may have left some of that."""
    for lease in counters._leases.values():
        counters._change(lease.meter, lease.mark, -lease.left)
        lease.left = 0
    counters.flush(now())
    while counters._changes or counters._sending or counters._tasks:
        await asyncio.sleep(0.005)
    found = await counters.look(kind.meters, now())
    return dict(zip((meter.unit for meter in kind.meters), (seen.used for seen in found), strict=True))


async def busy(client: Client) -> list[Reserved]:
    """Those who sit when there are seats for others, too."""
    held: list[Reserved] = []
    until = time.monotonic() + 20
    while client.kind.batch is None or client.kind.batch.free < 3:
        assert time.monotonic() < until
        held.append(await client.sit(10, 1000))
    return held


async def test_many_are_one_reservation(counters):
    """The store is asked a few times for two thousand requests, and has the truth of all of them in the end."""
    kind = granted(Limit(3600, "requests", 10**6), Limit(0, "concurrent", 10**6), Limit(3600, "tokens", 10**9))
    client, calls = Client(counters, kind), counted(counters)
    for i in range(2000):
        client.leave(await client.sit(10, 900), 5, 300)
        if i % 10 == 9:
            await asyncio.sleep(0)
    assert len(calls) < 200
    assert await used(counters, kind) == {"micros": 600_000, "requests": 2000, "concurrent": 0, "tokens": 10_000}


async def test_who_waits_together_sits_together(counters):
    """One reservation for all of them, and not one each."""
    client = Client(counters, granted())
    await asyncio.gather(*(client.sit(10, 1000) for _ in range(5)))
    while client.kind.batch.free:
        client.kind.batch.sit()
    calls = counted(counters)
    held = await asyncio.gather(*(client.sit(10, 1000) for _ in range(50)))
    assert calls == [1]
    assert all(one.batch is held[0].batch for one in held)


async def test_the_next_batch_comes_before_it_is_needed(counters, monkeypatch):
    """Who comes at a steady rate waits for none but the first ones."""
    monkeypatch.setattr(counters_batched_redis, "seats_for", lambda *_: 256)  # how fast they come is the machine's matter
    monkeypatch.setattr(counters_batch, "TICK_S", 1000)
    client = Client(counters, granted())
    for one in await busy(client):
        client.leave(one, 5, 500)
    batches, waited = [client.kind.batch], client.waited
    for _ in range(3000):
        if client.kind.batch is not batches[-1]:
            batches.append(client.kind.batch)
        client.leave(await client.sit(10, 1000), 5, 500)
        while client.kind.coming.asked or client.kind.coming.flying:  # nobody else comes as long as that takes
            await asyncio.sleep(0)
        if client.kind.batch.until <= now():  # another sub-bucket: somebody must wait
            waited += 1
    assert len(batches) > 3
    assert client.waited - waited <= 10


async def test_what_runs_counts_at_its_most(counters, other):
    """Until it ends, each seat that is taken stands for what it was reserved for; what is free does not."""
    client = Client(counters, granted(Limit(3600, "tokens", 10_000_000)))
    held = await busy(client)
    n = len(held)
    assert await used(counters, client.kind) == {"micros": n * 1000, "tokens": n * 10}
    for one in held[: n // 2]:
        client.leave(one, 5, 100)
    counters.flush(now())
    rest = n - n // 2
    assert await used(counters, client.kind) == {"micros": rest * 1000 + n // 2 * 100, "tokens": rest * 10 + n // 2 * 5}
    for one in held[n // 2 :]:
        client.leave(one, 5, 100)
    assert await used(counters, client.kind) == {"micros": n * 100, "tokens": n * 5}


async def test_what_nobody_sits_in_goes_back_by_itself(counters, other):
    """Another worker need not wait for the seats of one that has fallen silent."""
    client = Client(counters, granted())
    held = await busy(client)
    for one in held:
        client.leave(one, 10, 1000)
    deadline = time.monotonic() + 10  # leases are given back by themselves, too
    while (await used(other, client.kind))["micros"] != 1000 * len(held):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_where_little_is_left_each_asks_for_itself(counters, other):
    """A small limit is not divided among batches: the last request that fits passes, and the next one does not."""
    clients = [Client(one, granted(Limit(3600, "requests", 200))) for one in (counters, other)]
    held = [await clients[i % 2].sit(1, 1) for i in range(230)]
    assert sum(isinstance(one, Reserved) for one in held) >= 199
    assert sum(isinstance(one, Reserved) for one in held) <= 200
    assert isinstance(held[-1], Denied)
    assert held[-1].meter.unit == "requests"


async def test_its_own_free_seats_keep_nobody_out(counters):
    """Seats for one model are given back before a request for another is refused."""
    levels = Levels()
    scope = Scope("team", "t", (Limit(3600, "requests", 3000),))
    clients = [Client(counters, levels.granted([scope], (name,))) for name in "ab"]
    passed = 0
    for i in range(3000):
        passed += isinstance(await clients[i % 2].sit(0), Reserved)
    assert passed == 3000
    assert isinstance(await clients[0].sit(0), Denied)


async def test_one_that_needs_more_than_a_seat_has_one_of_its_own(counters):
    """What a seat is for is its most; a dearer request is reserved for at its own."""
    client = Client(counters, granted())
    n = 0
    for one in await busy(client):
        client.leave(one, 10, 1000)
        n += 1
    dear = await client.sit(10, 50_000)
    assert (await used(counters, client.kind))["micros"] >= n * 1000 + 50_000
    client.leave(dear, 10, 40_000)
    assert (await used(counters, client.kind))["micros"] == n * 1000 + 40_000


async def test_a_budget_that_never_ends_is_not_reserved_in_advance(counters):
    """What a killed worker had of it would be lost for ever."""
    client = Client(counters, granted(budget=Budget("total", 10**9)))
    held = await asyncio.gather(*(client.sit(10, 10) for _ in range(60)))
    held += [await client.sit(10, 10) for _ in range(60)]
    assert all(one.batch is None for one in held)


async def test_a_short_window_has_seats_for_those_who_wait_alone(counters):
    """It would be over before others come; but those who are there are one reservation."""
    client = Client(counters, granted(Limit(1, "requests", 10**6)))
    await client.sit(10, 10)
    calls = counted(counters)
    held = await asyncio.gather(*(client.sit(10, 10) for _ in range(60)))
    assert calls == [1]
    assert all(one.batch is held[0].batch for one in held)
    assert client.kind.batch.free == 0
    assert (await used(counters, client.kind))["micros"] == 61 * 10


async def test_who_leaves_while_waiting_holds_no_seat(counters):
    """Before the answer, or in the moment in which it comes."""
    client = Client(counters, granted())
    n = 0
    for one in await busy(client):
        client.leave(one, 10, 1000)
        n += 1
    counters.flush(now())
    before, at_once = [asyncio.ensure_future(client.sit(10, 1000)) for _ in range(4)], []
    inner = counters._begun

    async def and_left(asks):
        await inner(asks)
        asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, at_once[0].cancel)

    counters._begun = and_left
    at_once += [asyncio.ensure_future(client.sit(10, 1000)) for _ in range(4)]
    await asyncio.sleep(0)
    before[0].cancel()
    done = await asyncio.gather(*before, *at_once, return_exceptions=True)
    counters._begun = inner
    sat = [one for one in done if isinstance(one, Reserved)]
    assert isinstance(done[0], asyncio.CancelledError)
    for one in sat:
        client.leave(one, 10, 1000)
    counters.flush(now())
    assert (await used(counters, client.kind))["micros"] == (n + len(sat)) * 1000


async def test_without_the_store_who_waits_waits_one_deadline(counters, caplog):
    """Then money is closed and rates are open; and nobody waits for ever."""
    client, rates = Client(counters, granted()), Client(counters, Levels().granted([Scope("key", "k", WIDE.limits)], ("m",)))
    for one in (client, rates):
        await busy(one)
        one.kind.batch.free = 0
    counters.deadline_s = 0.05

    async def silent(*_):
        await asyncio.sleep(30)

    inner, counters._evaluated = counters._evaluated, silent
    began = time.monotonic()
    held = await asyncio.gather(*(client.sit(10, 1000) for _ in range(20)), *(rates.sit(10, 1000) for _ in range(20)))
    assert time.monotonic() - began < 5
    assert all(isinstance(one, Denied) and one.meter is None for one in held[:20])
    assert all(isinstance(one, Reserved) and not one.open for one in held[20:])
    counters._evaluated = inner
    for task in counters._tasks:
        task.cancel()


async def test_a_batch_that_comes_too_late_is_given_back(counters, other):
    """Nobody sits in it any more."""
    client = Client(counters, granted())
    held = await busy(client)
    client.kind.batch.free, client.kind.batch.size = 0, client.kind.batch.size - client.kind.batch.free
    kept = client.kind.batch.made - len([one for one in held if one.batch is client.kind.batch])
    counters.deadline_s, inner, gate = 0.01, counters._evaluated, asyncio.Event()

    async def late(*arguments):
        said = await inner(*arguments)
        await gate.wait()
        return said

    counters._evaluated = late
    got = await asyncio.gather(*(client.sit(10, 1000) for _ in range(20)))
    assert all(isinstance(one, Denied) for one in got)
    counters._evaluated = inner
    gate.set()
    deadline = time.monotonic() + 10
    while (await used(other, client.kind))["micros"] != (len(held) + kept) * 1000:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("seed", range(6))
async def test_never_more_than_was_granted(prefix, seed):
    """Whatever comes at several workers in whatever order, what is let through stays within, and what is counted is the truth."""
    chance = random.Random(seed)
    bound = chance.randint(1, 2_000_000)
    each = [BatchedRedisCounters(redis_url(), prefix=prefix, deadline_s=5) for _ in range(3)]
    clients = [Client(counters, granted(budget=Budget("month", bound))) for counters in each]
    running: list[tuple[Client, Reserved, int]] = []
    spent = 0

    async def come(client: Client, most: int) -> None:
        held = await client.sit(1, most)
        if isinstance(held, Reserved):
            running.append((client, held, most))

    for _ in range(60):
        await asyncio.gather(
            *(come(chance.choice(clients), chance.choice((10, 900, 5000))) for _ in range(chance.choice((1, 3, 30))))
        )
        assert spent + sum(most for _, _, most in running) <= bound
        while running and chance.random() < 0.9:
            client, held, most = running.pop(chance.randrange(len(running)))
            truth = chance.randint(0, most)
            spent += truth
            client.leave(held, truth and 1, truth)
    for client, held, most in running:
        spent += most
        client.leave(held, 1, most)
    for counters in each:
        await counters.close()
    reads = BatchedRedisCounters(redis_url(), prefix=prefix, deadline_s=5)
    assert (await used(reads, clients[0].kind))["micros"] == spent
    await reads.close()


@pytest.mark.parametrize("where", ["embedded", "redis"])
async def test_processes_that_race_in_batches_never_pass_the_limit(prefix, tmp_path, where):
    """Four processes, as on one machine: at most the limit, at least 97 % of it, and most of it in batches."""
    place = f"{redis_url()}#{prefix}" if where == "redis" else str(tmp_path)
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.stores.sitting", "spend", place, str(seed)], stdout=subprocess.PIPE, text=True
        )
        for seed in range(4)
    ]
    told = [json.loads((await asyncio.to_thread(one.communicate, timeout=90))[0]) for one in racers]
    assert TOKENS * 0.97 <= sum(one["used"] for one in told) <= TOKENS
    assert sum(one["batched"] for one in told) > 500
    if where == "redis":
        reads = BatchedRedisCounters(redis_url(), prefix=prefix, deadline_s=5)
        assert await used(reads, Levels().granted([SCOPE], ("m",))) == {
            "tokens": sum(one["used"] for one in told),
            "concurrent": 0,
        }
        await reads.close()


async def test_what_a_killed_worker_had_in_advance_is_little(counters, prefix):
    """A real one, by SIGKILL: no more than a 256th of what was left is kept from others."""
    place = f"{redis_url()}#{prefix}"
    with subprocess.Popen([sys.executable, "-m", "tests.stores.sitting", "sit", place], stdout=subprocess.PIPE, text=True) as one:
        made = int(one.stdout.readline())
        one.kill()
    found = await used(counters, Levels().granted([WIDE], ("m",)))
    assert made + 20 <= found["requests"] <= made + (WIDE.limits[0].amount >> SHARE_BITS) * 2
    assert found["micros"] <= (made + 2 * MOST) * 100


async def test_without_any_store_nothing_is_kept_waiting():
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    counters = BatchedRedisCounters(f"redis://127.0.0.1:{port}/0")
    client = Client(counters, granted())
    for _ in range(5):
        assert all(isinstance(one, Denied) for one in await asyncio.gather(*(client.sit(1, 1) for _ in range(20))))
    await counters.close()
