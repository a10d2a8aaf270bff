"""The words of Chat Completions, both ways, and the small shapes that every file here needs.

One rule: a nested object's leftovers travel in the node's extras under dotted keys (`function.strict`), so that a path and an
extra are spelt the same.
https://platform.openai.com/docs/api-reference/chat
"""

import hashlib
import re

from gatewright.ir.blocks import DialectName, Inline, Source, Url
from gatewright.ir.response import FinishReason
from gatewright.jsontypes import JsonObject, JsonValue

NAME: DialectName = "openai_chat"

FINISH_IN: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    # Other hosts' words.
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_length": "context",  # Mistral
    "model_context_window_exceeded": "context",  # Z.ai
    "sensitive": "content_filter",  # Z.ai
    "safety": "content_filter",
    "insufficient_system_resource": "error",  # DeepSeek
    "network_error": "error",  # Z.ai
    "error": "error",
}
FINISH_OUT: dict[FinishReason, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "context": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "stop",
    "error": "length",  # an answer that broke off must not look complete
    "other": "stop",
}
FINISH_EXACT: frozenset[FinishReason] = frozenset({"stop", "stop_sequence", "length", "tool_calls", "content_filter"})
"""Reasons that chat has a word for; the others are approximated."""

FINISH_AT: dict[DialectName, str] = {
    "openai_chat": "choices[0].finish_reason",
    "openai_responses": "status",
    "anthropic": "stop_reason",
    "gemini": "candidates[0].finishReason",
}

HOSTED: dict[str, str] = {
    "openrouter:web_search": "web_search",
    "web_search": "web_search",
    "web_search_preview": "web_search",
    "web_search_premium": "web_search",
    "browser_search": "web_search",
    "live_search": "web_search",
    "$web_search": "web_search",
    "code_interpreter": "code_execution",
    "code_execution": "code_execution",
    "file_search": "file_search",
    "image_generation": "image_generation",
    "mcp": "mcp",
}
"""Type word of a tool that a host runs → what it is in the field's words."""

AUDIO_TYPE: dict[str, str] = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "pcm16": "audio/pcm",
}
AUDIO_FORMAT: dict[str, str] = {
    **{kind: word for word, kind in AUDIO_TYPE.items()},
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/x-m4a": "m4a",
}

SERVICE_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})

CALL_ID_MAX = 40
"""OpenAI refuses longer tool-call ids in chat."""
STRING: tuple[str, ...] = ("delta",)
"""Form of a text that came streamed: where a whole answer holds nothing else, it says it as a string, not as a list of parts."""

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)


def source_of(url: str) -> Source:
    """A URL, or what a data URL holds. Anything but plain base64 stays a URL, so that it is written back as it came."""
    match = _DATA_URL.fullmatch(url)
    return Inline(media_type=match[1], data=match[2]) if match else Url(url=url)


def url_of(source: Url | Inline) -> str:
    return (
        source.url if isinstance(source, Url) else f"data:{source.media_type or 'application/octet-stream'};base64,{source.data}"
    )


def short_id(word: str) -> str:
    """A tool-call id that every host accepts: itself when short enough, else a digest (the same id → the same digest)."""
    return word if len(word) <= CALL_ID_MAX else digest("call_", word)


def digest(prefix: str, *words: str) -> str:
    return prefix + hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:24]


def nest(extras: JsonObject, prefix: str, rest: JsonObject) -> None:
    """Adds a nested object's leftovers to `extras` under dotted keys."""
    for key, value in rest.items():
        extras[f"{prefix}.{key}"] = value


def merge(document: JsonObject, extras: JsonObject) -> JsonObject:
    """`document` with `extras` written in; dotted keys go into the nested object that they name, where there is one."""
    for key, value in extras.items():
        head, _, tail = key.partition(".")
        inner = document.get(head) if tail else None
        if isinstance(inner, dict):
            merge(inner, {tail: value})
        else:
            document[key] = value
    return document


def lower_types(schema: JsonValue) -> JsonValue:
    """A JSON Schema whose type words are spelt as JSON Schema does (`STRING` → `string`)."""
    if isinstance(schema, list):
        return [lower_types(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found: JsonObject = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, str) and value.isupper():
            found[key] = value.lower()
        elif key in {"enum", "const", "default", "example", "examples"}:
            found[key] = value
        else:
            found[key] = lower_types(value)
    return found
