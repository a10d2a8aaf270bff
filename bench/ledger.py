"""What the ledger costs a request, and how fast its rows come to the database.

    python -m bench.ledger [--requests 20000] [--rounds 15] [--postgres URL]

First: CPU time of writing a request down, when it begins and when it is settled, in blocks, each by itself and in turns of eight;
the figure is what a quarter of the blocks stay below, for what else runs on the machine only ever adds to it.
Then: journals that are full of settled requests, one attempt each, are brought to SQLite and to PostgreSQL by one thread; rows
are requests and attempts. `--postgres`: a database in which a schema may be made and thrown away.
"""

import argparse
import gc
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from gatewright.exchange import AttemptRecord, Exchange, Principal
from gatewright.ir.response import Usage
from gatewright.record.entries import ENCODER, read
from gatewright.record.ingest import Tail
from gatewright.record.journal import Journal
from gatewright.record.ledger import Ledger, LedgerRule
from gatewright.record.rows import Cost
from gatewright.record.segments import every_record
from gatewright.record.usage import UsageCounter
from gatewright.stores import sql
from gatewright.wire.http import Call

ROWS_PER_S = 20_000
"""The least that one core must bring to the database."""
JOURNAL_US = 3.0
"""The most that a record may cost, with its encoding."""
RAW = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30, "prompt_tokens_details": {"cached_tokens": 0}}
USAGE = Usage(input=10, output=20, raw=RAW)
CALL = Call(path="/v1/chat/completions", body=b"x" * 1000)
WHO = Principal("ci")
BLOCK = 500
TURN = 8
"""Requests that leave together."""


class Route:
    name = "smart"


def exchanges(count: int) -> list[Exchange]:
    made = []
    for number in range(count):
        now = time.monotonic()
        one = Exchange(
            request_id=f"req_{secrets.token_hex(6)}{number:010x}", dialect="openai_chat", operation="generate", method="POST",
            call=CALL, started=now, principal=WHO, route=Route, model="smart", served="openai/gpt-5", usage=USAGE, attempts=[],
        )  # fmt: skip
        one.attempts.append(
            AttemptRecord(
                "openai/gpt-5", "openai_chat", now, sent=True, status=200, stage="answered", ttft_s=0.1, ended=now, usage=USAGE
            )
        )
        made.append(one)
    return made


def quick(blocks: list[float]) -> float:
    return statistics.quantiles(blocks, n=4)[0] / BLOCK * 1e6


class Turns:
    """Lets what is late be written after so many that were told."""

    def __init__(self) -> None:
        self.before: list[Callable[[], None]] = []

    def together(self, write: Callable[[], None]) -> bool:
        self.before.append(write)
        return True

    def tell(self, do: Callable[[Exchange], None], some: list[Exchange]) -> float:
        """Seconds of CPU."""
        start = time.process_time()
        for at in range(0, len(some), TURN):
            for one in some[at : at + TURN]:
                do(one)
            while self.before:
                self.before.pop()()
        return time.process_time() - start


def hot_path(rounds: int, turns: Turns | None) -> tuple[float, float, float]:
    """Microseconds of CPU: begun, settled, counters alone. `turns`: None: each is written by itself."""
    with tempfile.TemporaryDirectory() as folder:
        rule = LedgerRule(journal_bytes=1 << 30)
        ledger = Ledger(Path(folder), rule, together=None if turns is None else turns.together)
        teller = turns or Turns()
        counter = UsageCounter()
        begun, settled, counted = [], [], []
        for _ in range(rounds):
            some = exchanges(BLOCK)
            gc.collect()
            begun.append(teller.tell(lambda one: ledger.begun(one, "openai/gpt-5", "openai_chat"), some))
            settled.append(teller.tell(lambda one: ledger.settle(one, 200, None), some))
            counted.append(teller.tell(lambda one: counter.settle(one, 200, None), some))
        ledger.close()
        return quick(begun), quick(settled), quick(counted)


def one_append(rounds: int) -> float:
    """Microseconds of CPU of a settlement's encoding and its way into the journal, by itself."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder), LedgerRule(journal_bytes=1 << 30))
        ledger.settle(exchanges(1)[0], 200, None)
        (payload,) = [payload for _, _, payload in every_record(ledger.journal.folder)]
        (entry,) = read(payload)
        append, appended = ledger.journal.append, []
        for _ in range(rounds):
            start = time.process_time()
            for _ in range(BLOCK):
                append(ENCODER.encode(entry))
            appended.append(time.process_time() - start)
        ledger.close()
        return quick(appended)


def cent(_provider: str, _model: str, usage: Usage, _at: int) -> Cost:
    return Cost(usage.total_input + usage.total_output, "bench", "2026-01-01")


def ingest(url: str, count: int) -> tuple[float, float]:
    """Rows per second of wall clock, and of this process' CPU."""
    engine = sql.engine_of(url)
    sql.migrate(engine)
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), max_bytes=1 << 30)
        ledger = Ledger(Path(folder), LedgerRule(journal_bytes=1 << 30))
        ledger.journal = journal
        journal.open()
        for one in exchanges(count):
            ledger.begun(one, "openai/gpt-5", "openai_chat")
            ledger.settle(one, 200, None)
        tail = Tail(journal.folder, cent)
        start, cpu = time.perf_counter(), time.process_time()
        while tail.write(engine):
            pass
        took, used = time.perf_counter() - start, time.process_time() - cpu
        journal.close()
    engine.dispose()
    return 2 * count / took, 2 * count / used


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--postgres", default=os.environ.get("GATEWRIGHT_TEST_POSTGRES", "postgresql://root@127.0.0.1:5432/test"))
    chosen = parser.parse_args()
    for how, turns in (("each by itself", None), (f"{TURN} in a turn", Turns())):
        begun, settled, counted = hot_path(chosen.rounds, turns)
        print(f"a request, {how:14} {begun:5.2f} + {settled - counted:4.2f} µs of CPU, and {counted:4.2f} for the counters")
    print(f"one append, encoded       {one_append(chosen.rounds):5.2f} µs of CPU (at most {JOURNAL_US:.0f})")
    with tempfile.TemporaryDirectory() as folder:
        told("SQLite", *ingest(sql.sqlite_url(Path(folder) / "ledger.db"), chosen.requests))
    schema = f"bench_{secrets.token_hex(4)}"
    around = sql.engine_of(chosen.postgres)
    try:
        with sql.writing(around) as connection:
            connection.execute(sa.schema.CreateSchema(schema))
    except sql.DatabaseError as error:
        print(f"no PostgreSQL: {str(error).splitlines()[0]}")
        return
    try:
        url = make_url(chosen.postgres).update_query_dict({"options": f"-csearch_path={schema}"})
        told("PostgreSQL", *ingest(url.render_as_string(hide_password=False), chosen.requests))
    finally:
        with sql.writing(around) as connection:
            connection.execute(sa.schema.DropSchema(schema, cascade=True))


def told(name: str, wall: float, cpu: float) -> None:
    print(f"{name:10} {wall:8.0f} rows/s, {cpu:8.0f} rows/s of one core (at least {ROWS_PER_S})")


if __name__ == "__main__":
    main()
