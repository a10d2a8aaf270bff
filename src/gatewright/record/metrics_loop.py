"""How late the event loop is: a timer that says when it should have come, and when it did.

    every 100 ms ──▶ by how much was it late? ──▶ a histogram          each second ──▶ whoever wants to be called

A loop that is late answers everybody late. Times of the loop itself are whole milliseconds, so what is below one says nothing.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from gatewright.record.metrics_cells import Histogram, empty, observe
from gatewright.record.metrics_families import OWN_SECONDS

log = logging.getLogger("gatewright")

EVERY_S: Final = 0.1
SECOND: Final = 10
"""Ticks."""


class LoopClock:
    """Of one event loop."""

    def __init__(self, each_second: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        """`each_second`: called in the loop, at about that distance."""
        self.lag: Histogram = empty(OWN_SECONDS)
        self._each_second = each_second
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._ticks = 0

    def start(self) -> None:
        """Within the loop. Idempotent."""
        if self._timer is None:
            self._set()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        self._due = self._clock() + EVERY_S
        self._timer = asyncio.get_running_loop().call_later(EVERY_S, self._tick)

    def _tick(self) -> None:
        observe(self.lag, OWN_SECONDS, max(0.0, self._clock() - self._due))
        self._ticks += 1
        try:
            if self._ticks % SECOND == 0:
                self._each_second()
        except Exception:
            log.exception("what is measured each second failed on a bug of ours")
        self._set()
