"""Counters in a Redis or Valkey: exact among machines, few round trips, and what becomes of them without it."""

import asyncio
import json
import socket
import subprocess
import sys
import time

import pytest
from redis.asyncio import Redis
from tests.redis_here import redis_url
from tests.stores.clock import now
from tests.stores.racing import BRIEFLY, BUDGET, DAILY, REQUESTS, RUNNING, TOKENS

from gatewright.limits.meters import US, Meter
from gatewright.limits.terms import Budget, Limit
from gatewright.stores import counters_wire
from gatewright.stores.counters import Denied, Reserved
from gatewright.stores.counters_redis import RedisCounters
from gatewright.stores.leases import MOST, SHARE


@pytest.fixture
async def counters(prefix):
    made = RedisCounters(redis_url(), prefix=prefix, deadline_s=5)
    yield made
    await made.close()


class Calls:
    """Counts the calls of the script."""

    def __init__(self, counters: RedisCounters) -> None:
        self.count = 0
        inner = counters._evaluated

        async def counted(*arguments):
            self.count += 1
            return await inner(*arguments)

        counters._evaluated = counted


async def got(counters, claims) -> Reserved | Denied:
    held = counters.reserve(claims, now())
    return await counters.ask(claims, now()) if held is None else held


async def used(counters, *meters) -> list[int]:
    return [seen.used for seen in await counters.look(meters, now())]


async def settled(counters) -> None:
    await asyncio.sleep(counters_wire.SETTLE_S * 2)
    while counters._changes or counters._sending or counters._tasks:
        await asyncio.sleep(0.01)


async def test_all_levels_are_counted_or_none(counters):
    """A request that one level refuses uses up none of the others; and which, and for how long, is told."""
    team, key = Meter("team", "t", Limit(60, "requests", 2)), Meter("key", "k", Limit(60, "requests", 5))
    for _ in range(2):
        assert isinstance(await got(counters, [(key, 1), (team, 1)]), Reserved)
    denied = await got(counters, [(key, 1), (team, 1)])
    assert isinstance(denied, Denied)
    assert denied.meter is team
    assert 58 * US < denied.wait_us <= 62 * US
    assert (await used(counters, team))[0] == 2


async def test_what_was_not_used_is_given_back_once(counters):
    """Or what was used beyond it is counted."""
    held = await got(counters, [(BUDGET, 900), (TOKENS, 900)])
    assert await used(counters, BUDGET, TOKENS) == [900, 900]
    counters.settle(held, [300, 1000], now())
    counters.settle(held, [0, 0], now())
    await settled(counters)
    assert await used(counters, BUDGET, TOKENS) == [300, 1000]


async def test_a_batch_that_is_sent_again_is_counted_once(counters):
    """The store may have counted what it did not get to answer."""
    held = await got(counters, [(BUDGET, 900)])
    inner, times = counters._evaluated, 0

    async def lost(*arguments):
        nonlocal times
        times += 1
        said = await inner(*arguments)
        if times == 1:
            raise TimeoutError
        return said

    counters._evaluated = lost
    counters.settle(held, [200], now())
    await asyncio.sleep(counters_wire.SETTLE_S * 2)
    await settled(counters)
    assert times >= 2
    assert await used(counters, BUDGET) == [200]


async def test_who_asks_in_the_same_turn_asks_together(counters):
    """A call each would cost more than all else that a request does."""
    meter = Meter("key", "k", Limit(1, "requests", 1000))
    calls = Calls(counters)
    held = await asyncio.gather(*(got(counters, [(meter, 1)]) for _ in range(50)))
    assert all(isinstance(one, Reserved) for one in held)
    assert calls.count == 1
    assert await used(counters, meter) == [50]


async def test_most_requests_are_served_from_a_lease(counters):
    """And never more than there is: what is leased is counted where all see it."""
    meter = Meter("key", "k", Limit(86_400, "requests", 1_000_000))
    calls = Calls(counters)
    for count in range(300):
        assert isinstance(await got(counters, [(meter, 1)]), Reserved)
        if count % 50 == 0:
            assert (await used(counters, meter))[0] >= count + 1
    assert calls.count < 300 / 4


async def test_near_a_limit_nothing_is_leased(counters, prefix):
    """All of it can be used, by whoever comes: not a unit is held for nobody."""
    meter = Meter("key", "k", Limit(86_400, "requests", 200))
    other = RedisCounters(redis_url(), prefix=prefix, deadline_s=5)
    passed = 0
    for one in [counters, other] * 150:
        passed += isinstance(await got(one, [(meter, 1)]), Reserved)
    assert 199 <= passed <= 200
    await other.close()


async def test_a_lease_that_nobody_uses_is_given_back(counters):
    """For others to use."""
    meter = Meter("key", "k", Limit(86_400, "requests", 1_000_000))
    for _ in range(40):
        await got(counters, [(meter, 1)])
    assert (await used(counters, meter))[0] > 40
    for _ in range(100):
        await asyncio.sleep(0.1)
        if await used(counters, meter) == [40]:
            return
    pytest.fail("it was kept")


async def test_leases_are_given_back_at_the_end(prefix):
    """A worker that stops leaves nothing booked but what was used."""
    meter = Meter("key", "k", Budget("month", 10**9))
    counters = RedisCounters(redis_url(), prefix=prefix, deadline_s=5)
    for _ in range(40):
        held = await got(counters, [(meter, 100)])
        counters.settle(held, [60], now())
    await counters.close()
    other = RedisCounters(redis_url(), prefix=prefix, deadline_s=5)
    assert await used(other, meter) == [2400]
    await other.close()


@pytest.mark.parametrize("what", ["budget", "tokens", "requests", "running"])
async def test_processes_that_race_never_pass_the_limit_and_can_use_nearly_all_of_it(prefix, what):
    """Four processes, as on one machine: at most the limit, at least 97 % of it."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.stores.racing", "spend", f"{redis_url()}#{prefix}", what, "500", str(seed)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(4)
    ]
    told = [json.loads((await asyncio.to_thread(one.communicate, timeout=60))[0]) for one in racers]
    meter = {"budget": BUDGET, "requests": REQUESTS, "tokens": TOKENS, "running": RUNNING}[what]
    counters = RedisCounters(redis_url(), prefix=prefix, deadline_s=5)
    if what == "running":
        assert 1 <= max(one["most"] for one in told) <= RUNNING.amount
        assert await used(counters, meter) == [0]
    else:
        total = sum(one["used"] for one in told)
        assert meter.amount * 0.97 <= total <= meter.amount
        assert await used(counters, meter) == [total]
    await counters.close()


async def test_an_extension_is_settled_with_its_reservation(counters, prefix):
    """All or nothing, as the reservation itself."""
    budget = Meter("key", "x", Budget("total", 1000))
    held = await got(counters, [(budget, 400)])
    assert await counters.ask_more(held, [400], now())
    assert not await counters.ask_more(held, [400], now())
    counters.settle(held, [100], now())
    await counters.close()
    other = RedisCounters(redis_url(), prefix=prefix, deadline_s=5)
    assert await used(other, budget) == [100]
    await other.close()


async def test_what_a_silent_worker_held_is_given_back(counters, prefix, monkeypatch):
    """Nobody else can know that it died."""
    dead = RedisCounters(redis_url(), prefix=prefix, deadline_s=5)
    await got(dead, [(RUNNING, 5)])
    assert isinstance(await got(counters, [(RUNNING, 5)]), Denied)
    dead._closed = True  # says nothing from now on
    await asyncio.sleep(0.05)
    monkeypatch.setattr(counters_wire, "SILENT_US", 20_000)
    assert isinstance(await got(counters, [(RUNNING, 5)]), Reserved)
    dead._closed = False
    await dead.close()


async def test_what_a_killed_worker_had_leased_does_not_stay_for_ever(counters, prefix, monkeypatch):
    """A real one, by SIGKILL: what it had in advance is little, ends with its window, and of a total budget there is none."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.stores.racing", "lease", f"{redis_url()}#{prefix}"], stdout=subprocess.PIPE, text=True
    ) as one:
        made = int(one.stdout.readline())
        one.kill()
    daily, briefly, total, running = await used(counters, DAILY, BRIEFLY, BUDGET, RUNNING)
    assert total == made * 100, "not leased at all"
    assert made * 100 < daily <= made * 100 + min(DAILY.amount // SHARE, MOST * 100)
    assert made <= briefly <= made + MOST
    assert running >= made
    monkeypatch.setattr(counters_wire, "SILENT_US", 20_000)
    end = time.monotonic() + 10
    while (found := await used(counters, DAILY, BRIEFLY, BUDGET, RUNNING)) != [daily, 0, total, 0]:
        assert time.monotonic() < end, found
        await asyncio.sleep(0.1)


async def test_workers_that_are_gone_are_forgotten(prefix, monkeypatch):
    """However many there were: who ended well at once, who was killed when another comes after a day."""
    async with Redis.from_url(redis_url()) as redis:

        async def known() -> list[int]:
            return [await redis.hlen(prefix + "alive"), await redis.hlen(prefix + "batches")]

        for _ in range(3):
            ends = RedisCounters(redis_url(), prefix=prefix, deadline_s=5)
            ends.settle(await got(ends, [(BUDGET, 5)]), [1], now())
            await ends.close()
        assert await known() == [0, 0]
        for _ in range(3):
            with subprocess.Popen(
                [sys.executable, "-m", "tests.stores.racing", "lease", f"{redis_url()}#{prefix}"],
                stdout=subprocess.PIPE,
                text=True,
            ) as one:
                one.stdout.readline()
                one.kill()
        assert (await known())[0] == 3
        for worker in await redis.hkeys(prefix + "alive"):
            await redis.hset(prefix + "batches", worker, 7)
        monkeypatch.setattr(counters_wire, "FORGOTTEN_US", 10_000)
        await asyncio.sleep(0.02)
        comes = RedisCounters(redis_url(), prefix=prefix, deadline_s=5)
        await got(comes, [(BUDGET, 5)])
        assert await known() == [1, 0]
        await comes.close()


async def test_the_ledgers_word_on_what_was_spent_is_taken(counters):
    """Of a period of the calendar and of one that rolls."""
    rolling = Meter("key", "k", Budget("rolling", 1000, rolling_s=86_400))
    for meter in (BUDGET, rolling):
        await got(counters, [(meter, 400)])
        await counters.correct(meter, 250, now())
    assert await used(counters, BUDGET, rolling) == [250, 250]


@pytest.mark.parametrize("answers", [False, True], ids=["gone", "silent"])
async def test_without_the_store_rates_pass_and_money_does_not(answers, caplog):
    """By default; within one deadline each, then at once; and the log says so once."""

    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    if not answers:
        listening.close()
    counters = RedisCounters(f"redis://127.0.0.1:{port}/0", deadline_s=0.3)
    held = await got(counters, [(TOKENS, 5), (REQUESTS, 1)])
    assert isinstance(held, Reserved)
    counters.settle(held, [5, 1], now())
    for _ in range(3):
        assert isinstance(await got(counters, [(TOKENS, 5), (BUDGET, 1)]), Denied)
    began = time.monotonic()
    for _ in range(100):
        assert (await got(counters, [(BUDGET, 1)])).meter is None
    assert time.monotonic() - began < 100 * counters.deadline_s / 2, "left alone"
    assert len(caplog.records) == 1
    await counters.close()
    listening.close()


async def test_an_operator_may_say_otherwise():
    """Both ways."""
    counters = RedisCounters("redis://127.0.0.1:1/0", open_when_down=frozenset(("money",)))
    assert isinstance(await got(counters, [(BUDGET, 1)]), Reserved)
    assert isinstance(await got(counters, [(TOKENS, 1)]), Denied)
    await counters.close()


async def test_what_was_settled_meanwhile_is_counted_when_the_store_is_back(counters):
    """Nothing that was used is forgotten."""
    held = await got(counters, [(BUDGET, 100)])
    inner, gone = counters._evaluated, True

    async def flaky(*arguments):
        if gone:
            raise ConnectionError
        return await inner(*arguments)

    counters._evaluated = flaky
    counters.settle(held, [150], now())
    await asyncio.sleep(0.1)
    gone = False
    await asyncio.sleep(counters_wire.TURN_S * 2)
    await settled(counters)
    assert await used(counters, BUDGET) == [150]


async def test_who_leaves_as_the_answer_comes_holds_nothing(counters):
    """In that very moment: it was granted, and nobody will settle it."""
    asking = asyncio.ensure_future(counters.ask([(RUNNING, 1), (BUDGET, 900)], now()))
    begun = counters._begun

    async def and_left(asks):
        await begun(asks)
        asking.cancel()

    counters._begun = and_left
    with pytest.raises(asyncio.CancelledError):
        await asking
    counters._begun = begun
    await settled(counters)
    assert await used(counters, RUNNING, BUDGET) == [0, 0]


async def test_a_long_deadline_is_kept_to(prefix):
    """Who lets requests wait for five seconds has them counted after two: they are not let through uncounted after one."""
    host, _, port = redis_url().partition("://")[2].partition("/")[0].rpartition(":")
    slow = asyncio.Event()

    async def relay(reader, writer, *, back: bool) -> None:
        while data := await reader.read(65536):
            if back and slow.is_set():
                slow.clear()
                await asyncio.sleep(1.5)
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader, writer) -> None:
        behind = await asyncio.open_connection(host, int(port))
        await asyncio.gather(relay(reader, behind[1], back=False), relay(behind[0], writer, back=True), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    counters = RedisCounters(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", prefix=prefix, deadline_s=20)
    counters.settle(await got(counters, [(TOKENS, 5)]), [5], now())
    await settled(counters)
    slow.set()
    held = await got(counters, [(TOKENS, 5), (REQUESTS, 1)])
    assert isinstance(held, Reserved)
    assert held.open
    assert await used(counters, REQUESTS) == [1]
    await counters.close()
    server.close()
