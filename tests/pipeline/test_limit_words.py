"""Limits in words: who, how much of what, what is left, and when it frees."""

import pytest

from gatewright.limits.meters import US, Meter
from gatewright.limits.terms import Budget, Limit
from gatewright.limits.windows import NEVER
from gatewright.pipeline.limit_words import dollars, duration, granted, refusal, shown

NOW = 1_780_000_000 * US


def of(term, level="team", ident="red") -> Meter:
    return Meter(level, ident, term)


@pytest.mark.parametrize(
    ("term", "words"),
    [
        (Limit(60, "requests", 600), "600 requests a minute"),
        (Limit(1, "tokens", 5, ("a", "b*")), "5 tokens a second of a, b*"),
        (Limit(86_400 * 30, "micros", 1_250_000), "$1.25 a month"),
        (Limit(7200, "output_tokens", 5), "5 output tokens a 7200 s"),
        (Limit(0, "concurrent", 3), "3 requests at once"),
        (Budget("month", 50_000_000), "$50.00 a month"),
        (Budget("total", 1), "$0.000001 in total"),
        (Budget("rolling", 5_000_000, rolling_s=86_400 * 30), "$5.00 in any 30 days"),
    ],
)
def test_what_is_granted_is_said_as_it_was_configured(term, words):
    """An operator must find the line."""
    assert granted(of(term)) == words


def test_a_refusal_names_level_limit_rest_and_time():
    """And carries the same for machines."""
    problem = refusal(of(Limit(60, "tokens", 5000)), 4200, 700, 12_300_000, NOW, "openai_chat")
    assert problem.message == (
        "Team 'red' has a limit of 5000 tokens a minute: 700 left, and this request may need 4200. "
        "There is room in 13 s, at 2026-05-28T20:26:53Z."
    )
    assert (problem.http_status, problem.code, problem.retry_after_s) == (429, "rate_limit_exceeded", 12.3)
    assert dict(problem.headers) == {
        "retry-after": "13",
        "x-ratelimit-limit-tokens": "5000",
        "x-ratelimit-remaining-tokens": "700",
        "x-ratelimit-reset-tokens": "13s",
    }


@pytest.mark.parametrize(
    ("term", "cost", "wait", "words"),
    [
        (Limit(60, "tokens", 5000), 6000, NEVER, "It never fits"),
        (Budget("total", 5000), 600, NEVER, "does not free by itself"),
        (Limit(0, "concurrent", 5), 1, US, "Try again when one has ended."),
        (Budget("month", 5_000_000), 4_000_000, 86_400 * 3 * US, "There is room in 3 days"),
    ],
)
def test_who_cannot_be_told_a_time_is_told_what_to_do(term, cost, wait, words):
    """No `retry-after` where no waiting helps."""
    problem = refusal(of(term), cost, 0, wait, NOW, "anthropic")
    assert words in problem.message
    assert (problem.retry_after_s is None) == (wait == NEVER)
    assert ("retry-after" in dict(problem.headers)) == (wait != NEVER)


def test_anthropics_clients_get_their_own_headers():
    """With moments, where OpenAI has durations; and input and output apart."""
    told = shown(of(Limit(60, "input_tokens", 5000)), 700, 61 * US, NOW, "anthropic")
    assert told == [
        ("anthropic-ratelimit-input-tokens-limit", "5000"),
        ("anthropic-ratelimit-input-tokens-remaining", "700"),
        ("anthropic-ratelimit-input-tokens-reset", "2026-05-28T20:27:41Z"),
    ]
    assert shown(of(Limit(60, "input_tokens", 5000)), 700, US, NOW, "openai_chat") == []
    assert shown(of(Limit(60, "requests", 5000)), 700, US, NOW, "gemini") == []


@pytest.mark.parametrize(
    ("us", "told"), [(1, "1ms"), (17_000, "17ms"), (US, "1s"), (61 * US, "1m1s"), (3600 * US, "1h0m0s"), (59 * US + 1, "1m0s")]
)
def test_durations_are_written_as_openai_writes_them(us, told):
    """Rounded up: who comes then is let in."""
    assert duration(us) == told


@pytest.mark.parametrize(
    ("micros", "told"),
    [(0, "$0.00"), (12_500_000, "$12.50"), (10_001, "$0.010001"), (1_234_567_890_000, "$1234567.89"), (500, "$0.0005")],
)
def test_money_is_told_to_the_micro_dollar_and_no_further(micros, told):
    """Cents where cents do."""
    assert dollars(micros) == told
