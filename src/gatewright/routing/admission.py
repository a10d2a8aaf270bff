"""A bounded, fair queue before an endpoint: who may start, who waits, and who is turned away at once.

One rule: a flood hurts the one who sends it. Each tenant's requests start in the order they came; among tenants the one served
least for its weight is next; and where the queue is full, a place is taken from whoever holds the most of it for its weight.
Turning away early is part of it: who would wait beyond its patience is told so before it waits.

Start-time fair queueing (Goyal, Vin and Cheng, 1996), each request counting as one.
"""

import math
from typing import Final, Literal, TypeAlias

import msgspec

Ticket: TypeAlias = int
"""The caller's name for a request; each once."""
Why = Literal["queue full", "would wait too long", "waited too long"]

MEASURED: Final = 0.1
"""The share of a new measurement in the mean time of a request."""


class Limits(msgspec.Struct, frozen=True):
    running: int
    """Requests at once, at least 1."""
    waiting: int
    """Requests that may wait; 0: none."""
    patience_s: float = 10.0
    """The longest that one waits."""


class Shed(msgspec.Struct, frozen=True):
    """A request that is turned away."""

    ticket: Ticket
    why: Why
    retry_after_s: float
    """When it is worth coming back: about when those who wait now will have been served."""


class Moved(msgspec.Struct, frozen=True):
    """What one event changed. Whoever is in neither list waits on, or runs on."""

    started: tuple[Ticket, ...] = ()
    shed: tuple[Shed, ...] = ()


class _Waiter(msgspec.Struct, eq=False):
    ticket: Ticket
    tenant: str
    weight: float
    tag: float
    """Virtual time of its start: the lowest is next; of equals the one that came first."""
    came: int
    until: float


class Admission:
    """Mutable, but without a clock and without waiting: `now` is seconds of the caller's clock, and what to do is told.

    The caller starts who is in `started`, refuses who is in `shed`, and tells by `left` of everyone who has ended or gone away.
    """

    def __init__(self, limits: Limits, mean_s: float = 1.0) -> None:
        """`mean_s`: a first guess of how long a request runs."""
        self.limits = limits
        self.mean_s = mean_s
        self.running: dict[Ticket, float] = {}
        """When each began."""
        self._waiting: dict[Ticket, _Waiter] = {}
        self._by_tenant: dict[str, list[_Waiter]] = {}
        """Those waiting, first come first; a tenant with none is not in it."""
        self._last_tag: dict[str, float] = {}
        """Virtual time at which each tenant's next request may start. Forgotten whenever the queue is empty."""
        self._virtual = 0.0
        """The highest tag of those that started from the queue."""
        self._came = 0
        self._earliest = math.inf
        """Nobody has waited too long before."""

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def arrived(self, ticket: Ticket, tenant: str, now: float, *, weight: float = 1.0, patience_s: float | None = None) -> Moved:
        """One more request: it starts, waits or is turned away, and another may be turned away for it.

        `weight` (above 0): how many of an ordinary tenant's requests this tenant's share is. `patience_s`: this request's own.
        """
        assert ticket not in self.running, "each ticket once"
        assert ticket not in self._waiting, "each ticket once"
        before = self.passed(now)
        if not self._waiting and len(self.running) < self.limits.running:
            self.running[ticket] = now
            return Moved((*before.started, ticket), before.shed)
        patience = self.limits.patience_s if patience_s is None else min(patience_s, self.limits.patience_s)
        shed = self._turned_away(ticket, tenant, weight, patience)
        if shed is None or shed.ticket != ticket:
            self._queue(ticket, tenant, weight, now + patience)
        return before if shed is None else Moved(before.started, (*before.shed, shed))

    def _turned_away(self, ticket: Ticket, tenant: str, weight: float, patience_s: float) -> Shed | None:
        """Who has to go for this newcomer: itself, another (which is dropped), or nobody."""
        if self.limits.waiting <= 0:
            return self._shed(ticket, "queue full")
        if self._wait_s(tenant) > patience_s:
            return self._shed(ticket, "would wait too long")
        if len(self._waiting) < self.limits.waiting:
            return None
        victim = self._most_for_its_weight(tenant, weight)
        if victim is None:
            return self._shed(ticket, "queue full")
        self._gave_up(victim)
        return self._shed(victim.ticket, "queue full")

    def _queue(self, ticket: Ticket, tenant: str, weight: float, until: float) -> None:
        """At the end of its tenant's line, until `until`."""
        tag = max(self._virtual, self._last_tag.get(tenant, 0.0))
        self._last_tag[tenant] = tag + 1.0 / weight
        self._came += 1
        waiter = _Waiter(ticket, tenant, weight, tag, self._came, until)
        self._waiting[ticket] = waiter
        self._by_tenant.setdefault(tenant, []).append(waiter)
        self._earliest = min(self._earliest, until)

    def left(self, ticket: Ticket, now: float) -> Moved:
        """A request has ended, or its client has gone while it waited. One that is not known changes nothing."""
        began = self.running.pop(ticket, None)
        if began is not None:
            self.mean_s += MEASURED * (max(0.0, now - began) - self.mean_s)
        elif (waiter := self._waiting.get(ticket)) is not None:
            self._gave_up(waiter)
        return self.passed(now)

    def passed(self, now: float) -> Moved:
        """Time has passed: who waited too long is turned away; and whoever there is room for starts."""
        late = [waiter for waiter in self._waiting.values() if waiter.until <= now] if now >= self._earliest else []
        if late:
            for waiter in late:
                self._gave_up(waiter)
            self._earliest = min((waiter.until for waiter in self._waiting.values()), default=math.inf)
        started = []
        while self._waiting and len(self.running) < self.limits.running:
            waiter = min((queue[0] for queue in self._by_tenant.values()), key=lambda first: (first.tag, first.came))
            self._virtual = max(self._virtual, waiter.tag)
            self._drop(waiter)
            self.running[waiter.ticket] = now
            started.append(waiter.ticket)
        if not self._waiting and self._last_tag:
            self._last_tag, self._virtual, self._earliest = {}, 0.0, math.inf
        return Moved(tuple(started), tuple(self._shed(waiter.ticket, "waited too long") for waiter in late))

    def next_deadline(self) -> float | None:
        """When the caller should say `passed` again at the latest; None: nobody waits."""
        return min((waiter.until for waiter in self._waiting.values()), default=None)

    def _most_for_its_weight(self, tenant: str, weight: float) -> _Waiter | None:
        """The last waiter of the tenant with the most places for its weight; None: the newcomer's own would hold as many."""
        most = max(self._by_tenant.values(), key=lambda queue: len(queue) / queue[-1].weight)
        mine = len(self._by_tenant.get(tenant, ())) + 1
        return most[-1] if len(most) / most[-1].weight > mine / weight else None

    def _wait_s(self, tenant: str) -> float:
        """About how long one more of this tenant's would wait: until those with earlier turns have started, by the mean time."""
        tag = max(self._virtual, self._last_tag.get(tenant, 0.0))
        before = sum(waiter.tag <= tag for waiter in self._waiting.values())
        return before * self.mean_s / self.limits.running

    def _shed(self, ticket: Ticket, why: Why) -> Shed:
        """Turned away, with the seconds that those who wait now will take; 1 at the least."""
        return Shed(ticket, why, max(1.0, len(self._waiting) * self.mean_s / self.limits.running))

    def _gave_up(self, waiter: _Waiter) -> None:
        """Out of the queue without a start: its turn goes to the next of its own tenant, and so on."""
        for later in self._by_tenant[waiter.tenant]:
            if later.came > waiter.came:
                later.tag -= 1.0 / waiter.weight
        self._last_tag[waiter.tenant] -= 1.0 / waiter.weight
        self._drop(waiter)

    def _drop(self, waiter: _Waiter) -> None:
        """Out of the queue, to a start or for good."""
        del self._waiting[waiter.ticket]
        queue = self._by_tenant[waiter.tenant]
        queue.remove(waiter)
        if not queue:
            del self._by_tenant[waiter.tenant]
