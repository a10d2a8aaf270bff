"""Counting requests: whatever they are, they are counted once, and whatever clients name, series have an end."""

from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.record.exchanged import Heard, exchanged

from gatewright.errors import Problem
from gatewright.exchange import AttemptRecord
from gatewright.guards.terms import Finding
from gatewright.ir.response import Usage
from gatewright.record.metrics import FOLDED, Metrics
from gatewright.record.metrics_cells import MetricsRule, Timed, joined
from gatewright.record.metrics_families import BY_NAME, FAMILIES, OWN_SECONDS, SECONDS, TOKENS


def counting(**rule) -> Metrics:
    metrics = Metrics(MetricsRule(**rule), Heard(), clock=lambda: 101.0)
    metrics.follow(("openai", "claude"), ("smart",), ("openai/gpt-5", "claude/opus"))
    return metrics


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """The sum of all series with these labels; of a histogram, how many."""
    family = BY_NAME[name]
    found = metrics.counted().get(name, {})
    return sum(
        sum(v[:-1]) if isinstance(v, list) else v
        for told, v in found.items()
        if labels.items() <= dict(zip(family.labels, told, strict=True)).items()
    )


def test_the_ledger_is_told_first_and_a_bug_in_counting_is_nobodys_failure(caplog):
    """What cannot be counted is in the log once; the request has been written down all the same."""
    metrics = counting()
    for _ in range(3):
        metrics.settle(exchanged(attempts=[None]), 200, None)
    assert len(metrics.recorder.told) == 3
    assert caplog.text.count("could not be counted") == 1


def test_every_request_is_in_one_bucket_of_each_histogram():
    """Folded by the hundred, and one at a time: the same."""
    metrics = counting()
    for number in range(FOLDED + 10):
        metrics.settle(exchanged(took_s=1.0, stream=number % 2 == 0), 200, None)
    assert value(metrics, "gatewright_requests") == FOLDED + 10
    assert value(metrics, "gatewright_request_duration_seconds") == FOLDED + 10
    assert value(metrics, "gatewright_overhead_seconds") == FOLDED + 10
    assert value(metrics, "gatewright_time_to_first_token_seconds") == (FOLDED + 10) / 2
    ((_, duration),) = [s for s in metrics.counted()["gatewright_request_duration_seconds"].items() if s[0][6] == "true"]
    assert duration[bisect_left(SECONDS, 1.0)] == sum(duration[:-1])
    ((_, own),) = [s for s in metrics.counted()["gatewright_overhead_seconds"].items() if s[0][6] == "true"]
    assert own[bisect_left(OWN_SECONDS, 0.025001)] == sum(own[:-1])  # 15 ms before it was written, 10 ms behind its end


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 200), st.floats(0, 2), st.floats(-1, 20), st.integers(0, 10**9)), min_size=1, max_size=300)
)
def test_folding_is_finding_each_ones_bucket(some):
    """Sorted or one by one, the histograms are the same."""
    folded, plain = Timed(()), Timed(())
    for took, own, first, tokens in some:
        folded.raw.append((took, own, first, -1.0, tokens, 0))
        for histogram, buckets, amount in (
            (plain.duration, SECONDS, took),
            (plain.overhead, OWN_SECONDS, own),
            (plain.read, TOKENS, tokens),
        ):
            histogram[bisect_left(buckets, amount)] += 1
            histogram[-1] += amount
    folded.fold()
    for ours, theirs in ((folded.duration, plain.duration), (folded.overhead, plain.overhead), (folded.read, plain.read)):
        assert ours[:-1] == theirs[:-1]
        assert ours[-1] == pytest.approx(theirs[-1])
    assert sum(folded.first[:-1]) == sum(first >= 0 for _, _, first, _ in some)
    assert not any(folded.rate)


def test_tokens_are_counted_on_their_axes_for_whoever_used_them():
    """Of each attempt with its own target, also where another answered in the end."""
    metrics = counting()
    usage = Usage(input=1, cache_read=2, cache_write_5m=3, cache_write_1h=4, audio_in=5, output=6, reasoning=7, audio_out=8)
    metrics.settle(exchanged(usage=usage), 200, None)
    cut = AttemptRecord(
        "claude/opus", "anthropic", 100.0, sent=True, status=200, cause="cut", ended=100.5, usage=Usage(input=100, output=50)
    )
    good = AttemptRecord("openai/gpt-5", "openai_chat", 100.5, sent=True, status=200, ended=101.0, usage=usage)
    metrics.settle(exchanged(attempts=[cut, good]), 200, None)
    told = {
        axis: value(metrics, "gatewright_tokens", provider="openai", axis=axis)
        for axis in ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "output", "reasoning", "audio_out")
    }
    assert list(told.values()) == [2, 4, 6, 8, 10, 12, 14, 16]
    assert value(metrics, "gatewright_tokens", provider="claude") == 150
    assert value(metrics, "gatewright_attempts", provider="claude", cause="cut", kind="first") == 1
    assert value(metrics, "gatewright_attempts", provider="openai", cause="ok") == 2
    read = metrics.counted()["gatewright_request_input_tokens"]
    assert sorted(histogram[-1] for histogram in read.values()) == [30, 100]


def test_what_was_not_told_is_not_zero():
    """An answer without usage is counted as such, and adds no tokens."""
    metrics = counting()
    one = exchanged()
    one.attempts[0].usage = one.usage = None
    metrics.settle(one, 200, None)
    assert value(metrics, "gatewright_usage_untold", provider="openai") == 1
    assert value(metrics, "gatewright_tokens") == 0
    assert value(metrics, "gatewright_requests", status="200") == 1


def test_what_is_rare_is_counted_too():
    """Errors by kind, limits by code, caches, clients that left, and what guards had to say."""
    metrics = counting()
    metrics.settle(exchanged(attempts=[]), 429, Problem(kind="rate_limit", code="budget_exceeded", message="no"))
    metrics.settle(
        exchanged(attempts=[]), 429, Problem(kind="rate_limit", code="budget_exceeded", message="no", origin="anthropic")
    )
    metrics.settle(exchanged(attempts=[], cache="hit"), 200, None)
    metrics.settle(exchanged(left=True), 200, None)
    found = Finding("openai_key", rule="no-keys", action="block", dry=True)
    metrics.settle(exchanged(findings=(found, found)), 200, None)
    assert value(metrics, "gatewright_limit_refusals", route="smart", code="budget_exceeded") == 1
    assert value(metrics, "gatewright_errors", kind="rate_limit") == 2
    assert value(metrics, "gatewright_cache", route="smart", use="hit") == 1
    assert value(metrics, "gatewright_clients_left", operation="generate", client="anthropic") == 1
    assert value(metrics, "gatewright_guard_findings", rule="no-keys", action="block", dry="true") == 2
    assert value(metrics, "gatewright_requests") == 5


def test_names_that_nobody_knows_are_one():
    """Neither routes, providers, models, statuses nor rules can be made up by who sends or who answers."""
    metrics = counting(max_models=3)
    for number in range(200):
        failed = AttemptRecord(f"openai/m{number}", "openai_chat", 100.0, status=400 + number, cause="client", ended=100.1)
        problem = Problem(kind="invalid_request", message="no", code=f"code{number}")
        findings = (Finding("k", rule=f"rule{number}"), Finding("k", rule=f"other{number}"))
        one = exchanged(f"openai/m{number}", route=f"openai/m{number}", attempts=[failed], served="", findings=findings)
        metrics.settle(one, 400 + number, problem)
        metrics.settle(exchanged(f"gone{number}/x", route="smart"), 200, None)
    counted = metrics.counted()
    models = {labels[3] for labels in counted["gatewright_requests"]}
    assert models == {"other"}
    assert {labels[1] for labels in counted["gatewright_requests"]} == {"direct", "smart"}
    assert len({labels[-1] for labels in counted["gatewright_requests"]}) < 25
    assert len(counted["gatewright_guard_findings"]) == 201
    for number in range(10):
        metrics.settle(exchanged(f"openai/real{number}"), 200, None)
    assert len({labels[3] for labels in metrics.counted()["gatewright_requests"]}) == 4


def test_there_are_as_many_series_as_may_be():
    """Further ones are counted together, and that they are is counted, too."""
    metrics = counting(max_series=10, max_models=100)
    for number in range(100):
        metrics.settle(exchanged(f"openai/real{number}"), 200, None)
    counted = metrics.counted()
    assert len(counted["gatewright_requests"]) == 11
    assert value(metrics, "gatewright_requests") == 100
    assert value(metrics, "gatewright_requests", model="overflow") == 90
    assert value(metrics, "gatewright_series_overflowed") == 90


def test_workers_are_added_up_and_gauges_joined_as_they_are_meant():
    """Counters and histograms are sums; the first start is the earliest, the lag the greatest; what is of another form is left out."""
    one = {
        "gatewright_errors": {("a", "b", "c"): 1},
        "process_start_time_seconds": {(): 5.0},
        "gatewright_ledger_lag_seconds": {(): 1.0},
    }
    two = {
        "gatewright_errors": {("a", "b", "c"): 2, ("x",): 9},
        "process_start_time_seconds": {(): 3.0},
        "gatewright_ledger_lag_seconds": {(): 4.0},
    }
    lag = {"gatewright_event_loop_lag_seconds": {(): [1] * (len(OWN_SECONDS) + 2)}, "made_up": {(): 1}}
    found = joined((one, two, lag, lag, {"gatewright_event_loop_lag_seconds": {(): [1, 2]}}))
    assert found["gatewright_errors"] == {("a", "b", "c"): 3}
    assert found["process_start_time_seconds"] == {(): 3.0}
    assert found["gatewright_ledger_lag_seconds"] == {(): 4.0}
    assert found["gatewright_event_loop_lag_seconds"] == {(): [2] * (len(OWN_SECONDS) + 2)}
    assert "made_up" not in found


def test_names_are_prometheus_names():
    """Base units, no kind in the name, no label that says the same."""
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    for family in FAMILIES:
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket"))
        assert family.help.endswith(".") or family.name == "gatewright_build_info"
        assert bool(family.buckets) is (family.kind == "histogram")
        assert list(family.buckets) == sorted(set(family.buckets))
