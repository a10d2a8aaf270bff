"""Tools and the choice among them, written for an upstream.

One rule: a tool that cannot be declared as it is stands in for itself as a function where one can be made, and is dropped with
its whole declaration in the losses where not.
https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview
"""

import re

from gatewright.dialects.anthropic.render_content import BlockWriter, plain
from gatewright.dialects.anthropic.request import CHOICES
from gatewright.ir.claude_models import ModelFacts
from gatewright.ir.loss import Losses, join
from gatewright.ir.paths import path_of
from gatewright.ir.request import Request, Tool, ToolChoice
from gatewright.jsontypes import JsonObject, JsonValue

WIRE_CHOICE = {mode: word for word, mode in CHOICES.items()}

HOSTED_TYPES: dict[str, tuple[JsonObject, str]] = {
    "web_search": ({"type": "web_search_20250305", "name": "web_search"}, ""),
    "web_fetch": ({"type": "web_fetch_20250910", "name": "web_fetch"}, "web-fetch-2025-09-10"),
    "code_execution": ({"type": "code_execution_20250825", "name": "code_execution"}, "code-execution-2025-08-25"),
}
"""What a hosted tool of another provider is here, and the beta flag it needs."""

_BAD_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_COMBINATORS = ("oneOf", "anyOf", "allOf")
INPUT_SCHEMA: JsonObject = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
"""The parameters of a function that stands in for a free-form tool."""

_UNSUPPORTED = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems",
        "uniqueItems", "minProperties", "maxProperties", "patternProperties", "contains", "not", "if", "then", "else",
    }
)  # fmt: skip
"""Schema keywords that grammar-constrained output refuses (400)."""


def fits(schema: JsonValue) -> bool:
    """Whether the API takes this schema for constrained output as it stands."""
    if isinstance(schema, list):
        return all(fits(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return False
    return all(
        key not in _UNSUPPORTED and fits_named(key, value)
        for key, value in schema.items()
        if key not in {"enum", "const", "default"}
    )


def fits_named(key: str, value: JsonValue) -> bool:
    """As `fits`, for the value of a keyword: names of properties are no keywords."""
    if key in {"properties", "$defs", "definitions"} and isinstance(value, dict):
        return all(fits(item) for item in value.values())
    return fits(value)


def home_tools(request: Request, writer: BlockWriter) -> list[JsonObject]:
    """The declarations as they came."""
    done: list[JsonObject] = []
    for tool in request.tools:
        if tool.kind != "function":
            done.append(tool.native)
            continue
        wire: JsonObject = {"name": tool.name}
        if tool.form:
            wire["type"] = tool.form[0]
        if tool.description is not None:
            wire["description"] = tool.description
        if tool.parameters is not None:
            wire["input_schema"] = tool.parameters
        if tool.strict is not None:
            wire["strict"] = tool.strict
        writer.cache(tool.cache, wire)
        done.append(writer.extras(tool, wire))
    return done


def foreign_tools(request: Request, facts: ModelFacts, writer: BlockWriter, losses: Losses) -> tuple[list[JsonObject], list[str]]:
    """Declarations for the API and the beta flags they need."""
    done: list[JsonObject] = []
    betas: list[str] = []
    for tool in request.tools:
        losses.extras(tool, origin=request.origin)
        if tool.kind == "hosted":
            known = HOSTED_TYPES.get(tool.hosted)
            if known is None:
                losses.dropped(tool.at, f"anthropic has no {tool.hosted or 'such'} tool", tool.native or tool.name)
                continue
            losses.approximated(tool.at, "anthropic's own tool stands in", tool.native or tool.name)
            done.append(_hosted(tool, known[0]))
            if known[1]:
                betas.append(known[1])
        else:
            done.append(_function(tool, facts, writer, losses))
    return done, betas


def _hosted(tool: Tool, known: JsonObject) -> JsonObject:
    """The equivalent, with those settings that mean the same."""
    wire = dict(known)
    if tool.hosted == "web_search":
        filters = tool.native.get("filters")
        domains = filters.get("allowed_domains") if isinstance(filters, dict) else None
        if isinstance(domains, list) and domains:
            wire["allowed_domains"] = domains
        place = tool.native.get("user_location")
        if isinstance(place, dict):
            # Chat Completions says the place one level deeper.
            inner = place.get("approximate")
            named = inner if isinstance(inner, dict) else place
            told = {key: value for key in ("city", "region", "country", "timezone") if isinstance(value := named.get(key), str)}
            if told:
                wire["user_location"] = {"type": "approximate", **told}
    return wire


def tool_name(name: str, at: str, losses: Losses) -> str:
    """The name as the API takes it."""
    if len(name) <= 128 and not _BAD_NAME.search(name):
        return name
    losses.approximated(join(at, "name"), "the name has characters that anthropic refuses", name)
    return _BAD_NAME.sub("_", name)[:128] or "tool"


def _function(tool: Tool, facts: ModelFacts, writer: BlockWriter, losses: Losses) -> JsonObject:
    wire: JsonObject = {"name": tool_name(tool.name, tool.at, losses)}
    if tool.description:
        wire["description"] = tool.description
    elif tool.description is not None:
        losses.hint(join(tool.at, "description"), "an empty description is left out", tool.description)
    if tool.kind == "custom":
        losses.approximated(tool.at, "a free-form tool is told as a function with one string", tool.native or tool.name)
        wire["input_schema"] = INPUT_SCHEMA
    else:
        wire["input_schema"] = _object_schema(tool, losses)
    if tool.strict is not None:
        if facts.native_schema and (not tool.strict or fits(wire["input_schema"])):
            wire["strict"] = tool.strict
        elif tool.strict:
            losses.approximated(join(tool.at, "strict"), "the model or the schema does not allow strict arguments", tool.strict)
        else:
            losses.hint(join(tool.at, "strict"), "never strict here", tool.strict)
    writer.cache(tool.cache, wire)
    return wire


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


def home_choice(request: Request, writer: BlockWriter, losses: Losses) -> JsonObject | None:
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if choice is None and parallel is None:
        return None
    if choice is None:  # the route's word on parallel calls, for which the client gave no place
        if request.tools:
            return {"type": "auto", "disable_parallel_tool_use": not parallel}
        losses.hint(path_of(request, "parallel_tool_calls"), "there are no tools to call", parallel)
        return None
    wire: JsonObject = {} if choice.mode == "native" else {"type": WIRE_CHOICE[choice.mode]}
    if choice.mode == "tool":
        wire["name"] = choice.names[0]
    if parallel is not None:
        wire["disable_parallel_tool_use"] = not parallel
    return writer.extras(choice, wire)


def foreign_choice(request: Request, tools: list[JsonObject], losses: Losses) -> JsonObject | None:
    """The choice, with the word on parallel calls inside it; None when there is nothing to choose."""
    choice = request.tool_choice
    parallel = request.parallel_tool_calls
    if not tools:
        if choice is not None:
            losses.hint(path_of(request, "tool_choice"), "there are no tools to choose from", plain(choice))
        if parallel is not None:
            losses.hint(path_of(request, "parallel_tool_calls"), "there are no tools to call", parallel)
        return None
    wire = None if choice is None else _choice(choice, request, tools, losses)
    if parallel is not None:
        if wire is None:
            losses.hint(path_of(request, "tool_choice"), "auto is said, to hold the word on parallel calls")
            wire = {"type": "auto"}
        if wire["type"] == "none":
            losses.hint(path_of(request, "parallel_tool_calls"), "no tool may be called", parallel)
        else:
            wire["disable_parallel_tool_use"] = not parallel
    return wire


def _choice(choice: ToolChoice, request: Request, tools: list[JsonObject], losses: Losses) -> JsonObject | None:
    path = choice.at or path_of(request, "tool_choice")
    losses.extras(choice, origin=request.origin)
    if choice.mode == "native":
        if not choice.extras:
            losses.dropped(path, "anthropic has no such choice", plain(choice))
        return None
    named = [tool_name(name, choice.at, losses) for name in choice.names]
    known = {tool["name"] for tool in tools}
    if choice.mode == "tool" or (choice.mode == "required" and len(named) == 1):
        if named and named[0] in known:
            return {"type": "tool", "name": named[0]}
        losses.dropped(path, "no such tool is declared", plain(choice))
        return None
    if named:
        losses.approximated(path, "all tools stay allowed", list[JsonValue](named))
    return {"type": WIRE_CHOICE[choice.mode]}
