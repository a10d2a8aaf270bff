"""What is written in a turn in which a connection ends, or a request fails, or nobody reads: it arrives, and is never much."""

import asyncio
import logging
import socket
import time

import pytest
from tests.server.test_lane import config
from tests.server.test_pipelining import HEALTH
from tests.server.test_turns import WORDS, Scripted, opened, replying
from tests.serving import END, chunk, gateway, read_answer
from tests.transport.upstream import on_both_loops

from gatewright.server import lane, sweep
from gatewright.transport.turn import KEPT_BYTES


def parts(ours):
    ours._part()


def is_half_closed(ours):
    if not ours.eof_received():  # as both loops do
        ours.transport.close()


def is_swept(ours):
    ours.sweeper._look(ours, ours.since + sweep.IDLE_S + 1)


def is_broken_off(ours):
    ours._break_off()


def is_told_to_stop(ours):
    ours.shutdown()


def asks_for_nonsense(ours):
    ours.data_received(b"NONSENSE\r\n\r\n")


@pytest.mark.parametrize("end", [parts, is_half_closed, is_swept, is_broken_off, is_told_to_stop, asks_for_nonsense])
@on_both_loops
async def test_what_was_written_in_the_turn_in_which_a_connection_ends_arrives(tmp_path, monkeypatch, end):
    """An answer is done and the drain, the sweep or the client's own end comes before the turn's; the loop is late, too."""
    monkeypatch.setattr(lane, "PARTING_S", 0.001)
    monkeypatch.setattr(lane, "LINGER_S", 0.001)
    async with gateway(config(1), tmp_path) as gw:
        reader, writer, ours = await opened(gw)

        def amid_a_turn():
            ours._turn.write(ours.transport, WORDS)
            end(ours)
            time.sleep(0.005)  # a timer that is due by then comes first in uvloop

        asyncio.get_running_loop().call_soon(amid_a_turn)
        said = await asyncio.wait_for(reader.read(), 10)
        assert said.startswith(WORDS)
        assert (b"HTTP/1.1 400 " in said) == (end is asks_for_nonsense)
        writer.close()


@on_both_loops
async def test_an_answer_leaves_before_its_connection_is_another_protocols(tmp_path, monkeypatch):
    """Which closes it at once, where what follows is no HTTP."""

    class Other(asyncio.Protocol):
        def __init__(self, *_):
            pass

        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.transport.write(data)
            self.transport.close()

    monkeypatch.setattr("uvicorn.protocols.http.httptools_impl.HttpToolsProtocol", Other)
    async with gateway(config(1), tmp_path) as gw:
        gw.gateway.asgi_prefixes = (b"/other/",)
        reader, writer, ours = await opened(gw)
        asked = b"GET /other/ HTTP/1.1\r\nhost: x\r\n\r\n"

        def amid_a_turn():
            ours._turn.write(ours.transport, WORDS)
            ours.data_received(asked)

        asyncio.get_running_loop().call_soon(amid_a_turn)
        assert await asyncio.wait_for(reader.read(), 10) == WORDS + asked
        writer.close()


class Panic(BaseException):
    """As extensions in Rust raise."""


@pytest.mark.parametrize("error", [ZeroDivisionError(), Panic(), None])
@on_both_loops
async def test_a_stream_that_breaks_breaks_off_behind_what_it_said(tmp_path, monkeypatch, caplog, error):
    """Without the end that would make it whole; and the requests of the same turn are answered."""
    caplog.set_level(logging.CRITICAL + 1)
    async with gateway(config(1), tmp_path) as gw:
        others = [await opened(gw) for _ in range(2)]
        reader, writer, ours = await opened(gw)
        source = Scripted(b"data: 1\n\n", b"data: 2\n\n", then=error)
        source.broken = error is None
        replying(monkeypatch, Scripted(b"whole"), source, Scripted(b"whole"))
        loop = asyncio.get_running_loop()
        handler = loop.get_exception_handler()
        told = []
        loop.set_exception_handler(lambda _, context: told.append(type(context["exception"])))

        def amid_a_turn():
            for one in (others[0][2], ours, others[1][2]):
                one.data_received(HEALTH)

        loop.call_soon(amid_a_turn)
        said = await asyncio.wait_for(reader.read(), 10)
        assert said.partition(b"\r\n\r\n")[2] == chunk(b"data: 1\n\n") + chunk(b"data: 2\n\n")
        assert source.aborted == (error is not None)
        for other, its_writer, _ in others:
            got = await asyncio.wait_for(read_answer(other), 10)
            assert (got.body, got.broken) == (b"whole", False)
            its_writer.close()
        loop.set_exception_handler(handler)
        assert told == [Panic] * (type(error) is Panic)
        assert gw.gateway.active == 0
        writer.close()


def allow(size, *transports):
    """Let the kernel keep about `size` bytes at each end."""
    for transport in transports:
        for which in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, which, size)


@pytest.mark.parametrize("size", [100, lane.JOINED_BYTES + 1])
@on_both_loops
async def test_a_source_that_never_waits_stops_for_a_client_that_reads_nothing(tmp_path, monkeypatch, size):
    """What the loop has no time to notice must be noticed nevertheless; then the rest comes, and all of it."""
    async with gateway(config(1), tmp_path) as gw:
        reader, writer, ours = await opened(gw)
        writer.transport.pause_reading()
        allow(1 << 14, ours.transport, writer.transport)  # the kernel would keep megabytes
        source = Scripted(*[b"x" * size] * (4_000_000 // size))
        count = len(source.steps)
        replying(monkeypatch, source)
        writer.write(HEALTH)
        while not (ours.unread and ours._drained is not None):
            await asyncio.sleep(0)
        assert source.given < KEPT_BYTES + (1 << 18), "what the turn, the transport and the kernel keep"
        allow(1 << 20, ours.transport, writer.transport)
        writer.transport.resume_reading()
        said = b""
        while not said.endswith(END):
            piece = await reader.read(1 << 20)
            assert piece
            said += piece
        assert said.partition(b"\r\n\r\n")[2] == chunk(b"x" * size) * count + END
        writer.close()


@on_both_loops
async def test_many_streams_that_nobody_reads_keep_no_more_than_one(tmp_path, monkeypatch):
    """The turn's bound is the loop's; each connection has its own beyond it."""
    async with gateway(config(1), tmp_path) as gw:
        clients = [await opened(gw) for _ in range(20)]
        turn = clients[0][2]._turn
        most = 0

        def amid_a_turn():
            nonlocal most
            for _ in range(200):
                for _, _, ours in clients:
                    ours._head_out = True
                    ours.push(b"data: " + b"x" * 100 + b"\n\n")
                    most = max(most, sum(len(data) for _, data in turn._writes))

        asyncio.get_running_loop().call_soon(amid_a_turn)
        expected = chunk(b"data: " + b"x" * 100 + b"\n\n") * 200
        for reader, writer, _ in clients:
            assert await reader.readexactly(len(expected)) == expected
            writer.close()
        assert most <= KEPT_BYTES
