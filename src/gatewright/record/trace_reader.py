"""The process that reads traces in the background, beside the gateway and not within it: its work must not be in requests' way.

    gateway ── settings on stdin ──▶ python -m gatewright.record.trace_reader      until stdin ends

One rule: it takes no more than its share of a core, at the lowest priority, and gives way while more comes than a core has time
for; it goes when the gateway goes, however that ends.
"""

import os
import select
import sys
import time
from typing import Final

import msgspec

SLOWEST_S: Final = 5.0
"""Between two looks for something new; while nothing comes the pause doubles up to this."""
SOONEST_S: Final = 0.25
BUSY: Final = 100
"""Traces a second, beyond which requests need the core: then reading waits, …"""
BUSY_S: Final = 4.0
"""… with so much time between looks whether it is quieter, …"""
WAITS_S: Final = 60.0
"""… so long at most, and goes on at a tenth of its share."""


class Settings(msgspec.Struct, frozen=True):
    """What it is told."""

    place: str
    """A state folder, or a database's URL."""
    key: str = ""
    """In hexadecimal; empty: nothing is encrypted."""
    seals: bool = False
    share: float = 0.1


def serve(settings: Settings) -> None:
    """Until stdin ends."""
    from gatewright.record.trace_index import Indexer  # noqa: PLC0415 - takes its time
    from gatewright.stores.sql import BadDatabase, DatabaseError  # noqa: PLC0415
    from gatewright.stores.trace_document import CannotOpen  # noqa: PLC0415
    from gatewright.stores.traces import open_traces  # noqa: PLC0415

    store = open_traces(settings.place, bytes.fromhex(settings.key), seals=settings.seals)
    indexer = Indexer(store)
    pause_s = SOONEST_S
    mark, seen, looked = 0, 0, time.monotonic()
    idle_since = looked
    try:
        while not _is_over(pause_s):
            began = time.process_time()
            share = settings.share
            try:
                now = time.monotonic()
                if now - looked >= 1:
                    mark, new = store.came(mark)
                    seen = max(round(new / (now - looked)), seen // 2)  # a moment's silence is none yet
                    looked = now
                if seen > BUSY:
                    if now - idle_since < WAITS_S:
                        pause_s = BUSY_S
                        continue
                    share /= 10
                else:
                    idle_since = now
                read = indexer.some()
            except (DatabaseError, BadDatabase, CannotOpen, OSError):
                read, pause_s = 0, SLOWEST_S  # whoever writes has told of it
            used = time.process_time() - began
            rest = used * (1 / max(share, 0.001) - 1)
            pause_s = max(rest, 0.0) if read else min(max(2 * pause_s, SOONEST_S), SLOWEST_S / 5)
    finally:
        store.close()


def _is_over(pause_s: float) -> bool:
    """Wait; whether the gateway has gone meanwhile."""
    readable, _, _ = select.select([sys.stdin.fileno()], [], [], pause_s)
    return bool(readable) and not os.read(sys.stdin.fileno(), 4096)


def main() -> None:
    os.nice(19)
    line = b""
    while not line.endswith(b"\n"):  # not by a buffer, which would take what `select` waits for
        piece = os.read(sys.stdin.fileno(), 4096)
        if not piece:
            return
        line += piece
    serve(msgspec.json.decode(line, type=Settings))


if __name__ == "__main__":
    main()
