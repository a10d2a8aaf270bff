"""The ledger's daily sums, and places; what is there of hours is added up."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TEXTS = ("key_id", "key_name", "user", "team", "organization", "operation", "route", "provider", "model")
MEASURES = (
    "requests", "errors", "interrupted", "streams", "attempts", "failed", "input", "cache_read", "cache_write_5m",
    "cache_write_1h", "audio_in", "output", "reasoning", "audio_out", "estimated", "cost_micros", "unknown", "took_us", "ttft_us",
    "ttfts",
)  # fmt: skip


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _count(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def upgrade() -> None:
    places = op.create_table(
        "places",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        *map(_text, TEXTS),
        _count("status_class"),
        _text("cache"),
    )
    days = op.create_table(
        "rollups_daily",
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        *map(_count, (*MEASURES, "hits")),
        sqlite_with_rowid=False,
    )
    hours = sa.table("rollups_hourly", *map(sa.column, ("hour", "dims", *TEXTS, "status_class", "cache", *MEASURES)))
    connection = op.get_bind()
    named = [hours.c[name] for name in (*TEXTS, "status_class", "cache")]
    found = {int(row[0][:16], 16) >> 1: row[1:] for row in connection.execute(sa.select(hours.c.dims, *named).distinct())}
    names = (*TEXTS, "status_class", "cache")
    if found:
        connection.execute(places.insert(), [{"id": place, **dict(zip(names, row, strict=True))} for place, row in found.items()])
    day = hours.c.hour.op("/")(sa.literal_column("24"))
    hits = sa.func.sum(sa.case((hours.c.cache.in_(("hit", "coalesced")), hours.c.requests), else_=0))
    sums = sa.select(hours.c.dims, day, *(sa.func.sum(hours.c[name]) for name in MEASURES), hits).group_by(hours.c.dims, day)
    rows = [
        {
            "place": int(row[0][:16], 16) >> 1,
            "day": row[1],
            **{n: int(v) for n, v in zip((*MEASURES, "hits"), row[2:], strict=True)},
        }
        for row in connection.execute(sums)
    ]
    if rows:
        connection.execute(days.insert(), rows)


def downgrade() -> None:
    op.drop_table("rollups_daily")
    op.drop_table("places")
