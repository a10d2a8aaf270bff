"""What is written at the end of a turn, as its clients see it: in order, to the byte, and together."""

import asyncio
import contextlib
import re
import socket
import ssl
from types import SimpleNamespace

import pytest
from tests.server.test_lane import CHAT, CHAT_STREAM, DELTA, DONE, STOP, WHOLE, config
from tests.server.test_pipelining import AUTH, HEALTH, chat
from tests.serving import END, answer, chunk, gateway, read_answer, stream_head, upstream
from tests.transport.certificates import Authority
from tests.transport.upstream import on_both_loops

from gatewright.exchange import Reply, Segment
from gatewright.server import lane
from gatewright.server.gateway import Gateway
from gatewright.server.lane import FastLane

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
WORDS = b"last words"
SPOKEN = DELTA + STOP + DONE
_STAMPS = re.compile(rb"(?<=\r\n)(?:date|x-request-id|request-id): [^\r\n]+\r\n")


def unstamped(said: bytes) -> bytes:
    """Without what is another in every answer."""
    return _STAMPS.sub(b"", said)


def health(lines: bytes = b"") -> bytes:
    body = b'{"status":"ok"}'
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b" % (lines, len(body), body)


ANSWERED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-gatewright-target: up/m\r\ncontent-length: %d\r\n\r\n%b" % (
    len(WHOLE),
    WHOLE,
)
STREAMED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
    b"x-gatewright-target: up/m\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(SPOKEN) + END
)


async def opened(gw):
    """A connection that has had an answer, and the gateway's end of it."""
    before = set(gw.state.connections)
    reader, writer = await asyncio.open_connection("127.0.0.1", gw.port, limit=1 << 12)
    writer.write(HEALTH)
    assert (await read_answer(reader)).status == 200
    (ours,) = gw.state.connections - before
    return reader, writer, ours


class Scripted:
    """A source without an upstream, that never waits."""

    ended = False

    def __init__(self, *steps, then=None):
        self.steps = list(steps)
        self.then = then
        self.aborted = False
        self.given = 0

    async def next(self):
        if self.steps:
            wire = self.steps.pop(0)
            self.given += len(wire)
            return Segment(wire)
        if isinstance(self.then, BaseException):
            raise self.then
        return self.then

    async def flow(self, client):
        pass

    def abort(self):
        self.aborted = True

    def keepalive(self):
        return b": ping\n\n"


def replying(monkeypatch, *sources):
    """Let these be the answers of a gateway, one after the other."""
    left = list(sources)

    async def handle(self, exchange):
        return Reply(200, b"content-type: text/event-stream\r\n", source=left.pop(0))

    monkeypatch.setattr(Gateway, "handle", handle)


@on_both_loops
async def test_what_is_asked_in_one_packet_is_answered_in_order_to_the_byte(tmp_path):
    """At once, by an upstream, by a stream, without a body, and at last refused."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)], [stream_head(), chunk(SPOKEN), END]] * 3
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        bare = HEALTH.replace(b"GET", b"HEAD")
        writer.write((HEALTH + chat() + bare + chat(CHAT_STREAM)) * 3 + HEALTH + b"NONSENSE\r\n\r\n" + HEALTH)
        said = unstamped(await reader.read())
        one_round = health() + ANSWERED + health().partition(b"{")[0] + STREAMED
        assert said == one_round * 3 + health()
        writer.close()


@on_both_loops
async def test_over_tls_as_well(tmp_path):
    """The layer between has buffers of its own, and a goodbye."""
    authority = Authority(tmp_path)
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)], [stream_head(), chunk(SPOKEN), END]] * 20
        wrapped, loop = SimpleNamespace(loaded_app=SimpleNamespace(gateway=gw.gateway)), asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: FastLane(wrapped, gw.state, {}, loop), "127.0.0.1", 0, ssl=authority.server(address="127.0.0.1")
        )
        trust = ssl.create_default_context(cafile=authority.ca_file)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1], ssl=trust)
        writer.write((chat() + chat(CHAT_STREAM)) * 20 + HEALTH.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        assert unstamped(await reader.read()) == (ANSWERED + STREAMED) * 20 + health(b"connection: close\r\n")
        writer.close()
        server.close()


@on_both_loops
async def test_large_pieces_do_not_overtake_small_ones(tmp_path):
    """They are written by another call, and at once."""
    small, large = b"data: %d\n\n", b"data: " + b"x" * (lane.JOINED_BYTES + 1) + b"\n\n"
    pieces = [piece for number in range(10) for piece in (small % number, large)] + [STOP + DONE]
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), *map(chunk, pieces), END]]
        reader, writer, _ = await opened(gw)
        writer.write(chat(CHAT_STREAM))
        got = await read_answer(reader)
        assert (got.body, got.broken) == (b"".join(pieces), False)
        writer.close()


@on_both_loops
async def test_a_large_piece_waits_for_the_small_one_of_its_own_turn(tmp_path, monkeypatch):
    """As a source gives them that never waits, and one of HTTP/1.0 without framing."""
    small, large = b"data: 1\n\n", b"data: " + b"x" * lane.JOINED_BYTES + b"\n\n"
    async with gateway(config(1), tmp_path) as gw:
        replying(monkeypatch, Scripted(small, large, small), Scripted(small, large, small))
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(HEALTH)
        got = await read_answer(reader)
        assert (got.body, got.broken) == (small + large + small, False)
        writer.write(HEALTH.replace(b"HTTP/1.1", b"HTTP/1.0"))
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert b"\r\nconnection: close" in head
        assert body == small + large + small
        writer.close()


@on_both_loops
async def test_a_client_that_waits_for_leave_to_go_on_gets_it_before_its_answer(tmp_path):
    """Though its body is already there; and one whose body is not gets nothing but that."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)]]
        reader, writer, _ = await opened(gw)
        asking = chat(lines=AUTH + b"expect: 100-continue\r\n")
        writer.write(asking)
        expected = CONTINUE + ANSWERED
        said = (
            await reader.readexactly(len(CONTINUE)) + await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(len(WHOLE))
        )
        assert unstamped(said) == expected
        writer.write(asking[: -len(CHAT)])
        assert await reader.readexactly(len(CONTINUE)) == CONTINUE
        writer.write(CHAT)
        said = await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(len(WHOLE))
        assert unstamped(said) == ANSWERED
        writer.write(asking.replace(b"POST /v1", b"POST /" + b"v" * 100_000))
        assert (await reader.readline()).startswith(b"HTTP/1.1 4")
        writer.close()


@on_both_loops
async def test_leave_to_go_on_comes_after_the_answer_before_it(tmp_path):
    """Which was done in the turn that brought the next request, and is not written yet."""
    async with gateway(config(1), tmp_path) as gw:
        reader, writer, ours = await opened(gw)

        def amid_a_turn():
            ours._turn.write(ours.transport, WORDS)
            ours.data_received(chat(lines=AUTH + b"expect: 100-continue\r\n")[: -len(CHAT)])

        asyncio.get_running_loop().call_soon(amid_a_turn)
        assert await reader.readexactly(len(WORDS + CONTINUE)) == WORDS + CONTINUE
        writer.close()


@pytest.mark.parametrize("form", ["whole", "streamed"])
@on_both_loops
async def test_answers_of_one_turn_leave_when_the_last_of_them_is_done(tmp_path, monkeypatch, form):
    """A client that is woken by the first is served before the second is begun, and asleep again when that is done."""
    seen = []
    async with gateway(config(1), tmp_path) as gw:
        reader, writer, ours = await opened(gw)
        with socket.create_connection(("127.0.0.1", gw.port)) as first:
            while len(gw.state.connections) < 2:
                await asyncio.sleep(0)
            (theirs,) = gw.state.connections - {ours}

            async def handle(self, exchange):
                with contextlib.suppress(BlockingIOError):
                    seen.append(first.recv(1 << 16, socket.MSG_DONTWAIT))
                source = None if form == "whole" else Scripted(b"data: 1\n\n", b"data: 2\n\n")
                return Reply(200, b"content-type: text/event-stream\r\n", b"whole", source)

            monkeypatch.setattr(Gateway, "handle", handle)

            def amid_a_turn():
                theirs.data_received(HEALTH)
                ours.data_received(HEALTH)

            asyncio.get_running_loop().call_soon(amid_a_turn)
            assert (await read_answer(reader)).status == 200
            assert first.recv(1 << 16, socket.MSG_DONTWAIT).startswith(b"HTTP/1.1 200 OK\r\n")
        assert seen == []
        writer.close()


@on_both_loops
async def test_a_sign_of_life_comes_after_what_the_stream_said_in_that_turn(tmp_path, monkeypatch):
    """Amid an event it would be the event's end."""
    async with gateway(config(1), tmp_path) as gw:
        reader, writer, ours = await opened(gw)
        source = Scripted(b"data: 1\n\n")
        goes_on = asyncio.Event()

        async def flow(client):
            client.push(b"data: 2\n\n")
            ours.keep_alive(0.0)
            client.push(b"data: 3\n\n")
            await goes_on.wait()

        source.flow = flow
        replying(monkeypatch, source)
        writer.write(HEALTH)
        await reader.readuntil(b"\r\n\r\n")
        expected = b"".join(map(chunk, (b"data: 1\n\n", b"data: 2\n\n", b": ping\n\n", b"data: 3\n\n")))
        assert await reader.readexactly(len(expected)) == expected
        goes_on.set()
        assert await reader.readexactly(len(END)) == END
        writer.close()
