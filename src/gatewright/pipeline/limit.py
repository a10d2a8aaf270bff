"""Limit: whether a request may be made at all, by all limits and budgets of all the levels that its key belongs to.

    route ▸ limit ▸ state ▸ cache ▸ attempts

Beneath `route`: what it may cost depends on the targets. Above all that costs anything.
One rule: what it may use at most is reserved before it is sent, at all levels or at none, and settled with the truth.
"""

import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from gatewright.dialects.forwarded import begins_batch
from gatewright.dialects.media_runs import SMALL_BYTES
from gatewright.errors import Problem, Refused
from gatewright.exchange import Check, Exchange, Next, Principal, Reply
from gatewright.limits.meters import US
from gatewright.limits.terms import Scope
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.estimate import (
    BYTES_A_TOKEN,
    input_tokens,
    may_be_dear,
    model_asked,
    most_input_tokens,
    output_tokens,
)
from gatewright.pipeline.forward_to import most_written
from gatewright.pipeline.granted import FlatPlan, Granted, Levels
from gatewright.pipeline.held import Holding, Ways
from gatewright.pipeline.limit_words import CLOSED, UNPRICED, refusal
from gatewright.pipeline.narrow import narrow
from gatewright.pipeline.route import Route
from gatewright.providers.price_rates import MOST_MICROS
from gatewright.stores.counters import Denied, Reserved
from gatewright.stores.counters_batch import Batching
from gatewright.stores.counters_batched import BatchedCounters
from gatewright.transport.strand import back_to, in_a_task

if TYPE_CHECKING:  # its package may not be installed
    from gatewright.stores.counters_batched_redis import BatchedRedisCounters

log = logging.getLogger("gatewright")

KEPT: Final = 4096
"""Keys and names whose limits are remembered; clients choose names."""
LONG: Final = 512
_GENERATES: Final = frozenset(("generate", "invoke"))
Way: TypeAlias = Literal["deny", "allow"]
_MOST_PRICED: Final = 8
"""Targets of a plan that are looked at for the dearest."""


class Limits:
    """Sets `exchange.held`, `reserved` and `narrowed`."""

    def __init__(self, ways: Ways, everybody: Scope | None = None, *, unknown: Way = "allow", batches: Way = "deny") -> None:
        """`everybody`: what holds for all keys together. `unknown`: what a budget says to a model without a price; `batches`: and
        one that stops anybody to a batch, whose cost nobody knows.
        """
        self.ways = ways
        self.everybody = () if everybody is None or not (everybody.limits or everybody.budgets) else (everybody,)
        self.unknown = unknown
        self.batches = batches
        self._levels = Levels()
        self._granted: dict[tuple[Principal, str], Granted] = {}
        self._by_service: dict[str, bool] = {}

    def take(self, exchange: Exchange, counters: Batching) -> Holding | None:
        """Reserve what it may use: a seat of the batch in use, else what `counters` give at once. Raises Refused.

        Gives what must be waited for. None: it is reserved, or nothing limits it.
        """
        principal = exchange.principal
        if principal is None or not (
            principal.scopes or self.everybody or principal.max_tokens is not None or principal.defaults
        ):
            return None
        now = self.ways.clock()
        wanted = self.wanted(exchange, now)
        if wanted is None:
            return None
        granted, reads, writes, micros = wanted.granted, wanted.reads, wanted.writes, wanted.micros
        batch = granted.batch
        if (
            batch is not None
            and batch.free
            and now < batch.until
            and reads <= batch.reads
            and writes <= batch.writes
            and micros <= batch.micros
        ):
            batch.free -= 1
            wanted.batch = batch
            exchange.held = wanted
            if batch.free == batch.low:
                counters.prepare(granted, reads, writes, micros)
            return None
        got = counters.open(granted, reads, writes, micros, now)
        if got is None:
            return wanted
        self.held(exchange, wanted, got)
        return None

    def wanted(self, exchange: Exchange, now: int) -> Holding | None:
        """What is to be reserved. None: nothing limits it. Raises Refused."""
        principal = exchange.principal
        if principal is None:
            return None
        generates = exchange.operation in _GENERATES
        if generates and (principal.max_tokens is not None or principal.defaults):
            narrow(exchange, principal, self.ways.dialects)
        if not (principal.scopes or self.everybody):
            return None
        model = exchange.model or model_asked(exchange)
        granted = self._granted.get((principal, model)) or self._find(exchange, principal, model)
        if not granted.meters:
            return None
        reads = writes = micros = 0
        sure = True
        if generates:
            if granted.has_tokens or granted.has_money:
                body = exchange.call.body
                size = len(body)
                reads = size // BYTES_A_TOKEN + 1 if size <= SMALL_BYTES else input_tokens(body, exchange.dialect)
                writes, sure = output_tokens(exchange, self.ways.dialects)
                if granted.has_money:
                    flat = granted.flat
                    if (
                        flat is not None
                        and flat.plan is exchange.plan
                        and now < flat.until
                        and not (flat.may_be_dear and may_be_dear(body))
                    ):
                        most = most_input_tokens(body, exchange.dialect) * flat.read + writes * flat.written + flat.request
                        micros = -(-most // flat.scale) or 1
                        exchange.reserved = micros = min(MOST_MICROS, micros)
                    else:
                        micros = exchange.reserved = self._most(exchange, writes)
                        if flat is None or flat.plan is not exchange.plan or 0 < flat.until <= now:
                            granted.flat = self._flat(exchange)
        elif exchange.operation == "forward":
            reads = input_tokens(exchange.call.body, exchange.dialect) if granted.has_tokens else 0
            if granted.has_money:
                micros = exchange.reserved = self._most_forwarded(exchange, granted)
        return Holding(self.ways, granted, reads, writes, micros, sure)

    def held(self, exchange: Exchange, wanted: Holding, got: Reserved | Denied) -> None:
        """Raises Refused where it was denied."""
        if isinstance(got, Reserved):
            wanted.taken, wanted.batch = got, got.batch
            exchange.held = wanted
            return
        if got.meter is None:
            raise Refused(CLOSED)
        cost = next(cost for meter, cost in wanted.claims if meter is got.meter)
        now = self.ways.clock()
        if got.meter.is_budget and self.ways.tell is not None:
            self.ways.tell(got.meter, min(got.left, got.meter.amount), now)
        raise Refused(refusal(got.meter, cost, got.left, got.wait_us, now, exchange.dialect))

    def _find(self, exchange: Exchange, principal: Principal, model: str) -> Granted:
        route = exchange.route
        names = (model, route.name) if isinstance(route, Route) else (model,)
        granted = self._levels.granted((*self.everybody, *principal.scopes), names)
        if len(self._granted) >= KEPT:
            self._granted.clear()
        if len(model) <= LONG:
            self._granted[principal, model] = granted
        return granted

    def _dearer(self, candidate: Candidate) -> bool:
        """Whether its price depends on how it is to be served, so that the body is worth searching for that."""
        name = candidate.name
        found = self._by_service.get(name)
        if found is None:
            upper = self.ways.prices.upper
            found = upper(candidate, US, US, dear=True) != upper(candidate, US, US, dear=False)
            if len(self._by_service) >= KEPT:
                self._by_service.clear()
            self._by_service[name] = found
        return found

    def _flat(self, exchange: Exchange) -> FlatPlan | None:
        """By what `_most` reckons for the same plan, where no body that is not dear costs anything else; of one that is over
        already where it does.
        """
        plan = exchange.plan
        if len(plan) != 1 or not isinstance(candidate := plan[0], Candidate):
            return None
        return FlatPlan(plan, self._dearer(candidate), *(self.ways.prices.flat(candidate) or (0, 0, 0, 0, 1)))

    def _most(self, exchange: Exchange, writes: int) -> int:
        """Micro-dollars that it may cost at its dearest target; at least 1: not even what is free passes where all is spent."""
        body, plan, upper = exchange.call.body, exchange.plan, self.ways.prices.upper
        reads, most, dear = most_input_tokens(body, exchange.dialect), 1, None
        for candidate in plan if len(plan) == 1 else plan[:_MOST_PRICED]:
            assert isinstance(candidate, Candidate)
            if dear is None and self._dearer(candidate):
                dear = may_be_dear(body)
            cost = upper(candidate, reads, writes, dear=dear is True)
            if cost is None:
                if self.unknown == "deny":
                    message = UNPRICED.format(candidate.name[:LONG])
                    raise Refused(
                        Problem(kind="permission", code="price_unknown", message=message[0].upper() + message[1:] + ".")
                    )
            elif cost > most:
                most = cost
        return most

    def _most_forwarded(self, exchange: Exchange, granted: Granted) -> int:
        """As `_most`. What names no model (files, lists of batches) costs nothing, but for a batch: nobody knows what it will."""
        candidate = exchange.plan[0]
        assert isinstance(candidate, Candidate)
        if begins_batch(exchange.method, exchange.call.path):
            stops = any(meter.unit == "micros" and meter.bound == meter.amount for meter in granted.meters)
            if self.unknown == "deny" or (stops and self.batches == "deny"):
                why = "pricing.unknown" if self.unknown == "deny" else "pricing.batches"
                raise Refused(Problem(kind="permission", code="price_unknown", message=BATCHES.format(why)))
            return 1
        return self._most(exchange, most_written(exchange)) if candidate.model else 1


BATCHES: Final = (
    "What a batch costs is not known before it is done, and this key has a budget, which it could not be held to ({}: deny)."
)


class LimitCheck(Check):
    """The stage where counters answer at once: those of one machine."""

    __slots__ = ("counters", "limits")

    def __init__(self, limits: Limits, counters: BatchedCounters) -> None:
        self.limits = limits
        self.counters = counters

    def check(self, exchange: Exchange) -> None:
        self.limits.take(exchange, self.counters)


class LimitStage:
    """The stage where counters may have to be asked for: those that machines share."""

    def __init__(self, limits: Limits, counters: "BatchedRedisCounters") -> None:
        self.limits = limits
        self.counters = counters

    def __call__(self, exchange: Exchange, following: Next) -> Awaitable[Reply]:
        """Not `async`: what nothing limits, or who has a seat, is not to pay for a coroutine."""
        wanted = self.limits.take(exchange, self.counters)
        return following(exchange) if wanted is None else self._asked(exchange, wanted, following)

    async def _asked(self, exchange: Exchange, wanted: Holding, following: Next) -> Reply:
        left = await in_a_task()
        got = await self.counters.wait(wanted.granted, wanted.reads, wanted.writes, wanted.micros, self.limits.ways.clock())
        self.limits.held(exchange, wanted, got)
        await back_to(left)
        return await following(exchange)
