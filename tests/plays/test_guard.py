"""Whatever a rule forbids neither reaches a provider nor comes back, in any dialect, whole or streamed."""

import json

import pytest

from gatewright.ir.blocks import ToolCall
from gatewright.ir.events import BlockStart
from tests.plays.guarded import APIS, FORBIDDEN, behind, error_of, events_of, rule, text_of
from tests.plays.same import CLIENTS, ask, said, understood
from tests.plays.scene import only_tally

WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
CLIENT = pytest.mark.parametrize("client", CLIENTS)
API = pytest.mark.parametrize("api", APIS)


@WAYS
@CLIENT
async def test_a_forbidden_request_reaches_nobody(tmp_path, client, stream):
    """It is refused in the client's dialect, naming the rule and not the words."""
    async with behind(tmp_path, rule("no-plans", "secret plan", direction="request")) as gw:
        got = await ask(gw, client, "anthropic-plain", "the secret plan is this", stream=stream)
        assert got.status == 400
        assert b"no-plans" in got.body
        assert b"secret plan" not in got.body
        assert gw.upstream.requests == []
        fine = await ask(gw, client, "anthropic-plain", "the plan is this", stream=stream)
        assert "the plan is this" in said(understood(client, fine, stream=stream))[0]


@WAYS
@CLIENT
@API
async def test_nothing_of_a_forbidden_answer_arrives(tmp_path, api, client, stream):
    """A whole one is an error; a stream tells what stands before it, and then ends in the dialect's error."""
    async with behind(tmp_path, rule("no-greetings", FORBIDDEN, direction="answer")) as gw:
        got = await ask(gw, client, f"{api}-plain", "say it", stream=stream)
        assert FORBIDDEN[:2].encode() not in got.body
        assert b"no-greetings" in got.body
        if stream:
            assert got.status == 200
            assert text_of(client, got.body).endswith("heard: say it ")
            assert "no-greetings" in error_of(client, got.body)
        else:
            assert got.status == 400
            assert b"heard" not in got.body
        tally = only_tally(gw)
        assert tally.requests == 1


@WAYS
@CLIENT
@API
async def test_what_no_rule_objects_to_arrives_as_it_was(tmp_path, api, client, stream):
    """The same answer with and without rules that find nothing."""
    async with behind(tmp_path, rule("none", "never said")) as gw:
        for text, tool in (("tell me", False), ("[[say-call]] weather?", True)):
            got = await ask(gw, client, f"{api}-thinks", text, stream=stream, tool=tool)
            guarded = understood(client, got, stream=stream)
            async with behind(tmp_path, rule("none", "never said", scope="{models: [elsewhere]}")) as bare:
                plain = understood(
                    client, await ask(bare, client, f"{api}-thinks", text, stream=stream, tool=tool), stream=stream
                )
            assert said(guarded) == said(plain)
            assert [type(block) for block in guarded.blocks] == [type(block) for block in plain.blocks]
            assert guarded.usage == plain.usage


@WAYS
@CLIENT
@API
async def test_what_is_redacted_goes_out_as_a_placeholder_and_comes_back(tmp_path, api, client, stream):
    """The provider never has the words; the client has them where the answer says them."""
    rules = rule("names", "[A-Z]lice [A-Z]ooper", action="redact", direction="request", reversible="true")
    async with behind(tmp_path, rules) as gw:
        got = await ask(gw, client, f"{api}-plain", "greet Alice Cooper today", stream=stream)
        (sent,) = gw.upstream.requests
        assert b"Alice" not in sent.body
        assert b"<pattern_1>" in sent.body.replace(b"\\u003c", b"<").replace(b"\\u003e", b">")
        assert "heard: greet Alice Cooper today" in said(understood(client, got, stream=stream))[0]


@WAYS
@CLIENT
async def test_what_is_redacted_in_an_answer_does_not_come_back(tmp_path, client, stream):
    async with behind(tmp_path, rule("greetings", FORBIDDEN, action="redact", direction="answer")) as gw:
        got = await ask(gw, client, "openai_chat-plain", "say it", stream=stream)
        text, _, _ = said(understood(client, got, stream=stream))
        assert text.startswith("gpt")
        assert FORBIDDEN not in text
        assert "<pattern_1> 👋 \u2028 end." in text


@WAYS
@CLIENT
async def test_a_forbidden_call_is_never_told(tmp_path, client, stream):
    """Not even its beginning: a call leaves when all its arguments were looked at."""
    async with behind(tmp_path, rule("no-paris", "Paris", parts="[tool_call]")) as gw:
        got = await ask(gw, client, "openai_chat-plain", "[[say-call]] weather?", stream=stream, tool=True)
        assert b"Par" not in got.body
        assert not any(isinstance(one, BlockStart) and isinstance(one.block, ToolCall) for one in events_of(client, got.body))
        assert b"no-paris" in got.body
        assert not stream or text_of(client, got.body) == "I will look it up."


@WAYS
@CLIENT
@pytest.mark.parametrize("text", ["the secret plan", "say it"], ids=["request", "answer"])
async def test_a_rule_may_end_it_as_a_refusal(tmp_path, client, text, stream):
    """An ordinary answer in which the model declines: for programs that take errors badly."""
    rules = rule("plans", "secret plan", direction="request"), rule("greetings", FORBIDDEN, direction="answer")
    async with behind(tmp_path, *rules, ends_as="refusal") as gw:
        got = await ask(gw, client, "gemini-plain", text, stream=stream)
        assert got.status == 200
        assert FORBIDDEN.encode() not in got.body
        answer = understood(client, got, stream=stream)
        assert answer.finish is not None
        assert answer.finish.reason in ("refusal", "content_filter", "stop")
        assert b"was blocked by the rule" in got.body


async def test_what_is_flagged_passes_and_is_told_in_a_header(tmp_path):
    rules = (
        rule("curious", "why", action="flag"),
        rule("quiet", "why", action="log"),
        rule("tried", "why", dry_run="true"),
    )
    async with behind(tmp_path, *rules) as gw:
        got = await ask(gw, "openai_chat", "openai_chat-plain", "why not?")
        assert got.status == 200
        assert got.headers["x-gatewright-guard"] == "curious;pattern"


async def test_bytes_that_no_rule_changes_stay_as_they_are(tmp_path):
    """A whole answer goes on byte for byte."""
    async with behind(tmp_path, rule("curious", "heard", action="flag")) as gw:
        got = await ask(gw, "openai_chat", "openai_chat-plain", "hi")
        assert got.headers["x-gatewright-guard"] == "curious;pattern"
        assert json.loads(got.body)["object"] == "chat.completion"
