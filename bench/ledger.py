"""What the ledger costs a request, and how fast its rows come to the database.

    python -m bench.ledger [--requests 20000] [--rounds 15] [--postgres URL]

First: CPU time of writing a request down, when it begins and when it is settled, in blocks; the figure is what a quarter of the
blocks stay below, for what else runs on the machine only ever adds to it. Then: journals that are full of settled requests, one
attempt each, are brought to SQLite and to PostgreSQL by one thread; rows are requests and attempts. `--postgres`: a database in
which a schema may be made and thrown away.
"""

import argparse
import gc
import os
import secrets
import statistics
import tempfile
import time
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


def hot_path(rounds: int) -> tuple[float, float, float, float]:
    """Microseconds of CPU: begun, settled, counters alone (which were there before), one append with its encoding."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder), LedgerRule(journal_bytes=1 << 30))
        counter = UsageCounter()
        begun, settled, counted, appended = [], [], [], []
        entries: list[bytes] = []
        real = ledger.journal.append
        for _ in range(rounds):
            some = exchanges(BLOCK)
            gc.collect()
            for times, do in (
                (begun, lambda one: ledger.begun(one, "openai/gpt-5", "openai_chat")),
                (settled, lambda one: ledger.settle(one, 200, None)),
                (counted, lambda one: counter.settle(one, 200, None)),
            ):
                start = time.process_time()
                for one in some:
                    do(one)
                times.append(time.process_time() - start)
        ledger.journal.append = entries.append  # type: ignore[method-assign]
        ledger.settle(exchanges(1)[0], 200, None)
        ledger.journal.append = real  # type: ignore[method-assign]
        (entry,) = read(entries[0])
        for _ in range(rounds):
            start = time.process_time()
            for _ in range(BLOCK):
                real(ENCODER.encode(entry))
            appended.append(time.process_time() - start)
        ledger.close()
        return quick(begun), quick(settled), quick(counted), quick(appended)


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
    begun, settled, counted, appended = hot_path(chosen.rounds)
    print(f"a request's two records   {begun:5.2f} + {settled - counted:4.2f} µs of CPU, and {counted:4.2f} for the counters")
    print(f"one append, encoded       {appended:5.2f} µs of CPU (at most {JOURNAL_US:.0f})")
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
