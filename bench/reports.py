"""How long usage reports take over a million requests, on SQLite and on PostgreSQL.

    python -m bench.reports [--requests 1000000] [--days 90] [--postgresql postgresql://root@127.0.0.1/test]

Traffic as a company has it: keys of very different size, each with a few models, most requests by day. Every table of the ledger
is filled as the gateway fills it, in order of time.
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from gatewright.stores import ledger_sql
from gatewright.stores.ledger_rows import MEASURES, Batch, Mark
from gatewright.stores.report_terms import query_of
from gatewright.stores.reports import reading, report
from gatewright.stores.sql import engine_of, migrate, sqlite_url

KEYS: Final = 200
TEAMS: Final = 20
MODELS: Final = tuple(
    (provider, f"{model}-{n}") for provider, model in (("openai", "gpt"), ("anthropic", "claude"), ("google", "gemini"))
    for n in range(8)
)  # fmt: skip
AT_ONCE: Final = 20_000
LIMIT_S: Final = 0.3
ASKED: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("7d", "model", ()),
    ("30d", "key", ()),
    ("365d", "", ()),
    ("365d", "key", ()),
    ("365d", "user", ()),
    ("365d", "team", ()),
    ("365d", "organization", ()),
    ("365d", "model", ()),
    ("365d", "provider", ()),
    ("365d", "route", ()),
    ("365d", "day", ()),
    ("365d", "team,model", ()),
    ("365d", "model", ("key=key-3",)),
    ("30d", "day", ("team=team-1",)),
    ("24h", "hour", ()),
    ("7d", "hour", ()),
)


def build(engine: Engine, *, requests: int, days: int, seed: int = 1) -> None:
    """Fill the ledger with so many requests, up to now."""
    chance = random.Random(seed)
    weights = [1 / (n + 1) for n in range(KEYS)]
    end = int(time.time()) // 3600 + 1
    hours = sorted(
        chance.choices(range(end - days * 24, end), [1 + 3 * (8 <= h % 24 < 20) for h in range(days * 24)], k=requests)
    )
    batch, mark, written = Batch(journal="bench", rollups={}), Mark(), 0
    place = {name: i for i, name in enumerate(MEASURES)}
    for number, (hour, key) in enumerate(zip(hours, chance.choices(range(KEYS), weights, k=requests), strict=True), 1):
        provider, model = MODELS[(key * 7 + chance.choice((0, 0, 0, 1, 2))) % len(MODELS)]
        status = chance.choices((200, 429, 500), (96, 2, 2))[0]
        cache = chance.choice(("", "", "", "hit")) if key % 4 == 0 else ""
        who = (f"key-{key}", f"name {key}", f"user-{key // 2}", f"team-{key % TEAMS}", f"org-{key % 3}")
        asked = f"route-{key % 10}"
        at = hour * 3_600_000_000 + chance.randrange(3_600_000_000)
        reads, writes, cost = chance.randrange(200, 8000), chance.randrange(10, 900), chance.randrange(50, 30_000)
        axes = (reads, None, None, None, None, writes, None, None)
        name = f"{number:032x}"
        batch.requests.append((
            name, at, hour, *who, "generate", asked, asked, provider, model, "openai_chat", "openai_chat", 0, status,
            "ok" if status == 200 else "error", "", *axes, "reported", "reported", "", cost, "list", "2026-11-01", None, 900_000,
            400_000, cache, 0, "", 1, None, None, "bench",
        ))  # fmt: skip
        batch.attempts.append((
            name, 1, at, hour, provider, model, "openai_chat", status, "content", "" if status == 200 else "server", "", 1, 0, 0,
            *axes, "reported", "reported", "", cost, "list", "2026-11-01", 900_000, 400_000, 0,
        ))  # fmt: skip
        dims = (hour, *who, "generate", asked, provider, model, status // 100, cache)
        sums = batch.rollups.setdefault(dims, [0] * len(MEASURES))
        for measure, n in (
            ("requests", 1), ("errors", status != 200), ("attempts", 1), ("failed", status != 200), ("input", reads),
            ("output", writes), ("cost_micros", cost), ("took_us", 900_000), ("ttft_us", 400_000), ("ttfts", 1),
        ):  # fmt: skip
            sums[place[measure]] += n
        if len(batch.requests) == AT_ONCE or number == requests:
            written += 1
            after = Mark(1, written)
            ledger_sql.write(engine, batch, mark, after, host="bench", pid=1, records=len(batch.requests))
            batch, mark = Batch(journal="bench", rollups={}), after


def measure(engine: Engine, times: int = 7) -> list[tuple[str, int, float, float]]:
    """What was asked, lines of the answer, and the least and the median of the seconds it took."""
    rows: list[tuple[str, int, float, float]] = []
    for since, by, filters in ASKED:
        query = query_of(since=since, until="", by=by, filters=filters)
        took, lines = [], 0
        for _ in range(times):
            began = time.perf_counter()
            with reading(engine) as connection:
                lines = len(report(connection, query).lines)
            took.append(time.perf_counter() - began)
        what = f"--since {since}" + (f" --by {by}" if by else "") + "".join(f" --filter {one}" for one in filters)
        rows.append((what, lines, min(took), statistics.median(took)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--postgresql", default="", help="an empty database, in which all tables are made")
    parser.add_argument("--sqlite", type=Path, default=None, help="keep the file here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = asked.sqlite or Path(folder) / "ledger.db"
        for url in filter(None, (sqlite_url(file), asked.postgresql)):
            engine = engine_of(url)
            migrate(engine)
            began = time.perf_counter()
            build(engine, requests=asked.requests, days=asked.days)
            took = time.perf_counter() - began
            if engine.dialect.name == "postgresql":
                with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.exec_driver_sql("vacuum analyze")
            with engine.connect() as connection:
                counts = [
                    connection.execute(sa.text(f"select count(*) from {table}")).scalar_one()
                    for table in ("requests", "rollups_hourly", "rollups_daily", "places")
                ]
            print(f"\n{engine.dialect.name}: {counts[0]} requests ({took:.0f} s to make), {counts[1]} hours, {counts[2]} days, "
                  f"{counts[3]} places")  # fmt: skip
            print("     least    median  lines")
            for what, lines, least, median in measure(engine):
                slow = "" if median < LIMIT_S else "   TOO SLOW"
                print(f"  {least * 1000:6.1f} ms {median * 1000:6.1f} ms  {lines:5}  {what}{slow}")
            engine.dispose()


if __name__ == "__main__":
    main()
