"""OpenAI's exports, as they are given."""

from datetime import date
from decimal import Decimal

import pytest
from tests.billing.bills import ANTHROPIC_USAGE, OPENAI_COSTS, OPENAI_TOTALS, OPENAI_USAGE

from gatewright.billing.bill import BadBill, Entry
from gatewright.billing.openai import read

FIRST, SECOND = date(2025, 11, 20), date(2025, 11, 21)


def test_usage_is_added_up_by_day_and_model():
    """Projects and keys are told apart there, and not here; a date at the end of a model's name is left out."""
    bill = read(OPENAI_USAGE.splitlines(keepends=True))
    assert bill.entries == {
        (FIRST, "gpt-5"): Entry(requests=4, read=1024, written=206),
        (SECOND, "gpt-5-mini"): Entry(requests=2, read=50, written=60),
    }
    assert bill.days == (FIRST, SECOND)


def test_costs_are_exact_and_services_stand_apart():
    """Rounded once, when all is added up; what is no model call is not compared with calls."""
    bill = read(OPENAI_COSTS.splitlines(keepends=True))
    assert bill.entries == {(FIRST, "gpt-5"): Entry(cost=Decimal("0.0033404999999999999"))}
    assert bill.entries[FIRST, "gpt-5"].micros == 3340
    assert bill.not_tokens == Decimal("0.25")


def test_costs_of_whole_days_are_taken_too():
    """The page exports them so where nothing is grouped."""
    bill = read(OPENAI_TOTALS.splitlines(keepends=True))
    assert bill.entries == {(FIRST, ""): Entry(cost=Decimal("0.5617712500000000"))}


@pytest.mark.parametrize("parted", ["\t", ";"])
def test_a_spreadsheet_may_have_parted_the_columns_otherwise(parted):
    """Some save them so, and put a mark in front."""
    text = "\ufeff" + OPENAI_TOTALS.replace(",", parted)
    assert read(text.splitlines(keepends=True)).entries[FIRST, ""].cost == Decimal("0.5617712500000000")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no table with columns"),
        ("a,b\n1,2\n", "expected an export of OpenAI"),
        (ANTHROPIC_USAGE, "expected an export of OpenAI"),
        ("start_time,end_time,start_time_iso,end_time_iso\n1,2,,\n", "no figures"),
        (OPENAI_USAGE.replace(",1000,", ",much,"), "line 2, input_tokens: expected a whole number, got 'much'"),
        (OPENAI_USAGE.replace(",1000,", ",-3,"), "line 2, input_tokens"),
        (OPENAI_USAGE.replace(",1000,", ",NaN,"), "line 2, input_tokens"),
        (OPENAI_USAGE.replace(",1000,", ",1e999,"), "line 2, input_tokens"),
        (OPENAI_COSTS.replace("usd", "eur", 1), "line 2, amount_currency: expected usd, got 'eur'"),
        (OPENAI_COSTS.replace("0.25,", "free,"), "line 4, amount_value: expected dollars, got 'free'"),
        (OPENAI_TOTALS.replace("2025-11-20T00:00:00+00:00", "yesterday"), "expected a date"),
        (OPENAI_TOTALS.replace("2025-11-20T00:00:00+00:00", "").replace("1763596800", ""), "there is no date"),
        (OPENAI_TOTALS.splitlines()[0], "no row that says anything"),
        ("model,model,amount_value\n", "two columns have the same name"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text, said):
    """And is never taken for nothing."""
    with pytest.raises(BadBill, match=said.replace("(", r"\(")):
        read(text.splitlines(keepends=True))
