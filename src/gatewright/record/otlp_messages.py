"""A conversation in the words of OpenTelemetry's GenAI conventions: messages of parts, as JSON.

    request ─▶ gen_ai.system_instructions, gen_ai.input.messages, gen_ai.tool.definitions      answer ─▶ gen_ai.output.messages

One rule: what the conventions have no part for becomes a part of a type of its own (`GenericPart`), never nothing. The bytes of
media are told by their kind and size alone: a span is no place for them.
https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-input-messages.json
"""

from collections.abc import Iterable, Mapping
from typing import Final, assert_never

from gatewright.ir.blocks import (
    Block,
    FileRef,
    Inline,
    Media,
    Message,
    Native,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Url,
)
from gatewright.ir.request import Request, Tool
from gatewright.ir.response import Finish, FinishReason, Response
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire import json
from gatewright.wire.json import BadJson

FINISH: Final[Mapping[FinishReason, str]] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "context": "length",
    "tool_calls": "tool_call",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "pause",
    "error": "error",
    "other": "other",
}
"""Ours → theirs. `pause` and `other` are words of our own, which the conventions allow."""


def finish_word(finish: Finish | None) -> str:
    """`stop`, `length`, …; empty where the provider did not say."""
    if finish is None:
        return ""
    return finish.raw if finish.reason == "other" and finish.raw else FINISH[finish.reason]


def instructions(request: Request) -> list[JsonValue]:
    """The parts of what is said apart from the history. A Chat client's system messages are part of it."""
    if request.origin == "openai_chat":
        return []
    return [part for message in _leading(request) for part in parts(message.blocks)]


def input_messages(request: Request) -> list[JsonValue]:
    """The history in its order. Results of tools, which travel in users' messages, are messages of `tool`."""
    apart = 0 if request.origin == "openai_chat" else len(_leading(request))
    return [told for message in request.messages[apart:] for told in _messages(message)]


def output_messages(answer: Response) -> list[JsonValue]:
    """One message: the first choice. Further ones are told as they came, in one part each."""
    word = finish_word(answer.finish)
    told: list[JsonValue] = [{"role": "assistant", "parts": list(parts(answer.blocks)), "finish_reason": word}]
    others: list[JsonValue] = [{"type": "choice", "native": other} for other in answer.others]
    return told + [{"role": "assistant", "parts": [part], "finish_reason": ""} for part in others]


def tool_definitions(tools: Iterable[Tool]) -> list[JsonValue]:
    """Names and kinds; schemas are large and say little of a call."""
    return [_definition(tool) for tool in tools]


def _definition(tool: Tool) -> JsonObject:
    if tool.kind != "hosted":
        described: JsonObject = {} if tool.description is None else {"description": tool.description}
        return {"type": tool.kind, "name": tool.name, **described}
    return {"type": tool.hosted or str(tool.native.get("type") or "hosted"), "name": tool.name}


def _leading(request: Request) -> tuple[Message, ...]:
    count = next((at for at, message in enumerate(request.messages) if message.role != "system"), len(request.messages))
    return request.messages[:count]


def _messages(message: Message) -> Iterable[JsonObject]:
    """Runs of results and of anything else, each a message."""
    named: JsonObject = {} if message.name is None else {"name": message.name}
    run: list[Block] = []
    for block in message.blocks:
        if run and isinstance(block, ToolResult) != isinstance(run[-1], ToolResult):
            yield _message(message.role, run, named)
            run = []
        run.append(block)
    if run or not message.blocks:
        yield _message(message.role, run, named)


def _message(role: str, blocks: list[Block], named: JsonObject) -> JsonObject:
    who = "tool" if blocks and isinstance(blocks[0], ToolResult) else role
    return {"role": who, "parts": list(parts(blocks)), **named}


def parts(blocks: Iterable[Block]) -> Iterable[JsonObject]:
    for block in blocks:
        match block:
            case Text():
                yield {"type": "text", "content": block.text}
            case Refusal():
                yield {"type": "refusal", "content": block.text}
            case Reasoning():
                yield {"type": "reasoning", "content": block.text or "\n\n".join(block.summary)}
            case ToolCall():
                yield {"type": "tool_call", "id": block.id or None, "name": block.name, "arguments": arguments(block)}
            case ToolResult():
                yield _result(block)
            case Media():
                yield _media(block)
            case Native():
                yield {"type": str(block.data.get("type") or next(iter(block.data), "native")), "native": block.data}
            case _:
                assert_never(block)


def arguments(call: ToolCall) -> JsonValue:
    """The object, where it is one; the text, where the model wrote something else."""
    if call.kind == "custom":
        return call.arguments
    try:
        return json.decode(call.arguments.encode("utf-8", "surrogatepass")) if call.arguments else {}
    except BadJson:
        return call.arguments


def _result(block: ToolResult) -> JsonObject:
    told: JsonObject = {"type": "tool_call_response", "id": block.call_id or None, "response": result(block)}
    if block.name:
        told["name"] = block.name
    if block.is_error is not None:
        told["is_error"] = block.is_error
    return told


def result(block: ToolResult) -> JsonValue:
    """What a tool gave: its text, its object, or the parts of both."""
    if block.structured is not None:
        return block.structured
    if all(isinstance(inner, Text) for inner in block.content):
        return "".join(inner.text for inner in block.content if isinstance(inner, Text))
    return list(parts(block.content))


def _media(block: Media) -> JsonObject:
    source = block.source
    kind: JsonObject = {"modality": block.kind}
    match source:
        case Url():
            return {"type": "uri", **kind, "mime_type": source.media_type, "uri": source.url}
        case FileRef():
            return {"type": "file", **kind, "mime_type": source.media_type, "file_id": source.id}
        case Inline():
            if source.text:
                return {"type": "text", "content": source.data}
            size = len(source.data) * 3 // 4
            return {"type": "blob", **kind, "mime_type": source.media_type or None, "content": "", "bytes": size}
        case _:
            assert_never(source)
