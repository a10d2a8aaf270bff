"""What ten thousand stored keys cost a worker: memory, the reading of all and of a change, and a look whether there is one.

python -m bench.principals
"""

import math
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import msgspec
import sqlalchemy as sa

from gatewright.principals.records import AnyRecord, Key, Kind, Records, Team
from gatewright.principals.roll import roll_after, roll_of
from gatewright.principals.secrets import digest, new_id
from gatewright.principals.stored import NOTHING
from gatewright.stores.audit import Actor
from gatewright.stores.principals import PrincipalStore
from gatewright.stores.principals_tables import TABLES
from gatewright.stores.sql import engine_of, migrate, sqlite_url, writing

COUNT = 10_000
LOOKS = 200
ROUNDS = 20
BY = Actor("bench", "", "cli")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = engine_of(sqlite_url(Path(folder) / "gatewright.db"))
        migrate(engine)
        with writing(engine) as connection:
            for team in ("red", "small"):
                connection.execute(sa.insert(TABLES["teams"]).values(id=team, record=f'{{"id":"{team}"}}', version=1))
            keys = [_key(number) for number in range(COUNT)]
            connection.execute(sa.insert(TABLES["keys"]), [_row(key) for key in keys])
        store = PrincipalStore(engine)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        stored, _ = store.news(NOTHING)
        roll = roll_of(Records(), stored.records, 1.0)
        bytes_each = (tracemalloc.get_traced_memory()[0] - before) / COUNT
        tracemalloc.stop()
        whole_ms = _least(lambda: store.news(NOTHING), ROUNDS // 4)
        made_ms = _least(lambda: roll_of(Records(), stored.records, 1.0, roll), ROUNDS // 4)
        changes: dict[str, tuple[Kind, Callable[[int], AnyRecord]]] = {
            "one key": ("keys", lambda number: keys[number]),
            "a team of ten": ("teams", lambda number: Team(id="small", metadata={"n": str(number)})),
            "the team of all others": ("teams", lambda number: Team(id="red", metadata={"n": str(number)})),
        }
        lines = []
        for what, (kind, record) in changes.items():
            read_ms = taken_ms = math.inf
            for number in range(ROUNDS):
                store.replace(kind, record(number), BY, expected=None)
                began = time.perf_counter()
                news, touched = store.news(stored)
                read = time.perf_counter()
                roll = roll_after(roll, news, touched, 1.0)
                taken_ms = min(taken_ms, (time.perf_counter() - read) * 1e3)
                read_ms = min(read_ms, (read - began) * 1e3)
                stored = news
            lines.append(f"a change of {what}: read in {read_ms:.2f} ms, made into the roll in {taken_ms:.2f} ms")
        look_us = _least(store.version, LOOKS) * 1e3
        engine.dispose()
    print(f"{COUNT} keys: {bytes_each:.0f} bytes a key")
    print(f"all of them: read in {whole_ms:.0f} ms, made into the roll in {made_ms:.0f} ms")
    print("\n".join(lines))
    print(f"a look whether there is one: {look_us:.0f} us")


def _least(work: Callable[[], object], rounds: int) -> float:
    """Milliseconds of the quickest round."""
    least = math.inf
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - began)
    return least * 1e3


def _key(number: int) -> Key:
    return Key(id=new_id("key"), name=f"k{number}", team="small" if number >= COUNT - 10 else "red", models=("gpt-*",))


def _row(key: Key) -> dict[str, object]:
    record = msgspec.json.encode(key).decode()
    opened = digest(key.name.encode())
    return {"id": key.id, "name": key.name, "record": record, "digest": opened, "version": 1, "team": key.team}


if __name__ == "__main__":
    main()
