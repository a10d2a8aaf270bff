"""A request runs without a task for as long as it waits for nothing but its upstream.

A task costs a turn of the loop to start, another for every piece of a stream, and an entry in a weak set: a third of what a
short request costs at all. So the server steps the request's coroutine itself; where that waits for an upstream's bytes, it is
stepped again by the very callback that brings them. One rule: whatever else it waits for, a lock, a disk, a new connection, it
does in a task of its own, made at that moment; whoever has so waited for what is over now gives the task back (docs/adr/0016).
"""

import asyncio
import logging
import types
from collections.abc import Coroutine, Generator
from typing import Any, Final

log = logging.getLogger("gatewright")


class _Pause:
    """What a coroutine yields when its waker is set."""


PAUSE: Final = _Pause()
_HOME: Final = _Pause()
"""Yielded by who needs its task no more."""

running: "Strand | None" = None
"""The strand whose coroutine runs now; None in a task and elsewhere. Of one thread: who may be in another looks at its loop."""


def running_in(loop: asyncio.AbstractEventLoop) -> "Strand | None":
    """The strand whose coroutine runs now, where that is in this loop: another thread may have one of its own."""
    found = running  # read once: another thread may change it
    return found if found is not None and found.loop is loop else None


@types.coroutine
def paused() -> Generator[_Pause, None, None]:
    """Wait until the strand is resumed. Only while a strand is `running`, and with `Strand.resume` kept where it is called."""
    yield PAUSE


async def in_a_task() -> "Strand | None":
    """Go on in a task: to be awaited before anything that asks for the current one, as `asyncio.timeout` does.

    Gives what `back_to` takes when that is over: the strand that was left, or None in what was a task before.
    """
    left = running_in(asyncio.get_running_loop())
    if left is not None:
        await asyncio.sleep(0)
    return left


@types.coroutine
def back_to(left: "Strand | None") -> Generator[_Pause, None, None]:
    """Go on without a task, as before `in_a_task` or before a future was waited for; at once, and nothing happens in between.

    Only by who left the strand, and with nothing of its own that holds on to the task, such as a timeout that still runs.
    """
    if left is not None and running_in(left.loop) is None:
        yield _HOME


class Strand:
    """Steps one coroutine at a time. The coroutine answers for its own exceptions."""

    __slots__ = ("_coro", "_task", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._coro: Coroutine[Any, Any, None] | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, coro: Coroutine[Any, Any, None]) -> None:
        """Run `coro` as far as it goes at once."""
        self._coro = coro
        self._task = None
        self.resume()

    def go_on(self, coro: Coroutine[Any, Any, None]) -> None:
        """Take back what went on in a task, and needs none any more."""
        self._coro = coro
        self._task = None
        self.resume()

    def resume(self) -> None:
        """Go on: what was waited for is there. Not to be called once it waits in a task."""
        global running  # noqa: PLW0603 - what `asyncio.current_task` is to tasks
        coro = self._coro
        if coro is None:
            return
        around = running
        running = self
        try:
            waits_for = coro.send(None)
        except StopIteration:
            if self._coro is coro:  # it may have begun the next one with its last breath
                self._coro = None
            return
        except asyncio.CancelledError:
            self._coro = None
            return
        except Exception:
            self._coro = None
            log.exception("a request failed on a bug of ours")
            return
        except BaseException:
            self._coro = None
            raise
        finally:
            running = around
        if waits_for is not PAUSE:
            self._coro = None
            rest = _adopted(self, coro, waits_for)
            rest.send(None)
            self._task = self.loop.create_task(rest)

    def cancel(self) -> None:
        """Raise CancelledError in the coroutine, where it waits; nothing when it has ended."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            return
        coro = self._coro
        if coro is None:
            return
        if coro.cr_running:  # type: ignore[attr-defined] # coroutines have it
            self.loop.call_soon(self.cancel)  # where it waits next
            return
        self._coro = None
        try:
            coro.throw(asyncio.CancelledError())
        except (StopIteration, asyncio.CancelledError):
            return
        except Exception:
            log.exception("a request that was given up failed on a bug of ours")
            return
        coro.close()


async def _adopted(strand: Strand, coro: Coroutine[Any, Any, None], waits_for: object) -> None:
    """The rest of a coroutine that has already begun and waits for something only tasks can wait for.

    To be begun before it is given to its task: a task that is cancelled before its first turn throws into what has not begun, and
    that could not hand it on. (A coroutine, because tasks take no generators from Python 3.12 on.)
    """
    await _rest(strand, coro, waits_for)


@types.coroutine
def _rest(strand: Strand, coro: Coroutine[Any, Any, None], waits_for: object) -> Generator[object, None, None]:
    thrown: BaseException | None = None
    try:
        yield PAUSE
    except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
        thrown = error
    try:
        while True:
            if thrown is None:
                try:
                    yield waits_for
                except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
                    thrown = error
            try:
                waits_for = coro.send(None) if thrown is None else coro.throw(thrown)
            except StopIteration:
                return
            thrown = None
            if waits_for is _HOME:
                strand.go_on(coro)
                return
    finally:
        thrown = None  # it holds this frame, and with it the request
