"""SIGHUP: "read your configuration again" to a service, and "your terminal is gone" to what runs in one.

One rule: from the first moment on a hang-up is remembered and not died of. What comes before anybody can act on it is acted on
as soon as somebody can. So this is imported before everything else, and imports nothing that takes time.
"""

import os
import signal


class Terminal:
    """The terminal that this process was started from, if any. When it goes away its processes are sent SIGHUP, too."""

    def __init__(self) -> None:
        self._was_there = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and self._is_there()  # `nohup` has us ignore it

    def gone(self) -> bool:
        """Whether a SIGHUP that came now means the end, not the configuration."""
        return self._was_there and not self._is_there()

    def _is_there(self) -> bool:
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        except OSError:
            return False
        return True


class _Early:
    """What `remember` has begun; one process, one signal."""

    terminal: Terminal | None = None
    came = False


def remember() -> None:
    """From now on SIGHUP is noted and does nothing else. In the main thread; more often than once does no more."""
    if _Early.terminal is None:
        _Early.terminal = Terminal()  # before the handler, or it would not see that the signal was ignored
        signal.signal(signal.SIGHUP, _note)


def terminal() -> Terminal:
    """As it was when `remember` was called, else as it is now. To be asked before SIGHUP is handled in any other way."""
    return _Early.terminal or Terminal()


def came_early() -> bool:
    """Whether one was noted that nobody has asked for yet. To be asked once SIGHUP is handled."""
    came, _Early.came = _Early.came, False
    return came


def _note(_number: int, _frame: object) -> None:
    _Early.came = True
