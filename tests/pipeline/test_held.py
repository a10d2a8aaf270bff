"""What a request holds: whatever an upstream may bill is reckoned, by what it told or else by what was seen of it."""

import pytest

from gatewright.exchange import AttemptRecord, Exchange, Reply
from gatewright.ir.response import Usage
from gatewright.limits.meters import US
from gatewright.limits.terms import Budget, Limit, Scope
from gatewright.pipeline.granted import Levels
from gatewright.pipeline.held import Holding, Ways, used_by
from gatewright.record.rows import Cost
from gatewright.stores.counters_shared import SharedCounters
from gatewright.wire.http import Call

NOW = 1_780_000_000 * US
TOLD = Usage(input=10, output=5)
SCOPE = Scope("key", "k", (Limit(60, "requests", 100), Limit(60, "tokens", 10_000)), (Budget("month", 1_000_000, (0.5,)),))


class Cents:
    """A micro-dollar a token read, ten a token written."""

    def price(self, provider, model, usage, at):
        return Cost(usage.total_input + 10 * usage.total_output, "test", "2026-01-01")

    def upper(self, candidate, input_tokens, output_tokens, *, dear=True):
        return input_tokens + 10 * output_tokens

    def flat(self, candidate):
        return None


def exchange_of(*attempts: AttemptRecord, operation="generate") -> Exchange:
    call = Call(path="/v1/chat/completions", body=b"x" * 400)
    exchange = Exchange(request_id="r", dialect="openai_chat", operation=operation, method="POST", call=call, started=0.0)
    exchange.attempts = list(attempts)
    return exchange


def tried(**more) -> AttemptRecord:
    return AttemptRecord("p/m", "openai_chat", 0.0, **{"sent": True, "status": 200, "ended": 1.0, **more})


@pytest.mark.parametrize(
    ("record", "used"),
    [
        (tried(usage=TOLD), (10, 5)),
        (tried(), (101, 0)),
        (tried(spoken=40), (101, 40)),
        (tried(sent=False), None),
        (tried(status=500, cause="failed"), None),
        (tried(cause="cut", usage=TOLD, spoken=40), (10, 40)),
        (tried(cause="cancelled", usage=TOLD, spoken=3), (10, 5)),
        (tried(usage=Usage(input=10), spoken=7), (10, 7)),
    ],
)
def test_an_attempt_is_reckoned_by_what_was_told_else_by_what_was_seen(record, used):
    """Never as nothing, where somebody may bill it; and not at all, where nobody does."""
    got = used_by(exchange_of(record), record)
    assert (None if got is None else (got.total_input, got.total_output)) == used


@pytest.fixture
def held(tmp_path):
    counters = SharedCounters(tmp_path / "c")
    granted = Levels().granted((SCOPE,), ("m",))
    holding = Holding(Ways(counters, Cents(), {}, lambda: NOW), granted, 100, 900, 600_000, True)
    holding.taken = counters.reserve(holding.claims, NOW)
    return holding


async def used(holding) -> list[int]:
    return [seen.used for seen in await holding.ways.counters.look(holding.granted.meters, NOW)]


async def test_every_attempt_that_may_be_billed_counts(held):
    """Repetitions and hedges are new spend; and what each cost is written into its record, for the ledger to find."""
    exchange = exchange_of(tried(status=503, cause="failed"), tried(cause="cut", spoken=20), tried(usage=TOLD))
    held.reckon(exchange)
    held.settle(exchange)
    held.settle(exchange)
    assert await used(held) == [101 + 200 + 10 + 50, 1, 121 + 15]
    assert [(one.cost_micros, one.price_source) for one in exchange.attempts] == [(None, ""), (301, "test"), (60, "test")]


async def test_what_nobody_was_asked_for_costs_a_request(held):
    """An answer from the cache, a refusal by a guard."""
    exchange = exchange_of()
    held.reckon(exchange)
    held.settle(exchange)
    assert await used(held) == [0, 1, 0]


async def test_what_cannot_be_reckoned_stays_reserved(held, caplog):
    """Never less than was used."""

    def broken(*_):
        raise RuntimeError

    held.ways.prices.price = broken
    exchange = exchange_of(tried(usage=TOLD))
    exchange.reserved = 600_000
    held.reckon(exchange)
    held.settle(exchange)
    assert (await used(held))[0] == 600_000
    assert "could not be reckoned" in caplog.text


def test_answers_tell_what_is_left_and_the_budget_from_its_threshold_on(held):
    """60 % are reserved, of a budget that tells from 50 % on."""
    reply = held.told(exchange_of(), Reply(200, b"x-ratelimit-remaining-requests: 9\r\ncontent-type: x\r\n"))
    assert reply.headers == (
        b"content-type: x\r\n"
        b"x-ratelimit-limit-requests: 100\r\nx-ratelimit-remaining-requests: 99\r\nx-ratelimit-reset-requests: 1m1s\r\n"
        b"x-ratelimit-limit-tokens: 10000\r\nx-ratelimit-remaining-tokens: 9000\r\nx-ratelimit-reset-tokens: 1m1s\r\n"
        b"x-gatewright-budget: 60%\r\n"
    )
    assert held.budget_left() == 400_000
