"""Attempts: the planned candidates are tried until one answers; the record says what was done, and nothing is left in flight."""

import asyncio

import pytest
from tests.plays.failing import attempts_of, error, hosts, idle, soon
from tests.plays.scene import IN_STREAM_ERROR, asking, frames, served
from tests.serving import END, chunk, stream_head

from gatewright.exchange import Exchange, Reply
from gatewright.pipeline.endpoint import Candidate
from gatewright.wire import json as wire_json
from gatewright.wire.http import Call

TWO = "  m: {targets: [a/m], fallback: [b/m]}"
ONE = "  m: {targets: [a/m]}"
ALONE = "retry: {tries_each: 1, tries_all: 6, base_s: 0.01, cap_s: 0.02}"


def asked(gw, *names: str, stream: bool = False) -> Exchange:
    """A request that is planned, and not sent yet."""
    body = wire_json.encode(asking("openai_chat", "m", stream=stream))
    exchange = Exchange(
        request_id="req_1", dialect="openai_chat", operation="generate", method="POST",
        call=Call(path="/v1/chat/completions", body=body), started=gw.house.current.health.clock(), stream=stream, model="m",
    )  # fmt: skip
    below = gw.gateway.stacks.by_operation["target_health"]
    while not hasattr(below.func, "router"):
        below = below.keywords["following"]
    exchange.route = below.func.router.exact["m"]
    exchange.attempts = []
    exchange.plan = tuple(Candidate(gw.house.current.endpoints[name], "m") for name in names)
    return exchange


async def nobody(exchange: Exchange) -> Reply:
    raise AssertionError("attempts are the innermost stage")


async def told(exchange: Exchange, reply: Reply) -> str:
    """The whole answer, as its client reads it."""
    said = reply.body
    while reply.source is not None and (segment := await reply.source.next()) is not None:
        said += segment.wire
    return said.decode()


def causes(exchange: Exchange) -> list[tuple[str, str | None]]:
    return [(record.target, record.cause) for record in exchange.attempts]


async def test_what_goes_well_is_one_attempt(tmp_path):
    """The first of the plan serves; the others are not asked."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO) as gw:
        exchange = asked(gw, "a", "b")
        reply = await attempts_of(gw)(exchange, nobody)
        assert (reply.status, causes(exchange), exchange.served) == (200, [("a/m", None)], "a/m")
        assert gw.b.requests == []
        assert idle(gw)


async def test_each_is_tried_in_turn_until_one_answers(tmp_path):
    """Every try has its record, ended, in order."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", "openai_chat", models=TWO, routing=ALONE) as gw:
        gw.a.answers, gw.b.answers = [[error(500)]], [[None]]
        exchange = asked(gw, "a", "b", "c")
        reply = await attempts_of(gw)(exchange, nobody)
        assert reply.status == 200
        assert causes(exchange) == [("a/m", "broken"), ("b/m", "cut"), ("c/m", None)]
        assert [record.began for record in exchange.attempts] == sorted(record.began for record in exchange.attempts)
        assert all(record.ended for record in exchange.attempts)
        assert idle(gw)


async def test_the_same_is_tried_again_after_a_wait_that_is_recorded(tmp_path):
    """The wait is that of the attempt behind it."""
    async with hosts(tmp_path, "openai_chat", models=ONE) as gw:
        gw.a.answers = [[error(503)], served("openai_chat")]
        exchange = asked(gw, "a")
        assert (await attempts_of(gw)(exchange, nobody)).status == 200
        assert causes(exchange) == [("a/m", "overloaded"), ("a/m", None)]
        first, second = exchange.attempts
        assert first.waited_s == 0
        assert second.waited_s > 0
        assert second.began - first.ended >= second.waited_s * 0.9


async def test_what_the_client_must_mend_is_its_to_mend(tmp_path):
    """Nobody else is asked, and the provider's words come through."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO) as gw:
        gw.a.answers = [[error(400, "no such tool", kind="invalid_request_error")]]
        exchange = asked(gw, "a", "b")
        reply = await attempts_of(gw)(exchange, nobody)
        assert (reply.status, causes(exchange)) == (400, [("a/m", "client")])
        assert "no such tool" in reply.problem.message
        assert gw.b.requests == []


@pytest.mark.parametrize("out", [0, 2])
async def test_once_content_is_out_nothing_is_tried_again(tmp_path, out):
    """Before it, another serves and the client sees nothing of it; behind it, the error is told."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO, routing=ALONE) as gw:
        before = [chunk(frame) for frame in frames("openai_chat")[:out]]
        gw.a.answers = [[stream_head(), *before, chunk(IN_STREAM_ERROR["openai_chat"]), END]]
        gw.b.answers = [served("openai_chat", stream=True, text="from b")]
        exchange = asked(gw, "a", "b", stream=True)
        said = await told(exchange, await attempts_of(gw)(exchange, nobody))
        assert ("try later" in said, len(gw.b.requests)) == ((True, 0) if out else (False, 1))
        assert [target for target, _ in causes(exchange)] == (["a/m"] if out else ["a/m", "b/m"])
        await soon(lambda: idle(gw))


async def test_where_all_fail_the_answer_names_them(tmp_path):
    """As many tries as the rule allows, and no more."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO, routing=ALONE.replace("6", "3")) as gw:
        gw.a.answers = gw.b.answers = [[error(500)]]
        exchange = asked(gw, "a", "b")
        reply = await attempts_of(gw)(exchange, nobody)
        assert reply.problem is not None
        assert reply.status >= 500
        assert causes(exchange) == [("a/m", "broken"), ("b/m", "broken"), ("a/m", "broken")]
        assert "a/m" in reply.problem.message
        assert "b/m" in reply.problem.message


async def test_an_open_circuit_is_the_last_resort(tmp_path):
    """It is passed over while others may serve, and asked all the same when they have failed."""
    routing = ALONE + ", breaker: {in_a_row: 1, open_s: 60}"
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO, routing=routing) as gw:
        gw.a.answers = [[error(500)], served("openai_chat")]
        await attempts_of(gw)(asked(gw, "a"), nobody)
        gw.b.answers = [[error(500)]]
        exchange = asked(gw, "a", "b")
        assert (await attempts_of(gw)(exchange, nobody)).status == 200
        assert causes(exchange) == [("a/m", "open"), ("b/m", "broken"), ("a/m", None)]
        assert [record.sent for record in exchange.attempts] == [False, True, True]


async def test_where_nobody_can_be_asked_nobody_is(tmp_path):
    """The answer is there at once, and says so."""
    routing = ALONE + ", breaker: {in_a_row: 1, open_s: 60}"
    async with hosts(tmp_path, "openai_chat", models=ONE, routing=routing) as gw:
        gw.a.answers = [[error(500)]]
        await attempts_of(gw)(asked(gw, "a"), nobody)
        exchange = asked(gw, "a")
        reply = await attempts_of(gw)(exchange, nobody)
        assert (reply.problem.code, causes(exchange)) == ("target_unavailable", [("a/m", "open")])
        assert len(gw.a.requests) == 1


async def test_who_waits_before_a_repetition_is_told_when_the_gateway_stops(tmp_path):
    """The pause is over at once, and so is that of a client that leaves."""
    async with hosts(tmp_path, "openai_chat", models=ONE) as gw:
        stage = attempts_of(gw)
        waiting = asyncio.ensure_future(stage.pause(60))
        leaving = asyncio.ensure_future(stage.pause(60))
        await soon(lambda: len(stage._pauses) == 2)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert len(stage._pauses) == 1
        stage.stop()
        await asyncio.wait_for(waiting, 5)
        assert not stage._pauses
