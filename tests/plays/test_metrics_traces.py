"""What becomes of traces is in the metrics: kept or not for want of room, sent to a collector, refused there."""

import asyncio
import contextlib

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess, ExportTraceServiceResponse

from gatewright.app import generation_of
from gatewright.config import load_config
from gatewright.record import otlp, trace_queue
from tests.plays.scene import ask, providers, served
from tests.plays.test_metrics import ALONE, scraped, total
from tests.record.otlp_stand_in import Collector
from tests.serving import gateway, upstream
from tests.test_reload import until

NAMES = ("gatewright_otlp_traces_total", "gatewright_otlp_spans_rejected_total", "gatewright_otlp_failures_total")


@contextlib.asynccontextmanager
async def traced(tmp_path, traces: str):
    async with upstream() as up, gateway(f"{providers(up.port)}\ntraces: {traces}\n", tmp_path, keys=ALONE) as gw:
        up.answers = [served("openai_chat")]
        try:
            yield gw
        finally:
            await asyncio.to_thread(gw.house.current.tracing.close)


def told(found: dict) -> tuple[float, float, float]:
    """Sent, dropped, failed requests to the collector."""
    sent, dropped = (total(found, NAMES[0], outcome=outcome) for outcome in ("sent", "dropped"))
    return sent, dropped, total(found, NAMES[2])


async def say(gw, expected: tuple[float, float, float]) -> None:
    found: dict = {}
    for _ in range(1000):
        if told(found := await scraped(gw)) == expected:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(told(found))


async def test_what_a_collector_was_sent_and_what_it_refused_is_counted(tmp_path, monkeypatch):
    """And goes on being counted by whoever sends by another configuration: counters of one process never fall."""
    monkeypatch.setattr(otlp, "LINGER_S", 0.02)
    monkeypatch.setattr(otlp, "RESTS_S", (0.01,))
    with Collector() as collector:
        collector.answers = [400, 200]
        async with traced(tmp_path, f'{{otlp: {{endpoint: "{collector.url}"}}}}') as gw:
            await say(gw, (0, 0, 0))
            await ask(gw, "openai_chat", "to-openai_chat")
            await say(gw, (0, 1, 1))
            await ask(gw, "openai_chat", "to-openai_chat")
            await say(gw, (1, 1, 1))
            file = next(tmp_path.rglob("gatewright.yaml"))
            file.write_text(file.read_text().replace(collector.url, f"{collector.url}/other"))
            gw.house.take_over(
                generation_of(load_config(file, {"GATEWRIGHT_HOME": str(tmp_path)}), {}, gw.house.current), lambda _gateway: None
            )
            await say(gw, (1, 1, 1))
            await ask(gw, "openai_chat", "to-openai_chat")
            await say(gw, (2, 1, 1))
        assert [path for path, *_ in collector.requests] == ["/v1/traces", "/v1/traces", "/other/v1/traces"]


async def test_spans_that_a_collector_takes_and_does_not_want_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(otlp, "LINGER_S", 0.02)
    with Collector() as collector:
        unwanted = ExportTracePartialSuccess(rejected_spans=2, error_message="too old")
        collector.body = ExportTraceServiceResponse(partial_success=unwanted).SerializeToString()
        async with traced(tmp_path, f'{{otlp: {{endpoint: "{collector.url}"}}}}') as gw:
            await ask(gw, "openai_chat", "to-openai_chat")
            await say(gw, (1, 0, 0))
            assert total(await scraped(gw), NAMES[1]) == 2


async def test_no_trace_is_told_to_be_sent_where_there_is_no_collector(tmp_path):
    async with traced(tmp_path, "{enabled: true, index_share: 0}") as gw:
        found = await scraped(gw)
        assert not found.get(NAMES[0])
        assert total(found, "gatewright_traces_dropped_total") == total(found, "gatewright_traces_failed_total") == 0


async def test_traces_that_find_their_queue_full_are_counted(tmp_path, monkeypatch):
    """Nobody takes anything out of it here: of five, one has room."""
    monkeypatch.setattr(trace_queue, "TICK_S", 3600)
    async with traced(tmp_path, "{enabled: true, index_share: 0, queue_size: 1}") as gw:
        for _ in range(5):
            await ask(gw, "openai_chat", "to-openai_chat")
        assert total(await scraped(gw), "gatewright_traces_dropped_total") == 4


async def test_traces_that_a_bug_has_cost_are_counted(tmp_path, caplog):
    async with traced(tmp_path, "{enabled: true, index_share: 0}") as gw:
        recording = gw.house.current.tracing.recording
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recording._maker, "trace", lambda *_: 1 / 0)
            await ask(gw, "openai_chat", "to-openai_chat")
            await until(lambda: recording.failed == 1, 20)
        assert total(await scraped(gw), "gatewright_traces_failed_total") == 1
        assert "its trace failed on a bug of ours" in caplog.text
