"""Requests that are reserved together: as exact as each alone, and nothing is kept from others for long."""

import asyncio
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.limits.terms import Budget, Limit, Scope
from gatewright.pipeline.granted import Granted, Levels
from gatewright.stores.counters import Denied, Reserved
from gatewright.stores.counters_batched import BatchedCounters
from gatewright.stores.counters_shared import SharedCounters

NOW = time.time_ns() // 1000
WIDE = (Limit(3600, "requests", 100_000), Limit(0, "concurrent", 50_000), Limit(3600, "tokens", 10_000_000))


def granted(*limits, budget: int = 1_000_000_000) -> Granted:
    return Levels().granted([Scope("team", "t", limits or WIDE, (Budget("month", budget),))], ("m",))


class Client:
    """Takes seats as the stage does."""

    def __init__(self, counters: BatchedCounters, kind: Granted) -> None:
        self.counters, self.kind = counters, kind

    def sit(self, micros: int, now: int = NOW) -> Reserved | Denied:
        batch = self.kind.batch
        if batch is not None and batch.free and now < batch.until and batch.reads >= 10 and batch.micros >= micros:
            batch.free -= 1
            return Reserved(batch.claims, batch.marks, batch.left, batch)
        return self.counters.open(self.kind, 10, 10, micros, now)

    def leave(self, held: Reserved, micros: int, now: int = NOW) -> None:
        if held.batch is not None:
            held.batch.vacate(10, 5, micros)
        else:
            self.counters.settle(held, self.kind.used(10, 5, micros), now)


async def used(counters, kind: Granted, now: int = NOW) -> dict[str, int]:
    found = await counters.look(kind.meters, now)
    return dict(zip((meter.unit for meter in kind.meters), (seen.used for seen in found), strict=True))


async def test_many_are_one_reservation(tmp_path):
    """The table is asked a few times for a thousand requests, and has the truth of all of them in the end."""
    counters, kind = BatchedCounters(tmp_path), granted()
    client, batches = Client(counters, kind), set()
    for _ in range(1000):
        held = client.sit(900)
        batches.add(id(kind.batch))
        client.leave(held, 300)
    assert await used(counters, kind) == {"micros": 300_000, "requests": 1000, "concurrent": 0, "tokens": 15_000}
    assert len(batches) < 40
    await counters.close()


async def test_what_runs_counts_at_its_most(tmp_path):
    """Until it ends, each seat that is taken stands for what it was reserved for; what is free does not."""
    counters, kind = BatchedCounters(tmp_path), granted()
    client = Client(counters, kind)
    held = [client.sit(1000) for _ in range(50)]
    assert any(one.batch is not None for one in held)
    assert await used(counters, kind) == {"micros": 50_000, "requests": 50, "concurrent": 50, "tokens": 1000}
    for one in held[:20]:
        client.leave(one, 100)
    assert await used(counters, kind) == {"micros": 32_000, "requests": 50, "concurrent": 30, "tokens": 900}
    for one in held[20:]:
        client.leave(one, 100)
    assert await used(counters, kind) == {"micros": 5000, "requests": 50, "concurrent": 0, "tokens": 750}


async def test_what_nobody_sits_in_goes_back_by_itself(tmp_path):
    """Another worker need not wait for the seats of one that has fallen silent."""
    counters, kind, other = BatchedCounters(tmp_path), granted(), SharedCounters(tmp_path)
    client = Client(counters, kind)
    now = time.time_ns() // 1000
    for _ in range(33):
        client.leave(client.sit(1000, now), 1000, now)
    assert kind.batch.free
    deadline = time.monotonic() + 10
    while (await used(other, kind, now))["micros"] != 33_000:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    await counters.close()
    await other.close()


async def test_where_little_is_left_each_asks_for_itself(tmp_path):
    """A small limit is not divided among batches: the last request that fits passes, and the next one does not."""
    counters, kind = BatchedCounters(tmp_path), granted(Limit(3600, "requests", 200))
    client = Client(counters, kind)
    held = [client.sit(10) for _ in range(201)]
    assert sum(isinstance(one, Reserved) for one in held) == 200
    assert isinstance(held[-1], Denied)
    assert held[-1].meter.unit == "requests"


async def test_its_own_free_seats_keep_nobody_out(tmp_path):
    """Seats for one model are given back before a request for another is refused."""
    levels = Levels()
    scope = Scope("team", "t", (Limit(3600, "requests", 10_000),))
    first, second = levels.granted([scope], ("a",)), levels.granted([scope], ("b",))
    counters = BatchedCounters(tmp_path)
    clients = Client(counters, first), Client(counters, second)
    passed = 0
    for i in range(10_000):
        passed += isinstance(clients[i % 2].sit(0), Reserved)
    assert passed == 10_000
    assert isinstance(clients[0].sit(0), Denied)


async def test_one_that_needs_more_than_a_seat_has_one_of_its_own(tmp_path):
    """What a seat is for is its most; a dearer request is reserved for at its own."""
    counters, kind = BatchedCounters(tmp_path), granted()
    client = Client(counters, kind)
    for _ in range(20):
        client.leave(client.sit(100), 100)
    dear = client.sit(50_000)
    assert (await used(counters, kind))["micros"] >= 20 * 100 + 50_000
    client.leave(dear, 40_000)
    assert (await used(counters, kind))["micros"] == 20 * 100 + 40_000


async def test_an_extended_one_settles_alone(tmp_path):
    """A stream that grew beyond its reservation is settled by itself, and its seat is counted no more."""
    counters, kind = BatchedCounters(tmp_path), granted()
    client = Client(counters, kind)
    held = [client.sit(100) for _ in range(40)]
    grown = next(one for one in held if one.batch is not None)
    assert counters.extend(grown, kind.more(100, 5000), NOW)
    grown.batch.withdraw()
    counters.settle(grown, kind.used(10, 100, 4000), NOW)
    for one in held:
        if one is not grown:
            client.leave(one, 100)
    assert (await used(counters, kind))["micros"] == 39 * 100 + 4000
    counters.flush(NOW)
    assert all(batch.size == 0 for batch in counters._live)


async def test_a_batch_ends_with_its_sub_bucket(tmp_path):
    """No seat is taken after the time under which it was counted: a window holds no more than it says, wherever it begins."""
    kind, counters = granted(Limit(60, "requests", 100_000)), BatchedCounters(tmp_path)
    client = Client(counters, kind)
    start = NOW - NOW % 1_000_000
    for i in range(600):
        held = client.sit(0, start + i * 10_000)
        client.leave(held, 0, start + i * 10_000)
        assert held.batch is None or start + i * 10_000 < held.batch.until
        if held.batch is not None:
            assert held.marks[-1] == (start + i * 10_000) // kind.meters[-1].width
    assert (await used(counters, kind, start + 6_000_000))["requests"] == 600


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 30), bound=st.integers(1, 400_000), workers=st.integers(1, 4))
def test_never_more_than_was_granted(seed, bound, workers, tmp_path_factory):
    """Whatever comes at several workers in whatever order, what is let through stays within, and what is counted is the truth."""
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("counters")
    each = [BatchedCounters(folder) for _ in range(workers)]
    clients = [Client(counters, granted(WIDE[0], budget=bound)) for counters in each]
    running: list[tuple[Client, Reserved, int]] = []
    spent, now = 0, NOW
    for _ in range(400):
        now += chance.randrange(3000)
        if running and chance.random() < 0.5:
            client, held, most = running.pop(chance.randrange(len(running)))
            truth = chance.randint(0, most)
            spent += truth
            client.leave(held, truth, now)
        else:
            client, most = chance.choice(clients), chance.choice((10, 900, 5000))
            held = client.sit(most, now)
            if isinstance(held, Reserved):
                running.append((client, held, most))
        assert spent + sum(most for _, _, most in running) <= bound
    for client, held, most in running:
        spent += most
        client.leave(held, most, now)
    for counters in each:
        counters.flush(now)
    budget = next(meter for meter in clients[0].kind.meters if isinstance(meter.term, Budget))
    assert asyncio.run(each[0].look([budget], now))[0].used == spent


async def test_a_budget_that_never_ends_is_not_reserved_in_advance(tmp_path):
    """What a killed worker had taken of it would be lost for ever."""
    counters = BatchedCounters(tmp_path)
    client = Client(counters, Levels().granted([Scope("team", "t", WIDE, (Budget("total", 1_000_000_000),))], ("m",)))
    assert all(client.sit(10).batch is None for _ in range(50))


@pytest.mark.parametrize("a_second", [1, 9])
async def test_few_requests_are_not_batched(tmp_path, a_second):
    """Who asks now and then holds nothing in advance."""
    counters, kind = BatchedCounters(tmp_path), granted()
    client = Client(counters, kind)
    for i in range(20):
        now = NOW + i * 1_000_000 // a_second
        held = client.sit(1000, now)
        assert held.batch is None
        client.leave(held, 1000, now)


async def test_a_new_sub_bucket_begins_with_as_many_seats_as_the_last_one(tmp_path):
    """The last batch of a sub-bucket is small; who comes at a steady rate asks the table hardly more than once in each."""
    kind, counters = granted(Limit(1, "requests", 10_000_000)), BatchedCounters(tmp_path)
    client, start = Client(counters, kind), NOW - NOW % 1_000_000
    width, batches = kind.shortest, []
    for i in range(20_000):
        now = start + i * 80
        client.leave(client.sit(0, now), 0, now)
        if kind.batch is not (batches[-1] if batches else None):
            batches.append(kind.batch)
    buckets = 20_000 * 80 // width
    assert len(batches) < buckets * 3 // 2
    await counters.close()


async def test_who_is_refused_again_and_again_costs_others_nothing(tmp_path):
    """Seats of keys that share no limit with it stay where they are."""
    counters, levels = BatchedCounters(tmp_path), Levels()
    kind = levels.granted([Scope("key", "busy", WIDE)], ("m",))
    client = Client(counters, kind)
    for _ in range(33):
        client.leave(client.sit(0), 0)
    free = kind.batch.free
    assert free
    poor = Client(counters, levels.granted([Scope("key", "poor", (Limit(3600, "requests", 1),))], ("m",)))
    poor.sit(0)
    assert all(isinstance(poor.sit(0), Denied) for _ in range(20))
    assert kind.batch.free == free
    await counters.close()
