"""A price list with one price, for plays in which money is counted."""

from gatewright import app
from gatewright.providers.prices import PriceBook
from gatewright.providers.pricing import Prices
from gatewright.record.rows import Cost


class Cents(Prices):
    """A price list with one price: a cent for each token read, ten for each written."""

    def __init__(self, config):
        super().__init__(PriceBook())

    def price(self, provider, model, usage, at):
        return Cost(usage.total_input * 10_000 + usage.total_output * 100_000, "test", "2026-01-01")

    def upper(self, candidate, input_tokens, output_tokens, *, dear=True):
        return input_tokens * 10_000 + output_tokens * 100_000

    def flat(self, candidate):
        return None


def use_cents(monkeypatch) -> None:
    """All models cost the same."""
    monkeypatch.setattr(app, "prices_of", Cents)
