"""Traces to a collector, as they end: a sink with a queue and a thread of its own.

    traces ─▶ queue (bounded) ─▶ thread: read ─▶ spans ─▶ protobuf, gzip ─▶ POST /v1/traces

One rule: nobody waits for a collector. What does not fit is dropped and counted; one that fails is left alone for a while.
https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import asyncio
import gzip
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from gatewright.errors import UpstreamFailed
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.record.otlp_rule import OtlpRule
from gatewright.record.otlp_spans import Span, SpanTerms, spans_of
from gatewright.record.traces import Batch, Trace
from gatewright.transport.plain_fetch import PlainFetch

log = logging.getLogger("gatewright")

Meaning: TypeAlias = Callable[[Trace], tuple[Request | None, Response | None]]
"""What a trace's bytes mean. Never raises."""

BATCH: Final = 64
"""Traces of one request, at most."""
LINGER_S: Final = 1.0
"""How long the first of a batch waits for more."""
TRIES: Final = 5
"""How often a batch is sent before it is given up."""
RESTS_S: Final = (1.0, 2.0, 5.0, 15.0, 60.0)
"""How long a collector that failed so often in a row is left alone."""
CLOSING_S: Final = 5.0
"""How long the end of the process waits for what is queued."""
AGAIN: Final = frozenset((408, 429, 502, 503, 504))
"""Statuses after which the same may be sent again."""
MOST_REST_S: Final = 300.0


class Missing(ImportError):
    """The extra is not installed."""


class Tally:
    """What became of traces since the process began, by all sinks that there were. Several threads add to it."""

    __slots__ = ("_lock", "dropped", "failures", "rejected", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self.dropped = 0
        """They did not fit into the queue, or were given up."""
        self.rejected = 0
        """Spans that the collector did not want."""
        self.failures = 0
        """Requests to the collector that failed."""
        self._lock = threading.Lock()

    def add(self, *, sent: int = 0, dropped: int = 0, rejected: int = 0, failures: int = 0) -> None:
        with self._lock:
            self.sent += sent
            self.dropped += dropped
            self.rejected += rejected
            self.failures += failures


def check_installed() -> None:
    """Raises Missing, which names the extra."""
    try:
        import gatewright.record.otlp_wire  # noqa: F401, PLC0415 - an extra, which takes its time
    except ImportError as error:
        raise Missing(f"traces.otlp needs the extra `otel` ({error}): pip install 'gatewright[otel]'") from None


class Sender:
    """Sends batches of spans, one at a time. For one thread."""

    def __init__(self, rule: OtlpRule, environ: Mapping[str, str]) -> None:
        self.rule = rule
        self._fetch = PlainFetch(environ)
        self._runner: asyncio.Runner | None = None

    def send(self, spans: Iterable[Span], timeout_s: float | None = None) -> "Outcome":
        """Blocks for `timeout_s` at most; None: as the rule says."""
        from gatewright.record.otlp_wire import export_request, rejected  # noqa: PLC0415 - an extra, which takes its time

        body = gzip.compress(export_request(spans, self.rule.resource), 1)
        headers = {
            "content-type": "application/x-protobuf",
            "content-encoding": "gzip",
            **self.rule.headers,
        }
        if self._runner is None:
            self._runner = asyncio.Runner()
        try:
            status, answered, answer = self._runner.run(
                self._fetch("POST", self.rule.url, headers, body, timeout_s or self.rule.timeout_s),
            )
        except UpstreamFailed as failed:
            return Outcome(False, failed.problem.message, again=True)
        if 200 <= status < 300:
            count, why = rejected(answer)
            return Outcome(True, why, rejected=count)
        return Outcome(False, f"it answered {status}", again=status in AGAIN, rest_s=_seconds(answered.get("retry-after")))

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()
            self._runner = None


class Outcome(msgspec.Struct, frozen=True):
    good: bool
    why: str = ""
    rejected: int = 0
    again: bool = False
    """Whether the same may be sent again."""
    rest_s: float | None = None
    """How long the collector wants to be left alone."""


def _seconds(written: str | None) -> float | None:
    try:
        return None if written is None else min(max(float(written), 0.0), MOST_REST_S)
    except ValueError:
        return None


class OtlpSink:
    """A `TraceSink`."""

    def __init__(self, rule: OtlpRule, meaning: Meaning, environ: Mapping[str, str], tally: Tally | None = None) -> None:
        """Raises Missing. `tally`: of the sinks before this one, which it goes on with."""
        check_installed()
        self.rule = rule
        self.tally = Tally() if tally is None else tally
        self._terms = SpanTerms(content=rule.content, langfuse=rule.langfuse, hosts=rule.hosts)
        self._meaning = meaning
        self._sender = Sender(rule, environ)
        self._waiting: deque[Trace] = deque()
        self._changed = threading.Condition()
        self._closing = 0.0  # monotonic seconds by which to be done; 0: not closing
        self._thread: threading.Thread | None = None
        self._untold = 0  # of the batch that was sent last

    def take(self, batch: Batch) -> None:
        traces = batch.whole()
        with self._changed:
            if self._closing:
                self.tally.add(dropped=len(traces))
                return
            room = self.rule.queue - len(self._waiting)
            self._waiting.extend(traces[: max(room, 0)])
            self.tally.add(dropped=max(len(traces) - max(room, 0), 0))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="gatewright-otlp", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Send what waits, for `CLOSING_S` at most."""
        with self._changed:
            self._closing = self._closing or time.monotonic() + CLOSING_S
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(CLOSING_S)

    def _run(self) -> None:
        failed = 0  # times in a row
        tried = 0  # times that this batch was sent
        batch: list[Trace] = []
        try:
            while batch := batch or self._next():
                outcome = self._send(batch)
                tried += 1
                if outcome.good:
                    if failed:
                        log.info("traces reach %s again", self.rule.url)
                    self.tally.add(sent=len(batch) - self._untold, dropped=self._untold, rejected=outcome.rejected)
                    if outcome.rejected:
                        log.warning("%s did not want %d spans: %s", self.rule.url, outcome.rejected, outcome.why[:200])
                    batch, failed, tried = [], 0, 0
                    continue
                self.tally.add(failures=1)
                if not failed:
                    log.warning("warning: traces do not reach %s: %s", self.rule.url, outcome.why)
                failed += 1
                if not outcome.again or tried >= TRIES or self._closing:
                    self.tally.add(dropped=len(batch))
                    batch, tried = [], 0
                self._rest(RESTS_S[min(failed, len(RESTS_S)) - 1] if outcome.rest_s is None else outcome.rest_s)
        finally:
            self._sender.close()

    def _send(self, batch: Sequence[Trace]) -> Outcome:
        left = max(self._closing - time.monotonic(), 0.1) if self._closing else self.rule.timeout_s
        self._untold = 0
        try:
            return self._sender.send(self._spans(batch), min(left, self.rule.timeout_s))
        except Exception:  # the thread must live: whoever comes next is told all the same
            log.exception("traces could not be sent to %s", self.rule.url)
            return Outcome(False, "a bug of ours")

    def _spans(self, batch: Sequence[Trace]) -> Iterator[Span]:
        for trace in batch:
            try:
                spans = spans_of(trace, *self._meaning(trace), self._terms)
            except Exception:  # what we cannot tell must not end the telling of all others
                log.exception("trace %s could not be made spans", trace.id)
                self._untold += 1
                continue
            yield from spans

    def _next(self) -> list[Trace]:
        """What is to be sent next; empty: nothing more comes."""
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            if len(self._waiting) < BATCH and not self._closing:
                self._changed.wait_for(lambda: len(self._waiting) >= BATCH or bool(self._closing), LINGER_S)
            if self._closing and time.monotonic() > self._closing:
                self.tally.add(dropped=len(self._waiting))
                self._waiting.clear()
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._closing), seconds)
