"""Counters in memory that the workers of one machine share: one file, mapped by all, changed under one short lock.

The file is `counters_table.py`, the lock `counters_lock.py`. One rule: where the table is full of what still counts, requests are
refused; and where the lock cannot be had, what becomes of them is the operator's to say, for money and for all else.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from fcntl import LOCK_UN, flock
from pathlib import Path
from typing import Final

from gatewright.limits import windows
from gatewright.limits.meters import Claim, Kind, Meter
from gatewright.limits.windows import CELLS, NEVER, REFUSED, RING, TOTAL, Writes
from gatewright.stores.counters import Denied, Reserved, Seen, parts_given_back, uncounted
from gatewright.stores.counters_lock import TRY
from gatewright.stores.counters_table import BUSY, EVICTED, SLOTS, TORN, CountersTable

FOLDER: Final = "counters"
"""Within the state folder."""
SWEEP_US: Final = 1_000_000
"""Before a gauge refuses, the dead are looked for, at most so often."""
LATER_S: Final = 0.2
"""What could not be settled is tried again so soon."""
MOST_LATER: Final = 100_000
"""Settlements that are kept for that."""
_GAUGE: Final = Kind.GAUGE
_CALENDAR: Final = Kind.CALENDAR


class SharedCounters(CountersTable):
    """`Counters` for the workers of one machine. Used by one thread; another one, or another process, has its own."""

    def __init__(self, folder: Path, *, slots: int = SLOTS, open_when_down: frozenset[str] = frozenset(("rates",))) -> None:
        """`folder`: made at the first use, if it is not there; its owner's alone. `open_when_down`: as for `RedisCounters`."""
        super().__init__(folder, slots)
        self.open_when_down = open_when_down
        self._swept = 0
        self._later: list[tuple[Reserved, Sequence[int]]] = []
        """To be settled when the lock can be had."""
        self._coming_back: asyncio.TimerHandle | None = None

    # -- what requests ask -----------------------------------------------------------------------------------------------------

    def reserve(self, claims: Sequence[Claim], now: int) -> Reserved | Denied:
        if self._file < 0 and not self._opened():
            return Denied(None, windows.SOON_US)
        words, places = self._words, self._places
        marks: list[int] = []
        left: list[int] = []
        writes: Writes = []
        try:
            flock(self._file, TRY)
        except BlockingIOError:
            if not self._lock.had(self._file):
                self._come_back()
                return uncounted(claims, self.open_when_down)
        try:
            if words[BUSY] or words[EVICTED] != self._evicted:
                self._repair()
            for meter, cost in claims:
                at = places.get(meter) or self._place(meter, now, writes)
                if not at:
                    return Denied(None, windows.SOON_US)
                width = meter.width
                if width and words[at] == (mark := now // width):  # as `windows.book`, for what nearly always is
                    cell = at + CELLS + mark % RING
                    total = words[at + TOTAL] + cost
                    if total > meter.bound and cost:
                        return self._refused(claims, now)
                    writes += (cell, words[cell] + cost, at + TOTAL, total)
                    left.append(meter.bound - total)
                elif meter.kind is _CALENDAR and words[at] == (mark := meter.start(now)):
                    total = words[at + TOTAL] + cost
                    if total > meter.bound and cost:
                        return self._refused(claims, now)
                    writes += (at + TOTAL, total)
                    left.append(meter.bound - total)
                elif (mark := windows.book(words, at, meter, cost, now, writes, left)) == REFUSED:
                    if meter.kind is Kind.GAUGE and self._bury(now):
                        return self.reserve(claims, now)
                    return self._refused(claims, now)
                marks.append(mark)
                if meter.kind is _GAUGE:
                    self._seats.count(at, cost, writes)
            # Not by the log: this process's own request dies with it, and a part of it is nobody's loss.
            words[BUSY] = TORN
            pairs = iter(writes)
            for at, value in zip(pairs, pairs):  # noqa: B905 - always pairs
                words[at] = value
            words[BUSY] = 0
        finally:
            flock(self._file, LOCK_UN)
        return Reserved(claims, marks, left)

    async def ask(self, claims: Sequence[Claim], now: int) -> Reserved | Denied:
        return self.reserve(claims, now)

    def settle(self, reserved: Reserved, used: Sequence[int], now: int) -> None:
        if not reserved.open:
            return
        reserved.open = False
        if self._file < 0:
            return
        writes: Writes = []
        more = False
        try:
            flock(self._file, TRY)
        except BlockingIOError:
            if not self._lock.had(self._file):
                self._settle_later(reserved, used)
                return
        try:
            words, places = self._words, self._places
            if words[BUSY] or words[EVICTED] != self._evicted:
                self._repair()
            if reserved.more:
                self._settle_parts(reserved, used, now)
                return
            for (meter, cost), mark, count in zip(reserved.claims, reserved.marks, used):  # noqa: B905 - of the same length
                by = count - cost
                if not by:
                    continue
                at = places.get(meter) or self._place(meter, now, writes)
                if not at:
                    continue
                if by < 0 and words[at] == mark and meter.kind is not _GAUGE:  # as `windows.adjust`, for what nearly always is
                    if meter.width:
                        cell = at + CELLS + mark % RING
                        writes += (cell, max(0, words[cell] + by))
                    writes += (at + TOTAL, max(0, words[at + TOTAL] + by))
                    continue
                more = more or by > 0
                windows.adjust(words, at, meter, mark, by, now, writes)
                if meter.kind is _GAUGE:
                    self._seats.count(at, by, writes)
            if more:
                self._make(writes)
            else:  # what is not given back, where this process dies now, is nobody's loss
                words[BUSY] = TORN
                pairs = iter(writes)
                for at, value in zip(pairs, pairs):  # noqa: B905 - always pairs
                    words[at] = value
                words[BUSY] = 0
        finally:
            flock(self._file, LOCK_UN)

    def _settle_parts(self, reserved: Reserved, used: Sequence[int], now: int) -> None:
        """Of a reservation that was extended: the same meter may come several times, so each change is made before the next."""
        for meter, mark, by in parts_given_back(reserved, used):
            if at := self._places.get(meter) or self._place(meter, now):
                writes: Writes = []
                windows.adjust(self._words, at, meter, mark, by, now, writes)
                if meter.kind is _GAUGE:
                    self._seats.count(at, by, writes)
                self._make(writes)

    def _settle_later(self, reserved: Reserved, used: Sequence[int]) -> None:
        """The lock cannot be had now: what was reserved stays counted until it can."""
        if len(self._later) < MOST_LATER:
            self._later.append((reserved, used))
        self._come_back()

    def _come_back(self) -> None:
        if self._coming_back is None:
            with suppress(RuntimeError):  # outside a loop nobody comes back but `close`
                self._coming_back = asyncio.get_running_loop().call_later(LATER_S, self._catch_up)

    def _catch_up(self) -> None:
        self._coming_back = None
        if not self._had():
            self._come_back()
            return
        flock(self._file, LOCK_UN)
        later, self._later = self._later, []
        now = time.time_ns() // 1000
        for reserved, used in later:
            reserved.open = True
            self.settle(reserved, used, now)

    def extend(self, reserved: Reserved, more: Sequence[int], now: int) -> bool:
        if not reserved.open:
            return True  # settled already, or let pass uncounted
        got = self.reserve([(meter, cost) for (meter, _), cost in zip(reserved.claims, more, strict=True)], now)
        if isinstance(got, Denied):
            return False
        if got.open:
            reserved.more += (got,)
        return True

    async def ask_more(self, reserved: Reserved, more: Sequence[int], now: int) -> bool:
        return self.extend(reserved, more, now)

    # -- what people ask -------------------------------------------------------------------------------------------------------

    async def look(self, meters: Sequence[Meter], now: int) -> list[Seen] | None:
        """One that nothing was ever counted of takes no slot."""
        if self._file < 0 and not self._opened():
            return None
        found: list[Seen] = []
        if not self._had():
            return None
        try:
            words = self._words
            if words[BUSY] or words[EVICTED] != self._evicted:
                self._repair()
            for meter in meters:
                if at := self._find(meter):
                    found.append(Seen(windows.used(words, at, meter, now), windows.wait_us(words, at, meter, 1, now)))
                else:
                    found.append(Seen(0, 0 if meter.bound else NEVER))
        finally:
            flock(self._file, LOCK_UN)
        return found

    async def correct(self, meter: Meter, used: int, now: int) -> None:
        if self._file < 0 and not self._opened():
            return
        if not self._had():
            raise TimeoutError("another process holds the counters and does not go on")
        try:
            if self._words[BUSY] or self._words[EVICTED] != self._evicted:
                self._repair()
            if at := self._place(meter, now):
                self._make(windows.replaced(self._words, at, meter, used, now))
        finally:
            flock(self._file, LOCK_UN)

    async def close(self) -> None:
        if self._coming_back is not None:
            self._coming_back.cancel()
        if self._file >= 0:
            if self._later:
                self._catch_up()
            if self._coming_back is not None:
                self._coming_back.cancel()
            self._seats.leave()
            self._words.release()
            self._map.close()
            os.close(self._file)
            self._file = -1
            self._places.clear()

    def _had(self) -> bool:
        """Whether the lock is held now."""
        try:
            flock(self._file, TRY)
        except BlockingIOError:
            return self._lock.had(self._file)
        self._lock.back()
        return True

    # -- who was refused, and who died -----------------------------------------------------------------------------------------

    def _refused(self, claims: Sequence[Claim], now: int) -> Denied:
        """Which limit wants the longest wait."""
        words = self._words
        worst: Denied | None = None
        for meter, cost in claims:
            at = self._places.get(meter) or self._place(meter, now)
            if not at:
                return Denied(None, windows.SOON_US)
            used = windows.used(words, at, meter, now)
            if cost and used + cost > meter.bound:
                wait = windows.wait_us(words, at, meter, cost, now)
                if worst is None or wait > worst.wait_us:
                    worst = Denied(meter, wait, max(0, meter.bound - used))
            self._make(windows.rewound(words, at, meter, now))
        assert worst is not None
        return worst

    def _bury(self, now: int) -> bool:
        """Whether somebody died who held what is given back now."""
        if 0 <= now - self._swept < SWEEP_US:
            return False
        self._swept = now
        return self._give_back()
