"""What a span says of a request: the attributes of OpenTelemetry's GenAI conventions, and our own where they have no word.

One rule: what nobody told is not there. Sums are theirs (input counts what came of caches, output counts reasoning), ours are
disjoint (`ir.response.Usage`).
https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md (read 2026-11; nothing in it is
stable yet)
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonValue
from gatewright.record import otlp_messages as told
from gatewright.record.traces import Trace
from gatewright.wire import json
from gatewright.wire.json import BadJson

Value: TypeAlias = str | bool | int | float | tuple[str, ...]

MOST_CONTENT: Final = 1 << 19
"""Bytes of one attribute of what was said: the oldest messages are left out beyond."""

_OPERATIONS: Final[Mapping[str, str]] = {"generate": "chat", "invoke": "chat"}
_FORWARDED: Final[Mapping[str, str]] = {"embeddings": "embeddings", "completions": "text_completion"}
PROVIDERS: Final[Mapping[str, str]] = {
    "azure": "azure.ai.openai",
    "azure-ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock-mantle": "aws.bedrock",
    "gemini": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""Host of the catalogue → the conventions' word, where they differ. All others by their own name."""


def failure(trace: Trace) -> str | None:
    return (trace.problem or trace.error or f"status {trace.status}") if trace.outcome == "error" or trace.status >= 500 else None


def operation(trace: Trace) -> str:
    if trace.operation == "generate" and trace.client_dialect == "gemini":
        return "generate_content"
    if trace.operation == "forward":
        heads = [word for word in _FORWARDED if f"/{word}" in trace.path]
        return _FORWARDED[heads[0]] if heads else "forward"
    return _OPERATIONS.get(trace.operation, trace.operation or "unknown")


def host(provider: str, hosts: Mapping[str, str]) -> str:
    host = hosts.get(provider, provider)
    return PROVIDERS.get(host, host)


def subject(trace: Trace, hosts: Mapping[str, str]) -> dict[str, Value]:
    found: dict[str, Value] = {
        "gen_ai.operation.name": operation(trace),
        "gen_ai.provider.name": host(trace.provider, hosts) or "gatewright",
        "http.request.method": trace.method,
        "url.path": trace.path,
        "http.response.status_code": trace.status,
    }
    if trace.asked:
        found["gen_ai.request.model"] = trace.asked
    if trace.stream:
        found["gen_ai.request.stream"] = True
    if failure(trace) is not None:
        found["error.type"] = trace.error or str(trace.status)
    return found


def asked(request: Request | None) -> dict[str, Value]:
    if request is None:
        return {}
    sampling = request.sampling
    given: dict[str, int | float | None] = {
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.temperature": _double(sampling.temperature),
        "gen_ai.request.top_p": _double(sampling.top_p),
        "gen_ai.request.top_k": _double(sampling.top_k),
        "gen_ai.request.frequency_penalty": _double(sampling.frequency_penalty),
        "gen_ai.request.presence_penalty": _double(sampling.presence_penalty),
        "gen_ai.request.seed": sampling.seed,
        "gen_ai.request.choice.count": sampling.n if sampling.n != 1 else None,
    }
    found: dict[str, Value] = {name: value for name, value in given.items() if value is not None}
    if sampling.stop:
        found["gen_ai.request.stop_sequences"] = sampling.stop
    if request.output is not None:
        found["gen_ai.output.type"] = "text" if request.output.kind == "text" else "json"
    return found


def _double(value: float | None) -> float | None:
    return None if value is None else float(value)


_USAGE: Final[Mapping[str, tuple[str, ...]]] = {
    "gen_ai.usage.input_tokens": ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in"),
    "gen_ai.usage.output_tokens": ("output", "reasoning", "audio_out"),
    "gen_ai.usage.cache_read.input_tokens": ("cache_read",),
    "gen_ai.usage.cache_creation.input_tokens": ("cache_write_5m", "cache_write_1h"),
    "gen_ai.usage.reasoning.output_tokens": ("reasoning",),
    "gen_ai.usage.audio.input_tokens": ("audio_in",),
    "gen_ai.usage.audio.output_tokens": ("audio_out",),
}
"""Attribute → our axes, which are disjoint; theirs are sums."""


def usage_attributes(usage: Mapping[str, int | str]) -> dict[str, int]:
    """What the provider told, in the conventions' sums. What it did not tell is not there."""
    found: dict[str, int] = {}
    for name, axes in _USAGE.items():
        figures = [figure for axis in axes if isinstance(figure := usage.get(axis), int)]
        if figures:
            found[name] = sum(figures)
    return found


def answered(trace: Trace, answer: Response | None) -> dict[str, Value]:
    found: dict[str, Value] = {**usage_attributes(trace.usage)}
    if trace.stream and trace.ttft_us is not None:
        found["gen_ai.response.time_to_first_chunk"] = trace.ttft_us / 1_000_000
    model = answer.model if answer is not None and answer.model else trace.model
    if model:
        found["gen_ai.response.model"] = model
    if answer is None:
        return found
    if answer.id:
        found["gen_ai.response.id"] = answer.id
    if word := told.finish_word(answer.finish):
        found["gen_ai.response.finish_reasons"] = (word,)
    return found


def ours(trace: Trace) -> dict[str, Value]:
    """What the conventions have no word for. Empty ones are left out."""
    said: dict[str, Value] = {
        "gatewright.request_id": trace.id,
        "gatewright.key": trace.key_name,
        "gatewright.key_id": trace.key_id,
        "gatewright.team": trace.team,
        "gatewright.organization": trace.organization,
        "gatewright.route": trace.route,
        "gatewright.target": f"{trace.provider}/{trace.model}" if trace.provider else "",
        "gatewright.client_dialect": trace.client_dialect,
        "gatewright.upstream_dialect": trace.upstream_dialect,
        "gatewright.outcome": trace.outcome,
        "gatewright.cache": trace.cache,
        "gatewright.parent": trace.parent,
        "gatewright.session.link": trace.link,
        "gatewright.price_source": trace.price_source,
        "gatewright.losses": tuple(f"{loss.path} ({loss.weight}): {loss.why}" for loss in trace.lost),
        "gatewright.guards": trace.rules,
    }
    found = {name: value for name, value in said.items() if value not in ("", ())}
    found["gatewright.attempts"] = len(trace.tried) or trace.attempts
    if trace.cost_micros is not None:
        found["gatewright.cost_usd"] = trace.cost_micros / 1_000_000
    return found | {f"gatewright.metadata.{name}": value for name, value in trace.metadata.items()}


def surroundings(trace: Trace) -> dict[str, Value]:
    """What stands at every span, for whoever filters spans one by one."""
    said = {"session.id": trace.session, "gen_ai.conversation.id": trace.session, "user.id": trace.user}
    return {name: value for name, value in said.items() if value}


def content(request: Request | None, answer: Response | None) -> dict[str, Value]:
    said: dict[str, list[JsonValue]] = {}
    if request is not None:
        said["gen_ai.system_instructions"] = told.instructions(request)
        said["gen_ai.input.messages"] = told.input_messages(request)
        said["gen_ai.tool.definitions"] = told.tool_definitions(request.tools)
    if answer is not None:
        said["gen_ai.output.messages"] = told.output_messages(answer)
    return {name: text for name, value in said.items() if value and (text := bounded(value))}


def bounded(items: Sequence[JsonValue], most: int = MOST_CONTENT) -> str:
    """The list as JSON, of the last ones that fit; how many are left out stands in the first's place."""
    kept: list[bytes] = []
    size = 0
    for item in reversed(items):
        try:
            text = json.encode(item)
        except BadJson:
            text = b'{"role":"unknown","parts":[{"type":"unreadable"}]}'
        size += len(text) + 1
        if size > most:
            break
        kept.append(text)
    if missing := len(items) - len(kept):
        kept.append(b'{"role":"system","parts":[{"type":"omitted","count":%d}]}' % missing)
    return "[" + ",".join(text.decode() for text in reversed(kept)) + "]"
