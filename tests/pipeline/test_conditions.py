"""A condition holds for whom it is for, and tells the others why not."""

from datetime import datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from gatewright.pipeline.conditions import EVERY_DAY, Hours, When, hinders, read_hours, show_hours, within

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=ZoneInfo("UTC")).timestamp()
"""A Monday."""


def asker(**more):
    return SimpleNamespace(
        **{"dialect": "anthropic", "tags": ("beta",), "headers": {"x-team": "red-1"}, "unix_s": NOON}
        | {"capabilities": frozenset({"vision"})}
        | more
    )


@pytest.mark.parametrize(
    ("when", "why"),
    [
        (When(), None),
        (When(dialects=frozenset({"anthropic", "gemini"})), None),
        (When(dialects=frozenset({"gemini"})), "it is for gemini clients"),
        (When(tags=frozenset({"beta", "gold"})), None),
        (When(tags=frozenset({"gold"})), "it is for keys tagged gold"),
        (When(needs=frozenset({"vision", "audio"})), None),
        (When(needs=frozenset({"audio"})), "it is for requests that need audio"),
        (When(headers=(("x-team", "red*"),)), None),
        (When(headers=(("x-team", "blue*"),)), 'it is for requests with "x-team: blue*", not this one'),
        (When(headers=(("x-env", "*"),)), 'it is for requests with "x-env: *", and this has none'),
        (When(headers=(("x-team", "red*"), ("x-env", "*"))), 'it is for requests with "x-env: *", and this has none'),
        (When(hours=(read_hours("Mon 11:00-13:00"),)), None),
        (When(hours=(read_hours("Tue 11:00-13:00"), read_hours("12:00-12:01"))), None),
        (When(hours=(read_hours("Tue 11:00-13:00"),)), "it is for other hours: Tue 11:00-13:00 UTC"),
    ],
)
def test_all_that_is_said_must_hold_and_one_of_each_list(when, why):
    """Who it is not for is told why, in words."""
    assert hinders(when, asker()) == why


def test_the_request_is_read_last():
    """Whoever fails on a header is not read for what it needs."""

    class Unread:
        dialect, tags, headers, unix_s = "anthropic", (), {}, NOON

        @property
        def capabilities(self):
            raise AssertionError("it was read")

    assert hinders(When(tags=frozenset({"gold"}), needs=frozenset({"vision"})), Unread()) is not None


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("Mon-Fri 08:00-18:00 Europe/Berlin", Hours(frozenset(range(5)), 480, 1080, "Europe/Berlin")),
        ("8:00-18:30", Hours(EVERY_DAY, 480, 1110)),
        ("Sat,sunday 00:00-24:00 UTC", Hours(frozenset({5, 6}), 0, 1440)),
        ("Fri-Mon 22:00-06:00", Hours(frozenset({4, 5, 6, 0}), 1320, 360)),
        ("  Wed 09:00 - 10:00 ", Hours(frozenset({2}), 540, 600)),
    ],
)
def test_hours_are_read_as_people_write_them(text, hours):
    """Days may be left out, and the zone."""
    assert read_hours(text) == hours
    assert read_hours(show_hours(hours)) == hours


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("always", "expected hours such as"),
        ("Mon-Fri", "expected hours such as"),
        ("24:00-25:00", "no such time of day"),
        ("08:60-09:00", "no such time of day"),
        ("08:00-08:00", "begins when it ends"),
        ("Foo 08:00-09:00", "unknown day"),
        ("Mon, 08:00-09:00", "unknown day"),
        ("08:00-09:00 Mars/Olympus", 'unknown time zone "Mars/Olympus"'),
        ("08:00-09:00 ../../etc/passwd", "unknown time zone"),
    ],
)
def test_hours_that_cannot_be_read_say_why(text, why):
    """An operator's slip must not become a window of another time."""
    with pytest.raises(ValueError, match=why):
        read_hours(text)


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-20 21:59", False),  # a Friday
        ("2026-11-20 22:00", True),
        ("2026-11-21 05:59", True),  # Friday's window, on Saturday
        ("2026-11-21 06:00", False),
        ("2026-11-21 23:00", False),
        ("2026-11-20 05:00", False),  # Thursday's, of which there is none
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_it_begins(moment, inside):
    """Fri 22:00-06:00 ends on Saturday morning."""
    then = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    assert within(read_hours("Fri 22:00-06:00 Europe/Berlin"), then) is inside


def test_the_zones_clock_counts_in_summer_and_winter():
    """08:00 in Berlin is 06:00 UTC in July and 07:00 in December."""
    hours = read_hours("08:00-09:00 Europe/Berlin")
    utc = ZoneInfo("UTC")
    assert within(hours, datetime(2026, 7, 1, 6, 30, tzinfo=utc).timestamp())
    assert not within(hours, datetime(2026, 12, 1, 6, 30, tzinfo=utc).timestamp())
    assert within(hours, datetime(2026, 12, 1, 7, 30, tzinfo=utc).timestamp())
