"""When to come back: each vendor's form, which of several counts, and that no nonsense is believed."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.routing.retry_after import AT_MOST_S, duration_s, retry_after_s

NOW = 1_795_272_000.0
"""2026-11-21T14:40:00Z"""


def retry_info(delay):
    return {"error": {"code": 429, "details": [{"@type": "…/Help"}, {"@type": "…/google.rpc.RetryInfo", "retryDelay": delay}]}}


FORMS = {
    "seconds": ({"retry-after": "12"}, None, 12.0),
    "seconds with a fraction": ({"Retry-After": "0.5"}, None, 0.5),
    "at once": ({"retry-after": "0"}, None, 0.0),
    "an HTTP date": ({"retry-after": "Sat, 21 Nov 2026 14:41:30 GMT"}, None, 90.0),
    "an HTTP date of the old form": ({"retry-after": "Saturday, 21-Nov-26 14:41:30 GMT"}, None, 90.0),
    "a date that has passed": ({"retry-after": "Sat, 21 Nov 2026 14:39:00 GMT"}, None, 0.0),
    "a date by the upstream's own clock": (
        {"retry-after": "Sat, 21 Nov 2026 11:00:30 GMT", "date": "Sat, 21 Nov 2026 11:00:00 GMT"},
        None,
        30.0,
    ),
    "milliseconds before seconds": ({"retry-after-ms": "1500", "retry-after": "2"}, None, 1.5),
    "Azure's 0 ms beside a second": ({"retry-after-ms": "0", "retry-after": "1"}, None, 1.0),
    "0 ms alone": ({"retry-after-ms": "0"}, None, 0.0),
    "OpenAI: tokens used up": (
        {
            "x-ratelimit-remaining-requests": "99",
            "x-ratelimit-reset-requests": "8h0m0s",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "6m0s",
        },
        None,
        360.0,
    ),
    "OpenAI: milliseconds": ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "17ms"}, None, 0.017),
    "OpenAI: nothing is used up": ({"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "6m0s"}, None, None),
    "Groq: hours": ({"x-ratelimit-reset-requests": "1h27m50.4s"}, None, AT_MOST_S),
    "Cerebras: bare seconds, an axis of its own": (
        {"x-ratelimit-reset-tokens-minute": "18.529", "x-ratelimit-remaining-tokens-minute": "0"},
        None,
        18.529,
    ),
    "OpenRouter: milliseconds since 1970": (
        {"x-ratelimit-limit": "16", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795272007000"},
        None,
        7.0,
    ),
    "seconds since 1970": ({"x-ratelimit-reset": "1795272009"}, None, 9.0),
    "Together: seconds": ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2"}, None, 2.0),
    "Anthropic: the latest of what is used up": (
        {
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2026-11-21T14:40:02Z",
            "anthropic-ratelimit-input-tokens-remaining": "0",
            "anthropic-ratelimit-input-tokens-reset": "2026-11-21T14:40:49Z",
            "anthropic-ratelimit-output-tokens-remaining": "4000",
            "anthropic-ratelimit-output-tokens-reset": "2026-11-21T14:50:00Z",
        },
        None,
        49.0,
    ),
    "Anthropic: an offset": ({"anthropic-ratelimit-tokens-reset": "2026-11-21T15:40:05.500+01:00"}, None, 5.5),
    "retry-after before resets": ({"retry-after": "15", "anthropic-ratelimit-tokens-reset": "2026-11-21T14:45:00Z"}, None, 15.0),
    "Gemini": ({}, retry_info("48s"), 48.0),
    "Gemini: nine digits": ({}, retry_info("45.837906927s"), 45.837906927),
    "Gemini: an array": ({}, [retry_info("3s")], 3.0),
    "Gemini: details that are text": ({}, {"error": {"details": "RetryInfo 3s"}}, None),
    "nothing": ({}, {"error": {"message": "slow down"}}, None),
    "bounded": ({"retry-after": "99999999999999999999"}, None, AT_MOST_S),
    "bounded dates": ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, None, AT_MOST_S),
    "not a number": ({"retry-after": "nan"}, None, None),
    "infinite": ({"retry-after": "inf"}, None, None),
    "an exponent": ({"retry-after": "1e9"}, None, None),
    "negative": ({"retry-after": "-5"}, None, None),
    "other digits": ({"retry-after": "٣"}, None, None),
    "a day that is not": ({"retry-after": "Sat, 99 Nov 2026 14:41:30 GMT"}, None, None),
    "an invalid one does not hide a valid one": ({"retry-after": "soon"}, retry_info("4s"), 4.0),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form(form):
    headers, body, seconds = FORMS[form]
    found = retry_after_s(headers.items(), body, NOW)
    assert found == (None if seconds is None else pytest.approx(seconds, abs=1e-6))


def test_the_bound_is_the_callers():
    assert retry_after_s({"retry-after": "120"}.items(), None, NOW, at_most_s=30.0) == 30.0


NAMES = st.sampled_from([
    "retry-after", "retry-after-ms", "date", "x-ratelimit-reset", "x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens",
    "anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining",
])  # fmt: skip
VALUES = st.text(max_size=40) | st.from_regex(r"[0-9.:TZhmsn +eE-]{0,30}", fullmatch=True) | st.datetimes().map(str)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["error", "details", "retryDelay", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=6), JSON, st.floats(0, 4e9))
def test_whatever_comes_is_bounded(headers, body, now):
    """Never an exception, never a number that cannot be slept."""
    found = retry_after_s(headers, body, now)
    assert found is None or (math.isfinite(found) and 0 <= found <= AT_MOST_S)


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59_999))
def test_durations_are_what_go_writes(hours, minutes, milliseconds):
    assert duration_s(f"{hours}h{minutes}m{milliseconds / 1000}s") == pytest.approx(
        hours * 3600 + minutes * 60 + milliseconds / 1000
    )


@pytest.mark.parametrize("text", ["", "6", "m", "6m ", "6 m", "6d", "1.s", "s6", "-3s", "6m0"])
def test_what_is_no_duration(text):
    assert duration_s(text) is None
