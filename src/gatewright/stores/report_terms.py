"""What can be asked of usage, and what is told: plain values, so that nothing of SQL is loaded for them."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

import msgspec

By: TypeAlias = Literal[
    "key", "user", "team", "organization", "model", "provider", "route", "operation", "status", "cache", "day", "hour"
]
BY: Final[tuple[By, ...]] = get_args(By)
FILTERS: Final = tuple(by for by in BY if by not in ("day", "hour"))
COLUMN: Final[dict[By, str]] = {
    "key": "key_id",
    "user": "user",
    "team": "team",
    "organization": "organization",
    "model": "model",
    "provider": "provider",
    "route": "route",
    "operation": "operation",
    "status": "status_class",
    "cache": "cache",
}

_AGO: Final = re.compile(r"(\d{1,5})([hdw])")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class BadQuery(ValueError):
    """What is asked cannot be meant; the message says what can."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    since: int
    """Hours since 1970 (UTC), the first that counts."""
    until: int
    """The first that counts no more."""
    by: tuple[By, ...] = ()
    """What lines are told apart by. Empty: there is one."""
    only: tuple[tuple[By, str], ...] = ()
    """What counts: names with their values, stars for anything. Values of the same name are as good as one another."""
    within: tuple[tuple[Literal["key_id", "team", "organization"], str], ...] = ()
    """What whoever asks may see of it: all of these, letter by letter."""


class Line(msgspec.Struct, frozen=True):
    group: dict[str, str]
    """By what it is told apart; of a key both its name and its id."""
    sums: dict[str, int]
    """Of `ledger_rows.MEASURES`, and `hits`."""


class Report(msgspec.Struct, frozen=True):
    query: Query
    lines: tuple[Line, ...]
    total: dict[str, int]


def hour_of(text: str, now: datetime, *, end: bool = False) -> int:
    """`7d` (today and the six days before), `2w`, `24h`, a date, or a time of ISO 8601, as hours since 1970, all by UTC.

    `end`: as the end of a time: a date then means all of its day, an hour that has begun all of it. Raises BadQuery.
    """
    this = int((now - _EPOCH).total_seconds()) // 3600
    if ago := _AGO.fullmatch(text.strip()):
        count, unit = int(ago[1]), ago[2]
        if unit == "h":
            return this - count + 1
        return (this // 24 - count * (7 if unit == "w" else 1) + 1) * 24
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadQuery(f"'{text[:40]}' is no time; expected 24h, 7d, 2w, 2026-11-01 or 2026-11-01T08:00Z") from None
    whole_day = len(text.strip()) <= len("2026-11-01")
    moment = moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if end and whole_day:
        moment += timedelta(days=1)
    seconds = int((moment - _EPOCH).total_seconds())
    return -(-seconds // 3600) if end else seconds // 3600


def by_of(text: str) -> tuple[By, ...]:
    """`team,model`. Raises BadQuery."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    known: list[By] = []
    for word in words:
        found = next((by for by in BY if by == word.removesuffix("s") or by == word), None)
        if found is None:
            raise BadQuery(f"usage cannot be told apart by '{word[:40]}'; expected some of {', '.join(BY)}")
        if found not in known:
            known.append(found)
    if {"day", "hour"} <= set(known):
        known.remove("day")
    return tuple(known)


def only_of(filters: Iterable[str]) -> tuple[tuple[By, str], ...]:
    """`key=ci`, each. Raises BadQuery."""
    found: list[tuple[By, str]] = []
    for text in filters:
        name, equals, value = text.partition("=")
        by = next((by for by in FILTERS if by == name.strip()), None)
        if by is None or not equals:
            raise BadQuery(f"'{text[:60]}' is no filter; expected name=value, with a name of {', '.join(FILTERS)}")
        found.append((by, value.strip().removesuffix("xx") if by == "status" else value.strip()))
    return tuple(found)


def query_of(*, since: str, until: str, by: str, filters: Iterable[str] = (), now: datetime | None = None) -> Query:
    """What somebody has asked for in words; `until` empty: up to now. Raises BadQuery."""
    now = now or datetime.now(UTC)
    begin = hour_of(since, now)
    end = hour_of(until, now, end=True) if until else int((now - _EPOCH).total_seconds()) // 3600 + 1
    if end <= begin:
        raise BadQuery(f"the time ends before it begins: from {since} until {until or 'now'}")
    if not until:  # the rest of today is empty, and a whole day is read faster
        end = -(-end // 24) * 24
    return Query(since=begin, until=end, by=by_of(by), only=only_of(filters))
