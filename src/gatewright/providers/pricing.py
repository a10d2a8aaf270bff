"""What a call costs: the operator's own price for its target, else the price list's, for when it was and the tier that served it.

    Prices.price   what a call has cost       ≤ 5 µs once a model is known
    Prices.upper   what a call may cost       for who reserves money before it

One rule: an unknown price is None, with the reason, never 0; what the upstream says of the tier that served goes before what was
asked for.
"""

import time
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Final, Protocol

import msgspec

from gatewright.ir.response import Usage
from gatewright.providers.facts import NOTHING, Facts
from gatewright.providers.price_rates import MOST_MICROS, Rates
from gatewright.providers.price_rules import PriceRules, Stated, assumed_rates, stated_rates
from gatewright.providers.prices import ALWAYS, KEPT, PriceBook, PriceEntry

STATED: Final = "configuration"
ASSUMED: Final = "assumed"
NO_HOST: Final = "unknown: no price list for this host"
NO_MODEL: Final = "unknown: not in the price list"
NO_FIGURE: Final = "unknown: what it is priced by was not told"
NO_UNIT: Final = "unknown: priced by what is not understood here"

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "batch": {"processing": "batch"},
    "on_demand_flex": {"service_tier": "flex"},
    "on_demand_priority": {"service_tier": "priority"},
}
"""The tier that served, in a host's words → the price list's. All others are its own."""
_PLAIN: Final = frozenset(("", "standard", "default", "auto", "on_demand", "service_tier_unspecified"))


class Priced(msgspec.Struct, frozen=True):
    """What a call has cost."""

    micros: int | None
    """Micro-dollars, rounded half up. None: unknown."""
    source: str
    """Whose price it is; where it is unknown, why. Never empty."""
    dated: str = ""
    """The day from which that price holds, where the list tells."""


class Target(Protocol):
    @property
    def name(self) -> str:
        """`provider/model`."""
        ...


class Prices:
    """The prices of a gateway. May be asked by several threads."""

    def __init__(self, book: PriceBook, rules: PriceRules | None = None) -> None:
        self.book = book
        self._rules = rules or PriceRules()
        self._plans: dict[tuple[str, str, str, str], _Plan] = {}
        self._most: dict[str, tuple[_Most, int]] = {}
        self._flat: dict[str, tuple[int, int, int, int, int]] = {}
        """Of those that cost the same from the first token to the last: until when, and `Rates.flat_most`."""

    @property
    def rules(self) -> PriceRules:
        return self._rules

    def follow(self, rules: PriceRules) -> None:
        """Another configuration holds from now on."""
        self._rules = rules
        self._plans = {}
        self._most = {}
        self._flat = {}

    def price(self, provider: str, model: str, usage: Usage, at: int) -> Priced:
        """What so much has cost at so many microseconds since 1970. Loads the list where nobody has: that blocks once."""
        raw, tier, speed = usage.raw, usage.service_tier or "", ""
        if raw:
            if isinstance(told := raw.get("speed"), str):
                speed = told
            if not tier and isinstance(traffic := raw.get("trafficType"), str):
                tier = traffic
        plan = self._plans.get((provider, model, tier, speed))
        if plan is None or not plan.since <= at < plan.until:
            plan = self._plan(provider, model, tier, speed, at)
        if plan.rates is None:
            return plan.unknown
        micros = plan.rates.cost(usage)
        return plan.untold if micros is None else Priced(micros, plan.source, plan.dated)

    def upper(self, candidate: Target, input_tokens: int, output_tokens: int, *, dear: bool = True) -> int | None:
        """The most that so many tokens may cost, in micro-dollars, rounded up. None: no price is known.

        `dear`: it may be served in a tier that costs more, or have sound within. What is searched for beside is not reckoned.
        """
        name = candidate.name
        now = _now()
        flat = self._flat.get(name)
        if flat is not None and not dear and now < flat[0]:
            _, request, read, written, scale = flat
            return min(-(-(request + input_tokens * read + output_tokens * written) // scale), MOST_MICROS)
        most, until = self._most.get(name, (None, 0))
        if most is None or until <= now:
            most, until = self._find_most(name, now)
            if len(self._most) >= KEPT:
                self._most.clear()
                self._flat.clear()
            self._most[name] = most, until
            if (flat_rates := None if most[0] is None else most[0].flat_most) is not None:
                self._flat[name] = until, *flat_rates
        plain, others = most
        if plain is None:
            return None
        cost = plain.most(input_tokens, output_tokens, any_kind=dear)
        if dear and cost is not None:
            for rates in others:
                cost = max(cost, rates.most(input_tokens, output_tokens, any_kind=True) or 0)
        return cost

    def flat(self, candidate: Target) -> tuple[int, int, int, int, int] | None:
        """By what `upper` reckons where nothing dear was asked for: until when, and `Rates.flat_most`. None: that depends."""
        self.upper(candidate, 0, 0, dear=False)
        return self._flat.get(candidate.name)

    def stated(self, provider: str, model: str) -> Facts:
        """The prices that the operator states of a target, for lists and for choosing the cheapest."""
        rule = self._rules.for_target(f"{provider}/{model}") if self._rules.stated else None
        if rule is None:
            return NOTHING
        if rule.is_whole:
            return Facts(input_usd=rule.dollars.get("input"), output_usd=rule.dollars.get("output"))
        facts = self.book.facts(*rule.listed(self._rules.hosts.get(provider, ""), model, f"{provider}/{model}"))
        told = (None if usd is None else usd * rule.factor for usd in (facts.input_usd, facts.output_usd))
        return Facts(context=facts.context, input_usd=next(told), output_usd=next(told))

    def told(
        self, provider: str, model: str, at: int, context: Mapping[str, str] | None = None
    ) -> "tuple[Rates | None, str, str]":
        """(the price, whose it is or why there is none, since when) of a target, in a tier of the price list's own words."""
        plan = self._made(provider, model, context or {}, at)
        return plan.rates, plan.unknown.source if plan.rates is None else plan.source, plan.dated

    def _plan(self, provider: str, model: str, tier: str, speed: str, at: int) -> "_Plan":
        context = context_of(tier, speed)
        plan = self._made(provider, model, context, at)
        if len(self._plans) >= KEPT:
            self._plans.clear()
        self._plans[provider, model, tier, speed] = plan
        return plan

    def _made(self, provider: str, model: str, context: Mapping[str, str], at: int) -> "_Plan":
        rules = self._rules
        rule = rules.for_target(f"{provider}/{model}") if rules.stated else None
        if rule is not None and rule.is_whole:
            return _Plan(stated_rates(rule), STATED, "", *ALWAYS)
        entry, why = self._entry(provider, model, rule)
        if entry is None:
            return self._unknown(why)
        rates, dated = entry.rates(at, context)
        if rates is None:
            return self._unknown(NO_UNIT, *entry.window(at))
        source = self.book.source
        if rule is not None:
            rates, source = _times(rates, rule.factor), f"{STATED}, by {source}"
        return _Plan(rates, source, dated, *entry.window(at))

    def _entry(self, provider: str, model: str, rule: Stated | None) -> tuple[PriceEntry | None, str]:
        self.book.load()
        host, name = self._rules.hosts.get(provider, ""), model
        if rule is not None:
            host, name = rule.listed(host, name, f"{provider}/{model}")
        if not host:
            return None, NO_HOST
        return self.book.find(host, name), NO_MODEL

    def _unknown(self, why: str, since: int = ALWAYS[0], until: int = ALWAYS[1]) -> "_Plan":
        if self._rules.unknown == "assume":
            return _Plan(assumed_rates(self._rules.assume), ASSUMED, "", since, until)
        return _Plan(None, "", "", since, until, Priced(None, why))

    def _find_most(self, name: str, now: int) -> "tuple[_Most, int]":
        provider, _, model = name.partition("/")
        plan = self._made(provider, model, {}, now)
        rule = self._rules.for_target(name) if self._rules.stated else None
        others: list[Rates] = []
        if plan.rates is not None and not (rule is not None and rule.is_whole):
            entry, _ = self._entry(provider, model, rule)
            if entry is not None:
                made = (self._made(provider, model, context, now).rates for context in entry.every_context())
                others = [rates for rates in made if rates is not None and rates != plan.rates]
        return (plan.rates, tuple(others)), plan.until


_Most = tuple[Rates | None, tuple[Rates, ...]]


class _Plan(msgspec.Struct, frozen=True, eq=False):
    """What was found out for one key."""

    rates: Rates | None
    source: str
    dated: str
    since: int
    until: int
    """[since, until) in microseconds since 1970."""
    unknown: Priced = Priced(None, NO_MODEL)
    untold: Priced = Priced(None, NO_FIGURE)


def context_of(tier: str, speed: str = "") -> Mapping[str, str]:
    """The price list's words for the tier that served, as an upstream said it."""
    word = tier.lower()
    context = {} if word in _PLAIN else dict(_WORDS.get(word, {"service_tier": word}))
    if speed and speed != "standard":
        context["speed"] = speed
    return context


def dollars(micros: int | None) -> str | None:
    """As decimal text, such as `0.000125`: what headers and JSON tell of a cost. None: unknown."""
    if micros is None:
        return None
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    text = f"{sign}{micros // 1_000_000}.{micros % 1_000_000:06d}".rstrip("0")
    return text.removesuffix(".")


def _times(rates: Rates, factor: Decimal) -> Rates:
    share = Fraction(factor)
    if share == 1:
        return rates
    by = share.numerator
    return msgspec.structs.replace(
        rates,
        scale=rates.scale * share.denominator,
        request=rates.request * by,
        brackets=tuple(tuple(rate * by for rate in bracket) for bracket in rates.brackets),
        tops=tuple((top[0] * by, top[1] * by, top[2] * by, top[3] * by) for top in rates.tops),
        parts=tuple(msgspec.structs.replace(part, rates=tuple(rate * by for rate in part.rates)) for part in rates.parts),
    )


def _now() -> int:
    return time.time_ns() // 1000
