"""Bills: names of models, and files that somebody made up."""

import random

import pytest
from tests.billing.bills import ANTHROPIC_COST, ANTHROPIC_USAGE, OPENAI_COSTS, OPENAI_USAGE

from gatewright.billing import anthropic, openai
from gatewright.billing.bill import BadBill, model_name


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("gpt-5-2025-08-07", "gpt-5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("Claude Sonnet 4.5", "claude-sonnet-4-5"),
        ("gpt-4.1-mini", "gpt-4.1-mini-2025-04-14"),
        ("openai/gpt-4o", "gpt-4o-latest"),
    ],
)
def test_a_model_goes_by_one_name_in_bills_and_in_the_ledger(theirs, ours):
    """Whether or not it has its date, and whoever wrote it."""
    assert model_name(theirs) == model_name(ours) != ""


@pytest.mark.parametrize(("left", "right"), [("gpt-5", "gpt-5-mini"), ("gpt-4", "gpt-4.1"), ("o1", "o3"), ("m-2024", "m-2025")])
def test_two_models_stay_two(left, right):
    """What only looks like a date, or is a part of the name, is left where it is."""
    assert model_name(left) != model_name(right)


def test_a_file_that_was_damaged_is_refused_or_read_and_never_crashes():
    """Cut, with lines changed and characters put in."""
    chance = random.Random(7)
    for read, text in (
        (openai.read, OPENAI_USAGE), (openai.read, OPENAI_COSTS), (anthropic.read, ANTHROPIC_USAGE), (anthropic.read, ANTHROPIC_COST),
    ):  # fmt: skip
        for _ in range(300):
            at = chance.randrange(len(text))
            damaged = (
                text[:at] + chance.choice(("", '"', ",", "\n", "\0", "9" * 30, "\r", "é")) + text[at + chance.randrange(40) :]
            )
            try:
                bill = read(damaged.splitlines(keepends=True))
            except BadBill:
                continue
            assert all((entry.read or 0) >= 0 for entry in bill.entries.values())
