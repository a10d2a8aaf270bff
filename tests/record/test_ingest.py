"""The thread between the journals and the database: exactly once, whoever dies, and patient with a database that is away."""

import time

import pytest
import sqlalchemy as sa
from tests.record.entries import begun, settled, tried
from tests.sql_here import ENGINES, database

from gatewright.record.entries import ENCODER
from gatewright.record.ingest import Ingest, Tail, adopt, orphans
from gatewright.record.journal import Journal
from gatewright.record.ledger import Ledger, LedgerRule
from gatewright.record.verify import told, verify
from gatewright.stores import sql
from gatewright.stores.ledger_tables import IN_FLIGHT, MARKS, REQUESTS


@pytest.fixture(params=ENGINES)
def engine(request, tmp_path):
    with database(request.param, tmp_path) as engine:
        sql.migrate(engine)
        yield engine


@pytest.fixture
def root(tmp_path):
    return tmp_path / "journal"


def opened(root) -> Journal:
    journal = Journal(root, max_bytes=64 << 20)
    journal.open()
    return journal


def append(journal: Journal, *entries) -> None:
    for entry in entries:
        journal.append(ENCODER.encode(entry))


def ids(engine, table=REQUESTS) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(table.c.id).order_by(table.c.id)).scalars())


def outcomes(engine) -> dict[str, str]:
    with engine.connect() as connection:
        return {row.id: row.outcome for row in connection.execute(sa.select(REQUESTS))}


def until(true, within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_journal_is_read_on_from_where_it_was_left(engine, root):
    """Batch by batch; what comes meanwhile is in the next."""
    journal = opened(root)
    tail = Tail(journal.folder)
    append(journal, begun("a"), settled("a", tried()), begun("b"))
    assert tail.has_more()
    assert tail.write(engine) is False
    assert (ids(engine), ids(engine, IN_FLIGHT)) == (["a"], ["b"])
    assert not tail.has_more()
    append(journal, settled("b", tried()))
    tail.write(engine)
    assert (ids(engine), ids(engine, IN_FLIGHT)) == (["a", "b"], [])
    journal.close()


def test_segments_that_are_read_are_removed(engine, root):
    """The journal takes no more of the disk than what waits."""
    journal = opened(root)
    tail = Tail(journal.folder)
    for number in range(3000):
        append(journal, settled(f"r{number:05d}", tried(message="x" * 200)))
    while tail.write(engine):
        pass
    assert len(ids(engine)) == 3000
    before = journal.kept_bytes
    for number in tail.read_through():
        journal.forget(number)
    assert journal.kept_bytes < before
    append(journal, settled("last", tried()))
    tail.write(engine)
    assert ids(engine)[0] == "last"
    journal.close()


def test_another_reader_of_the_same_journal_writes_nothing_twice(engine, root):
    """As after a commit whose answer never came: it goes on from the mark."""
    journal = opened(root)
    append(journal, settled("a", tried()), begun("b"))
    one, other = Tail(journal.folder), Tail(journal.folder)
    other._mark, other._known = one._mark, set()
    one.write(engine)
    append(journal, settled("b", tried()))
    while other.write(engine):
        pass
    assert (ids(engine), ids(engine, IN_FLIGHT)) == (["a", "b"], [])
    while one.write(engine):
        pass
    assert ids(engine) == ["a", "b"]
    journal.close()


def test_what_a_dead_process_left_is_taken_over(engine, root):
    """Settled ones as they are; what had begun was interrupted; and the journal is gone."""
    journal = opened(root)
    tail = Tail(journal.folder)
    append(journal, begun("seen"), begun("long"), settled("seen", tried()))
    tail.write(engine)
    append(journal, begun("short"), settled("short", tried()), begun("late"))
    assert adopt(journal.folder, engine) is False  # it lives
    journal.close()
    assert adopt(journal.folder, engine) is True
    assert outcomes(engine) == {"seen": "ok", "long": "interrupted", "short": "ok", "late": "interrupted"}
    assert ids(engine, IN_FLIGHT) == []
    assert orphans(root, "") == []
    assert verify(engine, root).problems == ()


def test_a_takeover_that_was_interrupted_is_taken_over(engine, root):
    """Whoever was at it has died too; the next finds what was done, and does the rest once."""
    journal = opened(root)
    append(journal, *(settled(f"r{n:04d}", tried()) for n in range(1500)), begun("x"))
    journal.close()
    tail = Tail(journal.folder)
    assert tail.write(engine, dead=True) is True
    assert len(ids(engine)) == 1000
    assert adopt(journal.folder, engine)
    assert len(ids(engine)) == 1501
    assert outcomes(engine)["x"] == "interrupted"


def test_a_torn_record_of_a_dead_process_ends_its_segment(engine, root):
    """It was killed there, or the power went: what is whole counts, before and behind."""
    journal = opened(root)
    append(journal, settled("whole", tried()))
    torn = journal.written[1]
    append(journal, settled("torn", tried()))
    journal._map[torn + 20] ^= 0xFF
    journal.close()
    assert adopt(journal.folder, engine)
    assert ids(engine) == ["whole"]


def test_a_record_that_nobody_understands_is_left_out(engine, root):
    """A newer version's, perhaps; those behind it are written all the same."""
    journal = opened(root)
    append(journal, settled("a", tried()))
    journal.append(ENCODER.encode(["z", 1, 2]))
    append(journal, settled("b", tried()))
    journal.close()
    assert adopt(journal.folder, engine)
    assert ids(engine) == ["a", "b"]


def test_the_thread_keeps_up_and_takes_over_orphans(tmp_path, root):
    """Within a second or so, and at the end everything is in the tables and no journal is left."""
    with database("sqlite", tmp_path) as engine:
        url = engine.url.render_as_string(hide_password=False)
        lost = opened(root)
        append(lost, begun("gone"))
        lost.close()
        ledger = Ledger(root, LedgerRule())
        ingest = Ingest(ledger, lambda: sql.engine_of(url), every_s=0.02)
        ledger.journal.open()
        ingest.start()
        append(ledger.journal, begun("a"), settled("a", tried()))
        until(lambda: (tmp_path / "here" / "gatewright.db").exists() and sql.version(engine) and "a" in ids(engine))
        until(lambda: "gone" in ids(engine))
        append(ledger.journal, settled("b", tried()))
        ingest.close(20)
        assert ids(engine) == ["a", "b", "gone"]
        assert orphans(root, "") == []
        with engine.connect() as connection:
            assert set(connection.execute(sa.select(MARKS.c.closed)).scalars()) == {1}


def test_a_database_that_is_away_is_waited_for(tmp_path, root):
    """Rows wait in the journal; when it comes back they are written, once."""
    with database("sqlite", tmp_path) as engine:
        url = engine.url.render_as_string(hide_password=False)
        away = True

        def make():
            if away:
                raise sql.BadDatabase("not now")
            return sql.engine_of(url)

        ledger = Ledger(root, LedgerRule())
        ingest = Ingest(ledger, make, every_s=0.02)
        ledger.journal.open()
        ingest.start()
        append(ledger.journal, settled("a", tried()))
        time.sleep(0.3)
        assert not (tmp_path / "here" / "gatewright.db").exists()
        away = False
        until(lambda: (tmp_path / "here" / "gatewright.db").exists() and sql.version(engine) and ids(engine) == ["a"])
        ingest.close(20)
        assert ids(engine) == ["a"]


def test_a_gateway_that_asked_nobody_makes_no_database(tmp_path, root):
    """Nothing is loaded and nothing is made where nothing is to be written."""
    ledger = Ledger(root, LedgerRule())
    made = []
    ingest = Ingest(ledger, lambda: made.append(1), every_s=0.01)
    ledger.open()
    ingest.start()
    time.sleep(0.1)
    ingest.close()
    assert made == []
    assert orphans(root, "") == []


def test_what_waits_is_no_disagreement(engine, root):
    """The tables are behind the journal by a moment always; that is told, and is good."""
    journal = opened(root)
    append(journal, settled("a", tried()))
    Tail(journal.folder).write(engine)
    append(journal, settled("b", tried()))
    found = verify(engine, root)
    assert (found.problems, found.requests, found.waiting, found.journals) == ((), 1, 1, 1)
    assert list(told(found))[-1].startswith("good: 1 requests")
    journal.close()


def test_a_request_of_the_journal_that_no_table_has_is_found(engine, root):
    """The mark says that it was taken over; somebody has removed it since."""
    journal = opened(root)
    append(journal, settled("a", tried()))
    Tail(journal.folder).write(engine)
    with sql.writing(engine) as connection:
        for table in ("requests", "attempts", "rollups_hourly", "rollups_daily"):
            connection.exec_driver_sql(f"delete from {table}")
    found = verify(engine, root)
    assert [line for line in found.problems if "stands in no table" in line]
    assert list(told(found))[-1] == "1 disagreements"
    journal.close()
