"""Principals: organizations, teams, users, keys, what is granted to them, who changed it."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = ("organizations", "teams", "users", "keys", "limits", "budgets")

APPEND_ONLY_SQLITE = """
create trigger audit_stays_{action} before {action} on audit begin select raise(abort, 'the audit log is append-only'); end
"""
APPEND_ONLY_FUNCTION = """
create function gatewright_audit_stays() returns trigger language plpgsql as
$$ begin raise exception 'the audit log is append-only'; end $$
"""
APPEND_ONLY_POSTGRESQL = """
create trigger audit_stays before update or delete or truncate on audit for each statement
execute function gatewright_audit_stays()
"""


def _texts(*names: str) -> list["sa.Column[str]"]:
    return [sa.Column(name, sa.Text, nullable=False, server_default="") for name in names]


def _counts(*names: str) -> list["sa.Column[int]"]:
    return [sa.Column(name, sa.BigInteger, nullable=False, server_default="0") for name in names]


def _table(name: str, *own: "sa.Column[Any]") -> None:
    op.create_table(
        name,
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("record", sa.Text, nullable=False),
        *_counts("version", "created"),
        *own,
    )


def upgrade() -> None:
    _table("organizations")
    _table("teams", *_texts("organization"))
    _table("users", *_texts("organization", "team"))
    _table(
        "keys",
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("previous", sa.LargeBinary),
        *_counts("previous_ends"),
        *_texts("organization", "team", "user"),
    )
    _table("limits", *_texts("level", "owner"))
    _table("budgets", *_texts("level", "owner"))
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        *_counts("at"),
        *_texts("actor", "actor_id", "via", "action", "kind", "target", "team"),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_target", "audit", ["kind", "target"])
    op.create_table("meta", sa.Column("name", sa.Text, primary_key=True), *_counts("value"))
    op.execute("insert into meta (name, value) values ('version', 1)")
    if op.get_bind().dialect.name == "sqlite":
        for action in ("update", "delete"):
            op.execute(APPEND_ONLY_SQLITE.format(action=action))
    else:
        op.execute(APPEND_ONLY_FUNCTION)
        op.execute(APPEND_ONLY_POSTGRESQL)


def downgrade() -> None:
    for table in ("meta", "audit", *reversed(TABLES)):
        op.drop_table(table)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("drop function gatewright_audit_stays()")
