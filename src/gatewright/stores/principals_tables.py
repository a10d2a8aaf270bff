"""The tables of principals: who may call, what is granted to whom, and who has changed it.

One rule: no secret is in any of them; of a key there is its SHA-256. Times are unix seconds; those of `audit` are microseconds.
"""

import sqlalchemy as sa

from gatewright.principals.records import Kind
from gatewright.stores.columns import count, number, text
from gatewright.stores.sql import METADATA


def _table(name: str, *own: "sa.schema.SchemaItem") -> sa.Table:
    return sa.Table(
        name,
        METADATA,
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("record", sa.Text, nullable=False),  # JSON of the record; other columns are what is looked up by
        count("version"),  # of the whole when this row was written last
        count("created"),
        *own,
    )


TABLES: dict[Kind, sa.Table] = {
    "organizations": _table("organizations"),
    "teams": _table("teams", text("organization")),
    "users": _table("users", text("organization"), text("team")),
    "keys": _table(
        "keys",
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("previous", sa.LargeBinary),  # of the one before a rotation
        count("previous_ends"),
        text("organization"),
        text("team"),
        text("user"),
    ),
    "limits": _table("limits", text("level"), text("owner")),
    "budgets": _table("budgets", text("level"), text("owner")),
}

AUDIT = sa.Table(
    "audit",
    METADATA,
    number(),
    count("at"),
    text("actor"),  # name of the key or person, or `cli:` and the account of this machine
    text("actor_id"),
    text("via"),  # `api` or `cli`
    text("action"),
    text("kind"),
    text("target"),
    text("team"),  # whose admins may read it; empty: admins alone
    sa.Column("before", sa.Text),  # JSON; null: there was nothing
    sa.Column("after", sa.Text),
    sa.Index("audit_target", "kind", "target"),
    sqlite_autoincrement=True,
)

META = sa.Table("meta", METADATA, sa.Column("name", sa.Text, primary_key=True), count("value"))
"""`version`: grows with every change of a principal, so that others see that there was one."""
