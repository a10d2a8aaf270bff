"""What came together is taken up together, and leaves together.

A turn of the loop reads whatever its sockets have; what follows from it is done here once all is read, one after the other, and
what that writes leaves when all is done. Code that stays in the cache is worth more than the order of arrival; and a neighbour
that is woken once for thirty messages sleeps no thirty times between them (docs/adr/0016, 0040).
What has to be on record before that is written down together too (`before_leaving`).
One rule: what is written to one transport leaves in order, before the loop waits again, and never is more than a little kept.
"""

import asyncio
import logging
from collections.abc import Callable
from threading import get_ident
from typing import Final
from weakref import WeakKeyDictionary, proxy

log = logging.getLogger("gatewright")

KEPT_BYTES: Final = 512 << 10
"""With more than this in hand all of it is written at once: a source that never waits must notice a client that reads nothing."""

_latest: "Turn | None" = None
"""The turn that runs, in whichever thread has begun or ended one last."""


def before_leaving(callback: Callable[[], None]) -> bool:
    """Have `callback` called once before anything leaves that is written from now on in the turn that runs in this thread.

    It may ask for more of the kind, which is called after all that was asked for before. False: no turn runs, or another thread
    has begun one; then what must come before a write is to be done now.
    """
    turn = _latest
    if turn is None or not turn.running or turn.thread != get_ident():
        return False
    turn.before.append(callback)
    return True


class Turn:
    """What is done in a loop once all is read that came. Of the loop's own thread."""

    __slots__ = ("_loop", "_size", "_todo", "_writes", "before", "running", "thread")

    _turns: "WeakKeyDictionary[asyncio.AbstractEventLoop, Turn]" = WeakKeyDictionary()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: asyncio.AbstractEventLoop = proxy(loop)  # or the dictionary would keep every loop for ever
        self.running = False
        """Whether what was read is being worked off, after which all that is written leaves."""
        self.before: list[Callable[[], None]] = []
        """What is to be done before anything leaves. Empty but while it runs: `before_leaving`."""
        self.thread = 0
        """In which it runs."""
        self._size = 0
        self._todo: list[Callable[[], object]] = []
        self._writes: list[tuple[asyncio.Transport, bytes | tuple[bytes, bytes]]] = []

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "Turn":
        turn = cls._turns.get(loop)
        if turn is None:
            turn = cls._turns[loop] = cls(loop)
        return turn

    def later(self, callback: Callable[[], object]) -> None:
        """Call `callback` when what has come is read: once, and not in this call."""
        todo = self._todo
        if not todo:
            self._loop.call_soon(self._run)
        todo.append(callback)

    def write(self, wire: asyncio.Transport, data: bytes) -> None:
        """Write to `wire` before this turn ends.

        Whoever writes to a transport by this and does anything else with it, such as closing it, calls `flush` before.
        So does who writes anything without it while a turn runs.
        """
        writes = self._writes
        if not (writes or self.running):
            self._loop.call_soon(self.flush)
        writes.append((wire, data))
        self._size += len(data)
        if self._size > KEPT_BYTES:
            self.flush()

    def write_both(self, wire: asyncio.Transport, head: bytes, body: bytes) -> None:
        """As `write` of both, one behind the other: they leave together, and the second, which is large, is not copied."""
        writes = self._writes
        if not (writes or self.running):
            self._loop.call_soon(self.flush)
        writes.append((wire, (head, body)))
        self._size += len(head) + len(body)
        if self._size > KEPT_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is in hand, to whoever is still there; what is to be done before that is done first. Never raises."""
        if self.before:
            self._come_before()
        writes = self._writes
        if not writes:
            return
        self._writes = []
        self._size = 0
        for wire, data in writes:
            if not wire.is_closing():
                try:
                    if isinstance(data, tuple):
                        wire.writelines(data)
                    else:
                        wire.write(data)
                except Exception:
                    log.exception("a write failed on a bug of ours")
                    wire.abort()  # what would follow has a gap before it; and whoever is written to next has no part in it

    def _come_before(self) -> None:
        before = self.before
        while before:
            callback = before.pop(0)
            try:
                callback()
            except Exception:
                log.exception("what comes before a write failed on a bug of ours")

    def _run(self) -> None:
        global _latest  # noqa: PLW0603 - as `strand.running`: asking the loop for it costs a system call on CPython 3.11
        _latest = self
        self.thread = get_ident()
        todo = iter(self._todo)
        self._todo = []
        self.running = True
        try:
            for callback in todo:
                try:
                    callback()
                except Exception:
                    log.exception("a callback failed on a bug of ours")
        finally:
            for callback in todo:  # one raised what is no `Exception`, as the panics of Rust are none: the rest has its turn
                self.later(callback)
            try:
                self._come_before()
            finally:
                self.running = False
                _latest = None  # it would be kept, with whatever is in its hands, when its loop is over
                self.flush()
