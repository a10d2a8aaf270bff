"""Rules that ask somebody: beside the call, before any of its answer, and on the answer before it leaves."""

import asyncio
import json

import pytest

from gatewright.pipeline.guard_kinds import ASKED_KINDS
from tests.plays.asked_kind import NAME, ORACLES, WHERE, Oracle
from tests.plays.guarded import guards
from tests.plays.scene import ask, events, frames, only_tally, providers, served, whole
from tests.serving import END, answer, chunk, gateway, stream_head, upstream

WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.fixture
def oracle(monkeypatch):
    monkeypatch.setitem(ASKED_KINDS, NAME, WHERE)
    ORACLES.append(Oracle())
    yield ORACLES[-1]
    ORACLES.pop()


def config(port: int, **settings: object) -> str:
    more = "".join(f", {key}: {value}" for key, value in settings.items())
    return providers(port) + guards(f"    - {{name: asked, kind: {NAME}{more}}}")


async def until(true) -> None:
    """Give the loop turns until something is so; the test's own timeout is the end of patience."""
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


@WAYS
async def test_a_verdict_that_forbids_ends_the_call_that_runs(tmp_path, oracle, stream):
    """The provider works already; it is left, the client is refused, and the request is in the books once."""
    async with upstream() as up, gateway(config(up.port, direction="request"), tmp_path) as gw:
        up.answers = [[30.0, answer(b"{}")]]
        asking = asyncio.ensure_future(ask(gw, "openai_chat", "to-openai_chat", "SESAME", stream=stream))
        await until(lambda: up.requests and oracle.asked)
        oracle.free.set()
        got = await asking
        assert got.status == 400
        assert b"'asked'" in got.body
        await asyncio.wait_for(up.closed.wait(), 10)
        tally = only_tally(gw)
        assert (tally.requests, tally.errors) == (1, 1)


@WAYS
async def test_nothing_of_an_answer_leaves_before_the_verdict(tmp_path, oracle, stream):
    """The provider has answered; the client waits for who was asked."""
    async with upstream() as up, gateway(config(up.port, direction="request"), tmp_path) as gw:
        up.answers = [served("openai_chat", stream=stream)]
        asking = asyncio.ensure_future(ask(gw, "openai_chat", "to-openai_chat", "hi", stream=stream))
        await until(lambda: up.requests and oracle.asked)
        done, _ = await asyncio.wait((asking,), timeout=0.2)
        assert not done
        oracle.free.set()
        got = await asking
        assert got.status == 200
        assert b"hello" in got.body


async def test_a_verdict_that_comes_after_the_answer_forbids_it_all_the_same(tmp_path, oracle):
    async with upstream() as up, gateway(config(up.port, direction="request"), tmp_path) as gw:
        up.answers = [served("openai_chat", stream=True)]
        asking = asyncio.ensure_future(ask(gw, "openai_chat", "to-openai_chat", "SESAME", stream=True))
        await until(lambda: up.requests and oracle.asked)
        await asyncio.wait((asking,), timeout=0.1)
        oracle.free.set()
        got = await asking
        assert got.status == 400
        assert b"hello" not in got.body


async def test_a_rule_may_want_to_speak_first(tmp_path, oracle):
    """`concurrent: false`: no provider hears of it before."""
    async with upstream() as up, gateway(config(up.port, direction="request", concurrent="false"), tmp_path) as gw:
        up.answers = [served("openai_chat")]
        asking = asyncio.ensure_future(ask(gw, "openai_chat", "to-openai_chat"))
        await until(lambda: oracle.asked)
        assert up.requests == []
        oracle.free.set()
        assert (await asking).status == 200


@WAYS
@pytest.mark.parametrize("word", ["hello", "never"], ids=["forbidden", "allowed"])
async def test_an_answer_waits_for_who_is_asked_about_it(tmp_path, oracle, stream, word):
    """A rule over words that may block holds all of them until it has spoken."""
    oracle.word = word
    async with upstream() as up, gateway(config(up.port, direction="answer"), tmp_path) as gw:
        up.answers = [served("openai_chat", stream=stream)]
        asking = asyncio.ensure_future(ask(gw, "openai_chat", "to-openai_chat", stream=stream))
        await until(lambda: oracle.asked)
        oracle.free.set()
        got = await asking
        ((_, told, texts),) = oracle.asked
        assert told is not None
        assert "hello" in texts
        assert (b"hello" in got.body) is (word == "never")
        assert (b"'asked'" in got.body) is (word == "hello")


@WAYS
async def test_a_rule_over_calls_lets_the_words_before_them_flow(tmp_path, oracle, stream):
    """Asked about a call when it is complete; what it forbids is never told."""
    oracle.word = "Paris"
    document = whole("openai_chat", "well")
    function = {"name": "fly", "arguments": '{"to": "Paris"}'}
    document["choices"][0]["message"]["tool_calls"] = [{"id": "c1", "type": "function", "function": function}]
    begun, content, end = frames("openai_chat", "well")
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    pieces = (
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "fly", "arguments": '{"to": '}},
        {"index": 0, "function": {"arguments": '"Par'}},
        {"index": 0, "function": {"arguments": 'is"}'}},
    )
    calls = [
        b"data: " + json.dumps({**base, "choices": [{"index": 0, "delta": {"tool_calls": [one]}}]}).encode() + b"\n\n"
        for one in pieces
    ]
    oracle.free.set()
    async with upstream() as up, gateway(config(up.port, direction="answer", parts="[tool_call]"), tmp_path) as gw:
        streamed = [stream_head(), *map(chunk, (begun, content, *calls, end)), END]
        up.answers = [streamed if stream else [answer(json.dumps(document).encode())]]
        got = await ask(gw, "openai_chat", "to-openai_chat", stream=stream)
        assert b"Par" not in got.body
        assert b"fly" not in got.body
        assert b"'asked'" in got.body
        if stream:
            assert any(choice["delta"].get("content") == "well" for one in events(got.body)[:-1] for choice in one["choices"])


async def test_what_cannot_be_checked_does_not_pass(tmp_path, oracle):
    """A check that fails on a bug is a finding like any other."""
    oracle.breaks = True
    oracle.free.set()
    async with upstream() as up, gateway(config(up.port, direction="request"), tmp_path) as gw:
        up.answers = [served("openai_chat")]
        assert (await ask(gw, "openai_chat", "to-openai_chat")).status == 400


async def test_who_is_asked_is_left_where_the_call_fails(tmp_path, oracle):
    """Nobody waits for a verdict on an answer that there is not."""
    async with upstream() as up, gateway(config(up.port, direction="request"), tmp_path) as gw:
        up.answers = [[answer(b'{"error": {"message": "no", "type": "invalid_request_error"}}', status=400)]]
        got = await ask(gw, "openai_chat", "to-openai_chat")
        assert (got.status, oracle.cancelled, len(oracle.asked)) == (400, 1, 1)
