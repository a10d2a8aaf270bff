"""The settings of metrics and of the log as the gateway uses them."""

from typing import Final

from gatewright.config.schema_logging import LoggingSection
from gatewright.config.schema_metrics import MetricsSection
from gatewright.logs_rule import LoggingRule
from gatewright.record.metrics_cells import MetricsRule

_OTLP: Final = {"auto": None, "on": True, "off": False}


def resolve_metrics(section: MetricsSection) -> MetricsRule:
    return MetricsRule(
        enabled=section.enabled,
        public=section.public,
        max_series=section.max_series,
        max_models=section.max_models,
        otlp=_OTLP[section.otlp],
    )


def resolve_logging(section: LoggingSection) -> LoggingRule:
    return LoggingRule(level=section.level, format=section.format, requests=section.requests)
