"""A worker that is stopped within the lock of the shared counters: the others wait for it once and briefly, and go on."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from tests.stores.racing import BUDGET, REQUESTS, RUNNING

from gatewright.limits.windows import SOON_US
from gatewright.stores.counters import Denied
from gatewright.stores.counters_lock import OPEN_S, SHORT_S, TRY, WAIT_S, Patience
from gatewright.stores.counters_shared import SharedCounters

DENIED = Denied(None, SOON_US)


@contextmanager
def stopped(folder):
    """A real process that was sent SIGSTOP while it held the lock."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.stores.racing", "stop", str(folder)], stdout=subprocess.PIPE, text=True
    ) as one:
        assert one.stdout.readline() == "stopped\n"
        _, status = os.waitpid(one.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        try:
            yield one
        finally:
            one.kill()


def now() -> int:
    return time.time_ns() // 1000


async def used(counters, *meters) -> list[int]:
    return [seen.used for seen in await counters.look(meters, now())]


async def test_a_stopped_worker_holds_nobody_up(tmp_path, caplog):
    """One wait, and then none worth the name; rates pass uncounted, money is kept, and the log tells once."""
    counters = SharedCounters(tmp_path)
    counters.reserve([(REQUESTS, 1)], now())
    with stopped(tmp_path):
        began = time.monotonic()
        assert counters.reserve([(BUDGET, 1)], now()) == DENIED
        assert time.monotonic() - began < 2 * WAIT_S
        began = time.monotonic()
        for _ in range(50):
            assert counters.reserve([(BUDGET, 1), (REQUESTS, 1)], now()) == DENIED
            passed = counters.reserve([(REQUESTS, 1), (RUNNING, 1)], now())
            assert not isinstance(passed, Denied)
            assert not passed.open
            counters.settle(passed, [1, 0], now())
            assert counters.extend(passed, [1, 0], now())
        assert time.monotonic() - began < WAIT_S
        assert await counters.look([REQUESTS], now()) is None
        assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert await used(counters, REQUESTS, RUNNING) == [1, 0], "the kernel freed the lock of the dead"
    assert "the shared counters are back" in caplog.text
    await counters.close()


async def test_what_ends_meanwhile_is_settled_afterwards(tmp_path):
    """What was reserved stays counted until then: too strict for a while, and never lost."""
    counters = SharedCounters(tmp_path, open_when_down=frozenset(("rates", "money")))
    held = [counters.reserve([(BUDGET, 1000), (RUNNING, 1)], now()) for _ in range(3)]
    with stopped(tmp_path) as one:
        for one_held in held:
            counters.settle(one_held, [100, 0], now())
        counters.settle(held[0], [0, 0], now())
        assert not isinstance(counters.reserve([(BUDGET, 1)], now()), Denied)
        os.kill(one.pid, signal.SIGCONT)
        assert one.stdout.readline() == "gone on\n"
        end = time.monotonic() + 5
        while await used(counters, BUDGET, RUNNING) != [1 + 3 * 100, 0]:
            assert time.monotonic() < end
            await asyncio.sleep(0.01)
    await counters.close()


async def test_a_worker_that_starts_meanwhile_is_not_held_up_either(tmp_path):
    """It refuses what is limited until it can open the counters, and then does."""
    with stopped(tmp_path):
        counters = SharedCounters(tmp_path)
        began = time.monotonic()
        for _ in range(20):
            assert counters.reserve([(BUDGET, 1)], now()) == DENIED
        assert time.monotonic() - began < 2 * OPEN_S
    assert not isinstance(counters.reserve([(BUDGET, 1)], now()), Denied)
    await counters.close()


async def test_closing_settles_what_waited(tmp_path):
    """Of a worker that ends as soon as the other goes on."""
    counters = SharedCounters(tmp_path)
    held = counters.reserve([(BUDGET, 1000)], now())
    with stopped(tmp_path):
        counters.settle(held, [100], now())
    await counters.close()
    other = SharedCounters(tmp_path)
    assert await used(other, BUDGET) == [101]
    await other.close()


@pytest.mark.parametrize("free_after", [0.0, 0.02])
def test_the_lock_is_had_as_soon_as_it_is_free(tmp_path, free_after):
    """By whoever waits, within a millisecond or so."""
    lock = tmp_path / "lock"
    lock.touch()
    holder, waiter = os.open(lock, os.O_RDWR), os.open(lock, os.O_RDWR)
    try:
        if free_after:
            fcntl.flock(holder, TRY)
            patience = Patience()
            began = time.monotonic()
            assert not patience.had(waiter)
            assert WAIT_S <= time.monotonic() - began < 5 * WAIT_S
            began = time.monotonic()
            assert not patience.had(waiter)
            assert SHORT_S <= time.monotonic() - began < WAIT_S
            assert patience.stuck
            fcntl.flock(holder, fcntl.LOCK_UN)
            assert patience.had(waiter)
            assert not patience.stuck
        else:
            assert Patience().had(waiter)
    finally:
        os.close(holder)
        os.close(waiter)
