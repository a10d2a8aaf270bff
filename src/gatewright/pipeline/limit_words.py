"""Limits and budgets in words: why a request was refused, and the headers that clients read.

One rule: who is told no is told which level's limit it was, what is left of it, and when it frees.
https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
https://platform.claude.com/docs/en/api/rate-limits#response-headers
"""

import datetime as dt
import math
from functools import lru_cache
from typing import Final

from gatewright.errors import Problem
from gatewright.ir.blocks import DialectName
from gatewright.limits.meters import US, Meter
from gatewright.limits.terms import Budget, Level, Unit
from gatewright.limits.windows import NEVER, RING

_WHO: Final[dict[Level, str]] = {
    "all": "All keys together",
    "organization": "Organization '{}'",
    "team": "Team '{}'",
    "user": "User '{}'",
    "key": "Key '{}'",
}
_PER: Final = {1: "second", 60: "minute", 3600: "hour", 86_400: "day", 86_400 * 30: "month"}
_OF: Final[dict[Unit, str]] = {
    "requests": "requests",
    "tokens": "tokens",
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
    "concurrent": "requests",
}
_OPENAI: Final = frozenset(("openai_chat", "openai_responses"))

CLOSED: Final = Problem(
    kind="overloaded",
    code="limits_unavailable",
    message="The gateway cannot count requests against their limits now, so it serves none that have any; try again shortly.",
    retry_after_s=1.0,
    headers=(("retry-after", "1"),),
)
UNPRICED: Final = "no price is known for '{}', and a budget applies: set one under `pricing.models`, or `pricing.unknown: allow`"


def dollars(micros: int) -> str:
    """`$12.50`; with all its digits where cents do not show it."""
    whole, rest = divmod(micros, US)
    cents, less = divmod(rest, 10_000)
    return f"${whole}.{cents:02}" if not less else f"${whole}.{rest:06}".rstrip("0")


def who(meter: Meter) -> str:
    return _WHO[meter.level].format(meter.id)


def granted(meter: Meter) -> str:
    """`600 requests a minute`."""
    term = meter.term
    of = f" of {', '.join(term.models)}" if term.models else ""
    if isinstance(term, Budget):
        per = _length(term.rolling_s) if term.period == "rolling" else term.period
        time = " in total" if term.period == "total" else f" in any {per}" if term.period == "rolling" else f" a {per}"
        return f"{dollars(term.micros)}{time}{of}"
    if term.unit == "concurrent":
        return f"{term.amount} requests at once{of}"
    amount = dollars(term.amount) if term.unit == "micros" else f"{term.amount} {_OF[term.unit]}"
    return f"{amount} a {_PER.get(term.per_s, f'{term.per_s} s')}{of}"


def refusal(meter: Meter, cost: int, left: int, wait_us: int, now: int, dialect: DialectName) -> Problem:  # noqa: PLR0917 - what is to be said
    """429 for a request that would have cost so much of a meter that had so much left."""
    retry_s = None if wait_us >= NEVER else max(1.0, wait_us / US)
    if cost > meter.bound:
        frees = "It never fits: ask for less, or have the limit raised."
    elif retry_s is None:
        frees = "It does not free by itself: have it raised."
    elif meter.unit == "concurrent":
        frees = "Try again when one has ended."
    else:
        frees = f"There is room in {_length(math.ceil(retry_s))}, at {_moment(now + wait_us)}."
    if meter.unit == "micros":
        asked = f"{dollars(left)} left, and this request may cost up to {dollars(cost)}"
    elif meter.unit in ("requests", "concurrent"):
        asked = f"{left} left" if left else "none left"
    else:
        asked = f"{left} left, and this request may need {cost}"
    kind = "budget" if meter.unit == "micros" else "limit"
    headers: tuple[tuple[str, str], ...] = ()
    if retry_s is not None:
        headers = (("retry-after", str(math.ceil(retry_s))),)
    return Problem(
        kind="rate_limit",
        code="budget_exceeded" if meter.unit == "micros" else "rate_limit_exceeded",
        message=f"{who(meter)} has a {kind} of {granted(meter)}: {asked}. {frees}",
        retry_after_s=retry_s,
        headers=headers + tuple(shown(meter, left, wait_us, now, dialect)),
    )


def shown(meter: Meter, left: int, resets_us: int, now: int, dialect: DialectName) -> list[tuple[str, str]]:
    """How one limit stands, in the dialect's own headers; those without any get none."""
    lines = shown_lines(meter, left, resets_us, now, dialect).decode("ascii").split("\r\n")
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines if line)]


def shown_lines(meter: Meter, left: int, resets_us: int, now: int, dialect: DialectName) -> bytes:
    """The same as header lines."""
    unit = meter.unit
    if unit in ("micros", "concurrent"):
        return b""
    if dialect in _OPENAI:
        if unit not in ("requests", "tokens"):
            return b""
        return _OPENAI_LINES[unit] % (
            meter.amount,
            left,
            _in(-(-resets_us // US)) if resets_us > US else duration(resets_us).encode(),
        )
    if dialect == "anthropic":
        return _ANTHROPIC_LINES[unit] % (meter.amount, left, _at(-(-(now + min(resets_us, 400 * 86_400 * US)) // US)))
    return b""


_OPENAI_LINES: Final = {
    unit: f"x-ratelimit-limit-{unit}: %d\r\nx-ratelimit-remaining-{unit}: %d\r\nx-ratelimit-reset-{unit}: %b\r\n".encode("ascii")
    for unit in ("requests", "tokens")
}
_ANTHROPIC_LINES: Final = {
    unit: "".join(
        f"anthropic-ratelimit-{unit.replace('_', '-')}-{what}\r\n" for what in ("limit: %d", "remaining: %d", "reset: %b")
    ).encode("ascii")
    for unit in ("requests", "tokens", "input_tokens", "output_tokens")
}


def template(meter: Meter, dialect: DialectName) -> bytes:
    """Header lines with `%d` for what is left, where the reset is told as a length of time; empty where it is a moment.

    A window resets a sub-bucket later than its length at the most, and that is told.
    """
    if dialect not in _OPENAI or meter.unit not in _OPENAI_LINES:
        return b""
    resets = duration(meter.width * RING).encode("ascii")
    return _OPENAI_LINES[meter.unit].replace(b"%d", b"%d" % meter.amount, 1).replace(b"%b", resets)


@lru_cache(maxsize=1024)
def _in(seconds: int) -> bytes:
    return duration(seconds * US).encode("ascii")


@lru_cache(maxsize=1024)
def _at(second: int) -> bytes:
    return _moment(second * US).encode("ascii")


def duration(us: int) -> str:
    """As OpenAI writes it: `17ms`, `1s`, `6m0s`, `1h0m0s`."""
    if us < US:
        return f"{-(-us // 1000)}ms"
    seconds = -(-us // US)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _length(seconds: int) -> str:
    """For a person: `30 days`, `12 hours`, `40 s`."""
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return f"{-(-seconds // size)} {name}s"
    return f"{seconds} s"


def _moment(us: int) -> str:
    return dt.datetime.fromtimestamp(-(-us // US), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
