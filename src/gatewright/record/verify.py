"""Whether journal, rows, rollups and counters agree: what `gatewright usage verify` tells.

One rule: it looks, and changes nothing but what any gateway would: journals whose process has died are taken over first, so that
what it says holds for all that ever happened.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from gatewright.record.entries import Settled
from gatewright.record.entries import read as read_entries
from gatewright.record.ingest import adopt, orphans
from gatewright.record.journal import take_over
from gatewright.record.rows import Pricer, unpriced
from gatewright.record.segments import every_record
from gatewright.stores.ledger_rows import Mark

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

LATE_S: Final = 60.0
"""Behind the journal, the tables may be so late; more is told."""
SILENT_S: Final = 3600.0
_AT_ONCE: Final = 500


class Verified(msgspec.Struct, frozen=True):
    """What was looked at, and what was found."""

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    """What is no disagreement, and a person may want to know."""
    requests: int
    attempts: int
    journals: int
    """Of processes that run."""
    waiting: int
    """Requests that stand in their journals and not in the tables yet."""


def verify(engine: "Engine", root: Path, price: Pricer = unpriced, *, sums: bool = True) -> Verified:
    """Look at all of it. Raises DatabaseError.

    `root`: the folder of this machine's journals. `sums`: whether the tables are added up too, which takes its time.
    """
    import sqlalchemy as sa  # noqa: PLC0415 - takes its time, and other commands do without

    from gatewright.stores.ledger_check import disagreements  # noqa: PLC0415
    from gatewright.stores.ledger_tables import ATTEMPTS, REQUESTS  # noqa: PLC0415

    for folder in orphans(root, ""):
        adopt(folder, engine, price)
    problems: list[str] = []
    notes: list[str] = []
    waiting, running = 0, 0
    for folder in orphans(root, ""):
        running += 1
        late = _journal(engine, folder, problems)
        waiting += len(late)
        if late and (age := time.time() - min(late) / 1e6) > LATE_S:
            notes.append(f"journal {folder.name}: {len(late)} requests wait for the database, the first for {age:.0f} s")
    if sums:
        problems += disagreements(engine)
    notes += _silent(engine)
    with engine.connect() as connection:
        requests, attempts = (
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in (REQUESTS, ATTEMPTS)
        )
    return Verified(tuple(problems), tuple(notes), requests, attempts, running, waiting)


def _journal(engine: "Engine", folder: Path, problems: list[str]) -> list[int]:
    """Check a journal that is written to: what is before its mark stands in the tables. When the others were settled."""
    from gatewright.stores.ledger_sql import known_of, mark_of  # noqa: PLC0415 - takes its time

    mark = mark_of(engine, folder.name)
    before: list[str] = []
    after: list[int] = []
    try:
        for number, position, payload in every_record(folder):
            settled = [entry for entry in read_entries(payload) if isinstance(entry, Settled)]
            if Mark(number, position) <= mark:
                before += [entry.id for entry in settled]
            else:
                after += [entry.at + entry.took_us for entry in settled]
    except FileNotFoundError:  # a segment was taken over meanwhile
        pass
    for at in range(0, len(before), _AT_ONCE):
        some = before[at : at + _AT_ONCE]
        known = known_of(engine, some)
        problems += [f"journal {folder.name}: {request_id} was taken over, and stands in no table" for request_id in some
                     if request_id not in known]  # fmt: skip
    return after


def _silent(engine: "Engine") -> list[str]:
    """Journals of other machines, perhaps, that have requests in flight and were not heard of for long."""
    from gatewright.stores.ledger_sql import silent_journals  # noqa: PLC0415 - takes its time

    return [
        f"journal {name} of {host} was not heard of for {(time.time() - heard) / 3600:.1f} h, with {count} requests in flight; "
        "a gateway that starts with its state folder settles them"
        for name, host, heard, count in silent_journals(engine, int(time.time() - SILENT_S))
    ]


def is_held(folder: Path) -> bool:
    """Whether the process of a journal lives."""
    lock = take_over(folder)
    if lock is None:
        return True
    os.close(lock)
    return False


def told(verified: Verified, more: tuple[str, ...] = ()) -> Iterator[str]:
    """The last line, for a person. `more`: problems that somebody else has found."""
    if verified.problems or more:
        yield f"{len(verified.problems) + len(more)} disagreements"
    else:
        late = f", {verified.waiting} more on their way" if verified.waiting else ""
        seen = f"{verified.requests} requests and {verified.attempts} attempts"
        yield f"good: {seen} agree with one another, with journals, rollups and budgets{late}"
