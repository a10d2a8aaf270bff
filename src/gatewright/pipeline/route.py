"""Route: from the model name a client wrote to the targets to try, in order.

Names, in this order: aliases, configured models, `provider/model`, wildcards (the longest pattern first). A model with a ladder
leads to the nearest name that its provider lists.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from gatewright.errors import Problem, Refused
from gatewright.exchange import Check, Exchange, Principal
from gatewright.jsontypes import JsonValue
from gatewright.pipeline.endpoint import Candidate, Endpoint
from gatewright.pipeline.policy import DEFAULT, Policy, RouteTarget, Tier
from gatewright.providers.facts import NOTHING, Facts
from gatewright.providers.ladder import Ladder, climb

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
    ) -> None:
        """`models_of`: what a provider lists, as far as known; for ladders. `policy`: of names without a route of their own."""
        self.policy = policy
        self.endpoints = endpoints
        self.aliases = aliases
        self.models_of = models_of
        self.exact = {name: route for name, route in routes.items() if "*" not in name}
        self.wild = sorted((r for n, r in routes.items() if "*" in n), key=lambda route: len(route.name), reverse=True)
        self._made: dict[tuple[Route, str], tuple[tuple[Candidate, ...], tuple[Candidate, ...]]] = {}
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

    def plan(self, route: Route, starred: str, random: Callable[[], float]) -> list[Candidate]:
        """The candidates in the order to try: targets by weighted draw, then the fallbacks as listed."""
        targets, fallback = self._candidates(route, starred)
        if len(targets) == 1:
            return [*targets, *fallback]
        # Efraimidis-Spirakis: sorting by u^(1/w) draws without replacement in proportion to the weights.
        drawn = [random() ** (1 / t.weight) if t.weight > 0 else -1.0 for t in route.targets]
        order = sorted(range(len(targets)), key=drawn.__getitem__, reverse=True)
        return [*(targets[i] for i in order), *fallback]

    def _candidates(self, route: Route, starred: str) -> tuple[tuple[Candidate, ...], tuple[Candidate, ...]]:
        """Targets and fallbacks of a route, made once."""
        made = self._made.get((route, starred))
        if made is None:
            targets, fallback = (
                tuple(
                    Candidate(
                        self.endpoints[t.provider],
                        t.model.replace("*", starred, 1),
                        route.losses,
                        route.overrides,
                        max_tokens=route.facts.max_output or 0,
                        defaults=route.defaults,
                    )
                    for t in group
                )
                for group in (route.targets, route.fallback)
            )
            made = targets, fallback
            if len(self._made) >= KEPT:
                self._made.clear()
            if len(route.name) + len(starred) <= LONG:
                self._made[route, starred] = made
        return made


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
    return any(p == "*" or fnmatchcase(asked, p) or fnmatchcase(route.name, p) for p in principal.models)


def may_use_all(principal: Principal, provider: str) -> bool:
    """Whether a key may use every model of a provider: what endpoints that name no model (files, batches) ask for."""
    return any(p == "*" or (p.endswith("/*") and fnmatchcase(provider, p[:-2])) for p in principal.models)


class RouteStage(Check):
    """Sets `exchange.route` and `exchange.plan`.

    Beneath authentication: a name that a key may not use is refused before anything is looked up.
    """

    def __init__(self, router: Router, random: Callable[[], float]) -> None:
        self.router = router
        self.random = random
        self._allowed: dict[tuple[Principal, str, str], tuple[Route, str]] = {}
        self._only: dict[tuple[Principal, str, str], tuple[Route, Sequence[object]]] = {}
        """The plans that no draw decides."""

    def forget(self) -> None:
        """What providers list has changed: names may lead elsewhere from now on."""
        self._allowed.clear()
        self._only.clear()

    def check(self, exchange: Exchange) -> None:
        principal = exchange.principal
        assert principal is not None
        asked = (principal, exchange.model, exchange.pin)
        only = self._only.get(asked)
        if only is not None:
            exchange.route, exchange.plan = only
            return
        found = self._allowed.get(asked)
        if found is None:
            found = self._resolve(exchange, principal)
            if len(self._allowed) >= KEPT:
                self.forget()
            if len(exchange.model) <= LONG:
                self._allowed[asked] = found
        exchange.route = route = found[0]
        starred = found[1]
        plan = exchange.plan = self.router.plan(route, starred, self.random)
        if len(route.targets) == 1 and asked in self._allowed:
            self._only[asked] = route, plan

    def _resolve(self, exchange: Exchange, principal: Principal) -> tuple[Route, str]:
        """The route, if this key may use it. Raises Refused."""
        route, starred = self.router.resolve(exchange.model, exchange.pin)
        if not may_use(principal, exchange.model, route, exchange.pin):
            raise Refused(
                Problem(
                    kind="permission",
                    code="model_not_allowed",
                    param="model",
                    message=f"This key may not use '{exchange.model[:200]}'. It may use: {', '.join(principal.models)}.",
                )
            )
        return route, starred
