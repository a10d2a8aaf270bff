"""The plain ASGI way in: the same answers under a server that knows nothing of the fast lane."""

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import uvicorn
from tests.server.test_lane import CHAT, CHAT_STREAM, DELTA, DONE, STOP, WHOLE
from tests.serving import END, KEY, answer, call, chunk, read_answer, stream_head, upstream

import gatewright
from gatewright.server.lane import FastLane


@asynccontextmanager
async def served(port: int, tmp_path, monkeypatch, **options):
    """`gatewright.create_app()` under uvicorn's own protocol, as an embedder runs it."""
    file = tmp_path / "gatewright.yaml"
    file.write_text(
        f'providers: {{up: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", dialects: [openai_chat], api_key: sk-upstream}}}}\n'
        f"models: {{fast: {{targets: [up/m]}}}}\nserver: {{max_body_bytes: 1048576, state_dir: {tmp_path}}}\nkeys: [{{name: test, key: {KEY}}}]\n"
    )
    monkeypatch.setenv("GATEWRIGHT_CONFIG", str(file))
    config = uvicorn.Config(gatewright.create_app(), host="127.0.0.1", port=0, log_level="error", lifespan="on", **options)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    serving = asyncio.ensure_future(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield SimpleNamespace(port=server.servers[0].sockets[0].getsockname()[1], app=config.app)
    finally:
        server.should_exit = True
        await serving


@pytest.mark.parametrize("http", ["httptools", FastLane])
async def test_answers_are_the_same_under_any_protocol(tmp_path, monkeypatch, http):
    """Whole, streamed, refused: the same bytes with and without the fast lane."""
    async with upstream() as up, served(up.port, tmp_path, monkeypatch, http=http) as gw:
        up.answers = [[answer(WHOLE)], [stream_head(), chunk(DELTA), chunk(STOP + DONE), END]]
        whole = await call(gw.port, "/v1/chat/completions", CHAT)
        assert (whole.status, whole.body) == (200, WHOLE)
        assert whole.headers["x-gatewright-target"] == "up/m"
        streamed = await call(gw.port, "/v1/chat/completions", CHAT_STREAM)
        assert (streamed.status, streamed.body) == (200, DELTA + STOP + DONE)
        refused = await call(gw.port, "/v1/messages", b"{}", headers="")
        assert refused.status == 401
        assert json.loads(refused.body)["type"] == "error"
        large = await call(gw.port, "/v1/chat/completions", b" " * 1_100_000)
        assert large.status == 413


async def test_a_client_that_leaves_cancels_the_upstream(tmp_path, monkeypatch):
    """ASGI servers tell an application of it, but do not stop it."""
    async with upstream() as up, served(up.port, tmp_path, monkeypatch, http="httptools") as gw:
        up.answers = [[stream_head(), chunk(DELTA), 60.0, END]]
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(CHAT_STREAM)}\r\n\r\n"
        writer.write(head.encode() + CHAT_STREAM)
        await reader.readuntil(b"hello")
        writer.transport.abort()
        await asyncio.wait_for(up.closed.wait(), 20)


async def test_paths_of_other_applications_are_handed_over(tmp_path, monkeypatch):
    """The connection goes to ordinary ASGI with what was read of it, and stays there."""
    async with upstream() as up, served(up.port, tmp_path, monkeypatch, http=FastLane) as gw:
        gw.app.gateway.asgi_prefixes = (b"/console/",)
        up.answers = [[answer(WHOLE)]]
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(f"GET /console/v1/keys HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n".encode())
        assert (await read_answer(reader)).status == 404
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(CHAT)}\r\n\r\n"
        )
        writer.write(head.encode() + CHAT)
        again = await read_answer(reader)
        assert (again.status, again.body) == (200, WHOLE)
        writer.close()
