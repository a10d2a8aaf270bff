"""Content parts, both ways: what stands in a message's `content`.

One rule: a part that is not of a known shape becomes `Native`, whole; a known part keeps what it does not understand in extras.
https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages
"""

from typing import cast

from gatewright.dialects.openai_chat.words import AUDIO_TYPE, NAME, merge, nest, source_of, url_of
from gatewright.errors import Malformed
from gatewright.ir.blocks import Block, CacheHint, FileRef, Inline, Media, Native, Reasoning, Refusal, Source, Text, Url
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.fields import Fields
from gatewright.wire.json import kind

SEAL_PART = "thinking"
"""Kind of the seal on reasoning that came as a content part: only says who wrote it."""


def parse_cache(fields: Fields) -> CacheHint | None:
    """LiteLLM's and OpenRouter's `cache_control`, as Anthropic spells it; anything else is left where it is."""
    value = fields.peek("cache_control")
    if not isinstance(value, dict) or value.get("type") != "ephemeral":
        return None
    hint = Fields(fields.take("cache_control"), fields.path("cache_control"))
    hint.take("type")
    ttl = hint.text("ttl") if isinstance(hint.peek("ttl"), str) else None
    return CacheHint(ttl=ttl, extras=hint.rest(), at=hint.at)


def render_cache(hint: CacheHint | None) -> JsonObject:
    """What to merge into the carrier at home."""
    if hint is None:
        return {}
    value: JsonObject = {"type": "ephemeral"}
    if hint.ttl is not None:
        value["ttl"] = hint.ttl
    return {"cache_control": {**value, **hint.extras}}


def parse_part(value: JsonValue, at: str, *, issuer: str = "") -> Block:
    """One item of a content list. Raises Malformed where a known part has the wrong shape."""
    fields = Fields(value, at)
    whole = cast("JsonObject", value)
    word = fields.peek("type")
    match word:
        case "text" if isinstance(fields.peek("text"), str):
            return _text(fields)
        case "refusal" if isinstance(fields.peek("refusal"), str):
            fields.take("type")
            return Refusal(text=fields.need_text("refusal"), form=("part",), extras=fields.rest(), at=at)
        case "image_url" | "video_url":
            return _linked(fields, word)
        case "document_url" if isinstance(fields.peek("document_url"), str):
            fields.take("type")
            source = source_of(fields.need_text("document_url"))
            title = fields.text("document_name") if isinstance(fields.peek("document_name"), str) else None
            return Media(kind="document", source=source, title=title, form=("document_url",), extras=fields.rest(), at=at)
        case "input_audio":
            return _audio(fields) or Native(origin=NAME, data=whole, at=at)
        case "file":
            return _file(fields) or Native(origin=NAME, data=whole, at=at)
        case "thinking":
            return _thinking(fields, issuer) or Native(origin=NAME, data=whole, at=at)
        case _:
            return Native(origin=NAME, data=whole, at=at)


def _text(fields: Fields) -> Text:
    fields.take("type")
    cache = parse_cache(fields)
    return Text(text=fields.need_text("text"), cache=cache, extras=fields.rest(), at=fields.at)


def _linked(fields: Fields, word: str) -> Media:
    """`image_url` and `video_url`: an object with a URL, or (Mistral) the bare URL."""
    fields.take("type")
    cache = parse_cache(fields)
    form: tuple[str, ...] = (word, "flat")
    value = fields.peek(word)
    if isinstance(value, str):
        fields.take(word)
        source, detail, rest = source_of(value), None, fields.rest()
    else:
        inner = fields.fields(word)
        if inner is None:
            raise Malformed(fields.path(word), "an object with a url", kind(value))
        source = source_of(inner.need_text("url"))
        detail = inner.text("detail")
        form, rest = (word,), fields.rest()
        nest(rest, word, inner.rest())
    return Media(
        kind="image" if word == "image_url" else "video",
        source=source,
        detail=detail,
        cache=cache,
        form=form,
        extras=rest,
        at=fields.at,
    )


def _audio(fields: Fields) -> Media | None:
    value = fields.peek("input_audio")
    if isinstance(value, str):  # Mistral: base64 or a URL
        fields.take("type")
        fields.take("input_audio")
        source: Source = Url(url=value) if value.startswith(("http:", "https:", "data:")) else Inline(media_type="", data=value)
        return Media(kind="audio", source=source, form=("input_audio", "flat"), extras=fields.rest(), at=fields.at)
    if not isinstance(value, dict) or not isinstance(value.get("data"), str):
        return None
    fields.take("type")
    inner = Fields(fields.take("input_audio"), fields.path("input_audio"))
    word = inner.text("format")
    data = inner.need_text("data")
    rest = fields.rest()
    nest(rest, "input_audio", inner.rest())
    media_type = "" if word is None else AUDIO_TYPE.get(word, f"audio/{word}")
    form = ("input_audio",) if word is None else ("input_audio", "format", word)
    return Media(kind="audio", source=Inline(media_type=media_type, data=data), form=form, extras=rest, at=fields.at)


def _file(fields: Fields) -> Media | None:
    value = fields.peek("file")
    if not isinstance(value, dict):
        return None
    inner = Fields(value, fields.path("file"))
    title = inner.text("filename")
    data, file_id = inner.peek("file_data"), inner.peek("file_id")
    form: tuple[str, ...] = ("file",)
    source: Source
    if isinstance(data, str) and data:
        inner.take("file_data")
        source = source_of(data)
        if isinstance(source, Url) and not data.startswith(("http:", "https:", "data:", "gs:")):
            source, form = Inline(media_type="", data=data), ("file", "raw")
    elif isinstance(file_id, str):
        inner.take("file_id")
        source = FileRef(id=file_id, origin=NAME)
    else:
        return None
    fields.take("type")
    fields.take("file")
    cache = parse_cache(fields)
    rest = fields.rest()
    nest(rest, "file", inner.rest())
    return Media(kind="document", source=source, title=title, cache=cache, form=form, extras=rest, at=fields.at)


def _thinking(fields: Fields, issuer: str) -> Reasoning | None:
    """Mistral's thinking part: a list of text parts, or a string."""
    value = fields.peek("thinking")
    seal = Seal(dialect=NAME, data="", issuer=issuer, kind=SEAL_PART)
    form: tuple[str, ...] = ("thinking", "flat")
    if isinstance(value, str):
        text = value
    elif isinstance(value, list) and all(_is_plain(item) for item in value):
        pieces = [cast("str", cast("JsonObject", item)["text"]) for item in value]
        text = "".join(pieces)
        form = ("thinking", *(str(len(piece)) for piece in pieces)) if pieces else ("thinking", "none")
    else:
        return None
    fields.take("type")
    fields.take("thinking")
    return Reasoning(text=text, seal=seal, form=form, extras=fields.rest(), at=fields.at)


def _is_plain(item: JsonValue) -> bool:
    return isinstance(item, dict) and item.keys() == {"type", "text"} and item["type"] == "text" and isinstance(item["text"], str)


def render_part(block: Block) -> JsonObject | None:
    """The part as it came, for a block of this dialect's own; None for blocks that are no content parts."""
    match block:
        case Text():
            return merge({"type": "text", "text": block.text, **render_cache(block.cache)}, block.extras)
        case Refusal():
            return merge({"type": "refusal", "refusal": block.text}, block.extras)
        case Media():
            return merge({**home_media(block), **render_cache(block.cache)}, block.extras)
        case Reasoning() if block.form[:1] == ("thinking",):
            return merge({"type": "thinking", "thinking": _pieces(block)}, block.extras)
        case Native():
            return block.data
        case _:
            return None


def _pieces(block: Reasoning) -> JsonValue:
    if block.form[1:] == ("flat",):
        return block.text
    if block.form[1:] == ("none",):
        return []
    pieces: list[JsonValue] = []
    start = 0
    for length in block.form[1:] or (str(len(block.text)),):
        pieces.append({"type": "text", "text": block.text[start : start + int(length)]})
        start += int(length)
    return pieces


def home_media(block: Media) -> JsonObject:
    """A medium of this dialect's own, without its extras."""
    word = block.form[0] if block.form else "image_url"
    flat = block.form[1:] == ("flat",)
    source = block.source
    inner: JsonObject = {}
    if word == "file":
        if isinstance(source, FileRef):
            inner["file_id"] = source.id
        else:
            inner["file_data"] = source.data if isinstance(source, Inline) and block.form[1:] == ("raw",) else url_of(source)
        if block.title is not None:
            inner["filename"] = block.title
        return {"type": "file", "file": inner}
    if word == "input_audio":
        assert not isinstance(source, FileRef)
        value = source.data if isinstance(source, Inline) else source.url
        if flat:
            return {"type": word, word: value}
        inner["data"] = value
        if block.form[1:2] == ("format",):
            inner["format"] = block.form[2]
        return {"type": word, word: inner}
    assert not isinstance(source, FileRef)
    if flat or word == "document_url":
        named: JsonObject = {"document_name": block.title} if block.title is not None else {}
        return {"type": word, word: url_of(source), **named}
    inner["url"] = url_of(source)
    if block.detail is not None:
        inner["detail"] = block.detail
    return {"type": word, word: inner}
