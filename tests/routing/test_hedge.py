"""Hedges: only for what is slower than its kind, never beyond their share of the cost, and they shorten the tail."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.routing.hedge import ENOUGH, SAMPLES, Rule, Running, delay_s, may_hedge, remembered, saved, spent

RULES = st.builds(Rule, share=st.sampled_from([0.0, 0.01, 0.05, 0.5]), purse=st.sampled_from([0.0, 1.0, 10.0]))


@settings(deadline=None)
@given(RULES, st.lists(st.tuples(st.floats(0.01, 20), st.floats(0.01, 20)), max_size=200), st.floats(0, 1))
def test_hedges_never_cost_more_than_their_share(rule, requests, first):
    """However the costs fall, and however eagerly hedges are asked for."""
    purse = began = first * rule.purse
    total = extra = 0.0
    slow = Running(waited_s=9, delay_s=1, left_s=60, others=1)
    for cost, hedge_cost in requests:
        total += cost
        purse = saved(purse, rule, cost)
        while may_hedge(slow, purse, rule, hedge_cost) == "hedge":
            purse = spent(purse, hedge_cost)
            extra += hedge_cost
            assert purse >= 0
        assert extra <= began + rule.share * total + 1e-6
        assert purse <= rule.purse


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "hedge"),
        ({"waited_s": 1.9}, "too early"),
        ({"begun": True}, "begun"),
        ({"hedges": 1}, "enough"),
        ({"others": 0}, "no other target"),
        ({"repeatable": False}, "not repeatable"),
        ({"left_s": 0.0}, "no time"),
    ],
)
def test_what_a_hedge_needs(change, reason):
    waiting = {"waited_s": 2.0, "delay_s": 2.0, "left_s": 30.0, "others": 1} | change
    assert may_hedge(Running(**waiting), 1.0, Rule()) == reason


def test_an_empty_purse_allows_none():
    waiting = Running(waited_s=2, delay_s=1, left_s=30, others=1)
    assert may_hedge(waiting, 0.99, Rule()) == "no purse"
    assert may_hedge(waiting, 5.0, Rule(share=0.0)) == "no purse"


def test_little_known_is_waited_for_longer():
    rule = Rule(unknown_s=10.0)
    samples = ()
    for _ in range(ENOUGH - 1):
        samples = remembered(samples, 0.8)
    assert delay_s(samples, rule) == 10.0
    assert delay_s(remembered(samples, 0.8), rule) == 0.8


@settings(deadline=None)
@given(st.lists(st.floats(0, 60), min_size=ENOUGH, max_size=300))
def test_no_more_than_the_percentile_is_slower_than_the_delay(times):
    samples = ()
    for seconds in times:
        samples = remembered(samples, seconds)
    assert samples == tuple(times[-SAMPLES:])
    rule = Rule(least_s=0.0)
    delay = delay_s(samples, rule)
    assert sum(seconds > delay for seconds in samples) <= (1 - rule.percentile) * len(samples)
    assert delay in samples
    assert delay_s(samples, Rule(least_s=61.0)) == 61.0


def test_hedging_shortens_the_tail_for_a_twentieth_more_calls():
    """A simulation: one answer in 50 takes 8 s instead of half a second."""
    chance = random.Random(11)

    def ttft():
        return chance.uniform(0.3, 0.7) if chance.random() > 0.02 else 8.0

    rule, purse, samples = Rule(), 0.0, ()
    plain, hedged, hedges = [], [], 0
    for _ in range(10_000):
        purse = saved(purse, rule)
        first = ttft()
        delay = delay_s(samples, rule)
        took = first
        if first > delay and may_hedge(Running(delay, delay, 60, 1), purse, rule) == "hedge":
            purse = spent(purse)
            hedges += 1
            took = min(first, delay + ttft())
        samples = remembered(samples, first)
        plain.append(first)
        hedged.append(took)
    assert hedges <= 510
    p99 = int(0.99 * len(plain))
    assert sorted(plain)[p99] == 8.0
    assert sorted(hedged)[p99] < 2.0
