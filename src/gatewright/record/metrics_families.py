"""Every metric there is: its name, its kind, its labels and what it says. Docs and renderings are made from it.

One rule: a label has few values. What clients choose (models, status codes) is folded before it gets here: `metrics_labels.py`.
https://prometheus.io/docs/practices/naming/
https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-metrics.md
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

Kind = Literal["counter", "gauge", "histogram"]
Joining = Literal["sum", "max", "min"]

SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""The conventions' bounds for `gen_ai.client.operation.duration`."""
FIRST_SECONDS: Final = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The conventions' bounds for `gen_ai.server.time_to_first_token`."""
TOKENS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
"""The conventions' bounds for `gen_ai.client.token.usage`."""
OWN_SECONDS: Final = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Of our own time, and of the loop's lag."""
RATES: Final = (1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 500, 1000)
"""Tokens a second."""

CALL: Final = ("operation", "route", "provider", "model", "client", "upstream", "stream")
TIMED: Final = (*CALL, "outcome")


class Family(msgspec.Struct, frozen=True):
    """One metric."""

    name: str
    """As Prometheus is told; of a counter without `_total`."""
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()
    joining: Joining = "sum"
    """How a gauge's values of several workers become one."""

    @property
    def shown(self) -> str:
        """The name in queries."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


FAMILIES: Final[tuple[Family, ...]] = (
    Family("gatewright_requests", "counter", (*CALL, "status"), "Requests that ended, with the status that was answered."),
    Family(
        "gatewright_request_duration_seconds", "histogram", TIMED,
        "From a request's coming to the end of its answer.", SECONDS,
    ),
    Family(
        "gatewright_time_to_first_token_seconds", "histogram", TIMED,
        "From a request's coming to the first content of its streamed answer.", FIRST_SECONDS,
    ),
    Family(
        "gatewright_output_tokens_per_second", "histogram", TIMED,
        "Speed of answers: tokens written, per second from the first content (of a stream) or from the call (of a whole answer).",
        RATES,
    ),
    Family(
        "gatewright_overhead_seconds", "histogram", TIMED,
        "The gateway's own time: the request's, less that of its upstreams, of queues and of pauses before a repetition. "
        "Rendering a whole answer in another dialect is not in it.",
        OWN_SECONDS,
    ),
    Family("gatewright_request_input_tokens", "histogram", TIMED, "Tokens that an upstream read for a request.", TOKENS),
    Family("gatewright_request_output_tokens", "histogram", TIMED, "Tokens that an upstream wrote for a request.", TOKENS),
    Family(
        "gatewright_tokens", "counter", ("route", "provider", "model", "axis"),
        "Tokens that upstreams told of. Axes are disjoint: input, cache_read, cache_write_5m, cache_write_1h, audio_in, output, "
        "reasoning, audio_out.",
    ),
    Family(
        "gatewright_usage_untold", "counter", ("provider", "model"),
        "Answered calls whose upstream told no usage; the ledger has estimates.",
    ),
    Family(
        "gatewright_cost_micro_dollars", "counter", ("route", "provider", "model"),
        "What attempts cost, in millionths of a dollar, once they are in the ledger's database.",
    ),
    Family(
        "gatewright_cost_unknown", "counter", ("route", "provider", "model"),
        "Attempts in the ledger whose cost is not known.",
    ),
    Family(
        "gatewright_attempts", "counter", ("provider", "model", "upstream", "kind", "cause"),
        "Tries at targets. kind: first, repeat, hedge, resume. cause: why it failed, or why it was passed over (open, resting, "
        "full); `ok` where it did not.",
    ),
    Family("gatewright_errors", "counter", ("operation", "client", "kind"), "Requests that ended in an error, by its kind."),
    Family("gatewright_clients_left", "counter", ("operation", "client"), "Requests whose client left before the end."),
    Family("gatewright_cache", "counter", ("route", "use"), "Requests that a cache was asked for: hit, miss, coalesced, bypass."),
    Family("gatewright_limit_refusals", "counter", ("route", "code"), "Requests that a limit or a budget refused."),
    Family(
        "gatewright_guard_findings", "counter", ("rule", "action", "direction", "dry"),
        "What guards had to say. dry: the rule only tries out.",
    ),
    Family(
        "gatewright_guard_delay_seconds", "histogram", (),
        "The longest that a stream's text waited for guards, of streams in which any did.", OWN_SECONDS,
    ),
    Family(
        "gatewright_losses", "counter", ("client", "upstream", "weight"),
        "Parts of requests that the upstream's dialect cannot say.",
    ),
    Family("gatewright_ledger_lost", "counter", (), "Answered requests that could not be written to the ledger."),
    Family("gatewright_traces_dropped", "counter", (), "Traces that were not kept because their queue was full."),
    Family("gatewright_traces_failed", "counter", (), "Traces that a failure of the gateway's own has cost; the log says which."),
    Family(
        "gatewright_otlp_traces", "counter", ("outcome",),
        "Traces for a collector: sent; dropped (the queue was full, or the collector does not take them).",
    ),
    Family("gatewright_otlp_spans_rejected", "counter", (), "Spans that a collector took and did not want."),
    Family("gatewright_otlp_failures", "counter", (), "Requests to a collector that failed; some are made again."),
    Family(
        "gatewright_explorer_pushes", "counter", ("outcome",),
        "Conversations for Invariant's Explorer: pushed; dropped (the queue was full, or Explorer is left alone); failed.",
    ),
    Family("gatewright_log_lines_dropped", "counter", (), "Log lines that were not written because their queue was full."),
    Family("gatewright_requests_in_flight", "gauge", (), "Requests that are being answered."),
    Family("gatewright_streams_open", "gauge", (), "Streamed answers that have begun and not ended."),
    Family("gatewright_client_connections", "gauge", (), "Connections of clients."),
    Family(
        "gatewright_upstream_connections", "gauge", ("provider", "state"),
        "Connections to providers: busy, idle; and calls that wait for one: waiting.",
    ),
    Family("gatewright_upstream_calls", "gauge", ("provider", "state"), "Of providers with max_concurrent: running, queued."),
    Family(
        "gatewright_breaker_state", "gauge", ("provider", "model"),
        "Circuits that were ever open: 0 closed, 1 let a probe through, 2 open. An empty model is the provider as a whole.",
        joining="max",
    ),
    Family("gatewright_ledger_journal_bytes", "gauge", (), "Disk that journals take, with what is in the database already."),
    Family(
        "gatewright_ledger_lag_seconds", "gauge", (), "Age of the oldest record that is not in the ledger's database yet.",
        joining="max",
    ),
    Family("gatewright_event_loop_lag_seconds", "histogram", (), "How late a timer of 100 ms came, in each worker.", OWN_SECONDS),
    Family(
        "gatewright_series_overflowed", "counter", (),
        "Requests counted under `overflow`, since there were as many series as may be.",
    ),
    Family("gatewright_workers", "gauge", (), "Worker processes that are alive."),
    Family("gatewright_build_info", "gauge", ("version", "python"), "1, with what runs.", joining="max"),
    Family("process_cpu_seconds", "counter", (), "CPU time of all workers."),
    Family("process_resident_memory_bytes", "gauge", (), "Memory of all workers."),
    Family("process_open_fds", "gauge", (), "Open files of all workers."),
    Family("process_start_time_seconds", "gauge", (), "Unix time at which the first of the workers started.", joining="min"),
)  # fmt: skip
BY_NAME: Final[Mapping[str, Family]] = {family.name: family for family in FAMILIES}
