"""Tools and the choice among them, written for an upstream.

One rule: the API wants `toolConfig` wherever the history holds calls or results, and has no word for "call none": tools that only
the history knows are declared after it, and tools that nobody may call are left out where that is possible.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html
"""

import re

from gatewright.dialects.bedrock_converse.media import plain
from gatewright.dialects.bedrock_converse.models import ModelFacts
from gatewright.dialects.bedrock_converse.render_content import BlockWriter
from gatewright.dialects.bedrock_converse.request import CHOICES
from gatewright.dialects.bedrock_converse.turns import inner_of
from gatewright.ir.loss import Losses, join
from gatewright.ir.paths import path_of
from gatewright.ir.request import Request, Tool, ToolChoice
from gatewright.jsontypes import JsonObject, JsonValue

WIRE_CHOICE: dict[str, str] = {mode: word for word, mode in CHOICES.items()}
NOVA_TOOLS = {"web_search": "nova_grounding", "code_execution": "nova_code_interpreter"}
"""What a hosted tool of another provider is among Nova's own."""
INPUT_SCHEMA: JsonObject = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
"""The parameters of a function that stands in for a free-form tool."""
_BAD_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_COMBINATORS = ("oneOf", "anyOf", "allOf")


def home_tools(request: Request, writer: BlockWriter) -> JsonObject:
    """`toolConfig` as it came, without what only its extras know."""
    done: list[JsonObject] = []
    for tool in request.tools:
        if tool.kind == "hosted":
            done.append(tool.native)
        else:
            done.append(writer.extras(tool, {"toolSpec": _home_spec(tool)}))
        done += writer.cache_point(tool.cache, tool=True)
    config: JsonObject = {"tools": list[JsonValue](done)} if done else {}
    choice = request.tool_choice
    if choice is not None and choice.mode == "native":
        config["toolChoice"] = choice.extras
    elif choice is not None:
        inner: JsonObject = {"name": choice.names[0]} if choice.mode == "tool" else {}
        config["toolChoice"] = writer.extras(choice, {WIRE_CHOICE[choice.mode]: inner})
    return config


def _home_spec(tool: Tool) -> JsonObject:
    spec: JsonObject = {"name": tool.name}
    if tool.description is not None:
        spec["description"] = tool.description
    if tool.parameters is not None:
        spec["inputSchema"] = {"json": tool.parameters}
    if tool.strict is not None:
        spec["strict"] = tool.strict
    return spec


def tool_name(name: str, at: str, losses: Losses) -> str:
    """The name as the API takes it."""
    if 0 < len(name) <= 64 and not _BAD_NAME.search(name):
        return name
    losses.approximated(join(at, "name"), "the name has characters that converse refuses", name)
    return _BAD_NAME.sub("_", name)[:64] or "tool"


def foreign_tools(request: Request, facts: ModelFacts, writer: BlockWriter, losses: Losses) -> list[JsonObject]:
    """The declarations, each with its cache point behind it."""
    done: list[JsonObject] = []
    for tool in request.tools:
        losses.extras(tool, origin=request.origin)
        if tool.kind == "hosted":
            known = NOVA_TOOLS.get(tool.hosted) if facts.family == "nova" else None
            if known is None:
                losses.dropped(tool.at, f"this model has no {tool.hosted or 'such'} tool of its own", tool.native or tool.name)
                continue
            losses.approximated(tool.at, f"{known} stands in", tool.native or tool.name)
            done.append({"systemTool": {"name": known}})
        else:
            done.append({"toolSpec": _spec(tool, facts, losses)})
        done += writer.cache_point(tool.cache, tool=True)
    return done


def _spec(tool: Tool, facts: ModelFacts, losses: Losses) -> JsonObject:
    spec: JsonObject = {"name": tool_name(tool.name, tool.at, losses)}
    if tool.description:
        spec["description"] = tool.description
    elif tool.description is not None:
        losses.hint(join(tool.at, "description"), "an empty description is left out", tool.description)
    if tool.kind == "custom":
        losses.approximated(tool.at, "a free-form tool is told as a function with one string", tool.native or tool.name)
        spec["inputSchema"] = {"json": INPUT_SCHEMA}
    else:
        spec["inputSchema"] = {"json": _object_schema(tool, losses)}
    if tool.strict and facts.schema and facts.family == "claude":
        spec["strict"] = True
    elif tool.strict:
        losses.approximated(join(tool.at, "strict"), "this model does not promise strict arguments", tool.strict)
    elif tool.strict is not None:
        losses.hint(join(tool.at, "strict"), "never strict here", tool.strict)
    return spec


def _object_schema(tool: Tool, losses: Losses) -> JsonObject:
    """The parameters as the schema of an object, which the API insists on."""
    if tool.parameters is None:
        losses.hint(join(tool.at, "parameters"), "no parameters are told as an empty object")
        return {"type": "object", "properties": {}}
    schema = tool.parameters
    for word in _COMBINATORS:
        if word in schema:
            losses.approximated(join(tool.at, f"parameters.{word}"), "not at the top of a tool's schema", schema[word])
            schema = {key: value for key, value in schema.items() if key != word}
    if schema.get("type") == "object":
        return schema
    if "type" in schema:
        losses.approximated(join(tool.at, "parameters.type"), "a tool's input is an object", schema["type"])
    else:
        losses.hint(join(tool.at, "parameters.type"), "a schema without a type is told as an object's")
    return {**schema, "type": "object"}


def remembered(messages: list[JsonObject]) -> list[str] | None:
    """Names of the tools that the rendered history calls; None when it holds neither calls nor results."""
    names: list[str] = []
    found = False
    for message in messages:
        content = message["content"]
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and ("toolUse" in block or "toolResult" in block):
                found = True
                name = inner_of(block, "toolUse").get("name")
                if isinstance(name, str) and name not in names:
                    names.append(name)
    return names if found else None


def foreign_config(
    request: Request, messages: list[JsonObject], facts: ModelFacts, writer: BlockWriter, losses: Losses
) -> JsonObject | None:
    """`toolConfig`; None where there is nothing to declare and nothing to remember."""
    tools = foreign_tools(request, facts, writer, losses)
    history = remembered(messages)
    choice = request.tool_choice
    path = (choice.at if choice is not None else "") or path_of(request, "tool_choice")
    if choice is not None:
        losses.extras(choice, origin=request.origin)
    if request.parallel_tool_calls is not None:
        (losses.hint if request.parallel_tool_calls or not tools else losses.dropped)(
            path_of(request, "parallel_tool_calls"), "converse cannot say how many calls at once", request.parallel_tool_calls
        )
    if choice is not None and choice.mode == "none" and tools:
        if history is None:
            losses.approximated(path, "no tool may be called: none is declared", plain(choice))
            for tool in request.tools:
                losses.approximated(tool.at, "left out, because no tool may be called", plain(tool))
            return None
        losses.dropped(path, "converse cannot forbid calls where the history has some", plain(choice))
    known = [inner_of(tool, "toolSpec").get("name") for tool in tools]
    if history is not None and not tools:
        for name in history or ["tool"]:
            losses.hint(path_of(request, "tools"), "the history's tools have to be declared", name)
            tools.append({"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {}}}}})
    if not tools:
        if choice is not None:
            losses.hint(path, "there are no tools to choose from", plain(choice))
        return None
    config: JsonObject = {"tools": list[JsonValue](tools)}
    if choice is not None and choice.mode != "none":
        wire = _choice(choice, path, known, facts, losses)
        if wire is not None:
            config["toolChoice"] = wire
    return config


def _choice(choice: ToolChoice, path: str, known: list[JsonValue], facts: ModelFacts, losses: Losses) -> JsonObject | None:
    if choice.mode == "native":
        if not choice.extras:
            losses.dropped(path, "converse has no such choice", plain(choice))
        return None
    named = [tool_name(name, choice.at, losses) for name in choice.names]
    if choice.mode == "auto":
        if named:
            losses.approximated(path, "all tools stay allowed", list[JsonValue](named))
        return {"auto": {}}
    if not facts.forces:
        losses.approximated(path, "this model cannot be made to call a tool", plain(choice))
        return None
    if choice.mode == "tool" or len(named) == 1:
        if named and named[0] in known:
            return {"tool": {"name": named[0]}}
        losses.dropped(path, "no such tool is declared", plain(choice))
        return None
    if named:
        losses.approximated(path, "all tools stay allowed", list[JsonValue](named))
    return {"any": {}}
