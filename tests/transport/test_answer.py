"""Answers, well and badly formed."""

import asyncio

import pytest

from gatewright.transport import BadAnswer, Cut, TooLarge
from gatewright.transport.answer import HIGH_WATER_BYTES
from gatewright.transport.answer_head import MAX_HEAD_BYTES, MAX_HEADERS
from tests.transport.upstream import CHUNKED, OK, always, answering, client, on_both_loops, post, silent, until, upstream, whole


def _headers(count: int) -> bytes:
    return b"".join(b"x-%d: y\r\n" % i for i in range(count))


GOOD = {
    "content-length": (OK, 200, b"ok"),
    "chunked": (CHUNKED + b"3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nt: v\r\n\r\n", 200, b"abcd"),
    "empty": (b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", 500, b""),
    "no reason phrase": (b"HTTP/1.1 200\r\ncontent-length: 1\r\n\r\nx", 200, b"x"),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n", 304, b""),
    "1xx first": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, 200, b"ok"),
}


@pytest.mark.parametrize("case", GOOD)
@on_both_loops
async def test_an_answer_is_the_same_however_it_is_cut(case):
    """TCP has no messages: whole or byte by byte, the reader sees one answer, and the connection serves the next request."""
    answer, status, body = GOOD[case]

    async def byte_by_byte(peer):
        await peer.request()
        for index in range(len(answer)):
            await peer.send(answer[index : index + 1])
            await asyncio.sleep(0)
        await answering(OK)(peer)

    for script in (answering(answer, OK), byte_by_byte):
        async with upstream(script) as server, client(server.url) as transport:
            assert await whole(await transport.send(post())) == (status, body)
            assert await whole(await transport.send(post())) == (200, b"ok")
            assert len(server.peers) == 1


@on_both_loops
async def test_headers_come_as_they_were_sent():
    """Names in lower case, values untouched but for the space around them, the first of repeated ones, 1xx ones gone."""
    head = b"HTTP/1.1 103 Early\r\nx-hint: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-A:  b c \r\nSet-Cookie: 1\r\nset-cookie: 2\r\ncontent-length: 0\r\n"
    async with upstream(answering(head + b"x-empty:\r\n\r\n")) as server, client(server.url) as transport:
        incoming = await transport.send(post())
        names = ((b"x-a", b"b c"), (b"set-cookie", b"1"), (b"content-length", b"0"), (b"x-empty", b""))
        assert incoming.headers == names
        assert incoming.header(b"set-cookie") == b"1"
        assert incoming.header(b"x-hint") is None


@on_both_loops
async def test_the_close_of_the_connection_may_end_a_body():
    """HTTP/1.0 servers know no other end; such a connection is never used again."""
    for head in (b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"):
        async with upstream(answering(head + b"until the end", then="close")) as server, client(server.url) as transport:
            assert await whole(await transport.send(post())) == (200, b"until the end")
            assert await whole(await transport.send(post())) == (200, b"until the end")
            assert len(server.peers) == 2


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nconnection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
@on_both_loops
async def test_a_server_that_will_close_is_not_asked_again(head):
    """`connection: close` and HTTP/1.0 end the connection even when the body has a length."""
    async with upstream(always(head + b"content-length: 2\r\n\r\nok")) as server, client(server.url) as transport:
        assert await whole(await transport.send(post())) == (200, b"ok")
        assert await whole(await transport.send(post())) == (200, b"ok")
        assert len(server.peers) == 2


@on_both_loops
async def test_an_answer_to_head_has_no_body():
    """Its content-length is that of a body nobody sends; waiting for it would hang."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
    async with upstream(always(answer)) as server, client(server.url) as transport:
        for _ in range(2):
            assert await whole(await transport.send(post(method=b"HEAD", body=b""))) == (200, b"")
        assert len(server.peers) == 1


BAD = {
    "not http": b"SSH-2.0-OpenSSH_9.2\r\n",
    "http/2": b"HTTP/2 200 OK\r\n\r\n",
    "a bare LF": b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
    "an obsolete fold": b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nok",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
    "a negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
    "length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n",
    "gzip as transfer-encoding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": b"HTTP/1.1 200 OK\r\ncontent-encoding: rot13\r\ncontent-length: 2\r\n\r\nok",
    "too many codings": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip,gzip,gzip,gzip,gzip\r\ncontent-length: 2\r\n\r\nok",
    "switching protocols": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
    "10,000 headers": b"HTTP/1.1 200 OK\r\n" + _headers(10_000) + b"content-length: 2\r\n\r\nok",
    "one header too many": b"HTTP/1.1 200 OK\r\n" + _headers(MAX_HEADERS) + b"content-length: 2\r\n\r\nok",
    "a header of 1 MB": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1_000_000 + b"\r\n\r\n",
    "a header just too large": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\nok",
    "endless 1xx": b"HTTP/1.1 102 Processing\r\n\r\n" * 10_000,
}


@pytest.mark.parametrize("case", BAD)
@on_both_loops
async def test_a_bad_head_is_refused(case):
    """What cannot be understood without doubt is an error, and the connection is not used again."""
    async with upstream(answering(BAD[case])) as server, client(server.url) as transport:
        with pytest.raises(BadAnswer) as caught:
            await transport.send(post())
        assert (caught.value.phase, caught.value.sent, caught.value.problem.kind) == ("headers", True, "upstream")
        assert f"127.0.0.1:{server.port}" in caught.value.problem.message
        await server.all_gone()


@on_both_loops
async def test_limits_are_where_they_are_said_to_be():
    """As many headers and as large a head as allowed still pass."""
    many = b"HTTP/1.1 200 OK\r\n" + _headers(MAX_HEADERS - 1) + b"content-length: 2\r\n\r\nok"
    large = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: " + b"y" * (MAX_HEAD_BYTES - 200) + b"\r\n\r\nok"
    async with upstream(answering(many, large)) as server, client(server.url) as transport:
        assert await whole(await transport.send(post())) == (200, b"ok")
        assert await whole(await transport.send(post())) == (200, b"ok")


BAD_BODY = {
    "a chunk size that is no number": CHUNKED + b"2\r\nok\r\nzz\r\n",
    "a huge chunk size": CHUNKED + b"2\r\nok\r\nffffffffffffffffffff\r\n",
    "a chunk longer than said": CHUNKED + b"2\r\noktoolong\r\n0\r\n\r\n",
    "an endless chunk extension": CHUNKED + b"2\r\nok\r\n1;" + b"x" * 200_000,
    "an endless trailer": CHUNKED + b"2\r\nok\r\n0\r\nt: " + b"x" * 200_000,
}


@pytest.mark.parametrize("case", BAD_BODY)
@on_both_loops
async def test_a_bad_body_fails_after_what_was_good(case):
    """The reader gets what had arrived, then the error, and the error again if it asks again."""
    async with upstream(answering(BAD_BODY[case])) as server, client(server.url) as transport:
        incoming = await transport.send(post())
        await until(lambda: incoming.error is not None)
        assert await incoming.next() == b"ok"
        with pytest.raises(BadAnswer) as caught:
            await incoming.next()
        assert caught.value.phase == "body"
        with pytest.raises(BadAnswer):
            await incoming.next()
        await server.all_gone()


CUT = {
    "after the head": CHUNKED,
    "in a chunk": CHUNKED + b"5\r\nab",
    "between chunks": CHUNKED + b"2\r\nab\r\n",
    "before the last CRLF": CHUNKED + b"2\r\nab\r\n0\r\n",
    "short of its length": b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nab",
}


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("case", CUT)
@on_both_loops
async def test_a_cut_body_is_never_a_clean_end(case, then):
    """A stream that stops early must not look finished to anyone."""
    async with upstream(answering(CUT[case], then=then)) as server, client(server.url) as transport:
        with pytest.raises(Cut) as caught:
            await whole(await transport.send(post()))
        assert caught.value.sent
        assert caught.value.problem.status == 0
        assert caught.value.problem.kind == "upstream"


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nx: y\r\n"])
@on_both_loops
async def test_a_cut_head_is_an_error(start, then):
    """A fresh connection that ends without an answer had the request: it is not repeated."""
    async with upstream(answering(start, then=then)) as server, client(server.url) as transport:
        with pytest.raises(Cut) as caught:
            await transport.send(post())
        assert (caught.value.phase, caught.value.sent) == ("headers", True)
        assert len(server.peers) == 1


@on_both_loops
async def test_a_reset_does_not_end_a_body_cleanly():
    """Where only the close ends the body, a reset is a cut."""

    async def script(peer):
        await peer.request()
        await peer.send(b"HTTP/1.0 200 OK\r\n\r\nhalf")
        await seen.wait()
        peer.reset()

    seen = asyncio.Event()
    async with upstream(script) as server, client(server.url) as transport:
        incoming = await transport.send(post())
        assert await incoming.next() == b"half"
        seen.set()
        with pytest.raises(Cut):
            await incoming.next()


@pytest.mark.parametrize("tail", [b"more", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"])
@on_both_loops
async def test_a_body_longer_than_its_length_poisons_the_connection(tail):
    """The surplus must not become the answer to the next request (response splitting)."""
    async with upstream(answering(OK + tail)) as server, client(server.url) as transport:
        assert await whole(await transport.send(post())) == (200, b"ok")
        assert await whole(await transport.send(post())) == (200, b"ok")
        assert len(server.peers) == 2


@on_both_loops
async def test_read_stops_at_its_limit():
    """An endless body costs no more memory than the caller allows, and its connection is closed."""

    async def endless(peer):
        await peer.request()
        await peer.send(CHUNKED)
        while True:
            await peer.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    async with upstream(endless) as server, client(server.url) as transport:
        incoming = await transport.send(post())
        with pytest.raises(TooLarge) as caught:
            await incoming.read(1_000_000)
        assert "1000000 bytes" in caught.value.problem.message
        await server.all_gone()


@on_both_loops
async def test_read_takes_a_body_of_exactly_its_limit():
    """The limit is inclusive."""
    async with upstream(answering(OK)) as server, client(server.url) as transport:
        assert await (await transport.send(post())).read(2) == b"ok"


@on_both_loops
async def test_what_arrives_together_is_given_together():
    """One wake-up, one piece: events that came in one packet leave in one packet."""
    events = b"".join(b"6\r\ndata%d\n\r\n" % index for index in range(9))

    async def script(peer):
        await peer.request()
        await peer.send(CHUNKED + events)
        await silent(peer)

    async with upstream(script) as server, client(server.url) as transport:
        incoming = await transport.send(post())
        await until(lambda: incoming._pieces)
        assert await incoming.next() == b"".join(b"data%d\n" % index for index in range(9))
        incoming.abort()


@on_both_loops
async def test_abort_closes_the_connection_now():
    """A client that leaves must not go on costing tokens; aborting again, or after the end, does nothing."""
    async with upstream(answering(CHUNKED + b"2\r\nok\r\n"), always(OK)) as server, client(server.url) as transport:
        incoming = await transport.send(post())
        incoming.abort()
        incoming.abort()
        await server.all_gone()
        with pytest.raises(Cut):
            await incoming.next()
        done = await transport.send(post())
        assert await whole(done) == (200, b"ok")
        done.abort()
        assert await whole(await transport.send(post())) == (200, b"ok")
        assert len(server.peers) == 2


@on_both_loops
async def test_abort_wakes_a_reader():
    """A reader in another task is told, not left waiting."""
    async with upstream(answering(CHUNKED)) as server, client(server.url) as transport:
        incoming = await transport.send(post())
        reader = asyncio.ensure_future(incoming.next())
        await until(lambda: incoming._waker is not None)
        incoming.abort()
        with pytest.raises(Cut):
            await reader


@on_both_loops
async def test_a_slow_reader_slows_the_server():
    """50 MB sent to a reader that does not read stay with the server, but for a bounded rest; nothing is lost."""
    piece = b"x" * 65536
    sent = 0

    async def script(peer):
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (800 * len(piece)))
        for _ in range(800):
            await peer.send(piece)
            sent += len(piece)
        await silent(peer)

    async with upstream(script) as server, client(server.url) as transport:
        incoming = await transport.send(post())
        await until(lambda: incoming.paused)
        held = incoming._size
        for _ in range(2000):
            await asyncio.sleep(0)
        assert incoming._size == held < 512 * 1024
        assert sent < 800 * len(piece)
        total = 0
        while (got := await incoming.next()) is not None:
            total += len(got)
            assert len(got) < 512 * 1024
        assert total == 800 * len(piece)


@on_both_loops
async def test_an_answer_that_ends_while_paused_leaves_a_working_connection():
    """A TLS layer may deliver the end after it was told to stop; the next request must still hear its answer."""
    body = b"x" * (HIGH_WATER_BYTES - 10)
    async with upstream(answering(CHUNKED + b"%x\r\n" % len(body) + body, OK)) as server, client(server.url) as transport:
        incoming = await transport.send(post())
        (conn,) = transport._pool._all
        await until(lambda: incoming.paused)
        for rest in (b"\r\n", b"1\r\ny\r\n", b"0\r\n\r\n"):
            conn.data_received(rest)
        assert await whole(incoming) == (200, body + b"y")
        assert await whole(await transport.send(post())) == (200, b"ok")
        assert len(server.peers) == 1


@on_both_loops
async def test_one_byte_chunks_are_bounded_too():
    """A piece costs more than its bytes: a body in one-byte chunks pauses long before 128 KB of text."""
    async with upstream(answering(CHUNKED + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n")) as server, client(server.url) as transport:
        incoming = await transport.send(post())
        await until(lambda: incoming.paused)
        assert len(incoming._pieces) < 60_000
        assert (await whole(incoming))[1] == b"x" * 100_000
