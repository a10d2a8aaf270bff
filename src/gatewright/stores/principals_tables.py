"""The tables of principals: who may call, what is granted to whom, and who has changed it.

One rule: no secret is in any of them; of a key there is its SHA-256. Times are unix seconds; those of `audit` are microseconds.
"""

import sqlalchemy as sa

from gatewright.principals.records import Kind
from gatewright.stores.sql import METADATA


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _count(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def _table(name: str, *own: "sa.schema.SchemaItem") -> sa.Table:
    return sa.Table(
        name,
        METADATA,
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("record", sa.Text, nullable=False),  # JSON of the record; other columns are what is looked up by
        _count("version"),  # of the whole when this row was written last
        _count("created"),
        *own,
    )


TABLES: dict[Kind, sa.Table] = {
    "organizations": _table("organizations"),
    "teams": _table("teams", _text("organization")),
    "users": _table("users", _text("organization"), _text("team")),
    "keys": _table(
        "keys",
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("previous", sa.LargeBinary),  # of the one before a rotation
        _count("previous_ends"),
        _text("organization"),
        _text("team"),
        _text("user"),
    ),
    "limits": _table("limits", _text("level"), _text("owner")),
    "budgets": _table("budgets", _text("level"), _text("owner")),
}

AUDIT = sa.Table(
    "audit",
    METADATA,
    # On SQLite only INTEGER counts by itself.
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    _count("at"),
    _text("actor"),  # name of the key or person, or `cli:` and the account of this machine
    _text("actor_id"),
    _text("via"),  # `api` or `cli`
    _text("action"),
    _text("kind"),
    _text("target"),
    _text("team"),  # whose admins may read it; empty: admins alone
    sa.Column("before", sa.Text),  # JSON; null: there was nothing
    sa.Column("after", sa.Text),
    sa.Index("audit_target", "kind", "target"),
    sqlite_autoincrement=True,
)

META = sa.Table("meta", METADATA, sa.Column("name", sa.Text, primary_key=True), _count("value"))
"""`version`: grows with every change of a principal, so that others see that there was one."""
