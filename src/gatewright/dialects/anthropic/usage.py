"""Usage both ways: Anthropic's `input_tokens` excludes what the cache read or wrote; thinking is part of `output_tokens`.

One rule: the neutral axes are disjoint; the origin's own object is kept beside them and written again at home.
"""

from gatewright.dialects.anthropic.content import NAME
from gatewright.ir.response import Usage
from gatewright.jsontypes import JsonObject, JsonValue

TIERS = {"default": "standard", "standard": "standard", "priority": "priority", "batch": "batch"}
"""The tier that served, in others' words → ours."""

LATE_USAGE = frozenset(
    {
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
        "output_tokens_details",
        "server_tool_use",
    }
)
"""What message_delta's usage can say."""


def _count(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def parse_usage(raw: JsonObject) -> Usage:
    """The axes of a usage object, whole or merged from a stream's events. Never raises."""
    written = _count(raw.get("cache_creation_input_tokens"))
    split = raw.get("cache_creation")
    five, hour = written, None
    if isinstance(split, dict):
        hour = _count(split.get("ephemeral_1h_input_tokens"))
        five = _count(split.get("ephemeral_5m_input_tokens"))
        if written is not None and written != (five or 0) + (hour or 0):
            # message_delta repeats the total alone; server tools can have raised it since message_start
            hour = min(hour or 0, written)
            five = written - hour
    output = _count(raw.get("output_tokens"))
    details = raw.get("output_tokens_details")
    reasoning = _count(details.get("thinking_tokens")) if isinstance(details, dict) else None
    tier = raw.get("service_tier")
    return Usage(
        input=_count(raw.get("input_tokens")),
        cache_read=_count(raw.get("cache_read_input_tokens")),
        cache_write_5m=five,
        cache_write_1h=hour,
        output=max(0, output - reasoning) if output is not None and reasoning is not None else output,
        reasoning=reasoning,
        service_tier=tier if isinstance(tier, str) else None,
        raw=raw,
    )


def merge_usage(before: JsonObject, update: JsonObject) -> JsonObject:
    """message_start's usage with message_delta's over it: every field that is present wins."""
    return {**before, **{key: value for key, value in update.items() if value is not None or key not in before}}


def render_usage(usage: Usage | None, origin: str) -> JsonObject:
    """The usage object for a client; zeros where the upstream did not say and the shape requires a number."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    if origin == NAME and usage.raw:
        return usage.raw
    wire: JsonObject = {
        "input_tokens": (usage.input or 0) + (usage.audio_in or 0),
        "cache_creation_input_tokens": (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0),
        "cache_read_input_tokens": usage.cache_read or 0,
        "output_tokens": usage.total_output,
    }
    if usage.cache_write_5m is not None or usage.cache_write_1h is not None:
        wire["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write_5m or 0,
            "ephemeral_1h_input_tokens": usage.cache_write_1h or 0,
        }
    if usage.reasoning is not None:
        wire["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if usage.service_tier in TIERS:
        wire["service_tier"] = TIERS[usage.service_tier]
    return wire
