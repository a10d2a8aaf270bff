"""Anthropic's exports, as they are given."""

from datetime import date
from decimal import Decimal

import pytest
from tests.billing.bills import ANTHROPIC_COST, ANTHROPIC_USAGE, OPENAI_COSTS

from gatewright.billing.anthropic import read
from gatewright.billing.bill import BadBill, Entry

FIRST, SECOND = date(2025, 11, 20), date(2025, 11, 21)


def test_usage_counts_what_was_read_from_and_into_caches():
    """As the ledger does, on axes of its own."""
    bill = read(ANTHROPIC_USAGE.splitlines(keepends=True))
    assert bill.entries == {
        (FIRST, "claude-sonnet-4-5"): Entry(read=4124, written=55),
        (SECOND, "claude-haiku-4-5"): Entry(read=7, written=9),
    }


def test_costs_are_what_is_billed_and_searches_stand_apart():
    """Not the list price; and models go by the names of people, which are brought to those of the API."""
    bill = read(ANTHROPIC_COST.splitlines(keepends=True))
    assert bill.entries == {(FIRST, "claude-sonnet-4-5"): Entry(cost=Decimal("0.07"))}
    assert bill.not_tokens == Decimal("0.30")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OPENAI_COSTS, "expected an export of Anthropic"),
        (ANTHROPIC_USAGE.replace(",4000,", ",4 000,"), "line 2, usage_input_tokens_cache_read: expected a whole number"),
        (ANTHROPIC_COST.replace("0.05,", "inf,", 1), "line 2, cost_usd: expected dollars, got 'inf'"),
        (ANTHROPIC_COST.replace("2025-11-20", "20.11.2025", 1), "line 2, usage_date_utc: expected a date"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text, said):
    """And is never taken for nothing."""
    with pytest.raises(BadBill, match=said):
        read(text.splitlines(keepends=True))
