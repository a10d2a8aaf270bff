"""Metrics by OTLP: what a collector gets, by the names of the conventions, and that nobody waits for it."""

import gzip
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from tests.record.exchanged import Heard, exchanged

from gatewright.measuring import _wants_export
from gatewright.record.metrics import Metrics
from gatewright.record.metrics_cells import MetricsRule
from gatewright.record.metrics_otel import Export


class Collector(BaseHTTPRequestHandler):
    def log_message(self, *_arguments) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.told.append((self.path, dict(self.headers), ExportMetricsServiceRequest.FromString(body)))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()


@contextmanager
def collector(status: int = 200):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.told, server.status = [], status
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def environ(monkeypatch):
    """The environment, as the exporter of OpenTelemetry reads it."""

    def put(**variables: str) -> dict[str, str]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return variables

    return put


def metrics() -> Metrics:
    counting = Metrics(MetricsRule(), Heard(), clock=lambda: 101.0)
    counting.follow(("openai",), ("smart",), ("openai/gpt-5",))
    for _ in range(3):
        counting.settle(exchanged(stream=True), 200, None)
    counting.settle(exchanged(attempts=[], served=""), 404, None)
    return counting


def points(request: ExportMetricsServiceRequest) -> dict[str, tuple]:
    """Metric → (unit, kind, its points)."""
    (resource,) = request.resource_metrics
    (scope,) = resource.scope_metrics
    assert scope.scope.name == "gatewright"
    return {m.name: (m.unit, m.WhichOneof("data"), list(getattr(m, m.WhichOneof("data")).data_points)) for m in scope.metrics}


def attributes(point) -> dict[str, str]:
    return {one.key: one.value.string_value for one in point.attributes}


def test_a_collector_gets_the_names_of_the_conventions(environ):
    """The same sums as Prometheus is told, where and as the environment says."""
    with collector() as server:
        told = environ(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}", OTEL_EXPORTER_OTLP_HEADERS="x-team=red",
            OTEL_SERVICE_NAME="edge", OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test", OTEL_METRIC_EXPORT_INTERVAL="100000",
        )  # fmt: skip
        counting = metrics()
        export = Export(counting.counted, told, "1.2.3")
        export.start()
        export.close()  # what there is is sent at the end
        ((path, headers, request),) = server.told
    assert path == "/v1/metrics"
    assert headers["x-team"] == "red"
    resource = {one.key: one.value.string_value for one in request.resource_metrics[0].resource.attributes}
    assert (resource["service.name"], resource["deployment.environment.name"], resource["service.version"]) == (
        "edge",
        "test",
        "1.2.3",
    )
    assert resource["service.instance.id"]
    found = points(request)
    unit, kind, duration = found["gen_ai.client.operation.duration"]
    assert (unit, kind) == ("s", "histogram")
    (good,) = [
        point for point in duration if "error.type" not in attributes(point) and "gen_ai.request.model" in attributes(point)
    ]
    said = attributes(good)
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.provider.name"] == "openai"
    assert said["gen_ai.request.model"] == "gpt-5"
    assert (good.count, good.sum, sum(good.bucket_counts)) == (3, 3.0, 3)
    assert len(good.bucket_counts) == len(good.explicit_bounds) + 1
    assert any(attributes(point).get("error.type") == "error" for point in duration)
    _, _, usage = found["gen_ai.client.token.usage"]
    assert {attributes(p)["gen_ai.token.type"]: p.sum for p in usage if p.sum} == {"input": 30, "output": 60}
    assert found["gen_ai.server.time_to_first_token"][2][0].count == 3
    unit, kind, requests = found["gatewright.requests"]
    assert (kind, sum(point.as_double or point.as_int for point in requests)) == ("sum", 4)


def test_what_is_sent_again_is_all_there_was(environ):
    """Sums since the start, in each interval."""
    with collector() as server:
        told = environ(
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"http://127.0.0.1:{server.server_port}/here", OTEL_METRIC_EXPORT_INTERVAL="100"
        )
        export = Export(metrics().counted, told, "1")
        export.start()
        ends = time.monotonic() + 20
        while len(server.told) < 3:
            assert time.monotonic() < ends
            time.sleep(0.01)
        export.close()
    assert {path for path, _, _ in server.told} == {"/here"}
    sums = [points(request)["gen_ai.client.token.usage"][2] for _, _, request in server.told]
    assert all({p.sum for p in some} == {p.sum for p in sums[0]} for some in sums)
    assert len({point.start_time_unix_nano for some in sums for point in some}) == 1


def test_a_collector_that_is_away_is_told_of_once(environ, caplog):
    """And closing waits for nobody."""
    told = environ(
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_EXPORTER_OTLP_TIMEOUT="1", OTEL_METRIC_EXPORT_INTERVAL="100"
    )
    export = Export(metrics().counted, told, "1")
    export.start()
    ends = time.monotonic() + 20
    while "metrics are not sent by OTLP" not in caplog.text:
        assert time.monotonic() < ends
        time.sleep(0.01)
    began = time.monotonic()
    export.close()
    assert time.monotonic() - began < 6
    assert caplog.text.count("metrics are not sent by OTLP") == 1


@pytest.mark.parametrize(
    ("wanted", "environ", "sent"),
    [
        (None, {}, False),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        (None, {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318/v1/metrics"}, True),
        (None, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, False),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_METRICS_EXPORTER": "none"}, False),
        (True, {"OTEL_SDK_DISABLED": "true"}, False),
        (True, {}, True),
        (False, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
    ],
)
def test_it_is_sent_when_somebody_said_where_to(wanted, environ, sent):
    """Nothing leaves by itself."""
    assert _wants_export(wanted, environ) is sent
