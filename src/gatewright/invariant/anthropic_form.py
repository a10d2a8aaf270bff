"""What Invariant's converter makes of an Anthropic conversation.

One rule: an assistant's turn is taken apart, a message for each text and for each call; results come before what else the user
says in the same turn.
https://github.com/invariantlabs-ai/invariant-gateway/blob/main/gateway/converters/anthropic_to_invariant.py
"""

from collections.abc import Iterator, Sequence

from gatewright.invariant.parts import arguments_of, part_of
from gatewright.ir.blocks import Block, CacheHint, Message, Native, Refusal, Text, ToolCall, ToolResult
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject, JsonValue


def anthropic_messages(messages: Sequence[Message]) -> list[JsonObject]:
    return [written for message in messages for written in _message(message)]


def anthropic_answer(response: Response) -> list[JsonObject]:
    return list(_assistant(response.blocks))


def _message(message: Message) -> Iterator[JsonObject]:
    match message.role:
        case "system":
            yield {"role": "system", "content": _verbatim(message.blocks)}
        case "assistant":
            yield from _assistant(message.blocks)
        case _:
            yield from _user(message.blocks)


def _user(blocks: tuple[Block, ...]) -> Iterator[JsonObject]:
    others: list[Block] = []
    for block in blocks:
        if isinstance(block, ToolResult):
            yield {"role": "tool", "content": _verbatim(block.content) or "", "tool_call_id": block.call_id}
        else:
            others.append(block)
    match others:
        case [Text(bare=True, text=text)]:
            yield {"role": "user", "content": text}
        case _:
            parts: list[JsonValue] = [part for block in others if (part := part_of(block)) is not None]
            if parts:
                yield {"role": "user", "content": parts}


def _assistant(blocks: tuple[Block, ...]) -> Iterator[JsonObject]:
    for block in blocks:
        match block:
            case Text() | Refusal():
                yield {"role": "assistant", "content": block.text}
            case ToolCall():
                function: JsonObject = {"name": block.name, "arguments": arguments_of(block)}
                yield {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": block.id, "type": "function", "function": function}],
                }


def _verbatim(blocks: tuple[Block, ...]) -> JsonValue:
    """Content that the converter passes on as it came: a text, or blocks in Anthropic's own spelling."""
    match blocks:
        case (Text(bare=True, text=text),):
            return text
        case _:
            return [block for one in blocks if (block := _own_block(one)) is not None]


def _own_block(block: Block) -> JsonObject | None:
    match block:
        case Text():
            return {"type": "text", "text": block.text, **_cache(block.cache), **block.extras}
        case Native(origin="anthropic"):
            return block.data
        case _:
            return part_of(block)


def _cache(hint: CacheHint | None) -> JsonObject:
    if hint is None:
        return {}
    ttl: JsonObject = {} if hint.ttl is None else {"ttl": hint.ttl}
    return {"cache_control": {"type": hint.form[0] if hint.form else "ephemeral", **ttl, **hint.extras}}
