"""Rows wait in the journal while requests need the core, and not for ever."""

import time

import pytest

from gatewright.record import ingest
from gatewright.record.ingest import Ingest
from gatewright.record.journal import Journal
from gatewright.record.ledger import Ledger, LedgerRule


class Busy:
    """A gateway whose clock and journal move when they are told to."""

    def __init__(self, folder, monkeypatch) -> None:
        self.now, self.written = 1000.0, (1, 0)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(Journal, "written", property(lambda _: self.written))
        ledger = Ledger(folder / "journal", LedgerRule())
        self.journal = ledger.journal
        self.thread = Ingest(ledger, engine=lambda: pytest.fail("no database is needed"))

    def after(self, seconds: float, size: float, *, roll: bool = False) -> bool:
        """Whether rows wait, so many seconds and megabytes later."""
        self.now += seconds
        number, position = self.written
        self.written = (number + 1, int(size * 1e6)) if roll else (number, position + int(size * 1e6))
        return self.thread._gives_way()


@pytest.fixture
def busy(tmp_path, monkeypatch):
    return Busy(tmp_path, monkeypatch)


def test_it_gives_way_to_many_requests(busy):
    """So many as take a core need it; fewer do not notice."""
    assert not busy.after(0.5, 0.1)
    assert busy.after(0.5, 2.0)
    assert busy.after(0.5, 0.3, roll=True)
    assert not busy.after(0.5, 0.1)
    assert not busy.after(1.0, 0.0)


def test_it_does_not_look_at_moments(busy):
    """A few milliseconds say nothing."""
    assert busy.after(0.5, 2.0)
    assert busy.after(0.001, 0.0)
    assert not busy.after(0.5, 0.0)


def test_after_a_stop_it_looks_once_more(busy):
    """A process that was stopped has not been idle: what it did before says nothing of what it does now."""
    assert busy.after(60.0, 0.0)
    assert not busy.after(0.5, 0.0)


def test_rows_do_not_wait_for_ever(busy):
    """Whoever looks at the books of a gateway that is always busy sees them all the same."""
    begun = busy.now
    while busy.after(0.5, 2.0):
        assert busy.now - begun < 100
    assert busy.now - begun >= ingest.WAITS_S


def test_rows_do_not_fill_the_journal(busy):
    """Its room is for a database that cannot be reached."""
    assert busy.after(0.5, 2.0)
    busy.journal.kept_bytes = int(busy.journal.max_bytes * 0.6)
    assert not busy.after(0.5, 2.0)
