"""Columns that most tables are made of: what a row has where nobody says anything."""

import pytest
import sqlalchemy as sa
from tests.sql_here import ENGINES, database

from gatewright.stores.columns import count, maybe, number, text
from gatewright.stores.sql import writing


@pytest.mark.parametrize("kind", ENGINES)
def test_what_nobody_says_is_empty_zero_or_unknown(kind, tmp_path):
    """And rows are counted by the database, on SQLite too, or by whoever writes."""
    tables = sa.MetaData()
    counted = sa.Table("counted", tables, number(), text("word"), count("at"), maybe("cost"))
    given = sa.Table("given", tables, number(counted=False), text("word"))
    with database(kind, tmp_path) as engine:
        with writing(engine) as connection:
            tables.create_all(connection)
            connection.execute(sa.text("insert into counted (word) values ('one')"))
            connection.execute(sa.text("insert into counted (at) values (9000000000000000)"))
            connection.execute(given.insert().values(number=1 << 40))
        with engine.connect() as connection:
            assert connection.execute(counted.select()).all() == [(1, "one", 0, None), (2, "", 9_000_000_000_000_000, None)]
            assert connection.execute(given.select()).all() == [(1 << 40, "")]
