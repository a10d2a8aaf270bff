"""What an operator grants: limits and budgets, and at which level each holds.

One rule: money is whole micro-dollars, tokens and requests are whole numbers; nothing here is a float that is added up.
"""

from typing import Literal

import msgspec

Unit = Literal["requests", "tokens", "input_tokens", "output_tokens", "micros", "concurrent"]
"""What is counted. `micros`: micro-dollars; `concurrent`: requests that run."""
Period = Literal["day", "week", "month", "total", "rolling"]
"""Days, weeks (from Monday) and months are those of UTC. `total`: from the first request on, for ever."""
Level = Literal["all", "organization", "team", "user", "key"]

SECOND, MINUTE, HOUR, DAY, MONTH = 1, 60, 3600, 86_400, 86_400 * 30
"""Lengths of a limit's window in seconds. Its month is 30 days that slide; a budget's is one of the calendar."""


class Limit(msgspec.Struct, frozen=True):
    """So many units in any time of `per_s` seconds, wherever it begins."""

    per_s: int
    """Seconds, above 0; 0 for `concurrent` alone, which knows no time."""
    unit: Unit
    amount: int
    """Of `micros`: micro-dollars."""
    models: tuple[str, ...] = ()
    """Globs of the names asked for that count, one limit over all of them. Empty: every name."""


class Budget(msgspec.Struct, frozen=True):
    """So much money in a period."""

    period: Period
    micros: int
    soft: tuple[float, ...] = ()
    """Shares of it at which somebody is told, each above 0, ascending."""
    hard: bool = True
    """Whether requests are refused once it is spent. False: it is only told."""
    models: tuple[str, ...] = ()
    """Globs of the names asked for that count. Empty: every name."""
    rolling_s: int = 0
    """Seconds of a `rolling` period; else 0."""


class Scope(msgspec.Struct, frozen=True):
    """One level that a request belongs to, and what is granted there. One that grants nothing is left out."""

    kind: Level
    id: str
    """Of the organization, team, user or key; empty for `all`."""
    limits: tuple[Limit, ...] = ()
    budgets: tuple[Budget, ...] = ()
