"""Engines from URLs, and migrations: up and down, once, on both engines."""

import multiprocessing
import threading

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from tests.sql_here import ENGINES, database

from gatewright.stores import ledger_tables, sql


@pytest.mark.parametrize("kind", ENGINES)
def test_migrations_go_up_and_down_and_up_again(tmp_path, kind):
    """Each step down leaves what the step before had made; at the bottom there is nothing."""
    with database(kind, tmp_path) as engine:
        sql.migrate(engine)
        assert sql.version(engine) == sql.head()
        assert "requests" in sa.inspect(engine).get_table_names()
        for number in range(int(sql.head()) - 1, 0, -1):
            sql.migrate(engine, f"{number:04d}")
            assert sql.version(engine) == f"{number:04d}"
        sql.migrate(engine, "base")
        assert [name for name in sa.inspect(engine).get_table_names() if name != "alembic_version"] == []
        sql.migrate(engine)
        assert sql.version(engine) == sql.head()


@pytest.mark.parametrize("kind", ENGINES)
def test_the_tables_are_as_the_code_says(tmp_path, kind):
    """What the newest migration leaves and what is read and written are the same, column by column."""
    assert ledger_tables.REQUESTS.metadata is sql.METADATA
    with database(kind, tmp_path) as engine:
        sql.migrate(engine)
        with engine.connect() as connection:
            ours = set(sql.METADATA.tables)
            found = compare_metadata(
                MigrationContext.configure(
                    connection, opts={"include_name": lambda name, what, _: what != "table" or name in ours}
                ),
                sql.METADATA,
            )
        assert found == []


def _migrate(url: str) -> None:
    engine = sql.engine_of(url)
    sql.migrate(engine)
    engine.dispose()


@pytest.mark.parametrize("kind", ENGINES)
def test_workers_that_start_together_migrate_once(tmp_path, kind):
    """All but one wait, and find it done."""
    with database(kind, tmp_path) as engine:
        url = engine.url.render_as_string(hide_password=False)
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=_migrate, args=(url,)) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
        assert sql.version(engine) == sql.head()


def test_a_database_of_a_newer_gateway_is_left_alone(tmp_path):
    """Whoever starts an older one by mistake is told what to do."""
    with database("sqlite", tmp_path) as engine:
        sql.migrate(engine)
        with sql.writing(engine) as connection:
            connection.exec_driver_sql("update alembic_version set version_num = '9999'")
        with pytest.raises(sql.BadDatabase, match="start a newer one"):
            sql.migrate(engine)


def test_a_file_is_its_owner_s_alone(tmp_path):
    """It says who asked what."""
    with database("sqlite", tmp_path) as engine:
        sql.migrate(engine)
        file = tmp_path / "here" / "gatewright.db"
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://x/y", "expected sqlite or postgresql"),
        ("nonsense", "cannot be read"),
        ("sqlite://", "every connection's own"),
        ("sqlite:///:memory:", "every connection's own"),
    ],
)
def test_a_url_of_something_else_is_refused_with_what_to_write(url, told):
    """Before anything is connected."""
    with pytest.raises(sql.BadDatabase, match=told):
        sql.engine_of(url)


def test_a_password_is_in_no_error():
    """A server that cannot be reached is told of by its address."""
    engine = sql.engine_of("postgresql://someone:hunter2@127.0.0.1:1/nothing")
    with pytest.raises(sql.DatabaseError) as raised:
        sql.migrate(engine)
    assert "hunter2" not in str(raised.value)
    assert sql.is_transient(raised.value)


def _twice(engine) -> None:
    with sql.writing(engine) as connection:
        for _ in range(2):
            connection.execute(sa.insert(ledger_tables.STATE).values(name="x", value=1))


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    """All of it, or nothing."""
    with database("sqlite", tmp_path) as engine:
        sql.migrate(engine)
        with pytest.raises(sql.DatabaseError):
            _twice(engine)
        with engine.connect() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(ledger_tables.STATE)).scalar() == 0


def test_two_threads_may_bring_two_databases_to_a_version_at_once(tmp_path):
    """As the ledger's and the traces' threads do at a gateway's first request: Alembic's own state is one for the process."""
    engines = [(sql.engine_of(sql.sqlite_url(tmp_path / f"{n}.db")), sql.TRACES if n % 2 else sql.BOOKS) for n in range(16)]
    gate = threading.Barrier(len(engines))
    failures = []

    def bring(engine, lineage):
        gate.wait()
        try:
            sql.migrate(engine, lineage=lineage)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=bring, args=pair) for pair in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for engine, lineage in engines:
        names = set(sa.inspect(engine).get_table_names())
        assert ("trace_blobs" in names, "requests" in names) == (lineage is sql.TRACES, lineage is sql.BOOKS), names
        engine.dispose()
