"""What each worker of a machine holds, written where others can give it back for one that died.

A worker sits at a seat for as long as it lives: it holds the lock of the seat's file, which the kernel frees when it dies,
however it dies. Whoever then gets the lock knows. One rule: who is alive is asked of the kernel, never of a clock.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gatewright.limits.windows import Writes

log = logging.getLogger("gatewright")

SEATS: Final = 256
ENTRIES: Final = 2048
"""Gauges that one worker can hold of at once."""
_COUNT_BITS: Final = 24
_COUNT: Final = (1 << _COUNT_BITS) - 1


class Seats:
    """The seats, and this process at one of them. Everything happens under the lock of who owns the words."""

    WORDS: Final = SEATS * (ENTRIES + 1)

    def __init__(self, words: memoryview, at: int, folder: Path) -> None:
        self._words = words
        self._at = at
        self._folder = folder
        self._lock = -1
        self._mine = 0
        """Index of the own seat's first word: whether it is taken; entries follow. 0: no seat was free."""
        self._entries: dict[int, int] = {}
        """Where what is held of a gauge is written."""
        self._next = 0

    def sit(self) -> None:
        """Take a seat that is free, after the dead have been buried."""
        for seat in range(SEATS):
            at = self._at + seat * (ENTRIES + 1)
            if self._words[at] or (lock := self._locked(seat)) < 0:
                continue
            self._lock, self._mine = lock, at
            self._words[at] = 1
            return
        log.warning("limits: more than %d processes share a state folder; what one holds is not given back if it dies", SEATS)

    def leave(self) -> None:
        """Nothing is held any more. Idempotent."""
        if self._lock >= 0:
            if not any(self._words[self._mine + 1 : self._mine + 1 + ENTRIES].tolist()):
                self._words[self._mine] = 0
            os.close(self._lock)
            self._lock, self._mine = -1, 0

    def count(self, gauge: int, by: int, writes: Writes) -> None:
        """Note that `by` more of a gauge are held here."""
        if not self._mine:
            return
        entry = self._entries.get(gauge) or self._free_entry()
        if not entry:  # held all the same, and too strict should this worker die
            return
        held = self._words[entry] & _COUNT if self._words[entry] >> _COUNT_BITS == gauge else 0
        self._entries[gauge] = entry
        writes += (entry, (gauge << _COUNT_BITS | max(0, held + by)) if held + by > 0 else 0)

    def dead(self) -> Iterator[tuple[int, Writes]]:
        """For each entry of those who died: the gauge, what they held, and what to write so that they hold it no more.

        The writes are index and value of the entry, and the count in front of them is the caller's to take off.
        """
        for seat in range(SEATS):
            at = self._at + seat * (ENTRIES + 1)
            if not self._words[at] or at == self._mine or (lock := self._locked(seat)) < 0:
                continue
            try:
                for entry in range(at + 1, at + 1 + ENTRIES):
                    if word := self._words[entry]:
                        yield word >> _COUNT_BITS, [word & _COUNT, entry, 0]
                self._words[at] = 0
            finally:
                os.close(lock)

    def held(self) -> dict[int, int]:
        """Of every gauge, how much all seats together hold."""
        held: dict[int, int] = {}
        for at in range(self._at, self._at + self.WORDS, ENTRIES + 1):
            if self._words[at]:
                for word in self._words[at + 1 : at + 1 + ENTRIES].tolist():
                    if word:
                        gauge = word >> _COUNT_BITS
                        held[gauge] = held.get(gauge, 0) + (word & _COUNT)
        return held

    def _free_entry(self) -> int:
        if self._next < ENTRIES:
            self._next += 1
            return self._mine + self._next
        for gauge, entry in self._entries.items():
            if not self._words[entry] & _COUNT:
                del self._entries[gauge]
                return entry
        return 0

    def _locked(self, seat: int) -> int:
        """The seat's file, locked; -1: somebody sits there."""
        file = os.open(self._folder / f"seat-{seat:03d}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return -1
        return file
