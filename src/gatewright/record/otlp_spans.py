"""A trace as spans: one for the request, beneath it one for each attempt that was made; findings are events of the first.

    traceparent of the client ─▶ request (SERVER, gen_ai.*) ─┬▶ attempt openai/gpt-5 (CLIENT)
                                                              └▶ attempt azure/gpt-5 (CLIENT)

One rule: ids are made from the request's id, so that a trace exported twice is the same trace. Usage stands at the request alone,
for whoever adds spans up. What was said is told only where it is asked for.
https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md
"""

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final

import msgspec

from gatewright.guards.terms import Finding
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.record import otlp_attributes as said_of
from gatewright.record import otlp_langfuse as langfuse
from gatewright.record.otlp_attributes import Value
from gatewright.record.traces import Trace, TracedAttempt

SERVER, CLIENT = 2, 3
"""Kinds of spans, by their number in the protocol."""
_PARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?", re.ASCII)
"""https://www.w3.org/TR/trace-context/#traceparent-header"""


class Moment(msgspec.Struct, frozen=True):
    """An event of a span."""

    name: str
    at_ns: int
    attributes: Mapping[str, Value]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    trace_id: bytes
    span_id: bytes
    parent_id: bytes = b""
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value]
    events: tuple[Moment, ...] = ()
    error: str | None = None
    """What went wrong. None: nothing."""
    state: str = ""
    """The client's `tracestate`."""


class SpanTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How traces become spans."""

    content: bool = False
    """Whether what was said is told: messages, instructions, tools."""
    langfuse: bool = False
    """Whether Langfuse's own attributes are there, too."""
    hosts: Mapping[str, str] = {}
    """Provider of the configuration → host of the catalogue."""


def trace_id_of(request_id: str) -> bytes:
    return sha256(b"gatewright trace " + request_id.encode()).digest()[:16]


def span_id_of(request_id: str, number: int = 0) -> bytes:
    """0: the request; from 1 on: its attempts."""
    return sha256(b"gatewright span %d " % number + request_id.encode()).digest()[:8]


def parent_of(trace: Trace) -> tuple[bytes, bytes] | None:
    """(trace id, span id) that the client named. None: none that is valid."""
    named = next((value for name, value in trace.request.headers if name == "traceparent"), "")
    found = _PARENT.fullmatch(named.strip())
    return None if found is None else (bytes.fromhex(found[1]), bytes.fromhex(found[2]))


def onward(request_id: str, traceparent: str, attempt: int) -> bytes:
    """The header line by which a provider goes on with the trace, beneath the span of this attempt (from 1 on)."""
    found = _PARENT.fullmatch(traceparent.strip())
    trace_id = trace_id_of(request_id).hex() if found is None else found[1]
    return f"traceparent: 00-{trace_id}-{span_id_of(request_id, attempt).hex()}-01\r\n".encode("ascii")


def spans_of(trace: Trace, request: Request | None, answer: Response | None, terms: SpanTerms = SpanTerms()) -> list[Span]:  # noqa: B008 - frozen
    """The request's span, then the attempts'. `request`, `answer`: what the client's bytes mean; None: it could not be read."""
    parent = parent_of(trace)
    trace_id = trace_id_of(trace.id) if parent is None else parent[0]
    start, end = trace.at * 1000, (trace.at + trace.took_us) * 1000
    around = {**said_of.surroundings(trace), **(langfuse.everywhere(trace) if terms.langfuse else {})}
    attributes = {
        **said_of.subject(trace, terms.hosts),
        **said_of.asked(request),
        **said_of.answered(trace, answer),
        **said_of.ours(trace),
        **around,
    }
    if terms.content:
        attributes |= said_of.content(request, answer)
    if terms.langfuse:
        attributes |= langfuse.generation(trace, attributes)
    operation = str(attributes["gen_ai.operation.name"])
    root = Span(
        trace_id=trace_id,
        span_id=span_id_of(trace.id),
        parent_id=b"" if parent is None else parent[1],
        name=f"{operation} {trace.asked}" if trace.asked else operation,
        kind=SERVER,
        start_ns=start,
        end_ns=max(start, end),
        attributes=attributes,
        events=(*(_found(finding, max(start, end)) for finding in trace.found), *_passed_over(trace)),
        error=said_of.failure(trace),
        state=next((value for name, value in trace.request.headers if name == "tracestate"), ""),
    )
    return [root, *_attempts(trace, root, around, terms)]


def _found(finding: Finding, at_ns: int) -> Moment:
    said: dict[str, Value] = {
        "gatewright.guard.rule": finding.rule,
        "gatewright.guard.action": finding.action,
        "gatewright.guard.kind": finding.kind,
        "gatewright.guard.direction": finding.direction,
        "gatewright.guard.message": finding.message,
        "gatewright.guard.path": finding.path,
    }
    dry: dict[str, Value] = {"gatewright.guard.dry": True} if finding.dry else {}
    return Moment("gatewright.guard.finding", at_ns, {name: value for name, value in said.items() if value} | dry)


def _passed_over(trace: Trace) -> Iterator[Moment]:
    for attempt in trace.tried:
        if not _made(attempt):
            said: dict[str, Value] = {"gatewright.target": attempt.target, "gatewright.cause": attempt.cause}
            yield Moment("gatewright.target.passed_over", (trace.at + attempt.began_us) * 1000, said)


def _made(attempt: TracedAttempt) -> bool:
    return attempt.sent or attempt.status > 0 or attempt.took_us > 0


def _attempts(trace: Trace, root: Span, around: Mapping[str, Value], terms: SpanTerms) -> Iterator[Span]:
    for number, attempt in enumerate(trace.tried, 1):
        if not _made(attempt):
            continue
        start = (trace.at + attempt.began_us) * 1000
        said: dict[str, Value] = {
            "gatewright.target": attempt.target,
            "gatewright.upstream_dialect": attempt.dialect,
            "gatewright.attempt.number": number,
            "gatewright.attempt.stage": attempt.stage,
            "gatewright.attempt.waited_s": attempt.waited_us / 1_000_000,
            "gatewright.attempt.hedge": attempt.hedge,
            "gatewright.attempt.resumed": attempt.resumed,
            "gatewright.provider": said_of.host(attempt.target.partition("/")[0], terms.hosts),
        }
        if attempt.status:
            said["http.response.status_code"] = attempt.status
        if attempt.ttft_us is not None:
            said["gatewright.attempt.ttft_s"] = attempt.ttft_us / 1_000_000
        if attempt.cost_micros is not None:
            said["gatewright.attempt.cost_usd"] = attempt.cost_micros / 1_000_000
        if attempt.cause:
            said["error.type"] = attempt.cause
        if terms.langfuse:
            said["langfuse.observation.type"] = "span"
        yield Span(
            trace_id=root.trace_id,
            span_id=span_id_of(trace.id, number),
            parent_id=root.span_id,
            name=f"attempt {attempt.target}",
            kind=CLIENT,
            start_ns=start,
            end_ns=start + attempt.took_us * 1000,
            attributes={name: value for name, value in {**said, **around}.items() if value not in ("", False)},
            error=(attempt.message or attempt.cause) if attempt.cause else None,
            state=root.state,
        )
