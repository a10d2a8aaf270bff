"""The file of the counters that the workers of one machine share: what it is, where each meter is in it, and how it is changed.

    head     what the file is, and the log of the change that is being made
    seats    what each worker holds of gauges, so that it can be given back for one that dies
    slots    one for each meter, found by its key

A change is written to the log first and then made; whoever gets the lock after a process was killed within makes it again, which
changes nothing that was made. The kernel frees the lock of the dead. One rule: a meter without a slot is never a meter without
a limit.
"""

import logging
import mmap
import os
from array import array
from fcntl import LOCK_UN, flock
from pathlib import Path
from typing import Final

from gatewright.limits import windows
from gatewright.limits.meters import Meter
from gatewright.limits.windows import CELLS, TOTAL, WORDS, Writes
from gatewright.stores.counters_lock import OPEN_S, TRY, Patience
from gatewright.stores.seats import Seats

log = logging.getLogger("gatewright")

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

_SEATS_AT: Final = LOG + LOG_WORDS


class CountersTable:
    """Used by one thread; another one, or another process, has its own."""

    def __init__(self, folder: Path, slots: int) -> None:
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
        self._closed_once = False
        self._lock = Patience()

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
            try:
                flock(file, TRY)
            except BlockingIOError:
                if not self._lock.had(file, OPEN_S):
                    raise TimeoutError("another process holds it and does not go on") from None
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

    def _give_back(self) -> bool:
        any_held = False
        for gauge, (held, *entry) in self._seats.dead():
            total = self._words[gauge + TOTAL]
            self._make([gauge + TOTAL, max(0, total - held), *entry])
            any_held = True
        return any_held
