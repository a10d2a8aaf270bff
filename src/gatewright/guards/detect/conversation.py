"""What was done in a conversation, in its order: who said what, which tools were called, what they gave.

One rule: a call is a call wherever it stands: as a block of the neutral form, as a provider's own tool, in a further choice of
the answer.
"""

import json
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from gatewright.ir.blocks import Block, Message, Native, Text, ToolCall, ToolResult
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject, JsonValue

StepKind: TypeAlias = Literal["system", "user", "assistant", "call", "result"]
DEEPEST: Final = 64


class Unreadable(msgspec.Struct, frozen=True):
    """Arguments that are no JSON, or that two readers may read in two ways: a key twice."""


class Step(msgspec.Struct, frozen=True):
    """One thing that was said or done."""

    kind: StepKind
    path: str
    tool: str = ""
    arguments: JsonValue | Unreadable = None
    """Of a call."""
    text: str = ""
    """Of what was said, or what a tool gave."""
    failed: bool = False
    """Of a result."""


def steps(request: Request) -> list[Step]:
    names: dict[str, str] = {}
    return [
        step
        for index, message in enumerate(request.messages)
        for number, block in enumerate(message.blocks)
        for step in _of_block(block, message, block.at or f"messages[{index}].content[{number}]", names)
    ]


def answered(response: Response) -> list[Step]:
    message = Message(role="assistant", blocks=response.blocks)
    found = [
        step
        for number, block in enumerate(response.blocks)
        for step in _of_block(block, message, block.at or f"content[{number}]", {})
    ]
    for index, other in enumerate(response.others):
        found += _in_json(other, f"choices[{index + 1}]", 0)
    return found


def _of_block(block: Block, message: Message, path: str, names: dict[str, str]) -> Iterator[Step]:
    match block:
        case ToolCall(id=call_id, name=name, arguments=arguments, kind=kind):
            names[call_id] = name
            yield Step("call", path, name, {"input": arguments} if kind == "custom" else read_arguments(arguments))
        case ToolResult(call_id=call_id, name=name, content=content, structured=structured, is_error=is_error):
            parts = [inner.text if isinstance(inner, Text) else "" for inner in content]
            if structured is not None:
                parts.append(msgspec.json.encode(structured).decode())
            yield Step("result", path, name or names.get(call_id, ""), text="\n".join(parts), failed=bool(is_error))
        case Text(text=text):
            yield Step(message.role, path, text=text)
        case Native(data=document):
            yield from _native(document, path)
        case _:
            return


def _native(document: JsonObject, path: str) -> Iterator[Step]:
    """A provider's own tool: its call, or what it gave."""
    said = document.get("type")
    word = said if isinstance(said, str) else ""
    name = document.get("name")
    if word.endswith(("tool_use", "_call")):
        arguments = next((document[key] for key in ("input", "arguments", "action", "operation") if key in document), {})
        yield Step("call", path, name if isinstance(name, str) else word.removesuffix("_call"), _object(arguments))
    elif word.endswith(("tool_result", "_output", "_result")):
        tool = name if isinstance(name, str) else word.removesuffix("_tool_result").removesuffix("_call_output")
        yield Step("result", path, tool, text=msgspec.json.encode(document).decode())
    else:
        yield from _in_json(document, path, 0)


def _in_json(value: JsonValue, path: str, depth: int) -> list[Step]:
    """Calls in a document of some dialect: `function`, `functionCall`, `tool_use`, `toolUse`: a name beside arguments."""
    if depth > DEEPEST:
        return []
    if isinstance(value, list):
        return [step for index, each in enumerate(value) for step in _in_json(each, f"{path}[{index}]", depth + 1)]
    if not isinstance(value, dict):
        return []
    found: list[Step] = []
    name = value.get("name")
    if isinstance(name, str):
        arguments = next((value[key] for key in ("arguments", "args", "input") if key in value), None)
        if arguments is not None:
            found.append(Step("call", path, name, _object(arguments)))
    for key, each in value.items():
        found += _in_json(each, f"{path}.{key}", depth + 1)
    return found


def _object(arguments: JsonValue) -> JsonValue | Unreadable:
    return read_arguments(arguments) if isinstance(arguments, str) else arguments


def read_arguments(text: str) -> JsonValue | Unreadable:
    """The arguments of a call. None at all are an empty object."""
    if not text.strip():
        return {}
    try:
        value: JsonValue = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return Unreadable()
    return value


def _once(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _no_number(word: str) -> JsonValue:
    raise ValueError(word)
