"""Plan: the stage that finds a request's route and puts its targets into the order to try.

One rule: what does not depend on the request is found once; a route with one target costs a look-up from then on.
"""

from collections.abc import Callable, Sequence

from gatewright.errors import Problem, Refused
from gatewright.exchange import Check, Exchange, Principal
from gatewright.pipeline.choose import Chosen, Look, Standings, choose
from gatewright.pipeline.needs import Needs, needs_of
from gatewright.pipeline.route import KEPT, LONG, Route, Router, allowed, may_use
from gatewright.pipeline.ties import held_by, tie_of
from gatewright.pipeline.translate import Dialects


class RouteStage(Check):
    """Sets `exchange.route` and `exchange.plan`.

    Beneath authentication: a name that a key may not use is refused before anything is looked up.
    """

    def __init__(
        self,
        router: Router,
        random: Callable[[], float],
        dialects: Dialects,
        health: Standings,
        clock: Callable[[], float],
    ) -> None:
        """`clock`: seconds since 1970, for conditions on hours."""
        self.router = router
        self.random = random
        self.dialects = dialects
        self.health = health
        self.clock = clock
        self.turns: dict[str, int] = {}
        """Requests of each route with several targets, counted from a start of its own: workers must not walk in step."""
        self._allowed: dict[tuple[Principal, str, str], tuple[Route, str]] = {}
        self._only: dict[tuple[Principal, str, str], tuple[Route, Sequence[object]]] = {}
        """The plans that nothing decides."""

    def forget(self) -> None:
        """What providers list has changed: names may lead elsewhere from now on."""
        self.router.forget()
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
        route, starred = self.find(exchange, principal)
        exchange.route = route
        offered = self.router.choices(route, starred)
        if offered.only is not None:
            exchange.plan = (offered.only,)
            if asked in self._allowed:
                self._only[asked] = route, exchange.plan
            return
        turn = self.turn_of(route)
        self.turns[route.name] = turn + 1
        chosen = choose(offered, self.look_at(exchange, route), self.health, turn=turn, chance=self.random)
        exchange.plan = chosen.plan
        if not exchange.plan:
            raise Refused(nowhere_to_go(route, chosen))

    def turn_of(self, route: Route) -> int:
        """The number of the route's next request; asking does not use it up."""
        turn = self.turns.get(route.name)
        if turn is None:
            if len(self.turns) >= KEPT:
                self.turns.clear()
            turn = self.turns[route.name] = int(self.random() * 1000)
        return turn

    def look_at(self, exchange: Exchange, route: Route) -> Look:
        """What choosing may ask of this request."""
        principal = exchange.principal
        call = exchange.call
        return Look(
            dialect=exchange.dialect,
            tags=() if principal is None else principal.tags,
            headers=call.headers,
            unix_s=self.clock(),
            body=call.body,
            needs=lambda: self._needs(exchange),
            held=lambda: held_by(exchange, route.policy, self.dialects),
            tie=lambda: tie_of(exchange, route.policy, self.dialects),
        )

    def _needs(self, exchange: Exchange) -> Needs:
        """What the request needs; nothing, where it cannot be read: its bytes may pass, and who renders it tells the client."""
        try:
            return needs_of(exchange.understood(self.dialects))
        except Refused:
            return Needs()

    def find(self, exchange: Exchange, principal: Principal) -> tuple[Route, str]:
        """The route for the name that was asked for, and what its `*` matched, if this key may use it. Raises Refused."""
        asked = (principal, exchange.model, exchange.pin)
        found = self._allowed.get(asked)
        if found is None:
            found = self._resolve(exchange, principal)
            if len(self._allowed) >= KEPT:
                self.forget()
            if len(exchange.model) <= LONG:
                self._allowed[asked] = found
        return found

    def _resolve(self, exchange: Exchange, principal: Principal) -> tuple[Route, str]:
        """The route, if this key may use it. Raises Refused."""
        route, starred = self.router.resolve(exchange.model, exchange.pin)
        if not may_use(principal, exchange.model, route, exchange.pin):
            raise Refused(
                Problem(
                    kind="permission",
                    code="model_not_allowed",
                    param="model",
                    message=f"This key may not use '{exchange.model[:200]}'. It may use: {allowed(principal)}.",
                )
            )
        return route, starred


def nowhere_to_go(route: Route, chosen: Chosen) -> Problem:
    """The error where every target was skipped, with the reason of each."""
    too_long = all(skipped.why == "context" for skipped in chosen.skipped)
    told = "; ".join(f"{skipped.option.candidate.name}: {skipped.told}" for skipped in chosen.skipped[:8])
    return Problem(
        kind="invalid_request",
        code="context_length_exceeded" if too_long else "no_target_for_request",
        message=f"No target of '{route.name}' is for this request. {told}.",
    )
