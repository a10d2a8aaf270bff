"""Names lead where the operator said, and a wrong one says what was meant."""

import random

import pytest
from tests.pipeline.stub_free import endpoint

from gatewright.errors import Refused
from gatewright.exchange import Principal
from gatewright.pipeline.policy import Policy, RouteTarget, Tier
from gatewright.pipeline.route import Route, Router, may_use
from gatewright.providers.facts import Facts
from gatewright.providers.ladder import Ladder

ENDPOINTS = {"openai": endpoint("openai"), "claude": endpoint("claude")}
ROUTES = {
    "fast": Route("fast", (Tier((RouteTarget("openai", "gpt-5-mini"),)),)),
    "smart": Route(
        "smart",
        (Tier((RouteTarget("claude", "a", 3), RouteTarget("openai", "b", 1))), Tier((RouteTarget("openai", "c"),))),
    ),
    "claude-*": Route("claude-*", (Tier((RouteTarget("claude", "claude-*"),)),)),
    "claude-3-*": Route("claude-3-*", (Tier((RouteTarget("claude", "old-*"),)),)),
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


def test_an_unknown_name_shows_patterns_too():
    """Where everything is served by patterns, `none` would be no answer."""
    with pytest.raises(Refused) as refused:
        ROUTER.resolve("zzzzzzzz", "")
    assert "claude-*" in refused.value.problem.message


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


CLIMBING = Ladder(provider="claude", families=("sonnet", "opus"))


def climber(lists):
    routes = {
        "claude-*": Route(
            "claude-*", (Tier(()), Tier((RouteTarget("openai", "c"),))), ladder=CLIMBING, facts=Facts(max_output=7)
        ),
        "best": Route("best", (Tier(()),), ladder=CLIMBING),
    }
    models_of = lambda name: lists[name]  # noqa: E731 - a dictionary that changes
    return Router(endpoints=ENDPOINTS, routes=routes, aliases={"b": "best"}, models_of=models_of)


def test_a_ladder_leads_to_what_its_provider_lists_now():
    """Lists change while the gateway runs; the fallback stays what the operator wrote."""
    lists = {"claude": ["anthropic/claude-opus-4.1"]}
    router = climber(lists)

    def names(model):
        route, starred = router.resolve(model, "")
        return [candidate.name for candidate in router.plan(route, starred, lambda: 0.5)]

    assert names("claude-opus-9") == ["claude/anthropic/claude-opus-4.1", "openai/c"]
    lists["claude"] = ["anthropic/claude-opus-4.1", "anthropic/claude-opus-4.10"]
    assert names("claude-opus-9") == ["claude/anthropic/claude-opus-4.10", "openai/c"]
    assert names("b") == ["claude/anthropic/claude-opus-4.10"]
    lists["claude"] = []
    assert names("claude-opus-9")[0] == "claude/claude-opus-9"


def test_a_keys_models_cover_a_laddered_name():
    """By the name that was asked for, or the pattern; not by what it came out at."""
    router = climber({"claude": ["anthropic/claude-opus-4.1"]})
    route, _ = router.resolve("claude-opus-9", "")
    assert may_use(Principal("a", ("claude-*",)), "claude-opus-9", route)
    assert may_use(Principal("a", ("claude-opus-*",)), "claude-opus-9", route)
    assert not may_use(Principal("a", ("anthropic/*",)), "claude-opus-9", route)


def test_a_models_own_facts_and_defaults_reach_the_candidate():
    """What a dialect that wants a limit asks for, and whether the request must be read."""
    route, starred = climber({"claude": []}).resolve("claude-x", "")
    plan = ROUTER.plan(Route("d", (Tier((RouteTarget("openai", "m"),)),), defaults={"seed": 1}), "", lambda: 0.5)
    assert climber({"claude": []}).plan(route, starred, lambda: 0.5)[0].max_tokens == 7
    assert (plan[0].defaults, plan[0].changes, plan[0].max_tokens) == ({"seed": 1}, True, 0)
    assert not ROUTER.plan(ROUTES["fast"], "", lambda: 0.5)[0].changes


def test_the_operators_word_goes_before_what_is_known():
    """A target's own, then the model's, then the lists."""
    own = RouteTarget("claude", "a", context=7, capabilities=("tools",))
    route = Route("r", (Tier((own, RouteTarget("openai", "b"))),), facts=Facts(context=8, capabilities=("vision",)))
    router = Router(endpoints=ENDPOINTS, routes={"r": route}, aliases={}, facts_of=lambda *_: Facts(context=9, lacks=("audio",)))
    first, second = router.choices(route, "").ranks[0].options
    assert (first.context, first.can) == (7, {"tools"})
    assert (second.context, second.can, second.lacks) == (8, {"vision"}, {"audio"})
    plain = Route("p", (Tier((RouteTarget("claude", "a"), RouteTarget("openai", "b"))),))
    assert router.choices(plain, "").ranks[0].options[0].context == 9


def test_names_without_an_entry_are_as_persistent_as_all():
    """`routing:` holds for `provider/model` too, pinned or not."""
    policy = Policy(deadline_s=7)
    router = Router(endpoints=ENDPOINTS, routes=ROUTES, aliases={}, policy=policy)
    assert router.resolve("openai/o3", "")[0].policy is policy
    assert router.resolve("o3", "openai")[0].policy is policy
    assert router.resolve("fast", "")[0].policy is not policy
