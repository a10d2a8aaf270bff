"""Windows, periods and gauges: never looser than was said, and no stricter than a sub-bucket."""

import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.limits import windows
from gatewright.limits.meters import US, Meter, bounds, meters_of
from gatewright.limits.terms import Budget, Limit, Scope
from gatewright.limits.windows import NEVER, REFUSED, RING, WORDS

BEGIN = 1_780_000_000 * US


class State:
    """One state in memory, changed as a store would."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.words = [0] * WORDS

    def book(self, cost: int, now: int) -> int:
        writes: list[int] = []
        mark = windows.book(self.words, 0, self.meter, cost, now, writes, [])
        self._write(writes if mark != REFUSED else windows.rewound(self.words, 0, self.meter, now))
        return mark

    def adjust(self, mark: int, by: int, now: int) -> None:
        writes: list[int] = []
        windows.adjust(self.words, 0, self.meter, mark, by, now, writes)
        self._write(writes)

    def used(self, now: int) -> int:
        return windows.used(self.words, 0, self.meter, now)

    def wait(self, cost: int, now: int) -> int:
        return windows.wait_us(self.words, 0, self.meter, cost, now)

    def _write(self, writes: list[int]) -> None:
        for i in range(0, len(writes), 2):
            self.words[writes[i]] = writes[i + 1]


def limit(amount: int, per_s: int = 60, unit="requests") -> State:
    return State(Meter("key", "k", Limit(per_s, unit, amount)))


EVENTS = st.lists(st.tuples(st.integers(0, 40 * US), st.integers(1, 40), st.sampled_from((0.0, 0.5, 1.0))), max_size=120)


@given(EVENTS, st.sampled_from((1, 7, 60)), st.integers(20, 100))
@settings(max_examples=150, deadline=None)
def test_no_window_of_that_length_holds_more_than_the_amount_wherever_it_begins(events, per_s, amount):
    """Bursts, pauses and reservations that are given back in part: what was let through and used is never more in any window."""
    state = limit(amount, per_s)
    now = BEGIN
    passed: list[tuple[int, int]] = []
    for pause, cost, given_back in events:
        now += pause
        mark = state.book(cost, now)
        if mark == REFUSED:
            continue
        back = int(cost * given_back)
        if back:
            state.adjust(mark, -back, now)
        passed.append((now, cost - back))
    for i, (begin, _) in enumerate(passed):
        assert sum(units for when, units in passed[i:] if when < begin + per_s * US) <= amount


@given(st.integers(1, 1000), st.integers(0, 10**9))
def test_a_fresh_window_gives_all_of_its_amount_at_once(amount, offset):
    """Not a share of it, as a bucket that fills up would."""
    state = limit(amount)
    assert [state.book(1, BEGIN + offset) == REFUSED for _ in range(amount)] == [False] * amount
    assert state.book(1, BEGIN + offset) == REFUSED


def test_two_bursts_do_not_meet_at_a_windows_edge():
    """A counter that begins anew each minute lets twice the amount through within a second."""
    state = limit(100)
    edge = BEGIN - BEGIN % (60 * US) + 60 * US
    assert state.book(100, edge - US // 2) != REFUSED
    assert state.book(1, edge + US // 2) == REFUSED
    assert state.book(1, edge + 58 * US) == REFUSED
    assert state.book(100, edge + 61 * US) != REFUSED


@given(st.integers(0, 10**7), st.integers(1, 100))
def test_what_was_counted_is_free_after_the_window_and_one_sub_bucket(offset, cost):
    """So a limit under constant load lets through more than 98 % of what it says."""
    state, begin = limit(100), BEGIN + offset
    state.book(cost, begin)
    state.book(100 - cost, begin)
    assert state.book(100, begin + 60 * US + US) != REFUSED


@given(EVENTS, st.integers(1, 100))
@settings(max_examples=150, deadline=None)
def test_the_wait_that_is_told_is_enough_and_not_too_long(events, cost):
    """Who comes back then is let in; and a sub-bucket earlier it would not have been."""
    state = limit(100)
    now = BEGIN
    for pause, units, _ in events:
        now += pause
        state.book(units, now)
    wait = state.wait(cost, now)
    if wait:
        earlier = State(state.meter)
        earlier.words = list(state.words)
        assert earlier.book(cost, now + max(0, wait - US)) == REFUSED
    assert state.book(cost, now + wait) != REFUSED


def test_what_is_more_than_the_whole_never_passes():
    """And is told so, in place of a time to come back."""
    state = limit(10)
    assert state.book(11, BEGIN) == REFUSED
    assert state.wait(11, BEGIN) == NEVER


def test_what_was_used_beyond_the_reservation_counts_from_then_on():
    """A request that ran must be paid for, whatever the limit says."""
    state = limit(100, unit="tokens")
    mark = state.book(50, BEGIN)
    state.adjust(mark, 200, BEGIN + 30 * US)
    assert state.used(BEGIN + 30 * US) == 250
    assert state.used(BEGIN + 62 * US) == 200
    assert state.used(BEGIN + 92 * US) == 0


def test_what_is_given_back_after_its_time_gives_nothing():
    """It no longer counts: giving it back would let others in beyond the limit."""
    state = limit(100)
    mark = state.book(60, BEGIN)
    later = BEGIN + 70 * US
    state.book(50, later)
    state.adjust(mark, -60, later)
    assert state.used(later) == 50


@given(EVENTS, st.integers(-(10**6), 10**6).map(lambda s: s * US))
@settings(max_examples=100, deadline=None)
def test_a_clock_that_is_set_wrong_never_makes_room(events, jump):
    """Back: time stands still, or all counts as of now. What counted before it still counts after it."""
    state = limit(100)
    now = BEGIN
    for pause, units, _ in events:
        now += pause
        state.book(units, now)
    counted = state.used(now)
    if jump < 0:
        assert state.used(now + jump) == counted
        assert (state.book(1, now + jump) == REFUSED) == (counted == 100)
        assert state.used(now + jump + 123 * US) == 0, "and it does not stand still for ever"


@given(EVENTS)
@settings(max_examples=100, deadline=None)
def test_the_total_is_the_sum_of_the_sub_buckets(events):
    """Whatever was booked, adjusted and forgotten; else a window would slowly close or open."""
    state = limit(100)
    now, marks = BEGIN, []
    for pause, cost, share in events:
        now += pause
        mark = state.book(cost, now)
        if mark != REFUSED:
            marks.append((mark, cost))
        elif marks:
            was, had = marks.pop()
            state.adjust(was, int(had * (share - 0.5) * 2), now)
        assert state.words[windows.TOTAL] == sum(state.words[windows.CELLS :])
        assert min(state.words[windows.CELLS :]) >= 0


@given(st.integers(0, 4_000_000_000), st.sampled_from(("day", "week", "month")))
def test_periods_are_those_of_the_calendar_in_utc(second, period):
    """Days begin at midnight, weeks on Monday, months on the first."""
    start, end = (dt.datetime.fromtimestamp(us // US, dt.UTC) for us in bounds(period, second * US))
    assert start.timestamp() <= second < end.timestamp()
    assert (start.hour, start.minute, start.second) == (0, 0, 0)
    days = (end - start).days
    assert {"day": days == 1, "week": days == 7 and start.weekday() == 0, "month": start.day == end.day == 1}[period]
    assert period != "month" or 28 <= days <= 31


def test_a_budget_begins_anew_with_its_period():
    """And what began in the old one is paid by the old one, even if it is known only now."""
    state = State(Meter("team", "t", Budget("day", 1000)))
    midnight = bounds("day", BEGIN)[1]
    mark = state.book(1000, midnight - 1)
    assert state.book(1, midnight - 1) == REFUSED
    assert state.wait(1, midnight - 1) == 1
    new = state.book(400, midnight)
    state.adjust(mark, 500, midnight)
    assert state.used(midnight) == 400
    state.adjust(new, -100, midnight)
    assert state.used(midnight) == 300


def test_a_clock_that_was_a_year_ahead_does_not_close_a_budget_for_a_year():
    """What was counted meanwhile counts in the period that it is now; one second back across midnight changes nothing."""
    state = State(Meter("team", "t", Budget("day", 1000)))
    midnight = bounds("day", BEGIN)[1]
    state.book(900, midnight)
    state.book(1, midnight - US)
    assert state.used(midnight) == 901
    state.book(99, midnight + 365 * 86_400 * US)
    assert state.used(BEGIN) == 99
    assert state.book(1000, BEGIN) == REFUSED
    assert state.book(1000, midnight) != REFUSED


def test_a_total_budget_never_begins_anew():
    """What is spent is spent."""
    state = State(Meter("key", "k", Budget("total", 10)))
    state.book(10, BEGIN)
    assert state.book(1, BEGIN + 10**15) == REFUSED
    assert state.wait(1, BEGIN) == NEVER


def test_a_budget_that_only_tells_refuses_nobody():
    """`on_exceeded: warn`."""
    state = State(Meter("key", "k", Budget("month", 10, hard=False)))
    assert state.book(1000, BEGIN) != REFUSED
    assert state.used(BEGIN) == 1000


def test_a_gauge_counts_what_is_there():
    """No time frees anything; what ends does."""
    state = limit(2, 0, "concurrent")
    mark = state.book(1, BEGIN)
    state.book(1, BEGIN)
    assert state.book(1, BEGIN + 10**15) == REFUSED
    state.adjust(mark, -1, BEGIN)
    assert state.book(1, BEGIN) != REFUSED


def test_what_is_counted_survives_a_limit_that_is_raised():
    """The key says what is counted, not how much is granted; other levels, units, times and models are other keys."""
    base = Limit(60, "requests", 10, ("a*",))
    same = Meter("key", "k", base).key
    assert Meter("key", "k", Limit(60, "requests", 99, ("a*",))).key == same
    others = [
        Meter("team", "k", base),
        Meter("key", "j", base),
        Meter("key", "k", Limit(60, "tokens", 10, ("a*",))),
        Meter("key", "k", Limit(3600, "requests", 10, ("a*",))),
        Meter("key", "k", Limit(60, "requests", 10)),
        Meter("key", "k", Budget("day", 10, models=("a*",))),
    ]
    assert len({same, *(meter.key for meter in others)}) == 7


def test_a_level_has_a_meter_for_each_of_its_terms():
    """Budgets first."""
    scope = Scope("team", "red", (Limit(60, "requests", 1), Limit(0, "concurrent", 2)), (Budget("rolling", 5, rolling_s=86_400),))
    made = meters_of(scope)
    assert [(m.unit, m.is_budget) for m in made] == [("micros", True), ("requests", False), ("concurrent", False)]
    assert made[0].width * RING >= 86_400 * US
