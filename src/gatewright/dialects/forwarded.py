"""Endpoints that are forwarded, not translated: which family a path belongs to, where its model stands, where its usage is.

One rule: bytes only. A body is never rewritten beyond its model name (and the wish for usage in a streamed completion).
"""

from typing import Final

import msgspec

from gatewright.ir.response import Usage
from gatewright.jsontypes import JsonObject
from gatewright.wire.json import BadJson, decode_lenient, encode
from gatewright.wire.splice import splice

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
    if segments and segments[0] == "upload":  # Google's: `/upload/v1beta/files`
        segments = segments[1:]
    if segments and segments[0] in ("v1", "v1beta", "v1alpha", "v2"):
        segments = segments[1:]
    if not segments:
        return "any"
    if segments[0] == "messages" and segments[1:2] == ["batches"]:
        return "batches"
    action = segments[-1].rpartition(":")[2]
    return FAMILIES.get(action) or FAMILIES.get(segments[0], "any")


_BATCH_ACTIONS: Final = ("batchGenerateContent", "asyncBatchEmbedContent")


def begins_batch(method: str, path: str) -> bool:
    """Whether the call begins a batch, which is billed when it is done; not where it asks for one, or cancels it."""
    last = path.rstrip("/").rpartition("/")[2]
    return method == "POST" and (last == "batches" or last.rpartition(":")[2] in _BATCH_ACTIONS)


class _Model(msgspec.Struct):
    model: str = ""


_model = msgspec.json.Decoder(_Model).decode


def model_in_json(body: bytes) -> str:
    """The top-level `model`; empty when there is none or the body is not such a document."""
    try:
        return _model(body).model
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""


class _Item(msgspec.Struct):
    model: str = ""


class _Batch(msgspec.Struct):
    model: str = ""
    requests: list[_Item] = []


_batch = msgspec.json.Decoder(_Batch).decode
_raw_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def rename_in_embeddings(body: bytes, model: str) -> bytes:
    """A Gemini embedding call whose models, in the call and in each request of a batch, are the one of its path.

    Google refuses a batch whose requests name another model than the path. A body that names none stays as it is.
    """
    try:
        batch = _batch(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return body
    name = f"models/{model}"
    edits: dict[str, bytes | None] = {}
    if batch.model not in ("", name):
        edits["model"] = encode(name)
    if any(item.model not in ("", name) for item in batch.requests):
        requests = _raw_list(_raw_object(body)["requests"])
        named = [
            splice(bytes(raw), {"model": encode(name)}) if item.model else bytes(raw)
            for raw, item in zip(requests, batch.requests, strict=True)
        ]
        edits["requests"] = b"[" + b",".join(named) + b"]"
    return splice(body, edits) if edits else body


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
    if isinstance(meta, dict) and isinstance(billed := meta.get("billed_units"), dict):
        return msgspec.structs.replace(usage_of(billed), raw=meta)
    return None


def usage_in_tail(tail: bytes) -> Usage | None:
    """The last usage object in the end of a stream; None when it tells none. Usage objects hold no braces in strings."""
    place = len(tail)
    while (place := tail.rfind(b'"usage"', 0, place)) >= 0:
        start = tail.find(b"{", place)
        if start < 0 or tail[place + 7 : start].strip() != b":":
            continue
        depth = 0
        for end in range(start, len(tail)):
            depth += (tail[end] == 0x7B) - (tail[end] == 0x7D)
            if depth == 0:
                try:
                    told = decode_lenient(tail[start : end + 1])
                except BadJson:
                    break
                return usage_of(told) if isinstance(told, dict) and told else None
    return None


def usage_of(told: JsonObject) -> Usage:
    """Prompt and completion tokens under whichever names; what came from a cache and what is sound, apart."""

    def first(*names: str) -> int | None:
        for name in names:
            value = told.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
        return None

    read = first("prompt_tokens", "input_tokens", "promptTokenCount")
    if read is None:
        read = first("total_tokens", "totalTokenCount")
    cached, audio_in = _detail(told, "cached_tokens", _READ), _detail(told, "audio_tokens", _READ)
    written, audio_out = (
        first("completion_tokens", "output_tokens", "candidatesTokenCount"),
        _detail(told, "audio_tokens", _WRITTEN),
    )
    return Usage(
        input=None if read is None else max(0, read - (cached or 0) - (audio_in or 0)),
        cache_read=cached,
        audio_in=audio_in,
        output=None if written is None else max(0, written - (audio_out or 0)),
        audio_out=audio_out,
        raw=told,
    )


_READ = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_WRITTEN = ("completion_tokens_details", "output_tokens_details", "output_token_details")


def _detail(told: JsonObject, name: str, places: tuple[str, ...]) -> int | None:
    """What is counted within the prompt or the completion."""
    for place in places:
        details = told.get(place)
        if (
            isinstance(details, dict)
            and isinstance(value := details.get(name), int)
            and not isinstance(value, bool)
            and value >= 0
        ):
            return value
    return None
