"""Reports up to this moment: the sums in the database, and what stands in this machine's journals and not in them yet.

One rule: nothing twice. The marks are read in the same moment as the sums, and of the journals only what lies behind them.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from gatewright.record.entries import Settled
from gatewright.record.entries import read as read_entries
from gatewright.record.ingest import orphans
from gatewright.record.rows import Pricer, Rows, unpriced
from gatewright.record.segments import LARGEST, START, file_name, numbers, read
from gatewright.stores.ledger_rows import Mark
from gatewright.stores.report_terms import Query, Report

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

PATIENCE_S: Final = 0.1
"""So long is read of journals; what is not read by then comes with the next report."""
BREATH: Final = 8
"""Requests that are worked on in one go."""
_TRIES: Final = 3


class Fresh(msgspec.Struct, frozen=True):
    """A report, and how new it is."""

    report: Report
    as_of: float
    """Unix seconds: requests of this machine that ended before are in it."""
    waiting: int
    """Requests in it that are not in the database yet."""
    complete: bool
    """False: journals hold more than was read of them; `as_of` is when the last that was read came."""


class _Moved(Exception):
    """What lies behind the mark is in the database by now."""


class _Tails:
    def __init__(self, price: Pricer) -> None:
        self.rows = Rows("", price)
        self.count = 0
        self.last_us = 0
        self.complete = True


def fresh(engine: "Engine", query: Query, root: Path | None, price: Pricer = unpriced) -> Fresh:
    """`root`: the folder of this machine's journals. Raises DatabaseError."""
    from gatewright.stores.reports import reading, report  # noqa: PLC0415 - takes its time, and other commands do without

    for left in reversed(range(_TRIES)):
        now = time.time()
        with reading(engine) as connection:
            tails = _Tails(price)
            if root is not None and left:
                try:
                    _read(tails, root, _marks(connection))
                except (_Moved, FileNotFoundError):
                    continue
            elif root is not None:  # they move faster than they can be read
                tails.complete, tails.last_us = False, int(now * 1e6)
            found = report(connection, query, tails.rows.done().rollups)
        return Fresh(found, now if tails.complete else tails.last_us / 1e6, tails.count, tails.complete)
    raise AssertionError("the last try always tells")


def _marks(connection: object) -> Mapping[str, Mark]:
    import sqlalchemy as sa  # noqa: PLC0415 - takes its time

    from gatewright.stores.ledger_tables import MARKS  # noqa: PLC0415

    assert isinstance(connection, sa.Connection)
    found = connection.execute(sa.select(MARKS.c.journal, MARKS.c.segment, MARKS.c.position))
    return {row[0]: Mark(row[1], row[2]) for row in found}


def _read(tails: _Tails, root: Path, marks: Mapping[str, Mark]) -> None:
    until = time.monotonic() + PATIENCE_S
    for folder in orphans(root, ""):
        mark = marks.get(folder.name, Mark())
        segments = numbers(folder)
        if mark.segment and mark.segment not in segments:
            raise _Moved
        _read_journal(tails, folder, [number for number in segments if number >= mark.segment], mark, until)


def _read_journal(tails: _Tails, folder: Path, segments: Sequence[int], mark: Mark, until: float) -> None:
    for number in segments:
        at = mark.position if number == mark.segment else START
        while True:
            payloads, at, why = read(folder / file_name(number), at, window=LARGEST)
            for payload in payloads:
                _take(tails, payload)
            if time.monotonic() > until and (payloads or why is None):
                tails.complete = False
                return
            if why is not None:
                break
        if why != "over":
            return


def _take(tails: _Tails, payload: bytes) -> None:
    for entry in read_entries(payload, _unread):
        if isinstance(entry, Settled):
            if tails.count % BREATH == 0:
                time.sleep(0)
            tails.rows.settled(entry, in_flight=False)
            tails.count += 1
            tails.last_us = max(tails.last_us, entry.at)


def _unread(_error: msgspec.DecodeError) -> None:
    """The thread that writes rows tells of it."""
