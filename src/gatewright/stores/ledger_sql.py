"""The ledger in SQL: a batch of rows in one transaction with its journal's mark, and what is looked up when a process has died.

One rule: exactly once. A batch goes in only where the mark still stands where the batch begins, and moves it in the same
transaction: whoever reads the same stretch of a journal a second time finds the mark moved, and writes nothing.
"""

import hashlib
import logging
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from itertools import chain, count
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from gatewright.stores.ledger_daily import add_days
from gatewright.stores.ledger_rows import DIMENSIONS, MEASURES, Batch, InFlight, Mark, Row
from gatewright.stores.ledger_tables import ATTEMPTS, IN_FLIGHT, MARKS, REQUESTS, ROLLUPS, STATE
from gatewright.stores.sql import writing

log = logging.getLogger("gatewright")

ROWS_FROM: Final = "rows_from"
_MOST: Final = (1 << 63) - 1
_AT_ONCE: Final = 5_000
"""Rows that one transaction removes: others wait for it meanwhile."""
TOGETHER: Final = 64
"""Rows of one statement for SQLite: each gives up the interpreter's lock, which busy threads then hold for a while."""
_BEGUN: Final = (
    "id", "journal", "at", "key_id", "key_name", "user", "team", "organization", "operation", "route", "asked", "provider",
    "model", "client_dialect", "upstream_dialect", "stream", "input", "reserved_micros",
)  # fmt: skip


class Moved(Exception):
    """The mark is not where it was: somebody else has written this stretch."""


def mark_of(engine: Engine, journal: str) -> Mark:
    """How far a journal is in the tables. Raises DatabaseError."""
    with engine.connect() as connection:
        row = connection.execute(sa.select(MARKS.c.segment, MARKS.c.position).where(MARKS.c.journal == journal)).first()
    return Mark() if row is None else Mark(*row)


def in_flight(engine: Engine, journal: str) -> list[InFlight]:
    """The requests of a journal that have begun and are not settled. Raises DatabaseError."""
    with engine.connect() as connection:
        return _in_flight(connection, journal)


def known_of(engine: Engine, ids: Sequence[str]) -> set[str]:
    """Those of these requests that are settled in the tables. Raises DatabaseError."""
    with engine.connect() as connection:
        return {
            found
            for some in _parts(ids)
            for found in connection.execute(sa.select(REQUESTS.c.id).where(REQUESTS.c.id.in_(some))).scalars()
        }


def silent_journals(engine: Engine, since: int) -> list[tuple[str, str, int, int]]:
    """Journals with requests in flight that nobody has written of since then (Unix seconds): name, host, heard, how many."""
    open_ones = sa.select(MARKS.c.journal, MARKS.c.host, MARKS.c.heard, sa.func.count()).join(
        IN_FLIGHT, IN_FLIGHT.c.journal == MARKS.c.journal
    )
    with engine.connect() as connection:
        found = connection.execute(open_ones.where(MARKS.c.heard < since).group_by(MARKS.c.journal, MARKS.c.host, MARKS.c.heard))
        return [(row[0], row[1], row[2], row[3]) for row in found]


def write(
    engine: Engine,
    batch: Batch,
    before: Mark,
    after: Mark,
    *,
    host: str,
    pid: int,
    records: int,
    lost: int = 0,
    closed: bool = False,
) -> None:
    """All of a batch, or nothing. `records`, `lost`: what is added to these. Raises Moved, DatabaseError."""
    move = partial(
        _move, journal=batch.journal, before=before, after=after, host=host, pid=pid, records=records, lost=lost, closed=closed
    )
    try:
        _write(engine, batch, move)
    except (IntegrityError, DataError, OverflowError) as error:
        log.error("ledger: %s; written with other words", _first_line(error))  # noqa: TRY400 - says enough
        _write(engine, batch, move, doubtful=True)


def _write(engine: Engine, batch: Batch, move: Callable[[Connection], None], *, doubtful: bool = False) -> None:
    """`doubtful`: some of its ids are taken, or a text or a figure is not one that the engine takes."""
    with writing(engine) as connection:
        move(connection)
        if doubtful:
            _clean(batch)
            _rename(connection, batch)
        _insert(connection, REQUESTS, batch.requests)
        _insert(connection, ATTEMPTS, batch.attempts)
        _insert(connection, IN_FLIGHT, [_begun_row(batch.journal, one) for one in batch.in_flight], _BEGUN)
        for some in _parts(batch.landed):
            connection.execute(sa.delete(IN_FLIGHT).where(IN_FLIGHT.c.id.in_(some)))
        _add_up(connection, batch.rollups)


def forget_rows(engine: Engine, before_hour: int) -> int:
    """Remove requests and attempts of hours before this one, and what is known of journals that ended before; rollups stay.

    How many requests. Raises DatabaseError.
    """
    removed = 0
    with writing(engine) as connection:
        known = connection.execute(sa.select(STATE.c.value).where(STATE.c.name == ROWS_FROM)).scalar()
        if known is None:
            connection.execute(sa.insert(STATE).values(name=ROWS_FROM, value=before_hour))
        elif known < before_hour:
            connection.execute(sa.update(STATE).where(STATE.c.name == ROWS_FROM).values(value=before_hour))
        connection.execute(sa.delete(MARKS).where(MARKS.c.closed == 1, MARKS.c.heard < before_hour * 3600))
    while True:
        with writing(engine) as connection:
            first = (
                sa.select(REQUESTS.c.id)
                .where(REQUESTS.c.at < before_hour * 3_600_000_000)
                .order_by(REQUESTS.c.at)
                .limit(_AT_ONCE)
            )
            ids = list(connection.execute(first).scalars())
            for some in _parts(ids):
                connection.execute(sa.delete(ATTEMPTS).where(ATTEMPTS.c.request_id.in_(some)))
                connection.execute(sa.delete(REQUESTS).where(REQUESTS.c.id.in_(some)))
        removed += len(ids)
        if len(ids) < _AT_ONCE:
            return removed


def dims_id(dims: Sequence[object]) -> str:
    """One word for all dimensions but the hour, the same for ever: rollups are found by it."""
    return hashlib.blake2b("\x1f".join(map(str, dims[1:])).encode(), digest_size=12).hexdigest()


def _move(
    connection: Connection, journal: str, before: Mark, after: Mark, *, host: str, pid: int, records: int, lost: int, closed: bool
) -> None:
    values = {"segment": after.segment, "position": after.position, "heard": int(time.time()), "closed": int(closed)}
    here = sa.and_(MARKS.c.journal == journal, MARKS.c.segment == before.segment, MARKS.c.position == before.position)
    moved = connection.execute(
        sa.update(MARKS).where(here).values(**values, records=MARKS.c.records + records, lost=MARKS.c.lost + lost)
    )
    if moved.rowcount == 1:
        return
    if before != Mark() or connection.execute(sa.select(MARKS.c.journal).where(MARKS.c.journal == journal)).first() is not None:
        raise Moved(journal)
    connection.execute(sa.insert(MARKS).values(journal=journal, host=host, pid=pid, records=records, lost=lost, **values))


def _clean(batch: Batch) -> None:
    """Leave out what an engine cannot take: clients and providers choose some of it."""
    batch.requests = [tuple(map(_taken, row)) for row in batch.requests]
    batch.attempts = [tuple(map(_taken, row)) for row in batch.attempts]
    batch.in_flight = [
        InFlight(**{name: _taken(getattr(one, name)) for name in InFlight.__struct_fields__}) for one in batch.in_flight
    ]
    batch.rollups = {tuple(map(_taken, dims)): sums for dims, sums in batch.rollups.items()}


def _taken(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return max(-_MOST, min(value, _MOST)) if isinstance(value, int) else value


def _rename(connection: Connection, batch: Batch) -> None:
    """Give requests whose id is taken another: a row that nobody can write would stop all that come after it."""
    taken: set[object] = set()
    ids = [row[0] for row in batch.requests]
    for table, mine in ((REQUESTS, ids), (IN_FLIGHT, [one.id for one in batch.in_flight])):
        for some in _parts(mine):
            taken.update(connection.execute(sa.select(table.c.id).where(table.c.id.in_(some))).scalars())
    taken.update(one for one, times in Counter(ids).items() if times > 1)
    if not taken:
        return
    log.error("ledger: %d request ids came twice, such as %s; each gets an ending of its own", len(taken), next(iter(taken), ""))
    number = count()
    renamed: defaultdict[object, list[str]] = defaultdict(list)
    end = secrets.token_hex(4)

    def other(one: object) -> str:
        name = f"{one}~{end}{next(number)}"
        renamed[one].append(name)
        return name

    batch.requests = [(other(row[0]), *row[1:]) if row[0] in taken else row for row in batch.requests]
    told: Counter[object] = Counter()
    attempts: list[Row] = []
    for row in batch.attempts:
        names = renamed.get(row[0])
        if names:
            told[row[0]] += row[1] == 1
            row = (names[max(told[row[0]] - 1, 0)], *row[1:])  # noqa: PLW2901 - the same, renamed
        attempts.append(row)
    batch.attempts = attempts
    batch.in_flight = [one for one in batch.in_flight if one.id not in taken]


def _insert(connection: Connection, table: sa.Table, rows: Sequence[Row], columns: Sequence[str] = ()) -> None:
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        driver: Any = connection.connection.driver_connection
        dbapi: Any = connection.dialect.loaded_dbapi
        statement = _copy(table, tuple(columns))
        try:
            with driver.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
        except dbapi.Error as error:
            raise DBAPIError.instance(statement, None, error, dbapi.Error, dialect=connection.dialect) from error
        return
    names = tuple(columns) or tuple(table.columns.keys())
    together = len(rows) - len(rows) % TOGETHER
    for first in range(0, together, TOGETHER):
        statement = _values(table, names, TOGETHER)
        connection.exec_driver_sql(statement, tuple(chain.from_iterable(rows[first : first + TOGETHER])))
    if together < len(rows):
        connection.exec_driver_sql(_values(table, names), list(rows[together:]))


def _add_up(connection: Connection, rollups: dict[tuple[object, ...], list[int]]) -> None:
    if not rollups:
        return
    # In one order everywhere: two processes that add to the same two rows must not wait for one another.
    keyed = [(dims_id(dims), dims, sums) for dims, sums in rollups.items()]
    rows = sorted((dims[0], key, *dims[1:], *sums) for key, dims, sums in keyed)
    connection.exec_driver_sql(_upsert(connection.dialect.name == "postgresql"), list(rows))
    add_days(connection, keyed)


def _in_flight(connection: Connection, journal: str) -> list[InFlight]:
    found = connection.execute(sa.select(*(IN_FLIGHT.c[name] for name in _BEGUN)).where(IN_FLIGHT.c.journal == journal))
    return [
        InFlight(
            id=row[0], at=row[2], key_id=row[3], key_name=row[4], user=row[5], team=row[6], organization=row[7], operation=row[8],
            route=row[9], asked=row[10], provider=row[11], model=row[12], client=row[13], upstream=row[14], stream=row[15],
            input=row[16], reserved=row[17],
        )
        for row in found
    ]  # fmt: skip


def _begun_row(journal: str, one: InFlight) -> Row:
    return (
        one.id, journal, one.at, one.key_id, one.key_name, one.user, one.team, one.organization, one.operation, one.route,
        one.asked, one.provider, one.model, one.client, one.upstream, one.stream, one.input, one.reserved,
    )  # fmt: skip


def _parts(ids: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (ids[at : at + 500] for at in range(0, len(ids), 500))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


@cache
def _copy(table: sa.Table, columns: tuple[str, ...]) -> str:
    return f"copy {table.name} ({_quoted(columns or table.columns.keys())}) from stdin"


@cache
def _values(table: sa.Table, names: tuple[str, ...], rows: int = 1) -> str:
    row = f"({', '.join('?' * len(names))})"
    return f"insert into {table.name} ({_quoted(names)}) values {', '.join([row] * rows)}"  # noqa: S608 - our own names


@cache
def _upsert(postgresql: bool) -> str:  # noqa: FBT001 - there are two
    names = ("hour", "dims", *DIMENSIONS[1:], *MEASURES)
    mark = "%s" if postgresql else "?"
    adds = ", ".join(f"{name} = {ROLLUPS.name}.{name} + excluded.{name}" for name in MEASURES)
    return (
        f"insert into {ROLLUPS.name} ({_quoted(names)}) values ({', '.join([mark] * len(names))}) "  # noqa: S608 - our own names
        f"on conflict (hour, dims) do update set {adds}"
    )
