"""Requests: what is on the wire, what is repeated, what happens to large bodies and to those who give up."""

import asyncio
import hashlib
import socket
import struct
import tracemalloc

import pytest

from gatewright.transport import Closed, Cut, HttpTransport, Outgoing, header_lines
from gatewright.transport.strand import Strand
from tests.transport.upstream import (
    CHUNKED,
    OK,
    always,
    answering,
    client,
    on_both_loops,
    post,
    silent,
    until,
    upstream,
    whole,
)


@on_both_loops
async def test_the_request_on_the_wire():
    """Host and content-length are the transport's, everything else is the caller's, in the caller's order and case."""
    seen = []

    async def script(peer):
        for _ in range(3):
            seen.append(await peer.request())
            await peer.send(OK)

    lines = header_lines(
        [("X-B", "1"), (b"x-a", b"\xe9"), ("Host", "evil"), ("Transfer-Encoding", "chunked"), ("Content-Length", "9")]
    )
    async with upstream(script) as server, client(server.url + "/base/") as transport:
        host = b"host: 127.0.0.1:%d\r\n" % server.port
        for method, body in ((b"POST", b"{}"), (b"POST", b""), (b"GET", b"")):
            await whole(await transport.send(Outgoing(method, b"/v1/x?y=%20", lines, body)))
        common = b" /v1/x?y=%20 HTTP/1.1\r\n" + host + b"X-B: 1\r\nx-a: \xe9\r\n"
        assert seen[0] == (b"POST" + common + b"content-length: 2\r\n\r\n", b"{}")
        assert seen[1] == (b"POST" + common + b"content-length: 0\r\n\r\n", b"")
        assert seen[2] == (b"GET" + common + b"\r\n", b"")


@pytest.mark.parametrize("path", [b"", b"/a b", b"/a\r\nx: y", b"/a\x00", "/ü".encode()])
@on_both_loops
async def test_a_path_cannot_break_out_of_its_line(path):
    """A model's name ends up in a path; a line break in it must not become a header."""
    async with client("http://127.0.0.1:1") as transport:
        with pytest.raises(ValueError, match="percent-encoded"):
            await transport.send(post(path))


@on_both_loops
async def test_head_and_small_body_leave_in_one_write():
    """Two writes would be two packets, and with them a chance for a 40 ms wait."""

    class Counting(asyncio.Protocol):
        received = []

        def connection_made(self, transport):
            self.transport = transport

        def data_received(self, data):
            self.received.append(data)
            self.transport.write(OK)

    listening = await asyncio.get_running_loop().create_server(Counting, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with client(f"http://127.0.0.1:{port}") as transport:
        await whole(await transport.send(post(body=b"x" * 2000)))
        assert len(Counting.received) == 1
        Counting.received.clear()
    listening.close()


@pytest.mark.parametrize("then", ["close", "reset"])
@on_both_loops
async def test_a_stale_connection_is_replaced_without_a_word(then):
    """The server closed its idle connection as we reused it: nothing was processed, so one retry on a new one is safe."""
    seen = []

    async def fresh(peer):
        seen.append(await peer.request())
        await peer.send(OK)
        await silent(peer)

    async with upstream(answering(OK, b"", then=then), fresh) as server, client(server.url) as transport:
        assert await whole(await transport.send(post())) == (200, b"ok")
        assert await whole(await transport.send(post(body=b"second"))) == (200, b"ok")
        assert [body for _, body in seen] == [b"second"]
        assert len(server.peers) == 2


@on_both_loops
async def test_only_one_retry():
    """A server that always closes is down, not stale."""

    async def script(peer):
        await peer.request()
        peer.close()

    async with upstream(answering(OK, b"", then="close"), script) as server, client(server.url) as transport:
        await whole(await transport.send(post()))
        with pytest.raises(Cut) as caught:
            await transport.send(post())
        assert caught.value.sent
        assert len(server.peers) == 2


@on_both_loops
async def test_no_retry_once_an_answer_has_begun():
    """One byte of an answer proves that the server had the request."""
    async with upstream(answering(OK, b"H", then="close")) as server, client(server.url) as transport:
        await whole(await transport.send(post()))
        with pytest.raises(Cut):
            await transport.send(post())
        assert len(server.peers) == 1


@on_both_loops
async def test_no_retry_when_the_server_thought_about_it(monkeypatch):
    """A server that dies long after the request may have run it: repeating would pay for it twice."""
    monkeypatch.setattr("gatewright.transport.client.STALE_RACE_S", 0.0)
    async with upstream(answering(OK, b"", then="close")) as server, client(server.url) as transport:
        await whole(await transport.send(post()))
        with pytest.raises(Cut) as caught:
            await transport.send(post())
        assert caught.value.sent
        assert len(server.peers) == 1


@on_both_loops
async def test_an_early_answer_reaches_the_caller():
    """A server that refuses a body says so before it has read it, closes, and so resets our upload: its words still count."""
    refusal = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig"

    async def script(peer):
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.writer.write(refusal)
        peer.close()

    for size in (100_000, 1_000_000, 30_000_000):
        async with upstream(script) as server, client(server.url) as transport:
            assert await whole(await transport.send(post(body=b"x" * size))) == (413, b"big")


@on_both_loops
async def test_an_early_answer_is_read_even_after_a_failed_write():
    """Our write meets the reset before we have read the answer that came ahead of it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with client(f"http://127.0.0.1:{listening.getsockname()[1]}") as transport:
            outgoing = post(body=b"x" * 1_000_000)
            conn = await transport._pool.obtain(outgoing.timeouts)
            served, _ = listening.accept()
            served.sendall(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig")
            served.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            served.close()
            answer = conn.begin(
                outgoing, b"POST / HTTP/1.1\r\n\r\n", asyncio.get_running_loop().time() + 60, asyncio.get_running_loop().time()
            )
            assert await answer.read(100) == b"big"
            assert answer.status == 413


@on_both_loops
async def test_an_answer_may_stream_while_the_body_is_still_sent():
    """HTTP/1.1 is full duplex; what comes early is not held back, and the upload goes on."""
    size = 20_000_000

    async def script(peer):
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(CHUNKED + b"5\r\nearly\r\n")
        await heard.wait()
        await peer.reader.readexactly(size)
        await peer.send(b"4\r\nlate\r\n0\r\n\r\n")
        await answering(OK)(peer)

    heard = asyncio.Event()
    async with upstream(script) as server, client(server.url) as transport:
        incoming = await transport.send(post(body=b"x" * size))
        assert await incoming.next() == b"early"
        heard.set()
        assert await incoming.read(100) == b"late"
        assert await whole(await transport.send(post())) == (200, b"ok")
        assert len(server.peers) == 1


@on_both_loops
async def test_a_large_body_is_not_copied():
    """100 MB leave whole and unharmed, while the process holds them once, plus a little."""
    body = bytes(range(256)) * 400_000
    digest = hashlib.sha256()

    async def script(peer):
        await peer.reader.readuntil(b"\r\n\r\n")
        left = len(body)
        while left:
            piece = await peer.reader.read(65536)
            digest.update(piece)
            left -= len(piece)
        await peer.send(OK)
        await silent(peer)

    async with upstream(script) as server, client(server.url) as transport:
        tracemalloc.start()
        try:
            assert await whole(await transport.send(post(body=body))) == (200, b"ok")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert digest.digest() == hashlib.sha256(body).digest()
        assert peak < 8_000_000


@on_both_loops
async def test_cancelling_send_closes_the_connection():
    """Nobody waits for the head any more: the upstream must stop, the slot must be free."""
    async with upstream(silent, always(OK)) as server, client(server.url, max_connections=1) as transport:
        for body in (b"{}", b"x" * 20_000_000):
            sending = asyncio.ensure_future(transport.send(post(body=body)))
            await until(lambda: transport._pool._all)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            await server.all_gone()
            assert transport._pool._slots == 0
        assert await whole(await transport.send(post())) == (200, b"ok")


@on_both_loops
async def test_cancelling_next_closes_the_connection():
    """Nobody waits for the body any more."""
    async with upstream(answering(CHUNKED), always(OK)) as server, client(server.url, max_connections=1) as transport:
        incoming = await transport.send(post())
        reading = asyncio.ensure_future(incoming.next())
        await until(lambda: incoming._waker is not None)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await server.all_gone()
        assert await whole(await transport.send(post())) == (200, b"ok")


@on_both_loops
async def test_close_ends_what_is_running():
    """After `close` nothing is open, readers are told, and no new request leaves."""
    async with upstream(answering(CHUNKED)) as server:
        transport = HttpTransport(server.url)
        incoming = await transport.send(post())
        await transport.close()
        with pytest.raises(Closed):
            await incoming.next()
        with pytest.raises(Closed) as caught:
            await transport.send(post())
        assert not caught.value.sent
        await server.all_gone()


@pytest.mark.parametrize("url", ["ftp://host", "http://", "https://user:secret@", "127.0.0.1:80:90"])
def test_a_url_that_cannot_be_used_is_refused_at_once(url):
    """And its password is not repeated."""
    with pytest.raises(ValueError) as caught:
        HttpTransport(url)
    assert "secret" not in str(caught.value)


@on_both_loops
async def test_a_connection_read_out_after_its_end_is_not_asked_again():
    """The answer's reader goes on at once; its next request must not be written to what is already gone."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with client(f"http://127.0.0.1:{listening.getsockname()[1]}") as transport:
            loop = asyncio.get_running_loop()
            conn = await transport._pool.obtain(post().timeouts)
            served, _ = listening.accept()
            answer = conn.begin(post(body=b"x" * 100_000), b"POST / HTTP/1.1\r\n\r\n", loop.time() + 60, loop.time())
            offered = []

            async def read():
                assert await answer.read(100) == b"ok"
                offered.append(transport._pool.take(loop.time()))

            Strand(loop).begin(read())
            await until(lambda: conn._upload is None)
            conn._wire.pause_reading()
            served.sendall(OK)
            conn.connection_lost(ConnectionResetError())
            await until(lambda: offered)
            assert offered == [None]
            served.close()
