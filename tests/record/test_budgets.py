"""Budgets against the ledger: a counter may be above it, and never below."""

import time

import pytest
from tests.plays.books import books
from tests.plays.cents import Cents
from tests.plays.scene import ask, providers, served
from tests.serving import KEY, answer, gateway, upstream

from gatewright import app
from gatewright.limits.meters import Meter
from gatewright.limits.terms import Budget
from gatewright.record.budgets import compare
from gatewright.stores import sql

DAY = Budget("day", 100_000_000_000)
MODEL = Budget("total", 100_000_000_000, models=("to-anthropic",))
ROLLING = Budget("rolling", 100_000_000_000, rolling_s=7200)


def now() -> int:
    return time.time_ns() // 1000


@pytest.fixture
async def spent(tmp_path, monkeypatch):
    """A gateway of which two requests have spent some of a budget, and its books in a database."""
    monkeypatch.setattr(app, "prices_of", Cents)
    async with (
        upstream() as up,
        gateway(providers(up.port) + "budgets: {everybody: [{per: day, dollars: 100000}]}\n", tmp_path) as gw,
    ):
        up.answers = [served("openai_chat"), served("anthropic"), [answer(b"{}", status=500)]]
        await ask(gw, "openai_chat", "to-openai_chat")
        await ask(gw, "openai_chat", "to-anthropic")
        await ask(gw, "openai_chat", "to-gemini", key=KEY)
        books(gw)
        gw.engine = gw.house.current.books.ingest.engine()
        gw.counters = gw.house.current.counters
        yield gw
        gw.engine.dispose()


async def test_what_was_spent_is_what_the_ledger_says(spent):
    """To the micro-dollar; what failed cost nothing in either."""
    found = await compare(spent.engine, spent.counters, [Meter("all", "", DAY)], now())
    assert (found.problems, found.notes, found.budgets) == ((), (), 1)
    (seen,) = await spent.counters.look([Meter("all", "", DAY)], now())
    assert seen.used == 2 * (10 * 10_000 + 5 * 100_000)


async def test_a_counter_below_the_ledger_is_a_disagreement_and_can_be_mended(spent):
    """It lets more be spent than was granted."""
    meter = Meter("all", "", DAY)
    await spent.counters.correct(meter, 7, now())
    found = await compare(spent.engine, spent.counters, [meter], now())
    assert len(found.problems) == 1
    assert "7 micro-dollars, the ledger 1200000" in found.problems[0]
    mended = await compare(spent.engine, spent.counters, [meter], now(), mend=True)
    assert (mended.problems, mended.mended) == ((), 1)
    assert (await compare(spent.engine, spent.counters, [meter], now())).notes == ()


async def test_a_counter_above_the_ledger_is_told_and_is_none(spent):
    """What a dead worker had reserved stays spent."""
    meter = Meter("all", "", DAY)
    await spent.counters.correct(meter, 5_000_000, now())
    found = await compare(spent.engine, spent.counters, [meter], now())
    assert found.problems == ()
    assert "5000000 micro-dollars, the ledger 1200000" in found.notes[0]


@pytest.mark.parametrize(
    ("meter", "micros"),
    [
        (Meter("key", "test", DAY), 1_200_000),
        (Meter("key", "another", DAY), 0),
        (Meter("team", "red", DAY), 0),
        (Meter("all", "", MODEL), 600_000),
        (Meter("all", "", ROLLING), 1_200_000),
    ],
    ids=["key", "another key", "team", "model", "rolling"],
)
async def test_each_level_has_its_own_requests(spent, meter, micros):
    """By who asked, and by what was asked for."""
    await spent.counters.correct(meter, micros, now())
    found = await compare(spent.engine, spent.counters, [meter], now())
    assert (found.problems, found.notes) == ((), ())


async def test_nothing_is_mended_while_requests_run(spent):
    """What they have reserved would be forgotten."""
    meter = Meter("all", "", DAY)
    with sql.writing(spent.engine) as connection:
        connection.exec_driver_sql("insert into in_flight (id) values ('runs')")
    await spent.counters.correct(meter, 7, now())
    found = await compare(spent.engine, spent.counters, [meter], now(), mend=True)
    assert found.mended == 0
    assert len(found.problems) == 1
