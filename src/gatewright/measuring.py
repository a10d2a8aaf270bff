"""Measuring: from the configuration to metrics, and everything that is looked up when somebody asks for them.

Part of the composition root. One of it for all generations of a process; what it looks at is what answers now.
"""

import asyncio
import logging
import platform
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatewright import __version__
from gatewright.bookkeeping import Books
from gatewright.config import Config
from gatewright.exchange import Check, Next, Operation, Stage
from gatewright.logs import current
from gatewright.pipeline import compose
from gatewright.pipeline.endpoint import Endpoint
from gatewright.pipeline.health import Health
from gatewright.pipeline.metrics_report import MetricsReport
from gatewright.pipeline.settle import Recorder
from gatewright.record.metrics import Metrics
from gatewright.record.metrics_cells import Counted, add
from gatewright.record.metrics_loop import LoopClock
from gatewright.record.metrics_process import of_process
from gatewright.record.metrics_shared import FOLDER, Shared
from gatewright.record.metrics_text import rendered
from gatewright.record.segments import START
from gatewright.routing.breaker import standing
from gatewright.server.gateway import Gateway
from gatewright.server.sweep import Sweeper
from gatewright.stores.ledger_rows import DIMENSIONS, MEASURES, Batch, Mark

if TYPE_CHECKING:
    from gatewright.record.metrics_otel import Export
    from gatewright.tracing import Tracing

log = logging.getLogger("gatewright")

RUN_VARIABLE: Final = "GATEWRIGHT_RUN"
"""Of workers: the same for all of one supervisor, whose metrics are told together."""
_STANDING: Final = {"closed": 0, "half_open": 1, "open": 2}
_LONGEST_LAG: Final = 3600
"""Seconds that are told apart while the database is away."""
_LOOP_S: Final = 5.0
"""How long the loop may take to say what it has counted."""
_SHARE: Final = 200
"""Numbers are written for the other workers at most for so small a share of the time."""
_ROUTE, _PROVIDER, _MODEL = (DIMENSIONS.index(name) for name in ("route", "provider", "model"))
_COST, _UNKNOWN = (MEASURES.index(name) for name in ("cost_micros", "unknown"))


class Measures:
    """The metrics of this process, and the way to those of its siblings."""

    def __init__(self, config: Config, books: Books, environ: Mapping[str, str]) -> None:
        self.metrics = Metrics(config.metrics, books.usage) if config.metrics.enabled else None
        self.loop = LoopClock(self._each_second)
        self._books = books
        run = environ.get(RUN_VARIABLE, "")
        self._shared = Shared(Path(config.server.state_dir) / FOLDER, run) if run.isalnum() and self.metrics else None
        self._write_at = 0.0
        self._shares = False
        self._gateway: Gateway | None = None
        self._endpoints: Mapping[str, Endpoint] = {}
        self._health: Health | None = None
        self._unwritten: deque[tuple[float, tuple[int, int]]] = deque()
        """(when, what the journal had come to) of each second that is not all in the database."""
        self._in_database = (1, START)
        self._environ = environ
        self._export: Export | None = None
        self.tracing: Tracing | None = None
        """Who keeps and sends traces. None: nobody was told of yet."""
        self.explorer_pushes: Callable[[], Mapping[str, int]] = dict
        if self.metrics is not None and books.ingest is not None:
            books.ingest.when_written(self._wrote)

    def recorder(self, config: Config) -> Recorder:
        """Whom settled requests are told to."""
        recorder: Recorder = self._books.usage if self.metrics is None else self.metrics
        log = current()
        return recorder if log is None else log.requests(recorder, config.logging)

    def stack(self, config: Config, settle: Stage, authenticate: Check) -> Mapping[Operation, Next]:
        """What answers who asks for metrics. Empty: nothing is counted."""
        if self.metrics is None:
            return {}
        return {"metrics": compose([settle, *(() if config.metrics.public else (authenticate,)), MetricsReport(self)])}

    def measure(self, config: Config, gateway: Gateway, endpoints: Mapping[str, Endpoint], health: Health) -> None:
        """What was made of `config` will be what answers: from its beginning on it is what is measured; now, if nothing is."""
        if (log := current()) is not None:
            gateway.starting.append(partial(log.follow, config))
        follow = partial(self.follow, config, gateway, endpoints, health)
        if self._gateway is None:
            follow()
        else:
            gateway.starting.append(follow)

    def follow(self, config: Config, gateway: Gateway, endpoints: Mapping[str, Endpoint], health: Health) -> None:
        """These answer from now on."""
        self._gateway, self._endpoints, self._health = gateway, endpoints, health
        if self.metrics is not None:
            targets = (t for model in config.models.values() for t in (*model.targets, *model.fallback))
            named = {f"{t.provider}/{t.model}" for t in targets if "*" not in t.model}
            self.metrics.follow(config.providers, config.models, named)

    def start(self) -> None:
        """Within the event loop. Idempotent."""
        if self.metrics is None:
            return
        self.loop.start()
        if self._shared is not None and not self._shares:
            try:
                self._shared.open()
                self._shares = True
            except OSError as error:
                log.warning("warning: each worker tells its own metrics alone: %s", error)
        if self._export is None and _wants_export(self.metrics.rule.otlp, self._environ):
            from gatewright.record.metrics_otel import Export  # noqa: PLC0415 - an extra

            try:
                self._export = Export(self._asked(asyncio.get_running_loop()), self._environ, __version__)
                self._export.start()
            except ImportError:
                log.warning("warning: metrics are not sent by OTLP, which takes the extra: pip install 'gatewright[otel]'")

    async def close(self) -> None:
        self.loop.stop()
        if self._export is not None:
            await asyncio.to_thread(self._export.close)
            self._export = None
        if self._shared is not None and self._shares:
            self._shares = False
            self._write()
            self._shared.close()

    async def scrape(self, accept: str) -> tuple[str, bytes]:
        """Content type and body, of all workers."""
        counted = self.all()
        return await asyncio.to_thread(rendered, counted, accept)

    def all(self) -> Counted:
        """What all workers have counted until now: the others until a second ago."""
        if self._shared is not None and self._shares:
            try:
                self._shared.write(self.own())
                return self._shared.all()
            except (OSError, ValueError) as error:
                log.warning("metrics of other workers cannot be told: %s", error)
        return self.own()

    def _asked(self, loop: asyncio.AbstractEventLoop) -> Callable[[], Counted]:
        """`own`, for another thread: what is counted belongs to the loop. Raises TimeoutError where that does not answer."""

        def ask() -> Counted:
            told: Future[Counted] = Future()

            def tell() -> None:
                with suppress(Exception):  # nobody waits any more
                    told.set_result(self.own())

            loop.call_soon_threadsafe(tell)
            return told.result(_LOOP_S)

        return ask

    def own(self) -> Counted:
        """What this process has counted, and how it stands."""
        assert self.metrics is not None
        counted = self.metrics.counted()
        add(counted, "gatewright_workers", (), 1)
        add(counted, "gatewright_build_info", (__version__, platform.python_version()), 1)
        for name, value in of_process().items():
            add(counted, name, (), value)
        if any(self.loop.lag):
            counted["gatewright_event_loop_lag_seconds"] = {(): self.loop.lag.copy()}
        self._of_traces(counted)
        for outcome, count in self.explorer_pushes().items():
            add(counted, "gatewright_explorer_pushes", (outcome,), count)
        add(counted, "gatewright_log_lines_dropped", (), 0 if (log := current()) is None else log.writer.dropped)
        self._of_server(counted)
        self._of_providers(counted)
        self._of_ledger(counted)
        return counted

    def _of_traces(self, counted: Counted) -> None:
        recording = None if self.tracing is None else self.tracing.recording
        add(counted, "gatewright_traces_dropped", (), 0 if recording is None else recording.dropped)
        add(counted, "gatewright_traces_failed", (), 0 if recording is None else recording.failed)
        sent = None if self.tracing is None else self.tracing.sent
        if sent is not None:
            add(counted, "gatewright_otlp_traces", ("sent",), sent.sent)
            add(counted, "gatewright_otlp_traces", ("dropped",), sent.dropped)
            add(counted, "gatewright_otlp_spans_rejected", (), sent.rejected)
            add(counted, "gatewright_otlp_failures", (), sent.failures)

    def _of_server(self, counted: Counted) -> None:
        gateway = self._gateway
        if gateway is not None:
            add(counted, "gatewright_requests_in_flight", (), gateway.active + gateway.others())
        connections, streams = Sweeper.of(asyncio.get_running_loop()).counts()
        add(counted, "gatewright_client_connections", (), connections)
        add(counted, "gatewright_streams_open", (), streams)

    def _of_providers(self, counted: Counted) -> None:
        for name, endpoint in self._endpoints.items():
            for how, count in zip(("busy", "idle", "waiting"), endpoint.connections(), strict=True):
                add(counted, "gatewright_upstream_connections", (name, how), count)
            if (gate := endpoint.gate) is not None:
                add(counted, "gatewright_upstream_calls", (name, "running"), gate.running)
                add(counted, "gatewright_upstream_calls", (name, "queued"), gate.waiting)
        health, metrics = self._health, self.metrics
        if health is None or metrics is None:
            return
        found: dict[tuple[str, str], int] = {}
        now = health.clock()
        for (provider, model), cell in tuple(health.board.circuits.items()):
            state = cell.state
            if state.opened_at is not None or state.closed_at:
                labels = metrics.labels.target(f"{provider}/{model}")
                found[labels] = max(found.get(labels, 0), _STANDING[standing(state, health.board.rule, now)])
        for labels, value in found.items():
            add(counted, "gatewright_breaker_state", labels, value)

    def _of_ledger(self, counted: Counted) -> None:
        ledger = None if self._books.ingest is None else self._books.ingest.ledger
        if ledger is None:
            return
        add(counted, "gatewright_ledger_lost", (), ledger.lost)
        add(counted, "gatewright_ledger_journal_bytes", (), ledger.journal.kept_bytes)
        add(counted, "gatewright_ledger_lag_seconds", (), time.monotonic() - self._unwritten[0][0] if self._unwritten else 0)

    def _each_second(self) -> None:
        now = time.monotonic()
        ingest = self._books.ingest
        if ingest is not None and ingest.ledger.journal.is_open:
            written, unwritten = ingest.ledger.journal.written, self._unwritten
            if written > (unwritten[-1][1] if unwritten else self._in_database):
                unwritten.append((now, written))
                if len(unwritten) > _LONGEST_LAG:
                    del unwritten[1]  # the oldest is how long it is
        if self._shares and now >= self._write_at:
            self._write()
            self._write_at = now + _SHARE * (time.monotonic() - now)

    def _write(self) -> None:
        assert self._shared is not None
        try:
            self._shared.write(self.own())
        except OSError as error:
            log.warning("metrics cannot be written for other workers: %s", error)

    def _wrote(self, batch: Batch, mark: Mark) -> None:
        """In the ledger's thread."""
        assert self.metrics is not None
        unwritten, at = self._unwritten, (mark.segment, mark.position)
        self._in_database = max(self._in_database, at)
        while unwritten and unwritten[0][1] <= at:
            unwritten.popleft()
        for dimensions, sums in batch.rollups.items():
            route, provider, model = (str(dimensions[i]) for i in (_ROUTE, _PROVIDER, _MODEL))
            if provider:
                self.metrics.cost(route, provider, model, sums[_COST], sums[_UNKNOWN])


def _wants_export(wanted: bool | None, environ: Mapping[str, str]) -> bool:  # noqa: FBT001 - as it is configured
    """Whether metrics are sent. The environment can say no to all of OpenTelemetry, and to its metrics."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_METRICS_EXPORTER", "otlp") == "none":
        return False
    told = any(environ.get(name) for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"))
    return told if wanted is None else wanted
