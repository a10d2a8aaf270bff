"""Usage, both ways.

One rule: the wire counts cached tokens within the prompt and reasoning within the completion; ours are disjoint axes.
A total that holds reasoning beside the completion (xAI), or sound beside the prompt (Mistral), shows that there it is not within.
https://platform.openai.com/docs/api-reference/chat/object#chat-object-usage
"""

import msgspec

from gatewright.ir.response import Usage
from gatewright.jsontypes import JsonObject, JsonValue


class _Prompt(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class _Completion(msgspec.Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class Figures(msgspec.Struct):
    """The figures of a usage object, wherever hosts put them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _Prompt | None = None
    completion_tokens_details: _Completion | None = None
    reasoning_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's name for what was read from the cache; Databricks, Together and Mistral have the next three."""
    cache_read_input_tokens: int | None = None
    cached_tokens: int | None = None
    num_cached_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    citation_tokens: int | None = None
    """Perplexity's, whose reasoning is beside the completion, too, though no total holds it."""
    service_tier: JsonValue = None

    @property
    def said(self) -> bool:
        """Whether it tells anything."""
        return self.prompt_tokens is not None or self.completion_tokens is not None or self.total_tokens is not None


def parse_usage(raw: JsonObject, service_tier: JsonValue = None) -> Usage:
    """Tolerant: what is no number counts as unsaid."""
    try:
        figures = msgspec.convert(raw, Figures)
    except msgspec.ValidationError:
        figures = msgspec.convert(_numbers_only(raw), Figures)
    return usage_of(figures, service_tier, raw)


def usage_of(told: Figures, service_tier: JsonValue, raw: JsonObject) -> Usage:
    """The axes, apart."""
    prompt, completion = told.prompt_tokens, told.completion_tokens
    into, out = told.prompt_tokens_details, told.completion_tokens_details
    cached = written = audio_in = audio_out = None
    reasoning = told.reasoning_tokens
    if into is not None:
        cached, written, audio_in = into.cached_tokens, into.cache_write_tokens, into.audio_tokens
    if out is not None:
        audio_out = out.audio_tokens
        if out.reasoning_tokens is not None:
            reasoning = out.reasoning_tokens
    if cached is None:  # one after the other, and no loop: every answer is asked
        cached = told.prompt_cache_hit_tokens
    if cached is None:
        cached = told.cache_read_input_tokens
    if cached is None:
        cached = told.cached_tokens
    if cached is None:
        cached = told.num_cached_tokens
    if written is None:
        written = told.cache_creation_input_tokens
    fresh, visible = prompt, completion
    if fresh is not None:
        if cached:
            fresh -= cached
        if written:
            fresh -= written
        if audio_in and told.total_tokens != (prompt or 0) + (completion or 0) + audio_in:
            fresh -= audio_in
        if fresh < 0:  # noqa: PLR1730 - a call costs more than all the rest here
            fresh = 0
    if visible is not None:
        if audio_out:
            visible -= audio_out
        if reasoning and not _beside(told, reasoning):
            visible -= reasoning
        if visible < 0:  # noqa: PLR1730 - as above
            visible = 0
    tier = told.service_tier or service_tier
    return Usage(
        input=fresh,
        cache_read=cached,
        cache_write_5m=written,
        output=visible,
        reasoning=reasoning,
        audio_in=audio_in,
        audio_out=audio_out,
        service_tier=tier if tier and isinstance(tier, str) else None,
        raw=raw,
    )


def _beside(told: Figures, reasoning: int) -> bool:
    """Whether the reasoning is not within the completion."""
    both = (told.prompt_tokens or 0) + (told.completion_tokens or 0)
    return told.total_tokens == both + reasoning or told.citation_tokens is not None


_DETAILS = ("prompt_tokens_details", "completion_tokens_details")


def _numbers_only(raw: JsonObject) -> JsonObject:
    """`raw` without whatever is no number where one is expected."""
    kept: JsonObject = {k: v for k, v in raw.items() if (type(v) is int and k not in _DETAILS) or k == "service_tier"}
    for key in _DETAILS:
        details = raw.get(key)
        if isinstance(details, dict):
            kept[key] = {k: v for k, v in details.items() if type(v) is int}
    return kept


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
