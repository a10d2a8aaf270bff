"""Breakers and cooldowns together: what concerns a host, what a model, what a key alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.routing.board import Board, Cool, CoolRule, cooled
from gatewright.routing.breaker import FRESH, OUTCOME_OF, Rule, admit, tell

RULE = Rule(in_a_row=3, open_s=10, closing=1)


def fail(board, endpoint, model, cause, times=3, now=0.0):
    for _ in range(times):
        passed = board.admit(endpoint, model, now)
        if passed is not None:
            board.ended(passed, cause, now)


def test_a_failing_model_leaves_its_endpoints_other_models_alone():
    board = Board(RULE)
    fail(board, "eu", "large", "overloaded")
    assert board.standing("eu", "large", 0) == "open"
    assert board.standing("eu", "small", 0) == "closed"
    assert board.standing("us", "large", 0) == "closed"
    assert board.admit("eu", "large", 0) is None
    assert board.retry_after_s("eu", "large", 4) == 6


def test_an_endpoint_that_cannot_be_reached_takes_all_its_models_along():
    board = Board(RULE)
    for model in ("a", "b", "c"):
        fail(board, "eu", model, "unreachable", times=1)
    assert board.standing("eu", "d", 0) == "open"
    assert board.standing("us", "d", 0) == "closed"


def test_an_error_is_an_answer_and_shows_that_the_endpoint_is_there():
    board = Board(Rule(in_a_row=3, least_calls=1000))
    for _ in range(10):
        fail(board, "eu", "a", "unreachable", times=2)
        fail(board, "eu", "b", "throttled", times=1)
    assert board.standing("eu", "a", 0) == "closed"


@pytest.mark.parametrize("cause", ["cancelled", "busy", "ours"])
def test_what_says_nothing_does_not_show_that_it_is_there(cause):
    board = Board(RULE)
    for said in ("unreachable", "unreachable", cause, "unreachable"):
        fail(board, "eu", "a", said, times=1)
    assert board.standing("eu", "a", 0) == "open"


def test_probes_of_an_endpoint_are_counted_over_all_its_models():
    board = Board(RULE)
    fail(board, "eu", "a", "unreachable")
    probe = board.admit("eu", "a", 10.0)
    assert probe is not None
    assert board.admit("eu", "b", 10.0) is None
    board.ended(probe, None, 10.5)
    assert board.admit("eu", "b", 10.5) is not None


def test_an_open_model_costs_its_endpoint_no_probe():
    """Both or neither: the endpoint's only probe must not be lost on a model that is open."""
    board = Board(RULE)
    fail(board, "eu", "b", "broken", now=5)
    fail(board, "eu", "a", "unreachable", now=0)
    fail(board, "eu", "a", "unreachable", now=5)
    assert board.standing("eu", "", 15.1) == "half_open"
    fail(board, "eu", "b", "broken", times=1, now=15.1)
    assert board.standing("eu", "b", 15.2) == "open"
    assert board.admit("eu", "b", 15.2) is None
    assert board.admit("eu", "a", 15.2) is not None


@settings(deadline=None)
@given(st.lists(st.sampled_from(["client", "filtered", "throttled", "our_credential", "cancelled", "conflict"]), max_size=60))
def test_what_is_not_the_targets_fault_opens_nothing(causes):
    board = Board(RULE)
    for cause in causes:
        fail(board, "eu", "a", cause, times=1)
    assert board.standing("eu", "a", 0) == "closed"


def test_a_throttled_key_rests_and_its_siblings_do_not():
    board = Board(RULE)
    board.throttled(("eu", "key 1", ""), 0.0, asked_s=12)
    assert board.rests_s(("eu", "key 1", ""), 2.0) == 10
    assert board.rests_s(("eu", "key 1", "any"), 2.0) == 10
    assert board.rests_s(("eu", "key 2", ""), 2.0) == 0
    assert board.rests_s(("us", "key 1", ""), 2.0) == 0
    assert board.rests_s(("eu", "key 1", ""), 99.0) == 0
    assert board.soonest_s([], 2.0) == 0
    keys = [("eu", "key 1", ""), ("eu", "key 2", "")]
    assert board.soonest_s(keys, 2.0) == 0
    board.throttled(("eu", "key 2", ""), 2.0, asked_s=3)
    assert board.soonest_s(keys, 2.0) == 3


def test_a_limit_of_one_model_rests_the_key_for_that_model():
    board = Board(RULE)
    board.throttled(("eu", "key 1", "large"), 0.0, asked_s=12)
    assert board.rests_s(("eu", "key 1", "large"), 2.0) == 10
    assert board.rests_s(("eu", "key 1", "small"), 2.0) == 0


def test_a_key_without_a_word_rests_longer_each_time_until_it_serves():
    board, key = Board(RULE), ("eu", "key 1", "")
    rests = []
    now = 0.0
    for _ in range(4):
        board.throttled(key, now)
        rests.append(board.rests_s(key, now))
        now += rests[-1]
    assert rests == [5, 10, 20, 40]
    board.served(key)
    board.throttled(key, now)
    assert board.rests_s(key, now) == 5


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.none() | st.floats(0, 1e9)), min_size=1, max_size=20))
def test_rests_are_bounded_and_never_shortened(throttlings):
    rule, cool, now = CoolRule(), None, 0.0
    for pause, asked in throttlings:
        now += pause
        after = cooled(cool, rule, now, asked)
        assert now + rule.least_s <= after.until <= now + rule.at_most_s
        assert cool is None or after.until >= cool.until
        cool = after


def test_a_board_is_bounded_and_keeps_what_is_open():
    board = Board(RULE, most=100)
    fail(board, "eu", "bad", "broken")
    for i in range(1000):
        fail(board, "eu", f"model {i}", "broken", times=1, now=1.0 + i / 1000)
        board.throttled(("eu", f"key {i}", ""), float(i), asked_s=30)
    assert len(board.circuits) <= 100
    assert len(board.keys) <= 100
    assert board.standing("eu", "bad", 5.0) == "open"
    assert board.keys[("eu", "key 999", "")] == Cool(1029.0)


def test_forgetting_what_rests_no_more_costs_no_other_its_rest():
    board = Board(RULE, most=3)
    for i, asked in enumerate((1, 500, 2)):
        board.throttled(("eu", f"key {i}", ""), 0.0, asked_s=asked)
    board.throttled(("eu", "new", ""), 10.0, asked_s=5)
    assert board.rests_s(("eu", "key 1", ""), 10.0) == pytest.approx(490)
    assert len(board.keys) == 2


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 20),
            st.sampled_from([None, None, None, "broken", "unreachable", "throttled", "cancelled"]),
            st.integers(1, 5),
        ),
        max_size=60,
    )
)
def test_successes_in_heaps_come_to_what_one_by_one_would(steps):
    """What is not reckoned at once is reckoned all the same: the circuits are those that breakers alone would be."""
    rule = Rule(in_a_row=4, share=0.4, least_calls=6, half_life_s=30, open_s=5, closing=1)
    board, alone, now = Board(rule), {("eu", ""): FRESH, ("eu", "a"): FRESH}, 0.0
    for pause, cause, times in steps:
        now += pause
        for _ in range(times):
            before = dict(alone)
            permits = {}
            for circuit, state in before.items():
                permits[circuit], alone[circuit] = admit(state, rule, now)
            if None in permits.values():
                alone = before
            passed = board.admit("eu", "a", now)
            assert (passed is None) == (None in permits.values())
            if passed is None:
                continue
            board.ended(passed, cause, now)
            reached = "failure" if cause == "unreachable" else "neutral" if cause == "cancelled" else "success"
            outcome = "success" if cause is None else "neutral" if cause == "unreachable" else OUTCOME_OF[cause]
            for circuit, how in ((("eu", ""), reached), (("eu", "a"), outcome)):
                alone[circuit] = tell(alone[circuit], rule, permits[circuit], how, now)
        for (endpoint, model), state in alone.items():
            mine = board.state(endpoint, model)
            assert (mine.opened_at, mine.openings, mine.in_a_row) == (state.opened_at, state.openings, state.in_a_row)
            assert mine.failures == pytest.approx(state.failures * 0.5 ** ((mine.at - state.at) / 30), abs=1e-6)


def test_who_opens_and_who_closes_is_told():
    """And nothing else: what is told is told to every worker."""
    board = Board(RULE)
    told = []
    for cause in (None, "broken", "broken", "throttled", "broken"):
        told += board.ended(board.admit("eu", "a", 0.0), cause, 0.0)
    assert told == [("eu", "a")]
    assert board.ended(board.admit("eu", "a", 10.0), None, 10.0) == [("eu", "a")]
    assert board.standing("eu", "a", 10.0) == "closed"


def test_a_forgotten_endpoint_is_fresh_and_its_running_calls_change_nothing():
    """A reload may have made another host of it."""
    board = Board(RULE)
    running = board.admit("eu", "a", 0.0)
    fail(board, "eu", "a", "broken")
    board.throttled(("eu", "key", "a"), 0.0, asked_s=99)
    board.forget("eu")
    assert board.standing("eu", "a", 0.0) == "closed"
    assert board.rests_s(("eu", "key", "a"), 0.0) == 0
    board.ended(running, None, 1.0)
    assert board.state("eu", "a").in_a_row == 0
