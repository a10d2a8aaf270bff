"""The tables of traces: a line of each, the compressed documents, their words, and by what the next of a conversation is known.

One rule: what is written once stays as it is but for the session, which may be known later. They are no part of the ledger's
tables: in SQLite they have a file of their own, which may be deleted without a thought for the books.
"""

from typing import Final

import sqlalchemy as sa

from gatewright.stores.columns import count, maybe, number, of_request, text

TRACE_METADATA: Final = sa.MetaData()
"""Every table here, as the newest migration leaves it (a test compares)."""


BLOBS = sa.Table(
    "trace_blobs",
    TRACE_METADATA,
    number(),
    count("last"),  # when the youngest of its traces came
    count("size"),  # of `data`
    text("seal"),  # what it is sealed for; empty: it is not
    sa.Column("lengths", sa.LargeBinary, nullable=False),  # of each document, uncompressed: msgpack
    count("unlisted"),  # 1: its traces have no lines yet; 2: it does not open
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Index("trace_blobs_last", "last"),
    sa.Index("trace_blobs_unlisted", "number", sqlite_where=sa.text("unlisted = 1"), postgresql_where=sa.text("unlisted = 1")),
    sqlite_autoincrement=True,
)
"""Several traces each, one msgpack document after the other, compressed together."""

TRACES = sa.Table(
    "traces",
    TRACE_METADATA,
    number(),  # in the order they ended
    sa.Column("id", sa.Text, nullable=False),
    count("at"),
    count("took_us"),
    text("session"),
    text("link"),
    text("parent"),
    text("title"),
    *of_request(),
    count("status"),
    text("outcome"),
    maybe("cost_micros"),
    text("rules"),  # guards that had something to say: ` one two `
    sa.Column("rest", sa.LargeBinary, nullable=False),  # what else its summary tells: msgpack
    count("blob"),
    count("start"),  # in the blob, uncompressed
    count("length"),
    count("unread"),  # 1: its texts are not in the index yet
    sa.Index("traces_id", "id", unique=True),
    sa.Index("traces_at", "at", "number"),
    sa.Index("traces_session", "session", "at"),
    sa.Index("traces_blob", "blob"),
    sa.Index("traces_unread", "number", sqlite_where=sa.text("unread = 1"), postgresql_where=sa.text("unread = 1")),
    sqlite_autoincrement=True,
)

LINKS = sa.Table(
    "trace_links",
    TRACE_METADATA,
    sa.Column("owner", sa.Text, primary_key=True),  # the key's id: nobody goes on with another's conversation
    sa.Column("mark", sa.Text, primary_key=True),  # `response:…` an answer's id; `prefix:…` a digest of a conversation so far
    text("trace"),
    text("session"),
    count("at"),
    sa.Index("trace_links_at", "at"),
)
"""By what a later trace knows the one that it goes on with."""

TEXTS = sa.Table(
    "trace_texts",
    TRACE_METADATA,
    number(counted=False),
    sa.Column("text", sa.LargeBinary, nullable=False),  # compressed; for what is shown around a hit
)
"""What is in the index: in SQLite the FTS5 table `trace_words`, in PostgreSQL the column `words` of this table."""
