"""Limits and budgets of a file, and what is told of those that cannot be."""

import pytest

from gatewright.config import ConfigError, load_config
from gatewright.limits.terms import Budget, Limit


def loaded(text: str, tmp_path, environ=None):
    file = tmp_path / "gatewright.yaml"
    file.write_text("providers: {demo: {}}\n" + text)
    return load_config(file, {"HOME": str(tmp_path), **(environ or {})})


def wrong(text: str, tmp_path) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(text, tmp_path)
    return "\n".join(f"{'.'.join(map(str, p.path))}: {p.message}" for p in caught.value.problems)


def test_limits_are_read_in_the_files_order_and_in_whole_units(tmp_path):
    """Dollars become micro-dollars exactly, whatever a float makes of them."""
    config = loaded(
        """
limits:
  - {per: minute, requests: 600, models: ["gpt-*"]}
  - {per: day, tokens: 5000000}
  - {per: hour, input_tokens: 7}
  - {per: second, output_tokens: 8}
  - {per: month, dollars: 0.29}
  - {concurrent: 10}
budgets:
  webhook: env:HOOK
  on_outgrown: stop
  everybody:
    - {per: month, dollars: 1000, soft: [0.9, 0.5]}
    - {per: {rolling: 30d}, dollars: 0.0000004, on_exceeded: warn, models: [a]}
    - {per: total, dollars: 19.99}
counters: {url: env:REDIS, rates: closed}
""",
        tmp_path,
        {"HOOK": "https://hooks.example.com/x?token=y", "REDIS": "redis://127.0.0.1:6379/1"},
    )
    assert config.limits.limits == (
        Limit(60, "requests", 600, ("gpt-*",)),
        Limit(86_400, "tokens", 5_000_000),
        Limit(3600, "input_tokens", 7),
        Limit(1, "output_tokens", 8),
        Limit(86_400 * 30, "micros", 290_000),
        Limit(0, "concurrent", 10),
    )
    assert config.limits.budgets == (
        Budget("month", 1_000_000_000, (0.5, 0.9)),
        Budget("rolling", 1, hard=False, models=("a",), rolling_s=86_400 * 30),
        Budget("total", 19_990_000),
    )
    assert config.limits.webhook is not None
    assert config.limits.webhook.reveal() == "https://hooks.example.com/x?token=y"
    assert config.limits.on_outgrown == "stop"
    assert config.counters.url is not None
    assert (config.counters.rates, config.counters.money) == ("closed", "closed")


def test_counters_may_be_no_more_than_a_url(tmp_path):
    """One line, where machines multiply."""
    config = loaded("counters: env:R\n", tmp_path, {"R": "valkeys://cache.example.com"})
    assert config.counters.url is not None
    assert config.counters.url.reveal() == "valkeys://cache.example.com"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("limits: [{per: minute}]", "limits.0: expected one of requests, tokens, input_tokens, output_tokens, concurrent or dollars, got none"),
        ("limits: [{per: minute, requests: 1, tokens: 2}]", "got requests and tokens"),
        ("limits: [{requests: 1}]", 'limits.0: missing key "per"'),
        ("limits: [{per: minute, concurrent: 1}]", "limits.0.per: what runs at once knows no time"),
        ("limits: [{per: minuet, requests: 1}]", 'got "minuet"; did you mean "minute"?'),
        ("limits: [{per: minute, requests: 0}]", "expected 1 or more, got 0"),
        ("limits: [{per: minute, dollars: -1}]", "expected more than 0.0, got -1"),
        ("budgets: {everybody: [{per: year, dollars: 1}]}", 'got "year"'),
        ("budgets: {everybody: [{per: {}, dollars: 1}]}", "budgets.everybody.0.per: expected day, week, month, total or {rolling: 30d}"),
        ("budgets: {everybody: [{per: {rolling: 30}, dollars: 1}]}", "budgets.everybody.0.per"),
        ("budgets: {everybody: [{per: {rolling: 5w}, dollars: 1}]}", "budgets.everybody.0.per"),
        ("budgets: {everybody: [{per: day, dollars: 1, soft: [1.5]}]}", "expected 1.0 or less"),
        ("budgets: {webhook: 'ftp://x'}", "budgets.webhook: expected an http:// or https:// URL"),
        ("counters: 'http://x'", "counters: expected the URL of a Redis or Valkey"),
        ("counters: 5", "counters: expected the URL of a Redis or Valkey, or a mapping, got a number"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_its_place(tmp_path, text, told):
    """An operator's slip must not become a limit that nobody meant."""
    assert told in wrong(text, tmp_path)
