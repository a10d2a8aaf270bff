"""One attempt: recorded, let through by whoever has a say, and ended exactly once, however it ends."""

import asyncio
from types import SimpleNamespace

import pytest
from tests.plays.failing import attempts_of, error, hosts, idle
from tests.plays.scene import served

from gatewright.errors import Problem, Refused
from gatewright.exchange import Exchange, Reply
from gatewright.pipeline.asking import Asking
from gatewright.pipeline.endpoint import Candidate
from gatewright.wire.http import Call

ONE = "  m: {targets: [a/m]}"
BODY = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'


def asked(gw) -> tuple[Asking, Exchange, Candidate]:
    """Who asks, a request that has not been sent yet, and whom to ask."""
    candidate = Candidate(gw.house.current.endpoints["a"], "m")
    exchange = Exchange(
        request_id="req_1", dialect="openai_chat", operation="generate", method="POST",
        call=Call(path="/v1/chat/completions", body=BODY), started=0.0,
    )  # fmt: skip
    exchange.attempts, exchange.plan = [], (candidate,)
    return attempts_of(gw).asking, exchange, candidate


async def test_what_goes_well_is_recorded_with_its_usage(tmp_path):
    """One record, ended, with what the provider told; and nothing is left in flight."""
    async with hosts(tmp_path, "openai_chat", models=ONE) as gw:
        asking, exchange, candidate = asked(gw)
        reply = await asking.ask(exchange, candidate, hold=False, last=True)
        (record,) = exchange.attempts
        assert (reply.status, record.status, record.cause, record.sent) == (200, 200, None, True)
        assert record.ended >= record.began > 0
        assert (record.usage.total_input, record.usage.total_output) == (10, 5)
        assert record.ttft_s is not None
        assert idle(gw)


@pytest.mark.parametrize(
    ("steps", "status", "cause"),
    [
        ([error(500)], 500, "broken"),
        ([error(429)], 429, "throttled"),
        ([error(401)], 502, "our_credential"),
        ([None], 502, "cut"),
    ],
)
async def test_a_failure_is_a_reply_with_a_problem(tmp_path, steps, status, cause):
    """Whoever goes on after it is given it; the record says what the provider did, whatever the client is told."""
    async with hosts(tmp_path, "openai_chat", models=ONE) as gw:
        gw.a.answers = [steps]
        asking, exchange, candidate = asked(gw)
        seen = []

        async def failed(exchange: Exchange, reply: Reply, *, hold: bool) -> Reply:
            seen.append((exchange, hold))
            return reply

        reply = await asking.ask(exchange, candidate, hold=True, last=True, failed=failed)
        assert (reply.status, exchange.attempts[0].cause) == (status, cause)
        assert reply.problem is not None
        assert seen == [(exchange, True)]
        assert idle(gw)


async def test_a_target_whose_circuit_is_open_is_passed_over_unless_forced(tmp_path):
    """Recorded as not made; nothing is sent, but to the last that can be asked."""
    async with hosts(tmp_path, "openai_chat", models=ONE, routing="breaker: {in_a_row: 1, open_s: 60}") as gw:
        gw.a.answers = [[error(500)], served("openai_chat")]
        asking, exchange, candidate = asked(gw)
        await asking.ask(exchange, candidate, hold=False, last=False)
        reply = await asking.ask(exchange, candidate, hold=False, last=False)
        assert (reply.problem.code, exchange.attempts[-1].cause, exchange.attempts[-1].sent) == (
            "target_unavailable",
            "open",
            False,
        )
        assert len(gw.a.requests) == 1
        assert (await asking.ask(exchange, candidate, hold=False, last=True, force=True)).status == 200
        assert idle(gw)


async def test_a_client_that_leaves_gives_its_place_back(tmp_path):
    """While it waits for the upstream, and while it waits in the queue."""
    async with hosts(tmp_path, "openai_chat", models=ONE, providers="max_concurrent: 1") as gw:
        gw.a.answers = [[30.0]]
        asking, exchange, candidate = asked(gw)
        _, other, _ = asked(gw)
        tasks = []
        for one in (exchange, other):
            tasks.append(asyncio.ensure_future(asking.ask(one, candidate, hold=False, last=True, patience_s=10)))
            await asyncio.sleep(0.1)
        assert len(gw.a.requests) == 1
        for task in reversed(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [one.attempts[0].cause for one in (exchange, other)] == ["cancelled", "cancelled"]
        assert [one.attempts[0].sent for one in (exchange, other)] == [True, False]
        assert idle(gw)


async def test_what_cannot_be_written_down_is_not_sent(tmp_path):
    """Before there is a record: the request has not begun."""

    def refuses(*_: object) -> None:
        raise Refused(Problem(kind="overloaded", message="no room"))

    async with hosts(tmp_path, "openai_chat", models=ONE) as gw:
        inner, exchange, candidate = asked(gw)
        asking = Asking(inner.attempt, inner.health, SimpleNamespace(begun=refuses))
        with pytest.raises(Refused):
            await asking.ask(exchange, candidate, hold=False, last=True)
        assert exchange.attempts == []
        assert gw.a.requests == []
        assert idle(gw)
