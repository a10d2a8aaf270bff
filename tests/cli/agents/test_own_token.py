"""Claude Code with its user's own subscription, through a gateway that has no key for Anthropic."""

import asyncio
import contextlib
import json

import pytest
from tests.cli.agents.agents import CLAUDE_CODE, environment
from tests.cli.agents.installed import command
from tests.serving import KEY, gateway

pytestmark = [pytest.mark.cli, pytest.mark.usefixtures("agents")]

TOKEN = "sk-ant-oat01-not-a-real-one"
START = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": [], "stop_reason": None, "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}  # fmt: skip
EVENTS = (
    {"type": "message_start", "message": START},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "pong"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
)


async def test_a_subscription_passes_through(tmp_path):
    """Its token and beta flags arrive as if there were no gateway; the gateway's key, in a header of its own, does not."""
    heads = []

    async def anthropic(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                heads.append({n.lower(): v for n, _, v in (line.partition(": ") for line in head.split("\r\n")[1:])})
                await reader.readexactly(int(heads[-1].get("content-length", 0)))
                data = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in EVENTS).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(data) + data
                )
        writer.close()

    server = await asyncio.start_server(anthropic, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    config = f"""
providers: {{anthropic: {{base_url: 'http://127.0.0.1:{port}', credentials: client}}}}
models: {{'claude-*': {{targets: ['anthropic/claude-*']}}}}
"""
    async with gateway(config, tmp_path) as gw:
        settings = environment(CLAUDE_CODE, tmp_path) | {
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{gw.port}",
            "ANTHROPIC_CUSTOM_HEADERS": f"x-gatewright-key: {KEY}",
            "CLAUDE_CODE_OAUTH_TOKEN": TOKEN,
        }
        process = await asyncio.create_subprocess_exec(
            *command("claude-code"), "-p", "ping", env=settings, cwd=tmp_path,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        told, complaints = await asyncio.wait_for(process.communicate(), 100)
    server.close()
    assert told.decode().strip() == "pong", complaints.decode()
    assert heads
    for head in heads:
        assert head["authorization"] == f"Bearer {TOKEN}"
        assert "oauth-2025-04-20" in head["anthropic-beta"]
        assert "x-api-key" not in head
        assert KEY not in str(head)
