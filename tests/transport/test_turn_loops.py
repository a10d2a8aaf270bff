"""Turns on real loops: it is written before they wait, whichever loop it is, in whichever thread."""

import asyncio
import logging
import socket
import threading

import uvloop

from gatewright.transport.connection import Connection
from gatewright.transport.turn import Turn
from tests.transport.turning import Wire
from tests.transport.upstream import on_both_loops, post


class Ends:
    """A transport of the running loop, and what its other end has in hand."""

    async def open(self):
        ours, self._theirs = socket.socketpair()
        ours.setblocking(False)
        self._theirs.setblocking(False)
        self.wire, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
        return self

    def arrived(self):
        try:
            return self._theirs.recv(1 << 20)
        except BlockingIOError:
            return None

    async def close(self):
        self.wire.close()
        await asyncio.sleep(0)
        self._theirs.close()
        await asyncio.sleep(0)


@on_both_loops
async def test_it_is_written_before_the_loop_waits_again():
    """One turn of a real loop, with nothing else to wake it."""
    ends = await Ends().open()
    turn = Turn.of(asyncio.get_running_loop())
    turn.write(ends.wire, b"one ")
    turn.write(ends.wire, b"two")
    assert ends.arrived() is None
    await asyncio.sleep(0)
    assert ends.arrived() == b"one two"
    turn.later(lambda: turn.write(ends.wire, b"three"))
    await asyncio.sleep(0)
    assert ends.arrived() == b"three"
    await ends.close()


@on_both_loops
async def test_a_client_that_left_in_the_same_turn_gets_nothing_and_nobody_is_told():
    """Neither loop warns, nor is its exception handler called."""
    ends = await Ends().open()
    turn = Turn.of(asyncio.get_running_loop())
    turn.write(ends.wire, b"late")
    ends.wire.abort()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert ends.arrived() in {b"", None}
    await ends.close()


@on_both_loops
async def test_a_panic_in_one_request_leaves_the_loop_and_the_others_running(caplog):
    """What Rust raises through Python is no `Exception`."""
    caplog.set_level(logging.CRITICAL, "asyncio")
    loop = asyncio.get_running_loop()
    told = []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: told.append(type(context["exception"])))
    ran = asyncio.Event()

    class Panic(BaseException): ...

    def panics():
        raise Panic

    turn = Turn.of(loop)
    turn.later(panics)
    turn.later(ran.set)
    await asyncio.wait_for(ran.wait(), 10)
    loop.set_exception_handler(before)
    assert told == [Panic]


def test_threads_have_turns_of_their_own():
    """Each writes in its own loop, all at the same time, and nothing goes astray."""
    got = {}
    ready = threading.Barrier(4)

    def work(name, make):
        async def run():
            ends = await Ends().open()
            turn = Turn.of(asyncio.get_running_loop())
            ready.wait(30)
            for number in range(200):
                turn.later(lambda number=number: turn.write(ends.wire, b"%d " % number))
                await asyncio.sleep(0)
            got[name] = ends.arrived()
            await ends.close()

        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(run())

    makes = [asyncio.new_event_loop, uvloop.new_event_loop] * 2
    threads = [threading.Thread(target=work, args=(name, make)) for name, make in enumerate(makes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert got == dict.fromkeys(range(4), b"".join(b"%d " % number for number in range(200)))


class Home:
    where = "up:1"

    def give_back(self, conn): ...

    def forget(self, conn): ...


@on_both_loops
async def test_what_is_asked_of_upstreams_in_a_turn_leaves_at_its_end():
    """A request that is begun outside of one does not wait; one that is given up in the turn in which it was begun reaches nobody."""
    loop = asyncio.get_running_loop()
    written, during, done = [], [], asyncio.Event()
    kept, lost, alone = Connection(Home(), loop), Connection(Home(), loop), Connection(Home(), loop)
    for name, conn in (("kept", kept), ("lost", lost), ("alone", alone)):
        conn.connection_made(Wire(written, name))

    def begin(conn):
        conn.begin(post(body=b"{}"), b"head ", loop.time() + 60, loop.time())

    turn = Turn.of(loop)
    turn.later(lambda: (begin(kept), begin(lost)))
    turn.later(lambda: (lost.discard(), during.extend(written), done.set()))
    await done.wait()
    assert during == []
    assert written == [("kept", b"head {}")]
    begin(alone)
    assert written[1:] == [("alone", b"head {}")]
    kept.discard()
    alone.discard()
