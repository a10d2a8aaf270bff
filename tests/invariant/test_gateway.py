"""A policy in Invariant's language before a real upstream: what it forbids reaches nobody, in any dialect, whole or streamed."""

import json

import pytest

from tests.plays.guarded import behind, error_of, text_of
from tests.plays.same import CLIENTS, ask, said, understood

WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
CLIENT = pytest.mark.parametrize("client", CLIENTS)

ASKED = 'raise "no such plan" if:\n    (msg: Message)\n    msg.role == "user"\n    "secret plan" in msg.content'
FLOW = 'raise "no tool after weather" if:\n    (msg: Message) -> (call: ToolCall)\n    msg.role == "user"\n    match(".*weather", msg.content)'


def policy(name, text, **settings):
    more = "".join(f", {key}: {value}" for key, value in settings.items())
    return f"    - {{name: {name}, kind: invariant, policy: {json.dumps(text)}{more}}}"


@WAYS
@CLIENT
async def test_a_request_that_breaks_a_policy_reaches_nobody(tmp_path, client, stream):
    async with behind(tmp_path, policy("plans", ASKED)) as gw:
        got = await ask(gw, client, "anthropic-plain", "the secret plan is this", stream=stream)
        assert got.status == 400
        assert b"plans" in got.body
        assert gw.upstream.requests == []
        fine = await ask(gw, client, "anthropic-plain", "the plan is this", stream=stream)
        assert "the plan is this" in said(understood(client, fine, stream=stream))[0]


@WAYS
@CLIENT
async def test_a_call_that_a_flow_forbids_is_not_shown(tmp_path, client, stream):
    """The user's words are in the request, the call in the answer; only together they break the policy."""
    async with behind(tmp_path, policy("flow", FLOW)) as gw:
        got = await ask(gw, client, "anthropic-plain", "[[say-call]] weather?", stream=stream, tool=True)
        assert len(gw.upstream.requests) == 1
        assert b"flow" in got.body
        assert b'"arguments"' not in got.body
        assert b'"input_json_delta"' not in got.body
        if stream:
            assert "flow" in error_of(client, got.body)
            assert "get_weather" not in text_of(client, got.body)
        else:
            assert got.status == 400
        fine = await ask(gw, client, "anthropic-plain", "[[say-call]] rain?", stream=stream, tool=True)
        assert any(type(block).__name__ == "ToolCall" for block in understood(client, fine, stream=stream).blocks)
