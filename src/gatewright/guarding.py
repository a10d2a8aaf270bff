"""Puts the guards together: the rules of the configuration, and those who must be waited for."""

import msgspec

from gatewright.dialects import BY_NAME
from gatewright.guards.rules import Rule
from gatewright.pipeline.guard import Guard
from gatewright.pipeline.guard_book import RuleBook
from gatewright.pipeline.guard_forward import ForwardGuard
from gatewright.pipeline.guard_kinds import Means
from gatewright.pipeline.guard_terms import GuardRule, GuardsConfig
from gatewright.pipeline.stored import Screen


class Guards(msgspec.Struct, frozen=True):
    """The stages, to be put into stacks: none where nothing is guarded."""

    generate: tuple[Guard, ...] = ()
    forward: tuple[ForwardGuard, ...] = ()
    screen: Screen | None = None
    """For answers that are asked for by their id."""


def guards_of(config: GuardsConfig, means: Means, *, asked_for: bool = False) -> Guards:
    """`asked_for`: requests may bring rules of their own."""
    if not config.configured and not asked_for:
        return Guards()
    book = RuleBook(tuple(_made(one, means) for one in config.rules), config.terms)
    guard = Guard(BY_NAME, book)
    return Guards((guard,), (ForwardGuard(BY_NAME, book),), guard.screened)


def _made(one: GuardRule, means: Means) -> Rule:
    if one.maker is None:
        return one.rule
    check = msgspec.structs.replace(one.rule.check, asked=one.maker.make(means))
    return msgspec.structs.replace(one.rule, check=check)
