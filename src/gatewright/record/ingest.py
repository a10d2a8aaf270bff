"""From the journals to the database: one thread a process, which nobody waits for.

    own journal ──┐
                  ├──▶ rows, rollups and the journal's mark, in one transaction ──▶ the segment is removed
    orphans' ─────┘    (whose process has died: then what had begun and was never settled is `interrupted`)

One rule: what goes wrong here is told in the log and tried again; the journal keeps what the database does not take, within its
bound. SQL is loaded in this thread, when there is something to write.
"""

import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from gatewright.record.entries import Begun
from gatewright.record.entries import read as read_entries
from gatewright.record.journal import LOCK, JournalFull, take_over
from gatewright.record.ledger import Ledger
from gatewright.record.rows import Pricer, Rows, unpriced
from gatewright.record.segments import START, file_name, numbers, read
from gatewright.stores.ledger_rows import Batch, Mark

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

log = logging.getLogger("gatewright")

Wrote: TypeAlias = Callable[[Batch, Mark], None]
"""(what was written, up to where)."""

TICK_S: Final = 0.25
BATCH: Final = 1_000
"""Records of one transaction, …"""
BATCH_BYTES: Final = 256 << 10
"""… and of the journal as much as is read for it: records have more entries the more there is to do."""
BREATH: Final = 8
"""Entries that are worked on in one go."""
ORPHANS_EVERY_S: Final = 1.0
RETENTION_EVERY_S: Final = 3600.0
HEARD_EVERY_S: Final = 30.0
SLOWEST_S: Final = 5.0
"""Between tries while the database cannot be reached; the pause doubles up to this."""
CLOSING_S: Final = 3.0
"""How long a gateway that stops takes to write what is left. The next one takes over what it has not."""
TOLD_EVERY_S: Final = 60.0
LONG_AGO_S: Final = 2.0
BUSY: Final = 1 << 20
"""Bytes a second that requests add to the journal when they need the core: some 1,500 requests. Then rows wait, …"""
WAITS_S: Final = 20.0
"""… so long at most, …"""
FULL: Final = 0.5
"""… and while so much of the journal is free."""


class Ingest:
    """Reads journals, writes rows. Its methods are called by its own thread, but for `start` and `close`."""

    def __init__(
        self, ledger: Ledger, engine: "Callable[[], Engine]", price: Pricer = unpriced, *, every_s: float = TICK_S
    ) -> None:
        """`engine`: makes it; called in the thread, once it is needed. Raises BadDatabase or DatabaseError."""
        self.ledger = ledger
        fsync_s = ledger.rule.fsync_ms / 1000
        self.every_s = min(every_s, fsync_s) if fsync_s else every_s
        self._make = engine
        self._engine: Engine | None = None
        self._tail = Tail(ledger.journal.folder, price)
        self._price = price
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.drained = False
        """All that was written is in the database, and this has ended."""
        self._lost_told = 0
        self._told = 0.0
        self._looked = self._waits_since = time.monotonic()
        self._seen = ledger.journal.written
        self._busy = False
        self._due = dict.fromkeys(("orphans", "retention", "heard", "sync"), 0.0)

    def when_written(self, tell: "Wrote") -> None:
        """Have `tell` called for each batch that has come to the database, in the thread. It must not fail."""
        self._tail.wrote = tell

    def start(self) -> None:
        """Begin. Idempotent."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
            self._thread.start()

    def close(self, timeout_s: float = CLOSING_S) -> None:
        """Write what is left, as long as that goes well, and stop; then the journal is closed. Blocks."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        nothing = self.ledger.journal.written <= (1, START)
        self.ledger.close()
        if self.drained or nothing:
            shutil.rmtree(self.ledger.journal.folder, ignore_errors=True)

    # -- the thread ----------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = self.every_s
        while not self._stop.wait(pause):
            try:
                self.ledger.correct_clock()
                self._keep_journal()
                again = not self._gives_way() and self._turn()
                pause = 0.0 if again else self.every_s
            except Exception as error:  # noqa: BLE001 - `_failed` logs it; nobody else would go on with this
                pause = min(max(pause, self.every_s) * 2, SLOWEST_S)
                self._failed(error)
        self._finish()

    def _finish(self) -> None:
        """Write what is left. Where the database was not needed so far, or does not take it, it waits for the next gateway."""
        if self._engine is None:
            return
        try:
            while self.ledger.journal.is_open and self._write(self._tail):
                pass
            self.drained = self._tail.is_at(self.ledger.journal.written)
            if self.drained:
                self._tail.write(self._engine, dead=True)
            self._engine.dispose()
        except Exception as error:  # noqa: BLE001 - `_failed` logs it
            self._failed(error)

    def _turn(self) -> bool:
        """Whether there is more to write at once."""
        journal = self.ledger.journal
        if self._is_due("orphans", ORPHANS_EVERY_S):
            for folder in orphans(journal.root, journal.name):
                adopt(folder, self.engine(), self._price)
        more = False
        if journal.is_open and (self._tail.has_more() or (self._engine and self._is_due("heard", HEARD_EVERY_S))):
            more = self._write(self._tail)
        if self._engine is not None and self._is_due("retention", RETENTION_EVERY_S):
            self._retire()
        return more

    def _gives_way(self) -> bool:
        """Whether those who answer requests need the core for themselves, and the rows can wait."""
        now, journal = time.monotonic(), self.ledger.journal
        looked_s = now - self._looked
        if looked_s >= self.every_s:
            (before, start), (number, end) = self._seen, journal.written
            grown = end - start if number == before else max(end, BUSY)
            # After a long time, in which the process may have been stopped, that says nothing of this moment: look once more.
            self._busy = grown > BUSY * looked_s or looked_s > LONG_AGO_S
            self._looked, self._seen = now, (number, end)
            if looked_s > LONG_AGO_S:
                self._waits_since = now
        if not self._busy:
            self._waits_since = now
            return False
        return now - self._waits_since < WAITS_S and journal.kept_bytes < FULL * journal.max_bytes

    def engine(self) -> "Engine":
        """Raises BadDatabase, DatabaseError."""
        if self._engine is None:
            from gatewright.stores.sql import migrate  # noqa: PLC0415 - takes its time

            engine = self._make()
            try:
                migrate(engine)
            except BaseException:
                engine.dispose()
                raise
            self._engine = engine
        return self._engine

    def _write(self, tail: "Tail") -> bool:
        lost = self.ledger.lost
        more = tail.write(self.engine(), lost=lost - self._lost_told)
        self._lost_told = lost
        for number in tail.read_through():
            self.ledger.journal.forget(number)
        return more

    def _keep_journal(self) -> None:
        journal, fsync_ms = self.ledger.journal, self.ledger.rule.fsync_ms
        try:
            journal.prepare()
            if fsync_ms and self._is_due("sync", fsync_ms / 1000):
                journal.sync()
        except (JournalFull, OSError) as error:
            self._failed(error)

    def _retire(self) -> None:
        from gatewright.stores.ledger_sql import forget_rows  # noqa: PLC0415 - takes its time

        before = int(time.time()) // 3600 - self.ledger.rule.retention_days * 24
        if removed := forget_rows(self.engine(), before):
            log.info("ledger: %d requests are older than %d days, and gone", removed, self.ledger.rule.retention_days)

    def _is_due(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now < self._due[what]:
            return False
        self._due[what] = now + every_s
        return True

    def _failed(self, error: Exception) -> None:
        now = time.monotonic()
        if self._told and now - self._told < TOLD_EVERY_S:
            return
        self._told = now
        from gatewright.stores.sql import BadDatabase, DatabaseError  # noqa: PLC0415 - takes its time

        if isinstance(error, DatabaseError | BadDatabase | JournalFull | OSError):
            log.warning("the ledger's rows wait in the journal, for they cannot be written: %s", _first_line(error))
        else:
            log.error("the ledger's rows wait in the journal, for a bug of ours", exc_info=error)


class Tail:
    """One journal, from where its mark stands on."""

    def __init__(self, folder: Path, price: Pricer = unpriced) -> None:
        self.folder = folder
        self._price = price
        self._mark: Mark | None = None
        """None: not known yet."""
        self._known: set[str] = set()
        """Ids that stand in the tables as in flight."""
        self.wrote: Wrote | None = None

    def has_more(self) -> bool:
        """Whether anything was written behind the mark. May say so in vain."""
        return bool(self._read(self._mark or Mark(), 1)[0])

    def is_at(self, written: tuple[int, int]) -> bool:
        """Whether all has been read up to there."""
        mark = self._mark
        return mark is not None and (mark.segment, mark.position) >= written

    def write(self, engine: "Engine", *, lost: int = 0, dead: bool = False) -> bool:
        """One batch. Whether there is more. Raises DatabaseError.

        `dead`: its process is; with the last batch all that is in flight was interrupted.
        """
        from gatewright.stores import ledger_sql  # noqa: PLC0415 - takes its time

        name = self.folder.name
        mark = self._mark
        if mark is None:
            mark = self._mark = ledger_sql.mark_of(engine, name)
            self._known = {one.id for one in ledger_sql.in_flight(engine, name)}
        payloads, after, more = self._read(mark, BATCH, dead=dead)
        rows = Rows(name, self._price)
        count = 0
        for payload in payloads:
            for entry in read_entries(payload, self._unread):
                if count % BREATH == 0:
                    time.sleep(0)  # whoever answers requests waits for the interpreter's lock no longer than this takes
                count += 1
                if isinstance(entry, Begun):
                    rows.begun(entry)
                else:
                    rows.settled(entry, in_flight=entry.id in self._known)
        batch = rows.done()
        last = dead and not more
        if last:
            landed = set(batch.landed)
            still = [one for one in ledger_sql.in_flight(engine, name) if one.id not in landed] + batch.in_flight
            batch.in_flight = []
            rows.interrupted(still)
        try:
            ledger_sql.write(
                engine,
                batch,
                mark,
                after,
                host=socket.gethostname(),
                pid=os.getpid(),
                records=count,
                lost=lost,
                closed=last,
            )
        except ledger_sql.Moved:  # by whoever took this journal for an orphan's, or by a commit that was never heard of
            self._mark = None
            return True
        self._mark = after
        self._known.difference_update(batch.landed)
        self._known.update(one.id for one in batch.in_flight)
        if self.wrote is not None:
            self.wrote(batch, after)
        return more

    def _unread(self, error: msgspec.DecodeError) -> None:
        log.error("%s: an entry cannot be read, and is left out: %s", self.folder, error)

    def read_through(self) -> list[int]:
        """Segments that nothing more comes from."""
        mark = self._mark
        return [] if mark is None else [number for number in numbers(self.folder) if number < mark.segment]

    def _read(self, mark: Mark, most: int, *, dead: bool = False) -> tuple[list[bytes], Mark, bool]:
        """The next records, where they end, and whether there are more.

        Of a process that lives, what cannot be read is being written. Of a dead one it is where it was killed; or, after a loss
        of power, a page that never reached the disk: then what follows is read all the same.
        """
        payloads: list[bytes] = []
        for number in numbers(self.folder):
            if number < mark.segment:
                continue
            path = self.folder / file_name(number)
            found = read(path, mark.position if number == mark.segment else START, most - len(payloads), BATCH_BYTES)
            payloads += found.payloads
            mark = Mark(number, found.position)
            if found.why is None:
                return payloads, mark, True
            if found.why == "torn" and dead:
                log.warning("%s: the record at byte %d is not whole; its writer was killed there", path, found.position)
            if found.why != "over" and not dead:
                break
        return payloads, mark, False


def orphans(root: Path, own: str) -> list[Path]:
    """Journals of other processes, dead or alive."""
    try:
        return sorted(folder for folder in root.iterdir() if folder.name != own and not folder.name.startswith("."))
    except OSError:
        return []


def adopt(folder: Path, engine: "Engine", price: Pricer = unpriced) -> bool:
    """Take over a journal, if its process is dead: all that is in it goes into the tables, and it is removed. Whether it was so.

    Raises DatabaseError: then it stays, for the next try.
    """
    lock = take_over(folder)
    if lock is None:
        return False
    try:
        tail = Tail(folder, price)
        while tail.write(engine, dead=True):
            pass
        (folder / LOCK).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
    except FileNotFoundError:  # its own process had written all of it, and was just removing it
        return False
    finally:
        os.close(lock)
    return True


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
