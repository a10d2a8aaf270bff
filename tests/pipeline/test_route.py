"""Names lead where the operator said, and a wrong one says what was meant."""

import random

import pytest
from tests.pipeline.stub_free import endpoint

from gatewright.errors import Refused
from gatewright.exchange import Principal
from gatewright.pipeline.route import Route, Router, RouteTarget, may_use

ENDPOINTS = {"openai": endpoint("openai"), "claude": endpoint("claude")}
ROUTES = {
    "fast": Route("fast", (RouteTarget("openai", "gpt-5-mini"),)),
    "smart": Route("smart", (RouteTarget("claude", "a", 3), RouteTarget("openai", "b", 1)), (RouteTarget("openai", "c"),)),
    "claude-*": Route("claude-*", (RouteTarget("claude", "claude-*"),)),
    "claude-3-*": Route("claude-3-*", (RouteTarget("claude", "old-*"),)),
}
ROUTER = Router(endpoints=ENDPOINTS, routes=ROUTES, aliases={"gpt-4o": "smart"})


def first(name: str, pin: str = "") -> str:
    route, starred = ROUTER.resolve(name, pin)
    return ROUTER.plan(route, starred, lambda: 0.5)[0].name


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("fast", "openai/gpt-5-mini"),
        ("openai/o3", "openai/o3"),
        ("openai/org/model", "openai/org/model"),
        ("claude-opus-5", "claude/claude-opus-5"),
        ("claude-3-opus", "claude/old-opus"),
    ],
)
def test_names_lead_to_targets(name, target):
    """Configured names, provider/model, wildcards whose star carries over, the longest pattern first."""
    assert first(name) == target


def test_alias_is_its_model():
    """An alias is another name, nothing more."""
    assert ROUTER.resolve("gpt-4o", "")[0].name == "smart"


def test_pin_overrules_names():
    """`/{provider}/…` sends any name to that provider."""
    assert first("fast", "claude") == "claude/fast"
    assert first("claude/opus", "claude") == "claude/opus"


def test_unknown_name_lists_near_names():
    """A typo is answered with what was probably meant."""
    with pytest.raises(Refused) as refused:
        ROUTER.resolve("smrat", "")
    problem = refused.value.problem
    assert (problem.http_status, problem.param) == (404, "model")
    assert "Did you mean smart" in problem.message


def test_weights_are_kept_in_proportion():
    """Three to one means three to one."""
    draw = random.Random(7).random
    route, starred = ROUTER.resolve("smart", "")
    firsts = [ROUTER.plan(route, starred, draw)[0].model for _ in range(4000)]
    assert 0.72 < firsts.count("a") / 4000 < 0.78


def test_fallback_comes_after_every_target():
    """A fallback is for when all targets failed."""
    route, starred = ROUTER.resolve("smart", "")
    assert [c.model for c in ROUTER.plan(route, starred, lambda: 0.5)][2:] == ["c"]


@pytest.mark.parametrize(
    ("globs", "name", "allowed"),
    [
        (("*",), "fast", True),
        (("fast",), "fast", True),
        (("fast",), "gpt-4o", False),
        (("smart",), "gpt-4o", True),
        (("claude-*",), "claude-x", True),
        ((), "fast", False),
    ],
)
def test_keys_are_held_to_their_models(globs, name, allowed):
    """By the asked name or by the route that serves it; an empty list allows nothing."""
    assert may_use(Principal("k", globs), name, ROUTER.resolve(name, "")[0]) is allowed
