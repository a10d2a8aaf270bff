"""The pool: reuse, its cap, its queue, and that no slot is ever lost."""

import asyncio
import contextlib

import pytest

from gatewright.transport import Closed, ConnectFailed, PoolTimeout, TransportError
from gatewright.transport.strand import Strand
from tests.transport.upstream import CHUNKED, OK, always, answering, client, on_both_loops, post, until, upstream, whole


@on_both_loops
async def test_the_last_connection_back_is_the_first_out():
    """The others grow old in peace and are dropped: the pool shrinks to what is needed."""
    async with upstream(always(OK)) as server, client(server.url) as transport:
        for _ in range(3):
            await whole(await transport.send(post()))
        assert len(server.peers) == 1
        busy = await asyncio.gather(*(transport.send(post()) for _ in range(4)))
        for incoming in busy:
            await whole(incoming)
        idle = list(transport._pool._idle)
        assert len(idle) == len(server.peers) == 4
        await whole(await transport.send(post()))
        assert transport._pool._idle == idle


@on_both_loops
async def test_idle_connections_are_dropped_in_time():
    """A server's idea of idle is unknown; ours is shorter."""
    async with upstream(always(OK)) as server, client(server.url, idle_pool_s=0.05) as transport:
        await asyncio.gather(*(transport.send(post()) for _ in range(3)))
        await server.all_gone()
        await until(lambda: transport._pool._slots == 0)
        assert await whole(await transport.send(post())) == (200, b"ok")
        assert len(server.peers) == 4


@on_both_loops
async def test_a_connection_the_server_closed_is_not_used():
    """Its end was read while it was idle: the next request goes to a new one, with no retry."""
    async with upstream(answering(OK, then="close"), always(OK)) as server, client(server.url) as transport:
        await whole(await transport.send(post()))
        await server.all_gone()
        await until(lambda: transport._pool._slots == 0)
        assert await whole(await transport.send(post())) == (200, b"ok")


@on_both_loops
async def test_an_end_the_loop_has_not_read_yet_is_seen(monkeypatch):
    """After a pause the socket itself is asked, so that not even one packet goes to a closed connection."""
    monkeypatch.setattr("gatewright.transport.pool.DOUBT_AFTER_S", -1.0)

    async def script(peer):
        await peer.request()
        await peer.send(OK)
        await now.wait()
        peer.writer.transport.abort()
        seen.set()
        await peer.gone()

    now, seen = asyncio.Event(), asyncio.Event()
    async with upstream(script, always(OK)) as server, client(server.url) as transport:
        await whole(await transport.send(post()))
        (conn,) = transport._pool._idle
        assert conn.looks_alive()
        conn._wire.pause_reading()  # as if the loop were too busy to look
        now.set()
        await seen.wait()
        await until(lambda: conn.closed or not conn.looks_alive())
        assert await whole(await transport.send(post())) == (200, b"ok")
        assert len(server.peers) == 2


@on_both_loops
async def test_bytes_nobody_asked_for_close_an_idle_connection():
    """They would be taken for the answer to the next request."""

    async def script(peer):
        await peer.request()
        await peer.send(OK)
        await now.wait()
        await peer.send(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await peer.gone()

    now = asyncio.Event()
    async with upstream(script, always(OK)) as server, client(server.url) as transport:
        await whole(await transport.send(post()))
        now.set()
        await server.all_gone()
        assert await whole(await transport.send(post())) == (200, b"ok")
        assert len(server.peers) == 2


@on_both_loops
async def test_the_cap_holds_and_the_queue_is_fair():
    """Never more connections than allowed; those who wait are served in the order they came."""
    order = []

    async def ask(transport, index):
        await whole(await transport.send(post(b"/%d" % index)))
        order.append(index)

    async with upstream(always(OK)) as server, client(server.url, max_connections=2) as transport:
        await asyncio.gather(*(ask(transport, index) for index in range(20)))
        assert len(server.peers) == 2
        assert order[2:] == list(range(2, 20))


@on_both_loops
async def test_waiting_for_a_connection_ends():
    """All are busy: the caller learns it in `connect_s`, and that nothing was sent."""
    async with upstream(answering(CHUNKED)) as server, client(server.url, max_connections=1) as transport:
        incoming = await transport.send(post())
        with pytest.raises(PoolTimeout) as caught:
            await transport.send(post(connect_s=0.05))
        assert (caught.value.phase, caught.value.sent, caught.value.problem.kind) == ("connect", False, "overloaded")
        assert str(caught.value) == f"127.0.0.1:{server.port}: all 1 connections were busy for 0.05 s"
        incoming.abort()


@on_both_loops
async def test_a_closed_connection_makes_room_for_the_next_in_line():
    """An aborted stream frees its slot for the one who waits, who connects anew."""
    async with upstream(answering(CHUNKED), always(OK)) as server, client(server.url, max_connections=1) as transport:
        incoming = await transport.send(post())
        waiting = asyncio.ensure_future(transport.send(post()))
        await until(lambda: transport._pool._waiters)
        incoming.abort()
        assert await whole(await waiting) == (200, b"ok")


@pytest.mark.parametrize("gift", ["connection", "slot"])
@on_both_loops
async def test_a_waiter_cancelled_as_it_is_served_passes_it_on(gift):
    """The worst moment to leave: what it had just been given goes to the next in line."""
    script = always(OK) if gift == "connection" else answering(CHUNKED)
    async with upstream(script, always(OK)) as server, client(server.url, max_connections=1) as transport:
        pool = transport._pool
        conn = await pool.obtain(post().timeouts)
        first, second = (asyncio.ensure_future(transport.send(post())) for _ in range(2))
        await until(lambda: len(pool._waiters) == 2)
        if gift == "connection":
            pool.give_back(conn)
        else:
            conn.discard()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        incoming = await second
        assert incoming.status == 200
        incoming.abort()


@on_both_loops
async def test_cancelled_waiters_leave_the_queue():
    """A thousand clients that gave up cost nothing."""
    async with upstream(answering(CHUNKED)) as server, client(server.url, max_connections=1) as transport:
        incoming = await transport.send(post())
        tasks = [asyncio.ensure_future(transport.send(post())) for _ in range(100)]
        await until(lambda: len(transport._pool._waiters) == 100)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not transport._pool._waiters
        incoming.abort()


@on_both_loops
async def test_close_fails_those_who_wait():
    """They must not wait for a pool that is gone."""
    async with upstream(answering(CHUNKED)) as server, client(server.url, max_connections=1) as transport:
        await transport.send(post())
        waiting = asyncio.ensure_future(transport.send(post()))
        await until(lambda: transport._pool._waiters)
        await transport.close()
        with pytest.raises(Closed):
            await waiting


@on_both_loops
async def test_a_failed_connect_frees_its_slot():
    """Otherwise a server that is down for a while would stay down for ever."""
    async with upstream(always(OK)) as server:
        url = server.url
    async with client(url, max_connections=1) as transport:
        for _ in range(3):
            with pytest.raises(ConnectFailed) as caught:
                await transport.send(post())
            assert str(caught.value).endswith(": connection refused")
            assert not caught.value.sent


@on_both_loops
async def test_a_crowd_of_clients_that_leave_at_random_leaks_nothing():
    """Hundreds of requests over few connections, half of them cancelled at every possible step."""
    async with upstream(always(OK)) as server, client(server.url, max_connections=3) as transport:

        async def one(turns):
            task = asyncio.ensure_future(transport.send(post()))
            for _ in range(turns):
                await asyncio.sleep(0)
            if turns % 2:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await whole(await task)

        await asyncio.gather(*(one(index % 40) for index in range(400)))
        pool = transport._pool
        assert not pool._waiters
        assert pool._slots == len(pool._all) <= 3
        assert await whole(await transport.send(post())) == (200, b"ok")


@on_both_loops
async def test_a_connection_given_back_to_nobody_is_found_by_who_was_about_to_queue():
    """A strand becomes a task on its way to the queue; what comes back in that turn of the loop would lie idle beside it."""
    async with upstream(always(OK)) as server, client(server.url, max_connections=1) as transport:
        loop = asyncio.get_running_loop()
        await whole(await transport.send(post()))
        conn = transport._pool.take(loop.time())
        told = loop.create_future()

        async def ask():
            try:
                told.set_result(await whole(await transport.send(post(connect_s=0.3))))
            except TransportError as error:
                told.set_result(error)

        Strand(loop).begin(ask())
        transport._pool.give_back(conn)
        assert await told == (200, b"ok")
        assert len(server.peers) == 1


@on_both_loops
async def test_a_retry_makes_room_past_connections_that_are_closed():
    """A closed one among the idle frees no slot: the next must."""
    async with upstream(always(OK)) as server, client(server.url, max_connections=2) as transport:
        pool, limits = transport._pool, post(connect_s=0.3).timeouts
        first, second = await pool.obtain(limits), await pool.obtain(limits)
        pool.give_back(first)
        pool.give_back(second)
        first.discard()
        await pool.obtain(limits, retry=True)
        assert pool._idle == [first, second]
        assert await pool.obtain(limits, retry=True) is not second
        assert second.closed
