"""Metrics as text: what prometheus_client would have written, in both formats."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.exposition import generate_latest as plain_text
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest as open_text
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read_plain
from tests.record.exchanged import Heard, exchanged

from gatewright.record.metrics import Metrics
from gatewright.record.metrics_cells import Counted, MetricsRule
from gatewright.record.metrics_families import BY_NAME, FAMILIES
from gatewright.record.metrics_text import OPEN, PLAIN, rendered, wants_open


class Oracle:
    """The same numbers, for prometheus_client's own writers."""

    def __init__(self, counted: Counted) -> None:
        self.counted = counted

    def collect(self):
        for family in FAMILIES:
            series = self.counted.get(family.name, {})
            if family.kind == "histogram":
                metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
                for labels, value in series.items():
                    sums = [sum(value[: i + 1]) for i in range(len(value) - 1)]
                    metric.add_metric(
                        labels, list(zip([*(str(float(b)) for b in family.buckets), "+Inf"], sums, strict=True)), value[-1]
                    )
            else:
                kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
                metric = kind(family.name, family.help, labels=family.labels)
                if not series and not family.labels and family.kind == "counter":
                    metric.add_metric((), 0)
                for labels, value in series.items():
                    metric.add_metric(labels, value)
            yield metric


def samples(families) -> dict:
    """Everything that is told, comparable."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): (family.type, family.documentation, sample.value)
        for family in families
        for sample in family.samples
    }


def same(counted: Counted) -> None:
    _, ours = rendered(counted, "")
    assert samples(read_plain(ours.decode())) == samples(read_plain(plain_text(Oracle(counted)).decode()))
    _, ours = rendered(counted, "application/openmetrics-text")
    assert samples(read_open(ours.decode())) == samples(read_open(open_text(Oracle(counted)).decode()))


def test_requests_are_told_as_the_reference_tells_them():
    """Counters, gauges and histograms of what really happens."""
    metrics = Metrics(MetricsRule(), Heard(), clock=lambda: 101.0)
    metrics.follow(("openai",), ("smart",), ("openai/gpt-5",))
    for number in range(30):
        metrics.settle(exchanged(stream=number % 2 == 0, attempts=[]) if number % 5 == 0 else exchanged(took_s=number), 200, None)
    same(metrics.counted())


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(blacklist_categories=("Cs",)), max_size=30), st.integers(0, 1 << 53))
def test_labels_may_say_anything(text, count):
    """Quotes, backslashes, line breaks, other alphabets: they come out as they went in."""
    same({"gatewright_guard_findings": {(text, "block", text, "true"): count}})


def test_nothing_is_told_of_nothing():
    """Names and kinds are there from the first scrape on; counters without labels begin at 0."""
    same({})
    _, told = rendered({}, "")
    assert told.count(b"# TYPE ") == len(FAMILIES) == len(BY_NAME)
    assert b"gatewright_ledger_lost_total 0\n" in told


@pytest.mark.parametrize(
    ("accept", "is_open"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        ("application/openmetrics-text; version=1.0.0; q=0, text/plain", False),
        ("application/openmetrics-text;version=2.0.0", False),
        ("application/openmetrics-text;;;=,,", True),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(accept, is_open):
    """As Prometheus asks, as a browser asks, and as nobody should."""
    assert wants_open(accept) is is_open
    assert rendered({}, accept)[0] == (OPEN if is_open else PLAIN)
