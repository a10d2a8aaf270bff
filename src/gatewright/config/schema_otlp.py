"""The shape of where traces go as they end: a collector that speaks OTLP."""

from typing import Annotated

from pydantic import Field

from gatewright.config.secrets import Secret
from gatewright.config.section import Count, Name, Section


class OtlpSection(Section):
    """Sends each trace as OpenTelemetry spans, by OTLP over HTTP. `{}`: as the environment says. See docs/how-to/traces.md."""

    endpoint: Name | None = None
    """Of the collector, such as `http://127.0.0.1:4318`; `/v1/traces` is added. Default: `$OTEL_EXPORTER_OTLP_ENDPOINT`."""
    headers: dict[str, Secret] = {}
    """Sent with every request: `{authorization: env:COLLECTOR_AUTH}`. Default: `$OTEL_EXPORTER_OTLP_HEADERS`."""
    content: bool = False
    """Whether what was said goes along: messages, instructions, names of tools. False: who, when, how much, what it cost."""
    langfuse: bool | None = None
    """Whether Langfuse's own attributes are there, too. Default: where the endpoint's path is Langfuse's."""
    timeout_s: Annotated[float, Field(gt=0, le=600)] | None = None
    """Most seconds for one request to the collector. Default: `$OTEL_EXPORTER_OTLP_TIMEOUT` (in milliseconds), else 10."""
    queue_size: Count = 2_048
    """Traces, per worker, that wait to be sent; more are dropped, and counted."""
    propagate: bool = False
    """Whether providers are told the trace (`traceparent`): for servers of your own, which go on with it."""
