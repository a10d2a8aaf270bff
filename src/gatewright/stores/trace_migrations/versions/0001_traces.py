"""Traces, their documents, their words and what links them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _count(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def upgrade() -> None:
    op.create_table(
        "trace_blobs",
        sa.Column("number", _ID, primary_key=True, autoincrement=True),
        _count("last"),
        _count("size"),
        _text("seal"),
        sa.Column("lengths", sa.LargeBinary, nullable=False),
        _count("unlisted"),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("trace_blobs_last", "trace_blobs", ["last"])
    unlisted = sa.text("unlisted = 1")
    op.create_index("trace_blobs_unlisted", "trace_blobs", ["number"], sqlite_where=unlisted, postgresql_where=unlisted)
    op.create_table(
        "traces",
        sa.Column("number", _ID, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False),
        _count("at"),
        _count("took_us"),
        *map(_text, ("session", "link", "parent", "title", "key_id", "key_name", "user", "team", "organization", "operation")),
        *map(_text, ("route", "asked", "provider", "model", "client_dialect", "upstream_dialect")),
        _count("status"),
        _text("outcome"),
        sa.Column("cost_micros", sa.BigInteger),
        _text("rules"),
        sa.Column("rest", sa.LargeBinary, nullable=False),
        *map(_count, ("blob", "start", "length", "unread")),
        sqlite_autoincrement=True,
    )
    op.create_index("traces_id", "traces", ["id"], unique=True)
    op.create_index("traces_at", "traces", ["at", "number"])
    op.create_index("traces_session", "traces", ["session", "at"])
    op.create_index("traces_blob", "traces", ["blob"])
    unread = sa.text("unread = 1")
    op.create_index("traces_unread", "traces", ["number"], sqlite_where=unread, postgresql_where=unread)
    op.create_table(
        "trace_links",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("mark", sa.Text, primary_key=True),
        *map(_text, ("trace", "session")),
        _count("at"),
    )
    op.create_index("trace_links_at", "trace_links", ["at"])
    op.create_table(
        "trace_texts",
        sa.Column("number", _ID, primary_key=True, autoincrement=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        # Without its content, which stands compressed in `trace_texts`: what is removed is given to it once more.
        op.execute("create virtual table trace_words using fts5(text, content='', tokenize=\"unicode61 remove_diacritics 2\")")
    else:
        op.execute("alter table trace_texts add column words tsvector not null")
        op.execute("create index trace_texts_words on trace_texts using gin (words) with (fastupdate = on)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("drop table trace_words")
    for table in ("trace_texts", "trace_links", "traces", "trace_blobs"):
        op.drop_table(table)
