"""What is granted of a model: which limits count, and what of them a request claims."""

from gatewright.limits.terms import Budget, Limit, Scope
from gatewright.pipeline.granted import Levels

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
