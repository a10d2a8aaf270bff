"""Counters in memory that the workers of one machine share: one file, mapped by all, changed under one short lock.

    head     what the file is, and the log of the change that is being made
    seats    what each worker holds of gauges, so that it can be given back for one that dies
    slots    one for each meter, found by its key

A change is written to the log first and then made; whoever gets the lock after a process was killed within makes it again, which
changes nothing that was made. The kernel frees the lock of the dead. One rule: a meter without a slot is never a meter without
a limit; where the table is full of what still counts, requests are refused.
"""

import logging
import mmap
import os
from array import array
from collections.abc import Sequence
from fcntl import LOCK_EX, LOCK_UN, flock
from pathlib import Path
from typing import Final

from gatewright.limits import windows
from gatewright.limits.meters import Claim, Kind, Meter
from gatewright.limits.windows import CELLS, NEVER, REFUSED, RING, TOTAL, WORDS, Writes
from gatewright.stores.counters import Denied, Reserved, Seen, parts_given_back
from gatewright.stores.seats import Seats

log = logging.getLogger("gatewright")

FOLDER: Final = "counters"
"""Within the state folder."""
MAGIC: Final = 0x6777_636F_756E_0001
"""Says what the file is, and how it is laid out."""
BUSY: Final = 1
"""Index of what is going on: 0 nothing, TORN a reservation, else so many words of the log are being made true."""
TORN: Final = -1
EVICTED: Final = 2
"""Index of how many slots have become another meter's."""
LOG: Final = 3
"""Where the log begins."""
LOG_WORDS: Final = 16_384
SLOTS: Final = 32_768
SLOT_WORDS: Final = 68
_LO, _SHAPE, _STATE = 1, 2, 3
"""Within a slot: the key is at 0 and here, then what `windows.shape_of` says, then the state."""
PROBES: Final = 64
"""Slots that a key may be in, one after another."""
SWEEP_US: Final = 1_000_000
"""Before a gauge refuses, the dead are looked for, at most so often."""

_SEATS_AT: Final = LOG + LOG_WORDS
_GAUGE: Final = Kind.GAUGE
_CALENDAR: Final = Kind.CALENDAR


class SharedCounters:
    """`Counters` for the workers of one machine. Used by one thread; another one, or another process, has its own."""

    def __init__(self, folder: Path, *, slots: int = SLOTS) -> None:
        """`folder`: made at the first use, if it is not there; its owner's alone."""
        self._folder = folder
        self._slots = slots
        self._slots_at = _SEATS_AT + Seats.WORDS
        self._file = -1
        """-1: not open."""
        self._map: mmap.mmap
        self._words: memoryview
        self._seats: Seats
        self._places: dict[Meter, int] = {}
        """Where each meter's state is. Forgotten whenever a slot has become another's."""
        self._evicted = 0
        self._swept = 0
        self._closed_once = False

    # -- what requests ask -----------------------------------------------------------------------------------------------------

    def reserve(self, claims: Sequence[Claim], now: int) -> Reserved | Denied:
        if self._file < 0 and not self._opened():
            return Denied(None, windows.SOON_US)
        words, places = self._words, self._places
        marks: list[int] = []
        left: list[int] = []
        writes: Writes = []
        flock(self._file, LOCK_EX)
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
        flock(self._file, LOCK_EX)
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

    def extend(self, reserved: Reserved, more: Sequence[int], now: int) -> bool:
        got = self.reserve([(meter, cost) for (meter, _), cost in zip(reserved.claims, more, strict=True)], now)
        if isinstance(got, Denied):
            return False
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
        flock(self._file, LOCK_EX)
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
        flock(self._file, LOCK_EX)
        try:
            if self._words[BUSY] or self._words[EVICTED] != self._evicted:
                self._repair()
            if at := self._place(meter, now):
                self._make(windows.replaced(self._words, at, meter, used, now))
        finally:
            flock(self._file, LOCK_UN)

    async def close(self) -> None:
        if self._file >= 0:
            self._seats.leave()
            self._words.release()
            self._map.close()
            os.close(self._file)
            self._file = -1
            self._places.clear()

    # -- the file --------------------------------------------------------------------------------------------------------------

    def _opened(self) -> bool:
        """Open the file, or make it. False where that cannot be: told once."""
        try:
            self._open()
        except OSError as error:
            if not self._closed_once:
                self._closed_once = True
                log.error("limits: %s cannot be used (%s); requests with limits are refused until it can", self._folder, error)  # noqa: TRY400 - an operator's matter, not a bug
            return False
        self._closed_once = False
        return True

    def _open(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        size = (self._slots_at + self._slots * SLOT_WORDS) * 8
        file = os.open(self._folder / f"table-{MAGIC & 0xFFFF}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            flock(file, LOCK_EX)
            if os.fstat(file).st_size < size:
                os.ftruncate(file, size)
                if hasattr(os, "posix_fallocate"):  # a hole in a file on a full disk would be a signal that kills
                    os.posix_fallocate(file, 0, size)
            mapped = mmap.mmap(file, size)
        except BaseException:
            os.close(file)
            raise
        self._file, self._map = file, mapped
        words = self._words = memoryview(mapped).cast("q")
        try:
            if words[0] != MAGIC:  # new, or nothing of ours
                mapped[:] = bytes(size)
                words[0] = MAGIC
            self._seats = Seats(words, _SEATS_AT, self._folder)
            self._repair()
            self._give_back()
            self._seats.sit()
        finally:
            flock(file, LOCK_UN)

    def _make(self, writes: Writes) -> None:
        """Change the words: all of it, or after a death none of it, or all of it again."""
        if not writes:
            return
        words = self._words
        words[LOG : LOG + len(writes)] = array("q", writes)
        words[BUSY] = len(writes)
        pairs = iter(writes)
        for at, value in zip(pairs, pairs, strict=True):
            words[at] = value
        words[BUSY] = 0

    def _repair(self) -> None:
        """Somebody was killed within a change, or a slot is another meter's now."""
        words = self._words
        length = words[BUSY]
        if length == TORN:
            self._add_up()
        elif 0 < length <= LOG_WORDS:
            pairs = iter(words[LOG : LOG + length].tolist())
            for at, value in zip(pairs, pairs, strict=False):
                if at == EVICTED or _SEATS_AT <= at < len(words):
                    words[at] = value
        words[BUSY] = 0
        self._evicted = words[EVICTED]
        self._places.clear()

    def _add_up(self) -> None:
        """Make every total what its parts come to: sub-buckets of a window, seats of a gauge."""
        words = self._words
        held = self._seats.held()
        for state in range(self._slots_at + _STATE, len(words), SLOT_WORDS):
            if words[state - _STATE] == 0:
                continue
            if words[state - _STATE + _SHAPE] > 0:
                words[state + TOTAL] = sum(words[state + CELLS : state + WORDS].tolist())
            elif words[state - _STATE + _SHAPE] == windows.GAUGE:
                words[state + TOTAL] = held.get(state, 0)

    # -- slots -----------------------------------------------------------------------------------------------------------------

    def _find(self, meter: Meter) -> int:
        """Where the meter's state is; 0: nowhere."""
        words, first = self._words, meter.hi % self._slots
        for i in range(PROBES):
            slot = self._slots_at + (first + i) % self._slots * SLOT_WORDS
            if words[slot] == meter.hi and words[slot + _LO] == meter.lo:
                return slot + _STATE
            if not words[slot]:
                break
        return 0

    def _place(self, meter: Meter, now: int, writes: Writes | None = None) -> int:
        """Where it is from now on; 0: there is no room. `writes`: what is to be made yet; a slot that is in them is not taken."""
        if len(self._places) > 4 * self._slots:  # of configurations that were
            self._places.clear()
        at = self._find(meter) or self._take(meter, now, writes or [])
        if at:
            self._places[meter] = at
        elif not self._closed_once:
            self._closed_once = True
            log.error("limits: the table of counters is full; requests are refused. Share counters over Redis (`counters:`)")
        return at

    def _take(self, meter: Meter, now: int, planned: Writes) -> int:
        """A slot for it: an empty one, else that which has been idle for the longest."""
        words, first = self._words, meter.hi % self._slots
        idle = 0
        for i in range(PROBES):
            slot = self._slots_at + (first + i) % self._slots * SLOT_WORDS
            state = slot + _STATE
            if not words[slot]:
                idle = slot
                break
            if any(state <= at < slot + SLOT_WORDS for at in planned[::2]):
                continue
            if windows.is_idle(words, state, words[slot + _SHAPE], now) and (not idle or words[state] < words[idle + _STATE]):
                idle = slot
        if not idle:
            return 0
        writes: Writes = []
        for cell in range(idle + _STATE, idle + _STATE + WORDS):
            if words[cell]:
                writes += (cell, 0)
        if words[idle]:
            writes += (EVICTED, words[EVICTED] + 1)
            self._places.clear()
            self._evicted += 1
        self._make([*writes, idle + _LO, meter.lo, idle + _SHAPE, windows.shape_of(meter), idle, meter.hi])
        return idle + _STATE

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

    def _give_back(self) -> bool:
        any_held = False
        for gauge, (held, *entry) in self._seats.dead():
            total = self._words[gauge + TOTAL]
            self._make([gauge + TOTAL, max(0, total - held), *entry])
            any_held = True
        return any_held
