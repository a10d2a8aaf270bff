"""The official SDKs' types as judges: they validate what we render. Their readers: `sdk_readers.py`.

One rule: every function returns findings as sentences; an empty list means that the SDK is content. Fields that the SDK's types do
not know are findings too: a cross rendering has no business inventing them, beyond the carriers in `CARRIERS`.
"""

import collections.abc
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import cast

import pydantic
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.beta.message_create_params import MessageCreateParams as BetaMessageCreateParams
from anthropic.types.message_create_params import MessageCreateParams
from google.genai import types as genai_types
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParams
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParams

from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire import json as wire_json
from gatewright.wire.sse import SseParser
from tests.laws import bedrock_oracle
from tests.laws.framing import events_of

CARRIERS: dict[DialectName, re.Pattern[str]] = {
    "openai_chat": re.compile(
        # reasoning and seals, as hosts of this dialect send them and real clients read them
        r".*\.(reasoning_content|reasoning_details(\[\])?(\..*)?|extra_content(\..*)?)"
        r"|choices\[\]\.delta\.annotations"  # OpenAI streams them; the chunk's type has no word for it
        r"|choices\[\]\.message\.annotations\[\]\.url_citation\.content"  # the cited text, as OpenRouter has it
        r"|choices\[\]\.(message|delta)\.images"  # images in answers, as OpenRouter has them
        r"|choices\[\]\.stop_reason"  # the stop sequence that was hit, as vLLM has it
    ),
    # Fields that OpenAI's own answers have though the type has not.
    "openai_responses": re.compile(r"(response\.)?(store|billing|frequency_penalty|presence_penalty)"),
    "anthropic": re.compile(r"(?!)"),
    "gemini": re.compile(r"(?!)"),
}
"""Fields of answers that the SDK's types have no word for and that are meant."""

ANSWER: dict[DialectName, object] = {
    "openai_chat": ChatCompletion,
    "openai_responses": Response,
    "anthropic": Message,
    "gemini": genai_types.GenerateContentResponse,
}
STREAM_EVENT: dict[DialectName, object] = {
    "openai_chat": ChatCompletionChunk,
    "openai_responses": ResponseStreamEvent,
    "anthropic": RawMessageStreamEvent,
    "gemini": genai_types.GenerateContentResponse,
}
ASKED: dict[DialectName, tuple[object, ...]] = {
    "openai_chat": (CompletionCreateParams,),
    "openai_responses": (ResponseCreateParams,),
    "anthropic": (MessageCreateParams, BetaMessageCreateParams),
}
"""Request types; the first that is content decides. Gemini has none as sent on the wire: see `_gemini_request`."""

STILL_TAKEN: dict[DialectName, frozenset[str]] = {"anthropic": frozenset({"temperature", "top_p", "top_k"})}
"""Request fields that anthropic 2.x no longer types (the newest models refuse them) and the API still takes for all others."""


@lru_cache(maxsize=64)
def _adapter(kind: object) -> pydantic.TypeAdapter[object]:
    adapter: pydantic.TypeAdapter[object] = pydantic.TypeAdapter(kind)
    adapter.rebuild(force=False)
    return adapter


def _sentences(error: pydantic.ValidationError) -> list[str]:
    return [f"{'.'.join(map(str, e['loc']))}: {e['msg']} (got {str(e['input'])[:80]!r})" for e in error.errors()[:6]]


# ---------------------------------------------------------------------------------------------- answers


def unknown_fields(value: object, allowed: re.Pattern[str], at: str = "") -> Iterator[str]:
    """Paths of fields that the SDK's models kept as extras."""
    if isinstance(value, pydantic.BaseModel):
        for key, extra in (value.model_extra or {}).items():
            path = f"{at}.{key}".lstrip(".")
            if extra is not None and not allowed.fullmatch(re.sub(r"\[\d+\]", "[]", path)):
                yield path
        for key in type(value).model_fields:
            yield from unknown_fields(getattr(value, key), allowed, f"{at}.{key}")
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from unknown_fields(item, allowed, f"{at}[{i}]")


def answer(dialect: DialectName, body: JsonValue) -> list[str]:
    """A whole answer against the SDK's own type, unknown fields included."""
    if dialect == "bedrock_converse":
        return bedrock_oracle.answer(body)
    return _model(ANSWER[dialect], body, CARRIERS[dialect], dialect)


def _model(kind: object, body: JsonValue, allowed: re.Pattern[str], dialect: DialectName) -> list[str]:
    try:
        model = _adapter(kind).validate_json(wire_json.encode(body))
    except pydantic.ValidationError as error:
        return _sentences(error)
    if dialect == "gemini" and isinstance(body, dict) and "sdkHttpResponse" in body:
        return ["sdkHttpResponse is the SDK's own field"]
    return [f"{path}: not in the SDK's type" for path in unknown_fields(model, allowed)]


# --------------------------------------------------------------------------------------------- requests


def _exhaust(value: object) -> object:
    """Plain containers: pydantic validates `Iterable` fields only as they are read."""
    if isinstance(value, dict):
        return {key: _exhaust(item) for key, item in value.items()}
    if isinstance(value, str | bytes):
        return value
    if isinstance(value, collections.abc.Iterable):
        return [_exhaust(item) for item in value]
    return value


def _left_out(sent: JsonValue, kept: object, at: str = "") -> Iterator[str]:
    """What validation dropped: TypedDicts ignore keys they do not know."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        for key, value in sent.items():
            path = f"{at}.{key}".lstrip(".")
            if key not in kept:
                yield path
            else:
                yield from _left_out(value, kept[key], path)
    elif isinstance(sent, list) and isinstance(kept, list):
        for i, (one, other) in enumerate(zip(sent, kept, strict=False)):
            yield from _left_out(one, other, f"{at}[{i}]")


def request(dialect: DialectName, body: JsonObject) -> list[str]:
    """A request body against the SDK's request types, unknown fields included."""
    if dialect == "gemini":
        return _gemini_request(body)
    if dialect == "bedrock_converse":
        return bedrock_oracle.request(body)
    if dialect == "anthropic":
        body = {"stream": False, **body}
    if dialect == "openai_chat":
        body = cast("JsonObject", _typed_parts(body))
    findings: list[str] = []
    for kind in ASKED[dialect]:
        try:
            kept = _exhaust(_adapter(kind).validate_python(body))
        except pydantic.ValidationError as error:
            findings = findings or _sentences(error)
            continue
        taken = STILL_TAKEN.get(dialect, frozenset())
        unknown = [f"{path}: not in the SDK's type" for path in _left_out(body, kept) if path not in taken]
        if not unknown:
            return []
        findings = findings or unknown
    return findings


def _typed_parts(value: JsonValue) -> JsonValue:
    """The body with parts replaced that hosts of Chat Completions take (OpenRouter, vLLM, Qwen: `video_url`) and OpenAI refuses aloud."""
    if isinstance(value, dict):
        if value.get("type") == "video_url":
            return {"type": "text", "text": "a video"}
        audio = value.get("input_audio")
        if isinstance(audio, dict) and audio.get("format") not in ("wav", "mp3"):
            return {"type": "text", "text": "sound in a format that other hosts take"}
        return {key: _typed_parts(item) for key, item in value.items()}
    return [_typed_parts(item) for item in value] if isinstance(value, list) else value


_GENERATION_EXTRA = {"imageConfig", "enableEnhancedCivicAnswers"}
"""Fields that the SDK sends in generationConfig though its GenerationConfig type does not list them."""
_GEMINI_TOP: dict[str, object] = {
    "contents": list[genai_types.Content],
    "systemInstruction": genai_types.Content,
    "tools": list[genai_types.Tool],
    "toolConfig": genai_types.ToolConfig,
    "safetySettings": list[genai_types.SafetySetting],
    "generationConfig": genai_types.GenerationConfig,
    "cachedContent": str,
    "labels": dict[str, str],
    "serviceTier": str,
    "store": bool,
}


def _gemini_request(body: JsonObject) -> list[str]:
    findings: list[str] = []
    for key, value in body.items():
        if key not in _GEMINI_TOP:
            findings.append(f"{key}: not in the API")
            continue
        if key == "generationConfig" and isinstance(value, dict):
            value = {k: v for k, v in value.items() if k not in _GENERATION_EXTRA}  # noqa: PLW2901 - the SDK's type lacks them
        try:
            _adapter(_GEMINI_TOP[key]).validate_json(wire_json.encode(value))
        except pydantic.ValidationError as error:
            findings += [f"{key}.{sentence}" for sentence in _sentences(error)]
    return findings


# ---------------------------------------------------------------------------------------------- streams


def stream_events(wire: bytes) -> list[tuple[bytes, bytes]]:
    parser = SseParser()
    return parser.feed(wire) + parser.close()


def stream_shapes(dialect: DialectName, wire: bytes) -> list[str]:
    """Each event of a rendered stream against the SDK's event type. The error events that end a failed stream are not types."""
    if dialect == "bedrock_converse":
        return bedrock_oracle.stream_shapes(events_of(dialect, wire))
    findings: list[str] = []
    for number, (name, data) in enumerate(stream_events(wire)):
        if data == b"[DONE]" or name == b"error":
            continue
        try:
            document = wire_json.decode(data)
        except wire_json.BadJson as bad:
            findings.append(f"event {number}: {bad}")
            continue
        if isinstance(document, dict) and ("error" in document and dialect in ("openai_chat", "gemini")):
            continue
        if isinstance(document, dict) and document.get("type") in ("ping", "keepalive"):
            continue
        found = _model(STREAM_EVENT[dialect], document, CARRIERS[dialect], dialect)
        findings += [f"event {number}: {sentence}" for sentence in found[:3]]
        if len(findings) > 8:
            break
    return findings
