"""What a call for several keeps while one of them reads slowly, and what its leader is told behind the body."""

import asyncio
import json

from tests.pipeline.flying import flights, listeners, long_answer, opened, until
from tests.plays.breaking import MODELS, OTHER_MODELS, middle
from tests.plays.resumed import request
from tests.plays.resuming_scene import scene
from tests.plays.same import ask, said, understood
from tests.plays.scene import frames, providers
from tests.serving import END, chunk, gateway, read_answer, stream_head, upstream

from gatewright.pipeline.flight import WINDOW

MOST = 200_000
KEPT = """  kept: {targets: [claude/m], cache: {ttl_s: 600}, retry: {tries_each: 1, tries_all: 1}}
server: {max_answer_bytes: 200000}
"""


async def test_a_slow_leader_of_a_long_answer_is_waited_for(tmp_path):
    """Who waits for the whole is told that it is too long; what the leader has not read yet never grows with the answer."""
    words = "word " * 4_000_000
    async with upstream() as up, gateway(providers(up.port) + KEPT, tmp_path) as gw:
        up.answers = [
            [stream_head(), *(chunk(frame) for frame in frames("anthropic", "begin")[:2]), 0.5, *long_answer(words), END]
        ]
        slow, writer = await opened(gw, "anthropic", "kept")
        await until(lambda: listeners(gw) == 1)
        (flight,) = flights(gw).values()
        waits = asyncio.ensure_future(ask(gw, "openai_chat", "kept"))
        await until(lambda: listeners(gw) == 2)
        await until(lambda: flight.deaf)
        size = -1
        while size != flight.size:  # until nothing more is read of the provider
            size = flight.size
            await asyncio.sleep(0.3)
        assert not flight.ended
        assert sum(len(segment.wire) for segment in flight.leader.pending) < MOST + 2 * WINDOW
        whole = await read_answer(slow)
        assert said(understood("anthropic", whole, stream=True))[0] == "begin" + words
        got = await waits
        assert (got.status, json.loads(got.body)["error"]["code"]) == (502, "answer_too_long")
        assert len(up.requests) == 1
        writer.close()


async def test_a_leader_that_leaves_holds_nobody_up(tmp_path):
    """The one who waits is told, though nobody reads what was waited for."""
    words = "word " * 4_000_000
    async with upstream() as up, gateway(providers(up.port) + KEPT, tmp_path) as gw:
        up.answers = [
            [stream_head(), *(chunk(frame) for frame in frames("anthropic", "begin")[:2]), 0.5, *long_answer(words), END]
        ]
        _, writer = await opened(gw, "anthropic", "kept")
        await until(lambda: listeners(gw) == 1)
        (flight,) = flights(gw).values()
        waits = asyncio.ensure_future(ask(gw, "openai_chat", "kept"))
        await until(lambda: listeners(gw) == 2 and flight.deaf)
        await asyncio.sleep(0.3)
        writer.transport.abort()
        assert (await asyncio.wait_for(waits, 20)).status == 502
        assert not flights(gw)


async def test_a_trailer_that_is_announced_comes_where_the_answer_is_kept_too(tmp_path):
    """`x-gatewright-resumed`, of a stream whose route both keeps and resumes."""
    route = ("safe", MODELS["openai_chat"], OTHER_MODELS["anthropic"])
    async with scene(tmp_path, route, more=", cache: {ttl_s: 60}") as gw:
        gw.up.cuts = [middle()]
        path, body = request("openai_chat", "safe")
        sent = json.dumps(body).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer gw-test-key\r\nte: trailers\r\nconnection: te\r\n"
        writer.write(f"{head}content-length: {len(sent)}\r\n\r\n".encode() + sent)
        told = await reader.readuntil(b"\r\n\r\n")
        assert b"x-gatewright-cache: miss\r\n" in told
        assert b"trailer: x-gatewright-resumed\r\n" in told
        await reader.readuntil(b"\r\n0\r\n")
        async with asyncio.timeout(5):
            last = await reader.readuntil(b"\r\n\r\n")
        assert last == f"x-gatewright-resumed: {OTHER_MODELS['anthropic']}\r\n\r\n".encode()
        writer.close()
