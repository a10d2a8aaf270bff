"""What is known of a model, from several mouths."""

from decimal import Decimal

from gatewright.providers.facts import NOTHING, Facts


def test_the_nearer_word_holds_and_the_other_fills_the_gaps():
    """The operator before the provider before the price list."""
    told = Facts(context=8, capabilities=())
    listed = Facts(context=200_000, max_output=64, capabilities=("tools",), input_usd=Decimal(3))
    merged = told.over(listed)
    assert merged == Facts(context=8, max_output=64, capabilities=(), input_usd=Decimal(3))
    assert told.over(NOTHING) == told
    assert NOTHING.over(listed) == listed
