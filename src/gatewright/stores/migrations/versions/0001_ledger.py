"""The ledger: requests, attempts, rollups, what is in flight, journals' marks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

AXES = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "output", "reasoning", "audio_out")
WHO = ("key_id", "key_name", "user", "team", "organization", "operation", "route")


def _texts(*names: str) -> list["sa.Column[str]"]:
    return [sa.Column(name, sa.Text, nullable=False, server_default="") for name in names]


def _counts(*names: str) -> list["sa.Column[int]"]:
    return [sa.Column(name, sa.BigInteger, nullable=False, server_default="0") for name in names]


def _maybe(*names: str) -> list["sa.Column[int]"]:
    return [sa.Column(name, sa.BigInteger) for name in names]


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("id", sa.Text, primary_key=True),
        *_counts("at", "hour"),
        *_texts(*WHO, "asked", "provider", "model", "client_dialect", "upstream_dialect"),
        *_counts("stream", "status"),
        *_texts("outcome", "error"),
        *_maybe(*AXES),
        *_texts("input_source", "output_source", "service_tier"),
        *_maybe("cost_micros"),
        *_texts("price_source", "price_date"),
        *_maybe("reserved_micros"),
        *_counts("took_us"),
        *_maybe("ttft_us"),
        *_texts("cache"),
        *_counts("losses"),
        *_texts("lost"),
        *_counts("attempts"),
        sa.Column("guard", sa.Text),
        sa.Column("trace_id", sa.Text),
        *_texts("journal"),
    )
    op.create_index("requests_at", "requests", ["at"])
    op.create_index("requests_key_at", "requests", ["key_id", "at"])
    op.create_table(
        "attempts",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        *_counts("at", "hour"),
        *_texts("provider", "model", "dialect"),
        *_counts("status"),
        *_texts("stage", "cause", "message"),
        *_counts("sent", "hedge", "resumed"),
        *_maybe(*AXES),
        *_texts("input_source", "output_source", "service_tier"),
        *_maybe("cost_micros"),
        *_texts("price_source", "price_date"),
        *_counts("took_us"),
        *_maybe("ttft_us"),
        *_counts("waited_us"),
    )
    op.create_index("attempts_hour", "attempts", ["hour"])
    op.create_table(
        "rollups_hourly",
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("dims", sa.Text, primary_key=True),
        *_texts(*WHO, "provider", "model"),
        *_counts("status_class"),
        *_texts("cache"),
        *_counts("requests", "errors", "interrupted", "streams", "attempts", "failed", *AXES, "estimated", "cost_micros"),
        *_counts("unknown", "took_us", "ttft_us", "ttfts"),
    )
    op.create_index("rollups_key_hour", "rollups_hourly", ["key_id", "hour"])
    op.create_table(
        "in_flight",
        sa.Column("id", sa.Text, primary_key=True),
        *_texts("journal"),
        *_counts("at"),
        *_texts(*WHO, "asked", "provider", "model", "client_dialect", "upstream_dialect"),
        *_counts("stream"),
        *_maybe("input", "reserved_micros"),
    )
    op.create_index("in_flight_journal", "in_flight", ["journal"])
    op.create_table(
        "journal_marks",
        sa.Column("journal", sa.Text, primary_key=True),
        *_texts("host"),
        *_counts("pid", "segment", "position", "records", "lost", "heard", "closed"),
    )
    op.create_table("ledger_state", sa.Column("name", sa.Text, primary_key=True), *_counts("value"))


def downgrade() -> None:
    for table in ("ledger_state", "journal_marks", "in_flight", "rollups_hourly", "attempts", "requests"):
        op.drop_table(table)
