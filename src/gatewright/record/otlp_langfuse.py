"""What Langfuse wants to read of a span in words of its own, beside the conventions'.

One rule: its words come first there, so they say what is known best: the model that answered, our disjoint counts, the cost that
the ledger has.
https://langfuse.com/integrations/native/opentelemetry#property-mapping
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from gatewright.record.otlp_attributes import Value, failure, operation
from gatewright.record.traces import Trace
from gatewright.wire import json

_SAID: Final[Mapping[str, str]] = {
    "gen_ai.input.messages": "langfuse.observation.input",
    "gen_ai.output.messages": "langfuse.observation.output",
}


def everywhere(trace: Trace) -> dict[str, Value]:
    """What Langfuse wants at every span of a trace."""
    tags = tuple(word for word in (trace.route, trace.client_dialect, trace.provider) if word)
    said: dict[str, Value] = {"langfuse.trace.name": f"{operation(trace)} {trace.asked}".strip(), "langfuse.trace.tags": tags}
    known = {"key": trace.key_name, "team": trace.team, "organization": trace.organization, **trace.metadata}
    return said | {f"langfuse.trace.metadata.{name}": value for name, value in known.items() if value}


def generation(trace: Trace, attributes: Mapping[str, Value]) -> dict[str, Value]:
    """https://langfuse.com/integrations/native/opentelemetry#property-mapping"""
    found: dict[str, Value] = {"langfuse.observation.type": "generation"}
    if trace.model:
        found["langfuse.observation.model.name"] = trace.model
    counted = {name: figure for name, figure in trace.usage.items() if isinstance(figure, int)}
    if counted:
        found["langfuse.observation.usage_details"] = json.encode(counted).decode()
    if trace.cost_micros is not None:
        found["langfuse.observation.cost_details"] = json.encode({"total": trace.cost_micros / 1_000_000}).decode()
    if trace.ttft_us is not None:
        found["langfuse.observation.completion_start_time"] = _instant(trace.at + trace.ttft_us)
    if (problem := failure(trace)) is not None:
        found["langfuse.observation.level"] = "ERROR"
        found["langfuse.observation.status_message"] = problem
    for ours, theirs in _SAID.items():
        if ours in attributes:
            found[theirs] = attributes[ours]
    return found


def _instant(at: int) -> str:
    return datetime.fromtimestamp(at / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
