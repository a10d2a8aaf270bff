"""Reports while the gateway serves: who asks waits for them, and nobody else."""

import asyncio
import threading
import time

import pytest

from gatewright import reporting
from gatewright.errors import Refused
from gatewright.reporting import MOST_WAITING, Reporter
from gatewright.stores.report_terms import Query
from gatewright.stores.sql import BadDatabase, engine_of, sqlite_url

QUERY = Query(since=0, until=1_000_000)


async def test_the_first_report_makes_what_is_missing(tmp_path):
    """Nobody has written anything yet, so there is not even a table."""
    reporter = Reporter(lambda: engine_of(sqlite_url(tmp_path / "new" / "gatewright.db")), tmp_path / "journal")
    found = await reporter.ask(QUERY)
    assert (found.report.lines, found.complete, found.waiting) == ((), True, 0)
    reporter.close()
    reporter._engine.dispose()


async def test_a_database_that_cannot_be_used_is_told_as_such_and_asked_again_next_time(tmp_path):
    """Whoever asks comes again; the gateway needs no restart."""
    tries = []

    def engine():
        tries.append(1)
        if len(tries) == 1:
            raise BadDatabase("gone")
        return engine_of(sqlite_url(tmp_path / "gatewright.db"))

    reporter = Reporter(engine, None)
    with pytest.raises(Refused) as refused:
        await reporter.ask(QUERY)
    assert (refused.value.problem.code, refused.value.problem.http_status) == ("usage_unavailable", 503)
    assert (await reporter.ask(QUERY)).report.lines == ()
    reporter.close()
    reporter._engine.dispose()


async def test_a_database_that_does_not_answer_keeps_nobody_for_ever(tmp_path, monkeypatch):
    """Those who ask are told after a while, those who come then at once; the loop goes on all the time."""
    monkeypatch.setattr(reporting, "PATIENCE_S", 0.3)
    stuck = threading.Event()

    def engine():
        stuck.wait(30)
        raise BadDatabase("it was stuck")

    reporter = Reporter(engine, None)
    began = time.monotonic()
    asking = [asyncio.create_task(reporter.ask(QUERY)) for _ in range(MOST_WAITING + 5)]
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert time.monotonic() - began < 15
    codes = sorted(outcome.problem.code for outcome in outcomes)
    assert codes == ["usage_busy"] * 5 + ["usage_unavailable"] * MOST_WAITING
    stuck.set()
    for _ in range(200):
        if not reporter._waiting:
            break
        await asyncio.sleep(0.05)
    assert reporter._waiting == 0
    reporter.close()
