"""Databases that tests may use, each with tables of its own: SQLite in a folder, PostgreSQL in a schema that is thrown away.

Where there is no PostgreSQL they skip loudly; in CI they fail.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url

from gatewright.stores.sql import engine_of, sqlite_url, writing

URL = os.environ.get("GATEWRIGHT_TEST_POSTGRES", f"postgresql://{os.environ.get('USER') or 'root'}@127.0.0.1:5432/test")
ENGINES = ("sqlite", "postgresql")


@contextmanager
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL with an empty schema."""
    schema = f"gw_{secrets.token_hex(6)}"
    around = engine_of(URL)
    try:
        with writing(around) as connection:
            connection.execute(sa.schema.CreateSchema(schema))
    except sa.exc.OperationalError as error:
        why = f"needs a PostgreSQL at {URL} (GATEWRIGHT_TEST_POSTGRES says where): {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    try:
        url = make_url(URL).update_query_dict({"options": f"-csearch_path={schema}"})
        yield url.render_as_string(hide_password=False)
    finally:
        with writing(around) as connection:
            connection.execute(sa.schema.DropSchema(schema, cascade=True))
        around.dispose()


@contextmanager
def database(kind: str, tmp_path) -> Iterator[Engine]:
    """An empty one: no tables yet."""
    if kind == "sqlite":
        engine = engine_of(sqlite_url(tmp_path / "here" / "gatewright.db"))
        try:
            yield engine
        finally:
            engine.dispose()
        return
    with postgres_url() as url:
        engine = engine_of(url)
        try:
            yield engine
        finally:
            engine.dispose()
