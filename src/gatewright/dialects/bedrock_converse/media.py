"""Images, documents, video and audio: verbatim at home, from abroad in the formats and places that the API reads.

One rule: bytes go as base64 without breaks, or as a place in S3; the API fetches no URL, and is particular about names.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html
"""

import base64
import binascii
import re
from typing import assert_never

import msgspec

from gatewright.dialects.bedrock_converse.formats import format_of, sniffed
from gatewright.dialects.bedrock_converse.seals import NAME
from gatewright.ir.blocks import FileRef, Inline, Media, Source, Url
from gatewright.ir.loss import Losses, join
from gatewright.jsontypes import JsonObject, JsonValue

_BAD_TITLE = re.compile(r"[^a-zA-Z0-9\s\-()\[\]]")


def plain(value: object) -> JsonValue:
    """A node as JSON, to be the value of a loss."""
    built: JsonValue = msgspec.to_builtins(value)
    return built


def home_source(media: Media) -> JsonObject:
    """The source as it came."""
    source = media.source
    match source:
        case Url():
            return {"s3Location": {"uri": source.url}}
        case FileRef():
            return {"s3Location": {"uri": source.id}}
        case Inline():
            if not source.text:
                return {"bytes": source.data}
            return {"content": [{"text": source.data}]} if "content" in media.form else {"text": source.data}
        case _:
            assert_never(source)


def home_media(media: Media) -> JsonObject:
    """A block of this dialect's own, without its extras."""
    spelt = next((word.removeprefix("format:") for word in media.form if word.startswith("format:")), None)
    word = format_of(media.kind, media.source.media_type or "") if spelt is None else spelt
    inner: JsonObject = {"format": word} if word else {}
    if media.title is not None:
        inner["name"] = media.title
    inner["source"] = home_source(media)
    wire: JsonObject = {media.kind: inner}
    return {"guardContent": wire} if "guard" in media.form else wire


def media_wire(block: Media, losses: Losses) -> JsonObject | None:
    """Media from abroad; None when the API cannot read it (and it is reported)."""
    source = _source(block.source, block)
    if source is None:
        losses.dropped(block.at, f"converse cannot read this {block.kind}", plain(block))
        return None
    word, told = source
    inner: JsonObject = {"format": word, "source": told}
    if block.kind == "document":
        inner["name"] = _title(block, losses)
    elif block.title is not None:
        losses.hint(join(block.at, "filename"), f"{block.kind} blocks have no name", block.title)
    if block.detail is not None:
        losses.hint(join(block.at, "detail"), "converse has no image detail", block.detail)
    said = block.source.media_type
    if not said:
        losses.hint(block.at, "the format is read off the data", word)
    elif block.kind == "document" and word == "txt" and said.partition(";")[0].strip().lower() != "text/plain":
        losses.hint(block.at, "told as plain text", said)
    return {block.kind: inner}


def _title(block: Media, losses: Losses) -> str:
    """A document's name, which the API requires and is particular about."""
    if block.title is None:
        return "document"
    kept = " ".join(_BAD_TITLE.sub(" ", block.title).split())[:200] or "document"
    if kept != block.title:
        losses.hint(join(block.at, "title"), "the name has characters that converse refuses", block.title)
    return kept


def _source(source: Source, block: Media) -> tuple[str, JsonObject] | None:
    """(format, source) of what the API reads: bytes, or a place in S3."""
    match source:
        case Url():
            if not source.url.startswith("s3://"):
                return None
            word = format_of(block.kind, source.media_type or "") or source.url.rpartition(".")[2].lower()
            return word, {"s3Location": {"uri": source.url}}
        case FileRef():
            word = format_of(block.kind, source.media_type or "")
            return (word, {"s3Location": {"uri": source.id}}) if source.origin == NAME and word else None
        case Inline():
            if source.text:
                data = base64.b64encode(source.data.encode("utf-8", "replace")).decode("ascii")
                return (format_of("document", source.media_type) or "txt", {"bytes": data}) if block.kind == "document" else None
            data = "".join(source.data.split())
            word = format_of(block.kind, source.media_type or sniffed(data))
            return (word, {"bytes": data}) if word and _decodes(data) else None
        case _:
            assert_never(source)


def _decodes(data: str) -> bool:
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
