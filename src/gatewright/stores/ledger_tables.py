"""The ledger's tables: settlements, attempts, hourly rollups, what is in flight, and how far each journal is read.

One rule: what is in one of them of a request came in one transaction, with the journal's mark. Time is in microseconds since 1970
(UTC), money in millionths of a dollar, hours are counted from 1970. Null: nobody knows; never a guess.
"""

import sqlalchemy as sa

from gatewright.stores.columns import count, maybe, of_request, text
from gatewright.stores.ledger_rows import AXES, DIMENSIONS, MEASURES
from gatewright.stores.sql import METADATA

REQUESTS = sa.Table(
    "requests",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),  # as the client saw it in `x-request-id`
    count("at"),  # when it came
    count("hour"),
    *of_request(),
    count("stream"),  # 1: the client asked for one
    count("status"),  # HTTP; 499: the client left; 0: interrupted, nobody knows
    text("outcome"),  # ok, error, left, interrupted
    text("error"),  # the problem's code, or its kind
    *(maybe(axis) for axis in AXES),  # of all its attempts together
    text("input_source"),  # reported, estimated; empty: there is nothing to tell of
    text("output_source"),
    text("service_tier"),
    maybe("cost_micros"),  # of all its attempts together; null: of one it is not known
    text("price_source"),
    text("price_date"),
    maybe("reserved_micros"),
    count("took_us"),
    maybe("ttft_us"),
    text("cache"),
    count("losses"),
    text("lost"),  # what was lost, in short
    count("attempts"),
    sa.Column("guard", sa.Text),
    sa.Column("trace_id", sa.Text),
    text("journal"),
    sa.Index("requests_at", "at"),
    sa.Index("requests_key_at", "key_id", "at"),
)
"""One row for each request that named its key: its settlement."""

ATTEMPTS = sa.Table(
    "attempts",
    METADATA,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # from 1 on
    count("at"),
    count("hour"),  # the request's
    text("provider"),
    text("model"),
    text("dialect"),
    count("status"),  # 0: no answer's head came
    text("stage"),  # how far it came
    text("cause"),  # of its failure, or why it was passed over; empty: it went well
    text("message"),
    count("sent"),  # 1: the upstream may have seen it
    count("hedge"),
    count("resumed"),
    *(maybe(axis) for axis in AXES),
    text("input_source"),
    text("output_source"),
    text("service_tier"),
    maybe("cost_micros"),
    text("price_source"),
    text("price_date"),
    count("took_us"),
    maybe("ttft_us"),
    count("waited_us"),
    sa.Index("attempts_hour", "hour"),
)
"""One row for each attempt, those that were passed over among them."""

ROLLUPS = sa.Table(
    "rollups_hourly",
    METADATA,
    sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("dims", sa.Text, primary_key=True),  # a digest of all of them
    *(count(name) if name == "status_class" else text(name) for name in DIMENSIONS[1:]),
    *(count(name) for name in MEASURES),
    sa.Index("rollups_key_hour", "key_id", "hour"),
)

IN_FLIGHT = sa.Table(
    "in_flight",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    text("journal"),
    count("at"),
    *of_request(),
    count("stream"),
    maybe("input"),  # an estimate
    maybe("reserved_micros"),
    sa.Index("in_flight_journal", "journal"),
)
"""Requests that have begun and are not settled. When their process has died they become rows that are `interrupted`."""

MARKS = sa.Table(
    "journal_marks",
    METADATA,
    sa.Column("journal", sa.Text, primary_key=True),
    text("host"),
    count("pid"),
    count("segment"),
    count("position"),  # what is before it in the segment is in the tables
    count("records"),
    count("lost"),  # requests that were answered though they could not be written down: `ledger.on_failure: serve`
    count("heard"),  # when its process wrote last
    count("closed"),  # 1: all is read, and nothing more comes
)

STATE = sa.Table("ledger_state", METADATA, sa.Column("name", sa.Text, primary_key=True), count("value"))
"""`rows_from`: the first hour whose requests and attempts are still there; rollups stay."""
