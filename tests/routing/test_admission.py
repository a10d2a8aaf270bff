"""The queue before an endpoint: bounded, fair among tenants, and turning away in time."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.routing.admission import Admission, Limits, Moved

WEIGHTS = {"a": 1.0, "b": 1.0, "c": 4.0, "d": 0.5}
LIMITS = st.builds(Limits, running=st.integers(1, 4), waiting=st.integers(0, 8), patience_s=st.sampled_from([0.0, 2.0, 1e9]))
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "arrive", "end", "leave", "wait"]),
        st.sampled_from("abcd"),
        st.integers(0, 99),
        st.floats(0, 3),
    ),
    max_size=100,
)


class Play:
    """A queue, its clock, and what became of everyone."""

    def __init__(self, limits, mean_s=0.001):
        self.queue, self.now, self.tickets = Admission(limits, mean_s), 0.0, 0
        self.waiting, self.running, self.shed, self.began = {}, {}, [], []
        self.limits = limits

    def arrive(self, tenant, **more):
        self.tickets += 1
        self.waiting[self.tickets] = (tenant, self.now)
        self.moved(self.queue.arrived(self.tickets, tenant, self.now, weight=WEIGHTS.get(tenant, 1.0), **more))
        return self.tickets

    def moved(self, moved):
        for ticket in moved.started:
            self.running[ticket] = self.waiting.pop(ticket)[0]
            self.began.append(ticket)
        for shed in moved.shed:
            self.waiting.pop(shed.ticket)
            self.shed.append(shed)
            assert shed.retry_after_s >= 1

    def end(self, ticket):
        self.running.pop(ticket, None)
        self.waiting.pop(ticket, None)
        self.moved(self.queue.left(ticket, self.now))

    def wait(self, seconds):
        self.now += seconds
        self.moved(self.queue.passed(self.now))


@settings(deadline=None)
@given(LIMITS, EVENTS)
def test_everyone_runs_waits_or_was_turned_away(limits, events):
    """Nobody is lost, nobody runs twice, no bound is passed, and no place stays free while somebody waits."""
    play = Play(limits)
    for what, tenant, which, seconds in events:
        if what == "arrive":
            play.arrive(tenant)
        elif what == "end" and play.running:
            play.end(sorted(play.running)[which % len(play.running)])
        elif what == "leave" and play.waiting:
            play.end(sorted(play.waiting)[which % len(play.waiting)])
        elif what == "wait":
            play.wait(seconds)
            assert all(play.now - came < limits.patience_s for _, came in play.waiting.values())
        assert set(play.queue.running) == set(play.running)
        assert len(play.queue) == len(play.waiting) <= limits.waiting
        assert len(play.running) <= limits.running
        assert not play.waiting or len(play.running) == limits.running
        deadline = play.queue.next_deadline()
        assert (deadline is None) == (not play.waiting)
    assert len(play.began) == len(set(play.began))
    for ticket in sorted(play.running) + sorted(play.waiting):
        play.end(ticket)
    assert (len(play.queue), play.queue.running) == (0, {})


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=4, max_size=60))
def test_a_tenants_own_requests_start_in_their_order(tenants):
    play = Play(Limits(running=1, waiting=100, patience_s=1e9))
    by_tenant = {}
    for tenant in tenants:
        by_tenant.setdefault(tenant, []).append(play.arrive(tenant))
    while play.running:
        play.end(next(iter(play.running)))
    for tickets in by_tenant.values():
        assert [t for t in play.began if t in tickets] == tickets


@settings(deadline=None)
@given(st.permutations([t for t in "abcd" for _ in range(30)]))
def test_tenants_that_all_have_work_share_by_weight(tenants):
    """At every moment, whatever the order they came in: within one request each of what the weights say."""
    play = Play(Limits(running=1, waiting=200, patience_s=1e9))
    of = {play.arrive("first"): "first"}
    for tenant in tenants:
        of[play.arrive(tenant)] = tenant
    served, left = Counter(), Counter(tenants)
    while play.running:
        play.end(next(iter(play.running)))
        if len(play.began) > 1 and play.running:
            tenant = of[play.began[-1]]
            served[tenant] += 1
            left[tenant] -= 1
            if not all(left.values()):
                break
            for x in "abcd":
                for y in "abcd":
                    gap = served[x] / WEIGHTS[x] - served[y] / WEIGHTS[y]
                    assert gap <= 1 / WEIGHTS[x] + 1 / WEIGHTS[y] + 1e-9


def test_a_flood_hurts_the_one_who_sends_it():
    """Its own newest requests make room; the others' wait is that of their own few."""
    play = Play(Limits(running=1, waiting=10, patience_s=1e9))
    flood = [play.arrive("a") for _ in range(100)]
    quiet = [play.arrive("b") for _ in range(3)]
    assert {shed.why for shed in play.shed} == {"queue full"}
    assert all(shed.ticket in flood for shed in play.shed)
    assert len(play.queue) == 10
    for _ in range(7):
        play.end(next(iter(play.running)))
    assert set(quiet) <= set(play.began)


def test_a_flood_that_was_turned_away_costs_no_later_turn():
    """Only what ran counts as served."""
    play = Play(Limits(running=1, waiting=4, patience_s=1e9))
    for tenant in ("b", *"a" * 50, "b"):
        play.arrive(tenant)
    for _ in range(100):
        play.arrive("b")
        play.arrive("a")
        play.end(next(iter(play.running)))
    served = Counter("a" if t in {*range(2, 52)} or (t > 52 and t % 2 == 0) else "b" for t in play.began)
    assert abs(served["a"] - served["b"]) <= 3


def next_ones(play, count):
    """Tickets that start when those running end one by one."""
    before = len(play.began)
    for _ in range(count):
        play.end(next(iter(play.running)))
    return play.began[before:]


def test_the_turn_of_one_who_gave_up_goes_to_the_next_of_its_tenant():
    play = Play(Limits(running=1, waiting=9, patience_s=1e9))
    play.arrive("x")
    first, second, third = (play.arrive("a") for _ in range(3))
    others = [play.arrive("b") for _ in range(2)]
    play.end(first)
    play.end(second)
    assert next_ones(play, 3) == [third, *others]


def test_who_comes_late_takes_turns_from_then_on():
    """It has no claim to what was served before it came."""
    play = Play(Limits(running=1, waiting=40, patience_s=1e9))
    play.arrive("x")
    early = [play.arrive("a") for _ in range(12)]
    next_ones(play, 6)
    late = [play.arrive("b") for _ in range(4)]
    served = next_ones(play, 6)
    assert (len(set(served) & set(early)), len(set(served) & set(late))) == (3, 3)


def test_what_was_served_is_forgotten_when_nobody_waits_any_more():
    play = Play(Limits(running=1, waiting=9, patience_s=1e9))
    for tenant in ("x", "d", "d"):
        play.arrive(tenant)
    next_ones(play, 2)
    assert len(play.queue) == 0
    again, other = play.arrive("d"), play.arrive("a")
    assert next_ones(play, 2) == [again, other]


def test_equals_keep_their_places():
    """Nobody's place is taken by one who would hold as many."""
    play = Play(Limits(running=1, waiting=2, patience_s=1e9))
    play.arrive("x")
    play.arrive("a")
    play.arrive("b")
    late = play.arrive("y")
    assert [shed.ticket for shed in play.shed] == [late]


def test_who_would_wait_too_long_is_told_before_it_waits():
    play = Play(Limits(running=2, waiting=100, patience_s=10.0), mean_s=4.0)
    for _ in range(2 + 6):
        play.arrive("a")
    last = play.arrive("a", patience_s=11.0)
    assert [(shed.ticket, shed.why, shed.retry_after_s) for shed in play.shed] == [(last, "would wait too long", 12.0)]
    play.arrive("b")
    assert len(play.shed) == 1, "another tenant's turn comes sooner"


def test_one_that_would_wait_too_long_costs_no_other_its_place():
    play = Play(Limits(running=1, waiting=3, patience_s=2.0), mean_s=1.0)
    for _ in range(4):
        play.arrive("a")
    assert len(play.queue) == 3
    impatient = play.arrive("c", patience_s=-1.0)
    assert [shed.ticket for shed in play.shed] == [impatient]


def test_patience_ends():
    play = Play(Limits(running=1, waiting=5, patience_s=3.0))
    play.arrive("a")
    first = play.arrive("a")
    play.wait(1.0)
    second = play.arrive("a")
    assert play.queue.next_deadline() == 3.0
    play.wait(2.0)
    assert [(shed.ticket, shed.why) for shed in play.shed] == [(first, "waited too long")]
    assert play.queue.next_deadline() == 4.0
    play.wait(0.5)
    assert list(play.waiting) == [second]


def test_the_mean_time_is_learned():
    play = Play(Limits(running=1, waiting=5), mean_s=1.0)
    for _ in range(60):
        ticket = play.arrive("a")
        play.now += 5.0
        play.end(ticket)
    assert play.queue.mean_s == pytest.approx(5.0, rel=0.02)


def test_without_a_queue_what_does_not_fit_is_turned_away():
    play = Play(Limits(running=1, waiting=0))
    play.arrive("a")
    play.arrive("b")
    assert [(shed.ticket, shed.why, shed.retry_after_s) for shed in play.shed] == [(2, "queue full", 1.0)]


def test_new_limits_hold_from_the_next_event_on():
    """A reloaded configuration may allow more; who waited longest starts first."""
    play = Play(Limits(running=1, waiting=9, patience_s=1e9))
    play.arrive("a")
    waited = play.arrive("a")
    play.queue.limits = play.limits = Limits(running=2, waiting=9)
    late = play.arrive("b")
    assert (play.began, list(play.waiting)) == ([1, waited], [late])
    play.queue.limits = play.limits = Limits(running=3, waiting=0)
    refused = play.arrive("b")
    assert (play.began, [shed.ticket for shed in play.shed]) == ([1, waited, late], [refused])


def test_who_is_not_known_changes_nothing():
    assert Admission(Limits(1, 1)).left(7, 0.0) == Moved()


def test_what_is_admitted_is_served_in_time_however_many_come():
    """Five times what fits comes for two minutes: the queue keeps the wait bounded, and all places busy."""
    chance, play, ends, waits, came = random.Random(2), Play(Limits(4, 40, patience_s=5.0), mean_s=1.0), {}, [], {}
    arrives = 0.0
    while play.now < 120:
        upcoming = [(at, ticket) for ticket, at in ends.items()] + [(arrives, 0)]
        play.now, ticket = min(upcoming)
        before = len(play.began)
        if ticket:
            del ends[ticket]
            play.end(ticket)
        else:
            came[play.arrive(chance.choice("abcd"))] = play.now
            arrives = play.now + chance.expovariate(20)
        for begun in play.began[before:]:
            ends[begun] = play.now + chance.expovariate(1)
            waits.append(play.now - came[begun])
    assert max(waits) < 5.0
    assert len(play.began) > 0.9 * 4 * 120
    assert len(play.shed) > 1500
