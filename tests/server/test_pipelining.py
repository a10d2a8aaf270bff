"""Requests ahead of their answers, and what else may stand between two requests of one connection."""

import asyncio
import json
import socket

import pytest
from tests.server.test_lane import CHAT, CHAT_STREAM, DELTA, DONE, STOP, WHOLE, config, raw_call
from tests.serving import END, KEY, answer, chunk, gateway, read_answer, stream_head, upstream

from gatewright.server import lane, sweep

HEALTH = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
AUTH = f"authorization: Bearer {KEY}\r\n".encode()


def chat(body: bytes = CHAT, lines: bytes = AUTH) -> bytes:
    return b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n%bcontent-length: %d\r\n\r\n%b" % (lines, len(body), body)


async def test_a_thousand_in_one_packet_are_answered_in_order(tmp_path):
    """What is answered at once, what waits for an upstream and what streams, mixed; what follows a `connection: close` is not."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [*([[answer(WHOLE)], [stream_head(), chunk(DELTA + STOP + DONE), END]] * 333), [answer(WHOLE)]]
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write((HEALTH + chat() + chat(CHAT_STREAM)) * 333 + chat(lines=AUTH + b"connection: close\r\n") + HEALTH + chat())
        for _ in range(333):
            assert (await read_answer(reader)).body == b'{"status":"ok"}'
            assert (await read_answer(reader)).body == WHOLE
            assert (await read_answer(reader)).body == DELTA + STOP + DONE
        last = await read_answer(reader)
        assert (last.body, last.headers["connection"]) == (WHOLE, "close")
        assert await reader.read() == b""
        assert len(up.requests) == 667
        assert gw.gateway.active == 0
        writer.close()


async def test_answers_that_nobody_reads_are_not_piled_up(tmp_path):
    """What needs no upstream is answered within the callback: there must be an end to that."""
    async with gateway(config(1), tmp_path) as gw:
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port, limit=1 << 10)
        writer.write(HEALTH)
        await read_answer(reader)
        writer.transport.pause_reading()
        (connection,) = gw.state.connections
        for end in (connection.transport, writer.transport):  # the kernel would keep megabytes
            for which in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, which, 1 << 14)
        sent = 1
        for _ in range(2000):
            writer.write(HEALTH * 200)
            sent += 200
            if writer.transport.get_write_buffer_size() > 1 << 18:
                break
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        assert connection.unread
        assert connection.transport.get_write_buffer_size() < 1 << 20
        assert len(connection._queue) < 20_000
        writer.transport.resume_reading()
        for _ in range(min(sent - 1, len(connection._queue) + 2000)):
            assert (await read_answer(reader)).status == 200
        writer.close()


async def test_a_client_that_reads_nothing_is_given_up(tmp_path, monkeypatch):
    """It holds an upstream's connection."""
    monkeypatch.setattr(sweep, "TICK_S", 0.02)
    monkeypatch.setattr(sweep, "UNREAD_S", 0.2)
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), *[chunk(b"data: " + b"x" * 60_000 + b"\n\n")] * 400, 5.0]]
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port, limit=1 << 10)
        writer.write(chat(CHAT_STREAM))
        await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(20):
            while gw.state.connections:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        assert gw.gateway.active == 0
        writer.transport.abort()


async def test_a_closed_connection_does_not_wait_for_ever(tmp_path, monkeypatch):
    """What a client has not taken keeps its socket open past the close."""
    monkeypatch.setattr(sweep, "TICK_S", 0.02)
    monkeypatch.setattr(sweep, "IDLE_S", 0.1)
    monkeypatch.setattr(sweep, "UNREAD_S", 0.3)
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE.replace(b"hello", b"x" * 12_000_000))]]
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port, limit=1 << 10)
        writer.write(chat())
        await reader.readuntil(b"\r\n\r\n")
        (connection,) = gw.state.connections
        async with asyncio.timeout(20):
            while gw.state.connections:
                await asyncio.sleep(0.01)
        assert connection.idle
        assert connection.unread
        writer.transport.abort()


async def test_a_client_of_http_1_0_is_told_that_the_connection_ends(tmp_path):
    """Kept without `connection: keep-alive` in the answer, it would wait for the end of the connection, as `ab -k` does."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)]]
        said = await raw_call(gw.port, chat(lines=AUTH + b"connection: keep-alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert b"\r\nconnection: close\r\n" in said
        assert said.endswith(WHOLE)


@pytest.mark.parametrize("apart", [False, True])
async def test_trailers_are_nobodys(tmp_path, apart):
    """A key in the trailers of one request must not open the door to the next, which may be another client's behind a proxy."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)]]
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(b"POST /health HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + AUTH + b"\r\n")
        if apart:
            await read_answer(reader)
        writer.write(chat(lines=b""))
        if not apart:
            await read_answer(reader)
        assert (await read_answer(reader)).status == 401
        assert up.requests == []
        writer.close()


@pytest.mark.parametrize(
    "more", [b"x-%d: " + b"v" * 1000 + b"\r\n", b"v" * 1000 + b"%d"], ids=["many trailers", "one trailer without end"]
)
async def test_trailers_have_an_end(tmp_path, monkeypatch, more):
    """They are no part of the body, whose limit would not notice them."""
    monkeypatch.setattr(lane, "LINGER_S", 0.05)
    async with gateway(config(1), tmp_path) as gw:
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(b"POST /health HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
        for number in range(400):
            writer.write(more % number)
            await asyncio.sleep(0)
        assert (await read_answer(reader)).status == 431
        writer.transport.abort()


async def test_a_body_in_tiny_chunks_is_no_flood(tmp_path):
    """Framing may weigh more than what it frames."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)]]
        body = CHAT.replace(b"hi", b"x" * 100_000)
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + AUTH + b"transfer-encoding: chunked\r\n\r\n")
        for start in range(0, len(body), 500):
            writer.write(b"".join(chunk(body[i : i + 1]) for i in range(start, min(start + 500, len(body)))))
            await writer.drain()
        writer.write(END)
        assert (await read_answer(reader)).status == 200
        assert json.loads(up.body()) == {**json.loads(body), "model": "m"}
        writer.close()


@pytest.mark.parametrize("request_line", [b"GET /health", b"POST /v1/chat/completions"])
async def test_an_offer_of_another_protocol_is_passed_over(tmp_path, request_line):
    """Java's client offers h2c with its first request: its body is read, and the connection goes on."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)]]
        offer = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQ\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(b"%b HTTP/1.1\r\nhost: x\r\n%b%bcontent-length: %d\r\n\r\n%b" % (request_line, AUTH, offer, len(CHAT), CHAT))
        assert (await read_answer(reader)).status == 200
        writer.write(chat())
        assert (await asyncio.wait_for(read_answer(reader), 20)).body == WHOLE
        assert json.loads(up.body(0)) == {**json.loads(CHAT), "model": "m"}
        writer.close()


@pytest.mark.parametrize("start", [b"CONNECT example.com:443", b"CONNECT localhost:1"])
async def test_no_tunnel_is_dug(tmp_path, start):
    """The answer tells that the connection ends: what follows is not ours to parse."""
    async with gateway(config(1), tmp_path) as gw:
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(start + b" HTTP/1.1\r\nhost: x\r\n\r\n")
        got = await read_answer(reader)
        assert got.status >= 400
        assert got.headers["connection"] == "close"
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()


@pytest.mark.parametrize(
    "after", [b"NONSENSE\r\n\r\n", b"POST /health HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"]
)
async def test_what_came_before_nonsense_is_answered(tmp_path, monkeypatch, after):
    """However long that takes: nothing was wrong with it."""
    monkeypatch.setattr(lane, "LINGER_S", 0.02)
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[0.2, answer(WHOLE)]]
        said = await raw_call(gw.port, chat() + after)
        assert said.startswith(b"HTTP/1.1 200")
        assert said.endswith(WHOLE)
        assert b"connection: close\r\n" in said


async def test_nothing_is_begun_on_a_connection_that_ends(tmp_path):
    """While the server drains, the first answer is the last; its neighbours in the packet must not cost anything."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)]]
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(HEALTH[:10])
        await asyncio.sleep(0.05)
        (connection,) = gw.state.connections
        connection.shutdown()
        writer.write(HEALTH[10:] + chat() + HEALTH)
        assert (await read_answer(reader)).headers["connection"] == "close"
        assert await reader.read() == b""
        assert up.requests == []
        writer.close()
