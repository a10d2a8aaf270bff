"""The sink that keeps traces in the store, and removes what is too old or too much.

    take ─▶ packed at once, which leaves few bytes of them ─▶ written together when no more are there

One rule: a database that does not answer costs memory up to a bound, then the oldest traces; never a request.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gatewright.record.traces import Batch

if TYPE_CHECKING:
    from gatewright.stores.trace_blobs import Packed, Packer
    from gatewright.stores.traces_sql import SqlTraces

HELD_BYTES: Final = 64 << 20
"""Of packed traces that wait for a database that does not answer."""
RETIRE_EVERY_S: Final = 60.0
SLOWEST_S: Final = 10.0
"""Between tries."""
TOLD_EVERY_S: Final = 60.0

log = logging.getLogger("gatewright")


class KeepTraces:
    """A `TraceSink`."""

    def __init__(self, store: "Callable[[], SqlTraces]", packer: "Packer", *, keep_s: float, max_bytes: int) -> None:
        """`store`: opens it, in the thread, when there is something to write. `max_bytes`: 0: no bound."""
        self._open = store
        self._packer = packer
        self._store: SqlTraces | None = None
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._held: deque[Packed] = deque()
        self._bytes = 0
        self.lost = 0
        """Traces that could not be kept."""
        self._again_at = 0.0
        self._pause_s = 0.5
        self._told = -TOLD_EVERY_S
        self._retired = time.monotonic()

    def begin(self) -> None:
        """Have the tables made before the first trace comes: it takes its time, once."""
        from gatewright.stores.sql import BadDatabase, DatabaseError  # noqa: PLC0415 - takes its time

        try:
            self._store = self._open()
            self._store.prepare()
        except (DatabaseError, BadDatabase, OSError):  # the first trace will tell
            self._store = None

    @property
    def waits(self) -> bool:
        """Whether there is something to be written though nothing new comes."""
        return bool(self._held)

    def take(self, batch: Batch) -> None:
        if batch.traces:
            last = max([trace.at for trace in batch.traces])
            self._held.append(self._packer.pack(batch.documents, last))
            self._bytes += len(self._held[-1].data)
        full = self._bytes > HELD_BYTES
        if self._held and (full or not batch.traces) and time.monotonic() >= self._again_at:
            self._write()
        while self._bytes > HELD_BYTES:
            oldest = self._held.popleft()
            self._bytes -= len(oldest.data)
            self.lost += oldest.count

    def close(self) -> None:
        if self._held:
            self._write()
            self.lost += self._waiting()
        if self._store is not None:
            self._store.close()

    def _write(self) -> None:
        from gatewright.stores.sql import BadDatabase, DatabaseError  # noqa: PLC0415 - takes its time, and is there by then

        try:
            if self._store is None:
                self._store = self._open()
            self._store.write_packed(self._held)
            self._held.clear()
            self._bytes, self._pause_s = 0, 0.5
            if time.monotonic() - self._retired >= RETIRE_EVERY_S:
                self._retired = time.monotonic()
                self._store.retire(int((time.time() - self._keep_s) * 1e6), self._max_bytes)
        except (DatabaseError, BadDatabase, OSError) as error:
            self._again_at = time.monotonic() + self._pause_s
            self._pause_s = min(2 * self._pause_s, SLOWEST_S)
            if time.monotonic() - self._told >= TOLD_EVERY_S:
                self._told = time.monotonic()
                first = str(error).splitlines()[0] if str(error) else type(error).__name__
                told = "warning: traces cannot be written, %d wait and %d were lost: %s"
                log.warning(told, self._waiting(), self.lost, first)

    def _waiting(self) -> int:
        return sum(blob.count for blob in self._held)
