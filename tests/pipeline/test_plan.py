"""A request's targets are found and ordered; what need not be looked at is not."""

import random

import pytest
from tests.pipeline.test_route import ENDPOINTS, ROUTER, ROUTES

from gatewright.dialects import BY_NAME
from gatewright.errors import Refused
from gatewright.exchange import Exchange, Principal
from gatewright.pipeline.plan import RouteStage
from gatewright.pipeline.policy import RouteTarget, Tier
from gatewright.pipeline.route import Route, Router
from gatewright.providers.facts import NOTHING, Facts
from gatewright.routing.balance import View
from gatewright.wire.http import Call


class Well:
    """Nobody is down."""

    def standing(self, candidate):
        return "closed"

    def rests_s(self, candidate):
        return 0.0

    def view(self, candidate, *, weight, priority, cost):
        return View(weight, 0, None, cost, priority)


def never(*_args):
    raise AssertionError("it was asked for")


def asking(model: str, body: bytes = b"{}") -> Exchange:
    made = Exchange(
        request_id="r",
        dialect="openai_chat",
        operation="generate",
        method="POST",
        call=Call(path="/v1/x", body=body),
        started=0.0,
    )
    made.principal, made.model = PRINCIPAL, model
    return made


PRINCIPAL = Principal("k")


def stage(router, **more) -> RouteStage:
    return RouteStage(
        router, **{"random": random.Random(3).random, "dialects": BY_NAME, "health": Well(), "clock": lambda: 0.0} | more
    )


def test_a_route_of_one_target_is_decided_once():
    """Nothing is drawn, read or looked up for it, however often it is asked."""
    it = stage(ROUTER, random=never, dialects={}, health=None, clock=never)
    plans = []
    for _ in range(3):
        exchange = asking("fast", b"image tool " * 1000)
        it.check(exchange)
        plans.append(exchange.plan)
        assert exchange.route is ROUTES["fast"]
    assert plans[0] is plans[1] is plans[2]
    assert [candidate.name for candidate in plans[0]] == ["openai/gpt-5-mini"]


def test_a_request_that_nothing_depends_on_is_not_read():
    """Two targets, plain weights: its bytes are not even parsed."""
    exchange = asking("smart", b'{"messages": [nonsense')
    stage(ROUTER, dialects={}).check(exchange)
    assert [c.model for c in exchange.plan][2:] == ["c"]
    assert exchange.neutral is None


def test_what_becomes_known_of_a_model_counts_from_then_on():
    """Lists come in the background; until then nobody knows, and the target is asked."""
    known = {"a": NOTHING}
    two = {"two": Route("two", (Tier((RouteTarget("claude", "a"), RouteTarget("openai", "b"))),))}
    router = Router(endpoints=ENDPOINTS, routes=two, aliases={}, facts_of=lambda _provider, model: known.get(model, NOTHING))
    it = stage(router)
    long = asking("two", b'{"model": "two", "messages": [{"role": "user", "content": "%b"}]}' % (b"word " * 200))
    it.check(long)
    assert len(long.plan) == 2
    known["a"] = Facts(context=10)
    it.forget()
    it.check(long)
    assert [candidate.name for candidate in long.plan] == ["openai/b"]
    assert long.request is None, "its bytes may pass"


def test_asking_for_a_turn_does_not_use_it_up():
    """So that an explanation comes true."""
    rr = {"rr": Route("rr", (Tier((RouteTarget("claude", "a"), RouteTarget("openai", "b")), "round_robin"),))}
    it = stage(Router(endpoints=ENDPOINTS, routes=rr, aliases={}))
    turn = it.turn_of(rr["rr"])
    assert it.turn_of(rr["rr"]) == turn
    it.check(asking("rr"))
    assert it.turn_of(rr["rr"]) == turn + 1


def test_nowhere_to_go_names_every_target():
    """A 400 that says why each of them was passed over."""
    route = Route("r", (Tier((RouteTarget("claude", "a", context=1), RouteTarget("openai", "b", context=2))),))
    it = stage(Router(endpoints=ENDPOINTS, routes={"r": route}, aliases={}))
    with pytest.raises(Refused) as refused:
        it.check(asking("r", b'{"model": "r", "messages": [{"role": "user", "content": "%b"}]}' % (b"word " * 50)))
    problem = refused.value.problem
    assert (problem.http_status, problem.code) == (400, "context_length_exceeded")
    assert "claude/a: about" in problem.message
    assert "openai/b: about" in problem.message


def test_what_cannot_be_read_needs_nothing():
    """Its bytes may pass all the same: an upstream knows fields that nobody here does."""
    two = {"two": Route("two", (Tier((RouteTarget("claude", "a", capabilities=()), RouteTarget("openai", "b", context=1))),))}
    exchange = asking("two", b'{"messages": "image tool"}')
    stage(Router(endpoints=ENDPOINTS, routes=two, aliases={})).check(exchange)
    assert len(exchange.plan) == 2
