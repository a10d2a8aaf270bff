"""Bills and the ledger: what differs is told with the likely reason, and what agrees is not."""

import re
from datetime import date
from decimal import Decimal

import pytest

from gatewright.billing.bill import Bill, Entry
from gatewright.billing.compare import Ours, compare, told_of

MONDAY, TUESDAY, WEDNESDAY = date(2025, 11, 17), date(2025, 11, 18), date(2025, 11, 19)


def bill(**entries: Entry) -> Bill:
    """`mon_m=…`: of Monday and model m."""
    days = {"mon": MONDAY, "tue": TUESDAY, "wed": WEDNESDAY}
    told = {(days[name[:3]], name[4:]): entry for name, entry in entries.items()}
    found = [day for day, _ in told]
    return Bill(kind="a bill", entries=told, days=(min(found), max(found)))


def test_what_agrees_within_the_tolerance_is_not_told():
    """Providers round; a share of the bill and a few tokens are let pass."""
    theirs = bill(mon_m=Entry(requests=10, read=100_000, written=5000, cost=Decimal("1.25")))
    found = compare(theirs, {(MONDAY, "m"): Ours(requests=10, read=100_900, written=4960, cost=1_258_000)}, tolerance=0.01)
    assert found.differences == ()
    assert found.theirs == {"requests": 10, "read": 100_000, "written": 5000, "cost": 1_250_000}
    assert found.ours == {"requests": 10, "read": 100_900, "written": 4960, "cost": 1_258_000}


def test_what_the_bill_does_not_tell_is_not_compared():
    """A bill of costs says nothing of tokens."""
    found = compare(bill(mon_m=Entry(cost=Decimal(2))), {(MONDAY, "m"): Ours(requests=9, read=9999, cost=2_000_000)}, tolerance=0)
    assert found.differences == ()
    assert list(found.theirs) == ["cost"]


@pytest.mark.parametrize(
    ("entry", "ours", "what", "why"),
    [
        (Entry(read=5000, written=900), Ours(read=2000, written=900), "read", "did not go through this gateway"),
        (Entry(read=2000, written=900), Ours(read=5000, written=900), "read", "less is billed: failed calls"),
        (Entry(read=5000, written=900), Ours(read=2000, written=900, estimated=3), "read", "of 3 calls are estimates"),
        (Entry(cost=Decimal(3)), Ours(cost=1_000_000, unknown=2), "cost", "2 calls have no price here"),
        (Entry(read=50, written=9, cost=Decimal(3)), Ours(read=50, written=9, cost=2_000_000), "cost", "the tokens agree: another price"),
        (Entry(cost=Decimal(1)), Ours(cost=2_000_000), "cost", "another price .its date, a discount, a batch., or credits"),
        (Entry(requests=5), Ours(requests=4), "requests", "did not go through this gateway"),
    ],
)  # fmt: skip
def test_the_likely_reason_is_told(entry, ours, what, why):
    """Each by what else is known of that day and model."""
    (found,) = compare(bill(mon_m=entry), {(MONDAY, "m"): ours}, tolerance=0.01).differences
    assert found.what == what
    assert re.search(why, found.why)


def test_a_model_that_only_one_of_them_has_is_told():
    """Calls beside the gateway, and calls that were never billed."""
    found = compare(
        bill(mon_a=Entry(read=500, written=100)), {(MONDAY, "b"): Ours(requests=1, read=700, written=70)}, tolerance=0.01
    )
    assert [(one.model, one.what) for one in found.differences] == [
        ("b", "read"),
        ("a", "read"),
        ("a", "written"),
        ("b", "written"),
    ]
    assert "the ledger has none" in found.differences[1].why
    assert "the bill has none" in found.differences[0].why
    assert [one.share for one in found.differences if one.model == "a"] == [-1.0, -1.0]
    assert [one.share for one in found.differences if one.model == "b"] == [None, None]


def test_days_of_another_time_zone_are_recognized():
    """What one day lacks, the next has too much of."""
    theirs = bill(mon_m=Entry(read=10_000), tue_m=Entry(read=20_000), wed_m=Entry(read=9000))
    ours = {(MONDAY, "m"): Ours(read=13_000), (TUESDAY, "m"): Ours(read=17_000), (WEDNESDAY, "m"): Ours(read=9000)}
    found = compare(theirs, ours, tolerance=0.01)
    assert [one.day for one in found.differences] == [MONDAY, TUESDAY]
    assert all("another time zone" in one.why for one in found.differences)
    assert len(told_of(found.differences)) == 1


def test_days_beside_the_bill_are_no_difference():
    """The ledger is asked for a day more on either side, to know what ran across midnight."""
    ours = {(MONDAY, "m"): Ours(read=500), (TUESDAY, "m"): Ours(read=100), (WEDNESDAY, "m"): Ours(read=500)}
    assert compare(bill(tue_m=Entry(read=100)), ours, tolerance=0.01).differences == ()


def test_a_bill_without_models_is_held_against_all_of_them():
    """Days alone are all that it tells."""
    ours = {(MONDAY, "a"): Ours(cost=1_000_000), (MONDAY, "b"): Ours(cost=500_000)}
    theirs = Bill(kind="", entries={(MONDAY, ""): Entry(cost=Decimal("1.5"))}, days=(MONDAY, MONDAY))
    assert compare(theirs, ours, tolerance=0).differences == ()
    (one,) = compare(theirs, {**ours, (MONDAY, "c"): Ours(cost=40_000)}, tolerance=0.01).differences
    assert (one.theirs, one.ours, one.model) == (1_500_000, 1_540_000, "")
