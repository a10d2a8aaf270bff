"""What is made of the journal's entries: tokens and who says so, costs, sums that add up."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.record.entries import AT, USAGE, begun, settled, tried

from gatewright.record import entries as journal_entries
from gatewright.record.entries import HEDGE, RESUMED, SENT
from gatewright.record.rows import NOTHING, RESERVATION, UNBILLED, Cost, Rows, tokens_of, unpriced
from gatewright.stores.ledger_rows import AXES, DIMENSIONS, MEASURES
from gatewright.stores.ledger_tables import ATTEMPTS, REQUESTS

REPORTED, ESTIMATED = "reported", "estimated"
NOBODY = (NOTHING, "", "")


def named(table, row) -> dict:
    return dict(zip(table.columns.keys(), row, strict=True))


def a_cent_a_token(_provider, _model, usage, _at) -> Cost:
    return Cost(10_000 * (usage.total_input + usage.total_output), "a list", "2026-11-01")


def rolled(batch, measure: str) -> int:
    return sum(sums[MEASURES.index(measure)] for sums in batch.rollups.values())


@pytest.mark.parametrize(
    ("what", "attempt", "expected"),
    [
        ("told to the end", tried(), (USAGE, REPORTED, REPORTED)),
        ("not told", tried(usage=None, input=25, output=30), ((25, *NOTHING[1:5], 30, None, None), ESTIMATED, ESTIMATED)),
        ("told as nothing", tried(usage=NOTHING, input=25, output=3), ((25, *NOTHING[1:5], 3, None, None), ESTIMATED, ESTIMATED)),
        ("cut, less was told", tried(cause="cut", input=25, output=30), ((6, 4, *NOTHING[2:5], 30, None, None), REPORTED, ESTIMATED)),
        ("cut, more was told", tried(cause="cut", input=25, output=2), (USAGE, REPORTED, ESTIMATED)),
        ("left", tried(cause="cancelled", usage=None, input=25, output=0), ((25, *NOTHING[1:5], 0, None, None), ESTIMATED, ESTIMATED)),
        ("thoughts count", tried(cause="cut", usage=(6, *NOTHING[1:5], 5, 20, None), input=1, output=30),
         ((6, *NOTHING[1:5], 10, 20, None), REPORTED, ESTIMATED)),
        ("only the answer was told", tried(usage=(*NOTHING[:5], 5, None, None), input=25, output=9),
         ((25, *NOTHING[1:5], 5, None, None), ESTIMATED, REPORTED)),
        ("refused", tried(status=500, cause="server", usage=None, input=25, output=9), NOBODY),
        ("never sent", tried(status=0, cause="unreachable", marks=0, usage=None), NOBODY),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_tokens_are_told_estimated_or_none(what, attempt, expected):
    """What a provider told goes before what we guess, and what was guessed says so."""
    assert tokens_of(settled("r", attempt), attempt) == expected


def test_vectors_have_no_output_and_sounds_no_tokens():
    """Forwarded calls are not guessed at."""
    vectors = tried(usage=(8, *NOTHING[1:]), input=1, output=5000)
    assert tokens_of(settled("r", vectors, operation="forward"), vectors) == ((8, *NOTHING[1:]), REPORTED, "")
    sound = tried(usage=None, input=100, output=90000)
    assert tokens_of(settled("r", sound, operation="forward"), sound) == NOBODY


def test_a_row_has_every_column_of_its_table():
    """In their order; what nobody knows is null."""
    rows = Rows("j1", a_cent_a_token)
    rows.settled(settled("req_1", tried(marks=SENT | HEDGE | RESUMED), lost=("dropped top_k",)), in_flight=False)
    batch = rows.done()
    request, attempt = named(REQUESTS, batch.requests[0]), named(ATTEMPTS, batch.attempts[0])
    assert (request["id"], request["key_id"], request["key_name"]) == ("req_1", "key_1", "ci")
    assert (request["user"], request["team"], request["organization"]) == ("ann", "red", "acme")
    assert (request["provider"], request["model"], request["route"], request["journal"]) == ("openai", "gpt-5", "smart", "j1")
    assert (request["cost_micros"], request["price_source"], request["price_date"]) == (150_000, "a list", "2026-11-01")
    assert (request["losses"], request["lost"], request["guard"], request["trace_id"]) == (1, "dropped top_k", None, None)
    assert (request["took_us"], request["ttft_us"], request["hour"]) == (1000, 900, AT // 3_600_000_000)
    assert (attempt["hedge"], attempt["resumed"], attempt["sent"], attempt["at"]) == (1, 1, 1, AT + 100)
    assert {request[axis] for axis in AXES} == {6, 4, 5, None}


def test_each_attempt_s_cost_goes_where_it_was_made():
    """The request is counted where it was answered; retries are new spend, elsewhere."""
    rows = Rows("j", a_cent_a_token)
    first = tried("a/m", cause="cut", input=10, output=20)
    rows.settled(settled("r", first, tried("b/n"), served="b/n"), in_flight=False)
    batch = rows.done()
    of = {(dims[8], dims[9]): dict(zip(MEASURES, sums, strict=True)) for dims, sums in batch.rollups.items()}
    assert (of["a", "m"]["requests"], of["a", "m"]["attempts"], of["a", "m"]["failed"], of["a", "m"]["estimated"]) == (0, 1, 1, 1)
    assert of["a", "m"]["cost_micros"] == 10_000 * (6 + 4 + 20)
    assert (of["b", "n"]["requests"], of["b", "n"]["attempts"], of["b", "n"]["cost_micros"]) == (1, 1, 150_000)
    assert named(REQUESTS, batch.requests[0])["cost_micros"] == 10_000 * (30 + 15)


def test_an_unknown_cost_makes_the_sum_unknown_and_is_counted():
    """Never 0; what is known of the others stands in their rows."""
    rows = Rows("j", unpriced)
    rows.settled(settled("r", tried(cost=5, price_source="known"), tried()), in_flight=False)
    batch = rows.done()
    assert named(REQUESTS, batch.requests[0])["cost_micros"] is None
    assert (rolled(batch, "unknown"), rolled(batch, "cost_micros")) == (1, 5)


def test_what_nobody_bills_costs_nothing():
    """A refusal, a file, a kept answer: 0, and not unknown."""
    rows = Rows("j", unpriced)
    rows.settled(settled("a", tried(status=429, cause="throttled", usage=None), status=429, outcome="error"), in_flight=False)
    rows.settled(settled("b", tried(usage=None), operation="forward", asked=""), in_flight=False)
    rows.settled(settled("c", cache="hit"), in_flight=False)
    batch = rows.done()
    assert [named(REQUESTS, row)["cost_micros"] for row in batch.requests] == [0, 0, 0]
    assert {named(ATTEMPTS, row)["price_source"] for row in batch.attempts} == {UNBILLED}
    assert rolled(batch, "unknown") == 0


def test_a_cost_that_somebody_has_reckoned_is_not_reckoned_again():
    """A budget has paid by it."""
    rows = Rows("j", a_cent_a_token)
    rows.settled(settled("r", tried(cost=77, price_source="a list", price_date="2026-01-01")), in_flight=False)
    assert named(REQUESTS, rows.done().requests[0])["cost_micros"] == 77


def test_what_began_and_ended_in_one_batch_is_never_in_flight():
    """Most are so; what began only is in flight, what ended only has landed."""
    rows = Rows("j", unpriced)
    rows.begun(begun("short"))
    rows.settled(settled("short", tried()), in_flight=False)
    rows.begun(begun("long"))
    rows.settled(settled("older", tried()), in_flight=True)
    batch = rows.done()
    assert [one.id for one in batch.in_flight] == ["long"]
    assert batch.landed == ["older"]


def test_the_interrupted_cost_what_was_reserved_for_them():
    """They are visible as such; without a reservation what was read of them is priced."""
    rows = Rows("j", a_cent_a_token)
    rows.begun(begun("kept"))
    rows.begun(begun("free", reserved=None))
    one, other = rows.done().in_flight
    rows.interrupted([one, other])
    kept, free = (named(REQUESTS, row) for row in rows.batch.requests)
    assert (kept["outcome"], kept["status"], kept["cost_micros"], kept["price_source"]) == ("interrupted", 0, 700, RESERVATION)
    assert (free["cost_micros"], free["input"], free["input_source"], free["output"]) == (250_000, 25, ESTIMATED, None)
    assert (rolled(rows.batch, "requests"), rolled(rows.batch, "interrupted"), rolled(rows.batch, "attempts")) == (2, 2, 2)
    assert [named(ATTEMPTS, row)["cause"] for row in rows.batch.attempts] == ["interrupted", "interrupted"]


ATTEMPT = st.builds(
    lambda target, cause, status, usage, output: tried(
        target, cause=cause, status=status, usage=usage, input=7 if usage is None or output >= 0 else -1,
        output=max(output, 0) if usage is None else output,
    ),
    st.sampled_from(["a/m", "b/n", "c/o"]), st.sampled_from(["", "cut", "server", "cancelled"]), st.sampled_from([0, 200, 500]),
    st.none() | st.tuples(*[st.none() | st.integers(0, 1000)] * 8), st.integers(-1, 500),
)  # fmt: skip
REQUEST = st.builds(
    lambda attempts, status, cache: settled("", *attempts, status=status, cache=cache, outcome="ok" if status < 400 else "error"),
    st.lists(ATTEMPT, max_size=4), st.sampled_from([200, 404, 502]), st.sampled_from(["", "hit", "miss"]),
)  # fmt: skip


@given(st.lists(REQUEST, max_size=8))
def test_requests_are_the_sum_of_their_attempts_and_hours_of_their_requests(requests):
    """Whatever happened: tokens and costs are found again in every sum."""
    rows = Rows("j", a_cent_a_token)
    for number, one in enumerate(requests):
        one.id = f"r{number}"
        rows.settled(one, in_flight=False)
    batch = rows.done()
    all_requests = [named(REQUESTS, row) for row in batch.requests]
    all_attempts = [named(ATTEMPTS, row) for row in batch.attempts]
    for request in all_requests:
        mine = [attempt for attempt in all_attempts if attempt["request_id"] == request["id"]]
        for axis in AXES:
            told = [attempt[axis] for attempt in mine if attempt[axis] is not None]
            assert request[axis] == (sum(told) if told else None)
        costs = [attempt["cost_micros"] for attempt in mine]
        assert request["cost_micros"] == (None if None in costs else sum(costs))
        assert request["attempts"] == len(mine)
    for axis in AXES:
        assert rolled(batch, axis) == sum(attempt[axis] or 0 for attempt in all_attempts)
    assert rolled(batch, "cost_micros") == sum(attempt["cost_micros"] or 0 for attempt in all_attempts)
    assert rolled(batch, "requests") == len(requests)
    assert all(len(dims) == len(DIMENSIONS) for dims in batch.rollups)


def test_entries_come_back_from_the_journal_as_they_went():
    """Both kinds, all fields."""
    for entry in (begun(), settled("r", tried(raw={"a": [1, {"b": None}]}), tried())):
        (again,) = journal_entries.read(journal_entries.ENCODER.encode(entry))
        assert journal_entries.ENCODER.encode(again) == journal_entries.ENCODER.encode(entry)


@pytest.mark.parametrize("figure", [-1, 1 << 53, (1 << 64) - 1])
def test_a_figure_beyond_all_measure_is_none(figure):
    """A provider may tell anything; a row takes what a column can hold, and the others stay."""
    payload = journal_entries.ENCODER.encode(settled("r", tried(usage=(figure, 4, None, None, None, 5, None, None))))
    (entry,) = journal_entries.read(payload)
    assert isinstance(entry, journal_entries.Settled)
    assert entry.attempts[0].usage == (None, 4, None, None, None, 5, None, None)


def test_every_pair_of_sources_has_an_order():
    """A request says `estimated` where one of its attempts does."""
    for read, written in itertools.product((tried(), tried(usage=None, input=1, output=1)), repeat=2):
        rows = Rows("j", unpriced)
        rows.settled(settled("r", read, written), in_flight=False)
        request = named(REQUESTS, rows.done().requests[0])
        expected = ESTIMATED if None in (read.usage, written.usage) else REPORTED
        assert (request["input_source"], request["output_source"]) == (expected, expected)
