"""Whether the ledger's tables agree with one another. Each check is one statement; what disagrees is told in words.

One rule: nothing is mended here. Sums that do not add up are for a person to look at.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from gatewright.stores.ledger_daily import disagreements as days
from gatewright.stores.ledger_rows import AXES, DIMENSIONS, MEASURES
from gatewright.stores.ledger_sql import ROWS_FROM
from gatewright.stores.ledger_tables import ATTEMPTS, REQUESTS, ROLLUPS, STATE

MOST_TOLD: Final = 20
"""Disagreements of one kind."""
_OF_REQUESTS: Final = ("requests", "errors", "interrupted", "streams", "took_us", "ttft_us", "ttfts")


def disagreements(engine: Engine) -> Iterator[str]:
    """What does not add up, a line each. Empty: all agrees. Raises DatabaseError."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":  # SQLite sees one moment in any case
            connection.execution_options(isolation_level="REPEATABLE READ")
        rows_from = connection.execute(sa.select(STATE.c.value).where(STATE.c.name == ROWS_FROM)).scalar() or 0
        checks: tuple[Callable[[Connection, int], Iterator[str]], ...] = (_attempts_of_nobody, _sums_of_requests, _rollups, days)
        for check in checks:
            for number, line in enumerate(check(connection, rows_from)):
                if number == MOST_TOLD:
                    yield "… and more of this kind"
                    break
                yield line


def _attempts_of_nobody(connection: Connection, _rows_from: int) -> Iterator[str]:
    lone = (
        sa.select(ATTEMPTS.c.request_id)
        .outerjoin(REQUESTS, REQUESTS.c.id == ATTEMPTS.c.request_id)
        .where(REQUESTS.c.id.is_(None))
    )
    for (request_id,) in connection.execute(lone.distinct().limit(MOST_TOLD + 1)):
        yield f"attempts: those of {request_id} belong to no request"


def _sums_of_requests(connection: Connection, _rows_from: int) -> Iterator[str]:
    """A request's tokens, cost and number of attempts are those of its attempts."""
    told = (*AXES, "cost_micros")
    sums = [sa.func.sum(ATTEMPTS.c[name]).label(name) for name in told]
    unknown = sa.func.count().filter(ATTEMPTS.c.cost_micros.is_(None)).label("unknown")
    made = (
        sa.select(ATTEMPTS.c.request_id, sa.func.count().label("made"), unknown, *sums).group_by(ATTEMPTS.c.request_id).subquery()
    )
    cost = sa.case((sa.func.coalesce(made.c.unknown, 0) > 0, None), else_=sa.func.coalesce(made.c.cost_micros, 0))
    wrong = [REQUESTS.c.attempts != sa.func.coalesce(made.c.made, 0)]
    wrong += [sa.func.coalesce(REQUESTS.c[axis], 0) != sa.func.coalesce(made.c[axis], 0) for axis in AXES]
    wrong.append(REQUESTS.c.cost_micros.is_distinct_from(cost))
    columns = (REQUESTS.c.id, REQUESTS.c.attempts, made.c.made, REQUESTS.c.cost_micros, cost)
    found = sa.select(*columns).outerjoin(made, made.c.request_id == REQUESTS.c.id).where(sa.or_(*wrong)).limit(MOST_TOLD + 1)
    for request_id, attempts, there, micros, added in connection.execute(found):
        yield (
            f"requests: {request_id} says {attempts} attempts and {_dollars(micros)}; "
            f"its attempts are {there or 0} and {_dollars(added)}, or their tokens are others"
        )


def _rollups(connection: Connection, rows_from: int) -> Iterator[str]:
    """The hours are the sums of their requests and attempts. Hours whose rows are gone by now cannot be checked."""
    expected: dict[tuple[object, ...], list[int]] = {}
    for names, query in ((_OF_REQUESTS, _from_requests(rows_from)), (_OF_ATTEMPTS, _from_attempts(rows_from))):
        for row in connection.execute(query):
            sums = expected.setdefault(tuple(row[: len(DIMENSIONS)]), [0] * len(MEASURES))
            for name, n in zip(names, row[len(DIMENSIONS) :], strict=True):
                sums[MEASURES.index(name)] += int(n or 0)
    columns = [ROLLUPS.c[name] for name in (*DIMENSIONS, *MEASURES)]
    for row in connection.execute(sa.select(*columns).where(ROLLUPS.c.hour >= rows_from)):
        dims = tuple(row[: len(DIMENSIONS)])
        there = [int(n) for n in row[len(DIMENSIONS) :]]
        should = expected.pop(dims, [0] * len(MEASURES))
        for name, has, adds in zip(MEASURES, there, should, strict=True):
            if has != adds:
                yield f"rollups: {_named(dims)}: {name} is {has}; its rows add up to {adds}"
    for dims, should in expected.items():
        if any(should):
            yield f"rollups: {_named(dims)}: there is none; its rows add up to {should[0]} requests"


_OF_ATTEMPTS: Final = ("attempts", "failed", *AXES, "estimated", "cost_micros", "unknown")


def _from_requests(rows_from: int) -> "sa.Select[Any]":
    r = REQUESTS.c
    dims = (
        r.hour, r.key_id, r.key_name, r.user, r.team, r.organization, r.operation, r.route, r.provider, r.model,
        _status_class(), r.cache,
    )  # fmt: skip
    adds = (
        sa.func.count(), _times(r.outcome == "error"), _times(r.outcome == "interrupted"), sa.func.sum(r.stream),
        sa.func.sum(r.took_us), sa.func.sum(r.ttft_us), sa.func.count(r.ttft_us),
    )  # fmt: skip
    return sa.select(*dims, *adds).where(r.hour >= rows_from).group_by(*dims)


def _from_attempts(rows_from: int) -> "sa.Select[Any]":
    r, a = REQUESTS.c, ATTEMPTS.c
    dims = (
        r.hour, r.key_id, r.key_name, r.user, r.team, r.organization, r.operation, r.route, a.provider, a.model,
        _status_class(), r.cache,
    )  # fmt: skip
    adds = (
        sa.func.count(), _times(a.cause.not_in(("", "cancelled"))), *(sa.func.sum(a[axis]) for axis in AXES),
        _times(sa.or_(a.input_source == "estimated", a.output_source == "estimated")), sa.func.sum(a.cost_micros),
        _times(a.cost_micros.is_(None)),
    )  # fmt: skip
    both = REQUESTS.join(ATTEMPTS, ATTEMPTS.c.request_id == REQUESTS.c.id)
    return sa.select(*dims, *adds).select_from(both).where(r.hour >= rows_from).group_by(*dims)


def _status_class() -> "sa.ColumnElement[int]":
    return sa.cast(REQUESTS.c.status, sa.Integer).op("/")(sa.literal_column("100"))


def _times(what: "sa.ColumnElement[bool]") -> "sa.ColumnElement[int]":
    return sa.func.sum(sa.case((what, 1), else_=0))


def _dollars(micros: int | None) -> str:
    return "an unknown cost" if micros is None else f"{int(micros)} micro-dollars"


def _named(dims: tuple[object, ...]) -> str:
    told = (f"{name} {value}" for name, value in zip(DIMENSIONS, dims, strict=True) if value not in ("", None))
    return ", ".join(told)
