"""Reports up to this moment: nothing is missing and nothing counts twice, wherever a request stands just now."""

import threading

import pytest
from tests.record.entries import begun, settled, tried
from tests.sql_here import ENGINES, database

from gatewright.record import fresh as module
from gatewright.record.entries import ENCODER
from gatewright.record.fresh import fresh
from gatewright.record.ingest import Tail
from gatewright.record.journal import Journal
from gatewright.record.rows import Cost
from gatewright.stores import sql
from gatewright.stores.report_terms import Query

EVER = Query(since=0, until=1_000_000)


def cheap(*_: object) -> Cost:
    return Cost(7, "list", "")


@pytest.fixture(params=ENGINES)
def engine(request, tmp_path):
    with database(request.param, tmp_path) as engine:
        sql.migrate(engine)
        yield engine


def journal(root, *, max_bytes: int = 64 << 20) -> Journal:
    one = Journal(root, max_bytes=max_bytes)
    one.open()
    return one


def append(one: Journal, *entries) -> None:
    for entry in entries:
        one.append(ENCODER.encode(entry))


def test_what_stands_in_a_journal_counts_and_then_in_the_tables(engine, tmp_path):
    """The same figures before, in between and after; with the price that rows get."""
    root = tmp_path / "journal"
    one = journal(root)
    append(one, begun("a"), settled("a", tried()), settled("b", tried(), tried()), begun("c"))
    tail = Tail(one.folder, cheap)
    for waiting in (2, 0):
        found = fresh(engine, EVER, root, cheap)
        assert (found.report.total["requests"], found.report.total["attempts"]) == (2, 3)
        assert found.report.total["cost_micros"] == 21
        assert (found.waiting, found.complete) == (waiting, True)
        tail.write(engine)
    append(one, settled("c", tried()))
    assert fresh(engine, EVER, root, cheap).report.total["requests"] == 3
    one.close()


def test_journals_of_all_workers_count(engine, tmp_path):
    """Also of one that has died, and of another machine's nothing but what is in the tables."""
    root = tmp_path / "journal"
    first, second = journal(root), journal(root)
    append(first, settled("a", tried()))
    append(second, settled("b", tried()))
    second.close()
    assert fresh(engine, EVER, root).report.total["requests"] == 2
    assert fresh(engine, EVER, None).report.total["requests"] == 0
    assert fresh(engine, EVER, tmp_path / "nowhere").report.total["requests"] == 0
    first.close()


def test_filters_hold_for_what_is_in_journals(engine, tmp_path):
    """A key never sees another's request, not even for the second before it is in the tables."""
    root = tmp_path / "journal"
    one = journal(root)
    append(one, settled("a", tried()))
    for within, count in (("key_1", 1), ("key_2", 0), ("ci", 0)):
        query = Query(since=0, until=1_000_000, within=(("key_id", within),))
        assert fresh(engine, query, root).report.total["requests"] == count
    one.close()


def test_a_journal_that_is_too_long_to_read_says_that_more_is_there(engine, tmp_path, monkeypatch):
    """Rather than let whoever asks wait for it."""
    root = tmp_path / "journal"
    one = journal(root)
    append(one, *(settled(f"r{n}", tried()) for n in range(500)))
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)
    found = fresh(engine, EVER, root)
    assert found.complete is False
    assert 0 < found.waiting < 500
    assert found.report.total["requests"] == found.waiting
    one.close()


def test_every_request_counts_once_while_it_moves(engine, tmp_path):
    """Reports are asked for while requests end, are brought to the tables, and segments go."""
    root = tmp_path / "journal"
    one = journal(root)
    stop, failed = threading.Event(), []
    written = 0

    def bring() -> None:
        tail = Tail(one.folder, cheap)
        try:
            while not stop.is_set():
                tail.write(engine)
                for number in tail.read_through():
                    one.forget(number)
                stop.wait(0.003)
        except Exception as error:
            failed.append(error)

    bringing = threading.Thread(target=bring)
    bringing.start()
    try:
        for _ in range(40):
            for _ in range(25):
                written += 1
                append(one, begun(f"r{written}"), settled(f"r{written}", tried()))
            found = fresh(engine, EVER, root, cheap)
            total = found.report.total["requests"]
            assert total == written if found.complete else total <= written
    finally:
        stop.set()
        bringing.join()
        one.close()
    assert not failed
    assert fresh(engine, EVER, root, cheap).report.total["requests"] == written
