"""Health, told: `GET /v1/health/targets` says of each target how it stands, why, and when it will be asked again.

One rule: a key sees the targets of models that it may use and no others; secrets have no place here, keys of providers go by
the names that the gateway gave them.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase

import msgspec

from gatewright.exchange import Exchange, Next, Principal, Reply
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.health import ONLY_KEY, Health
from gatewright.pipeline.route import Router, may_use, straight
from gatewright.providers.auth.pool import KeyPool
from gatewright.routing.breaker import Standing, State, retry_after_s, standing

JSON = b"content-type: application/json\r\ncache-control: no-store\r\n"


class Circuit(msgspec.Struct, frozen=True):
    standing: Standing
    failures_in_a_row: int
    calls: float
    """Of the last minutes, each counting half after every half-life."""
    failures: float
    """Of these."""
    open_for_s: float | None = None
    """Since when it is open. None: it is closed."""
    next_probe_s: float | None = None
    """Until a call is let through again; 0: the next one is. None: it is closed."""


class KeyRest(msgspec.Struct, frozen=True):
    key: str
    rests_s: float
    model: str | None = None
    """None: for all models."""
    why: str = ""


class Queue(msgspec.Struct, frozen=True):
    running: int
    waiting: int


class TargetHealth(msgspec.Struct, frozen=True):
    target: str
    """`provider/model`."""
    models: tuple[str, ...]
    """The names of this gateway that lead to it."""
    standing: Standing
    """The worse of the two circuits'."""
    model: Circuit
    provider: Circuit
    """Of the provider as a whole: it opens when it cannot be reached."""
    resting_keys: tuple[KeyRest, ...]
    in_flight: int
    ttft_s: float | None
    """Seconds to expect until the first token. None: never measured."""
    queue: Queue | None
    """None: no limit on calls at once."""


class Report(msgspec.Struct, frozen=True):
    breakers: bool
    """False: no circuit ever opens."""
    targets: tuple[TargetHealth, ...]


class HealthReport:
    """The stage that answers. It calls nobody, and takes no permit."""

    def __init__(self, router: Router, health: Health) -> None:
        self.router = router
        self.health = health

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        assert exchange.principal is not None
        return Reply(200, JSON, msgspec.json.encode(self.report(exchange.principal)))

    def report(self, principal: Principal) -> Report:
        """Of the targets of every configured model, and of those that were called under other names; by name."""
        found: dict[str, tuple[Candidate, list[str]]] = {}
        for model, candidate in self._candidates(principal):
            names = found.setdefault(candidate.name, (candidate, []))[1]
            if model and model not in names:
                names.append(model)
        targets = tuple(self.target(candidate, tuple(models)) for _, (candidate, models) in sorted(found.items()))
        return Report(breakers=self.health.breaks, targets=targets)

    def _candidates(self, principal: Principal) -> Iterator[tuple[str, Candidate]]:
        """(model, candidate) of all that this key may use; the model is empty for a target called by its own name."""
        router = self.router
        for name, route in router.exact.items():
            if route.ladder is None and may_use(principal, name, route):
                for rank in router.choices(route, "").ranks:
                    yield from ((name, option.candidate) for option in rank.options)
        wild = [route for route in router.wild if may_use(principal, route.name, route)]
        for called in self.health.called():
            provider, _, model = called.partition("/")
            endpoint = router.endpoints.get(provider)
            if endpoint is None or not model:
                continue
            names = [r.name for r in wild if any(t.provider == provider and fnmatchcase(model, t.model) for t in r.targets)]
            if names or may_use(principal, called, straight(provider, model)):
                candidate = Candidate(endpoint, model)
                yield from ((name, candidate) for name in names or ("",))

    def target(self, candidate: Candidate, models: tuple[str, ...]) -> TargetHealth:
        health, gate = self.health, candidate.endpoint.gate
        now = health.clock()
        board = health.board
        endpoint = candidate.endpoint.name
        return TargetHealth(
            target=candidate.name,
            models=models,
            standing=health.standing(candidate),
            model=self._circuit(board.state(endpoint, candidate.model), now),
            provider=self._circuit(board.state(endpoint, ""), now),
            resting_keys=tuple(self._rests(candidate, now)),
            in_flight=health.in_flight(candidate),
            ttft_s=_rounded(health.view(candidate).ttft_s),
            queue=None if gate is None else Queue(gate.running, gate.waiting),
        )

    def _circuit(self, state: State, now: float) -> Circuit:
        rule = self.health.board.rule
        kept = 0.5 ** (max(0.0, now - state.at) / rule.half_life_s)
        is_open = state.opened_at is not None
        return Circuit(
            standing=standing(state, rule, now),
            failures_in_a_row=state.in_a_row,
            calls=round(state.calls * kept, 1),
            failures=round(state.failures * kept, 1),
            open_for_s=_rounded(now - state.opened_at) if state.opened_at is not None else None,
            next_probe_s=_rounded(retry_after_s(state, rule, now)) if is_open else None,
        )

    def _rests(self, candidate: Candidate, now: float) -> Iterator[KeyRest]:
        credential = candidate.endpoint.credential
        if isinstance(credential, KeyPool):
            for name, until, why in credential.resting():
                yield KeyRest(name, round(until - now, 1), why=why)
            return
        endpoint = candidate.endpoint.name
        for model in ("", candidate.model):
            cool = self.health.board.keys.get((endpoint, ONLY_KEY, model))
            if cool is not None and cool.until > now:
                why = "as the provider asked" if cool.told else "its last call was refused"
                yield KeyRest(ONLY_KEY, round(cool.until - now, 1), model or None, why)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
