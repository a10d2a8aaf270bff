"""What would become of a request, told: its route, the targets in the order to try, what each would be sent and would cost.

One rule: everything told is found by the rules that serve. Unknown is null, never a guess; prices are decimal text.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Protocol

from gatewright.errors import Refused
from gatewright.exchange import Exchange
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.pipeline.cacheable import why_not_asked, wishes
from gatewright.pipeline.choose import Choices, Chosen, Look, Option, Standings
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.needs import Needs
from gatewright.pipeline.policy import Policy
from gatewright.pipeline.route import Route
from gatewright.pipeline.translate import Dialects, prepare
from gatewright.providers.facts import Facts
from gatewright.routing.affinity import Affinity

MILLION: Final = Decimal(1_000_000)
EXACT: Final = Decimal("0.000000001")
"""Dollars are told to the billionth."""
MOST_LOSSES: Final = 20
TIES: Final = {
    "state": "the response that it continues was given here",
    "seal": "the newest reasoning of the conversation was sealed here",
    "session": "the session leads here",
    "prefix": "the beginning of the prompt leads here",
}
_STRATEGIES: Final = {
    "weighted": "drawn by weight",
    "round_robin": "it is its turn",
    "least_busy": "the fewest calls in flight for its weight",
    "lowest_latency": "the shortest time to the first token",
    "cheapest": "the lowest price for this request",
    "priority": "the lowest number",
}


class Told(Standings, Protocol):
    """Standings, and for how long."""

    def again_s(self, candidate: Candidate, /) -> float: ...

    def in_flight(self, candidate: Candidate, /) -> int: ...


class Prices(Protocol):
    def __call__(self, provider: str, model: str, /) -> Facts:
        """What is known of a provider's model."""
        ...


def explanation(
    exchange: Exchange,
    *,
    route: Route,
    alias: str | None,
    offered: Choices,
    chosen: Chosen,
    look: Look,
    health: Told,
    facts_of: Prices,
    dialects: Dialects,
) -> JsonObject:
    """`exchange`: of the request in question; nothing of it is changed. `alias`: the name asked for, where it is one."""
    rank_of = {id(option): number for number, rank in enumerate(offered.ranks) for option in rank.options}
    ordered = sorted((*chosen.first, *chosen.last), key=lambda option: _is_full(option.candidate))  # as attempts have it
    targets: list[JsonValue] = []
    for place, option in enumerate(ordered):
        rank = offered.ranks[rank_of[id(option)]]
        stands = option in chosen.first
        told = target(exchange, option, route=route, look=look, health=health, facts_of=facts_of, dialects=dialects)
        if _is_full(option.candidate):
            why = "all its places are taken" if len(ordered) > 1 else "the only target; all its places are taken"
        elif not stands:
            why = f"last: {_why_last(option, health, look)}"
        else:
            why = _why_first(rank.strategy, chosen) if place == 0 else "when what stands before has failed"
        same = [other for other in rank.options if other in chosen.first]
        share = _share(option, same) if stands and rank.strategy == "weighted" and chosen.tied is None else None
        targets.append({"tier": rank_of[id(option)] + 1, **told, "why": why, "share": share})
    return {
        "object": "explanation",
        "model": exchange.model,
        "alias_of": route.name if alias is not None else None,
        "route": route.name,
        "dialect": exchange.dialect,
        "stream": exchange.stream,
        "size": _size(look.needs),
        "needs": list[JsonValue](sorted(look.needs.capabilities)),
        "affinity": _affinity(chosen),
        "tiers": [
            {"tier": number + 1, "strategy": rank.strategy, "targets": [option.candidate.name for option in rank.options]}
            for number, rank in enumerate(offered.ranks)
        ],
        "targets": targets,
        "skipped": [
            {"tier": skipped.rank + 1, "target": skipped.option.candidate.name, "reason": skipped.why, "why": skipped.told}
            for skipped in chosen.skipped
        ],
        "cache": cache(exchange, route.policy, dialects),
        "policy": policy(route.policy),
    }


def target(
    exchange: Exchange, option: Option, *, route: Route, look: Look, health: Told, facts_of: Prices, dialects: Dialects
) -> JsonObject:
    """One target: what it would be sent, how it stands, and what it would cost."""
    candidate = option.candidate
    view = health.view(candidate, weight=option.weight, priority=option.priority, cost=None)
    return {
        "target": candidate.name,
        **sending(exchange, candidate, dialects),
        "circuit": health.standing(candidate),
        "again_s": _seconds(health.again_s(candidate)),
        "rests_s": _seconds(health.rests_s(candidate)),
        "in_flight": health.in_flight(candidate),
        "queue": queue(candidate),
        "first_token_s": None if view.ttft_s is None else _seconds(view.ttft_s),
        "weight": option.weight,
        "priority": option.priority,
        "context": option.context,
        "cost_usd": cost(look.needs, facts_of(candidate.endpoint.name, candidate.model), route),
    }


def queue(candidate: Candidate) -> JsonValue:
    """Who runs and who waits before its endpoint, in this process. Null: it has no limit."""
    gate = candidate.endpoint.gate
    return None if gate is None else {"running": gate.running, "waiting": gate.waiting}


def _is_full(candidate: Candidate) -> bool:
    gate = candidate.endpoint.gate
    return gate is not None and gate.full


def sending(exchange: Exchange, candidate: Candidate, dialects: Dialects) -> JsonObject:
    """Whether the bytes pass or cross, into which dialect, and what that loses."""
    before = exchange.request
    exchange.request = None
    try:
        prepared = prepare(exchange, candidate, dialects)
    except Refused as refused:
        dialect = candidate.dialect_for(exchange.dialect)
        return {"dialect": dialect, "bytes": "refused", "losses": [], "refused": refused.problem.message}
    finally:
        exchange.request = before
    losses: list[JsonValue] = [
        {"path": loss.path, "weight": loss.weight, "why": loss.why} for loss in prepared.losses[:MOST_LOSSES]
    ]
    return {"dialect": prepared.dialect, "bytes": "pass" if prepared.passing else "cross", "losses": losses, "refused": None}


def cost(needs: Needs, facts: Facts, route: Route) -> JsonObject:
    """Dollars: lowest for the input alone, highest with the longest answer. Null: no price, or no limit, is known."""
    if facts.input_usd is None:
        return {"lowest": None, "highest": None}
    lowest = needs.tokens * facts.input_usd / MILLION
    most = longest_answer(needs, facts, route)
    highest = None if most is None or facts.output_usd is None else lowest + most * facts.output_usd / MILLION
    return {"lowest": dollars(lowest), "highest": None if highest is None else dollars(highest)}


def longest_answer(needs: Needs, facts: Facts, route: Route) -> int | None:
    """Tokens that the answer can have at most: as the route sets it, as the client limits it, as the model can."""
    said = (route.overrides.get("max_tokens"), needs.max_tokens, route.defaults.get("max_tokens"))
    found = next((value for value in said if isinstance(value, int)), None)
    limits = [limit for limit in (found, route.facts.max_output, facts.max_output) if limit is not None]
    return min(limits, default=None)


def dollars(amount: Decimal) -> str:
    """`0.00123`: decimal text, no exponent, no zeros that say nothing."""
    return format(amount.quantize(EXACT).normalize(), "f")


def cache(exchange: Exchange, rule: Policy, dialects: Dialects) -> JsonObject:
    """Whether an answer would be looked for among those that are kept."""
    if rule.cache is None:
        return {"looked_up": False, "why": "this route keeps no answers", "ttl_s": None}
    wish = wishes(exchange.call.headers.get("cache-control"))
    why = why_not_asked(exchange.understood(dialects))
    if not wish.use or wish.fresh:
        why = "the client wants a fresh answer" if wish.use else "the client wants nothing stored"
    return {"looked_up": not why, "why": why or None, "ttl_s": rule.cache.ttl_s}


def policy(rule: Policy) -> JsonObject:
    hedge = rule.hedge
    return {
        "tries_each": rule.retry.tries_each,
        "tries_all": rule.retry.tries_all,
        "deadline_s": rule.deadline_s,
        "affinity": list[JsonValue](sorted(rule.affinity)),
        "hedge": None if hedge is None else {"share": hedge.share, "hedges": hedge.hedges},
        "on_cut": rule.on_cut,
    }


def _size(needs: Needs) -> JsonObject:
    return {"input_tokens": needs.tokens, "estimated": True, "max_tokens": needs.max_tokens}


def _affinity(chosen: Chosen) -> JsonValue:
    tie: Affinity | None = chosen.tied
    return None if tie is None or not chosen.first else {"kind": tie.kind, "leads_to": chosen.first[0].candidate.name}


def _why_first(strategy: str, chosen: Chosen) -> str:
    if len(chosen.first) + len(chosen.last) == 1:
        return "the only target"
    return TIES[chosen.tied.kind] if chosen.tied is not None else _STRATEGIES[strategy]


def _why_last(option: Option, health: Told, look: Look) -> str:
    candidate = option.candidate
    if health.standing(candidate) == "open":
        return f"its circuit is open for another {_seconds(health.again_s(candidate)):g} s"
    if (rests := health.rests_s(candidate)) > 0:
        return f"all its keys rest for another {_seconds(rests):g} s"
    return f"about {look.needs.sure_tokens} tokens may not fit into its {option.context}"


def _share(option: Option, same: Sequence[Option]) -> float:
    """Of the requests that come here first."""
    whole = sum(other.weight for other in same)
    return round(option.weight / whole, 4) if whole else 0.0


def _seconds(seconds: float) -> float:
    return round(seconds, 3)
