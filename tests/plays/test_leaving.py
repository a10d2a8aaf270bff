"""A client that leaves at the very moment something else happens: one settlement, no connection lost, no upstream left running."""

import asyncio

import pytest

from gatewright.record.usage import UsageCounter
from tests.server.test_lane import CHAT, CHAT_STREAM, DELTA, DONE, STOP, WHOLE
from tests.serving import END, KEY, answer, call, chunk, gateway, stream_head, upstream

SLOW = b'{"error": {"message": "busy", "type": "server_error"}}'


def config(port: int, most: int = 2) -> str:
    return f"""
providers:
  up: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", dialects: [openai_chat], api_key: sk, max_connections: {most}}}
models:
  fast: {{targets: [up/m], fallback: [up/n]}}
routing: {{breaker: false, retry: {{base_s: 0.01}}}}
"""


@pytest.mark.parametrize("script", ["whole", "stream", "fails over"])
async def test_leaving_at_every_turn_of_the_loop(tmp_path, monkeypatch, script):
    """Two connections for all; clients leave after 0, 1, 2… turns, some in twos; then everybody is served again."""
    settled = []
    monkeypatch.setattr(UsageCounter, "settle", lambda _, exchange, status, problem: settled.append(exchange.request_id))
    body = CHAT_STREAM if script == "stream" else CHAT
    scripts = {
        "whole": [[answer(WHOLE)]],
        "stream": [[stream_head(), chunk(DELTA), chunk(STOP + DONE), END]],
        "fails over": [[answer(SLOW, status=500, headers="connection: close\r\n")], [answer(WHOLE)]] * 2000,
    }
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = list(scripts[script])
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        begun = 0

        async def visit(turns: int) -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", gw.port)
            writer.write(head.encode() + body)
            for _ in range(turns):
                await asyncio.sleep(0)
            writer.transport.abort()

        handle = gw.gateway.handle

        def counted(exchange):
            nonlocal begun
            begun += 1
            return handle(exchange)

        gw.gateway.handle = counted
        await asyncio.gather(*(visit(turns) for turns in range(60) for _ in range(3)))
        for turns in range(60):
            await visit(turns)
        async with asyncio.timeout(5):
            while gw.gateway.active or gw.state.connections:
                await asyncio.sleep(0.01)
        assert len(settled) == len(set(settled)) == begun > 100
        up.answers = [[answer(WHOLE)]]
        again = await asyncio.gather(*(call(gw.port, "/v1/chat/completions", CHAT) for _ in range(6)))
        assert {got.status for got in again} == {200}
