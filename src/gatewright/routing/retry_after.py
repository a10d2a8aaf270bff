"""When to come back, in every form that providers tell it: headers of three vendors, and Google's detail in the body.

    retry-after-ms: 1500                              milliseconds (OpenAI, Azure)
    retry-after: 12 | Sat, 21 Nov 2026 15:00:00 GMT   seconds or a date (RFC 9110, 10.2.3)
    {"error": {"details": [{"@type": "…/google.rpc.RetryInfo", "retryDelay": "45.8s"}]}}
    x-ratelimit-reset-tokens: 6m0s | 17ms | 3558.5    durations or seconds (OpenAI, Groq, Cerebras)
    x-ratelimit-reset: 1759845420000 | 2              since 1970, or seconds (OpenRouter, Together)
    anthropic-ratelimit-tokens-reset: 2026-11-21T15:00:00Z

One rule: a reset counts only for what is used up; OpenAI's tells when all is back as at first, not when one more may come.
https://platform.openai.com/docs/guides/rate-limits , https://platform.claude.com/docs/en/api/rate-limits ,
https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto
"""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from gatewright.jsontypes import JsonValue

AT_MOST_S: Final = 3600.0
"""The longest that anyone is believed."""

_NUMBER = re.compile(r"\d{1,20}(?:\.\d{0,20})?|\.\d{1,20}", re.ASCII)
_DURATION_PART = re.compile(r"(\d{1,12}(?:\.\d{1,15})?)(h|ms|m|us|µs|μs|ns|s)", re.ASCII)
_UNIT_S: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
"""Go's units, which OpenAI and Groq write; the micro sign has two code points."""
_MILLISECONDS = 1e11
"""A larger number is milliseconds since 1970 (from 1973 on), …"""
_SINCE_1970 = 1e8
"""… a larger one than this seconds since 1970, and a smaller one seconds from now (three years)."""


def retry_after_s(headers: Iterable[tuple[str, str]], body: JsonValue, now: float, at_most_s: float = AT_MOST_S) -> float | None:
    """Seconds from `now` (seconds since 1970) until the upstream wants to be asked again: 0 to `at_most_s`; None: it did not say.

    `headers` as received, in any case; `body` is the decoded document, of any shape. Dates are taken against the upstream's own
    `date`, if it sent one: its clock need not be ours. Never raises.
    """
    told = {name.lower(): value.strip() for name, value in headers}
    theirs = _date_s(told.get("date", ""))
    seconds = _asked(told, body, now if theirs is None else theirs)
    return None if seconds is None else min(max(seconds, 0.0), at_most_s)


def _asked(told: Mapping[str, str], body: JsonValue, now: float) -> float | None:
    """The first form that says anything, the most direct ones first."""
    milliseconds, plain = _number(told.get("retry-after-ms", "")), told.get("retry-after", "")
    if milliseconds:  # Azure sends 0 beside a retry-after of 1
        return milliseconds / 1000
    seconds = _number(plain)
    if seconds is None and (date := _date_s(plain)) is not None:
        seconds = date - now
    if seconds is None:
        seconds = _retry_info(body)
    if seconds is None:
        seconds = milliseconds
    return _resets(told, now) if seconds is None else seconds


def _resets(told: Mapping[str, str], now: float) -> float | None:
    """The latest reset of what is used up, or of what nobody says how much of is left."""
    found = None
    for name, value in told.items():
        remaining = _remaining_name(name)
        if remaining is None or (_number(told.get(remaining, "")) or 0.0) > 0:
            continue
        seconds = _reset_s(value, now)
        if seconds is not None and (found is None or seconds > found):
            found = seconds
    return found


def _remaining_name(name: str) -> str | None:
    """The header that tells what remains of that whose reset `name` tells; None: it tells no reset."""
    if name.startswith("anthropic-ratelimit-") and name.endswith("-reset"):
        return name.removesuffix("reset") + "remaining"
    if name.startswith("x-ratelimit-reset"):
        return name.replace("reset", "remaining", 1)
    return None


def _reset_s(value: str, now: float) -> float | None:
    """Seconds until a reset: a duration, a number or a date. None: it is none of them."""
    number = _number(value)
    if number is not None:
        since_1970 = number / 1000 if number > _MILLISECONDS else number
        return since_1970 - now if number > _SINCE_1970 else number
    duration = duration_s(value)
    if duration is not None:
        return duration
    date = _date_s(value)
    return None if date is None else date - now


def duration_s(value: str) -> float | None:
    """Seconds in a duration as Go and protobuf write it: `6m0s`, `1h27m50.4s`, `17ms`, `45.837906927s`. None: it is none."""
    at, seconds = 0, 0.0
    while at < len(value):
        part = _DURATION_PART.match(value, at)
        if part is None:
            return None
        seconds += float(part[1]) * _UNIT_S[part[2]]
        at = part.end()
    return seconds if value else None


def _number(value: str) -> float | None:
    """A plain decimal, not negative. None: not one; words such as `nan` and `1e9` are none."""
    return float(value) if _NUMBER.fullmatch(value) else None


def _date_s(value: str) -> float | None:
    """Seconds since 1970 of an HTTP date or an RFC 3339 one; where no zone is named, UTC. None: it is no date."""
    if not value or len(value) > 64:
        return None
    try:
        date = datetime.fromisoformat(value) if value[0].isdigit() else parsedate_to_datetime(value)
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return seconds if math.isfinite(seconds) else None


def _retry_info(body: JsonValue) -> float | None:
    """`retryDelay` of Google's error details, in seconds; it streams errors as arrays. None: there is none."""
    document = body[-1] if isinstance(body, list) and body else body
    error = document.get("error") if isinstance(document, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for item in details if isinstance(details, list) else ():
        delay = item.get("retryDelay") if isinstance(item, dict) else None
        if isinstance(delay, str) and (seconds := duration_s(delay)) is not None:
            return seconds
    return None
