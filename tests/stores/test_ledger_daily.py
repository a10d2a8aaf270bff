"""Days are the sum of their hours, at every moment."""

import pytest
import sqlalchemy as sa
from tests.sql_here import ENGINES, database
from tests.stores.traffic import HOUR_US, NOON, batch_of, lots, written

from gatewright.stores import ledger_check, ledger_sql, sql
from gatewright.stores.ledger_daily import DAYS, PLACES, place_of
from gatewright.stores.ledger_rows import Mark
from gatewright.stores.ledger_tables import ROLLUPS


@pytest.fixture(params=ENGINES)
def engine(request, tmp_path):
    with database(request.param, tmp_path) as engine:
        sql.migrate(engine)
        yield engine


def rows(engine, table) -> list[tuple]:
    with engine.connect() as connection:
        return sorted(tuple(row) for row in connection.execute(sa.select(table)))


def test_days_are_the_sum_of_their_hours_whatever_the_batches(engine):
    """Batches come in any order, over midnight and over places that are there already."""
    entries = lots()
    written(engine, entries)
    assert list(ledger_check.disagreements(engine)) == []
    days = rows(engine, DAYS)
    assert len(days) < len(rows(engine, ROLLUPS))
    assert {row[1] for row in days} >= {19998, 19999, 20000, 20001}
    requests = list(DAYS.columns).index(DAYS.c.requests)
    hits = list(DAYS.columns).index(DAYS.c.hits)
    assert sum(row[requests] for row in days) == len(entries)
    assert sum(row[hits] for row in days) == sum(entry.cache == "hit" for entry in entries) > 0


def test_a_batch_that_fails_leaves_no_day_behind(engine):
    """All of it is one transaction."""
    first, second = lots(seed=1), lots(seed=2)
    written(engine, first)
    before = rows(engine, DAYS), rows(engine, PLACES)
    with pytest.raises(ledger_sql.Moved):
        ledger_sql.write(engine, batch_of(second), Mark(1, 1), Mark(1, 9), host="h", pid=1, records=1)
    assert (rows(engine, DAYS), rows(engine, PLACES)) == before


@pytest.mark.parametrize("change", [{"requests": 1}, {"cost_micros": 5}, {"hits": 1}])
def test_a_day_that_was_changed_is_told(engine, change):
    """`usage verify` compares every figure of it."""
    written(engine, lots(100))
    name, more = next(iter(change.items()))
    with sql.writing(engine) as connection:
        one = connection.execute(sa.select(DAYS.c.place, DAYS.c.day).limit(1)).one()
        where = sa.and_(DAYS.c.place == one.place, DAYS.c.day == one.day)
        connection.execute(sa.update(DAYS).where(where).values({name: DAYS.c[name] + more}))
    (line,) = ledger_check.disagreements(engine)
    assert line.startswith(f"days: day {one.day}, place {one.place}: {name} is ")


def test_a_day_that_is_gone_is_told(engine):
    """Sums of months would lack it."""
    written(engine, lots(100))
    with sql.writing(engine) as connection:
        connection.execute(sa.delete(DAYS).where(DAYS.c.day == 20_000))
    told = list(ledger_check.disagreements(engine))
    assert told
    assert all("there is none; its hours add up to" in line or line.startswith("…") for line in told)


def test_hours_that_were_there_before_days_are_added_up(engine):
    """Who comes from an older version finds his past in reports."""
    written(engine, lots())
    days, places = rows(engine, DAYS), rows(engine, PLACES)
    sql.migrate(engine, "0002")
    sql.migrate(engine)
    assert rows(engine, DAYS) == days
    assert rows(engine, PLACES) == places
    assert list(ledger_check.disagreements(engine)) == []


def test_a_place_is_numbered_by_its_digest_alone(engine):
    """The same in every process, for ever; and it fits a signed integer of 64 bits."""
    written(engine, lots(100))
    with engine.connect() as connection:
        digests = set(connection.execute(sa.select(ROLLUPS.c.dims)).scalars())
        ids = set(connection.execute(sa.select(PLACES.c.id)).scalars())
    assert {place_of(digest) for digest in digests} == ids
    assert max(map(place_of, ("f" * 24, "0" * 24))) < 1 << 63
    assert NOON * HOUR_US < 1 << 63
