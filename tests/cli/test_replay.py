"""`gatewright replay`: the recorded request goes to a gateway again, and both answers stand side by side."""

import asyncio
import json
import os
import sys

import pytest
from tests.record.tracing import ANSWER, ASKED, message, trace
from tests.serving import KEY, answer, gateway, upstream

from gatewright.stores.traces import open_traces

NOW = ANSWER.replace(b"Looking.", b"I look it up.").replace(b"chatcmpl-1", b"chatcmpl-2").replace(b"gpt-5-2026", b"gpt-6")
STREAM = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"model":"claude-x","content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"High."}}\n\n'
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)


def config(port):
    return f"""
providers:
  up: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", api_key: sk-up-0123456789, dialects: [openai_chat]}}
  claude: {{kind: anthropic, base_url: "http://127.0.0.1:{port}", api_key: sk-up-0123456789}}
models: {{smart: {{targets: [up/gpt-5]}}, other: {{targets: [up/gpt-6]}}, claude-x: {{targets: [claude/claude-x]}}}}
pricing: {{models: {{"up/gpt-6": {{input: 2, output: 10}}}}}}
"""


async def replay(tmp_path, *words, code=0):
    """The command as a process of its own: (standard output, standard error)."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "COLUMNS": "160"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gatewright", "replay", *words, "--config", str(tmp_path / "gatewright.yaml"),
        env=environ | {"GATEWRIGHT_HOME": str(tmp_path)}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == code, (out + err).decode()
    return out.decode(), err.decode()


def kept(gw, *traces):
    store = open_traces(gw.house.current.config.server.state_dir)
    store.write(traces)
    store.close()


async def test_another_model_answers_the_same_request(tmp_path):
    """Only the model's name changes; text, calls, figures and cost stand beside the recorded ones."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(NOW)]]
        kept(gw, trace())
        base = f"http://127.0.0.1:{gw.port}"
        out, _ = await replay(tmp_path, "req_0001", "--model", "other", "--base-url", base, "--format", "json")
        sent = json.loads(up.body())
        asked = json.loads(ASKED)
        assert sent["model"] == "gpt-6"
        assert (sent["messages"], sent["tools"], sent["stop"]) == (asked["messages"], asked["tools"], asked["stop"])
        told = json.loads(out)
        facts = {fact["name"]: (fact["a"], fact["b"]) for fact in told["facts"]}
        assert facts["asked for"] == ("smart", "other")
        assert facts["answered by"] == ("openai/gpt-5", "up/gpt-6")
        assert [piece["op"] for piece in told["text"] if piece["op"] != "same"]
        assert [call["op"] for call in told["calls"]] == ["same"]
        figures = {figure["name"]: (figure["a"], figure["b"]) for figure in told["figures"]}
        assert figures["tokens read"] == (21, 21)
        assert figures["cost"] == (116, 21 * 2 + 9 * 10)
        assert figures["whole answer"][1] > 0


async def test_a_stream_is_replayed_as_a_stream(tmp_path):
    """The request asks for one; what came is folded, and shown as one text."""
    asked = b'{"model":"claude-x","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"Tide?"}]}'
    recorded = trace(
        client_dialect="anthropic", path="/v1/messages", asked="claude-x", stream=True, request=message(asked),
        answer=message(STREAM.replace(b"High.", b"Low."), (("content-type", "text/event-stream"),)),
    )  # fmt: skip
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(STREAM, content_type="text/event-stream")]]
        kept(gw, recorded)
        out, _ = await replay(tmp_path, "last", "--base-url", f"http://127.0.0.1:{gw.port}/v1")
        assert "Low." in out
        assert "High." in out


async def test_no_gateway_need_run(tmp_path):
    """`--in-process`: the configuration's own gateway for one request; its answer can be kept as a case."""
    async with upstream() as up:
        up.answers = [[answer(NOW)]]
        async with gateway(config(up.port), tmp_path) as gw:
            kept(gw, trace())
        out, err = await replay(tmp_path, "--in-process", "--write-test", str(tmp_path / "corpus"))
        assert "I look it up." in out
        [file] = (tmp_path / "corpus" / "openai_chat").glob("*.json")
        case = json.loads(file.read_text())
        assert case["response"]["body"]["choices"][0]["message"]["content"] == "I look it up."
        assert "laws" in err


async def test_a_refusal_is_told_with_its_reason(tmp_path):
    """Exit code 1, and what the gateway said."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        kept(gw, trace())
        base = f"http://127.0.0.1:{gw.port}"
        _, err = await replay(tmp_path, "--model", "nothing-like-it", "--base-url", base, code=1)
        assert "refused with 404" in err
        assert "nothing-like-it" in err
        _, err = await replay(tmp_path, "--key", "gw-wrong-key", "--base-url", base, code=1)
        assert "refused with 401" in err
        assert not up.requests


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"request": message(ASKED[:50]).__class__(body=ASKED[:50], size=len(ASKED))}, "only 50 of"),
        ({"operation": "forward", "path": "/v1/embeddings"}, "another model can be asked for model calls alone"),
    ],
)
async def test_what_cannot_be_sent_again_is_said(tmp_path, changes, words):
    """A request that was cut would be another one."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        kept(gw, trace(**changes))
        _, err = await replay(tmp_path, "--model", "other", "--base-url", f"http://127.0.0.1:{gw.port}", code=2)
        assert words in err
        assert not up.requests


async def test_nobody_there_is_told(tmp_path):
    """And what to do."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        kept(gw, trace())
        _, err = await replay(tmp_path, "--base-url", "http://127.0.0.1:9", code=2)
        assert "gatewright serve" in err
        assert "--in-process" in err
        assert KEY not in err
