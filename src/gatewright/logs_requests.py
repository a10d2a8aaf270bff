"""A line for each request, where the operator wants one: who, what, where to, how it ended, how long, how many tokens.

One rule: what is told is picked field by field. Bodies, headers, keys and the words of errors are not among them.
"""

import re
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from gatewright.errors import Problem
from gatewright.exchange import AttemptRecord, CacheUse, Exchange
from gatewright.guards.terms import Finding
from gatewright.ir.response import Usage
from gatewright.logs_lines import Fields, stamp
from gatewright.logs_rule import Requests
from gatewright.logs_writer import Writer

LOGGER: Final = "gatewright.requests"
CLIP: Final = 200
"""Characters of a name that clients choose."""
_WORDS: Final = re.compile(r"[a-z][a-z_]{2,40}")
MOST: Final = 20
"""Attempts and findings that are told."""


class Recorder(Protocol):
    """As `pipeline.settle.Recorder`."""

    def settle(self, exchange: Exchange, status: int, problem: Problem | None) -> None: ...


class RequestLines:
    """Tells the recorder first, then the log."""

    def __init__(
        self, recorder: Recorder, writer: Writer, wanted: Requests, render: Callable[[Fields], str] | None = None
    ) -> None:
        """`render`: makes a line of fields. None: JSON."""
        from gatewright.logs_lines import as_json  # noqa: PLC0415

        self._recorder = recorder
        self._writer = writer
        self._all = wanted == "all"
        self._render = render or as_json

    def settle(self, exchange: Exchange, status: int, problem: Problem | None) -> None:
        self._recorder.settle(exchange, status, problem)
        if self._all or problem is not None or status >= 400 or exchange.left:
            # Not the exchange itself: its body would wait here, too.
            what = (
                time.time(), time.monotonic(), exchange.started, exchange.request_id, exchange.operation, exchange.principal,
                exchange.model, exchange.route, exchange.served, exchange.dialect, exchange.stream, status, exchange.left,
                None if problem is None else (problem.kind, problem.code, problem.origin), exchange.attempts, exchange.usage,
                exchange.cache, exchange.findings, len(exchange.losses),
            )  # fmt: skip
            self._writer.put(self._line, what)

    def _line(self, what: tuple[Any, ...]) -> str:
        return self._render(fields(*what))


def fields(  # noqa: PLR0917 - as they were put, in the log's own thread
    at: float,
    now: float,
    started: float,
    request_id: str,
    operation: str,
    principal: Any,
    model: str,
    route: Any,
    served: str,
    client: str,
    stream: bool,  # noqa: FBT001
    status: int,
    left: bool,  # noqa: FBT001
    problem: tuple[str, str | None, str] | None,
    attempts: list[AttemptRecord],
    usage: Usage | None,
    cache: CacheUse,
    findings: tuple[Finding, ...],
    losses: int,
) -> Fields:
    """What a line says. What there is nothing to say of is left out."""
    outcome = "left" if left or status == 499 else "ok" if problem is None and status < 400 else "error"
    found: dict[str, object] = {
        "timestamp": stamp(at),
        "level": "info" if outcome == "ok" else "warning",
        "logger": LOGGER,
        "event": "request",
        "request_id": request_id,
        "operation": operation,
        "status": status,
        "outcome": outcome,
        "duration_ms": round((now - started) * 1e3, 2),
        "client": client,
    }
    if problem is not None:
        kind, code, origin = problem
        # A provider's code is the provider's to choose, and may be anything; ours are our own words.
        found["error"] = code if code and not origin and _WORDS.fullmatch(code) else kind
    if principal is not None:
        found["principal"] = principal.name[:CLIP]
        found |= {name: value for name in ("team", "user", "organization") if (value := getattr(principal, name))}
    found |= {name: value[:CLIP] for name, value in (("model", model), ("target", served)) if value}
    if route is not None:
        found["route"] = route.name[:CLIP]
    if stream:
        found["stream"] = True
    if attempts:
        found |= _of_attempts(started, attempts)
    if usage is not None:
        found |= {"input_tokens": usage.total_input, "output_tokens": usage.total_output}
        found |= {"cached_tokens": usage.cache_read} if usage.cache_read else {}
        found |= {"reasoning_tokens": usage.reasoning} if usage.reasoning else {}
    if cache:
        found["cache"] = cache
    if losses:
        found["losses"] = losses
    if findings:
        found["findings"] = [f"{one.rule[:CLIP]} {'dry ' if one.dry else ''}{one.action}" for one in findings[:MOST]]
    return found


def _of_attempts(started: float, attempts: list[AttemptRecord]) -> dict[str, object]:
    last = attempts[-1]
    found: dict[str, object] = {"upstream": last.dialect, "attempts": len(attempts)}
    if last.ttft_s is not None:
        found["ttft_ms"] = round((last.began + last.ttft_s - started) * 1e3, 2)
    if failed := [f"{one.target[:CLIP]} {one.cause} {one.status or '-'}" for one in attempts if one.cause is not None]:
        found["failed"] = failed[:MOST]
    costs = [one.cost_micros for one in attempts if one.price_source]
    if costs and len(costs) == len(attempts) and None not in costs:
        found["cost_micros"] = sum(cost for cost in costs if cost is not None)
    return found
