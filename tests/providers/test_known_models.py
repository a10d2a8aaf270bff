"""Lists are kept until better ones come, and asked for when they are due."""

from decimal import Decimal

import pytest

from gatewright.providers.facts import Facts
from gatewright.providers.known_models import FIRST_RETRY_S, MOST, KnownModels, Listed


def known(**more):
    return KnownModels(("a", "b"), **more)


def test_everything_is_due_at_first_and_then_when_it_is_old():
    """Each provider by its own clock."""
    lists = known(refresh_s=100)
    assert lists.due(0.0) == ("a", "b")
    lists.learn("a", [Listed("m")], 5.0)
    assert lists.due(5.0) == ("b",)
    assert lists.due(104.9) == ("b",)
    assert lists.due(105.0) == ("a", "b")


def test_a_failure_keeps_the_list_and_waits_longer_each_time():
    """Up to the age at which it would be asked for anyway; a success begins anew."""
    lists = known(refresh_s=100)
    lists.learn("a", [Listed("m", Facts(context=5))], 0.0)
    assert [lists.miss("a", "no", 0.0) for _ in range(4)] == [FIRST_RETRY_S, 60.0, 100.0, 100.0]
    assert lists.models("a") == {"m": Facts(context=5)}
    assert lists.problem("a") == "no"
    lists.learn("a", [Listed("m")], 0.0)
    assert lists.problem("a") == ""
    assert lists.miss("a", "no", 0.0) == FIRST_RETRY_S
    assert [lists.miss("b", "no", 0.0) for _ in range(2000)][-1] == 100.0


def test_an_empty_list_is_not_believed_where_a_full_one_was_known():
    """A host that has just started lists nothing for a moment."""
    lists = known()
    lists.learn("a", [Listed("m")], 0.0)
    lists.learn("a", [], 1.0)
    assert list(lists.models("a")) == ["m"]


def test_what_a_provider_lists_is_bounded():
    """Number and length; and a name that may not stand in a path or a log line is none."""
    lists = known()
    bad = ["", "x" * 257, "a\nb", "a\x1b[31m", "../up", "a/../b"]
    lists.learn("a", [*map(Listed, bad), *(Listed(f"m{i}") for i in range(MOST + 10))], 0.0)
    assert len(lists.models("a")) == MOST
    assert not set(bad) & set(lists.models("a"))


def test_listeners_hear_of_changes_and_of_nothing_else():
    """They throw away what they have worked out, which costs."""
    lists = known()
    heard = []
    lists.subscribe(lambda: heard.append(1))
    for names in (["m"], ["m"], []):
        lists.learn("a", map(Listed, names), 0.0)
    assert len(heard) == 1
    lists.learn("a", [Listed("m", Facts(context=1))], 0.0)
    lists.changed()
    assert len(heard) == 3


def test_a_provider_without_a_list():
    """Nothing is known of it, and nothing is wrong."""
    assert known().models("c") == {}
    assert known().problem("c") == ""
    with pytest.raises(KeyError):
        known().learn("c", [], 0.0)


def test_how_long_until_one_is_due():
    """Of those that are asked about."""
    lists = known(refresh_s=100)
    lists.learn("a", [], 5.0)
    assert (lists.wait_s(("a", "b"), 5.0), lists.wait_s(("a",), 25.0), lists.wait_s(("a",), 500.0), lists.wait_s((), 0.0)) == (
        0,
        80,
        0,
        100,
    )


def test_lists_outlive_a_restart():
    """As they were, and due at once; of a provider that is another now, nothing."""
    before = known()
    before.learn("a", [Listed("m", Facts(context=5, input_usd=Decimal("0.25"), capabilities=("tools",)))], 0.0)
    before.learn("b", [Listed("n")], 0.0)
    content = before.packed({"a": "1", "b": "1"})
    after = known()
    heard = []
    after.subscribe(lambda: heard.append(1))
    after.unpack(content, {"a": "1", "b": "2"})
    assert after.models("a") == before.models("a")
    assert after.models("b") == {}
    assert after.due(0.0) == ("a", "b")
    assert heard == [1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"5",
        b"[]",
        b'{"a": 5}',
        b'{"a": {"identity": "1", "models": []}}',
        b"\xff",
        b"[" * 100_000,
        b'{"zz": {"identity": "1", "models": {}}}',
    ],
)
def test_a_file_that_is_none_is_passed_over(content):
    """It is asked for anew."""
    lists = known()
    lists.unpack(content, {"a": "1", "b": "1"})
    assert (lists.models("a"), lists.models("zz")) == ({}, {})


def test_names_of_an_earlier_life_are_checked_too():
    """The file lies where others may have written."""
    lists = known()
    lists.unpack(b'{"a": {"identity": "1", "models": {"../x": {}, "good": {}}}}', {"a": "1"})
    assert list(lists.models("a")) == ["good"]
