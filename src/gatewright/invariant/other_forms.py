"""Conversations in dialects that Invariant does not know: Responses and Converse, told as its converter tells Anthropic's.

One rule: an assistant's turn is taken apart, a message for each text and for each call, so that a later turn repeats what was
pushed when it was answered; reasoning and tools of the provider's own were not said, and are left out.
https://github.com/invariantlabs-ai/invariant-gateway/blob/main/gateway/converters/anthropic_to_invariant.py
"""

from collections.abc import Iterator, Sequence

from gatewright.invariant.parts import arguments_of, part_of, texts_or_parts
from gatewright.ir.blocks import Block, Media, Message, Refusal, Text, ToolCall, ToolResult
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject, JsonValue


def other_messages(messages: Sequence[Message]) -> list[JsonObject]:
    return [written for message in messages for written in _message(message)]


def other_answer(response: Response) -> list[JsonObject]:
    return list(_assistant(response.blocks))


def _message(message: Message) -> Iterator[JsonObject]:
    match message.role:
        case "system":
            if message.blocks:
                yield {"role": "system", "content": texts_or_parts(message.blocks)}
        case "assistant":
            yield from _assistant(message.blocks)
        case _:
            yield from _user(message.blocks)


def _user(blocks: tuple[Block, ...]) -> Iterator[JsonObject]:
    for block in blocks:
        if isinstance(block, ToolResult):
            yield {"role": "tool", "content": _result(block), "tool_call_id": block.call_id}
    if others := texts_or_parts(tuple(block for block in blocks if not isinstance(block, ToolResult))):
        yield {"role": "user", "content": others}


def _result(result: ToolResult) -> JsonValue:
    """The document that it is, or its text, or its parts; nothing is the empty text."""
    if result.structured is not None:
        return result.structured
    return texts_or_parts(result.content) or ""


def _assistant(blocks: tuple[Block, ...]) -> Iterator[JsonObject]:
    for block in blocks:
        match block:
            case Text(text="", seal=seal) if seal is not None:
                continue  # it carries a signature, and says nothing
            case Text() | Refusal():
                yield {"role": "assistant", "content": block.text}
            case Media():
                yield {"role": "assistant", "content": [part_of(block)]}
            case ToolCall():
                named: JsonObject = {"id": block.id} if block.id else {}
                function: JsonObject = {"name": block.name, "arguments": arguments_of(block)}
                yield {"role": "assistant", "tool_calls": [{**named, "type": "function", "function": function}]}
