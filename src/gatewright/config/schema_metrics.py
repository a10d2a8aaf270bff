"""The shape of what is told of the gateway's own work: metrics."""

from typing import Annotated, Literal

from pydantic import Field

from gatewright.config.section import Section


class MetricsSection(Section):
    """What is counted and measured of requests, for Prometheus (`GET /metrics`) and for OpenTelemetry."""

    enabled: bool = True
    """False: nothing is counted, and nothing is served."""
    public: bool = False
    """Whether `GET /metrics` takes no key. By default it takes one with `role: admin` or `role: viewer` that belongs to no team
    and no organization."""
    max_series: Annotated[int, Field(ge=10, le=100_000)] = 2000
    """Combinations of route, provider, model, dialects and status that are told apart; further ones are counted as `overflow`."""
    max_models: Annotated[int, Field(ge=0, le=10_000)] = 200
    """Models that are told apart though the configuration does not name them, once a provider has answered for them; all others
    are `other`."""
    otlp: Literal["auto", "on", "off"] = "auto"
    """Whether metrics are sent to a collector by OTLP. `auto`: when `OTEL_EXPORTER_OTLP_ENDPOINT` or
    `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` says where to. It takes the extra `otel`."""
