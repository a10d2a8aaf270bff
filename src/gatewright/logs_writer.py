"""Whoever writes the log: a thread of its own, so that nobody who answers a request makes a line or waits for a pipe.

    put ──▶ a bounded queue ──▶ rendered and written together, at once for what is urgent, else within a fifth of a second

One rule: when nobody reads fast enough, lines are dropped and counted; the gateway waits for nobody.
"""

import atexit
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.util import Finalize
from types import TracebackType
from typing import Any, Final, Protocol, Self

EVERY_S: Final = 0.2
MOST: Final = 10_000
"""Lines that wait."""
AT_ONCE: Final = 500
"""Lines of one write."""


class Sink(Protocol):
    """A file, opened for bytes."""

    def write(self, wire: bytes, /) -> object: ...

    def flush(self) -> object: ...


class Writer:
    """Writes lines to one file. Any thread may put."""

    def __init__(self, sink: Sink, *, most: int = MOST) -> None:
        self.dropped = 0
        """Lines that were not written."""
        self._sink = sink
        self._most = most
        self._waiting: deque[tuple[Callable[[Any], str], object]] = deque()
        self._urgent = threading.Event()
        self._writing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.close)
        Finalize(None, self.close, exitpriority=0)  # workers are processes of multiprocessing, which knows no `atexit`

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def put(self, render: Callable[[Any], str], what: object, *, urgent: bool = False) -> None:
        """Write `render(what)` and a line break, soon. Never raises, never waits."""
        if len(self._waiting) >= self._most:
            self.dropped += 1
            return
        self._waiting.append((render, what))
        if urgent:
            self._urgent.set()

    def flush(self) -> None:
        """Write what waits, now, in this thread."""
        with self._writing:
            while self._waiting:
                self._write(min(len(self._waiting), AT_ONCE))

    def close(self) -> None:
        """Write what waits, and stop. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._urgent.set()
        self._thread.join(2.0)
        self.flush()
        atexit.unregister(self.close)

    def _run(self) -> None:
        while not self._closed:
            self._urgent.wait(EVERY_S)
            self._urgent.clear()
            self.flush()

    def _write(self, count: int) -> None:
        lines = []
        for _ in range(count):
            render, what = self._waiting.popleft()
            try:
                lines.append(render(what))
            except Exception as error:  # noqa: BLE001 - whatever a line is made of, the next one is to be written
                lines.append(f'{{"level":"error","logger":"gatewright","event":"a log line failed: {type(error).__name__}"}}')
        wire = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
        with suppress(OSError, ValueError):  # nobody reads any more
            self._sink.write(wire)
            self._sink.flush()
