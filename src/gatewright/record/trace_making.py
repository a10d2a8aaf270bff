"""From an exchange that has ended to its trace. Done where nobody waits; nothing is secret-free yet: see `trace_redaction.py`.

One rule: what the exchange knows is written down as it knows it; only the price is asked for, where nobody has needed it before.
"""

import operator
from collections.abc import Sequence
from typing import Final

from gatewright.exchange import AttemptRecord, Exchange, Principal
from gatewright.ir.response import Usage
from gatewright.record import trace_headers as headers
from gatewright.record import trace_sessions
from gatewright.record.entries import Who
from gatewright.record.ledger import who_of
from gatewright.record.rows import UNBILLED, Pricer, unpriced
from gatewright.record.trace_capture import Finished, Leg, joined, size_of
from gatewright.stores.trace_document import is_same
from gatewright.stores.trace_terms import Message, Trace, TracedAttempt, TracedLoss, UpstreamCall
from gatewright.stores.trace_where import plain

FAILED_BYTES: Final = 16 << 10
"""What is kept of a body of an attempt that did not serve."""
MOST: Final = 100
"""Attempts, losses and findings that are told one by one."""
MOST_KEYS: Final = 10_000
CLIP: Final = 1000
_AXES: Final = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning",
    "audio_in",
    "audio_out",
    "searches",
)
_axes_of: Final = operator.attrgetter(*_AXES)


class Maker:
    """Used by one thread."""

    def __init__(self, price: Pricer = unpriced, *, most: int, more_headers: Sequence[str] = ()) -> None:
        """`most`: bytes of a body. `more_headers`: names that the operator wants kept beside those that are."""
        self._whos: dict[Principal, Who] = {}
        self._price = price
        self._most = most
        self._more = tuple(more_headers)

    def trace(self, one: Finished, offset: float) -> Trace:
        """`offset`: of Unix time from monotonic time."""
        exchange, call = one.exchange, one.call
        principal = exchange.principal
        assert principal is not None
        who = self._whos.get(principal)
        if who is None:
            if len(self._whos) > MOST_KEYS:
                self._whos.clear()
            who = self._whos[principal] = who_of(principal)
        attempts = exchange.attempts
        began = exchange.started
        at = int((began + offset) * 1e6)
        body, answer = joined(call.body, self._most), joined(one.answer, self._most)
        upstream = self._upstream(one, body, answer)
        provider, _, model = (exchange.served or (attempts[-1].target if attempts else "")).partition("/")
        usage = exchange.usage
        ttft_us = _first_token(attempts, began)
        sent = headers.of_client(call.headers, self._more)
        told = trace_sessions.told(sent, call.body)
        cost, source = self._cost(exchange, at)
        size = len(body) + len(answer)
        for leg in upstream:
            size += len(leg.request.body) + (0 if leg.answer is None else len(leg.answer.body))
        return Trace(
            id=exchange.request_id,
            at=at,
            took_us=int((one.ended - began) * 1e6),
            ttft_us=ttft_us,
            session=f"{who.key_id}:{told.session}" if told.session else "",
            link=told.link,
            operation=exchange.operation,
            method=exchange.method,
            path=plain(call.path),
            stream=exchange.stream,
            client_dialect=exchange.dialect,
            upstream_dialect=attempts[-1].dialect if attempts else "",
            key_id=who.key_id,
            key_name=who.key_name,
            user=who.user,
            team=who.team,
            organization=who.organization,
            route=getattr(exchange.route, "name", ""),
            asked=plain(exchange.model),
            provider=provider,
            model=plain(model),
            status=499 if exchange.left else one.status,
            outcome="left" if exchange.left or one.status == 499 else "ok" if _is_good(one) else "error",
            error="" if one.problem is None else one.problem.code or one.problem.kind,
            cache=exchange.cache,
            attempts=len(attempts),
            losses=len(exchange.losses),
            findings=len(exchange.findings),
            rules=_rules(exchange),
            input=None if usage is None else usage.total_input,
            output=None if usage is None else usage.total_output,
            cost_micros=cost,
            size=size,
            query=headers.of_query(call.pairs),
            request=Message(headers=sent, body=body, size=len(call.body)),
            answer=Message(headers=headers.of_answer_lines(one.headers), body=answer, size=size_of(one.answer)),
            upstream=upstream,
            tried=tuple([_tried(record, began, one.ended) for record in attempts[-MOST:]]),
            lost=tuple(
                [TracedLoss(path=plain(loss.path), weight=loss.weight, why=plain(loss.why)) for loss in exchange.losses[:MOST]]
            )
            if exchange.losses
            else (),
            found=exchange.findings[:MOST],
            usage={} if usage is None else _told(usage),
            problem="" if one.problem is None else _text(one.problem.message),
            price_source=source,
            metadata=dict(principal.metadata),
        )

    def _upstream(self, one: Finished, asked: bytes, told: bytes) -> tuple[UpstreamCall, ...]:
        """`asked`, `told`: the client's, which most legs share: their bytes are kept once."""
        found: list[UpstreamCall] = []
        attempts = one.exchange.attempts
        for number, record in enumerate(attempts):
            leg = record.leg
            if not isinstance(leg, Leg):
                continue
            # Of the last one, too: its failure is what the client was told.
            whole = number == len(attempts) - 1 or (record.cause is None and record.target == one.exchange.served)
            most = self._most if whole else FAILED_BYTES
            sent = asked if leg.body is one.call.body and whole else joined(leg.body, most)
            sent_on = is_same(sent, asked)
            answer, passed = None, False
            if leg.status:
                back = joined(leg.answer, self._most)
                if leg.scrub is not None:
                    back = leg.scrub(back)
                back = told if back == told else joined(back, most)
                passed = is_same(back, told)
                answer = Message(headers=headers.of_answer(leg.headers), body=b"" if passed else back, size=size_of(leg.answer))
            found.append(
                UpstreamCall(
                    attempt=number,
                    target=plain(record.target),
                    dialect=leg.dialect,
                    method=leg.method,
                    path=plain(leg.path),
                    request=Message(
                        headers=headers.of_request_lines(leg.sent), body=b"" if sent_on else sent, size=len(leg.body)
                    ),
                    status=leg.status,
                    answer=answer,
                    passed=passed,
                    sent_on=sent_on,
                )
            )
        return tuple(found)

    def _cost(self, exchange: Exchange, at: int) -> tuple[int | None, str]:
        """Of all attempts together; None where one of them is not known."""
        cost, source, known = 0, "", True
        for record in exchange.attempts:
            micros, by = self._cost_of(exchange, record, at)
            known &= micros is not None
            cost += micros or 0
            source = by or source
        return (cost if known and exchange.attempts else None), source

    def _cost_of(self, exchange: Exchange, record: AttemptRecord, at: int) -> tuple[int | None, str]:
        if record.price_source:
            return record.cost_micros, record.price_source
        usage = record.usage
        if usage is None and record is exchange.attempts[-1] and record.cause in (None, "cancelled"):
            usage = exchange.usage
        if usage is not None:
            provider, _, model = record.target.partition("/")
            priced = self._price(provider, model, usage, at)
            return priced.micros, priced.source
        return (0, UNBILLED) if not record.sent or record.status >= 400 or record.cause == "unreachable" else (None, "")


def _rules(exchange: Exchange) -> tuple[str, ...]:
    if not exchange.findings:
        return ()
    return tuple(dict.fromkeys(finding.rule.replace(" ", "_") for finding in exchange.findings))


def _told(usage: Usage) -> dict[str, int | str]:
    told: dict[str, int | str] = {name: value for name, value in zip(_AXES, _axes_of(usage), strict=True) if value is not None}
    if usage.service_tier:
        told["service_tier"] = usage.service_tier
    return told


def _first_token(attempts: Sequence[AttemptRecord], began: float) -> int | None:
    """Of the attempt that served."""
    for record in reversed(attempts):
        if record.cause is None and record.ttft_s is not None:
            return int((record.began - began + record.ttft_s) * 1e6)
    return None


def _is_good(one: Finished) -> bool:
    return one.problem is None and one.status < 400


def _tried(record: AttemptRecord, began: float, now: float) -> TracedAttempt:
    return TracedAttempt(
        target=plain(record.target),
        dialect=record.dialect,
        began_us=int((record.began - began) * 1e6),
        took_us=int(((record.ended or now) - record.began) * 1e6),
        waited_us=int(record.waited_s * 1e6),
        ttft_us=None if record.ttft_s is None else int(record.ttft_s * 1e6),
        sent=record.sent,
        status=record.status,
        stage=record.stage,
        cause=("" if record.ended else "cancelled") if record.cause is None else record.cause,
        message=_text(record.message),
        hedge=record.hedge,
        resumed=record.resumed,
        cost_micros=record.cost_micros,
    )


def _text(text: str) -> str:
    return text[:CLIP].encode("utf-8", "replace").decode() if text else ""
