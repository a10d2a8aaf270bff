"""Kept documents: responses (so that `previous_response_id` works against any provider) and seals (for clients that drop them).

One table, two uses: rows are scoped by owner, have a kind, and end at a time. SQLite in WAL mode, one thread per process, so that
the event loop never waits for a disk; several workers share the file. Losing the store loses conversations, never money.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

Result = TypeVar("Result")

_SCHEMA = """
create table if not exists kept (
    owner text not null, kind text not null, id text not null, body blob not null, made real not null, ends real not null,
    primary key (owner, kind, id)
) without rowid;
create index if not exists kept_ends on kept (ends);
"""
_SWEEP_EVERY = 500
BUSY_MS = 5_000


class Kept(msgspec.Struct, frozen=True):
    id: str
    body: bytes


class KeptStore:
    """put, get, delete. Every call names its owner; nobody sees another's rows."""

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.time, max_rows: int = 100_000) -> None:
        self._path = path
        """None: in memory, for this process alone."""
        self._clock = clock
        self.max_rows = max_rows
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kept")
        self._connection: sqlite3.Connection | None = None
        self._puts = 0

    async def put(self, owner: str, kind: str, rows: Sequence[Kept], ttl_s: float) -> None:
        """Write rows; an id that exists is replaced."""
        await self._do(lambda db: self._put(db, owner, kind, rows, ttl_s))

    async def get(self, owner: str, kind: str, ids: Sequence[str]) -> dict[str, bytes]:
        """The bodies of those of `ids` that exist and have not ended."""
        return await self._do(lambda db: self._get(db, owner, kind, ids))

    async def delete(self, owner: str, kind: str, row_id: str) -> bool:
        """Whether there was such a row."""
        return await self._do(lambda db: self._delete(db, owner, kind, row_id))

    async def close(self) -> None:
        def end() -> None:
            if self._connection is not None:
                self._connection.close()

        await asyncio.get_running_loop().run_in_executor(self._thread, end)
        self._thread.shutdown(wait=False)

    async def _do(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._open()))

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            if self._path is not None:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self._path or ":memory:", isolation_level=None, check_same_thread=False)
            self._connection.execute(f"pragma busy_timeout = {BUSY_MS}")
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = normal")
            self._connection.executescript(_SCHEMA)
            if self._path is not None:
                self._path.chmod(0o600)
        return self._connection

    def _put(self, db: sqlite3.Connection, owner: str, kind: str, rows: Sequence[Kept], ttl_s: float) -> None:
        now = self._clock()
        db.execute("begin immediate")
        try:
            db.executemany(
                "insert or replace into kept (owner, kind, id, body, made, ends) values (?, ?, ?, ?, ?, ?)",
                [(owner, kind, row.id, row.body, now, now + ttl_s) for row in rows],
            )
            if self._puts % _SWEEP_EVERY == 0:
                self._sweep(db, now)
            self._puts += 1
        except BaseException:
            db.execute("rollback")
            raise
        db.execute("commit")

    def _sweep(self, db: sqlite3.Connection, now: float) -> None:
        """Drop what has ended, and the oldest beyond the cap."""
        db.execute("delete from kept where ends <= ?", (now,))
        (count,) = db.execute("select count(*) from kept").fetchone()
        if count > self.max_rows:
            db.execute(
                "delete from kept where (owner, kind, id) in (select owner, kind, id from kept order by made limit ?)",
                (count - self.max_rows,),
            )

    def _get(self, db: sqlite3.Connection, owner: str, kind: str, ids: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for row_id in ids:
            row = db.execute(
                "select body from kept where owner = ? and kind = ? and id = ? and ends > ?", (owner, kind, row_id, self._clock())
            ).fetchone()
            if row is not None:
                found[row_id] = row[0]
        return found

    def _delete(self, db: sqlite3.Connection, owner: str, kind: str, row_id: str) -> bool:
        return db.execute("delete from kept where owner = ? and kind = ? and id = ?", (owner, kind, row_id)).rowcount > 0
