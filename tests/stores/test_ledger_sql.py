"""Batches in the tables: each once, all of it or nothing, whoever writes at the same time."""

import threading

import pytest
import sqlalchemy as sa
from tests.record.entries import begun, settled, tried
from tests.sql_here import ENGINES, database

from gatewright.record.rows import Rows, unpriced
from gatewright.stores import ledger_sql, sql
from gatewright.stores.ledger_check import disagreements
from gatewright.stores.ledger_rows import Mark
from gatewright.stores.ledger_tables import ATTEMPTS, IN_FLIGHT, MARKS, REQUESTS, ROLLUPS

HOUR = 3_600_000_000


@pytest.fixture(params=ENGINES)
def engine(request, tmp_path):
    with database(request.param, tmp_path) as engine:
        sql.migrate(engine)
        yield engine


def batch_of(*entries, journal: str = "j", known: frozenset = frozenset()):
    rows = Rows(journal, unpriced)
    for entry in entries:
        if hasattr(entry, "attempts"):
            rows.settled(entry, in_flight=entry.id in known)
        else:
            rows.begun(entry)
    return rows.done()


def write(engine, batch, before: Mark, after: Mark, **more) -> None:
    ledger_sql.write(engine, batch, before, after, host="here", pid=1, records=len(batch), **more)


def count(engine, table) -> int:
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def column(engine, table, name: str) -> list:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(table.c[name]).order_by(table.c[name])).scalars())


def test_a_batch_goes_in_once(engine):
    """Whoever comes with the same stretch again finds the mark moved, and writes nothing."""
    batch = batch_of(settled("a", tried()), settled("b", tried(), tried()))
    write(engine, batch, Mark(), Mark(1, 100))
    with pytest.raises(ledger_sql.Moved):
        write(engine, batch_of(settled("a2", tried())), Mark(), Mark(1, 100))
    assert column(engine, REQUESTS, "id") == ["a", "b"]
    assert count(engine, ATTEMPTS) == 3
    assert ledger_sql.mark_of(engine, "j") == Mark(1, 100)
    write(engine, batch_of(settled("c")), Mark(1, 100), Mark(2, 50))
    assert ledger_sql.mark_of(engine, "j") == Mark(2, 50)
    assert list(disagreements(engine)) == []


@pytest.mark.parametrize("many", [ledger_sql.TOGETHER - 1, ledger_sql.TOGETHER, 3 * ledger_sql.TOGETHER + 5])
def test_each_row_of_a_large_batch_is_there_once(engine, many):
    """However many leave in one statement; one that is there already stops no other."""
    ids = [f"r{number:04}" for number in range(many)]
    write(engine, batch_of(*[settled(one, tried()) for one in ids]), Mark(), Mark(1, 100))
    assert column(engine, REQUESTS, "id") == ids
    assert count(engine, ATTEMPTS) == many
    again = batch_of(*[settled(one, tried()) for one in ("r0000", *(f"s{number:04}" for number in range(many)))])
    write(engine, again, Mark(1, 100), Mark(1, 200))
    assert count(engine, REQUESTS) == 2 * many + 1
    assert list(disagreements(engine)) == []


def test_two_who_write_the_same_stretch_at_once_write_it_once(engine):
    """One wins, the other is told."""
    outcomes = []

    def go(number: int) -> None:
        try:
            write(engine, batch_of(*(settled(f"{n}-{number}", tried()) for n in range(50))), Mark(), Mark(1, 100))
            outcomes.append("written")
        except (ledger_sql.Moved, sql.DatabaseError):
            outcomes.append("not")

    threads = [threading.Thread(target=go, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("written") == 1
    assert count(engine, REQUESTS) == 50


def test_many_journals_add_to_the_same_hours(engine):
    """At the same time, and none of it is lost: the sums are the sums of all."""

    def go(number: int) -> None:
        mark = Mark()
        for turn in range(10):
            after = Mark(1, turn + 1)
            write(
                engine, batch_of(*(settled(f"{number}-{turn}-{n}", tried()) for n in range(5)), journal=f"j{number}"), mark, after
            )
            mark = after

    threads = [threading.Thread(target=go, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(engine, REQUESTS) == 200
    assert list(disagreements(engine)) == []
    assert sum(column(engine, ROLLUPS, "requests")) == 200


def test_what_runs_is_in_flight_until_it_is_settled(engine):
    """And whoever takes a journal over finds it."""
    write(engine, batch_of(begun("a"), begun("b"), settled("b", tried())), Mark(), Mark(1, 10))
    (one,) = ledger_sql.in_flight(engine, "j")
    assert (one.id, one.key_id, one.asked, one.provider, one.model, one.reserved) == (
        "a",
        "key_1",
        "smart",
        "openai",
        "gpt-5",
        700,
    )
    assert ledger_sql.in_flight(engine, "another") == []
    write(engine, batch_of(settled("a", tried()), known=frozenset(("a",))), Mark(1, 10), Mark(1, 20))
    assert count(engine, IN_FLIGHT) == 0


def test_ids_that_come_twice_stop_nobody(engine):
    """They cannot; if they do, both are there, under names of their own, and the books still add up."""
    write(engine, batch_of(settled("a", tried())), Mark(), Mark(1, 10))
    again = batch_of(settled("a", tried(), tried()), settled("b", tried()), settled("b"), begun("c"))
    write(engine, again, Mark(1, 10), Mark(1, 20))
    ids = column(engine, REQUESTS, "id")
    assert len(ids) == 4
    assert [one.partition("~")[0] for one in ids] == ["a", "a", "b", "b"]
    assert list(disagreements(engine)) == []


def test_what_an_engine_cannot_take_is_left_out_and_the_rest_is_written(engine):
    """A client may put a NUL into a model's name."""
    bad = settled("a", tried("openai/gp\0t"), asked="x\0y", served="openai/gp\0t")
    write(engine, batch_of(bad, begun("c", asked="\0")), Mark(), Mark(1, 10))
    assert len(column(engine, REQUESTS, "asked")) == 1
    assert list(disagreements(engine)) == []


def test_a_batch_that_fails_leaves_nothing(engine):
    """Not even the mark: it comes again."""
    batch = batch_of(settled("a", tried()))
    batch.attempts = [row[:-1] for row in batch.attempts]
    with pytest.raises(sql.DatabaseError):
        write(engine, batch, Mark(), Mark(1, 10))
    assert (count(engine, REQUESTS), count(engine, MARKS)) == (0, 0)


def test_old_rows_go_and_their_hours_stay(engine):
    """And what is still there still adds up."""
    old, new = 100 * HOUR, 200 * HOUR
    write(engine, batch_of(settled("old", tried(), at=old), settled("new", tried(), at=new)), Mark(), Mark(1, 10))
    assert ledger_sql.forget_rows(engine, 150) == 1
    assert ledger_sql.forget_rows(engine, 150) == 0
    assert column(engine, REQUESTS, "id") == ["new"]
    assert count(engine, ATTEMPTS) == 1
    assert sorted(column(engine, ROLLUPS, "hour")) == [100, 200]
    assert list(disagreements(engine)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("update requests set cost_micros = 5", "requests: a says"),
        ("update attempts set output = 6", "a says"),
        ("delete from attempts", "a says 1 attempts"),
        ("delete from requests", "belong to no request"),
        ("update rollups_hourly set requests = 2", "requests is 2; its rows add up to 1"),
        ("update rollups_hourly set input = input + 1", "input is 7; its rows add up to 6"),
        ("delete from rollups_hourly", "there is none"),
    ],
)
def test_whatever_does_not_add_up_is_found(engine, change, told):
    """Each row and each sum has another that knows it."""
    write(engine, batch_of(settled("a", tried())), Mark(), Mark(1, 10))
    assert list(disagreements(engine)) == []
    with sql.writing(engine) as connection:
        connection.exec_driver_sql(change)
    assert any(told in line for line in disagreements(engine)), list(disagreements(engine))


def test_a_journal_that_nobody_hears_of_is_told(engine):
    """It may be another machine's, which does not come back."""
    write(engine, batch_of(begun("a")), Mark(), Mark(1, 10))
    assert ledger_sql.silent_journals(engine, 0) == []
    ((name, host, _, running),) = ledger_sql.silent_journals(engine, 1 << 40)
    assert (name, host, running) == ("j", "here", 1)
