"""The guards of a configuration, put together."""

from typing import cast

from gatewright.guarding import Guards, guards_of
from gatewright.guards.rules import Compiled, Rule
from gatewright.pipeline.guard_kinds import Means
from gatewright.pipeline.guard_terms import GuardRule, GuardsConfig, GuardTerms

NOBODY = cast("Means", None)
"""Rules that ask nobody need no means."""
RULE = GuardRule(Rule(name="a", kind="test", action="block", check=Compiled()))


def test_without_rules_no_stack_has_a_stage_more():
    assert guards_of(GuardsConfig(), NOBODY) == Guards()


def test_with_rules_there_is_one_choke_point():
    """The same rules for what is understood, what is forwarded and what is asked for by its id."""
    guards = guards_of(GuardsConfig(rules=(RULE,)), NOBODY)
    (generate,), (forward,) = guards.generate, guards.forward
    assert generate.book is forward.book
    assert guards.screen == generate.screened


def test_reasoning_that_is_to_be_dropped_passes_a_guard_without_rules():
    assert guards_of(GuardsConfig(terms=GuardTerms(reasoning="drop")), NOBODY).generate
