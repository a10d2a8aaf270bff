"""Metrics and the log, as they are configured."""

import pytest

from gatewright.config import ConfigError, load_config
from gatewright.logs_rule import LoggingRule
from gatewright.record.metrics_cells import MetricsRule


def load(tmp_path, text: str):
    file = tmp_path / "gatewright.yaml"
    file.write_text(text)
    return load_config(file, {"GATEWRIGHT_HOME": str(tmp_path)})


def test_metrics_are_on_and_nobodys_without_a_key(tmp_path):
    """By default; requests are no lines of the log."""
    config = load(tmp_path, "providers: {demo: {}}")
    assert config.metrics == MetricsRule(enabled=True, public=False, max_series=2000, max_models=200, otlp=None)
    assert config.logging == LoggingRule(level="warning", format="auto", requests="off")


def test_everything_that_is_written_counts(tmp_path):
    config = load(
        tmp_path,
        "metrics: {enabled: false, public: true, max_series: 10, max_models: 0, otlp: 'on'}\n"
        "logging: {level: debug, format: json, requests: errors}",
    )
    assert config.metrics == MetricsRule(enabled=False, public=True, max_series=10, max_models=0, otlp=True)
    assert config.logging == LoggingRule(level="debug", format="json", requests="errors")
    assert load(tmp_path, "metrics: {otlp: 'off'}").metrics.otlp is False


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("metrics: {public: sometimes}", "metrics.public"),
        ("metrics: {max_series: 1}", "metrics.max_series"),
        ("metrics: {path: /x}", "metrics.path"),
        ("logging: {requests: bodies}", "logging.requests"),
        ("logging: {level: loud}", "logging.level"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(tmp_path, text, told):
    with pytest.raises(ConfigError, match=rf"gatewright\.yaml:1:\d+ {told}"):
        load(tmp_path, text)
