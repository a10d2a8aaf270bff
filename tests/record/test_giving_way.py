"""Rows wait in the journal while requests need the core, and not for ever."""

import time

import pytest

from gatewright.record import ingest
from gatewright.record.ingest import Ingest
from gatewright.record.ledger import Ledger, LedgerRule


@pytest.fixture
def gone(monkeypatch):
    """A clock, and what the process' threads have taken of the core; both stand still until they are moved."""
    moved = {"now": 1000.0, "others": 5.0, "own": 1.0}
    monkeypatch.setattr(time, "monotonic", lambda: moved["now"])
    monkeypatch.setattr(time, "process_time", lambda: moved["others"] + moved["own"])
    monkeypatch.setattr(time, "thread_time", lambda: moved["own"])

    def go(seconds: float, others: float, own: float = 0.0) -> None:
        moved["now"] += seconds
        moved["others"] += others
        moved["own"] += own

    return go


@pytest.fixture
def thread(tmp_path, gone):
    it = Ingest(Ledger(tmp_path / "journal", LedgerRule()), engine=lambda: pytest.fail("no database is needed"))
    gone(1.0, 0.0)
    it._gives_way()
    return it


def test_it_gives_way_to_those_who_answer(thread, gone):
    """A core that is taken by requests is theirs; one that is free, or taken by this thread itself, is not."""
    gone(0.5, others=0.45)
    assert thread._gives_way()
    gone(0.5, others=0.1)
    assert not thread._gives_way()
    gone(0.5, others=0.05, own=0.45)
    assert not thread._gives_way()


def test_it_does_not_look_at_moments(thread, gone):
    """A few milliseconds say nothing."""
    gone(0.5, others=0.5)
    assert thread._gives_way()
    gone(0.001, others=0.0)
    assert thread._gives_way()


def test_after_a_stop_it_looks_once_more(thread, gone):
    """A process that was stopped has not been idle: what it did before says nothing of what it does now."""
    gone(60.0, others=0.1)
    assert thread._gives_way()
    gone(0.5, others=0.1)
    assert not thread._gives_way()


def test_rows_do_not_wait_for_ever(thread, gone):
    """Whoever looks at the books of a gateway that is always busy sees them all the same."""
    waited = 0.0
    while thread._gives_way() or not waited:
        gone(0.5, others=0.5)
        waited += 0.5
        assert waited < 100
    assert waited >= ingest.WAITS_S


def test_rows_do_not_fill_the_journal(thread, gone):
    """Its room is for a database that cannot be reached."""
    gone(0.5, others=0.5)
    journal = thread.ledger.journal
    journal.kept_bytes = int(journal.max_bytes * 0.6)
    assert not thread._gives_way()
