"""What the ledger says was spent at one level since a moment: what a budget's counter should have, at least."""

from collections.abc import Callable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from gatewright.limits.terms import Level
from gatewright.stores.ledger_tables import ATTEMPTS, IN_FLIGHT, REQUESTS, ROLLUPS

COLUMN: Final[dict[Level, str]] = {"organization": "organization", "team": "team", "user": "user", "key": "key_id"}
HOUR_US: Final = 3_600_000_000


def spent(engine: Engine, level: Level, owner: str, since: int, counts: Callable[[str, str], bool] | None = None) -> int:
    """Micro-dollars. `since`: microseconds since 1970. Raises DatabaseError.

    `counts`: whether a request for such a model, on such a route, is meant. None: all are, and the hours' sums tell; then `since`
    is the beginning of an hour.
    """
    if counts is None:
        ours = [ROLLUPS.c.hour >= since // HOUR_US, *_of(ROLLUPS, level, owner)]
        with engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.sum(ROLLUPS.c.cost_micros)).where(*ours)).scalar() or 0)
    ours = [REQUESTS.c.at >= since, *_of(REQUESTS, level, owner)]
    joined = REQUESTS.join(ATTEMPTS, ATTEMPTS.c.request_id == REQUESTS.c.id)
    names = (REQUESTS.c.asked, REQUESTS.c.route)
    summed = sa.select(*names, sa.func.sum(ATTEMPTS.c.cost_micros)).select_from(joined).where(*ours).group_by(*names)
    with engine.connect() as connection:
        return sum(int(micros or 0) for asked, route, micros in connection.execute(summed) if counts(asked, route))


def running(engine: Engine) -> int:
    """Requests that are in flight. Raises DatabaseError."""
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(IN_FLIGHT)).scalar_one()


def _of(table: sa.Table, level: Level, owner: str) -> "list[sa.ColumnElement[bool]]":
    return [] if level == "all" else [table.c[COLUMN[level]] == owner]
