"""Counters in shared memory: exact among workers, all or nothing, and right whoever dies when."""

import json
import stat
import subprocess
import sys
import time

import pytest
from tests.stores.racing import BUDGET, REQUESTS, RUNNING, TOKENS

from gatewright.limits import windows
from gatewright.limits.meters import US, Meter
from gatewright.limits.terms import Budget, Limit
from gatewright.stores import counters_table
from gatewright.stores.counters import Denied
from gatewright.stores.counters_shared import SharedCounters

NOW = time.time_ns() // 1000


def racer(*words) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "tests.stores.racing", *map(str, words)], stdout=subprocess.PIPE, text=True)


async def used(counters, *meters, now=None) -> list[int]:
    return [seen.used for seen in await counters.look(meters, time.time_ns() // 1000 if now is None else now)]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "counters"


async def test_all_levels_are_counted_or_none(folder):
    """A request that one level refuses uses up none of the others."""
    counters = SharedCounters(folder)
    team, key = Meter("team", "t", Limit(60, "requests", 2)), Meter("key", "k", Limit(60, "requests", 5))
    for _ in range(2):
        assert not isinstance(counters.reserve([(key, 1), (team, 1)], NOW), Denied)
    denied = counters.reserve([(key, 1), (team, 1)], NOW)
    assert isinstance(denied, Denied)
    assert denied.meter is team
    assert 59 * US < denied.wait_us <= 62 * US
    assert await used(counters, key, team, now=NOW) == [2, 2]


async def test_what_was_not_used_is_given_back_once(folder):
    """A second settlement of the same reservation changes nothing."""
    counters = SharedCounters(folder)
    held = counters.reserve([(BUDGET, 900), (TOKENS, 900)], NOW)
    counters.settle(held, [300, 1000], NOW)
    counters.settle(held, [0, 0], NOW)
    assert await used(counters, BUDGET, TOKENS, now=NOW) == [300, 1000]


async def test_an_extension_is_part_of_its_reservation(folder):
    """All or nothing again; and it is settled with it."""
    counters = SharedCounters(folder)
    budget = Meter("key", "x", Budget("total", 1000))
    held = counters.reserve([(budget, 400)], NOW)
    assert counters.extend(held, [400], NOW)
    assert not counters.extend(held, [400], NOW)
    assert held.reserved() == [800]
    assert await used(counters, budget, now=NOW) == [800]
    counters.settle(held, [100], NOW)
    assert await used(counters, budget, now=NOW) == [100]


async def test_what_was_counted_survives_a_restart(folder):
    """Of windows and budgets; what ran does not run any more."""
    first = SharedCounters(folder)
    first.reserve([(BUDGET, 900), (TOKENS, 70), (RUNNING, 1)], time.time_ns() // 1000)
    await first.close()
    second = SharedCounters(folder)
    assert await used(second, BUDGET, TOKENS, RUNNING) == [900, 70, 0]
    await second.close()


async def test_the_file_is_its_owners_alone(folder):
    """Nobody else is to see who spends how much, nor to change it."""
    counters = SharedCounters(folder)
    counters.reserve([(BUDGET, 1)], NOW)
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("what", ["budget", "tokens", "requests", "running"])
async def test_processes_that_race_never_pass_the_limit_and_can_use_nearly_all_of_it(folder, what):
    """Four processes, five hundred requests at once in each, of random cost: at most the limit, at least 97 % of it."""
    racers = [racer("spend", folder, what, 500, seed) for seed in range(4)]
    told = [json.loads(one.communicate(timeout=60)[0]) for one in racers]
    meter = {"budget": BUDGET, "requests": REQUESTS, "tokens": TOKENS, "running": RUNNING}[what]
    counters = SharedCounters(folder)
    if what == "running":
        assert 1 <= max(one["most"] for one in told) <= RUNNING.amount
        assert await used(counters, meter) == [0]
        return
    total = sum(one["used"] for one in told)
    assert meter.amount * 0.97 <= total <= meter.amount
    assert await used(counters, meter) == [total]


async def test_what_a_dead_worker_held_is_given_back(folder):
    """What it ran runs no more. What it may have spent stays spent: its provider may bill it."""
    counters = SharedCounters(folder)
    with racer("hold", folder) as one:
        assert one.stdout.readline() == "held\n"
        now = time.time_ns() // 1000
        assert isinstance(counters.reserve([(RUNNING, 5)], now), Denied)
        one.kill()
    later = now + 2 * US
    assert not isinstance(counters.reserve([(RUNNING, 5)], later), Denied)
    assert await used(counters, RUNNING, BUDGET, now=later) == [5, 700]


@pytest.mark.parametrize("what", ["reserve", "settle"])
def test_who_is_killed_within_the_lock_leaves_nothing_torn(folder, what):
    """Before any of its writes: the next one gets the lock, every total is the sum of its parts, and nothing is counted too low."""
    for writes in range(60):
        where = folder / str(writes)
        one = racer("die", where, what, writes)
        survived = one.communicate(timeout=60)[0]
        counters = SharedCounters(where)
        now = time.time_ns() // 1000
        got = counters.reserve([(BUDGET, 1), (TOKENS, 1), (RUNNING, 7)], now)
        assert not isinstance(got, Denied), "the dead held one that ran"
        words = counters._words
        tokens = counters._places[TOKENS]
        assert words[tokens + windows.TOTAL] == sum(words[tokens + windows.CELLS : tokens + windows.WORDS])
        assert words[counters._places[RUNNING] + windows.TOTAL] == 7
        spent = words[counters._places[BUDGET] + windows.TOTAL] - 1
        counted = words[tokens + windows.TOTAL] - 1
        if what == "settle":
            assert (spent, counted) in ((100, 0), (150, 50)), "all of the settlement or none of it"
        else:
            assert spent in (100, 200)
            assert counted in (0, 100)
        if survived:
            assert writes > 5
            return
    pytest.fail("it never got to the end")


async def test_a_full_table_reuses_what_is_idle_and_else_refuses(folder):
    """Never a limit that is not counted."""
    counters = SharedCounters(folder, slots=64)
    meters = [Meter("key", str(i), Limit(60, "requests", 5)) for i in range(64)]
    for meter in meters:
        assert not isinstance(counters.reserve([(meter, 1)], NOW), Denied)
    one_more = Meter("key", "more", Limit(60, "requests", 5))
    assert counters.reserve([(one_more, 1)], NOW) == Denied(None, windows.SOON_US)
    later = NOW + 70 * US
    busy = counters.reserve([(meters[7], 2)], later)
    others = [(Meter("key", f"new {i}", Limit(60, "requests", 5)), 1) for i in range(63)]
    got = counters.reserve(others, later)
    assert not isinstance(got, Denied)
    assert await used(counters, meters[7], *(meter for meter, _ in others), now=later) == [2] + [1] * 63
    assert counters.reserve([(one_more, 1)], later) == Denied(None, windows.SOON_US)
    counters.settle(busy, [0], later)


async def test_another_process_that_takes_a_slot_is_noticed(folder):
    """What one remembers of where a meter is may be another's meanwhile."""
    mine, others = SharedCounters(folder, slots=64), SharedCounters(folder, slots=64)
    old = Meter("key", "old", Limit(1, "requests", 100))
    mine.reserve([(old, 9)], NOW)
    later = NOW + 5 * US
    for i in range(64):
        others.reserve([(Meter("key", f"new {i}", Budget("total", 5)), 1)], later)
    assert mine.reserve([(old, 1)], later) == Denied(None, windows.SOON_US)


async def test_a_folder_that_cannot_be_used_closes_what_it_guards(tmp_path, caplog):
    """And the log says so once, and what to do."""
    (tmp_path / "file").write_text("")
    counters = SharedCounters(tmp_path / "file" / "counters")
    for _ in range(3):
        assert counters.reserve([(BUDGET, 1)], NOW) == Denied(None, windows.SOON_US)
    assert len(caplog.records) == 1


async def test_a_file_that_is_none_of_ours_is_begun_anew(folder):
    """A disk's accident must not close the gateway."""
    folder.mkdir()
    (folder / f"table-{counters_table.MAGIC & 0xFFFF}").write_bytes(b"x" * 100)
    counters = SharedCounters(folder)
    assert not isinstance(counters.reserve([(BUDGET, 1)], NOW), Denied)
    assert await used(counters, BUDGET, now=NOW) == [1]


async def test_the_ledgers_word_on_what_was_spent_is_taken(folder):
    """Of a period of the calendar and of one that rolls."""
    counters = SharedCounters(folder)
    rolling = Meter("key", "k", Budget("rolling", 1000, rolling_s=86_400))
    for meter in (BUDGET, rolling):
        counters.reserve([(meter, 400)], NOW)
        await counters.correct(meter, 250, NOW)
    assert await used(counters, BUDGET, rolling, now=NOW) == [250, 250]
