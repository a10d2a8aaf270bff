"""What ten thousand stored keys cost a worker: memory, the reading of a change, and a look whether there is one.

python -m bench.principals
"""

import tempfile
import time
import tracemalloc
from pathlib import Path

import msgspec
import sqlalchemy as sa

from gatewright.principals.records import Key, Records
from gatewright.principals.roll import roll_of
from gatewright.principals.secrets import digest, new_id
from gatewright.stores.principals import PrincipalStore
from gatewright.stores.principals_tables import TABLES
from gatewright.stores.sql import engine_of, migrate, sqlite_url, writing

COUNT = 10_000
LOOKS = 200


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = engine_of(sqlite_url(Path(folder) / "gatewright.db"))
        migrate(engine)
        with writing(engine) as connection:
            connection.execute(sa.insert(TABLES["teams"]).values(id="red", record='{"id":"red"}', version=1))
            connection.execute(sa.insert(TABLES["keys"]), [_row(number) for number in range(COUNT)])
        store = PrincipalStore(engine)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        stored, _ = store.everything()
        roll = roll_of(Records(), stored, 1.0)
        bytes_each = (tracemalloc.get_traced_memory()[0] - before) / COUNT
        tracemalloc.stop()
        began = time.perf_counter()
        stored, _ = store.everything()
        read = time.perf_counter()
        roll_of(Records(), stored, 1.0, roll)
        made = time.perf_counter()
        for _ in range(LOOKS):
            store.version()
        look_us = (time.perf_counter() - made) / LOOKS * 1e6
        engine.dispose()
    print(f"{COUNT} keys: {bytes_each:.0f} bytes a key")
    print(f"a change: read in {read - began:.2f} s, made into the roll in {made - read:.2f} s")
    print(f"a look: {look_us:.0f} us")


def _row(number: int) -> dict[str, object]:
    key = Key(id=new_id("key"), name=f"k{number}", team="red", models=("gpt-*",))
    record = msgspec.json.encode(key).decode()
    return {"id": key.id, "name": key.name, "record": record, "digest": digest(key.name.encode()), "version": 1, "team": "red"}


if __name__ == "__main__":
    main()
