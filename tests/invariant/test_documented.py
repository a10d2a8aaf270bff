"""Invariant's own examples hold as documented here, or are refused with words."""

import pytest

from gatewright.guards.policy_rule import bound
from gatewright.invariant.policy import parse
from tests.invariant.documented import Example, documented, outcome_of

ALL = [(page.page, example) for page in documented() for example in page.examples]


@pytest.mark.parametrize(("page", "example"), ALL, ids=[f"{page.rpartition('/')[2]}: {example.name}" for page, example in ALL])
def test_an_example_evaluates_as_documented_or_is_refused_with_words(page: str, example: Example):
    outcome = outcome_of(example)
    if example.refused:
        assert example.refused in outcome.error
        assert outcome.error.startswith("policy:")
    else:
        assert outcome.error == ""
        assert outcome.held, "it is documented to hold for this conversation"
        assert outcome.quiet, "it is documented to say nothing of this one"
        assert not any(one.failed for one in parse(example.policy, bound()).evaluate(example.quiet_for))


def test_four_of_five_documented_rules_evaluate():
    """Of those that the documentation marks as rules, and of all that it shows."""
    marked = [outcome_of(example).as_documented for _, example in ALL if example.fence == "guardrail"]
    everything = [outcome_of(example).as_documented for _, example in ALL]
    assert sum(marked) >= 0.8 * len(marked)
    assert sum(everything) >= 0.8 * len(everything)
