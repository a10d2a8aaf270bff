"""Content parts and tool calls as all of Invariant's forms have them.

One rule: what has no place in Invariant's form (reasoning, a provider's own blocks) is left out, never bent into a text.
"""

from gatewright.ir.blocks import Block, FileRef, Inline, Media, Refusal, Source, Text, ToolCall, Url
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import decode_or_text


def part_of(block: Block) -> JsonObject | None:
    """A text, an image, another medium; None for what is no content part."""
    match block:
        case Text() | Refusal():
            return {"type": "text", "text": block.text}
        case Media():
            return media_part(block)
        case _:
            return None


def media_part(media: Media) -> JsonObject:
    source = media.source
    if isinstance(source, Inline) and source.text:
        return {"type": "text", "text": source.data}
    if media.kind == "image" and not isinstance(source, FileRef):
        return {"type": "image_url", "image_url": {"url": url_of(source)}}
    if media.kind == "audio" and isinstance(source, Inline):
        return {
            "type": "input_audio",
            "input_audio": {"data": source.data, "format": source.media_type.partition("/")[2] or "wav"},
        }
    named: JsonObject = {} if media.title is None else {"filename": media.title}
    if isinstance(source, FileRef):
        return {"type": "file", "file": {"file_id": source.id, **named}}
    return {"type": "file", "file": {"file_data": url_of(source), **named}}


def url_of(source: Source) -> str:
    match source:
        case Url():
            return source.url
        case Inline():
            return f"data:{source.media_type or 'application/octet-stream'};base64,{source.data}"
        case FileRef():
            return source.id


def arguments_of(call: ToolCall) -> JsonValue:
    """The arguments as a document. What a model wrote that is none stays the text that it is, or what that was wrapped in."""
    text = call.arguments
    if "wrapped" in call.form:
        return {"_raw": text}
    if call.kind == "custom":
        return {"input": text}
    return decode_or_text(text) if text.strip() else {}


def texts_or_parts(blocks: tuple[Block, ...]) -> JsonValue:
    """Content: one plain text, or parts."""
    match blocks:
        case (Text(bare=True, text=text),):
            return text
        case _:
            return [part for block in blocks if (part := part_of(block)) is not None]
