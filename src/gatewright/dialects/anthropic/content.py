"""Content blocks, read: requests, answers and stream starts share these shapes.

One rule: a block whose type or source nobody here knows becomes `Native`, whole, never an error.
https://platform.claude.com/docs/en/api/messages
"""

from typing import Literal

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
    Url,
)
from gatewright.ir.seal import PREFIX, Seal, open_seal, unpack
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.fields import Fields
from gatewright.wire.json import BadJson, decode, encode, kind

NAME: Literal["anthropic"] = "anthropic"
NEXT = "~next"
"""Ends the word of a seal that belongs to the block after its carrier: other dialects sign tool calls and texts."""
PREV = "~prev"
"""The same for the block before, where a stream told the seal too late."""
RAW = "_raw"
"""The only key of an `input` that stands for arguments which were not a JSON object."""

_MEDIA_KINDS: dict[str, Literal["image", "document"]] = {"image": "image", "document": "document"}


def parse_content(fields: Fields, key: str = "content") -> tuple[Block, ...]:
    """The blocks under `key`: a string, a list of blocks, or nothing."""
    value = fields.peek(key)
    if isinstance(value, str):
        fields.take(key)
        return (Text(text=value, bare=True, at=fields.path(key)),)
    return attach_seals(tuple(parse_block(item) for item in fields.each(key)))


def parse_block(fields: Fields) -> Block:
    """One block; `fields.at` becomes its place. Raises Malformed where a known field has the wrong type."""
    word = fields.peek("type")
    if not isinstance(word, str):
        raise Malformed(fields.path("type"), "a string", kind(word) if "type" in fields else "nothing")
    whole = dict(fields.rest())
    match word:
        case "text":
            fields.take("type")
            return Text(
                text=fields.need_text("text"),
                cache=parse_cache(fields),
                citations=tuple(parse_citation(item) for item in fields.each("citations")),
                at=fields.at,
                extras=fields.rest(),
            )
        case "image" | "document":
            return _parse_media(fields, _MEDIA_KINDS[word], whole)
        case "thinking":
            fields.take("type")
            text = fields.need_text("thinking")
            word = fields.text("signature")
            if word == "":
                fields.put_back("signature", word)
            seal = open_seal(word, NAME) if word else None
            return Reasoning(text=text, seal=seal, at=fields.at, extras=fields.rest())
        case "redacted_thinking":
            fields.take("type")
            seal = open_seal(fields.need_text("data"), NAME, kind="redacted_thinking")
            return Reasoning(redacted=True, seal=seal, at=fields.at, extras=fields.rest())
        case "tool_use":
            return _parse_tool_use(fields)
        case "tool_result":
            fields.take("type")
            return ToolResult(
                call_id=fields.need_text("tool_use_id"),
                content=parse_content(fields),
                is_error=fields.boolean("is_error"),
                cache=parse_cache(fields),
                at=fields.at,
                extras=fields.rest(),
            )
        case _:
            return Native(origin=NAME, data=whole, at=fields.at)


def parse_cache(fields: Fields) -> CacheHint | None:
    """`cache_control`, taken; its type (until now always `ephemeral`) is kept in the form when it is another."""
    control = fields.fields("cache_control")
    if control is None:
        return None
    word = control.need_text("type")
    form = () if word == "ephemeral" else (word,)
    return CacheHint(ttl=control.text("ttl"), at=control.at, form=form, extras=control.rest())


def parse_citation(fields: Fields) -> Citation:
    return Citation(
        kind=fields.text("type") or "",
        origin=NAME,
        url=fields.text("url"),
        title=fields.text("title"),
        cited=fields.text("cited_text"),
        at=fields.at,
        extras=fields.rest(),
    )


def _parse_media(fields: Fields, word: Literal["image", "document"], whole: JsonObject) -> Block:
    source = fields.fields("source")
    if source is None:
        raise Malformed(fields.path("source"), "an object", kind(fields.peek("source")) if "source" in fields else "nothing")
    read, form = _parse_source(source)
    if read is None:
        return Native(origin=NAME, data=whole, at=fields.at)
    fields.take("type")
    if rest := source.rest():
        fields.put_back("source", rest)
    return Media(
        kind=word,
        source=read,
        title=fields.text("title"),
        cache=parse_cache(fields),
        form=form,
        at=fields.at,
        extras=fields.rest(),
    )


def _parse_source(source: Fields) -> tuple[Source | None, tuple[str, ...]]:
    """The source, consumed; None when only this dialect knows it."""
    match source.peek("type"):
        case "base64":
            source.take("type")
            return Inline(media_type=_media_type(source), data=source.need_text("data")), ()
        case "text":
            source.take("type")
            return Inline(media_type=_media_type(source), data=source.need_text("data"), text=True), ()
        case "content" if isinstance(source.peek("content"), str):
            source.take("type")
            return Inline(media_type="", data=source.need_text("content"), text=True), ("content",)
        case "url":
            source.take("type")
            return Url(url=source.need_text("url")), ()
        case "file":
            source.take("type")
            return FileRef(id=source.need_text("file_id"), origin=NAME), ()
        case _:
            return None, ()


def _media_type(source: Fields) -> str:
    """The media type; an empty one says nothing, but stays."""
    said = source.text("media_type")
    if said == "":
        source.put_back("media_type", said)
    return said or ""


def _parse_tool_use(fields: Fields) -> ToolCall:
    fields.take("type")
    value = fields.take("input")
    arguments = "{}" if value is None else arguments_of(value)
    return ToolCall(
        id=fields.need_text("id"),
        name=fields.need_text("name"),
        arguments=arguments,
        cache=parse_cache(fields),
        form=_form_of(value, arguments),
        at=fields.at,
        extras=fields.rest(),
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


def input_of(arguments: str) -> tuple[JsonObject, bool]:
    """The `input` for a call's arguments, and whether they had to be wrapped because they are no JSON object."""
    if not arguments.strip():
        return {}, False
    try:
        value = decode(arguments.encode("utf-8", "surrogatepass"))
    except BadJson:
        return {RAW: arguments}, True
    return (value, False) if isinstance(value, dict) else ({RAW: arguments}, True)


def neighbour_seal(block: Block) -> tuple[Seal, str] | None:
    """The seal that a carrier block brings for its neighbour, and which neighbour (NEXT or PREV)."""
    if not isinstance(block, Reasoning) or block.seal is None or not block.redacted:
        return None
    word = block.seal.data
    for side in (NEXT, PREV):
        if word.startswith(PREFIX) and word.endswith(side) and (seal := unpack(word.removesuffix(side))):
            return seal, side
    return None


def attach_seals(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """Give the seals that travelled in carriers of our own back to the blocks they belong to."""
    if not any(neighbour_seal(block) for block in blocks):
        return blocks
    done: list[Block] = []
    waiting: Seal | None = None
    for block in blocks:
        carried = neighbour_seal(block)
        if carried is None:
            if waiting is not None:
                block = _sealed(block, waiting)  # noqa: PLW2901 - the block with what its carrier brought
                waiting = None
            done.append(block)
        elif carried[1] == NEXT:
            waiting = carried[0]
        elif done:
            done[-1] = _sealed(done[-1], carried[0])
    if waiting is not None:
        done.append(Text(text="", seal=waiting))
    return tuple(done)


def _sealed(block: Block, seal: Seal) -> Block:
    match block:
        case Text():
            return Text(
                text=block.text, cache=block.cache, citations=block.citations, at=block.at, extras=block.extras, seal=seal
            )
        case ToolCall():
            return ToolCall(
                id=block.id,
                name=block.name,
                arguments=block.arguments,
                cache=block.cache,
                form=block.form,
                at=block.at,
                extras=block.extras,
                seal=seal,
            )
        case _:
            return block
