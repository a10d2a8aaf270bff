"""What is granted of a model: which limits count, and what of them a request claims."""

import time

from gatewright.limits.terms import Budget, Limit, Scope
from gatewright.pipeline.granted import Levels
from gatewright.stores.counters_shared import SharedCounters

ORGANIZATION = Scope("organization", "acme", (Limit(60, "requests", 5),), (Budget("month", 1000),))
KEY = Scope("key", "ci", (Limit(60, "tokens", 3000, ("gpt-*",)), Limit(60, "input_tokens", 900), Limit(0, "concurrent", 2)))


def units(granted) -> list[str]:
    return [meter.unit for meter in granted.meters]


def test_limits_count_by_the_name_asked_for_or_the_routes():
    """Either is a name that an operator knows."""
    levels = Levels()
    assert "tokens" in units(levels.granted((KEY,), ("gpt-5",)))
    assert "tokens" in units(levels.granted((KEY,), ("smart", "gpt-5")))
    assert "tokens" not in units(levels.granted((KEY,), ("claude",)))


def test_a_scope_that_many_keys_share_has_one_meter_of_each():
    """Or its state would be found twice."""
    levels = Levels()
    one, other = (levels.granted((ORGANIZATION, key), ("m",)) for key in (KEY, Scope("key", "other")))
    assert one.meters[0] is other.meters[0]


def test_a_request_claims_of_each_its_own():
    """One of requests and of what runs, tokens by their kind, and money."""
    granted = Levels().granted((ORGANIZATION, KEY), ("gpt-5",))
    assert [(meter.unit, cost) for meter, cost in granted.costs(100, 2000, 77)] == [
        ("micros", 77), ("requests", 1), ("tokens", 2100), ("input_tokens", 100), ("concurrent", 1),
    ]  # fmt: skip
    assert granted.used(90, 20, 5) == [5, 1, 110, 90, 0]
    assert granted.more(4096, 9) == [9, 0, 0, 0, 0]


def test_the_longest_possible_answer_does_not_shut_out_a_request_for_ever():
    """It claims the whole limit then; but one whose input alone is too much is refused."""
    granted = Levels().granted((KEY,), ("gpt-5",))
    claims = {meter.unit: cost for meter, cost in granted.costs(100, 9000, 0)}
    assert claims == {"tokens": 3000, "input_tokens": 100, "concurrent": 1}
    claims = {meter.unit: cost for meter, cost in granted.costs(3100, 9000, 0)}
    assert claims["tokens"] == 12_100
    assert claims["input_tokens"] == 3100


def test_no_scope_means_no_meter():
    """What is not configured costs nothing."""
    assert Levels().granted((), ("m",)).meters == ()


TWICE = Scope(
    "key",
    "ci",
    (Limit(60, "tokens", 3000), Limit(60, "tokens", 9000)),
    (Budget("month", 80_000, soft=(0.5,), hard=False), Budget("month", 100_000), Budget("month", 9000, models=("m",))),
)


def test_what_is_granted_twice_is_counted_apart():
    """A budget that tells and one that stops, in the same month: a state for both would be settled twice."""
    levels = Levels()
    everybody = Scope("all", "", (Limit(60, "requests", 5), Limit(60, "requests", 9)))
    stored = Scope("all", "", (Limit(60, "requests", 3), Limit(60, "requests", 4)))
    meters = levels.granted((everybody, stored, TWICE), ("m",)).meters
    assert len({meter.key for meter in meters}) == len(meters) == 9
    assert [meter.amount for meter in meters] == [5, 9, 3, 4, 80_000, 100_000, 9000, 3000, 9000]
    again = Levels().granted((everybody, stored, TWICE), ("m",)).meters
    assert [meter.key for meter in again] == [meter.key for meter in meters], "in another process, too"
    assert levels.granted((TWICE,), ("m",)).meters[:3] == levels.granted((TWICE,), ("n", "m")).meters[:3]


async def test_a_stream_that_outgrew_two_budgets_is_given_back_once(tmp_path):
    """Of each what it did not use, and no more: else every such stream would make room for another one."""
    counters = SharedCounters(tmp_path / "counters", slots=256)
    granted = Levels().granted((TWICE,), ("n",))
    now = time.time_ns() // 1000
    held = counters.reserve(granted.costs(10, 20, 1000), now)
    assert counters.extend(held, granted.more(20, 500), now)
    counters.settle(held, granted.used(10, 22, 1200), now)
    assert [seen.used for seen in await counters.look(granted.meters, now)] == [1200, 1200, 32, 32]
    await counters.close()
