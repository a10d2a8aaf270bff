"""Usage, both ways.

One rule: the wire counts cached tokens within the prompt and reasoning within the completion; ours are disjoint axes.
A total that holds reasoning beside the completion (xAI) shows that there it is not within.
https://platform.openai.com/docs/api-reference/chat/object#chat-object-usage
"""

import msgspec

from gatewright.ir.response import Usage
from gatewright.jsontypes import JsonObject, JsonValue

CACHED_ELSEWHERE = ("prompt_cache_hit_tokens", "cache_read_input_tokens", "cached_tokens", "num_cached_tokens")
"""Where hosts put cached tokens that say nothing in `prompt_tokens_details`: DeepSeek, Databricks, Together, Mistral."""
WRITTEN_ELSEWHERE = "cache_creation_input_tokens"


def parse_usage(raw: JsonObject, service_tier: JsonValue = None) -> Usage:
    """Tolerant: what is no number counts as unsaid."""
    prompt, completion = _count(raw, "prompt_tokens"), _count(raw, "completion_tokens")
    into, out = _object(raw, "prompt_tokens_details"), _object(raw, "completion_tokens_details")
    cached = _count(into, "cached_tokens")
    if cached is None:
        for key in CACHED_ELSEWHERE:
            cached = _count(raw, key) if cached is None else cached
    written = _count(into, "cache_write_tokens")
    written = _count(raw, WRITTEN_ELSEWHERE) if written is None else written
    audio_in, audio_out = _count(into, "audio_tokens"), _count(out, "audio_tokens")
    reasoning = _count(out, "reasoning_tokens")
    if reasoning is None:
        reasoning = _count(raw, "reasoning_tokens")
    total = _count(raw, "total_tokens")
    beside = bool(reasoning) and total == (prompt or 0) + (completion or 0) + (reasoning or 0)
    visible = None
    if completion is not None:
        visible = completion - (audio_out or 0) - (0 if beside else reasoning or 0)
    tier = raw.get("service_tier") or service_tier
    return Usage(
        input=None if prompt is None else max(0, prompt - (cached or 0) - (written or 0) - (audio_in or 0)),
        cache_read=cached,
        cache_write_5m=written,
        output=None if visible is None else max(0, visible),
        reasoning=reasoning,
        audio_in=audio_in,
        audio_out=audio_out,
        service_tier=tier if isinstance(tier, str) and tier else None,
        raw=raw,
    )


def _count(raw: JsonObject, key: str) -> int | None:
    value = raw.get(key)
    return value if type(value) is int else None


def _object(raw: JsonObject, key: str) -> JsonObject:
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


def usage_in(document: JsonObject) -> Usage | None:
    """The usage that a whole answer or a chunk tells, also in Groq's `x_groq`; None when it tells none."""
    tier = document.get("service_tier")
    raw = document.get("usage")
    if isinstance(raw, dict) and raw:
        return parse_usage(raw, tier)
    groq = document.get("x_groq")
    raw = groq.get("usage") if isinstance(groq, dict) else None
    if not isinstance(raw, dict) or not raw:
        return None
    return msgspec.structs.replace(parse_usage(raw, tier), raw={"x_groq": {"usage": raw}})


def render_usage(usage: Usage) -> JsonObject:
    """The figures of another dialect's answer, in chat's words."""
    prompt, completion = usage.total_input, usage.total_output
    into: JsonObject = {}
    out: JsonObject = {}
    written = (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0)
    for details, key, value in (
        (into, "cached_tokens", usage.cache_read),
        (into, "cache_write_tokens", written or None),
        (into, "audio_tokens", usage.audio_in),
        (out, "reasoning_tokens", usage.reasoning),
        (out, "audio_tokens", usage.audio_out),
    ):
        if value is not None:
            details[key] = value
    body: JsonObject = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    if into:
        body["prompt_tokens_details"] = into
    if out:
        body["completion_tokens_details"] = out
    return body
