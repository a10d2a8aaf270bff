"""Which names a key is shown, and what is told of each."""

from decimal import Decimal

from tests.pipeline.stub_free import endpoint

from gatewright.exchange import Principal
from gatewright.pipeline.models import Models
from gatewright.pipeline.policy import RouteTarget, Tier
from gatewright.pipeline.route import Route, Router
from gatewright.providers.facts import NOTHING, Facts
from gatewright.providers.known_models import KnownModels, Listed
from gatewright.providers.ladder import Ladder

ALL = Principal("all")
ROUTES = {
    "fast": Route("fast", (Tier((RouteTarget("up", "gpt-5"),)),), facts=Facts(context=7)),
    "claude-*": Route("claude-*", (Tier((RouteTarget("ant", "claude-*"),)),)),
    "far-*": Route("far-*", (Tier(()),), ladder=Ladder(provider="ob1")),
    "gpt-*-x": Route("gpt-*-x", (Tier((RouteTarget("up", "gpt-*"), RouteTarget("ant", "n"))),)),
}


def models(**lists):
    known = KnownModels(("up", "ant", "ob1"))
    for provider, names in lists.items():
        known.learn(provider, [Listed(n) if isinstance(n, str) else n for n in names], 0.0)
    router = Router(
        endpoints={name: endpoint(name) for name in ("up", "ant", "ob1")},
        routes=ROUTES,
        aliases={"quick": "fast"},
        models_of=known.models,
    )
    prices = {("up", "gpt-5"): Facts(context=1, input_usd=Decimal(2))}
    return Models(router, known, lambda provider, model: prices.get((provider, model), NOTHING))


def names(it, principal=ALL, pin=""):
    return [shown.name for shown in it.shown(principal, pin)]


def test_configured_names_come_first_then_what_patterns_cover_then_the_providers():
    """A list read from the top begins with what the operator chose."""
    it = models(up=["gpt-5", "gpt-4"], ant=["claude-b", "claude-a", "other"])
    assert names(it) == [
        "fast", "quick",
        "claude-a", "claude-b", "gpt-4-x", "gpt-5-x",
        "up/gpt-4", "up/gpt-5", "ant/claude-a", "ant/claude-b", "ant/other",
    ]  # fmt: skip


def test_a_ladder_covers_what_its_provider_lists_by_bare_names():
    """Only those that lead to the very model they name: the others would show a name twice."""
    it = models(ob1=["vendor/far-opus-2", "anthropic/far-opus-1", "openai/gpt"])
    assert names(it)[2:3] == ["far-opus-1"]
    assert [shown.owner for shown in it.shown(ALL) if shown.name == "far-opus-1"] == ["ob1"]


def test_a_key_sees_what_it_may_use():
    """Also of what providers list and patterns cover."""
    it = models(up=["gpt-5", "o3"], ant=["claude-a"])
    assert names(it, Principal("n", ("up/*",))) == ["up/gpt-5", "up/o3"]
    assert names(it, Principal("n", ("claude-*", "up/o3"))) == ["claude-a", "up/o3"]
    assert names(it, Principal("n", ("nothing",))) == []


def test_under_a_pin_models_go_by_the_providers_names():
    """Those that routes mention and those it lists."""
    it = models(up=["o3"])
    assert names(it, pin="up") == ["gpt-5", "o3"]
    assert names(it, Principal("n", ("up/o3",)), "up") == ["o3"]
    assert names(it, Principal("n", ("fast",)), "up") == []


def test_facts_come_from_the_operator_then_the_provider_then_the_price_list():
    """The nearer word holds."""
    by_name = {shown.name: shown for shown in models().shown(ALL)}
    assert by_name["fast"].facts == Facts(context=7, input_usd=Decimal(2))
    assert (by_name["fast"].owner, by_name["quick"].facts) == ("up", by_name["fast"].facts)
    listed = models(up=[Listed("gpt-5", Facts(context=3, max_output=4))])
    assert next(iter(listed.shown(ALL))).facts == Facts(context=7, max_output=4)


def test_a_list_is_forgotten_when_something_changes():
    """And kept until then: a long one takes milliseconds."""
    it = models(up=["gpt-5"])
    it.known.subscribe(it.forget)
    it._lists[ALL, ""] = ()
    it.known.learn("up", [Listed("gpt-5")], 1.0)
    assert it._lists
    it.known.learn("up", [Listed("gpt-6")], 1.0)
    assert not it._lists
