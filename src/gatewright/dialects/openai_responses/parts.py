"""Content parts: texts with annotations and log probabilities, refusals, images, files, audio. Wire -> blocks.

One rule: a part that could not be written back as it came is kept whole as a Native.
https://platform.openai.com/docs/api-reference/responses/create#responses-create-input
"""

import re
from typing import Literal

from gatewright.dialects.openai_responses.names import NAME, PART
from gatewright.errors import Malformed
from gatewright.ir.blocks import (
    Block,
    CacheHint,
    Citation,
    FileRef,
    Inline,
    Media,
    Native,
    Refusal,
    Source,
    Text,
    TokenLogprob,
    Url,
)
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.fields import Fields

Role = Literal["system", "user", "assistant"]

TEXT_KINDS = frozenset(("input_text", "output_text", "text"))
DEFAULT_TEXT: dict[Role, str] = {"system": "input_text", "user": "input_text", "assistant": "output_text"}
AUDIO_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav"}
AUDIO_FORMATS = {media: word for word, media in AUDIO_TYPES.items()}
_DATA_URL = re.compile(r"data:([^,]+);base64,(.*)", re.DOTALL)


def parse_part(value: JsonValue, at: str, role: Role) -> Block:
    """One part of a message's or tool result's content. Raises Malformed for what is not an object with a type."""
    part = Fields(value, at)
    kind = part.need_text("type")
    whole: JsonObject = dict(value) if isinstance(value, dict) else {}
    if kind in TEXT_KINDS:
        return parse_text(part, form=() if kind == DEFAULT_TEXT[role] else (kind,))
    match kind:
        case "refusal":
            return Refusal(text=part.need_text("refusal"), extras=part.rest(), at=at)
        case "input_image":
            return _image(part) or Native(origin=NAME, data=whole, form=(PART,), at=at)
        case "input_file":
            return _file(part) or Native(origin=NAME, data=whole, form=(PART,), at=at)
        case "input_audio":
            return _audio(part) or Native(origin=NAME, data=whole, form=(PART,), at=at)
        case _:
            return Native(origin=NAME, data=whole, form=(PART,), at=at)


def parse_text(part: Fields, form: tuple[str, ...] = ()) -> Text:
    """An `input_text` or `output_text` part whose `type` has been taken."""
    text = part.text("text")
    if text is None:
        raise Malformed(part.path("text"), "a string", "nothing")
    cache = None
    if isinstance(part.peek("prompt_cache_breakpoint"), dict):
        point = part.object("prompt_cache_breakpoint")
        cache = CacheHint(extras=point, at=part.path("prompt_cache_breakpoint")) if point else None
    return Text(
        text=text,
        citations=parse_citations(part),
        logprobs=parse_logprobs(part),
        cache=cache,
        extras=part.rest(),
        form=form,
        at=part.at,
    )


def parse_citations(part: Fields) -> tuple[Citation, ...]:
    """The `annotations`; anything that is not a list of objects stays in the part's rest."""
    found = part.peek("annotations")
    if not isinstance(found, list) or not found or not all(isinstance(item, dict) for item in found):
        return ()
    part.take("annotations")
    return tuple(parse_citation(item, f"{part.path('annotations')}[{i}]") for i, item in enumerate(found))


def parse_citation(value: JsonValue, at: str = "") -> Citation:
    """An annotation. Never raises for an object: one of another shape is all extras."""
    fields = Fields(value, at)
    try:
        return Citation(
            kind=fields.text("type") or "",
            origin=NAME,
            url=fields.text("url"),
            title=fields.text("title"),
            start=fields.integer("start_index"),
            end=fields.integer("end_index"),
            extras=fields.rest(),
            at=at,
        )
    except Malformed:
        return Citation(kind="", origin=NAME, extras=dict(value) if isinstance(value, dict) else {}, at=at)


def parse_logprobs(part: Fields) -> tuple[TokenLogprob, ...]:
    """The `logprobs`; anything that is not a list of token objects stays in the part's rest."""
    found = part.peek("logprobs")
    if not isinstance(found, list) or not found:
        return ()
    try:
        logprobs = tuple(_logprob(Fields(item, f"{part.path('logprobs')}[{i}]")) for i, item in enumerate(found))
    except Malformed:
        return ()
    part.take("logprobs")
    return logprobs


def _logprob(fields: Fields) -> TokenLogprob:
    spelt = fields.peek("bytes")
    known = isinstance(spelt, list) and bool(spelt) and all(type(byte) is int for byte in spelt)
    return TokenLogprob(
        token=fields.need_text("token"),
        logprob=fields.number("logprob"),
        bytes=tuple(int(str(byte)) for byte in fields.array("bytes")) if known else None,
        top=tuple(_logprob(each) for each in fields.each("top_logprobs")),
        extras=fields.rest(),
        at=fields.at,
    )


def _only(part: Fields, *keys: str) -> str | None:
    """The one of `keys` that holds a string; None when none or several do, or one holds something else."""
    told = [key for key in keys if part.peek(key) is not None]
    return told[0] if len(told) == 1 and isinstance(part.peek(told[0]), str) else None


def _image(part: Fields) -> Media | None:
    key = _only(part, "image_url", "file_id")
    if key is None:
        return None
    source = _source(part, key)
    return Media(kind="image", source=source, detail=part.text("detail"), extras=part.rest(), at=part.at)


def _file(part: Fields) -> Media | None:
    key = _only(part, "file_data", "file_url", "file_id")
    if key is None:
        return None
    source = _source(part, key)
    return Media(kind="document", source=source, title=part.text("filename"), extras=part.rest(), at=part.at)


def _source(part: Fields, key: str) -> Source:
    value = part.need_text(key)
    if key == "file_id":
        return FileRef(id=value, origin=NAME)
    if key == "file_url":
        return Url(url=value)
    found = _DATA_URL.fullmatch(value)
    if found is not None:
        return Inline(media_type=found[1], data=found[2])
    return Inline(media_type="", data=value) if key == "file_data" else Url(url=value)


def _audio(part: Fields) -> Media | None:
    inner = part.peek("input_audio")
    if not isinstance(inner, dict) or set(inner) != {"data", "format"}:
        return None
    data, word = inner["data"], inner["format"]
    if not isinstance(data, str) or not isinstance(word, str):
        return None
    part.take("input_audio")
    media_type = AUDIO_TYPES.get(word, f"audio/{word}")
    return Media(kind="audio", source=Inline(media_type=media_type, data=data), extras=part.rest(), at=part.at)
