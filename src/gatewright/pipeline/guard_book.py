"""Which rules hold for a request, and what is said when one of them ends it."""

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from gatewright.errors import Problem
from gatewright.exchange import Exchange
from gatewright.guards.rules import Asked, Rule
from gatewright.guards.terms import Direction, Finding
from gatewright.pipeline.guard_terms import GuardTerms
from gatewright.pipeline.route import Route

log = logging.getLogger("gatewright")

BLOCKED: Final = "guard_blocked"
"""Code of the problem."""
_MOST_TOLD: Final = 8
"""Findings in the header."""


class RuleBook:
    """The rules in their order, and for whom each is."""

    def __init__(self, rules: Sequence[Rule], terms: GuardTerms) -> None:
        self.rules = tuple(rules)
        self.terms = terms

    def rules_for(self, exchange: Exchange) -> tuple[Rule, ...]:
        """The operator's rules that fit, then those that the request itself brought."""
        if not self.rules:
            return exchange.rules
        principal = exchange.principal
        route = exchange.route
        keys = () if principal is None else (principal.key_id, principal.name)
        teams = () if principal is None else (principal.team,)
        tags = () if principal is None else principal.tags
        models = (exchange.model, route.name if isinstance(route, Route) else "") if exchange.model else None
        operations = (exchange.operation, exchange.call.path)
        found = tuple(
            rule
            for rule in self.rules
            if rule.scope.fits(teams=teams, keys=keys, tags=tags, models=models, operations=operations)
        )
        return found + exchange.rules if exchange.rules else found


class OwnWords(Asked):
    """Base of an `Asked` that says itself what is told where it blocks."""

    def problem(self, exchange: Exchange) -> Problem | None:
        """None: what is told for every other rule."""
        raise NotImplementedError


def blocked(exchange: Exchange, rule: Rule, direction: Direction) -> Problem:
    """What the client is told, and the line for the operator: which rule, and never by what."""
    log.warning("request %s: rule %r blocked the %s", exchange.request_id, rule.name, direction)
    own = _own_words(rule.check.asked, exchange)
    if own is not None:
        return own
    what = "request" if direction == "request" else "answer"
    message = rule.message or f"This {what} was blocked by the rule '{rule.name}'."
    return Problem(kind="invalid_request", code=BLOCKED, message=f"{message} ({exchange.request_id})", type="guard_blocked")


def _own_words(asked: object, exchange: Exchange) -> Problem | None:
    return asked.problem(exchange) if isinstance(asked, OwnWords) else None


def told(findings: Iterable[Finding]) -> bytes:
    """The header line for what is flagged; empty where nothing is."""
    named = dict.fromkeys(f"{_shown(one.rule)};{_shown(one.kind)}" for one in findings if one.action == "flag" and not one.dry)
    if not named:
        return b""
    return b"x-gatewright-guard: %b\r\n" % ", ".join(list(named)[:_MOST_TOLD]).encode("ascii")


def _shown(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-./:") else "_" for c in name[:60])
