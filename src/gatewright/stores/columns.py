"""The columns that most tables are made of.

One rule: tables as they are now, alone: a migration writes its own down, for it must stay what it was when these change.
"""

from typing import Final

import sqlalchemy as sa


def text(name: str) -> "sa.Column[str]":
    """Never null: what there is nothing to say of is empty."""
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def count(name: str) -> "sa.Column[int]":
    """A number that is always known, such as a moment, a length or a flag. Never null; 0 where nobody says otherwise."""
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def maybe(name: str) -> "sa.Column[int]":
    """A number that may be unknown. Null: nobody knows; never a guess."""
    return sa.Column(name, sa.BigInteger)


def number(*, counted: bool = True) -> "sa.Column[int]":
    """The primary key `number`. `counted`: the database counts it up; else whoever writes says it.

    SQLite counts INTEGER alone, which has as many bytes there.
    """
    return sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=counted)


OF_REQUEST: Final = (
    "key_id", "key_name", "user", "team", "organization", "operation", "route",
    "asked",  # the model as the client wrote it
    "provider",  # who answered, or was asked last; empty: nobody was
    "model", "client_dialect", "upstream_dialect",
)  # fmt: skip
"""Who asked for what, and who answered: what every table of requests has."""


def of_request() -> "list[sa.Column[str]]":
    return [text(name) for name in OF_REQUEST]
