"""Messages of a request, read.

One rule: one wire message is one IR message; a `tool` or `function` message is a `user` message that holds one result.
The order within an assistant message, which the wire does not tell, is: reasoning, content, refusal, audio, images, calls.
https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages
"""

from typing import Literal

from gatewright.dialects.openai_chat.content import parse_cache, parse_part
from gatewright.dialects.openai_chat.reasoning import parse_details, parse_flat
from gatewright.dialects.openai_chat.tools import parse_arguments, parse_call, take_signature
from gatewright.dialects.openai_chat.words import NAME
from gatewright.errors import Malformed
from gatewright.ir.blocks import Block, FileRef, Inline, Media, Message, Reasoning, Refusal, Text, ToolCall, ToolResult
from gatewright.jsontypes import JsonValue
from gatewright.wire import json as wire_json
from gatewright.wire.fields import Fields
from gatewright.wire.json import kind

ROLES: dict[str, tuple[Literal["system", "user", "assistant"], tuple[str, ...]]] = {
    "system": ("system", ()),
    "developer": ("system", ("developer",)),
    "user": ("user", ()),
    "assistant": ("assistant", ()),
    "tool": ("user", ("tool",)),
    "function": ("user", ("function",)),
}
"""Wire role → (neutral role, form)."""


def parse_message(fields: Fields) -> Message:
    """Raises Malformed with the path of what is wrong."""
    word = fields.need_text("role")
    if word not in ROLES:
        raise Malformed(fields.path("role"), " or ".join(f'"{role}"' for role in ROLES), f'"{word}"')
    role, form = ROLES[word]
    match word:
        case "tool" | "function":
            return Message(role=role, blocks=(_result(fields, word),), form=form, at=fields.at)
        case "assistant":
            blocks = parse_assistant(fields)
        case _:
            blocks = parse_content(fields)
    name = fields.text("name")
    return Message(role=role, blocks=tuple(blocks), name=name, form=form, extras=fields.rest(), at=fields.at)


def _result(fields: Fields, word: str) -> ToolResult:
    cache = parse_cache(fields)
    call_id = fields.text("tool_call_id")
    form = ("no_id",) if call_id is None else ()
    name = fields.text("name")
    content = tuple(parse_content(fields))
    return ToolResult(
        call_id=call_id or "",
        content=content,
        name=name or "",
        cache=cache,
        form=(word, *form) if form else (word,),
        extras=fields.rest(),
        at=fields.at,
    )


def parse_content(fields: Fields, *, issuer: str = "") -> list[Block]:
    """`content`: a string, parts, an object (some hosts in JSON mode), null or nothing (both stay in the rest)."""
    value = fields.peek("content")
    at = fields.path("content")
    if value is None:
        return []
    if isinstance(value, str):
        fields.take("content")
        cache = parse_cache(fields)
        return [Text(text=value, bare=True, cache=cache, at=at)]
    if isinstance(value, dict):
        fields.take("content")
        return [Text(text=wire_json.encode(value).decode("utf-8"), form=("object",), at=at)]
    if not isinstance(value, list):
        raise Malformed(at, "a string or an array of parts", kind(value))
    if not value:
        return []
    fields.take("content")
    return [_item(item, f"{at}[{i}]", issuer) for i, item in enumerate(value)]


def _item(item: JsonValue, at: str, issuer: str) -> Block:
    if isinstance(item, str):
        return Text(text=item, form=("string_part",), at=at)
    return parse_part(item, at, issuer=issuer)


def parse_assistant(fields: Fields, *, issuer: str = "") -> list[Block]:
    """The blocks of an assistant message, whole or in a request; leaves what it does not know in `fields`."""
    blocks: list[Block] = [*parse_flat(fields, issuer=issuer), *parse_details(fields, issuer=issuer)]
    start = len(blocks)
    blocks += parse_content(fields, issuer=issuer)
    refusal = fields.peek("refusal")
    if isinstance(refusal, str) and refusal:
        fields.take("refusal")
        blocks.append(Refusal(text=refusal, form=("field",), at=fields.path("refusal")))
    blocks += _audio(fields)
    blocks += _images(fields)
    seal = take_signature(fields, issuer=issuer)
    if seal is not None:  # a block of its own, before the content: other dialects cannot sign a text
        at = fields.path("extra_content.google.thought_signature")
        blocks.insert(start, Reasoning(seal=seal, redacted=True, form=("signature",), at=at))
    for i, item in enumerate(fields.array("tool_calls")):
        blocks.append(parse_call(Fields(item, f"{fields.path('tool_calls')}[{i}]"), issuer=issuer))
    blocks += _legacy_call(fields)
    return blocks


def _audio(fields: Fields) -> list[Block]:
    """`audio`: the answer's speech, or in a request a reference to an earlier one."""
    value = fields.peek("audio")
    if not isinstance(value, dict):
        return []
    at = fields.path("audio")
    match value:
        case {"data": str(data)} if data:
            inner = Fields(fields.take("audio"), at)
            inner.take("data")
            words = inner.text("transcript") if isinstance(inner.peek("transcript"), str) else None
            speech = Media(kind="audio", source=Inline(media_type="", data=data), form=("audio",), extras=inner.rest(), at=at)
            if words is None:
                return [speech]
            return [Text(text=words, form=("transcript",), at=f"{at}.transcript"), speech]
        case {"id": str(ref)} if ref and not value.get("data"):
            inner = Fields(fields.take("audio"), at)
            inner.take("id")
            source = FileRef(id=ref, origin=NAME)
            return [Media(kind="audio", source=source, form=("audio",), extras=inner.rest(), at=at)]
        case _:
            return []


def _images(fields: Fields) -> list[Block]:
    """`images`: what OpenRouter's models paint."""
    value = fields.peek("images")
    if not isinstance(value, list) or not value:
        return []
    at = fields.path("images")
    try:
        blocks = [parse_part(item, f"{at}[{i}]") for i, item in enumerate(value)]
    except Malformed:
        return []
    if not all(isinstance(block, Media) for block in blocks):
        return []
    fields.take("images")
    return [_in_images(block) for block in blocks if isinstance(block, Media)]


def _in_images(block: Media) -> Media:
    form = (block.form[0], "flat" if block.form[1:] else "", "images")
    return Media(kind=block.kind, source=block.source, detail=block.detail, form=form, extras=block.extras, at=block.at)


def _legacy_call(fields: Fields) -> list[Block]:
    """`function_call`, before there were tool calls."""
    value = fields.peek("function_call")
    if not isinstance(value, dict) or not value.get("name"):
        return []
    inner = Fields(fields.take("function_call"), fields.path("function_call"))
    arguments, form = parse_arguments(inner, "arguments")
    name = inner.need_text("name")
    return [ToolCall(id="", name=name, arguments=arguments, form=("legacy", *form), extras=inner.rest(), at=inner.at)]
