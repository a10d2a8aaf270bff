"""A conversation stays where it is, and a target that goes takes only its own conversations along."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.ir.blocks import CacheHint, Message, Reasoning, Text, ToolCall
from gatewright.ir.request import Request, Tool
from gatewright.ir.seal import Seal
from gatewright.routing.affinity import PREFIX_BYTES, Affinity, affinity, arrange, newest_issuer, prefix_of, rendezvous

NAMES = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=8, unique=True)


@settings(deadline=None)
@given(st.binary(max_size=20), NAMES, st.data())
def test_who_is_lost_changes_nothing_among_the_others(key, names, data):
    """The order of those left is the one they had."""
    weights = data.draw(st.lists(st.sampled_from([0.5, 1.0, 7.0]), min_size=len(names), max_size=len(names)))
    before = [names[i] for i in rendezvous(key, names, weights)]
    lost = data.draw(st.sampled_from(names))
    left = [(n, w) for n, w in zip(names, weights, strict=True) if n != lost]
    after = [left[i][0] for i in rendezvous(key, [n for n, _ in left], [w for _, w in left])]
    assert after == [name for name in before if name != lost]


@settings(deadline=None)
@given(st.binary(max_size=20), NAMES, st.randoms())
def test_the_order_of_the_configuration_does_not_matter(key, names, chance):
    shuffled = list(names)
    chance.shuffle(shuffled)
    assert [names[i] for i in rendezvous(key, names)] == [shuffled[i] for i in rendezvous(key, shuffled)]


@pytest.mark.parametrize("weights", [(1, 1, 1), (5, 3, 2), (1, 0, 3)])
def test_conversations_are_shared_by_weight(weights):
    count = 20_000
    firsts = Counter(rendezvous(b"conversation %d" % i, ["eu", "us", "local"], weights)[0] for i in range(count))
    for i, weight in enumerate(weights):
        assert firsts[i] == pytest.approx(count * weight / sum(weights), rel=0.05)


def test_a_lost_target_moves_only_its_own_conversations_and_gets_them_back():
    names = ["eu", "us", "local"]
    ties = [affinity(tenant="t", session=f"s{i}") for i in range(900)]
    home = [arrange([0, 1, 2], names, [1, 1, 1], tie)[0] for tie in ties]
    away = [arrange([0, 2], names, [1, 1, 1], tie)[0] for tie in ties]
    assert all(a == h for a, h in zip(away, home, strict=True) if h != 1)
    moved = Counter(a for a, h in zip(away, home, strict=True) if h == 1)
    assert set(moved) == {0, 2}
    assert moved[0] == pytest.approx(moved[2], rel=0.5), "and they are shared by those left"
    assert [arrange([2, 1, 0], names, [1, 1, 1], tie)[0] for tie in ties] == home


@settings(deadline=None)
@given(st.permutations(range(5)), st.none() | st.binary(min_size=1, max_size=9))
def test_only_the_tied_target_moves(order, key):
    names = ["a", "b", "c", "d", "e"]
    tie = None if key is None else Affinity("prefix", key=key)
    found = arrange(order, names, [1.0] * 5, tie)
    assert sorted(found) == list(range(5))
    assert [i for i in order if i != found[0]] == found[1:]
    if tie is None:
        assert found == list(order)


def test_state_and_seals_lead_to_their_endpoint():
    names = ["openai/gpt-5", "azure/gpt-5", "azure/gpt-5-mini", "azure2/gpt-5"]
    for tie in (affinity(tenant="t", state_at="azure", session="s"), affinity(tenant="t", sealed_by="azure", prefix=[b"x"])):
        assert arrange([0, 3, 2, 1], names, [1] * 4, tie) == [2, 1, 0, 3]
        assert arrange([0, 3], names, [1] * 4, tie) == [0, 3], "gone: the order stays"


def test_the_strongest_tie_counts():
    everything = {"state_at": "a", "sealed_by": "b", "session": "c", "prefix": [b"d"]}
    kinds = []
    while everything:
        kinds.append(affinity(tenant="t", **everything).kind)
        everything.pop(next(iter(everything)))
    assert kinds == ["state", "seal", "session", "prefix"]
    assert affinity(tenant="t") is None
    assert affinity(tenant="t", prefix=[b"", b""]) is None


def test_tenants_do_not_share_keys_nor_sessions_with_prefixes():
    keys = {
        affinity(tenant="a", session="x").key,
        affinity(tenant="b", session="x").key,
        affinity(tenant="a", prefix=[b"x"]).key,
        affinity(tenant="a", prefix=[b"x", b""]).key,
        affinity(tenant="a", prefix=[b"", b"x"]).key,
    }
    assert len(keys) == 5


def test_a_long_prompt_costs_no_more_and_differs_where_it_is_looked_at():
    long = b"x" * PREFIX_BYTES
    assert affinity(tenant="t", prefix=[long, b"a"]) == affinity(tenant="t", prefix=[long, b"b"])
    assert affinity(tenant="t", prefix=[long + b"a"]) == affinity(tenant="t", prefix=[long + b"b"])
    assert affinity(tenant="t", prefix=[b"a", long]) != affinity(tenant="t", prefix=[b"b", long])


def request(*messages):
    return Request(origin="anthropic", model="m", messages=messages, tools=(Tool(name="look"), Tool(name="find")))


SYSTEM = Message(role="system", blocks=(Text(text="You are brief."),))
FIRST = Message(role="user", blocks=(Text(text="Hello"), Text(text="there")))
ANSWER = Message(role="assistant", blocks=(Text(text="Hi"),))


def test_all_turns_of_a_conversation_have_one_prefix():
    """Also where a client marks the old turns anew each time."""
    later = Message(role="user", blocks=(Text(text="And now?"),))
    marked = msgspec.structs.replace(FIRST, blocks=(*FIRST.blocks[:1], Text(text="there", cache=CacheHint(), at="messages[0]")))
    first = prefix_of(request(SYSTEM, FIRST))
    assert first == [b"look\0find", b"You are brief.", b"Hello", b"there"]
    assert prefix_of(request(SYSTEM, marked, ANSWER, later)) == first
    assert prefix_of(request(SYSTEM, FIRST, ANSWER, later, ANSWER)) == first
    assert prefix_of(request(SYSTEM, FIRST, later)) == first, "sent again with more, for want of an answer"


def test_other_conversations_have_others():
    other = Message(role="user", blocks=(Text(text="Goodbye"),))
    assert prefix_of(request(SYSTEM, other)) != prefix_of(request(SYSTEM, FIRST))
    assert prefix_of(Request(origin="gemini", model="m")) == []


def test_the_newest_seal_whose_issuer_is_known_counts():
    def sealed(issuer):
        return Seal(dialect="openai_responses", data="x", issuer=issuer)

    old = Message(role="assistant", blocks=(Reasoning(seal=sealed("openai")),))
    new = Message(role="assistant", blocks=(Reasoning(seal=sealed("azure")), ToolCall(id="1", name="f", arguments="{}")))
    raw = Message(role="assistant", blocks=(Text(text="", seal=sealed("")),))
    assert newest_issuer((FIRST, old, FIRST, new, raw)) == "azure"
    assert newest_issuer((FIRST, ANSWER, raw)) == ""
