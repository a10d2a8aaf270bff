"""What a request reserves: the same whether it is the first of its kind or one of many."""

import json
import time

import pytest
from tests.pipeline.stub_free import endpoint

from gatewright.dialects import BY_NAME
from gatewright.exchange import Exchange, Principal
from gatewright.limits.terms import Budget, Limit, Scope
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.held import Ways
from gatewright.pipeline.limit import LimitCheck, Limits
from gatewright.providers.price_rules import PriceRules
from gatewright.providers.prices import PriceBook
from gatewright.providers.pricing import Prices
from gatewright.stores.counters_batch import Batch
from gatewright.stores.counters_batched import BatchedCounters
from gatewright.wire.http import Call

SCOPE = Scope("key", "k", (Limit(60, "tokens", 10**9),), (Budget("month", 10**12),))
PRINCIPAL = Principal(name="k", scopes=(SCOPE,))
NOW = time.time_ns() // 1000


class CountersElsewhere(BatchedCounters):
    """Counters that must be waited for."""

    prepared = 0

    def open(self, kind, reads, writes, micros, now):
        return None

    def prepare(self, kind, reads, writes, micros):
        self.prepared += 1


@pytest.fixture
def limits(tmp_path):
    prices = Prices(PriceBook(), PriceRules(hosts={"up": "openai"}))
    return Limits(Ways(BatchedCounters(tmp_path), prices, BY_NAME, lambda: NOW))


def asked(plan, *, principal=PRINCIPAL, operation="generate", **body) -> Exchange:
    call = Call(
        path="/v1/chat/completions",
        body=json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 900}], **body}).encode(),
    )
    exchange = Exchange(request_id="r", dialect="openai_chat", operation=operation, method="POST", call=call, started=0.0)
    exchange.principal, exchange.model, exchange.plan = principal, "m", plan
    return exchange


def plan(model: str) -> tuple[Candidate]:
    return (Candidate(endpoint("up"), model),)


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-4o", "gpt-5", "gpt-5.4", "no-such-model"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"max_tokens": 50, "n": 3},
        {"max_completion_tokens": 10**7},
        {"service_tier": "priority"},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}]},
    ],
    ids=["plain", "several", "longest", "tier", "picture"],
)
def test_what_is_remembered_of_a_model_reserves_the_same(limits, model, body):
    """A price that does not depend on the body is not looked for again, and the sum is the one that the list gives."""
    known = plan(model)
    limits.wanted(asked(known), NOW)
    found = limits.wanted(asked(known, **body), NOW)
    first = limits.wanted(asked(plan(model), **body), NOW)  # another plan: reckoned anew
    assert (found.reads, found.writes, found.micros, found.sure) == (first.reads, first.writes, first.micros, first.sure)
    assert found.micros == limits._most(asked(known, **body), found.writes)


def test_some_prices_are_remembered_and_some_are_not(limits):
    """Or the test above would say nothing."""
    limits.wanted(asked(plan("gpt-4.1")), NOW)
    assert {limits._flat(asked(plan(model))).until > NOW for model in ("gpt-4.1", "gpt-5.4", "no-such-model")} == {False, True}


def test_what_is_remembered_ends_with_its_price(limits):
    """From the moment on at which the list has another one."""
    known = plan("gpt-4o-mini")
    exchange = asked(known)
    before = limits.wanted(exchange, NOW)
    flat = before.granted.flat
    assert flat is not None
    before.granted.flat = type(flat)(known, False, NOW, 0, 0, 0, 1)
    assert limits.wanted(asked(known), NOW).micros == before.micros


async def test_who_uses_no_tokens_passes_a_limit_on_tokens(limits):
    """However many of them come at once: there is nothing to divide among them."""
    principal = Principal(name="k", scopes=(Scope("key", "k", (Limit(60, "tokens", 10**9),)),))
    check = LimitCheck(limits, limits.ways.counters)
    for _ in range(20):
        exchange = asked(plan("gpt-4.1"), principal=principal, operation="count_tokens")
        check.check(exchange)
        exchange.held.reckon(exchange)
        exchange.held.settle(exchange)
    await limits.ways.counters.close()


async def test_who_sits_in_a_batch_is_settled_once(limits):
    """And may reserve more, and is then settled by itself."""
    check = LimitCheck(limits, limits.ways.counters)
    known = plan("gpt-4o-mini")
    held = []
    while not (held and held[-1].taken is None):
        exchange = asked(known, max_tokens=10)
        check.check(exchange)
        held.append(exchange.held)
    sat, grown = held[-1], held.pop(0)
    assert grown.extend(500, 100)
    batch = sat.batch
    before = batch.ended
    for _ in range(2):
        sat.settle(exchange)
    assert batch.ended == before + 1
    assert sat.extend(500, 100), "what is over passes"
    sat.settle(exchange)
    assert batch.ended == before + 1
    for one in (grown, *held[:-1]):
        one.settle(exchange)
    counters = limits.ways.counters
    assert [seen.used for seen in await counters.look(sat.granted.meters, NOW)] == [0, 0]
    await counters.close()


def test_what_must_be_waited_for_is_given_and_the_next_batch_asked_for_in_time(limits, tmp_path):
    """Who has no seat waits, where counters are not here; the next batch is asked for by who takes the seat before it is late."""
    counters = CountersElsewhere(tmp_path)
    known = plan("gpt-4o-mini")
    waits = asked(known)
    wanted = limits.take(waits, counters)
    assert wanted is not None
    assert waits.held is None
    batch = wanted.granted.batch = Batch(wanted.granted, 3, (wanted.reads, wanted.writes, wanted.micros), NOW)
    batch.free, batch.low, batch.until = 3, 1, NOW + 1
    asked_for = []
    for _ in range(3):
        sits = asked(known)
        assert limits.take(sits, counters) is None
        assert sits.held.batch is batch
        asked_for.append(counters.prepared)
    assert asked_for == [0, 1, 1]
    assert limits.take(asked(known), counters) is not None
