"""However an exchange ends, it ends once: one settlement, nothing active, and not a byte of it left behind."""

import asyncio
import gc
import logging

import pytest
from tests.server.test_lane import CHAT, CHAT_STREAM, DELTA, DONE, STOP, WHOLE
from tests.serving import END, KEY, answer, chunk, gateway, stream_head, upstream

from gatewright.exchange import Exchange
from gatewright.record.usage import UsageCounter
from gatewright.server import lane

BIG = chunk(b"data: " + b"x" * 60_000 + b"\n\n")


def config(port: int, timeouts: str = "") -> str:
    return f"""
providers:
  up: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", dialects: [openai_chat], api_key: sk-upstream{timeouts}}}
  other: {{kind: anthropic, base_url: "http://127.0.0.1:{port}", api_key: sk-upstream{timeouts}}}
models:
  fast: {{targets: [up/m]}}
  twice: {{targets: [up/m], fallback: [up/n]}}
  crossed: {{targets: [other/m]}}
"""


def request(body: bytes, model: bytes = b"fast") -> bytes:
    body = body.replace(b"fast", model)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


LEAVE = object()
"""The client leaves as soon as the upstream has the request; with a number, so many bytes of the answer later."""

ENDS = {
    "whole": (CHAT, [[answer(WHOLE)]], None, 200),
    "stream": (CHAT_STREAM, [[stream_head(), chunk(DELTA), chunk(STOP + DONE), END]], None, 200),
    "error": (CHAT, [[answer(b'{"error":{"message":"x"}}', status=500)]], None, 500),
    "cut before the head": (CHAT, [[0.02, None]], None, 502),
    "cut in the head": (CHAT, [[b"HTTP/1.1 200 OK\r\nx:", 0.02, None]], None, 502),
    "cut in the answer": (CHAT, [[answer(WHOLE)[:-5], 0.02, None]], None, 502),
    "cut in the stream": (CHAT_STREAM, [[stream_head(), chunk(DELTA), 0.02, None]], None, 200),
    "nonsense": (CHAT, [[b"SSH-2.0-x\r\n\r\n"]], None, 502),
    "no head in time": (CHAT, [[5.0]], None, 504),
    "no event in time": (CHAT_STREAM, [[stream_head(), 5.0]], None, 504),
    "no more in time": (CHAT_STREAM, [[stream_head(), chunk(DELTA), 5.0]], None, 200),
    "left before the head": (CHAT, [[5.0]], LEAVE, 499),
    "left before an event": (CHAT_STREAM, [[stream_head(), 5.0]], LEAVE, 499),
    "left in the stream": (CHAT_STREAM, [[stream_head(), chunk(DELTA), 5.0]], 50, 200),
    "left with much unread": (CHAT_STREAM, [[stream_head(), *[BIG] * 400, 5.0]], 50, 200),
}
QUICK = {"no head in time": "headers_s", "no event in time": "first_event_s", "no more in time": "idle_s"}
"""The one limit that is to run out: no other does on a machine that is slow."""


@pytest.mark.parametrize("model", [b"fast", b"twice", b"crossed"])
@pytest.mark.parametrize("end", ENDS)
async def test_every_end_is_one(tmp_path, monkeypatch, caplog, end, model):
    """One settlement; `active` back at nothing; and with no collector running, no exchange is left to hold its body."""
    body, answers, leaves, status = ENDS[end]
    settled = []
    timeouts = f", timeouts: {{{QUICK[end]}: 0.2}}" if end in QUICK else ""
    monkeypatch.setattr(UsageCounter, "settle", lambda _, exchange, status, problem: settled.append((exchange.model, status)))
    monkeypatch.setattr(lane, "LINGER_S", 0.01)
    async with upstream() as up, gateway(config(up.port, timeouts), tmp_path) as gw:
        gc.collect()
        gc.disable()
        try:
            for _ in range(2):  # on a new connection, which is made in a task, and on one that is there
                up.answers = list(answers)
                asked = len(up.requests)
                reader, writer = await asyncio.open_connection("127.0.0.1", gw.port, limit=1 << 14)
                writer.write(request(body, model))
                if leaves is None:
                    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
                elif leaves is LEAVE:
                    while len(up.requests) == asked:
                        await asyncio.sleep(0.005)
                    await asyncio.sleep(0.05)
                else:
                    await reader.readexactly(leaves)
                    await asyncio.sleep(0.1)
                if leaves is not None:
                    writer.transport.abort()
                async with asyncio.timeout(20):
                    while gw.gateway.active:
                        await asyncio.sleep(0.005)
                    writer.transport.abort()
                    while gw.state.connections:
                        await asyncio.sleep(0.005)
            if model == b"fast":
                assert [s for _, s in settled] == [status, status]
            assert len(settled) == 2
            held = [o for o in gc.get_objects() if type(o) is Exchange]
            assert held == []
            assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []
        finally:
            gc.enable()
