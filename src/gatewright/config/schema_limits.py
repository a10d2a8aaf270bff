"""The shape of limits and budgets, wherever they stand: for everybody, an organization, a team, a user or a key.

One rule: what is left out costs nothing; a gateway that nobody has limited counts nothing.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gatewright.config.secrets import Secret
from gatewright.config.section import Count, Name, Section, Share

Dollars = Annotated[float, Field(gt=0, le=1_000_000_000)]


class LimitSection(Section):
    """So much of one thing in any time of that length, or at once."""

    per: Literal["second", "minute", "hour", "day", "month"] | None = None
    """The time, wherever it begins; a month is 30 days. Not for `concurrent`."""
    requests: Count | None = None
    """Requests, whether they go well or not."""
    tokens: Count | None = None
    """Tokens read and written together; cached ones count."""
    input_tokens: Count | None = None
    """Tokens read."""
    output_tokens: Count | None = None
    """Tokens written, reasoning included."""
    dollars: Dollars | None = None
    """Money, to the millionth."""
    concurrent: Count | None = None
    """Requests that run at once."""
    models: list[Name] = []
    """Names asked for that count, with `*` for any text; one limit over all of them. Default: every name."""


Calendar = Literal["day", "week", "month", "total"]


class PeriodSection(Section):
    """The time that a budget is for: one of the two."""

    calendar: Calendar | None = None
    """By UTC's calendar, weeks from Monday; `total` for ever."""
    rolling: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}[hd]$")] | None = None
    """A period that slides, of that length, such as `30d` or `12h`."""


def _period(value: object) -> object:
    return {"calendar": value} if isinstance(value, str) else value


PeriodEntry = Annotated[PeriodSection, BeforeValidator(_period, json_schema_input_type=Calendar | PeriodSection)]


class BudgetSection(Section):
    """So much money in a period."""

    per: PeriodEntry
    """`day`, `week` (from Monday), `month`, by UTC's calendar; `total` for ever; or `{rolling: 30d}`."""
    dollars: Dollars
    """To the millionth."""
    soft: list[Annotated[Share, Field(gt=0)]] = []
    """Shares of it, such as `0.8`, at which `budgets.webhook` is told."""
    on_exceeded: Literal["stop", "warn"] = "stop"
    """Refuse what it does not cover, or only tell."""
    models: list[Name] = []
    """Names asked for that count, with `*` for any text. Default: every name."""


class BudgetsSection(Section):
    """What holds for all budgets, and those of everybody together."""

    webhook: Secret | None = None
    """URL that is told (POST, JSON) when a soft threshold or the whole of a budget is reached. May be `env:NAME`."""
    on_outgrown: Literal["extend", "stop"] = "extend"
    """A stream that costs more than was reserved for it: reserve more for as long as the budget has any, or end it at once."""
    everybody: list[BudgetSection] = []
    """Over all keys together."""


class CountersSection(Section):
    """Where limits and budgets are counted."""

    url: Secret | None = None
    """A Redis or Valkey that all machines share, such as `redis://127.0.0.1:6379/0`, or `env:REDIS_URL`.
    Default: memory that the workers of this machine share."""
    deadline_ms: Annotated[int, Field(ge=1, le=60_000)] = 50
    """How long a request waits for the Redis, before it is taken for one that does not answer."""
    rates: Literal["open", "closed"] = "open"
    """Limits on requests, tokens and what runs, while the counters do not answer: let requests pass uncounted, or refuse them."""
    money: Literal["open", "closed"] = "closed"
    """Budgets and limits in dollars, while the counters do not answer."""


def _long_form(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


CountersEntry = Annotated[CountersSection, BeforeValidator(_long_form, json_schema_input_type=str | CountersSection)]
