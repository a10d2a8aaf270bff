"""Spans as OTLP's protobuf, one export request a batch.

One rule: the protocol's own classes write the bytes; they are an extra (`gatewright[otel]`) and take their time to load, so
nobody imports this file who does not export.
https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from collections.abc import Iterable, Mapping
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

from gatewright.record.otlp_attributes import Value
from gatewright.record.otlp_spans import Span

SCHEMA: Final = "https://opentelemetry.io/schemas/1.41.0"
_INT64: Final = 1 << 63


def export_request(spans: Iterable[Span], resource: Mapping[str, Value]) -> bytes:
    """All of them in one request, as of one resource."""
    scope = ScopeSpans(
        scope=InstrumentationScope(name="gatewright", version=str(resource.get("service.version", ""))),
        spans=[_span(span) for span in spans],
        schema_url=SCHEMA,
    )
    whole = ResourceSpans(resource=Resource(attributes=_attributes(resource)), scope_spans=[scope])
    return bytes(ExportTraceServiceRequest(resource_spans=[whole]).SerializeToString())


def rejected(answer: bytes) -> tuple[int, str]:
    """(spans that the collector did not want, why) of its answer. What cannot be read rejects nothing."""
    try:
        told = ExportTraceServiceResponse.FromString(answer).partial_success
    except Exception:  # noqa: BLE001 - an answer in JSON or HTML; DecodeError's place differs between versions of protobuf
        return 0, ""
    return told.rejected_spans, told.error_message


def _span(span: Span) -> ProtoSpan:
    events = [
        ProtoSpan.Event(name=_text(event.name), time_unix_nano=event.at_ns, attributes=_attributes(event.attributes))
        for event in span.events
    ]
    return ProtoSpan(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_id,
        trace_state=_text(span.state),
        name=_text(span.name),
        kind=ProtoSpan.SpanKind.Name(span.kind),
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=_attributes(span.attributes),
        events=events,
        status=Status() if span.error is None else Status(code=Status.STATUS_CODE_ERROR, message=_text(span.error)),
    )


def _attributes(said: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=_text(name), value=_value(value)) for name, value in said.items()]


def _value(value: Value) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case str():
            return AnyValue(string_value=_text(value))
        case int():
            return AnyValue(int_value=value) if -_INT64 <= value < _INT64 else AnyValue(string_value=str(value))
        case float():
            return AnyValue(double_value=value)
        case tuple():
            return AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=_text(item)) for item in value]))


def _text(text: str) -> str:
    """Protobuf's strings are UTF-8: a lone surrogate, which JSON may hold, is none."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text
