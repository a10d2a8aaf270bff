"""The circuit breaker under a simulated clock: when it opens, how few probes pass, and that it always comes back."""

import random
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.routing.breaker import FRESH, OUTCOME_OF, Rule, State, admit, open_for_s, opened, retry_after_s, standing, tell
from gatewright.routing.retry import Cause

RULES = st.builds(
    Rule,
    in_a_row=st.integers(1, 6),
    share=st.sampled_from([0.1, 0.5, 1.0]),
    least_calls=st.sampled_from([1.0, 5.0, 20.0]),
    half_life_s=st.sampled_from([1.0, 30.0]),
    open_s=st.sampled_from([0.5, 10.0]),
    longest_s=st.sampled_from([10.0, 300.0]),
    probes=st.integers(1, 4),
    closing=st.integers(1, 4),
    probe_s=st.sampled_from([5.0, 120.0]),
)
OUTCOMES = st.sampled_from(["success", "failure", "neutral"])
PAUSES = st.sampled_from([0.0, 0.01, 1.0, 9.0, 60.0, 1000.0])
STEPS = st.lists(st.tuples(PAUSES, st.sampled_from(["ask", "ask", "tell"]), st.integers(0, 9), OUTCOMES), max_size=120)


class Play:
    """A breaker, its clock, and the calls that run."""

    def __init__(self, rule):
        self.rule, self.state, self.now, self.running = rule, FRESH, 100.0, []

    def ask(self):
        permit, self.state = admit(self.state, self.rule, self.now)
        if permit is not None:
            self.running.append(permit)
        return permit

    def tell(self, which, outcome):
        if self.running:
            permit = self.running.pop(which % len(self.running))
            self.state = tell(self.state, self.rule, permit, outcome, self.now)

    def call(self, outcome):
        permit = self.ask()
        if permit is not None:
            self.tell(len(self.running) - 1, outcome)
        return permit is not None

    @property
    def standing(self):
        return standing(self.state, self.rule, self.now)

    def step(self, pause, what, which, outcome):
        self.now += pause
        return self.ask() if what == "ask" else self.tell(which, outcome)


@settings(deadline=None)
@given(RULES, STEPS)
def test_never_more_probes_than_allowed_and_none_while_open(rule, steps):
    """Running probes that still hold their place, counted from outside."""
    play = Play(rule)
    for step in steps:
        play.now += step[0]
        before = play.standing
        permit = play.step(0, *step[1:])
        if before == "open":
            assert permit is None
        probes = [p for p in play.running if p.episode == play.state.episode and p.at + rule.probe_s > play.now]
        if play.standing == "half_open":
            assert len(probes) <= rule.probes
        if before == "closed" and step[1] == "ask":
            assert permit is not None


@settings(deadline=None)
@given(RULES, STEPS)
def test_it_always_recovers(rule, steps):
    """From whatever state, with probes that were never told of: once calls succeed again, it closes."""
    play = Play(rule)
    for step in steps:
        play.step(*step)
    play.running.clear()
    play.now += max(rule.longest_s, rule.probe_s) + rule.open_s
    for _ in range(rule.closing):
        assert play.call("success")
    assert play.standing == "closed"


@settings(deadline=None)
@given(RULES, st.lists(st.tuples(st.floats(0, 60), st.booleans()), max_size=60), st.data())
def test_one_more_failure_never_opens_it_later(rule, calls, data):
    def opens_at(history):
        play = Play(rule)
        for i, (pause, good) in enumerate(history):
            play.now += pause
            play.call("success" if good else "failure")
            if play.standing != "closed":
                return i
        return len(history)

    worse = list(calls)
    for i in data.draw(st.sets(st.integers(0, len(calls) - 1), max_size=5)) if calls else ():
        worse[i] = (worse[i][0], False)
    assert opens_at(worse) <= opens_at(calls)


@settings(deadline=None)
@given(RULES, STEPS, PAUSES, PAUSES)
def test_time_alone_only_turns_open_into_half_open(rule, steps, sooner, later):
    play = Play(rule)
    for step in steps:
        play.step(*step)
    order = ["open", "half_open", "closed"]
    first = standing(play.state, rule, play.now + sooner)
    second = standing(play.state, rule, play.now + sooner + later)
    assert order.index(first) <= order.index(second)
    assert (first == "closed") == (second == "closed")
    wait = retry_after_s(play.state, rule, play.now)
    assert (wait > 0) == (play.standing == "open")
    assert standing(play.state, rule, play.now + wait + 1e-6) != "open"


@settings(deadline=None)
@given(RULES, st.lists(st.sampled_from(["neutral", "success"]), max_size=80))
def test_nothing_but_failures_opens(rule, outcomes):
    play = Play(rule)
    assert all(play.call(outcome) for outcome in outcomes)


@pytest.mark.parametrize("cause", get_args(Cause))
def test_what_the_client_did_never_opens(cause):
    """Nor a key over its limit or out of money: the target is not to blame."""
    opens = {"unreachable", "silent", "stalled", "cut", "overloaded", "broken"}
    play = Play(Rule())
    for _ in range(100):
        play.call(OUTCOME_OF[cause])
    assert (play.standing == "open") == (cause in opens)


def test_failures_in_a_row_open_it():
    play = Play(Rule(in_a_row=3))
    for outcome in ("failure", "failure", "success", "failure", "failure"):
        assert play.call(outcome)
    assert play.standing == "closed"
    play.call("failure")
    assert play.standing == "open"
    assert not play.call("success")


def test_a_large_share_of_failures_opens_it_though_never_in_a_row():
    play = Play(Rule(in_a_row=5, share=0.5, least_calls=20))
    for i in range(60):
        play.now += 0.1
        if not play.call("success" if i % 3 == 0 else "failure"):
            break
    assert 19 <= i <= 24, "as soon as there are calls enough to speak of a share"


def test_old_failures_are_forgotten():
    play = Play(Rule(in_a_row=100, least_calls=10, half_life_s=30))
    for _ in range(9):
        play.call("failure")
    play.now += 300
    for _ in range(30):
        play.call("success")
        play.call("success")
        play.call("failure")
    assert play.standing == "closed"


def test_a_bad_probe_opens_it_for_twice_as_long():
    play = Play(Rule(in_a_row=1, open_s=10, longest_s=60))
    play.call("failure")
    waits = []
    for _ in range(6):
        waits.append(retry_after_s(play.state, play.rule, play.now))
        play.now += waits[-1]
        assert play.call("failure"), "the probe"
    assert waits == [10, 20, 40, 60, 60, 60]


def test_one_that_flaps_stays_open_longer_and_is_forgiven_after_a_calm_time():
    play = Play(Rule(in_a_row=1, open_s=10, longest_s=60, closing=1))
    play.call("failure")
    play.now += 10
    play.call("success")
    play.call("failure")
    assert retry_after_s(play.state, play.rule, play.now) == 20
    play.now += 20
    play.call("success")
    play.now += 61
    play.call("failure")
    assert retry_after_s(play.state, play.rule, play.now) == 10


def test_what_began_before_it_opened_neither_closes_nor_opens_it():
    """A slow success from before must not stand for a probe, nor a slow failure prolong the opening."""
    play = Play(Rule(in_a_row=2, closing=1))
    old = [play.ask() for _ in range(3)]
    play.running.clear()
    play.call("failure")
    play.call("failure")
    assert play.standing == "open"
    before = play.state
    for permit, outcome in zip(old, ("success", "failure", "neutral"), strict=True):
        play.state = tell(play.state, play.rule, permit, outcome, play.now)
    assert play.state == before
    play.now += 10
    assert play.standing == "half_open"
    play.state = tell(play.state, play.rule, old[0], "success", play.now)
    assert play.standing == "half_open"


def test_what_began_before_it_opened_does_not_count_once_it_is_closed_again():
    play = Play(Rule(in_a_row=2, closing=1))
    old = [play.ask() for _ in range(5)]
    play.running.clear()
    play.call("failure")
    play.call("failure")
    play.now += 10
    play.call("success")
    for permit in old:
        play.state = tell(play.state, play.rule, permit, "failure", play.now)
    assert play.standing == "closed"


def test_it_takes_as_many_good_probes_to_close_as_the_rule_says():
    play = Play(Rule(in_a_row=1, closing=3))
    play.call("failure")
    play.now += 10
    seen = [(play.call("success"), play.standing)[1] for _ in range(3)]
    assert seen == ["half_open", "half_open", "closed"]


def test_a_probe_that_lost_its_place_says_nothing_any_more():
    play = Play(Rule(in_a_row=1, probes=1, probe_s=5, closing=1))
    play.call("failure")
    play.now += 10
    slow = play.ask()
    play.now += 6
    assert play.ask(), "its place is another's"
    before = play.state
    for outcome in ("success", "failure"):
        assert tell(before, play.rule, slow, outcome, play.now) == before


def test_a_probe_that_says_nothing_gives_its_place_back():
    play = Play(Rule(in_a_row=1, probes=1))
    play.call("failure")
    play.now += 10
    assert play.ask()
    assert not play.ask()
    play.tell(0, "neutral")
    assert play.ask()


def test_what_another_worker_found_out_opens_it_here():
    play = Play(Rule())
    play.state = opened(play.state, play.now)
    assert not play.call("success")


@settings(deadline=None)
@given(RULES, st.integers(1, 5000))
def test_openings_last_ever_longer_up_to_the_longest(rule, openings):
    assert open_for_s(openings, rule) <= open_for_s(openings + 1, rule) <= max(rule.longest_s, rule.open_s)


RULE = Rule()


def failing(share: float, calls: int, seed: int, state: State = FRESH, rule: Rule = RULE) -> tuple[State, int, float]:
    """After so many calls, ten a second, of which such a share fails: the state, how often it opened, and the time."""
    chance, opened, now = random.Random(seed), 0, state.at
    for _ in range(calls):
        now += 0.1
        permit, state = admit(state, rule, now)
        if permit is None:
            continue
        before = state.openings
        state = tell(state, rule, permit, "failure" if chance.random() < share else "success", now)
        opened += state.openings > before
    return state, opened, now


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_bad_luck_is_no_outage(share):
    """A target that always failed now and then goes on to be asked, however many calls there are."""
    warm = Rule(least_calls=1e9, in_a_row=10**9)
    for seed in range(5):
        state, _, _ = failing(share, 300, seed, rule=warm)
        _, opened, _ = failing(share, 30_000, seed + 100, state)
        assert opened == 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_an_outage_is_seen_soon_whatever_was_before(share):
    """All calls fail from now on: five are enough where none failed before, and some more where many did."""
    state, _, now = failing(share, 300, 1, rule=Rule(least_calls=1e9, in_a_row=10**9))
    state = msgspec.structs.replace(state, in_a_row=0)
    rule, needed = Rule(), 0
    while state.opened_at is None:
        now += 0.1
        permit, state = admit(state, rule, now)
        assert permit is not None
        state = tell(state, rule, permit, "failure", now)
        needed += 1
    assert needed == 5 if share == 0 else 5 <= needed <= 20
