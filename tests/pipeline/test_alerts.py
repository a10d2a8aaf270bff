"""Alerts of budgets: each threshold once, whoever sees it, and nobody waits."""

import asyncio
import json
import time

import pytest

from gatewright.limits.meters import Meter
from gatewright.limits.terms import Budget
from gatewright.pipeline import alerts as module
from gatewright.pipeline.alerts import BudgetAlerts, reached
from gatewright.stores.counters_shared import SharedCounters

METER = Meter("team", "red", Budget("month", 1_000_000, (0.5, 0.8)))


def now() -> int:
    return time.time_ns() // 1000


class Hook:
    """A webhook that keeps what it is told."""

    def __init__(self, *answers: int | Exception) -> None:
        self.told: list[dict] = []
        self.answers = list(answers)

    async def __call__(self, method, url, headers, body, timeout_s):
        self.told.append(json.loads(body))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer, {}, b""


async def spend(counters, alerts, micros: int) -> None:
    held = counters.reserve([(METER, micros)], now())
    alerts(METER, held.left[0], now())
    if alerts._task is not None:
        await alerts._task


@pytest.mark.parametrize(("used", "threshold"), [(0, None), (499_999, None), (500_000, 0.5), (800_000, 0.8), (1_000_000, 1.0)])
def test_a_threshold_is_reached_with_its_last_micro_dollar(used, threshold):
    """Not before, and the highest is told."""
    assert reached(METER, used) == threshold


async def test_each_threshold_is_told_once_by_whichever_worker_sees_it(tmp_path):
    """Two workers over the same counters."""
    counters = [SharedCounters(tmp_path / "c"), SharedCounters(tmp_path / "c")]
    hook = Hook()
    workers = [BudgetAlerts(one, now, hook, "http://hook") for one in counters]
    for i in range(10):
        await spend(counters[i % 2], workers[i % 2], 100_000)
    assert [one["threshold"] for one in hook.told] == [0.5, 0.8, 1.0]
    first = hook.told[0]
    assert (first["level"], first["id"], first["used_micros"], first["budget_micros"], first["stops"]) == (
        "team", "red", 500_000, 1_000_000, True,
    )  # fmt: skip


async def test_what_was_only_reserved_is_not_told(tmp_path):
    """It was given back before anybody could be told; when it is spent in earnest, it is told."""
    counters, hook = SharedCounters(tmp_path / "c"), Hook()
    alerts = BudgetAlerts(counters, now, hook, "http://hook")
    held = counters.reserve([(METER, 900_000)], now())
    alerts(METER, held.left[0], now())
    counters.settle(held, [10], now())
    await alerts._task
    assert hook.told == []
    await spend(counters, alerts, 600_000)
    assert [one["threshold"] for one in hook.told] == [0.5]


async def test_a_webhook_that_fails_is_tried_again_and_then_let_be(tmp_path, monkeypatch, caplog):
    """The log says so; requests do not notice."""
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    counters, hook = SharedCounters(tmp_path / "c"), Hook(500, OSError("gone"), 200)
    await spend(counters, BudgetAlerts(counters, now, hook, "http://hook"), 500_000)
    assert len(hook.told) == 3
    assert "was not told" not in caplog.text
    hook.answers = [500, 500, 500]
    await spend(counters, BudgetAlerts(counters, now, hook, "http://hook"), 300_000)
    assert "it answered 500" in caplog.text


async def test_nobody_waits_for_the_webhook(tmp_path):
    """And at the end of the gateway it is not waited for either."""

    async def slow(*_):
        await asyncio.sleep(60)
        raise AssertionError

    counters = SharedCounters(tmp_path / "c")
    alerts = BudgetAlerts(counters, now, slow, "http://hook")
    held = counters.reserve([(METER, 500_000)], now())
    alerts(METER, held.left[0], now())
    await asyncio.sleep(0)
    began = time.monotonic()
    await alerts.close()
    assert time.monotonic() - began < 5
