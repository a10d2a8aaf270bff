"""What can be asked of usage, in words."""

from datetime import UTC, datetime

import pytest

from gatewright.stores.report_terms import BadQuery, by_of, hour_of, only_of, query_of

NOW = datetime(2026, 11, 21, 17, 30, tzinfo=UTC)
"""A quarter of the way into nothing round."""


def hour(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) // 3600


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("1d", hour(2026, 11, 21)),
        ("7d", hour(2026, 11, 15)),
        ("2w", hour(2026, 11, 8)),
        ("1h", hour(2026, 11, 21, 17)),
        ("24h", hour(2026, 11, 20, 18)),
        ("2026-11-01", hour(2026, 11, 1)),
        ("2026-11-01T08:59", hour(2026, 11, 1, 8)),
        ("2026-11-01T08:00+02:00", hour(2026, 11, 1, 6)),
    ],
)
def test_a_time_begins_with_a_whole_day_or_hour_of_utc(text, begins):
    """Days are counted with today."""
    assert hour_of(text, NOW) == begins


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("2026-11-20", hour(2026, 11, 21)),
        ("2026-11-20T08:00Z", hour(2026, 11, 20, 8)),
        ("2026-11-20T08:01Z", hour(2026, 11, 20, 9)),
    ],
)
def test_an_end_has_all_of_its_day_or_hour(text, ends):
    """As people mean it."""
    assert query_of(since="2026-11-01", until=text, by="", now=NOW).until == ends


def test_up_to_now_is_up_to_the_end_of_today():
    """There is nothing yet in what is left of it; and whole days are read faster."""
    assert query_of(since="7d", until="", by="", now=NOW).until == hour(2026, 11, 22)


@pytest.mark.parametrize("text", ["", "soon", "7", "7m", "-7d", "2026-13-01", "99999999d", "x" * 500])
def test_what_is_no_time_is_told(text):
    """With what would be one."""
    with pytest.raises(BadQuery, match="expected 24h, 7d, 2w"):
        hour_of(text, NOW)


def test_groups_may_be_said_as_people_do():
    """In the plural, with spaces, twice; an hour says its day."""
    assert by_of("models, key,model") == ("model", "key")
    assert by_of("day,hour") == ("hour",)
    assert by_of("") == ()
    with pytest.raises(BadQuery, match="'colour'"):
        by_of("key,colour")


def test_filters_hold_whatever_stands_behind_the_first_sign():
    """Names of models may have one in them."""
    assert only_of(["model=a=b", " team = red ", "status=4xx"]) == (("model", "a=b"), ("team", "red"), ("status", "4"))
    for wrong in ("model", "day=2026-01-01", "=x", "modl=x"):
        with pytest.raises(BadQuery, match="is no filter"):
            only_of([wrong])


def test_a_time_that_ends_before_it_begins_is_told():
    """Rather than an empty report."""
    with pytest.raises(BadQuery, match="ends before it begins"):
        query_of(since="2026-11-10", until="2026-11-01", by="", now=NOW)
