"""Conditions: which requests a target or a tier is for, by dialect, need, tag, header and hour.

One rule: all that a condition says must hold; of each of its lists one entry is enough. Who says nothing is for everybody.
The time is an argument, and so is what the request needs: that is asked for only where a condition asks.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from fnmatch import fnmatchcase
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import msgspec

from gatewright.ir.blocks import DialectName
from gatewright.providers.facts import Capability

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY: Final = frozenset(range(7))
DAY_MIN: Final = 24 * 60
_WINDOW = re.compile(r"(?:([A-Za-z,-]+)\s+)?(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})(?:\s+(\S+))?")


class Hours(msgspec.Struct, frozen=True):
    """A window of time, by the clock on a wall in its zone."""

    days: frozenset[int]
    """Days on which it begins; 0 is Monday."""
    from_min: int
    """Minutes after midnight."""
    to_min: int
    """Minutes after midnight; not after `from_min`: it ends on the day after."""
    zone: str = "UTC"


class When(msgspec.Struct, frozen=True):
    """Empty fields ask for nothing."""

    dialects: frozenset[DialectName] = frozenset()
    needs: frozenset[Capability] = frozenset()
    tags: frozenset[str] = frozenset()
    headers: tuple[tuple[str, str], ...] = ()
    """Names in lower case, with patterns of values; every one must be there."""
    hours: tuple[Hours, ...] = ()


class Headers(Protocol):
    def get(self, name: str, /) -> str | None: ...


class Asker(Protocol):
    """What conditions may ask of a request."""

    @property
    def dialect(self) -> DialectName: ...

    @property
    def tags(self) -> tuple[str, ...]: ...

    @property
    def headers(self) -> Headers: ...

    @property
    def unix_s(self) -> float:
        """When it is asked, in seconds since 1970."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it needs. Asked last: the request may have to be read for it."""
        ...


def hinders(when: When, asker: Asker) -> str | None:
    """Why the condition does not hold, for a person; None: it holds. What costs least is asked first."""
    if when.dialects and asker.dialect not in when.dialects:
        return f"it is for {_listed(when.dialects)} clients"
    if when.tags and not when.tags.intersection(asker.tags):
        return f"it is for keys tagged {_listed(when.tags)}"
    for name, pattern in when.headers:
        value = asker.headers.get(name)
        if value is None or not fnmatchcase(value, pattern):
            return f'it is for requests with "{name}: {pattern}", {"and this has none" if value is None else "not this one"}'
    if when.hours and not any(within(hours, asker.unix_s) for hours in when.hours):
        return f"it is for other hours: {'; '.join(map(show_hours, when.hours))}"
    if when.needs and not when.needs & asker.capabilities:
        return f"it is for requests that need {_listed(when.needs)}"
    return None


def _listed(words: Iterable[str]) -> str:
    return " or ".join(sorted(words))


def within(hours: Hours, unix_s: float) -> bool:
    """Whether a moment lies in a window. Its end does not belong to it."""
    then = datetime.fromtimestamp(unix_s, zone_of(hours.zone))
    day, minute = then.weekday(), then.hour * 60 + then.minute
    if hours.from_min < hours.to_min:
        return day in hours.days and hours.from_min <= minute < hours.to_min
    return (day in hours.days and minute >= hours.from_min) or ((day - 1) % 7 in hours.days and minute < hours.to_min)


def zone_of(name: str) -> tzinfo:
    """Raises ValueError, or KeyError where no such zone is known to this machine."""
    return UTC if name == "UTC" else ZoneInfo(name)


def read_hours(text: str) -> Hours:
    """`Mon-Fri 08:00-18:00 Europe/Berlin`, `Sat,Sun 00:00-24:00`, `22:00-06:00`. Raises ValueError that says what is wrong."""
    found = _WINDOW.fullmatch(text.strip())
    if found is None:
        raise ValueError(f'expected hours such as "Mon-Fri 08:00-18:00 Europe/Berlin", got "{text}"')
    from_min, to_min = (int(found[i]) * 60 + int(found[i + 1]) for i in (2, 4))
    if from_min >= DAY_MIN or to_min > DAY_MIN or int(found[3]) > 59 or int(found[5]) > 59:
        raise ValueError(f'no such time of day in "{text}"; expected 00:00 to 24:00')
    if from_min == to_min:
        raise ValueError(f'"{text}" begins when it ends; expected 00:00-24:00 for a whole day')
    zone = found[6] or "UTC"
    try:
        zone_of(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(f'unknown time zone "{zone}"; expected a name such as Europe/Berlin or UTC') from None
    return Hours(_days(found[1], text), from_min, to_min, zone)


def _days(written: str | None, text: str) -> frozenset[int]:
    if written is None:
        return EVERY_DAY
    days: set[int] = set()
    for part in written.lower().split(","):
        first, _, last = part.partition("-")
        begin, end = (next((i for i, day in enumerate(DAYS) if word.startswith(day)), -1) for word in (first, last or first))
        if begin < 0 or end < 0:
            raise ValueError(f'unknown day in "{text}"; expected Mon, Tue, Wed, Thu, Fri, Sat or Sun')
        days.update((begin + i) % 7 for i in range((end - begin) % 7 + 1))
    return frozenset(days)


def show_hours(hours: Hours) -> str:
    """As it could have been written."""
    days = "" if hours.days == EVERY_DAY else ",".join(DAYS[day].capitalize() for day in sorted(hours.days)) + " "
    begin, end = (f"{minute // 60:02}:{minute % 60:02}" for minute in (hours.from_min, hours.to_min))
    return f"{days}{begin}-{end} {hours.zone}"
