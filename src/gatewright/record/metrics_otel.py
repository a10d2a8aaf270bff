"""Metrics for a collector of OpenTelemetry: the same numbers by the names of its conventions, sent by a thread of its own.

    gen_ai.client.operation.duration, gen_ai.client.token.usage, gen_ai.server.time_to_first_token, …   those of the conventions
    gatewright.*                                                                                        all others

Where to, with which headers, how often and under which name: as the environment says (OTEL_EXPORTER_OTLP_*, OTEL_SERVICE_NAME,
OTEL_RESOURCE_ATTRIBUTES, OTEL_METRIC_EXPORT_INTERVAL). One rule: a collector that is away costs nobody anything; what it
is sent are sums, and the next ones say all.
https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-metrics.md
https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from gatewright.record.metrics_cells import Counted, Histogram, LabelValues, Value
from gatewright.record.metrics_families import BY_NAME, Family

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric, MetricsData

log = logging.getLogger("gatewright")

EVERY_MS: Final = 60_000
"""Where the environment does not say."""
CLOSING_S: Final = 3.0
TOLD_EVERY_S: Final = 600.0

GEN_AI: Final[Mapping[str, tuple[str, str, Mapping[str, str]]]] = {
    "gatewright_request_duration_seconds": ("gen_ai.client.operation.duration", "s", {}),
    "gatewright_time_to_first_token_seconds": ("gen_ai.server.time_to_first_token", "s", {}),
    "gatewright_request_input_tokens": ("gen_ai.client.token.usage", "{token}", {"gen_ai.token.type": "input"}),
    "gatewright_request_output_tokens": ("gen_ai.client.token.usage", "{token}", {"gen_ai.token.type": "output"}),
}
"""Ours → (theirs, the unit, attributes of all points)."""
OPERATIONS: Final[Mapping[str, str]] = {"generate": "chat", "invoke": "chat"}
_PROVIDER_OF: Final[Mapping[str, str]] = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "anthropic": "anthropic",
    "gemini": "gcp.gemini",
    "bedrock_converse": "aws.bedrock",
}


class Export:
    """Sends what is counted, as long as the gateway runs."""

    def __init__(self, counted: Callable[[], Counted], environ: Mapping[str, str], version: str) -> None:
        """`counted`: called in the thread. Raises ImportError where the extra is not installed."""
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 - an extra

        self._counted = counted
        self._exporter = OTLPMetricExporter()
        self._resource = _resource(environ, version)
        self._every_s = _every_s(environ)
        self._since = time.time_ns()
        self._stop = threading.Event()
        self._told = 0.0
        self._thread = threading.Thread(target=self._run, name="otlp metrics", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Send what there is, for a last time, and stop. Blocks, for `CLOSING_S` at most."""
        self._stop.set()
        self._thread.join(CLOSING_S)
        self._exporter.shutdown(timeout_millis=100)

    def _run(self) -> None:
        while True:
            last = self._stop.wait(self._every_s)
            try:
                self._send()
            except Exception as error:  # noqa: BLE001 - nobody else would go on with this
                self._tell(error)
            if last:
                return

    def _send(self) -> None:
        from opentelemetry.sdk.metrics.export import MetricExportResult  # noqa: PLC0415

        sent = self._exporter.export(data(self._counted(), self._resource, self._since))
        if sent is not MetricExportResult.SUCCESS:
            self._tell(ConnectionError("the collector did not take them"))

    def _tell(self, error: Exception) -> None:
        now = time.monotonic()
        if not self._told or now - self._told > TOLD_EVERY_S:
            self._told = now
            log.warning("metrics are not sent by OTLP: %s: %s", type(error).__name__, error)


def data(counted: Counted, resource: Any, since_ns: int) -> "MetricsData":
    """All that is counted, in OpenTelemetry's form. `since_ns`: from when on, Unix nanoseconds."""
    from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics  # noqa: PLC0415
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415

    now = time.time_ns()
    metrics: dict[str, Metric] = {}
    for name, series in counted.items():
        family = BY_NAME[name]
        theirs, unit, more = GEN_AI.get(name, (_ours(family), _unit(family), {}))
        made = _metric(theirs, unit, family, series, more, since_ns, now)
        if theirs in metrics:  # two of ours are one of theirs, told apart by an attribute
            metrics[theirs].data.data_points.extend(made.data.data_points)  # type: ignore[union-attr]
        else:
            metrics[theirs] = made
    scope = ScopeMetrics(InstrumentationScope("gatewright"), list(metrics.values()), "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _metric(  # noqa: PLR0917 - as they stand in the form
    name: str, unit: str, family: Family, series: Mapping[LabelValues, Value], more: Mapping[str, str], since: int, now: int
) -> "Metric":
    from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415
        AggregationTemporality,
        Gauge,
        HistogramDataPoint,
        Metric,
        NumberDataPoint,
        Sum,
    )
    from opentelemetry.sdk.metrics.export import Histogram as Buckets  # noqa: PLC0415

    total = AggregationTemporality.CUMULATIVE
    if family.kind == "histogram":
        points = [
            HistogramDataPoint(
                attributes=_attributes(family, labels, more),
                start_time_unix_nano=since,
                time_unix_nano=now,
                count=int(sum(value[:-1])),
                sum=value[-1],
                bucket_counts=_whole(value),
                explicit_bounds=family.buckets,
                min=float("inf"),
                max=float("-inf"),
            )
            for labels, value in series.items()
            if isinstance(value, list)
        ]
        return Metric(name, family.help, unit, Buckets(points, total))
    numbers = [
        NumberDataPoint(_attributes(family, labels, more), since, now, value)
        for labels, value in series.items()
        if not isinstance(value, list)
    ]
    if family.kind == "counter":
        return Metric(name, family.help, unit, Sum(numbers, total, is_monotonic=True))
    return Metric(name, family.help, unit, Gauge(numbers))


def _attributes(family: Family, labels: LabelValues, more: Mapping[str, str]) -> dict[str, str]:
    """Labels, by the conventions' names where the metric is theirs; empty ones are left out."""
    told = {name: value for name, value in zip(family.labels, labels, strict=True) if value}
    if family.name not in GEN_AI:
        return told
    found = {
        "gen_ai.operation.name": OPERATIONS.get(told.get("operation", ""), told.get("operation", "")),
        "gen_ai.provider.name": _PROVIDER_OF.get(told.get("upstream", ""), told.get("provider", "") or "gatewright"),
        "gen_ai.request.model": told.get("model", ""),
        "error.type": "" if told.get("outcome", "ok") == "ok" else told["outcome"],
    }
    ours = {f"gatewright.{name}": told[name] for name in ("route", "provider", "client", "upstream", "stream") if name in told}
    return {name: value for name, value in found.items() if value} | ours | dict(more)


def _whole(histogram: Histogram) -> list[int]:
    return [int(count) for count in histogram[:-1]]


def _ours(family: Family) -> str:
    return family.name.replace("gatewright_", "gatewright.", 1).replace("process_", "process.", 1)


def _unit(family: Family) -> str:
    ending = family.name.rpartition("_")[2]
    return {"seconds": "s", "bytes": "By"}.get(ending, "1")


def _resource(environ: Mapping[str, str], version: str) -> Any:
    """Who sends: as the environment says, and which process of it."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

    named = {} if environ.get("OTEL_SERVICE_NAME") else {"service.name": "gatewright"}
    if "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        named = {}
    instance = {"service.instance.id": secrets.token_hex(8)}
    return Resource.create({**instance, "service.version": version, **named})


def _every_s(environ: Mapping[str, str]) -> float:
    with suppress(ValueError):
        return max(0.1, float(environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")) / 1000)
    return EVERY_MS / 1000
