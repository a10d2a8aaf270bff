"""Which targets, in which order: conditions and needs first, then who stands, then the strategy, then the tie."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipeline.stub_free import endpoint

from gatewright.pipeline.choose import Look, Option, choices, choose, missing_in
from gatewright.pipeline.conditions import When
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.needs import Needs
from gatewright.routing.affinity import Affinity
from gatewright.routing.balance import View

ENDPOINTS = {name: endpoint(name) for name in "abcde"}


def option(name: str, **more) -> Option:
    return Option(Candidate(ENDPOINTS[name], "m"), **more)


class Health:
    """What the test says of targets."""

    def __init__(self, *, is_open="", rests="", busy=None, ttft=None):
        self.is_open, self.rests, self.busy, self.ttft = is_open, rests, busy or {}, ttft or {}

    def standing(self, candidate):
        return "open" if candidate.endpoint.name in self.is_open else "closed"

    def rests_s(self, candidate):
        return 5.0 if candidate.endpoint.name in self.rests else 0.0

    def view(self, candidate, *, weight, priority, cost):
        name = candidate.endpoint.name
        return View(weight, self.busy.get(name, 0), self.ttft.get(name), cost, priority)


WELL = Health()


def look(*, needs: Needs | None = None, tie=None, held=None, body=b"tool " * 100, **asker) -> Look:
    """A request; what it may not be asked for raises."""

    def unread():
        raise AssertionError("the request was read")

    facts = {"dialect": "anthropic", "tags": (), "headers": {}, "unix_s": 0.0} | asker
    return Look(**facts, body=body, needs=unread if needs is None else lambda: needs, held=lambda: held, tie=lambda: tie)


def tiers(*ranks):
    """A route of tiers: (options, strategy) or options alone."""
    return choices((rank if isinstance(rank, tuple) else (rank, "weighted", None)) for rank in ranks)


def names(chosen) -> str:
    return "".join(candidate.endpoint.name for candidate in chosen.plan)


def chosen_from(offered, request=None, health=WELL, turn=0, chance=lambda: 0.5):
    return choose(offered, request or look(), health, turn=turn, chance=chance)


def test_one_target_leaves_nothing_to_choose():
    """The plan of such a route is made once, for all requests."""
    assert tiers([option("a")]).only is not None
    assert tiers([option("a", can=frozenset(), context=1)]).only is not None
    assert tiers([option("a", when=When(tags=frozenset({"x"})))]).only is None
    assert tiers(([option("a")], "weighted", When(tags=frozenset({"x"})))).only is None
    assert tiers([option("a")], [option("b")]).only is None


def test_a_plain_route_reads_nothing():
    """Weights, turns and priorities need no look inside a request."""
    for strategy in ("weighted", "round_robin", "priority", "least_busy", "lowest_latency"):
        assert sorted(names(chosen_from(tiers(([option("a"), option("b")], strategy, None))))) == ["a", "b"]


def test_tiers_are_tried_one_after_the_other():
    """The first tier's targets before the second's, whatever the draw."""
    offered = tiers([option("a"), option("b")], [option("c"), option("d")])
    for seed in range(20):
        plan = names(chosen_from(offered, chance=random.Random(seed).random))
        assert (sorted(plan[:2]), sorted(plan[2:])) == (["a", "b"], ["c", "d"])


def test_weights_hold_among_those_that_are_able():
    """Who is skipped or down leaves its share to the others in their proportion."""
    offered = tiers(
        [option("a", weight=3), option("b", weight=1), option("c", weight=4), option("d", weight=4, lacks=frozenset({"tools"}))]
    )
    draw = random.Random(5).random
    request = look(needs=Needs(frozenset({"tools"})))
    firsts = Counter(names(chosen_from(offered, request, Health(is_open="c"), chance=draw))[0] for _ in range(4000))
    assert set(firsts) == {"a", "b"}
    assert 0.72 < firsts["a"] / 4000 < 0.78


def test_turns_go_round():
    """Each in its turn."""
    offered = tiers(([option("a"), option("b"), option("c")], "round_robin", None))
    assert [names(chosen_from(offered, turn=turn))[0] for turn in range(4)] == ["a", "b", "c", "a"]


def test_the_other_strategies_look_at_what_they_are_named_for():
    """Calls in flight, times to the first token, numbers, prices."""

    def first(strategy, health=WELL, request=None, **more):
        return names(
            chosen_from(
                tiers(([option("a", **more.get("a", {})), option("b", **more.get("b", {}))], strategy, None)), request, health
            )
        )[0]

    assert first("least_busy", Health(busy={"a": 2, "b": 1})) == "b"
    assert first("lowest_latency", Health(ttft={"a": 0.9, "b": 0.2})) == "b"
    assert first("priority", a={"priority": 2}, b={"priority": 1}) == "b"
    cheap = {"a": {"input_usd": 1.0, "output_usd": 10.0}, "b": {"input_usd": 3.0, "output_usd": 3.0}}
    assert first("cheapest", request=look(needs=Needs(tokens=100, max_tokens=500)), **cheap) == "b"
    assert first("cheapest", request=look(needs=Needs(tokens=9000, max_tokens=10)), **cheap) == "a"
    assert first("cheapest", request=look(needs=Needs(tokens=10)), b={"input_usd": 9.0, "output_usd": 9.0}) == "b"


def test_conditions_skip_a_target_or_a_whole_tier():
    """And say why."""
    beta = When(tags=frozenset({"beta"}))
    offered = tiers([option("a", when=beta), option("b")], ([option("c"), option("d")], "weighted", beta))
    out = chosen_from(offered)
    assert names(out) == "b"
    assert [(s.option.candidate.name, s.rank, s.why, s.told) for s in out.skipped] == [
        ("a/m", 0, "condition", "it is for keys tagged beta"),
        ("c/m", 1, "condition", "it is for keys tagged beta"),
        ("d/m", 1, "condition", "it is for keys tagged beta"),
    ]
    assert len(chosen_from(offered, look(tags=("beta",))).plan) == 4


def test_what_a_target_cannot_do_it_is_not_asked_for():
    """By the operator's word, or its provider's; who says nothing is asked."""
    offered = tiers(
        [
            option("a", can=frozenset({"tools"})),
            option("b", can=frozenset({"tools", "vision"})),
            option("c", lacks=frozenset({"vision"})),
            option("d"),
        ]
    )
    out = chosen_from(offered, look(needs=Needs(frozenset({"vision", "tools", "reasoning"}))))
    assert sorted(names(out)) == ["b", "d"]
    assert {(s.option.candidate.endpoint.name, s.why, s.told) for s in out.skipped} == {
        ("a", "capability", "it cannot do vision, which the request needs"),
        ("c", "capability", "it cannot do vision, which the request needs"),
    }


def test_wishes_skip_nobody_and_lists_are_believed_on_little():
    """To reason is a wish; and no list of a provider's is trusted on schemas."""
    wished = Needs(frozenset({"reasoning", "caching", "parallel_tools"}))
    assert not missing_in(option("a", can=frozenset()), wished)
    assert not missing_in(option("a", lacks=frozenset({"json_schema"})), Needs(frozenset({"json_schema"})))
    assert missing_in(option("a", can=frozenset()), Needs(frozenset({"json_schema"})))


def test_plain_text_is_not_read_for_what_it_needs():
    """Where the bytes show that it is text, no target can lack anything."""
    offered = tiers([option("a", can=frozenset()), option("b")])
    assert len(chosen_from(offered, look(body=b'{"messages":[]}')).plan) == 2


def test_a_request_too_long_for_a_target_skips_it():
    """Well over: skipped. A little over: tried last, for sizes are estimates. Short: not even measured."""
    offered = tiers([option("a", context=100), option("b", context=1000)])
    assert len(chosen_from(offered, look(body=b"x" * 200)).plan) == 2
    over = chosen_from(offered, look(body=b"x" * 800, needs=Needs(sure_tokens=200)))
    assert (names(over), over.skipped[0].why) == ("b", "context")
    assert over.skipped[0].told == "about 200 tokens do not fit into its 100"
    near = chosen_from(offered, look(body=b"x" * 440, needs=Needs(sure_tokens=110)))
    assert (names(near), len(near.last), near.skipped) == ("ba", 1, ())
    nowhere = chosen_from(offered, look(body=b"x" * 9000, needs=Needs(sure_tokens=5000)))
    assert (nowhere.plan, [s.why for s in nowhere.skipped]) == ([], ["context", "context"])


def test_a_single_target_answers_for_itself():
    """Its provider says best what it cannot do; only a condition keeps a request from it."""
    alone = tiers(([option("a", can=frozenset(), context=1)], "weighted", When(tags=frozenset({"beta"}))))
    request = look(needs=Needs(frozenset({"vision"}), sure_tokens=1), tags=("beta",), body=b"image" * 9)
    assert names(chosen_from(alone, request)) == "a"
    assert chosen_from(alone).plan == []


@pytest.mark.parametrize("down", [{"is_open": "a"}, {"rests": "a"}])
def test_who_is_down_comes_last_of_all_and_is_not_lost(down):
    """Behind every tier: a fallback that stands is better than a target that does not."""
    offered = tiers([option("a", weight=99), option("b")], [option("c")])
    assert names(chosen_from(offered, health=Health(**down))) == "bca"
    assert sorted(names(chosen_from(offered, health=Health(is_open="abc")))) == ["a", "b", "c"]
    assert names(chosen_from(tiers([option("a")], [option("c")]), health=Health(**down))) == "ca"


SESSION = Affinity("session", key=b"one conversation")


def test_a_tie_keeps_its_target_and_moves_only_when_that_is_down():
    """And comes back when it stands again."""
    offered = tiers([option(name) for name in "abcde"])
    firsts = {names(chosen_from(offered, look(tie=SESSION), chance=random.Random(seed).random))[0] for seed in range(30)}
    assert len(firsts) == 1
    (home,) = firsts
    away = {
        names(chosen_from(offered, look(tie=SESSION), Health(is_open=home), chance=random.Random(s).random))[0] for s in range(30)
    }
    assert len(away) == 1
    assert home not in away
    assert chosen_from(offered, look(tie=SESSION)).tied == SESSION


def test_ties_share_conversations_by_the_weights():
    """Affinity does not bend the shares."""
    offered = tiers([option("a", weight=3), option("b", weight=1)])
    ties = (Affinity("session", key=str(i).encode()) for i in range(2000))
    firsts = Counter(names(chosen_from(offered, look(tie=tie)))[0] for tie in ties)
    assert 0.71 < firsts["a"] / 2000 < 0.79


def test_a_tie_does_not_outweigh_priorities_or_prices():
    """It chooses among those that are equal to the first."""
    for key in range(20):
        request = look(tie=Affinity("session", key=bytes([key])), needs=Needs(tokens=10))
        ranked = tiers(([option("a", priority=1), option("b"), option("c")], "priority", None))
        assert names(chosen_from(ranked, request))[0] in "bc"
        priced = tiers(
            ([option("a", input_usd=1.0, output_usd=1.0), option("b", input_usd=2.0, output_usd=2.0)], "cheapest", None)
        )
        out = chosen_from(priced, request)
        assert (names(out), out.tied) == ("ab", None)


def test_a_seal_leads_across_tiers():
    """Elsewhere the reasoning would be lost; unless its issuer is down."""
    offered = tiers([option("a"), option("b")], [option("c")])
    held = Affinity("seal", issuer="c")
    out = chosen_from(offered, look(held=held))
    assert (names(out)[0], out.tied) == ("c", held)
    assert names(chosen_from(offered, look(held=held), Health(is_open="c")))[-1] == "c"
    gone = chosen_from(offered, look(held=Affinity("seal", issuer="nobody")))
    assert (len(gone.plan), gone.tied) == (3, None)


@given(st.data())
def test_every_target_is_told_of_exactly_once(data):
    """First, last or skipped: none is lost and none comes twice, whatever is asked and whoever is down."""
    words = st.sampled_from(("vision", "tools", "audio"))
    ranks = [
        (
            [
                option(
                    name,
                    weight=data.draw(st.integers(0, 3)),
                    priority=data.draw(st.integers(0, 2)),
                    when=data.draw(st.sampled_from((None, When(tags=frozenset({"beta"}))))),
                    context=data.draw(st.sampled_from((None, 10, 100, 1000))),
                    can=data.draw(st.none() | st.frozensets(words)),
                    lacks=data.draw(st.frozensets(words)),
                    input_usd=data.draw(st.sampled_from((None, 1.0, 2.0))),
                    output_usd=1.0,
                )
                for name in data.draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=4))
            ],
            data.draw(st.sampled_from(("weighted", "round_robin", "least_busy", "lowest_latency", "cheapest", "priority"))),
            data.draw(st.sampled_from((None, When(tags=frozenset({"beta"}))))),
        )
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    offered = choices(ranks)
    needs = Needs(data.draw(st.frozensets(words)), 50, data.draw(st.integers(0, 2000)))
    request = look(
        needs=needs,
        body=b"x" * 4 * needs.sure_tokens + b"tool",
        tags=data.draw(st.sampled_from(((), ("beta",)))),
        tie=data.draw(st.sampled_from((None, SESSION))),
        held=data.draw(st.sampled_from((None, Affinity("seal", issuer="c")))),
    )
    health = Health(is_open=data.draw(st.sampled_from(("", "a", "bc"))), rests=data.draw(st.sampled_from(("", "d", "ae"))))
    out = choose(
        offered, request, health, turn=data.draw(st.integers(0, 9)), chance=random.Random(data.draw(st.integers(0, 99))).random
    )
    told = [*out.first, *out.last, *(skipped.option for skipped in out.skipped)]
    assert sorted(map(id, told)) == sorted(id(one) for options, _, _ in ranks for one in options)
    assert all(health.standing(one.candidate) == "closed" and health.rests_s(one.candidate) == 0 for one in out.first)
