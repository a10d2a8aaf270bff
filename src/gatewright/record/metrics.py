"""Metrics: what every settled request adds to plain counters, and what they are when somebody looks.

    settle ──▶ a cell per combination of labels ──▶ `counted` ──▶ rendered for Prometheus, or sent by OTLP

One rule: a request costs a look-up and some additions. Names are folded and series made when a combination is first seen; sums
over cells are taken by who looks. Used by one thread, the event loop's, but for `cost`.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from gatewright.errors import Problem
from gatewright.exchange import AttemptRecord, Exchange
from gatewright.record.metrics_cells import (
    Cell,
    Counted,
    LabelValues,
    MetricsRule,
    Timed,
    add,
    empty,
    more_used,
    observe,
    of_cells,
)
from gatewright.record.metrics_families import FIRST_SECONDS, OWN_SECONDS, RATES, SECONDS
from gatewright.record.metrics_labels import OVERFLOW, Labels

log = logging.getLogger("gatewright")

FOLDED: Final = 256
"""Requests that are put into histograms together."""
REMEMBERED: Final = 16_384
"""Combinations, as requests say them, that are found at once."""
LIMIT_CODES: Final = frozenset(
    ("rate_limit_exceeded", "budget_exceeded", "limits_unavailable", "price_unknown", "too_many_requests_at_once")
)
_STATUSES: Final = frozenset(
    str(status)
    for status in (
        200,
        201,
        202,
        204,
        206,
        304,
        400,
        401,
        402,
        403,
        404,
        405,
        408,
        409,
        413,
        415,
        422,
        429,
        499,
        500,
        501,
        502,
        503,
        504,
        529,
    )
)
"""Told as they are; of others the class, such as `4xx`: upstreams answer what they like."""


class Recorder(Protocol):
    """As `pipeline.settle.Recorder`."""

    def settle(self, exchange: Exchange, status: int, problem: Problem | None) -> None: ...


class Metrics:
    """One for all generations of a process."""

    def __init__(self, rule: MetricsRule, recorder: Recorder, clock: Callable[[], float] = time.monotonic) -> None:
        """`recorder`: who is told first. `clock`: monotonic seconds, as `Exchange.started`."""
        self.rule = rule
        self.labels = Labels(rule.max_models)
        self.counts: defaultdict[tuple[str, LabelValues], int] = defaultdict(int)
        """What is rare, by family and labels."""
        self.recorder = recorder
        self._clock = clock
        self._found: dict[tuple[object, ...], Cell] = {}
        self._cells: dict[LabelValues, Cell] = {}
        self._timed: dict[LabelValues, Timed] = {}
        self._costs: defaultdict[LabelValues, int] = defaultdict(int)
        self._unpriced: defaultdict[LabelValues, int] = defaultdict(int)
        self._delays = empty(OWN_SECONDS)
        self._failed = False

    def follow(self, providers: Iterable[str], routes: Iterable[str], targets: Iterable[str]) -> None:
        """These are configured from now on."""
        self.labels.follow(providers, routes, targets)
        self._found.clear()

    # -- what is counted -----------------------------------------------------------------------------------------------------

    def settle(self, exchange: Exchange, status: int, problem: Problem | None) -> None:
        """Never raises but what the recorder raises."""
        self.recorder.settle(exchange, status, problem)
        try:
            took = self._clock() - exchange.started
            attempts = exchange.attempts
            if problem is not None or exchange.left or len(attempts) != 1:
                self._other(exchange, status, problem, took)
                return
            one = attempts[0]
            usage = one.usage
            if usage is None or one.cause is not None or one.before or not one.ended:
                self._other(exchange, status, problem, took)
                return
            # What most requests are: one attempt that went well. Written out, for each call more costs every request.
            route = exchange.route
            key = (
                exchange.operation,
                None if route is None else route.name,  # type: ignore[attr-defined]  # a Route, which lies above
                one.target,
                exchange.dialect,
                one.dialect,
                exchange.stream,
                status,
            )
            cell = self._found.get(key) or self._cell(key)
            cell.clean += 1
            timed = cell.timed
            ended, began = one.ended, one.began
            own = took - ended + (one.written or began) - one.waited_s
            axes = timed.axes
            read, written = usage.input or 0, usage.output or 0
            axes[0] += read
            axes[5] += written
            if (
                usage.cache_read
                or usage.reasoning
                or usage.cache_write_5m
                or usage.cache_write_1h
                or usage.audio_in
                or usage.audio_out
            ):
                read, written = more_used(axes, usage, read, written)
            first = -1.0
            if exchange.stream and (ttft := one.ttft_s) is not None:
                began += ttft
                first = began - exchange.started
            raw = timed.raw
            raw.append((took, own, first, written / (ended - began) if written and ended > began else -1.0, read, written))
            if len(raw) >= FOLDED:
                timed.fold()
            if exchange.cache or exchange.findings or exchange.losses or exchange.held_back[0]:
                self._rare(exchange, problem)
        except Exception:
            if not self._failed:
                self._failed = True
                log.exception("metrics: request %s could not be counted, on a bug of ours; told once", exchange.request_id)

    def _other(self, exchange: Exchange, status: int, problem: Problem | None, took: float) -> None:
        """A request that failed, was cached, was tried more than once, or that nobody told the usage of."""
        attempts = exchange.attempts
        route = exchange.route
        one = attempts[-1] if attempts else None
        outcome = "left" if exchange.left or status == 499 else "ok" if problem is None and status < 400 else "error"
        key = (
            exchange.operation,
            None if route is None else route.name,  # type: ignore[attr-defined]
            exchange.served or ("" if one is None else one.target),
            exchange.dialect,
            "" if one is None else one.dialect,
            exchange.stream,
            status,
            outcome,
        )
        cell = self._found.get(key) or self._cell(key)
        cell.count += 1
        timed = cell.timed
        observe(timed.duration, SECONDS, took)
        if one is not None:
            now = exchange.started + took
            own, spent = self._tried(timed, exchange, now)
            if own >= 0:
                observe(timed.overhead, OWN_SECONDS, own)
            if one.ttft_s is not None:
                since = one.began + one.ttft_s * exchange.stream
                if exchange.stream:
                    observe(timed.first, FIRST_SECONDS, since - exchange.started)
                if spent and (one.ended or now) > since:
                    observe(timed.rate, RATES, spent / ((one.ended or now) - since))
        self._rare(exchange, problem)

    def _tried(self, timed: Timed, exchange: Exchange, now: float) -> tuple[float, int]:
        """Of several attempts, or of one that failed: our own time (below zero: nobody can tell), and tokens of the last one."""
        attempts = exchange.attempts
        own = now - exchange.started
        spent = 0
        counts = self.counts
        before = ""
        for one in attempts:
            provider, model = self.labels.target(one.target)
            kind = "hedge" if one.hedge else "resume" if one.resumed else "repeat" if one.target == before else "first"
            before = one.target
            cause = one.cause or ("ok" if one.ended else "cancelled")
            counts["gatewright_attempts", (provider, model, one.dialect, kind, cause)] += 1
            for _ in one.before:
                counts["gatewright_attempts", (provider, model, one.dialect, "repeat", "cut")] += 1
            own = -1.0 if one.hedge or own < 0 else own - ((one.ended or now) - (one.written or one.began)) - one.waited_s
            usage = one.usage or (exchange.usage if one is attempts[-1] and not one.ended else None)
            if usage is not None:
                spent = self._timed_of(timed, one).used(usage)
            elif one.cause is None and one.status and one.status < 400 and exchange.model:
                timed.untold += 1
        return own, spent

    def _timed_of(self, timed: Timed, one: AttemptRecord) -> Timed:
        """Where an attempt's tokens are counted: with its own target, which need not be the one that answered."""
        provider, model = self.labels.target(one.target)
        labels = timed.labels
        if labels[0] == OVERFLOW or labels[2:4] == (provider, model):
            return timed
        return self._timed_as((*labels[:2], provider, model, *labels[4:]))

    def _rare(self, exchange: Exchange, problem: Problem | None) -> None:
        counts, operation, client = self.counts, exchange.operation, exchange.dialect
        if exchange.left:
            counts["gatewright_clients_left", (operation, client)] += 1
        route = self.labels.route("" if exchange.route is None else exchange.route.name)  # type: ignore[attr-defined]
        if problem is not None:
            counts["gatewright_errors", (operation, client, problem.kind)] += 1
            if problem.code in LIMIT_CODES and not problem.origin:
                counts["gatewright_limit_refusals", (route, problem.code)] += 1
        if exchange.cache:
            counts["gatewright_cache", (route, exchange.cache)] += 1
        if exchange.held_back[0]:
            observe(self._delays, OWN_SECONDS, exchange.held_back[1])
        for found in exchange.findings:
            rule = self.labels.rule(found.rule)
            dry = "true" if found.dry else "false"
            counts["gatewright_guard_findings", (rule, found.action, found.direction, dry)] += 1
        if exchange.losses:
            upstream = exchange.attempts[-1].dialect if exchange.attempts else ""
            for loss in exchange.losses:
                counts["gatewright_losses", (client, upstream, loss.weight)] += 1

    def cost(self, route: str, provider: str, model: str, micros: int, unknown: int) -> None:
        """Attempts have come to the ledger's database: what they cost, and of how many that is not known.

        Called by another thread, always the same one.
        """
        key = (self.labels.route(route), *self.labels.target(f"{provider}/{model}" if provider else ""))
        if micros:
            self._costs[key] += micros
        if unknown:
            self._unpriced[key] += unknown

    # -- series --------------------------------------------------------------------------------------------------------------

    def _cell(self, key: tuple[object, ...]) -> Cell:
        """The series of a combination that is new, or was forgotten."""
        operation, route, target, client, upstream, stream, status, outcome = map(str, key if len(key) == 8 else (*key, "ok"))
        if len(key) == 7 and status >= "400":
            outcome = "error"
        if outcome == "ok" and self.labels.answered(target):
            self._found.clear()  # what was `other` has a name from now on
        told = status if status in _STATUSES else f"{status[0]}xx"
        called = (operation, self.labels.route("" if key[1] is None else route), *self.labels.target(target), client, upstream)
        labels: LabelValues = (*called, stream.lower(), told, outcome)
        cell = self._cells.get(labels)
        if cell is None:
            if len(self._cells) >= self.rule.max_series:
                self.counts["gatewright_series_overflowed", ()] += 1
                labels = (OVERFLOW,) * len(labels)
                cell = self._cells.get(labels)
            if cell is None:
                cell = self._cells[labels] = Cell(labels[:-1], self._timed_as((*labels[:-2], labels[-1])))
            if labels[0] == OVERFLOW:
                return cell  # each is counted as one that found no place
        if len(self._found) >= REMEMBERED:
            self._found.clear()
        self._found[key] = cell
        return cell

    def _timed_as(self, labels: LabelValues) -> Timed:
        timed = self._timed.get(labels)
        if timed is None:
            if len(self._timed) >= 2 * self.rule.max_series:
                labels = (OVERFLOW,) * len(labels)
            timed = self._timed.setdefault(labels, Timed(labels))
        return timed

    # -- what is told --------------------------------------------------------------------------------------------------------

    def counted(self) -> Counted:
        """Everything so far; a copy."""
        found = of_cells(self._cells.values(), self._timed.values())
        for (name, labels), count in self.counts.items():
            add(found, name, labels, count)
        if any(self._delays):
            found["gatewright_guard_delay_seconds"] = {(): self._delays.copy()}
        for name, costs in (("gatewright_cost_micro_dollars", self._costs), ("gatewright_cost_unknown", self._unpriced)):
            for labels, count in tuple(costs.items()):  # another thread adds to them
                add(found, name, labels, count)
        return found
