"""Content blocks, read: requests, answers and tool results share these shapes.

One rule: a block is an object with one known key; with none, with several, or with a shape that nobody here knows it becomes
`Native`, whole. A cache point is a block of its own on the wire and belongs to the block before it.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
"""

import msgspec

from gatewright.dialects.bedrock_converse.formats import MediaKind, format_of, media_type_of
from gatewright.dialects.bedrock_converse.seals import NAME, open_redacted, open_signature
from gatewright.errors import Malformed
from gatewright.ir.blocks import (
    Block,
    CacheHint,
    Citation,
    FileRef,
    Inline,
    Media,
    Native,
    Reasoning,
    Source,
    Text,
    ToolCall,
    ToolResult,
)
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.fields import Fields
from gatewright.wire.json import BadJson, decode, encode, kind

replace = msgspec.structs.replace

KEYS = (
    "text", "image", "document", "video", "audio", "toolUse", "toolResult", "guardContent", "cachePoint", "reasoningContent",
    "citationsContent", "searchResult", "toolAddition", "toolRemoval", "json",
)  # fmt: skip
"""Every member of the union that a block is."""
MEDIA: dict[str, MediaKind] = {"image": "image", "document": "document", "video": "video", "audio": "audio"}
STATUS: dict[str, bool] = {"success": False, "error": True}
"""A tool result's status → whether it is an error."""
RAW = "_raw"
"""The only key of an `input` that stands for arguments which were not a JSON object."""


def parse_blocks(items: list[Fields]) -> tuple[Block, ...]:
    """The blocks of a list, cache points and carried seals given to the blocks that they belong to."""
    done: list[Block] = []
    carried: list[tuple[int, Seal, str]] = []
    for item in items:
        hint = parse_cache(item)
        if hint is not None and done and isinstance(last := done[-1], Text | Media | ToolCall | ToolResult) and not last.cache:
            done[-1] = replace(last, cache=hint)
            continue
        block = parse_block(item)
        if isinstance(block, Reasoning) and block.form:
            assert block.seal is not None
            carried.append((len(done), block.seal, block.form[0]))
            continue
        done.append(block)
    return with_seals(done, carried)


def with_seals(blocks: list[Block], carried: list[tuple[int, Seal, str]]) -> tuple[Block, ...]:
    """The blocks with the seals that travelled in carriers of our own: (place of the block after the carrier, seal, side)."""
    done = list(blocks)
    for place, seal, side in carried:
        at = place if side == "~next" else place - 1
        if 0 <= at < len(done) and isinstance(block := done[at], Text | ToolCall | Media):
            done[at] = replace(block, seal=seal)
        elif at >= len(done):
            done.append(Text(text="", seal=seal))
    return tuple(done)


def parse_cache(fields: Fields) -> CacheHint | None:
    """The cache point, taken, if the block is nothing else; its type (until now always `default`) in the form when another."""
    point = fields.peek("cachePoint")
    if not isinstance(point, dict) or len(fields.rest()) != 1 or not isinstance(point.get("type"), str):
        return None
    inner = Fields(point, fields.path("cachePoint"))
    word = inner.need_text("type")
    ttl = inner.peek("ttl")
    if isinstance(ttl, str):
        inner.take("ttl")
    return CacheHint(
        ttl=ttl if isinstance(ttl, str) else None, form=() if word == "default" else (word,), at=inner.at, extras=inner.rest()
    )


def parse_block(fields: Fields) -> Block:
    """One block; `fields.at` becomes its place. Raises Malformed where a known field has the wrong type.

    A Reasoning whose form names a side is no reasoning but the carrier of its neighbour's seal.
    """
    whole = dict(fields.rest())
    said = [key for key in KEYS if whole.get(key) is not None]
    match said:
        case ["text"]:
            return Text(text=fields.need_text("text"), at=fields.at, extras=fields.rest())
        case ["image" | "document" | "video" | "audio" as key]:
            return _parse_media(fields, MEDIA[key]) or Native(origin=NAME, data=whole, at=fields.at)
        case ["toolUse"]:
            return _parse_call(fields, whole)
        case ["toolResult"]:
            return _parse_result(fields, whole)
        case ["guardContent"]:
            return _parse_guard(fields) or Native(origin=NAME, data=whole, at=fields.at)
        case ["reasoningContent"]:
            return _parse_reasoning(fields) or Native(origin=NAME, data=whole, at=fields.at)
        case ["citationsContent"]:
            return _parse_cited(fields) or Native(origin=NAME, data=whole, at=fields.at)
        case ["json"]:
            return Text(text=encode(fields.take("json")).decode(), form=("json",), at=fields.at, extras=fields.rest())
        case _:
            return Native(origin=NAME, data=whole, at=fields.at)


def nested(fields: Fields, key: str, inner: JsonObject) -> JsonObject:
    """What nobody took of a block: what is left beside `key`, and what is left within it."""
    rest = fields.rest()
    return {**rest, key: inner} if inner else rest


def _need(fields: Fields, key: str) -> Fields:
    inner = fields.fields(key)
    if inner is None:
        raise Malformed(fields.path(key), "an object that is not empty", kind(fields.peek(key)))
    return inner


def _parse_media(fields: Fields, what: MediaKind) -> Media | None:
    """None: only this dialect knows its source."""
    inner = _need(fields, what)
    source = inner.fields("source")
    if source is None:
        raise Malformed(inner.path("source"), "an object", kind(inner.peek("source")) if "source" in inner else "nothing")
    word = (inner.text("format") if what == "document" else inner.need_text("format")) or ""
    read, form = _parse_source(source, media_type_of(what, word))
    if read is None:
        return None
    if format_of(what, media_type_of(what, word)) != word:
        form = (*form, f"format:{word}")
    if rest := source.rest():
        inner.put_back("source", rest)
    title = inner.text("name") if what == "document" else None
    return Media(
        kind=what, source=read, title=title, form=form, at=fields.at, extras=nested(fields, what, inner.rest())
    )  # fmt: skip


def _parse_source(source: Fields, media_type: str) -> tuple[Source | None, tuple[str, ...]]:
    """The source, consumed, and its spelling; None when only this dialect knows it."""
    match [key for key in ("bytes", "s3Location", "text", "content") if source.peek(key) is not None]:
        case ["bytes"]:
            return Inline(media_type=media_type, data=source.need_text("bytes")), ()
        case ["text"]:
            return Inline(media_type=media_type, data=source.need_text("text"), text=True), ()
        case ["content"]:
            parts = source.peek("content")
            if isinstance(parts, list) and len(parts) == 1 and isinstance(only := parts[0], dict) and set(only) == {"text"}:
                text = only["text"]
                if isinstance(text, str):
                    source.take("content")
                    return Inline(media_type=media_type, data=text, text=True), ("content",)
            return None, ()
        case ["s3Location"]:
            place = _need(source, "s3Location")
            ref = FileRef(id=place.need_text("uri"), origin=NAME, media_type=media_type or None)
            if rest := place.rest():
                source.put_back("s3Location", rest)
            return ref, ()
        case _:
            return None, ()


def _parse_call(fields: Fields, whole: JsonObject) -> Block:
    inner = _need(fields, "toolUse")
    if inner.peek("type") is not None:  # a tool that Bedrock runs itself
        return Native(origin=NAME, data=whole, at=fields.at)
    value = inner.take("input")
    arguments = "{}" if value is None else arguments_of(value)
    return ToolCall(
        id=inner.need_text("toolUseId"),
        name=inner.need_text("name"),
        arguments=arguments,
        form=_form_of(value, arguments),
        at=fields.at,
        extras=nested(fields, "toolUse", inner.rest()),
    )


def arguments_of(value: JsonValue) -> str:
    """The JSON text of an `input`, which may hold text that could not be read as an object."""
    if isinstance(value, dict) and len(value) == 1 and isinstance(raw := value.get(RAW), str) and input_of(raw)[1]:
        return raw
    return encode(value).decode()


def _form_of(value: JsonValue, arguments: str) -> tuple[str, ...]:
    if value is None:
        return ("no_input",)
    return ("wrapped",) if isinstance(value, dict) and value.get(RAW) is arguments else ()


def input_of(arguments: str) -> tuple[JsonValue, bool]:
    """The `input` for a call's arguments, and whether they had to be wrapped because they are no JSON object."""
    if not arguments.strip():
        return {}, False
    try:
        value = decode(arguments.encode("utf-8", "surrogatepass"))
    except BadJson:
        return {RAW: arguments}, True
    return (value, False) if isinstance(value, dict) else ({RAW: arguments}, True)


def _parse_result(fields: Fields, whole: JsonObject) -> Block:
    inner = _need(fields, "toolResult")
    if inner.peek("type") is not None:
        return Native(origin=NAME, data=whole, at=fields.at)
    call_id = inner.need_text("toolUseId")
    word = inner.peek("status")
    is_error = STATUS.get(word) if isinstance(word, str) else None
    if is_error is not None:
        inner.take("status")
    structured: JsonValue = None
    content: tuple[Block, ...] = ()
    parts = inner.peek("content")
    if isinstance(parts, list) and len(parts) == 1 and isinstance(only := parts[0], dict) and set(only) == {"json"}:
        structured = only["json"] if isinstance(only["json"], dict) else None
    if structured is not None:
        inner.take("content")
    else:
        content = tuple(parse_block(item) for item in inner.each("content"))
    return ToolResult(
        call_id=call_id,
        content=content,
        structured=structured,
        is_error=is_error,
        at=fields.at,
        extras=nested(fields, "toolResult", inner.rest()),
    )


def _parse_guard(fields: Fields) -> Block | None:
    """Content that a guardrail is to look at: to a model it is text or an image like any other."""
    inner = _need(fields, "guardContent")
    match [key for key in ("text", "image") if inner.peek(key) is not None]:
        case ["text"]:
            part = _need(inner, "text")
            text = part.need_text("text")
            left = nested(fields, "guardContent", nested(inner, "text", part.rest()))
            return Text(text=text, form=("guard",), at=fields.at, extras=left)
        case ["image"]:
            image = _parse_media(inner, "image")
            if image is None:
                return None
            left = nested(fields, "guardContent", image.extras)
            return replace(image, form=(*image.form, "guard"), at=fields.at, extras=left)
        case _:
            return None


def _parse_reasoning(fields: Fields) -> Reasoning | None:
    inner = _need(fields, "reasoningContent")
    match [key for key in ("reasoningText", "redactedContent") if inner.peek(key) is not None]:
        case ["reasoningText"]:
            told = _need(inner, "reasoningText")
            text = told.need_text("text")
            word = told.text("signature")
            if word == "":
                told.put_back("signature", word)
            left = nested(fields, "reasoningContent", nested(inner, "reasoningText", told.rest()))
            return Reasoning(text=text, seal=open_signature(word) if word else None, at=fields.at, extras=left)
        case ["redactedContent"]:
            seal, side = open_redacted(inner.need_text("redactedContent"))
            left = nested(fields, "reasoningContent", inner.rest())
            return Reasoning(redacted=True, seal=seal, form=(side,) if side else (), at=fields.at, extras=left)
        case _:
            return None


def _parse_cited(fields: Fields) -> Text | None:
    """Text with its sources. The form says how long its pieces were, because they are one text here."""
    inner = _need(fields, "citationsContent")
    pieces: list[str] = []
    for part in inner.array("content"):
        if not isinstance(part, dict) or set(part) != {"text"} or not isinstance(text := part["text"], str):
            return None
        pieces.append(text)
    cited = tuple(parse_citation(item) for item in inner.each("citations"))
    return Text(
        text="".join(pieces),
        citations=cited,
        form=("cited", ",".join(str(len(piece)) for piece in pieces)),
        at=fields.at,
        extras=nested(fields, "citationsContent", inner.rest()),
    )


def parse_citation(fields: Fields) -> Citation:
    """A source. Its URL is that of a web page, or of a search result that says one."""
    location = fields.peek("location")
    word = next(iter(location), "") if isinstance(location, dict) and len(location) == 1 else ""
    url: str | None = None
    form: tuple[str, ...] = ()
    if word == "web" and isinstance(location, dict) and isinstance(web := location["web"], dict):
        if isinstance(found := web.get("url"), str):
            url = found
            fields.take("location")
            if beside := {key: value for key, value in web.items() if key != "url"}:
                fields.put_back("location", {"web": beside})
    elif isinstance(source := fields.peek("source"), str) and source.startswith(("http://", "https://")):
        url = source
        form = ("source",)
        fields.take("source")
    told: str | None = None
    told_in = fields.peek("sourceContent")
    if isinstance(told_in, list) and len(told_in) == 1 and isinstance(only := told_in[0], dict) and set(only) == {"text"}:
        text = only["text"]
        if isinstance(text, str):
            told = text
            fields.take("sourceContent")
    title = fields.peek("title")
    if isinstance(title, str):
        fields.take("title")
    return Citation(
        kind=word,
        origin=NAME,
        url=url,
        title=title if isinstance(title, str) else None,
        cited=told,
        form=form,
        at=fields.at,
        extras=fields.rest(),
    )
