"""Usage, added up: of any time, by whatever it is told apart by. Whole days come from the daily sums, the rest from the hours.

    with reading(engine) as connection:
        report(connection, Query(since=…, until=…, by=("team", "model"), only=(("key", "ci"),)))

One rule: no report reads requests. Their rows are for looking at one of them; sums are made when they are written.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from gatewright.stores.ledger_daily import DAILY, DAYS, PLACE, PLACES, SPARED
from gatewright.stores.ledger_rows import MEASURES
from gatewright.stores.ledger_tables import ROLLUPS
from gatewright.stores.report_terms import COLUMN, By, Line, Query, Report

_TIMES: Final = frozenset(("day", "hour"))
_PLACED: Final = {name: i for i, name in enumerate(PLACE)}

Sums: TypeAlias = list[int]
"""In the order of `DAILY`."""
Found: TypeAlias = dict[tuple[str, ...], tuple[dict[str, str], Sums]]


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one moment, whatever is written meanwhile. Raises DatabaseError."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":  # SQLite does so in any case
            connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)  # noqa: PLW2901
        yield connection


def report(connection: Connection, query: Query, extra: Mapping[tuple[object, ...], Sequence[int]] | None = None) -> Report:
    """The dearest first; by time, the earliest first. `extra`: sums of hours by `DIMENSIONS`, of what is not written yet."""
    found: Found = {}
    names = _names(connection) if "key" in query.by else {}
    for kind, begin, end in _stretches(query):
        rows = _from_days(connection, query, begin, end) if kind == "days" else _from_hours(connection, query, begin, end)
        for values, sums in rows:
            _add(found, query.by, values, sums, names)
    for dims, measures in (extra or {}).items():
        hour = int(str(dims[0]))
        if query.since <= hour < query.until and _fits(query, dims):
            place = dims[1:]
            spared = measures[0] if place[_PLACED["cache"]] in SPARED else 0
            values = tuple(_told(by, hour) if by in _TIMES else str(place[_PLACED[COLUMN[by]]]) for by in query.by)
            if "key" in query.by:
                names[str(place[_PLACED["key_id"]])] = str(place[_PLACED["key_name"]])
            _add(found, query.by, values, [*measures, spared], names)
    lines = [Line(group, dict(zip(DAILY, sums, strict=True))) for group, sums in found.values() if any(sums)]
    if query.by and query.by[0] in _TIMES:
        lines.sort(key=lambda line: (*line.group.values(), -line.sums["cost_micros"]))
    else:
        lines.sort(key=lambda line: (-line.sums["cost_micros"], -line.sums["requests"], *line.group.values()))
    total = dict.fromkeys(DAILY, 0)
    for line in lines:
        for name, n in line.sums.items():
            total[name] += n
    return Report(query, tuple(lines), total)


def first_hour(connection: Connection) -> int | None:
    """The first that anything is known of. None: nothing ever was."""
    found = connection.execute(sa.select(sa.func.min(ROLLUPS.c.hour))).scalar()
    return None if found is None else int(found)


def _add(found: Found, by: Sequence[By], values: tuple[str, ...], sums: Sequence[int], names: Mapping[str, str]) -> None:
    there = found.get(values)
    if there is None:
        group: dict[str, str] = {}
        for one, value in zip(by, values, strict=True):
            if one == "key":
                group |= {"key": names.get(value, value), "key_id": value}
            elif one == "status":
                group[one] = f"{value}xx" if value != "0" else "interrupted"
            else:
                group[one] = value
        found[values] = group, list(sums)
        return
    mine = there[1]
    for i, n in enumerate(sums):
        mine[i] += n


def _stretches(query: Query) -> Iterator[tuple[Literal["days", "hours"], int, int]]:
    """Days and hours that make up the time, each with its beginning and end in its own unit."""
    if "hour" in query.by:
        yield "hours", query.since, query.until
        return
    first, last = -(-query.since // 24), query.until // 24
    if first >= last:
        yield "hours", query.since, query.until
        return
    if query.since < first * 24:
        yield "hours", query.since, first * 24
    yield "days", first, last
    if last * 24 < query.until:
        yield "hours", last * 24, query.until


def _from_days(connection: Connection, query: Query, begin: int, end: int) -> Iterator[tuple[tuple[str, ...], list[int]]]:
    sums = [sa.func.sum(DAYS.c[name]) for name in DAILY]
    when = sa.and_(DAYS.c.day >= begin, DAYS.c.day < end)
    wanted = _conditions(connection, PLACES, query)
    if wanted:
        when = sa.and_(when, DAYS.c.place.in_(sa.select(PLACES.c.id).where(*wanted)))
    columns = [COLUMN[by] for by in query.by if by not in _TIMES]
    if "day" not in query.by:
        # By place, as they lie; few are left of them to be told apart by anything else.
        told = {row[0]: row[1:] for row in connection.execute(sa.select(PLACES.c.id, *(PLACES.c[name] for name in columns)))}
        for row in connection.execute(sa.select(DAYS.c.place, *sums).where(when).group_by(DAYS.c.place)):
            yield tuple(map(str, told[row[0]])), [int(n) for n in row[1:]]
        return
    keys: list[sa.ColumnElement[Any]] = [PLACES.c[name] for name in columns]
    source = DAYS.join(PLACES, PLACES.c.id == DAYS.c.place) if columns else DAYS
    keys.append(DAYS.c.day)
    for row in connection.execute(sa.select(*keys, *sums).select_from(source).where(when).group_by(*keys)):
        apart, day = iter(row[: len(columns)]), _told("day", row[len(columns)] * 24)
        yield tuple(day if by in _TIMES else str(next(apart)) for by in query.by), [int(n) for n in row[len(keys) :]]


def _from_hours(connection: Connection, query: Query, begin: int, end: int) -> Iterator[tuple[tuple[str, ...], list[int]]]:
    hits = sa.func.sum(sa.case((ROLLUPS.c.cache.in_(SPARED), ROLLUPS.c.requests), else_=0))
    sums = [*(sa.func.sum(ROLLUPS.c[name]) for name in MEASURES), hits]
    columns = [COLUMN[by] for by in query.by if by not in _TIMES]
    keys: list[sa.ColumnElement[Any]] = [ROLLUPS.c[name] for name in columns]
    if any(by in _TIMES for by in query.by):
        keys.insert(0, ROLLUPS.c.hour)
    chosen = sa.select(*keys, *sums).where(
        ROLLUPS.c.hour >= begin, ROLLUPS.c.hour < end, *_conditions(connection, ROLLUPS, query)
    )
    for row in connection.execute(chosen.group_by(*keys) if keys else chosen):
        n = len(keys)
        if row[n] is None:  # nothing at all, in one line
            continue
        apart = iter(row[n - len(columns) : n])
        values = tuple(_told(by, row[0]) if by in _TIMES else str(next(apart)) for by in query.by)
        yield values, [int(value) for value in row[n:]]


def _conditions(connection: Connection, table: sa.Table, query: Query) -> list[sa.ColumnElement[bool]]:
    """One for each thing that is asked for; several values of it are as good as one another."""
    wanted: dict[By, list[str]] = {}
    for name, value in query.only:
        wanted.setdefault(name, []).append(value)
    chosen = [
        sa.or_(*(_like(connection, table.c[column], value) for value in values for column in _columns_of(name)))
        for name, values in wanted.items()
    ]
    return chosen + [table.c[column] == value for column, value in query.within]


def _columns_of(by: By) -> tuple[str, ...]:
    return ("key_id", "key_name") if by == "key" else (COLUMN[by],)


def _like(connection: Connection, column: "sa.ColumnElement[Any]", value: str) -> "sa.ColumnElement[bool]":
    """Equal; where the value has stars, each stands for anything."""
    if column.type.python_type is int:
        return column == (int(value) if value.isdecimal() else -1)
    if "*" not in value:
        return column == value
    if connection.dialect.name == "sqlite":  # whose LIKE does not tell capitals from small letters
        return column.op("glob")(value.replace("[", "[[]").replace("?", "[?]"))
    escaped = value.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return column.like(escaped.replace("*", "%"), escape="\\")


def _fits(query: Query, dims: Sequence[object]) -> bool:
    place = dims[1:]
    wanted: dict[By, list[str]] = {}
    for name, value in query.only:
        wanted.setdefault(name, []).append(value)
    return all(place[_PLACED[column]] == value for column, value in query.within) and all(
        any(_is(str(place[_PLACED[column]]), value) for value in values for column in _columns_of(name))
        for name, values in wanted.items()
    )


def _is(text: str, wanted: str) -> bool:
    if "*" not in wanted:
        return text == wanted
    first, *middle, last = wanted.split("*")
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def _names(connection: Connection) -> dict[str, str]:
    """What keys are called. One that was renamed goes by one of its names."""
    return {row[0]: row[1] for row in connection.execute(sa.select(PLACES.c.key_id, PLACES.c.key_name).distinct())}


def _told(by: By, hour: int) -> str:
    moment = datetime.fromtimestamp(0, UTC) + timedelta(hours=int(hour))
    return moment.strftime("%Y-%m-%d" if by == "day" else "%Y-%m-%dT%H:00Z")
