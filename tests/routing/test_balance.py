"""Orders of targets: shares as weighted, everyone once, and a slow target avoided by those strategies that can see it."""

import heapq
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.routing.balance import DRAWN, View, expected_s, measured, order

VIEWS = st.lists(
    st.builds(
        View,
        weight=st.sampled_from([0.0, 0.001, 0.5, 1.0, 3.0, 1000.0]),
        in_flight=st.integers(0, 50),
        ttft_s=st.none() | st.floats(0, 60),
        cost=st.none() | st.floats(0, 1e6),
        priority=st.integers(-2, 3),
    ),
    min_size=1,
    max_size=8,
)
STRATEGIES = [*DRAWN, "round_robin"]


@settings(deadline=None)
@given(st.sampled_from(STRATEGIES), VIEWS, st.integers(0, 1 << 40), st.integers(0, 1 << 30))
def test_an_order_holds_every_target_once_and_the_weightless_last(strategy, views, turn, seed):
    found = order(strategy, views, turn, random.Random(seed).random)
    assert sorted(found) == list(range(len(views)))
    weightless = [views[i].weight <= 0 for i in found]
    assert weightless == sorted(weightless)


@pytest.mark.parametrize("weights", [(1, 1), (5, 3, 2), (90, 10), (1, 2, 3, 4), (0.5, 0.25, 0.25), (3, 0, 1)])
def test_weights_hold_within_two_percent(weights):
    """100,000 draws: each target's share of the first places lies within 2 % of its own, and of its second places too."""
    draws, chance = 100_000, random.Random(17).random
    views = [View(weight=w) for w in weights]
    first = Counter(order("weighted", views, 0, chance)[0] for _ in range(draws))
    for i, weight in enumerate(weights):
        share = weight / sum(weights)
        assert first[i] == pytest.approx(draws * share, rel=0.02)


@settings(max_examples=4, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=2, max_size=5), st.integers(0, 1 << 30))
def test_any_weights_hold_within_two_percent_of_the_draws(weights, seed):
    draws, chance = 100_000, random.Random(seed).random
    views = [View(weight=w) for w in weights]
    first = Counter(order("weighted", views, 0, chance)[0] for _ in range(draws))
    assert all(abs(first[i] / draws - w / sum(weights)) < 0.02 for i, w in enumerate(weights))


def test_after_the_first_the_rest_are_drawn_by_their_weights_too():
    """A target that is down leaves its share to the others in their proportion."""
    chance = random.Random(3).random
    views = [View(weight=8), View(weight=3), View(weight=1)]
    second = Counter(found[1] for found in (order("weighted", views, 0, chance) for _ in range(40_000)) if found[0] == 0)
    assert second[1] / second[2] == pytest.approx(3, rel=0.06)


def test_round_robin_gives_each_its_turn():
    views = [View(), View(weight=0), View(), View()]
    assert [order("round_robin", views, turn, random.random) for turn in range(4)] == [
        [0, 2, 3, 1],
        [2, 3, 0, 1],
        [3, 0, 2, 1],
        [0, 2, 3, 1],
    ]


def test_least_busy_counts_by_weight():
    """Three in flight at a target twice as large is less than two at the other."""
    assert order("least_busy", [View(in_flight=2), View(weight=2, in_flight=3)], 0, random.random) == [1, 0]


def test_equals_are_drawn_by_weight_and_not_by_their_place():
    chance = random.Random(5).random
    for strategy in ("cheapest", "priority", "lowest_latency"):
        views = [View(ttft_s=0.0, cost=1.0), View(ttft_s=0.0, cost=1.0)]
        first = Counter(order(strategy, views, 0, chance)[0] for _ in range(4000))
        assert first[0] == pytest.approx(2000, rel=0.1), strategy


def test_a_short_time_is_not_worth_a_long_line():
    """Else all would go to the fastest until its time is seen to grow."""
    fast_and_busy, slower = View(ttft_s=0.2, in_flight=9), View(ttft_s=0.5, in_flight=1)
    assert order("lowest_latency", [fast_and_busy, slower], 0, random.random) == [1, 0]


def test_cheapest_takes_no_unknown_price_for_nothing():
    assert order("cheapest", [View(cost=None), View(cost=30.0), View(cost=0.0)], 0, random.random) == [2, 1, 0]


def test_priority_beats_weight():
    assert order("priority", [View(weight=100, priority=2), View(priority=1), View(priority=3)], 0, random.random) == [1, 0, 2]


def test_what_was_never_measured_is_measured_by_one_call_at_a_time():
    measured_fast, new, new_and_asked = View(ttft_s=0.1), View(), View(in_flight=1)
    assert order("lowest_latency", [measured_fast, new], 0, random.random) == [1, 0]
    assert order("lowest_latency", [measured_fast, new_and_asked], 0, random.random) == [0, 1]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 60)), min_size=1, max_size=40))
def test_a_measure_lies_between_its_samples(samples):
    latency, now = None, 1000.0
    for pause, sample in samples:
        now += pause
        latency = measured(latency, sample, now)
    values = [sample for _, sample in samples]
    assert min(values) - 1e-9 <= latency.mean_s <= max(values) + 1e-9


@settings(deadline=None)
@given(st.floats(0, 60), st.floats(0, 1e6), st.floats(0, 1e6))
def test_what_is_not_asked_is_forgotten_bit_by_bit(sample, sooner, later):
    """Never the other way, and to half in the time that is said."""
    latency = measured(None, sample, 0.0)
    first, second = sorted((sooner, later))
    assert 0 <= expected_s(latency, second) <= expected_s(latency, first) <= sample
    assert expected_s(latency, 30.0) == pytest.approx(sample / 2)


def test_a_target_that_turns_slow_is_seen_within_some_calls():
    latency = measured(None, 0.1, 0.0)
    for i in range(12):
        latency = measured(latency, 3.0, 0.001 * i)
    assert latency.mean_s > 2.0


class Target:
    """So many calls at once, the rest wait in line; a call takes `mean_s`, exponentially."""

    def __init__(self, mean_s, places):
        self.mean_s = mean_s
        self.places = [0.0] * places
        self.in_flight = 0
        self.latency = None

    def call(self, now, chance):
        begins = max(now, heapq.heappop(self.places))
        ends = begins + chance.expovariate(1 / self.mean_s)
        heapq.heappush(self.places, ends)
        return ends


def p99(strategy, seed, calls=6000):
    """Seconds, over three targets of which the last is ten times slower, asked 40 times a second."""
    chance = random.Random(seed)
    targets = [Target(0.1, 8), Target(0.1, 8), Target(1.0, 8)]
    running, took, now = [], [], 0.0
    for turn in range(calls):
        now += chance.expovariate(40)
        while running and running[0][0] <= now:
            ended, began, i = heapq.heappop(running)
            targets[i].in_flight -= 1
            targets[i].latency = measured(targets[i].latency, ended - began, ended)
        views = [View(in_flight=t.in_flight, ttft_s=expected_s(t.latency, now)) for t in targets]
        chosen = order(strategy, views, turn, chance.random)[0]
        targets[chosen].in_flight += 1
        ended = targets[chosen].call(now, chance)
        heapq.heappush(running, (ended, now, chosen))
        took.append(ended - now)
    return sorted(took)[int(0.99 * len(took))]


@pytest.mark.parametrize("seed", range(5))
def test_least_busy_and_latency_beat_round_robin_with_one_slow_target(seed):
    """At the 99th percentile, by at least a third."""
    turns = p99("round_robin", seed)
    assert p99("least_busy", seed) < turns * 0.66
    assert p99("lowest_latency", seed) < turns * 0.66
