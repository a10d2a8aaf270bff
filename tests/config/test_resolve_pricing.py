"""Prices in the configuration: exact figures, one meaning each."""

from decimal import Decimal

import pytest

from gatewright.config import ConfigError, load_config
from gatewright.providers.price_rules import Stated

PROVIDERS = "providers: {openai: {api_key: env:K}, mine: {kind: openai, base_url: 'http://127.0.0.1:1/v1', api_key: env:K}}\n"


def load(tmp_path, text):
    file = tmp_path / "gatewright.yaml"
    file.write_text(PROVIDERS + text)
    return load_config(file, {"K": "sk-x", "HOME": str(tmp_path)})


def test_prices_are_taken_as_they_are_written(tmp_path):
    """A tenth is a tenth."""
    rules = load(
        tmp_path,
        """
pricing:
  unknown: assume
  assume: {input: 0.1, output: 2}
  models:
    "openai/gpt-5*": {input: 1.1, output: 8, cache_read: 0.1, web_search: 0.01, beyond: [{tokens: 272000, input: 2.2}]}
    "mine/*": {like: "openai/*", factor: 0.8}
    "openai/ours": {like: "moonshot/kimi-k2"}
""",
    ).pricing
    assert (rules.unknown, rules.assume) == ("assume", (Decimal("0.1"), Decimal(2)))
    own = {"input": Decimal("1.1"), "output": Decimal(8), "cache_read": Decimal("0.1"), "web_search": Decimal("0.01")}
    assert rules.stated == (
        Stated("openai/gpt-5*", dollars=own, beyond=((272_000, {"input": Decimal("2.2")}),)),
        Stated("mine/*", like=("openai", "*"), factor=Decimal("0.8")),
        Stated("openai/ours", like=("moonshotai", "kimi-k2"), factor=Decimal(1)),
    )


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('"gpt-5": {input: 1}', 'expected provider/model, with at most one "*", got "gpt-5"'),
        ('"openai/*-*": {input: 1}', 'with at most one "*"'),
        ('"opena/x": {input: 1}', 'no provider "opena"'),
        ('"openai/x": {}', "says no price; 0 is one"),
        ('"openai/x": {input: -1}', "expected 0.0 or more, got -1"),
        ('"openai/x": {inptu: 1}', 'did you mean "input"?'),
        ('"openai/x": {input: 1, factor: 0.5}', 'prices of its own, or "like" and "factor", not both'),
        ('"openai/x": {like: "azur/gpt-5"}', 'no host "azur" in the price list; did you mean "azure"?'),
        ('"openai/x": {like: "openai/*"}', 'stands for what the name\'s own "*" takes'),
        ('"openai/x": {input: 1, beyond: [{tokens: 5, input: 2}, {tokens: 5, input: 3}]}', "the same number of tokens twice"),
    ],
)
def test_a_price_that_means_nothing_is_told_with_its_place(tmp_path, said, told):
    """Never a default in its place."""
    with pytest.raises(ConfigError) as failed:
        load(tmp_path, f"pricing: {{models: {{{said}}}}}\n")
    assert told in str(failed.value)
    assert "pricing.models" in str(failed.value)
