"""The one lock of the shared counters, waited for no longer than that: its holder may be stopped, and would stop all others.

One rule: whoever waits in vain once waits no more but for a moment, until a while has passed or the lock is free again.
https://man7.org/linux/man-pages/man2/flock.2.html
"""

import logging
import time
from fcntl import LOCK_EX, LOCK_NB, flock
from typing import Final

log = logging.getLogger("gatewright")

TRY: Final = LOCK_EX | LOCK_NB
"""How it is asked for first: it is nearly always free, and held for some microseconds."""
WAIT_S: Final = 2.0
"""The longest wait: a worker that is only out of its turn on a busy machine has had one by then. The loop waits with it."""
OPEN_S: Final = 3.0
"""… at the start, when another worker may be making the file."""
SHORT_S: Final = 0.0005
"""… once that was in vain, …"""
REST_S: Final = 10.0
"""… for so long."""
_PAUSE_S: Final = 0.00002
_LONGEST_PAUSE_S: Final = 0.001


class Patience:
    """How long one process waits for the lock."""

    __slots__ = ("stuck", "_again")

    def __init__(self) -> None:
        self.stuck = False
        """It was waited for in vain, and has not been had since."""
        self._again = 0.0

    def back(self) -> None:
        """It was had."""
        if self.stuck:
            self.stuck, self._again = False, 0.0
            log.warning("limits: the shared counters are back")

    def had(self, file: int, wait_s: float = WAIT_S) -> bool:
        """Whether the lock came in time; it was tried once before. Blocks."""
        began = time.monotonic()
        whole = began >= self._again
        ends = began + (wait_s if whole else SHORT_S)
        pause = 0.0
        while True:
            time.sleep(pause)
            try:
                flock(file, TRY)
            except BlockingIOError:
                if time.monotonic() >= ends:
                    break
                pause = min(_LONGEST_PAUSE_S, pause * 2 or _PAUSE_S)
                continue
            self.back()
            return True
        if whole:
            self._again = time.monotonic() + REST_S
        if not self.stuck:
            self.stuck = True
            log.error(
                "limits: another worker holds the shared counters and does not go on (it is stopped, perhaps); "
                "until it does, what becomes of requests is as `counters.rates` and `counters.money` say"
            )
        return False
