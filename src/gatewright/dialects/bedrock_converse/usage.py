"""Usage both ways: `inputTokens` excludes what the cache read or wrote; reasoning is part of `outputTokens`.

One rule: the neutral axes are disjoint; the origin's own object is kept beside them and written again at home.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
"""

from gatewright.dialects.bedrock_converse.seals import NAME
from gatewright.ir.response import Usage
from gatewright.jsontypes import JsonObject, JsonValue


def _count(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def parse_usage(raw: JsonObject, tier: JsonValue = None) -> Usage:
    """The axes of a usage object; `tier` is the `serviceTier` that stands beside it. Never raises."""
    written = _count(raw.get("cacheWriteInputTokens"))
    details = raw.get("cacheDetails")
    five, hour = written, None
    if isinstance(details, list):
        hours = [_count(item.get("inputTokens")) or 0 for item in details if isinstance(item, dict) and item.get("ttl") == "1h"]
        if hours:
            hour = sum(hours) if written is None else min(sum(hours), written)
            five = None if written is None else written - hour
    word = tier.get("type") if isinstance(tier, dict) else None
    return Usage(
        input=_count(raw.get("inputTokens")),
        cache_read=_count(raw.get("cacheReadInputTokens")),
        cache_write_5m=five,
        cache_write_1h=hour,
        output=_count(raw.get("outputTokens")),
        service_tier=word if isinstance(word, str) else None,
        raw=raw,
    )


def render_usage(usage: Usage | None, origin: str) -> JsonObject:
    """The usage object for a client; zeros where the upstream did not say and the shape requires a number."""
    if usage is None:
        return {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}
    if origin == NAME and usage.raw:
        return usage.raw
    wire: JsonObject = {
        "inputTokens": (usage.input or 0) + (usage.audio_in or 0),
        "outputTokens": usage.total_output,
        "totalTokens": usage.total_input + usage.total_output,
    }
    if usage.cache_read is not None:
        wire["cacheReadInputTokens"] = usage.cache_read
    if usage.cache_write_5m is not None or usage.cache_write_1h is not None:
        wire["cacheWriteInputTokens"] = (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0)
        told = (("5m", usage.cache_write_5m), ("1h", usage.cache_write_1h))
        details: list[JsonValue] = [{"ttl": ttl, "inputTokens": tokens} for ttl, tokens in told if tokens]
        if details:
            wire["cacheDetails"] = details
    return wire


TIERS = {"default": "default", "standard": "default", "priority": "priority", "flex": "flex", "batch": "flex"}
"""The tier that served, in others' words → ours."""


def render_tier(usage: Usage | None, origin: str) -> JsonObject | None:
    """`serviceTier` of an answer; None where nobody told it or it has no word here."""
    if usage is None or usage.service_tier is None:
        return None
    word = usage.service_tier if origin == NAME else TIERS.get(usage.service_tier)
    return None if word is None else {"type": word}
