"""Deadlines: each phase has its own, and a slow reader is not the upstream's fault."""

import asyncio
import socket

import pytest

from gatewright.transport import TimedOut
from tests.transport.upstream import CHUNKED, OK, always, answering, client, on_both_loops, post, silent, until, upstream, whole

STALLS = {
    "head": (b"", {"headers_s": 0.05}, "headers", "did not answer within 0.05 s"),
    "middle of the head": (b"HTTP/1.1 200 OK\r\nx: ", {"headers_s": 0.05}, "headers", "did not answer within 0.05 s"),
    "only 1xx": (b"HTTP/1.1 102 Processing\r\n\r\n", {"headers_s": 0.05}, "headers", "did not answer within 0.05 s"),
    "first event": (CHUNKED, {"first_event_s": 0.05}, "body", "sent a head but no body within 0.05 s"),
    "in the body": (CHUNKED + b"2\r\nok\r\n", {"idle_s": 0.05}, "body", "sent nothing more within 0.05 s"),
    "total, head": (b"", {"total_s": 0.05}, "headers", "did not finish its answer within 0.05 s"),
    "total, body": (CHUNKED + b"2\r\nok\r\n", {"total_s": 0.3}, "body", "did not finish its answer within 0.3 s"),
}


@pytest.mark.parametrize("case", STALLS)
@on_both_loops
async def test_a_stall_ends_in_its_phase(case):
    """The error says which phase and how long; the connection is closed, for its answer may still come."""
    answer, timeouts, phase, message = STALLS[case]
    async with upstream(answering(answer), always(OK)) as server, client(server.url, max_connections=1) as transport:
        with pytest.raises(TimedOut) as caught:
            await whole(await transport.send(post(**timeouts)))
        assert (caught.value.phase, caught.value.sent, caught.value.problem.kind) == (phase, True, "timeout")
        assert str(caught.value) == f"127.0.0.1:{server.port} {message}"
        await server.all_gone()
        assert await whole(await transport.send(post())) == (200, b"ok")


@on_both_loops
async def test_a_server_that_does_not_read_is_given_up():
    """A large body that no longer moves must not hang for ever."""

    async def deaf(peer):
        peer.writer.transport.pause_reading()
        await asyncio.Event().wait()

    async with upstream(deaf) as server, client(server.url) as transport:
        with pytest.raises(TimedOut) as caught:
            await transport.send(post(body=b"x" * 30_000_000, idle_s=0.05))
        assert (caught.value.phase, caught.value.sent) == ("send", True)
        assert str(caught.value) == f"127.0.0.1:{server.port} did not read the request for 0.05 s"


@on_both_loops
async def test_each_piece_starts_the_idle_clock_anew():
    """A stream may last much longer than `idle_s`, as long as it moves."""

    async def slow(peer):
        await peer.request()
        await peer.send(CHUNKED)
        for _ in range(6):
            await asyncio.sleep(0.1)
            await peer.send(b"2\r\nok\r\n")
        await peer.send(b"0\r\n\r\n")

    async with upstream(slow) as server, client(server.url) as transport:
        limits = {"headers_s": 0.4, "first_event_s": 0.4, "idle_s": 0.4}
        assert await whole(await transport.send(post(**limits))) == (200, b"okokokokokok")


@on_both_loops
async def test_what_arrived_before_the_stall_is_given_first():
    """The reader gets every byte, then the error."""
    async with upstream(answering(CHUNKED + b"2\r\nok\r\n")) as server, client(server.url) as transport:
        incoming = await transport.send(post(idle_s=0.03))
        await until(lambda: incoming.error is not None)
        assert await incoming.next() == b"ok"
        with pytest.raises(TimedOut):
            await incoming.next()


@on_both_loops
async def test_a_slow_reader_does_not_time_out_the_server():
    """While reading is paused the idle clock stands still; it runs again once the reader goes on."""
    size = 3_000_000

    async def script(peer):
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (size + 1))
        await peer.send(b"x" * size)
        await silent(peer)

    async with upstream(script) as server, client(server.url) as transport:
        incoming = await transport.send(post(idle_s=0.3))
        await until(lambda: incoming.paused)
        (conn,) = transport._pool._all
        await until(lambda: conn._timer_at == conn._total_at)
        assert incoming.error is None
        got = 0
        while got < size:
            got += len(await incoming.next())
        with pytest.raises(TimedOut, match="sent nothing more"):
            await incoming.next()


@on_both_loops
async def test_a_timer_of_one_exchange_does_not_end_the_next():
    """The timer outlives the exchange; the deadline does not."""
    async with upstream(answering(OK, CHUNKED)) as server, client(server.url) as transport:
        assert await whole(await transport.send(post(headers_s=0.3))) == (200, b"ok")
        (conn,) = transport._pool._all
        armed = conn._timer_at
        incoming = await transport.send(post(first_event_s=60))
        assert conn.served == 2
        assert conn._timer_at == armed
        await until(lambda: conn._timer_at > armed or incoming.error)
        assert incoming.error is None
        assert len(server.peers) == 1
        incoming.abort()


@on_both_loops
async def test_small_writes_leave_at_once():
    """TCP_NODELAY is set: without it, a second small packet waits 40 ms for the first one's receipt."""
    async with upstream(answering(CHUNKED)) as server, client(server.url) as transport:
        incoming = await transport.send(post())
        (conn,) = transport._pool._all
        assert conn.socket().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert conn.socket().getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
        incoming.abort()
        assert conn.socket() is None
