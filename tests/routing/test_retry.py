"""What follows each cause of failure, how long is waited, and that no plan of attempts goes on for ever."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.errors import STATUS_OF, Problem, kind_of
from gatewright.routing.retry import POLICY, Cause, Decision, Rule, Stage, Tried, cause_of, cause_of_status, decide, wait_s

CAUSES = get_args(Cause)


def after(cause, *, here=1, total=1, others=1, **more):
    given = {"now": 0.0, "deadline": 60.0, "chance": 0.5, **more}
    return decide(cause, Tried(here, total, others), Rule(), **given)


def test_every_cause_has_its_row():
    assert set(POLICY) == set(CAUSES)


@pytest.mark.parametrize(
    ("status", "code", "first", "alone"),
    [
        (400, None, "stop", "stop"),
        (401, None, "next", "stop"),
        (402, None, "next", "stop"),
        (403, None, "stop", "stop"),
        (404, None, "stop", "stop"),
        (408, None, "same", "same"),
        (409, None, "same", "same"),
        (413, None, "stop", "stop"),
        (418, None, "stop", "stop"),
        (422, None, "stop", "stop"),
        (429, None, "next", "same"),
        (429, "insufficient_quota", "next", "stop"),
        (429, "rate_limit_exceeded", "next", "same"),
        (400, "content_filter", "stop", "stop"),
        (400, "content_policy_violation", "stop", "stop"),
        (499, None, "stop", "stop"),
        (500, None, "same", "same"),
        (502, None, "same", "same"),
        (503, None, "next", "same"),
        (504, None, "next", "same"),
        (520, None, "same", "same"),
        (529, None, "next", "same"),
    ],
)
def test_what_follows_a_status(status, code, first, alone):
    """With another target left, and with none."""
    problem = Problem(kind=kind_of(status), message="", status=status, code=code)
    cause = cause_of(problem, "answered")
    assert after(cause, others=1).way == first
    assert after(cause, others=0).way == alone
    if code is None:
        assert cause_of_status(status) == cause


@pytest.mark.parametrize(
    ("stage", "kind", "cause", "first", "alone"),
    [
        ("connecting", "upstream", "unreachable", "next", "same"),
        ("connecting", "timeout", "unreachable", "next", "same"),
        ("connecting", "overloaded", "busy", "next", "same"),
        ("waiting", "timeout", "silent", "next", "same"),
        ("waiting", "upstream", "cut", "same", "same"),
        ("streaming", "timeout", "stalled", "next", "same"),
        ("streaming", "overloaded", "overloaded", "next", "same"),
        ("streaming", "rate_limit", "throttled", "next", "same"),
        ("streaming", "upstream", "broken", "same", "same"),
        ("streaming", "billing", "out_of_money", "next", "stop"),
        ("streaming", "invalid_request", "client", "stop", "stop"),
        ("waiting", "cancelled", "cancelled", "stop", "stop"),
        ("waiting", "internal", "ours", "stop", "stop"),
        ("content", "overloaded", "content", "stop", "stop"),
        ("content", "upstream", "content", "stop", "stop"),
    ],
)
def test_what_follows_a_failure_without_a_status(stage, kind, cause, first, alone):
    """Of the transport, or told inside a stream with a good status."""
    assert cause_of(Problem(kind=kind, message=""), stage) == cause
    assert after(cause, others=1).way == first
    assert after(cause, others=0).way == alone


@pytest.mark.parametrize("kind", STATUS_OF)
def test_nothing_follows_once_content_is_out(kind):
    cause = cause_of(Problem(kind=kind, message=""), "content")
    assert after(cause, others=5) == Decision("stop", why="content")


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_key_that_the_client_brought_is_the_clients_to_mend(status):
    problem = Problem(kind=kind_of(status), message="", status=status)
    assert cause_of(problem, "answered", clients_key=True) == "client"
    out = Problem(kind="rate_limit", message="", status=429, type="insufficient_quota")
    assert cause_of(out, "answered", clients_key=True) == "client"


def test_what_the_upstream_asks_for_is_waited_for_in_full():
    found = after("throttled", others=0, asked_s=6.0)
    assert found.way == "same"
    assert 6.0 <= found.wait_s <= 6.25


def test_an_upstream_that_asks_for_too_long_is_left():
    assert after("broken", asked_s=120.0).way == "next"
    alone = after("throttled", others=0, asked_s=120.0)
    assert alone == Decision("stop", why="throttled; no other target; it asks for 120 s")


def test_no_wait_goes_beyond_the_deadline():
    assert after("throttled", others=0, asked_s=12.0, now=50.0).way == "stop"
    assert after("broken", others=1, asked_s=12.0, now=50.0).way == "next"
    assert after("throttled", others=0, asked_s=10.0, now=50.0, chance=0.0).way == "stop"
    assert after("throttled", others=0, asked_s=9.9, now=50.0, chance=0.0).way == "same"
    assert after("broken", others=1, now=60.0) == Decision("stop", why="broken; the time is up")


def test_x_should_retry_false_is_heard():
    assert after("broken", may_repeat=False).way == "next"
    assert after("broken", others=0, may_repeat=False).way == "stop"


@settings(deadline=None)
@given(st.integers(1, 2000), st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 3600))
def test_waits_are_bounded_and_jittered_in_full(tries, chance, asked):
    rule = Rule()
    wait = wait_s(tries, rule, chance, asked)
    assert (asked or 0) <= wait <= (asked or 0) + rule.cap_s
    assert wait_s(tries, rule, 0.0) == 0.0
    assert wait_s(tries, rule, chance) <= wait_s(tries + 1, rule, chance)


def test_the_longest_wait_doubles_to_its_cap():
    assert [wait_s(n, Rule(), 1.0) for n in range(1, 8)] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(CAUSES), st.none() | st.floats(0, 100), st.floats(0, 20)), min_size=40, max_size=40),
    st.integers(1, 6),
    st.builds(Rule, tries_each=st.integers(1, 4), tries_all=st.integers(1, 12)),
    st.floats(0, 120),
    st.floats(0, 1, exclude_max=True),
)
def test_every_plan_ends_within_its_tries_and_its_time(failures, targets, rule, deadline, chance):
    """Whatever fails, and however long each attempt takes: no attempt begins late, none too often, none at a target that is not."""
    now, here, total, target = 0.0, 1, 1, 1
    for cause, asked, lasts in failures:
        assert (target <= targets, here <= rule.tries_each, total <= rule.tries_all) == (True, True, True)
        assert now < deadline or total == 1
        now += lasts
        found = decide(
            cause, Tried(here, total, targets - target), rule, now=now, deadline=deadline, chance=chance, asked_s=asked
        )
        if found.way == "stop":
            return
        assert found.way in POLICY[cause]
        now += found.wait_s
        total += 1
        here, target = (here + 1, target) if found.way == "same" else (1, target + 1)
    raise AssertionError("it went on for 40 attempts")


@settings(deadline=None)
@given(
    st.sampled_from(sorted(STATUS_OF)), st.sampled_from(get_args(Stage)), st.integers(0, 599), st.text(max_size=12), st.booleans()
)
def test_every_problem_has_a_cause(kind, stage, status, code, clients_key):
    assert cause_of(Problem(kind=kind, message="", status=status, code=code), stage, clients_key=clients_key) in POLICY
