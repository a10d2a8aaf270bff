"""Model lists: what a key may ask for, in the shape its client knows.

Three sources, the nearer before the farther: what the operator configured, what providers list (as far as known: nobody waits),
and the price list. `provider/model` works whether it is listed or not.
"""

from collections.abc import Callable, Iterator, Mapping

from gatewright.errors import Problem, Refused
from gatewright.exchange import Exchange, Next, Principal, Reply
from gatewright.ir.blocks import DialectName
from gatewright.pipeline.model_shapes import Shown, entry, listing
from gatewright.pipeline.route import Route, Router, may_use, straight
from gatewright.providers.facts import NOTHING, Facts
from gatewright.providers.known_models import KnownModels
from gatewright.providers.ladder import bare_name, climb
from gatewright.wire.json import encode

JSON = b"content-type: application/json\r\n"
KEPT = 256
"""Keys whose lists are remembered; a long one takes milliseconds, which others would wait."""

PriceOf = Callable[[str, str], Facts]
"""(provider, its model) → what the price list says."""


class Models:
    """Answers `list_models` and `get_model`."""

    def __init__(
        self,
        router: Router,
        known: KnownModels | None = None,
        price_of: PriceOf = lambda _provider, _model: NOTHING,
        poke: Callable[[], None] = lambda: None,
    ) -> None:
        """`poke`: called when somebody looks, so that lists are kept fresh."""
        self.router = router
        self.known = KnownModels(()) if known is None else known
        self.price_of = price_of
        self.poke = poke
        self._lists: dict[tuple[Principal, str], tuple[Shown, ...]] = {}
        self._rendered: dict[tuple[Principal, str, DialectName], bytes] = {}

    def forget(self) -> None:
        """A list has changed."""
        self._lists.clear()
        self._rendered.clear()

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        principal = exchange.principal
        assert principal is not None
        self.poke()
        if exchange.operation == "get_model":
            return Reply(200, JSON, encode(entry(exchange.dialect, self._one(principal, exchange.params[0], exchange.pin))))
        return Reply(200, JSON, self._list(principal, exchange))

    def _one(self, principal: Principal, name: str, pin: str) -> Shown:
        route, starred = self.router.resolve(name, pin)
        if not may_use(principal, name, route, pin):
            raise Refused(
                Problem(kind="not_found", code="model_not_found", message=f"The model '{name[:200]}' is not served here.")
            )
        return self._shown(name, route, starred)

    def _list(self, principal: Principal, exchange: Exchange) -> bytes:
        asked = (principal, exchange.pin, exchange.dialect)
        query = exchange.call.query
        body = None if query else self._rendered.get(asked)
        if body is None:
            shown = self._lists.get(asked[:2])
            if shown is None:
                if len(self._lists) >= KEPT:
                    self.forget()
                shown = self._lists[asked[:2]] = tuple(self.shown(principal, exchange.pin))
            body = encode(listing(exchange.dialect, shown, query))
            if not query:
                self._rendered[asked] = body
        return body

    def shown(self, principal: Principal, pin: str = "") -> Iterator[Shown]:
        """What a key may ask for: the operator's names, then what their patterns cover, then `provider/model`.

        Under a pin: the provider's models by the provider's names, so that they are asked for under its path.
        """
        seen: set[str] = set()
        for name, route, starred in self._pinned(pin) if pin else self._all():
            if name not in seen and may_use(principal, name, route, pin):
                seen.add(name)
                yield self._shown(name, route, starred)

    def _all(self) -> Iterator[tuple[str, Route, str]]:
        for name in self.router.names:
            yield name, *self.router.resolve(name, "")
        for name in self._covered():
            yield name, *self.router.resolve(name, "")
        for provider in self.known.providers():
            for model in sorted(self.known.models(provider)):
                name = f"{provider}/{model}"
                yield name, straight(provider, model), ""

    def _covered(self) -> list[str]:
        """Names that patterns make of what their first target's provider lists: `claude-*` is a name for every Claude there."""
        names: set[str] = set()
        for route in self.router.wild:
            before, _, after = route.name.partition("*")
            if (ladder := route.ladder) is not None:
                listed = self.known.models(ladder.provider)
                bare = ((bare_name(model), model) for model in listed)
                names.update(
                    name
                    for name, model in bare
                    if name.startswith(before) and name.endswith(after) and climb(name, listed, ladder).model == model
                )
            elif route.targets and "*" in route.targets[0].model:
                target = route.targets[0]
                start, _, end = target.model.partition("*")
                names.update(
                    before + model[len(start) : len(model) - len(end)] + after
                    for model in self.known.models(target.provider)
                    if len(model) > len(start) + len(end) and model.startswith(start) and model.endswith(end)
                )
        return sorted(names)

    def _pinned(self, pin: str) -> Iterator[tuple[str, Route, str]]:
        routes = self.router.exact.values()
        mentioned = {t.model for r in routes for t in (*r.targets, *r.fallback) if t.provider == pin and "*" not in t.model}
        for name in sorted(mentioned | set(self.known.models(pin))):
            yield name, *self.router.resolve(name, pin)

    def _shown(self, name: str, route: Route, starred: str) -> Shown:
        if not route.targets:
            return Shown(name, facts=route.facts)
        target = route.targets[0]
        model = target.model.replace("*", starred, 1)
        listed: Mapping[str, Facts] = self.known.models(target.provider)
        facts = listed[model] if model in listed else self.price_of(target.provider, model)
        return Shown(name, target.provider, route.facts.over(facts))
