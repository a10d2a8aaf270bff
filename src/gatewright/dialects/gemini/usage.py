"""Token counts, both ways.

One rule: `promptTokenCount` includes what came from a cache and excludes what tools put in; thoughts are an addend beside the
candidates. A zero is left out; the total shows that it is one.
https://ai.google.dev/api/generate-content#UsageMetadata
"""

from gatewright.ir.response import Usage
from gatewright.jsontypes import JsonObject, JsonValue

_AUDIO: tuple[JsonValue, ...] = ("AUDIO", 4)


def _count(value: JsonValue) -> int | None:
    if type(value) is int:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def _audio(details: JsonValue) -> int | None:
    """Tokens of sound among a list of counts by modality; None when it tells none."""
    if not details:
        return None
    found = [
        count
        for item in (details if isinstance(details, list) else [])
        if isinstance(item, dict) and item.get("modality") in _AUDIO and (count := _count(item.get("tokenCount"))) is not None
    ]
    return sum(found) if found else None


def parse_usage(raw: JsonValue) -> Usage | None:
    """None when there is no usage object. Never raises: figures that are none are as good as untold."""
    if not isinstance(raw, dict) or not raw:
        return None
    prompt, cached = _count(raw.get("promptTokenCount")), _count(raw.get("cachedContentTokenCount"))
    tools = _count(raw.get("toolUsePromptTokenCount"))
    output = _count(raw.get("candidatesTokenCount"))
    audio_in, audio_out = _audio(raw.get("promptTokensDetails")), _audio(raw.get("candidatesTokensDetails"))
    if audio_in is not None:
        audio_in = max(0, audio_in - (_audio(raw.get("cacheTokensDetails")) or 0))
    reasoning = _count(raw.get("thoughtsTokenCount"))
    if output is None and prompt is not None and _count(raw.get("totalTokenCount")) == prompt + (tools or 0) + (reasoning or 0):
        output = 0
    tier = raw.get("serviceTier")
    read: int | None = None
    if prompt is not None or tools is not None:
        read = max(0, (prompt or 0) - (cached or 0) - (audio_in or 0)) + (tools or 0)
    return Usage(
        input=read,
        cache_read=cached,
        output=None if output is None else max(0, output - (audio_out or 0)),
        reasoning=reasoning,
        audio_in=audio_in,
        audio_out=audio_out,
        service_tier=tier if isinstance(tier, str) else None,
        raw=raw,
    )


def render_usage(usage: Usage, *, home: bool) -> JsonObject:
    """`usageMetadata`: the origin's own at home, else computed from the axes that were told."""
    if home and usage.raw:
        return usage.raw
    out: JsonObject = {}
    axes = (usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.audio_in)
    if any(axis is not None for axis in axes):
        out["promptTokenCount"] = usage.total_input
    if usage.cache_read is not None:
        out["cachedContentTokenCount"] = usage.cache_read
    if usage.output is not None or usage.audio_out is not None:
        out["candidatesTokenCount"] = (usage.output or 0) + (usage.audio_out or 0)
    if usage.reasoning is not None:
        out["thoughtsTokenCount"] = usage.reasoning
    if out:
        out["totalTokenCount"] = usage.total_input + usage.total_output
    for key, count in (("promptTokensDetails", usage.audio_in), ("candidatesTokensDetails", usage.audio_out)):
        if count:
            out[key] = [{"modality": "AUDIO", "tokenCount": count}]
    return out
