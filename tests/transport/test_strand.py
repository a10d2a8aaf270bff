"""Strands: what a request runs in until it needs a task."""

import asyncio
import gc
import weakref

import pytest

from gatewright.transport import strand
from gatewright.transport.strand import Strand, back_to, in_a_task, paused


class Bell:
    """Something to wait for as an answer is waited for."""

    def __init__(self) -> None:
        self.ring = lambda: None

    async def heard(self) -> None:
        assert strand.running is not None
        self.ring = strand.running.resume
        await paused()


def on_a_loop(test):
    def run():
        asyncio.run(asyncio.wait_for(test(), 5))

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


@on_a_loop
async def test_what_needs_not_wait_is_over_at_once():
    """No turn of the loop, no task."""
    said = []

    async def talk():
        assert asyncio.current_task() is not None  # the test's: none was made
        said.append(len(asyncio.all_tasks()))

    before = len(asyncio.all_tasks())
    Strand(asyncio.get_running_loop()).begin(talk())
    assert said == [before]
    assert strand.running is None


@on_a_loop
async def test_it_goes_on_within_the_call_that_brings_what_it_waits_for():
    bell, said = Bell(), []

    async def talk():
        for word in "abc":
            await bell.heard()
            said.append(word)

    Strand(asyncio.get_running_loop()).begin(talk())
    for count in range(4):
        assert said == list("abc"[:count])
        bell.ring()


@on_a_loop
async def test_what_waits_for_anything_else_goes_on_in_a_task():
    """Futures, sleeps, timeouts: all that asyncio offers works from there on."""
    said = []
    done = asyncio.Event()

    async def talk():
        try:
            await in_a_task()
            assert strand.running is None
            said.append(asyncio.current_task().get_coro().__name__)
            async with asyncio.timeout(0.01):
                await asyncio.sleep(5)
        except TimeoutError:
            said.append("timeout")
        await asyncio.sleep(0)
        done.set()

    Strand(asyncio.get_running_loop()).begin(talk())
    assert said == []
    await done.wait()
    assert said == ["_adopted", "timeout"]


@on_a_loop
async def test_an_error_of_what_a_task_waits_for_reaches_the_coroutine():
    said = []
    future = asyncio.get_running_loop().create_future()

    async def talk():
        try:
            await future
        except KeyError as error:
            said.append(error.args)

    Strand(asyncio.get_running_loop()).begin(talk())
    future.set_exception(KeyError("x"))
    await asyncio.sleep(0.01)
    assert said == [("x",)]


@pytest.mark.parametrize("in_task", [False, True])
def test_cancelling_raises_where_it_waits(in_task):
    """Once, with the coroutine's own cleaning up; and a strand that has ended does not mind."""

    async def main():
        bell, said = Bell(), []

        async def talk():
            try:
                if in_task:
                    await asyncio.sleep(5)
                else:
                    await bell.heard()
            except asyncio.CancelledError:
                said.append("cancelled")
                raise

        it = Strand(asyncio.get_running_loop())
        it.begin(talk())
        await asyncio.sleep(0)
        it.cancel()
        await asyncio.sleep(0.01)
        it.cancel()
        bell.ring()
        assert said == ["cancelled"]

    asyncio.run(main())


@on_a_loop
async def test_the_last_breath_of_one_may_begin_the_next():
    """As a connection does with its next request."""
    it, bell, said = Strand(asyncio.get_running_loop()), Bell(), []

    async def second():
        said.append("second")
        await bell.heard()
        said.append("heard")

    async def first():
        said.append("first")
        it.begin(second())

    it.begin(first())
    bell.ring()
    assert said == ["first", "second", "heard"]


@on_a_loop
async def test_one_strand_within_another_leaves_the_outer_running():
    """Bytes for one request may come while another's coroutine is at work."""
    outer, inner = Strand(asyncio.get_running_loop()), Strand(asyncio.get_running_loop())
    seen = []

    async def small():
        seen.append(strand.running)

    async def large():
        inner.begin(small())
        seen.append(strand.running)

    outer.begin(large())
    assert seen == [inner, outer]


@on_a_loop
async def test_a_bug_ends_there_and_the_strand_lives_on():
    async def broken():
        raise ZeroDivisionError

    it = Strand(asyncio.get_running_loop())
    it.begin(broken())
    it.begin(in_a_task())  # it can still be used


@on_a_loop
async def test_cancelling_before_the_tasks_first_turn_raises_all_the_same():
    """Task and client may go in the same turn of the loop; what the coroutine holds must be let go of."""
    said = []

    async def talk():
        try:
            await in_a_task()
        except asyncio.CancelledError:
            said.append("cancelled")
            raise

    it = Strand(asyncio.get_running_loop())
    it.begin(talk())
    it.cancel()
    await asyncio.sleep(0.01)
    assert said == ["cancelled"]


@on_a_loop
async def test_cancelling_itself_raises_where_it_waits_next():
    """A connection may be lost by what its own request does."""
    it, bell, said = Strand(asyncio.get_running_loop()), Bell(), []

    async def talk():
        it.cancel()
        said.append("on")
        try:
            await bell.heard()
        except asyncio.CancelledError:
            said.append("cancelled")
            raise

    it.begin(talk())
    await asyncio.sleep(0.01)
    assert said == ["on", "cancelled"]


@on_a_loop
async def test_an_old_bell_does_not_wake_what_went_on_in_a_task():
    """It waits for something else by now."""
    it, bell, said = Strand(asyncio.get_running_loop()), Bell(), []

    async def talk():
        await bell.heard()
        await asyncio.sleep(0.02)
        said.append("slept")

    it.begin(talk())
    bell.ring()
    bell.ring()
    await asyncio.sleep(0)
    bell.ring()
    assert said == []
    await asyncio.sleep(0.05)
    assert said == ["slept"]


@pytest.mark.parametrize("where", ["at once", "on the bell", "in a task"])
def test_what_was_cancelled_is_gone_without_the_collector(where):
    """A request holds its body; clients that leave must not fill the memory until somebody looks for cycles."""

    async def main():
        bell = Bell()
        it = Strand(asyncio.get_running_loop())

        async def talk(_body):
            if where == "on the bell":
                await bell.heard()
            await asyncio.sleep(5)

        body = Body()
        seen = weakref.ref(body)
        it.begin(talk(body))
        del body
        if where == "in a task":
            await asyncio.sleep(0.01)
        it.cancel()
        await asyncio.sleep(0.01)
        assert seen() is None

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


class Body:
    """Something whose end can be seen."""


@on_a_loop
async def test_who_needed_a_task_for_a_while_gives_it_back():
    """A stream on a new connection waits for a task once, and not for every piece."""
    bell, said, it = Bell(), [], Strand(asyncio.get_running_loop())

    async def talk():
        left = await in_a_task()
        assert left is it
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        await back_to(left)
        assert strand.running is it
        for word in "ab":
            await bell.heard()
            said.append(word)
        await back_to(await in_a_task())
        said.append("again")

    it.begin(talk())
    await asyncio.sleep(0.01)
    assert [task for task in asyncio.all_tasks() if task.get_coro().__name__ == "_adopted"] == []
    for count in range(2):
        assert said == list("ab"[:count])
        bell.ring()
    await asyncio.sleep(0.01)
    assert said == ["a", "b", "again"]
    assert strand.running is None


@on_a_loop
async def test_a_task_that_was_one_before_stays_one():
    """Only who left a strand can go back to it: a timeout around all this still holds on to the task."""
    task = asyncio.current_task()
    left = await in_a_task()
    await back_to(left)
    assert left is None
    assert asyncio.current_task() is task


@pytest.mark.parametrize("when", ["before", "after"])
def test_cancelling_reaches_who_goes_back(when):
    """Whether it still waits in the task or has left it."""

    async def main():
        bell, said = Bell(), []

        async def talk():
            try:
                left = await in_a_task()
                await asyncio.sleep(0.02)
                await back_to(left)
                await bell.heard()
            except asyncio.CancelledError:
                said.append("cancelled")
                raise

        it = Strand(asyncio.get_running_loop())
        it.begin(talk())
        await asyncio.sleep(0.005 if when == "before" else 0.04)
        it.cancel()
        await asyncio.sleep(0.03)
        bell.ring()
        assert said == ["cancelled"]

    asyncio.run(main())


async def test_a_panic_goes_to_the_loop_and_is_the_strands_end(caplog):
    """What Rust raises through Python is no `Exception`: whoever gives the request up later finds nothing that runs."""

    class Panic(BaseException): ...

    async def talk():
        raise Panic

    this = Strand(asyncio.get_running_loop())
    with pytest.raises(Panic):
        this.begin(talk())
    assert strand.running is None
    this.cancel()
    this.resume()
    assert caplog.records == []
