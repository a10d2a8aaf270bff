"""Conversations of ordinary paths, pushed to Explorer where the operator wants it."""

import json

import pytest

from tests.identity import serving
from tests.plays.invariant_scene import Explorer
from tests.plays.scene import ask, providers, served
from tests.serving import gateway, upstream


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses", "anthropic", "gemini"])
@pytest.mark.parametrize("stream", [False, True])
async def test_every_dialect_is_pushed(tmp_path, dialect, stream):
    """Whoever answers: here another dialect's provider. Nothing is kept beside."""
    explorer = Explorer()
    async with upstream() as up, serving(explorer.answer) as port:
        settings = {"url": f"http://127.0.0.1:{port}", "key": "inv-9c2f61", "dataset": "everything"}
        config = f"{providers(up.port)}\ntraces: {{explorer: {json.dumps(settings)}}}"
        async with gateway(config, tmp_path) as gw:
            other = "to-anthropic" if dialect != "anthropic" else "to-openai_chat"
            up.answers = [served(other.removeprefix("to-"), stream=stream)]
            got = await ask(gw, dialect, other, "How are you?", stream=stream)
            assert got.status == 200, got.body
            trace = await explorer.trace()
            assert trace["dataset"] == "everything"
            (said,) = trace["messages"]
            assert [message["role"] for message in said] == ["user", "assistant"]
            assert "hello" in json.dumps(said[-1])
            assert trace["metadata"][0]["gatewright_trace"] == got.headers["x-request-id"]
