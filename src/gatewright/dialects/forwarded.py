"""Endpoints that are forwarded, not translated: which family a path belongs to, where its model stands, where its usage is.

One rule: bytes only. A body is never rewritten beyond its model name.
"""

import re

import msgspec

from gatewright.ir.response import Usage
from gatewright.jsontypes import JsonObject
from gatewright.wire.json import BadJson, decode_lenient

FAMILIES: dict[str, str] = {
    "embeddings": "embeddings",
    "images": "images",
    "audio": "audio",
    "moderations": "moderations",
    "rerank": "rerank",
    "completions": "completions",
    "files": "files",
    "uploads": "files",
    "batches": "batches",
    "embedContent": "embeddings",
    "batchEmbedContents": "embeddings",
}
"""First path segment after the version (or Gemini's action) → what a provider must have."""


def family_of(path: str) -> str:
    """The family a path belongs to; `any` for what nobody has heard of yet."""
    segments = [s for s in path.split("/") if s]
    if segments and segments[0] in ("v1", "v1beta", "v1alpha", "v2"):
        segments = segments[1:]
    if not segments:
        return "any"
    if segments[0] == "messages" and segments[1:2] == ["batches"]:
        return "batches"
    action = segments[-1].rpartition(":")[2]
    return FAMILIES.get(action) or FAMILIES.get(segments[0], "any")


class _Model(msgspec.Struct):
    model: str = ""
    stream: bool = False


_model = msgspec.json.Decoder(_Model).decode

_MULTIPART_MODEL = re.compile(
    rb'(\r\ncontent-disposition:[^\r\n]*;\s*name="model"[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n)([^\r\n]{0,256})\r\n', re.IGNORECASE
)


def model_in_json(body: bytes) -> str:
    """The top-level `model`; empty when there is none or the body is not such a document."""
    try:
        return _model(body).model
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""


def model_in_multipart(body: bytes) -> str:
    """The form field `model`; empty when there is none."""
    found = _MULTIPART_MODEL.search(b"\r\n" + body[: 1 << 20]) or _MULTIPART_MODEL.search(body)
    return found.group(2).decode("utf-8", "replace") if found else ""


def rename_in_multipart(body: bytes, model: str) -> bytes:
    """The form with its field `model` set to another name; every other byte stays."""
    found = _MULTIPART_MODEL.search(body)
    return body if found is None else body[: found.start(2)] + model.encode() + body[found.end(2) :]


def usage_in(body: bytes) -> Usage | None:
    """The usage that a forwarded JSON answer tells, in any of the vendors' shapes; None when it tells none."""
    try:
        document = decode_lenient(body)
    except BadJson:
        return None
    if not isinstance(document, dict):
        return None
    for key in ("usage", "usageMetadata"):
        told = document.get(key)
        if isinstance(told, dict):
            return usage_of(told)
    meta = document.get("meta")
    if isinstance(meta, dict) and isinstance(meta.get("billed_units"), dict):
        return Usage(raw=meta)
    return None


def usage_of(told: JsonObject) -> Usage:
    """Prompt and completion tokens under whichever names."""

    def first(*names: str) -> int | None:
        for name in names:
            value = told.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
        return None

    read = first("prompt_tokens", "input_tokens", "promptTokenCount")
    if read is None:
        read = first("total_tokens", "totalTokenCount")
    return Usage(input=read, output=first("completion_tokens", "output_tokens", "candidatesTokenCount"), raw=told)
