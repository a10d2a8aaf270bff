"""Rate limits by GCRA: never more than the burst and the steady rate in any window, and never two bursts at a window's edge."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.routing.gcra import FRESH, NEVER, Limit, check, check_all, remaining, reset_s, settle

LIMITS = st.builds(
    Limit,
    units=st.integers(1, 1000).map(float),
    period_s=st.sampled_from([1.0, 60.0, 3600.0]),
    burst=st.integers(0, 50).map(float),
)
STEPS = st.lists(st.tuples(st.floats(0, 100), st.integers(1, 20).map(float)), max_size=60)
START = st.sampled_from([0.0, 5e4, 1.79e9])


def passed(limit, steps, start):
    """(when, cost) of everything let through when `steps` ask one after another."""
    tat, now, let = FRESH, start, []
    for pause, cost in steps:
        now += pause
        verdict = check(tat, limit, cost, now)
        if verdict.allowed:
            let.append((now, cost))
        (tat,) = verdict.tats
    return let


@settings(deadline=None)
@given(LIMITS, STEPS, START)
def test_no_window_holds_more_than_a_burst_and_the_rate(limit, steps, start):
    """Whatever window is laid over the time, wherever it begins."""
    let = passed(limit, steps, start)
    burst = limit.burst or limit.units
    for i, (begin, _) in enumerate(let):
        total = 0.0
        for end, cost in let[i:]:
            total += cost
            assert total <= burst + (end - begin) / limit.unit_s + 2e-6 / limit.unit_s + 1e-6


def test_two_bursts_do_not_meet_at_the_edge_of_a_window():
    """A fixed window of a minute lets 60 pass at 59.9 s and 60 more at 60.1 s."""
    limit = Limit(60, 60.0)
    tat = FRESH
    late = early = 0
    for _ in range(60):
        verdict = check(tat, limit, 1, 59.9)
        late += verdict.allowed
        (tat,) = verdict.tats
    for _ in range(60):
        verdict = check(tat, limit, 1, 60.1)
        early += verdict.allowed
        (tat,) = verdict.tats
    assert (late, early) == (60, 0)


@settings(deadline=None)
@given(LIMITS, STEPS, START, st.integers(1, 20).map(float))
def test_a_refusal_tells_when_it_would_pass(limit, steps, start, cost):
    """Not a moment sooner by more than the grace, and surely then."""
    tat, now = FRESH, start
    for pause, spent in steps:
        now += pause
        (tat,) = check(tat, limit, spent, now).tats
    verdict = check(tat, limit, cost, now)
    if verdict.retry_after_s == NEVER:
        assert cost > (limit.burst or limit.units)
    elif not verdict.allowed:
        assert verdict.tats == (tat,), "what is refused changes nothing"
        assert check(tat, limit, cost, now + verdict.retry_after_s).allowed
        assert not check(tat, limit, cost, now + verdict.retry_after_s - 1e-5).allowed or verdict.retry_after_s < 1.2e-5


def test_the_steady_rate_is_reached_and_not_passed():
    """Ten thousand asks in 100 s under 5 a second: 500 and the burst."""
    let = passed(Limit(5, 1.0, burst=10.0), [(0.01, 1.0)] * 10_000, 0.0)
    assert len(let) == 509


def test_limits_are_passed_together_or_not_at_all():
    """A request that its tokens forbid must not use up a request of its minute."""
    requests, tokens = Limit(10, 60.0), Limit(1000, 60.0)
    first = check_all((FRESH, FRESH), (requests, tokens), (1, 900), 0.0)
    assert first.allowed
    second = check_all(first.tats, (requests, tokens), (1, 200), 0.0)
    assert (second.allowed, second.tats, second.limited_by) == (False, first.tats, 1)
    assert second.retry_after_s == pytest.approx(6.0)
    assert check_all(first.tats, (requests, tokens), (1, 100), 0.0).allowed


def test_what_is_larger_than_the_burst_never_passes():
    verdict = check(FRESH, Limit(100, 60.0, burst=50.0), 51, 0.0)
    assert (verdict.allowed, verdict.retry_after_s) == (False, math.inf)


def test_what_costs_nothing_passes_a_limit_that_is_used_up():
    limit = Limit(1, 60.0)
    (tat,) = check(FRESH, limit, 1, 0.0).tats
    tat = settle(tat, limit, 1, 5, 0.0)
    assert not check(tat, limit, 1, 0.0).allowed
    assert check(tat, limit, 0, 0.0).allowed
    assert check(FRESH, limit, 0, 0.0).tats == (FRESH,)


@settings(deadline=None)
@given(LIMITS, st.floats(0, 40), st.floats(0, 80))
def test_settling_charges_what_was_used(limit, reserved, used):
    """As if the true cost had been known from the start."""
    tat = settle(1000.0 + reserved * limit.unit_s, limit, reserved, used, 1000.0)
    assert tat == pytest.approx(1000.0 + used * limit.unit_s)


def test_more_used_than_reserved_is_paid_off_before_the_next():
    limit = Limit(10, 10.0)
    (tat,) = check(FRESH, limit, 5, 0.0).tats
    tat = settle(tat, limit, 5, 25, 0.0)
    assert remaining(tat, limit, 0.0) == 0
    assert check(tat, limit, 1, 0.0).retry_after_s == pytest.approx(16.0)
    assert reset_s(tat, 0.0) == pytest.approx(25.0)


def test_what_a_long_request_used_is_charged_when_it_is_told():
    """Its reservation was paid off long ago; the surprise at the end was not."""
    limit = Limit(10, 10.0)
    (tat,) = check(FRESH, limit, 5, 0.0).tats
    tat = settle(tat, limit, 5, 20, 600.0)
    assert check(tat, limit, 1, 600.0).retry_after_s == pytest.approx(6.0)


@settings(deadline=None)
@given(LIMITS, STEPS, START)
def test_what_remains_is_what_would_pass(limit, steps, start):
    tat, now = FRESH, start
    for pause, cost in steps:
        now += pause
        (tat,) = check(tat, limit, cost, now).tats
    left = remaining(tat, limit, now)
    slack = 2e-6 / limit.unit_s + 1e-6
    if left > slack:
        assert check(tat, limit, left - slack, now).allowed
    assert not check(tat, limit, left + 2 * slack, now).allowed


def test_a_clock_that_goes_back_lets_nothing_more_pass():
    limit = Limit(10, 10.0)
    (tat,) = check(FRESH, limit, 10, 100.0).tats
    assert not check(tat, limit, 1, 50.0).allowed
