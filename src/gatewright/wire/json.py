"""JSON in and out of bytes. Never stdlib json on the hot path; every failure is one exception with a message for a person."""

import json
import re
from typing import cast

import msgspec

from gatewright.jsontypes import JsonObject, JsonValue

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


class BadJson(ValueError):
    """Not JSON, or JSON that nobody should send. The message says why, without the document."""


def decode(data: bytes) -> JsonValue:
    """The document. Strict: lone surrogates and nesting beyond the interpreter's limit are refused as BadJson."""
    try:
        return cast("JsonValue", _decode(data))
    except RecursionError:
        raise BadJson("JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if _SURROGATE_ESCAPE.search(data):
            raise BadJson("JSON holds a lone surrogate escape (or is malformed near one)") from None
        raise BadJson(f"not valid JSON: {error}") from None


def decode_object(data: bytes) -> JsonObject:
    """The document, which must be an object."""
    value = decode(data)
    if not isinstance(value, dict):
        raise BadJson(f"expected a JSON object, got {kind(value)}")
    return value


def decode_or_text(text: str) -> JsonValue:
    """The document that a model wrote, say as a call's arguments; the text itself where it is none. Never raises."""
    try:
        return decode(text.encode("utf-8", "surrogatepass"))
    except BadJson:
        return text


def decode_lenient(data: bytes) -> JsonValue:
    """What a provider sent: as `decode`, but lone surrogates (a model's character cut in two) become U+FFFD."""
    try:
        return decode(data)
    except BadJson:
        if not _SURROGATE_ESCAPE.search(data):
            raise
    try:
        return _mend(json.loads(data))
    except (ValueError, RecursionError):
        raise BadJson("not valid JSON") from None


def _mend(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mend(item) for item in value]
    if isinstance(value, dict):
        return {cast("str", _mend(key)): _mend(item) for key, item in value.items()}
    return value


def encode(value: object) -> bytes:
    """Compact UTF-8. Raises BadJson on what JSON cannot say (lone surrogates, nesting beyond the limit)."""
    try:
        return _encode(value)
    except RecursionError:
        raise BadJson("JSON is nested too deeply") from None
    except (UnicodeEncodeError, msgspec.EncodeError) as error:
        raise BadJson(f"cannot be written as JSON: {error}") from None


def kind(value: object) -> str:
    """A JSON type's name, for error messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"
