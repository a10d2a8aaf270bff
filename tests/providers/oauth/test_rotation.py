"""Whose turn it is."""

import pytest

from gatewright.providers.oauth.rotation import ROTATIONS, order


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_each_is_tried_once(rotation):
    """Whoever was last, and though that one is gone."""
    for last in ("", "a", "c", "gone"):
        assert sorted(order(rotation, ["a", "b", "c"], last, lambda: 0.99)) == ["a", "b", "c"]
        assert order(rotation, ["a"], last, lambda: 0) == ["a"]
        assert order(rotation, [], last, lambda: 0) == []


def test_sticky_begins_with_the_last_and_round_robin_after_it():
    """In the order of their logins."""
    assert order("sticky", ["a", "b", "c"], "b", lambda: 0) == ["b", "c", "a"]
    assert order("round-robin", ["a", "b", "c"], "b", lambda: 0) == ["c", "a", "b"]
    assert order("round-robin", ["a", "b", "c"], "c", lambda: 0) == ["a", "b", "c"]


def test_random_reaches_every_order():
    """Each with the same chance, if chance is fair."""
    chances = [(x, y) for x in (0.1, 0.4, 0.9) for y in (0.1, 0.9)]
    seen = set()
    for pair in chances:
        left = [*pair, 0.0]
        seen.add(tuple(order("random", ["a", "b", "c"], "", lambda left=left: left.pop(0))))
    assert len(seen) == 6
