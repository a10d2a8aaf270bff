"""Traces to a collector: nobody waits for it, nothing is lost in silence, and what it gets is what the conventions say."""

import json
import logging
import time

import pytest
from tests.record.otlp_stand_in import Collector, attributes
from tests.record.tracing import ASKED, AT, batch, meaning, message, trace

from gatewright.record import otlp
from gatewright.record.otlp import OtlpSink
from gatewright.record.otlp_rule import otlp_rule
from gatewright.record.otlp_spans import spans_of, trace_id_of
from gatewright.record.traces import Message


@pytest.fixture
def collector():
    with Collector() as stand_in:
        yield stand_in


@pytest.fixture
def quick(monkeypatch):
    """Rests of a few milliseconds."""
    monkeypatch.setattr(otlp, "RESTS_S", (0.01, 0.02))
    monkeypatch.setattr(otlp, "LINGER_S", 0.02)


def sink(collector, environ=None, **said):
    rule = otlp_rule(environ or {}, endpoint=collector.url, **said)
    return OtlpSink(rule, meaning, {})


def test_a_trace_is_one_span_and_one_beneath_it_for_each_attempt(collector):
    """What a target was passed over for is an event: nobody was called."""
    to = sink(collector)
    to.take(batch(trace()))
    to.close()
    root, failed, served = collector.spans()
    assert [span.name for span in (root, failed, served)] == ["chat smart", "attempt azure/gpt-5-eu", "attempt openai/gpt-5"]
    assert failed.parent_span_id == served.parent_span_id == root.span_id
    assert root.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c", "the client's traceparent is gone on with"
    assert root.parent_span_id.hex() == "b7ad6b7169203331"
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (AT * 1000, AT * 1000 + 1_500_000_000)
    assert failed.status.code == 2
    assert root.status.code == 0
    assert [event.name for event in root.events] == ["gatewright.guard.finding", "gatewright.target.passed_over"]
    assert attributes(root.events[0].attributes)["gatewright.guard.rule"] == "no-cards"


def test_the_request_is_told_in_the_conventions_words(collector):
    """Names and types of the attributes, as semantic-conventions-genai has them; their sums count what came of caches."""
    to = sink(collector)
    to.take(batch(trace(usage={"input": 10, "cache_read": 11, "output": 5, "reasoning": 4})))
    to.close()
    path, headers, request, _ = collector.requests[0]
    assert path == "/v1/traces"
    assert headers["content-type"] == "application/x-protobuf"
    said = attributes(collector.spans()[0].attributes)
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "smart",
        "gen_ai.response.model": "gpt-5-2026",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ("tool_call",),
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.usage.input_tokens": 21,
        "gen_ai.usage.output_tokens": 9,
        "gen_ai.usage.cache_read.input_tokens": 11,
        "gen_ai.usage.reasoning.output_tokens": 4,
        "gen_ai.conversation.id": "run-7",
        "session.id": "run-7",
        "user.id": "ann",
        "http.response.status_code": 200,
        "gatewright.key": "ci",
        "gatewright.target": "openai/gpt-5",
        "gatewright.losses": ("top_k (dropped): openai has no word for it",),
        "gatewright.cost_usd": 0.000116,
        "gatewright.metadata.stage": "night",
    }
    assert {name: said.get(name) for name in expected} == expected
    assert attributes(request.resource_spans[0].resource.attributes)["service.name"] == "gatewright"


def test_what_was_said_leaves_the_house_only_where_the_operator_says_so(collector):
    """`content: false`, the default: neither question nor answer nor a tool's arguments are anywhere in the bytes."""
    to = sink(collector)
    to.take(batch(trace()))
    to.close()
    sent = str(collector.requests[0][2])
    for words in ("Tides at Cobh", "Looking.", "Be brief", "harbour", "tide_at"):
        assert words not in sent


def test_content_is_messages_of_parts(collector):
    """With `content: true`: history, answer and tools, in the form that the conventions' JSON schemas ask for."""
    to = sink(collector, content=True)
    to.take(batch(trace()))
    to.close()
    said = attributes(collector.spans()[0].attributes)
    assert json.loads(said["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "Tides at Cobh?"}]},
    ]
    assert json.loads(said["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "content": "Looking."},
                {"type": "tool_call", "id": "call_1", "name": "tide_at", "arguments": {"harbour": "Cobh"}},
            ],
            "finish_reason": "tool_call",
        }
    ]
    assert json.loads(said["gen_ai.tool.definitions"]) == [{"type": "function", "name": "tide_at", "description": "Height."}]


def test_langfuse_finds_what_it_maps(collector):
    """By the path of its endpoint its own attributes are added; the key travels as basic authentication."""
    rule = otlp_rule({}, endpoint=collector.url + "/api/public/otel", headers={"Authorization": "Basic cGs6c2s="}, content=True)
    to = OtlpSink(rule, meaning, {})
    to.take(batch(trace(status=500, outcome="error", error="upstream", problem="openai: broke", answer=trace().answer)))
    to.close()
    path, headers, _, _ = collector.requests[0]
    assert path == "/api/public/otel/v1/traces"
    assert headers["authorization"] == "Basic cGs6c2s="
    spans = [attributes(span.attributes) for span in collector.spans()]
    root = spans[0]
    assert root["langfuse.observation.type"] == "generation"
    assert root["langfuse.observation.model.name"] == "gpt-5"
    assert json.loads(root["langfuse.observation.usage_details"]) == {"input": 21, "output": 9, "cache_read": 0}
    assert json.loads(root["langfuse.observation.cost_details"]) == {"total": 0.000116}
    assert json.loads(root["langfuse.observation.input"])[1]["parts"][0]["content"] == "Tides at Cobh?"
    assert root["langfuse.observation.completion_start_time"] == "2026-11-18T11:06:40.700Z"
    assert (root["langfuse.observation.level"], root["langfuse.observation.status_message"]) == ("ERROR", "openai: broke")
    for span in spans:  # it filters observation by observation
        assert span["session.id"] == "run-7"
        assert span["user.id"] == "ann"
        assert span["langfuse.trace.metadata.key"] == "ci"
    assert [span["langfuse.observation.type"] for span in spans[1:]] == ["span", "span"], "one generation a request, not three"


def test_a_failing_collector_gets_the_same_again_and_only_once_it_is_well(collector, quick):
    """503 and 429 are waited for, as they say themselves; nothing is sent twice that was taken."""
    collector.answers = [503, 429, 200]
    collector.headers = {"retry-after": "0"}
    to = sink(collector)
    to.take(batch(trace()))
    collector.wait_for(3)
    to.close()
    assert [status for *_, status in collector.requests] == [503, 429, 200]
    assert len(collector.spans()) == 3
    assert (to.tally.sent, to.tally.dropped, to.tally.failures) == (1, 0, 2)


def test_what_a_collector_refuses_is_dropped_and_counted(collector, quick, caplog):
    """A 400 means that the same would be refused again; the next batch is tried all the same."""
    collector.answers = [400, 200]
    to = sink(collector)
    with caplog.at_level(logging.INFO, "gatewright"):
        to.take(batch(trace()))
        collector.wait_for(1)
        to.take(batch(trace(id="req_0002")))
        collector.wait_for(2)
        to.close()
    assert (to.tally.sent, to.tally.dropped) == (1, 1)
    assert "answered 400" in caplog.text


def test_a_batch_is_given_up_after_a_few_tries(collector, quick):
    """A collector that is down for long costs the traces of that time, and not the memory."""
    collector.answers = [503]
    to = sink(collector)
    to.take(batch(trace()))
    collector.wait_for(otlp.TRIES)
    to.close()
    assert (to.tally.sent, to.tally.dropped) == (0, 1)


def test_a_full_queue_drops_and_counts_and_never_waits(collector):
    """The recording thread is back at once, with nobody listening at all."""
    rule = otlp_rule({}, endpoint="http://127.0.0.1:9", queue=10)
    to = OtlpSink(rule, meaning, {})
    began = time.monotonic()
    to.take(batch(*(trace(id=f"req_{n}") for n in range(500))))
    assert time.monotonic() - began < 1
    to.close()
    assert to.tally.dropped == 500
    assert to.tally.sent == 0


def test_a_trace_that_cannot_be_read_does_not_stop_the_others(collector, quick, caplog):
    """A bug of ours costs one trace, and is in the log."""

    def broken(told):
        if told.id == "req_bad":
            raise RuntimeError("bug")
        return meaning(told)

    to = OtlpSink(otlp_rule({}, endpoint=collector.url), broken, {})
    to.take(batch(trace(id="req_bad"), trace()))
    to.close()
    assert (to.tally.sent, to.tally.dropped) == (1, 1)
    assert "req_bad could not be made spans" in caplog.text


def test_a_trace_sent_twice_is_the_same_trace(collector):
    """Ids are made from the request's: sending again what was sent before adds nothing to a backend that knows them."""
    for _ in range(2):
        to = sink(collector)
        to.take(batch(trace(request=message(ASKED))))
        to.close()
    first, again = collector.spans()[:3], collector.spans()[3:]
    assert [(span.trace_id, span.span_id) for span in first] == [(span.trace_id, span.span_id) for span in again]
    assert len({span.span_id for span in first}) == 3


@pytest.mark.parametrize(
    "told",
    [
        "",
        "00-0-0-00",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "x" * 9999,
    ],
)
def test_a_traceparent_that_is_none_begins_a_trace_of_its_own(told):
    """https://www.w3.org/TR/trace-context/ : an invalid one is ignored."""
    span = spans_of(trace(request=Message(headers=(("traceparent", told),), body=b"", size=0)), None, None)[0]
    assert (span.trace_id, span.parent_id) == (trace_id_of("req_0001"), b"")
