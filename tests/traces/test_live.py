"""A running gateway and a collector: every request is a trace there a moment after it ended, whatever becomes of the collector."""

import asyncio
import json

import pytest

from gatewright.record import otlp
from tests.record.otlp_stand_in import Collector, attributes
from tests.record.tracing import ANSWER
from tests.serving import answer, call, gateway, upstream

ASKED = json.dumps({"model": "smart", "messages": [{"role": "user", "content": "Tides at Cobh?"}]}).encode()
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def config(port, *, traces, more=""):
    return f"""
providers:
  up: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", api_key: sk-up-0123456789abcdef, dialects: [openai_chat]}}
models: {{smart: {{targets: [up/gpt-5]}}}}
traces: {traces}
{more}"""


@pytest.fixture
def collector():
    with Collector() as stand_in:
        yield stand_in


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(otlp, "LINGER_S", 0.02)


async def came(collector, count=1):
    await asyncio.to_thread(collector.wait_for, count)


async def test_a_request_is_a_trace_in_the_collector(tmp_path, collector):
    """The client's trace goes on; what it used and whom it asked are there, and nothing that was said."""
    async with upstream() as up:
        up.answers = [[answer(ANSWER)]]
        traces = f'{{otlp: {{endpoint: "{collector.url}", headers: {{authorization: "Bearer collector-secret"}}}}}}'
        async with gateway(config(up.port, traces=traces), tmp_path) as gw:
            key = f"authorization: Bearer gw-test-key\r\ntraceparent: {PARENT}\r\nx-gatewright-session: run-9\r\n"
            answered = await call(gw.port, "/v1/chat/completions", ASKED, headers=key)
            await came(collector)
    _, headers, request, _ = collector.requests[0]
    assert headers["authorization"] == "Bearer collector-secret"
    root, attempt = collector.spans()
    assert root.trace_id.hex() == PARENT[3:35]
    assert attempt.parent_span_id == root.span_id
    said = attributes(root.attributes)
    assert said["gatewright.request_id"] == answered.headers["x-request-id"]
    assert said["gen_ai.provider.name"] == "openai"
    assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (21, 9)
    assert said["session.id"].endswith("run-9")
    assert "Cobh" not in str(request)
    assert not (tmp_path / "gatewright" / "traces.db").exists(), "sent, and not kept: nobody said `enabled: true`"


@pytest.mark.parametrize("propagate", [False, True])
async def test_a_provider_is_told_the_trace_where_the_operator_says_so(tmp_path, collector, propagate):
    """A server of one's own goes on with it, beneath the attempt; others learn nothing of who asked."""
    async with upstream() as up:
        up.answers = [[answer(ANSWER)]]
        traces = f'{{otlp: {{endpoint: "{collector.url}", propagate: {str(propagate).lower()}}}}}'
        async with gateway(config(up.port, traces=traces), tmp_path) as gw:
            key = f"authorization: Bearer gw-test-key\r\ntraceparent: {PARENT}\r\n"
            await call(gw.port, "/v1/chat/completions", ASKED, headers=key)
            await came(collector)
        head = up.head().decode()
    _, attempt = collector.spans()
    expected = f"traceparent: {PARENT[:36]}{attempt.span_id.hex()}-01"
    assert (expected in head) is propagate
    assert ("traceparent" in head) is propagate


async def test_content_is_sent_redacted(tmp_path, collector):
    """What the operator's own rules and the process' secrets are: neither reaches a collector."""
    leaking = ANSWER.replace(b"Looking.", b"The key is sk-up-0123456789abcdef.")
    async with upstream() as up:
        up.answers = [[answer(leaking)]]
        traces = f'{{otlp: {{endpoint: "{collector.url}", content: true}}}}'
        async with gateway(config(up.port, traces=traces), tmp_path) as gw:
            await call(gw.port, "/v1/chat/completions", ASKED)
            await came(collector)
    told = str(collector.requests[0][2])
    assert "Tides at Cobh?" in told
    assert "sk-up-0123456789abcdef" not in told
    assert "The key is " in told, told


async def test_a_collector_that_is_down_slows_nobody(tmp_path):
    """Answers come as ever; what is told of them is given up with the gateway."""
    async with upstream() as up:
        up.answers = [[answer(ANSWER)]]
        traces = '{otlp: {endpoint: "http://127.0.0.1:9"}}'
        async with gateway(config(up.port, traces=traces), tmp_path) as gw:
            for _ in range(20):
                assert (await call(gw.port, "/v1/chat/completions", ASKED)).status == 200


async def test_the_environment_says_where_when_the_configuration_leaves_it(tmp_path, collector):
    """OTEL_EXPORTER_OTLP_ENDPOINT, its headers, and who we are."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-team=red%20team",
        "OTEL_SERVICE_NAME": "edge",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,service.name=other",
    }
    async with upstream() as up:
        up.answers = [[answer(ANSWER)]]
        async with gateway(config(up.port, traces="{otlp: {}}"), tmp_path, environ=environ) as gw:
            await call(gw.port, "/v1/chat/completions", ASKED)
            await came(collector)
    path, headers, request, _ = collector.requests[0]
    assert (path, headers["x-team"]) == ("/v1/traces", "red team")
    resource = attributes(request.resource_spans[0].resource.attributes)
    assert resource["service.name"] == "edge"
    assert resource["deployment.environment.name"] == "test"


async def test_without_the_section_the_environment_sends_nothing(tmp_path, collector):
    """Bodies and names leave the house when the operator's own file says so, not when a shell is set up for something else."""
    async with upstream() as up:
        up.answers = [[answer(ANSWER)]]
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_METRICS_EXPORTER": "none"}
        async with gateway(config(up.port, traces="{}"), tmp_path, environ=environ) as gw:
            await call(gw.port, "/v1/chat/completions", ASKED)
            assert gw.house.current.tracing.recording is None
    assert not collector.requests
