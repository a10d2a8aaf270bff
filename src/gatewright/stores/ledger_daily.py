"""Daily sums: what the hours add up to, in rows a quarter as many and a third as wide, for reports over weeks and months.

    places          everything that rollups are told apart by but the time, once each
    rollups_daily   place × day: the measures

One rule: a day is the sum of its hours. Both are added to in one transaction, and `usage verify` compares them.
Why there are days: of a million requests in 90 days the hours are half a million rows, and a report over them takes seconds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gatewright.stores.columns import count, text
from gatewright.stores.ledger_rows import DIMENSIONS, MEASURES
from gatewright.stores.ledger_tables import ROLLUPS
from gatewright.stores.sql import METADATA

SPARED: Final = frozenset(("hit", "coalesced"))
"""Of `cache`: nobody was called for the answer."""
PLACE: Final = DIMENSIONS[1:]
DAILY: Final = (*MEASURES, "hits")
"""`hits`: requests that nobody was called for."""
_CACHE: Final = DIMENSIONS.index("cache")
_AT_ONCE: Final = 500

PLACES = sa.Table(
    "places",
    METADATA,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),  # of the digest in `rollups_hourly.dims`
    *(count(name) if name == "status_class" else text(name) for name in PLACE),
)

DAYS = sa.Table(
    "rollups_daily",
    METADATA,
    # Place first: rows of a place lie together, so a report adds them up as it reads, without sorting.
    sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),  # from 1970 on, UTC
    *map(count, DAILY),
    sqlite_with_rowid=False,
)


def place_of(dims: str) -> int:
    """The number of a place, by the digest that its hours have."""
    return int(dims[:16], 16) >> 1


def add_days(connection: Connection, hours: Iterable[tuple[str, tuple[object, ...], Sequence[int]]]) -> None:
    """Add what was added to hours to their days: the digest of each, its dimensions and its measures."""
    places: dict[int, tuple[object, ...]] = {}
    days: dict[tuple[int, int], list[int]] = {}
    for key, dims, sums in hours:
        place = place_of(key)
        places[place] = dims[1:]
        hits = sums[0] if dims[_CACHE] in SPARED else 0
        at = place, int(str(dims[0])) // 24
        there = days.get(at)
        days[at] = [*sums, hits] if there is None else [a + b for a, b in zip(there, (*sums, hits), strict=True)]
    _name_places(connection, places)
    postgresql = connection.dialect.name == "postgresql"
    connection.exec_driver_sql(_add(postgresql), sorted((*at, *sums) for at, sums in days.items()))


def _name_places(connection: Connection, places: Mapping[int, tuple[object, ...]]) -> None:
    ids = sorted(places)
    known: set[int] = set()
    for at in range(0, len(ids), _AT_ONCE):
        known.update(connection.execute(sa.select(PLACES.c.id).where(PLACES.c.id.in_(ids[at : at + _AT_ONCE]))).scalars())
    rows = [(place, *places[place]) for place in ids if place not in known]
    if rows:
        connection.exec_driver_sql(_name(connection.dialect.name == "postgresql"), rows)


def disagreements(connection: Connection, _rows_from: int) -> Iterator[str]:
    """Days that are not the sum of their hours."""
    day = ROLLUPS.c.hour.op("/")(sa.literal_column("24"))
    hits = sa.func.sum(sa.case((ROLLUPS.c.cache.in_(SPARED), ROLLUPS.c.requests), else_=0))
    sums = (sa.func.sum(ROLLUPS.c[name]) for name in MEASURES)
    should = {
        (place_of(row[0]), int(row[1])): [int(n) for n in row[2:]]
        for row in connection.execute(sa.select(ROLLUPS.c.dims, day, *sums, hits).group_by(ROLLUPS.c.dims, day))
    }
    nothing = [0] * len(DAILY)
    for row in connection.execute(sa.select(DAYS.c.place, DAYS.c.day, *(DAYS.c[name] for name in DAILY))):
        added = should.pop((row[0], row[1]), nothing)
        for name, has, adds in zip(DAILY, row[2:], added, strict=True):
            if has != adds:
                yield f"days: day {row[1]}, place {row[0]}: {name} is {has}; its hours add up to {adds}"
    for (place, number), added in should.items():
        if any(added):
            yield f"days: day {number}, place {place}: there is none; its hours add up to {added[0]} requests"


@cache
def _add(postgresql: bool) -> str:  # noqa: FBT001 - there are two
    names = ("place", "day", *DAILY)
    adds = ", ".join(f"{name} = {DAYS.name}.{name} + excluded.{name}" for name in DAILY)
    return f"{_insert(DAYS.name, names, postgresql)} on conflict (place, day) do update set {adds}"


@cache
def _name(postgresql: bool) -> str:  # noqa: FBT001 - there are two
    return f"{_insert(PLACES.name, ('id', *PLACE), postgresql)} on conflict (id) do nothing"


def _insert(table: str, names: Sequence[str], postgresql: Any) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"insert into {table} ({quoted}) values ({', '.join(['%s' if postgresql else '?'] * len(names))})"  # noqa: S608 - ours
