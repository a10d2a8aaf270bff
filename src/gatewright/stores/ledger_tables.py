"""The ledger's tables: settlements, attempts, hourly rollups, what is in flight, and how far each journal is read.

One rule: what is in one of them of a request came in one transaction, with the journal's mark. Time is in microseconds since 1970
(UTC), money in millionths of a dollar, hours are counted from 1970. Null: nobody knows; never a guess.
"""

import sqlalchemy as sa

from gatewright.stores.ledger_rows import AXES, DIMENSIONS, MEASURES
from gatewright.stores.sql import METADATA


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _count(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def _maybe(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger)


REQUESTS = sa.Table(
    "requests",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),  # as the client saw it in `x-request-id`
    _count("at"),  # when it came
    _count("hour"),
    _text("key_id"),
    _text("key_name"),
    _text("user"),
    _text("team"),
    _text("organization"),
    _text("operation"),
    _text("route"),
    _text("asked"),  # the model as the client wrote it
    _text("provider"),  # who answered, or was asked last; empty: nobody was
    _text("model"),
    _text("client_dialect"),
    _text("upstream_dialect"),
    _count("stream"),  # 1: the client asked for one
    _count("status"),  # HTTP; 499: the client left; 0: interrupted, nobody knows
    _text("outcome"),  # ok, error, left, interrupted
    _text("error"),  # the problem's code, or its kind
    *(_maybe(axis) for axis in AXES),  # of all its attempts together
    _text("input_source"),  # reported, estimated; empty: there is nothing to tell of
    _text("output_source"),
    _text("service_tier"),
    _maybe("cost_micros"),  # of all its attempts together; null: of one it is not known
    _text("price_source"),
    _text("price_date"),
    _maybe("reserved_micros"),
    _count("took_us"),
    _maybe("ttft_us"),
    _text("cache"),
    _count("losses"),
    _text("lost"),  # what was lost, in short
    _count("attempts"),
    sa.Column("guard", sa.Text),
    sa.Column("trace_id", sa.Text),
    _text("journal"),
    sa.Index("requests_at", "at"),
    sa.Index("requests_key_at", "key_id", "at"),
)
"""One row for each request that named its key: its settlement."""

ATTEMPTS = sa.Table(
    "attempts",
    METADATA,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # from 1 on
    _count("at"),
    _count("hour"),  # the request's
    _text("provider"),
    _text("model"),
    _text("dialect"),
    _count("status"),  # 0: no answer's head came
    _text("stage"),  # how far it came
    _text("cause"),  # of its failure, or why it was passed over; empty: it went well
    _text("message"),
    _count("sent"),  # 1: the upstream may have seen it
    _count("hedge"),
    _count("resumed"),
    *(_maybe(axis) for axis in AXES),
    _text("input_source"),
    _text("output_source"),
    _text("service_tier"),
    _maybe("cost_micros"),
    _text("price_source"),
    _text("price_date"),
    _count("took_us"),
    _maybe("ttft_us"),
    _count("waited_us"),
    sa.Index("attempts_hour", "hour"),
)
"""One row for each attempt, those that were passed over among them."""

ROLLUPS = sa.Table(
    "rollups_hourly",
    METADATA,
    sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("dims", sa.Text, primary_key=True),  # a digest of all of them
    *(_count(name) if name == "status_class" else _text(name) for name in DIMENSIONS[1:]),
    *(_count(name) for name in MEASURES),
    sa.Index("rollups_key_hour", "key_id", "hour"),
)

IN_FLIGHT = sa.Table(
    "in_flight",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    _text("journal"),
    _count("at"),
    _text("key_id"),
    _text("key_name"),
    _text("user"),
    _text("team"),
    _text("organization"),
    _text("operation"),
    _text("route"),
    _text("asked"),
    _text("provider"),
    _text("model"),
    _text("client_dialect"),
    _text("upstream_dialect"),
    _count("stream"),
    _maybe("input"),  # an estimate
    _maybe("reserved_micros"),
    sa.Index("in_flight_journal", "journal"),
)
"""Requests that have begun and are not settled. When their process has died they become rows that are `interrupted`."""

MARKS = sa.Table(
    "journal_marks",
    METADATA,
    sa.Column("journal", sa.Text, primary_key=True),
    _text("host"),
    _count("pid"),
    _count("segment"),
    _count("position"),  # what is before it in the segment is in the tables
    _count("records"),
    _count("lost"),  # requests that were answered though they could not be written down: `ledger.on_failure: serve`
    _count("heard"),  # when its process wrote last
    _count("closed"),  # 1: all is read, and nothing more comes
)

STATE = sa.Table("ledger_state", METADATA, sa.Column("name", sa.Text, primary_key=True), _count("value"))
"""`rows_from`: the first hour whose requests and attempts are still there; rollups stay."""
