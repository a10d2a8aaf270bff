"""The price list that comes with the package."""

import subprocess
import sys
from decimal import Decimal

import pytest

from gatewright.providers.catalog import CATALOG
from gatewright.providers.facts import NOTHING
from gatewright.providers.prices import PriceBook


@pytest.fixture(scope="module")
def book():
    book = PriceBook()
    book.load()
    return book


def test_nothing_is_told_before_the_list_is_loaded():
    """Loading takes a while and is for threads; asking must not do it by the way."""
    book = PriceBook()
    assert book.facts("anthropic", "claude-sonnet-4-5") == NOTHING
    assert not book.loaded


def test_a_models_price_and_size(book):
    """In dollars for a million tokens; a tiered price shows what its first token costs."""
    sonnet = book.facts("anthropic", "claude-sonnet-4-5")
    assert (sonnet.input_usd, sonnet.output_usd, sonnet.title) == (Decimal(3), Decimal(15), "Claude Sonnet 4.5")
    assert sonnet.context >= 200_000
    assert book.facts("google", "gemini-2.5-pro").input_usd == Decimal("1.25")
    assert book.facts("aws", "us.anthropic.claude-sonnet-4-5-20250929-v1:0").input_usd >= Decimal(3)


@pytest.mark.parametrize(("host", "model"), [("", "gpt-5"), ("nobody", "gpt-5"), ("openai", "no-such-model"), ("openai", "")])
def test_an_unknown_model_has_no_price(book, host, model):
    """Not the price of another one, and never zero."""
    assert book.facts(host, model) == NOTHING


def test_what_is_remembered_has_an_end(book):
    """Clients choose names."""
    for i in range(10_050):
        book.facts("nobody", f"m{i}")
    assert len(book._found) <= 10_000


@pytest.mark.parametrize("host", [host for host in CATALOG if host.price], ids=lambda host: host.name)
def test_every_price_name_of_the_catalogue_is_in_the_list(book, host):
    """Else a row's prices would silently be missing."""
    assert host.price in book._providers


def test_serving_does_not_load_it():
    """It costs a third of a second and megabytes; a gateway that lists no models never pays."""
    code = "import sys, gatewright.serving, gatewright.cli.commands; print('genai_prices' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
