"""What Invariant's converter makes of a Gemini conversation.

One rule: results are told by the tool's name, calls have no ids; the user's content is always a list of parts.
https://github.com/invariantlabs-ai/invariant-gateway/blob/main/gateway/converters/gemini_to_invariant.py
"""

from collections.abc import Iterator, Sequence

from gatewright.invariant.parts import arguments_of, part_of
from gatewright.ir.blocks import Block, Message, Reasoning, Refusal, Text, ToolCall, ToolResult
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject, JsonValue


def gemini_messages(messages: Sequence[Message]) -> list[JsonObject]:
    return [written for message in messages for written in _message(message)]


def gemini_answer(response: Response) -> list[JsonObject]:
    """Every candidate: the first, and those that are kept as they came."""
    written = list(_model(response.blocks))
    for candidate in response.others:
        written += _candidate(candidate)
    return written


def _message(message: Message) -> Iterator[JsonObject]:
    match message.role:
        case "system":
            yield {"role": "system", "content": " ".join(block.text for block in message.blocks if isinstance(block, Text))}
        case "assistant":
            yield from _model(message.blocks)
        case _:
            yield from _user(message.blocks)


def _user(blocks: tuple[Block, ...]) -> Iterator[JsonObject]:
    parts: list[JsonValue] = []
    for block in blocks:
        if isinstance(block, ToolResult):
            yield {"role": "tool", "tool_name": block.name, "content": _result(block)}
        elif (part := part_of(block)) is not None:
            parts.append(part)
    if parts:
        yield {"role": "user", "content": parts}


def _result(result: ToolResult) -> JsonValue:
    """`response.result`, as the converter has it; the whole response where it has another shape."""
    if result.structured is not None:
        if isinstance(result.structured, dict) and "result" in result.structured:
            return result.structured["result"]
        return result.structured
    text = "\n".join(block.text for block in result.content if isinstance(block, Text))
    word = next((word.removeprefix("response=") for word in result.form if word.startswith("response=")), "result")
    return text if word == "result" else {word: text}


def _model(blocks: tuple[Block, ...]) -> Iterator[JsonObject]:
    for block in blocks:
        match block:
            case Text() | Reasoning() if "notext" in block.form:
                continue
            case Text() | Refusal() | Reasoning():  # a thought is a text part like any other, to the converter
                yield {"role": "assistant", "content": block.text}
            case ToolCall():
                function: JsonObject = {"name": block.name, "arguments": arguments_of(block)}
                yield {"role": "assistant", "tool_calls": [{"type": "function", "function": function}]}


def _candidate(candidate: JsonObject) -> Iterator[JsonObject]:
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, dict):
            continue
        call = part.get("functionCall")
        if isinstance(text := part.get("text"), str):
            yield {"role": "assistant", "content": text}
        elif isinstance(call, dict):
            function: JsonObject = {"name": call.get("name"), "arguments": call.get("args") or {}}
            yield {"role": "assistant", "tool_calls": [{"type": "function", "function": function}]}
