"""Route: from the model name a client wrote to the targets to try, in order.

Names, in this order: aliases, configured models, `provider/model`, wildcards (the longest pattern first). A model with a ladder
leads to the nearest name that its provider lists. Which of a route's targets comes first is for `choose` to say.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from gatewright.errors import Problem, Refused
from gatewright.exchange import Principal
from gatewright.jsontypes import JsonValue
from gatewright.pipeline.choose import Choices, Option, choices
from gatewright.pipeline.endpoint import Candidate, Endpoint
from gatewright.pipeline.policy import DEFAULT, Policy, RouteTarget, Tier
from gatewright.providers.facts import NOTHING, Facts
from gatewright.providers.ladder import Ladder, climb
from gatewright.routing.balance import View, order

LONG = 512
"""Characters of a name that is not remembered."""
KEPT = 4096
"""Names whose routes are remembered; clients choose names, so there must be an end."""


class Route(msgspec.Struct, frozen=True, eq=False):
    """Compared and hashed by identity: made once, when the configuration is read or a name is first asked for."""

    name: str
    tiers: tuple[Tier, ...]
    """At least one; the first is empty where a ladder stands in its place."""
    policy: Policy = DEFAULT
    losses: Literal["warn", "refuse"] = "warn"
    overrides: Mapping[str, JsonValue] = {}
    defaults: Mapping[str, JsonValue] = {}
    ladder: Ladder | None = None
    """In place of targets: they depend on the name asked for."""
    facts: Facts = NOTHING
    """What the operator says of it."""

    @property
    def targets(self) -> tuple[RouteTarget, ...]:
        """Those of the first tier."""
        return self.tiers[0].targets

    @property
    def fallback(self) -> tuple[RouteTarget, ...]:
        """Those of all further tiers, in order."""
        return tuple(target for tier in self.tiers[1:] for target in tier.targets)


def straight(provider: str, model: str, policy: Policy = DEFAULT) -> Route:
    """The route of a name that nobody configured: `provider/model`."""
    return Route(f"{provider}/{model}", (Tier((RouteTarget(provider, model),)),), policy)


class Router:
    """Resolves names. Pure but for `random`, which is an argument: a number in [0, 1)."""

    def __init__(
        self,
        *,
        endpoints: Mapping[str, Endpoint],
        routes: Mapping[str, Route],
        aliases: Mapping[str, str],
        listed: Sequence[str] = (),
        models_of: Callable[[str], Iterable[str]] = lambda _provider: (),
        policy: Policy = DEFAULT,
        facts_of: Callable[[str, str], Facts] = lambda _provider, _model: NOTHING,
    ) -> None:
        """`models_of`: what a provider lists, as far as known; for ladders. `policy`: of names without a route of their own.
        `facts_of`: what is known of a provider's model.
        """
        self.policy = policy
        self.endpoints = endpoints
        self.aliases = aliases
        self.models_of = models_of
        self.exact = {name: route for name, route in routes.items() if "*" not in name}
        self.wild = sorted((r for n, r in routes.items() if "*" in n), key=lambda route: len(route.name), reverse=True)
        self.facts_of = facts_of
        self._made: dict[tuple[Route, str], Choices] = {}
        self.names = sorted({*self.exact, *aliases, *listed})

    def resolve(self, model: str, pin: str) -> tuple[Route, str]:
        """The route for a name, and what its `*` matched. Raises Refused (404) naming near names."""
        if ".." in model.split("/"):  # some dialects write the name into a path
            raise self._unknown(model)
        if pin:
            bare = model.removeprefix(f"{pin}/")
            return straight(pin, bare, self.policy), ""
        for _ in range(8):  # alias loops are refused when the configuration is read; this bounds what slipped through
            if model not in self.aliases:
                break
            model = self.aliases[model]
        route = self.exact.get(model)
        if route is not None:
            return self._climbed(route, model), ""
        provider, slash, rest = model.partition("/")
        if slash and rest and provider in self.endpoints:
            return straight(provider, rest, self.policy), ""
        for route in self.wild:
            before, _, after = route.name.partition("*")
            if len(model) >= len(before) + len(after) and model.startswith(before) and model.endswith(after):
                return self._climbed(route, model), model[len(before) : len(model) - len(after)]
        raise self._unknown(model)

    def _unknown(self, model: str) -> Refused:
        names = (*self.names, *sorted(route.name for route in self.wild))
        return Refused(_unknown_model(model, names, tuple(self.endpoints)))

    def _climbed(self, route: Route, model: str) -> Route:
        """The route itself, or where its ladder leads from `model` with the lists as they are now."""
        ladder = route.ladder
        if ladder is None:
            return route
        step = climb(model, self.models_of(ladder.provider), ladder)
        return msgspec.structs.replace(
            route, tiers=(Tier((RouteTarget(ladder.provider, step.model),)), *route.tiers[1:]), ladder=None
        )

    def forget(self) -> None:
        """What is known of models has changed."""
        self._made.clear()

    def plan(self, route: Route, starred: str, random: Callable[[], float]) -> list[Candidate]:
        """All candidates by weighted draw, tier by tier, whatever is asked: for who has no request to choose by."""
        plan: list[Candidate] = []
        for rank in self.choices(route, starred).ranks:
            drawn = order("weighted", [View(weight=option.weight) for option in rank.options], 0, random)
            plan += (rank.options[i].candidate for i in drawn)
        return plan

    def choices(self, route: Route, starred: str) -> Choices:
        """What the route offers, made once and anew when other things become known."""
        made = self._made.get((route, starred))
        if made is None:
            made = choices(
                ([self._option(route, target, starred) for target in tier.targets], tier.strategy, tier.when)
                for tier in route.tiers
            )
            if len(self._made) >= KEPT:
                self._made.clear()
            if len(route.name) + len(starred) <= LONG:
                self._made[route, starred] = made
        return made

    def _option(self, route: Route, target: RouteTarget, starred: str) -> Option:
        """The operator's word first: the target's own, then the route's; then what is known."""
        model = target.model.replace("*", starred, 1)
        candidate = Candidate(
            self.endpoints[target.provider],
            model,
            route.losses,
            route.overrides,
            max_tokens=route.facts.max_output or 0,
            defaults=route.defaults,
        )
        known = self.facts_of(target.provider, model)
        can = target.capabilities if target.capabilities is not None else route.facts.capabilities
        return Option(
            candidate,
            target.weight,
            target.priority,
            target.when,
            context=target.context or route.facts.context or known.context,
            can=None if can is None else frozenset(can),
            lacks=frozenset(known.lacks),
            input_usd=None if known.input_usd is None else float(known.input_usd),
            output_usd=None if known.output_usd is None else float(known.output_usd),
        )


def near_names(model: str, names: Sequence[str]) -> list[str]:
    """Up to three names that somebody who typed `model` may have meant."""
    return difflib.get_close_matches(model[:200], names, n=3, cutoff=0.5)


def _unknown_model(model: str, names: Sequence[str], providers: Sequence[str]) -> Problem:
    near = near_names(model, names)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Configured names: {', '.join(names[:8]) or 'none'}."
    shown = model if len(model) <= 200 else model[:200] + "…"
    return Problem(
        kind="not_found",
        code="model_not_found",
        param="model",
        message=f"The model '{shown}' is not served here. {hint} A provider's model is named provider/model "
        f"(providers: {', '.join(providers)}).",
    )


def may_use(principal: Principal, model: str, route: Route, pin: str = "") -> bool:
    """Whether a key's globs cover the name it asked for or the route that serves it.

    Under a pin a name is the provider's, whatever it is here: only `provider/model` counts.
    """
    asked = route.name if pin else model
    if principal.within and not all(_fits(globs, asked, route.name) for globs in principal.within):
        return False
    return _fits(principal.models, asked, route.name)


def may_use_all(principal: Principal, provider: str) -> bool:
    """Whether a key may use every model of a provider: what endpoints that name no model (files, batches) ask for."""
    levels = (principal.models, *principal.within)
    return all(any(p == "*" or (p.endswith("/*") and fnmatchcase(provider, p[:-2])) for p in globs) for globs in levels)


def allowed(principal: Principal) -> str:
    """What a key may ask for, for a person."""
    return ", and of these: ".join(", ".join(globs) for globs in (*principal.within, principal.models))


def _fits(globs: Sequence[str], asked: str, name: str) -> bool:
    return any(p == "*" or fnmatchcase(asked, p) or fnmatchcase(name, p) for p in globs)
