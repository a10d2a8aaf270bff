"""SQL: an engine from a URL, SQLite or PostgreSQL, and the migrations that make its tables.

    engine_of("sqlite:////var/lib/gatewright/gateway.db")    postgresql://user@host/name
    migrate(engine)                                          once, however many processes begin at the same time
    with writing(engine) as connection: …                    one transaction; on SQLite it is the writer from the first statement

One rule: nothing that a request waits for comes here. All of it blocks, so it runs in threads of its own.
https://docs.sqlalchemy.org/en/20/core/
"""

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, ProgrammingError, SQLAlchemyError

METADATA: Final = sa.MetaData()
"""Every table of ours, as the newest migration leaves it (a test compares)."""

DatabaseError = SQLAlchemyError
"""Whatever goes wrong with a database, for those who catch it and come again."""

BUSY_S: Final = 10.0
"""How long a writer waits for another on SQLite."""
CONNECT_S: Final = 5
DEAD_MS: Final = 10_000
"""After so long without an answer to what was sent, a connection to PostgreSQL is given up."""

_LOCK: Final = zlib.crc32(b"gatewright migrations")
_ALEMBIC: Final = threading.Lock()
"""Alembic keeps the migration that runs in its modules: two threads that migrate two databases would run each other's."""
_WRITES: Final = "gatewright_writes"


class Lineage(msgspec.Struct, frozen=True):
    """A line of migrations. Two may stand in one database."""

    folder: Path
    version_table: str


BOOKS: Final = Lineage(Path(__file__).parent / "migrations", "alembic_version")
"""Of the ledger and of all that is stored beside it."""
TRACES: Final = Lineage(Path(__file__).parent / "trace_migrations", "trace_version")


class BadDatabase(ValueError):
    """What is configured cannot be used; the message says what to do."""


def engine_of(url: str) -> Engine:
    """An engine with a few pooled connections; nothing is connected yet. Raises BadDatabase.

    `url`: `sqlite:////absolute/path`, `postgresql://…` or `postgres://…`, with libpq's own parameters as its query.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BadDatabase("the database's URL cannot be read; expected sqlite:////path or postgresql://user@host/name") from None
    backend = parsed.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return _postgresql(parsed)
    if backend == "sqlite":
        return _sqlite(parsed)
    raise BadDatabase(f"a database of the kind '{backend[:40]}' is not known; expected sqlite or postgresql")


def sqlite_url(path: Path) -> str:
    """The URL of a file."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes: all of it, or nothing. Raises DatabaseError."""
    with engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        yield connection


def migrate(engine: Engine, to: str = "head", lineage: Lineage = BOOKS) -> None:
    """Bring the tables to a version, up or down. One transaction, one process at a time. Raises DatabaseError, BadDatabase."""
    wanted = head(lineage) if to == "head" else to
    if to == "head" and (now := version(engine, lineage)) is not None:
        if now == wanted:
            return
        if now > wanted:
            raise BadDatabase(f"the database is of version {now}, which is newer than this gateway ({wanted}); start a newer one")
    from alembic import command  # noqa: PLC0415 - takes its time, and is needed once in a version's life
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(lineage.folder).replace("%", "%%"))
    with _ALEMBIC, writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        config.attributes["connection"] = connection
        now = _version(connection, lineage) if _has_version(connection, lineage) else None
        if wanted == "base" or (now is not None and wanted < now):
            command.downgrade(config, to)
        else:
            command.upgrade(config, to)


def version(engine: Engine, lineage: Lineage = BOOKS) -> str | None:
    """Which migration came last. None: none ever did. Raises DatabaseError."""
    try:
        with engine.connect() as connection:
            return _version(connection, lineage)
    except (OperationalError, ProgrammingError):  # there is no such table, or no such server: the second try says which
        with engine.connect() as connection:
            if not _has_version(connection, lineage):
                return None
        raise


@cache
def head(lineage: Lineage = BOOKS) -> str:
    """The newest migration there is: their files are named after their numbers, and each follows the one before."""
    return max(file.name[:4] for file in (lineage.folder / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))


def is_transient(error: BaseException) -> bool:
    """Whether the same may go well later: a lost connection, a lock, a server that starts."""
    return isinstance(error, OperationalError) or (isinstance(error, DBAPIError) and error.connection_invalidated)


def _version(connection: Connection, lineage: Lineage) -> str | None:
    found = connection.execute(sa.select(sa.column("version_num")).select_from(sa.table(lineage.version_table))).scalar()
    return None if found is None else str(found)


def _has_version(connection: Connection, lineage: Lineage) -> bool:
    return sa.inspect(connection).has_table(lineage.version_table)


def _postgresql(url: URL) -> Engine:
    arguments: dict[str, Any] = {"application_name": "gatewright", "connect_timeout": CONNECT_S, "tcp_user_timeout": DEAD_MS}
    arguments = {name: value for name, value in arguments.items() if name not in url.query}
    try:
        return sa.create_engine(
            url.set(drivername="postgresql+psycopg"), connect_args=arguments, pool_size=2, max_overflow=3, pool_pre_ping=True
        )
    except ModuleNotFoundError:
        raise BadDatabase("PostgreSQL needs a driver; install gatewright[postgres]") from None


def _sqlite(url: URL) -> Engine:
    path = None if url.database in (None, "", ":memory:") else Path(str(url.database))
    if path is None:
        raise BadDatabase("a database in memory is every connection's own; expected sqlite:////path")
    engine = sa.create_engine(url.set(drivername="sqlite+pysqlite"), connect_args={"timeout": BUSY_S, "check_same_thread": False})

    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where we say so
        cursor = connection.cursor()
        cursor.execute("pragma journal_mode = wal")
        # What is committed here is taken out of the journal: after a loss of power it must still be there.
        cursor.execute("pragma synchronous = full")
        cursor.execute("pragma foreign_keys = on")
        cursor.close()
        path.chmod(0o600)

    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes then would fail, and not wait, where another has written in between.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("begin immediate" if writes else "begin")

    def private(_dialect: object, _record: object, _arguments: object, _options: object) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    sa.event.listen(engine, "do_connect", private)
    sa.event.listen(engine, "connect", prepare)
    sa.event.listen(engine, "begin", begin)
    return engine
