"""Usage, both ways.

One rule: here `input_tokens` includes the cached and `output_tokens` the reasoning ones; the neutral axes do not overlap.
https://platform.openai.com/docs/api-reference/responses/object#responses-object-usage
"""

from gatewright.dialects.openai_responses.names import NAME, as_object
from gatewright.ir.blocks import DialectName
from gatewright.ir.response import Usage
from gatewright.jsontypes import JsonObject, JsonValue


def _count(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def searches_in(output: JsonValue) -> int | None:
    """How many searches of the web a response's items show; None: none. Opening a page that was found costs nothing."""
    found = 0
    for item in output if isinstance(output, list) else ():
        if isinstance(item, dict) and item.get("type") == "web_search_call" and item.get("status") != "failed":
            found += as_object(item.get("action")).get("type") in (None, "search")
    return found or None


def parse_usage(value: JsonValue, tier: JsonValue = None, output: JsonValue = None) -> Usage | None:
    """None for anything but an object with something in it. `tier` is the response's `service_tier`, `output` its items."""
    if not isinstance(value, dict) or not value:
        return None
    read, written = as_object(value.get("input_tokens_details")), as_object(value.get("output_tokens_details"))
    total_in, total_out = _count(value.get("input_tokens")), _count(value.get("output_tokens"))
    cached, stored = _count(read.get("cached_tokens")), _count(read.get("cache_write_tokens"))
    audio_in, audio_out = _count(read.get("audio_tokens")), _count(written.get("audio_tokens"))
    reasoning = _count(written.get("reasoning_tokens"))
    taken_in = (cached or 0) + (stored or 0) + (audio_in or 0)
    taken_out = (reasoning or 0) + (audio_out or 0)
    return Usage(
        input=None if total_in is None else max(0, total_in - taken_in),
        cache_read=cached,
        cache_write_5m=stored,
        output=None if total_out is None else max(0, total_out - taken_out),
        reasoning=reasoning,
        audio_in=audio_in,
        audio_out=audio_out,
        searches=searches_in(output),
        service_tier=tier if isinstance(tier, str) else None,
        raw=value,
    )


def render_usage(usage: Usage, origin: DialectName) -> JsonObject:
    """The wire's usage: the upstream's own words at home, else computed."""
    if origin == NAME and usage.raw:
        return usage.raw
    stored = (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0)
    return {
        "input_tokens": usage.total_input,
        "input_tokens_details": {"cached_tokens": usage.cache_read or 0, "cache_write_tokens": stored},
        "output_tokens": usage.total_output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": usage.total_input + usage.total_output,
    }
