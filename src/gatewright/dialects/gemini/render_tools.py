"""Tools and tool choice for a Gemini upstream.

One rule: at home the groups come back as they were; abroad all functions stand in one group and each hosted tool in its own.
https://ai.google.dev/api/caching#Tool
"""

from gatewright.dialects.gemini.models import Abilities
from gatewright.dialects.gemini.proto import Speller, merge
from gatewright.dialects.gemini.schema import SchemaFilter
from gatewright.ir.loss import Losses, join
from gatewright.ir.paths import path_of
from gatewright.ir.request import Request, Tool, ToolChoice
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import decode

EQUIVALENT: dict[str, str] = {"web_search": "googleSearch", "web_fetch": "urlContext", "code_execution": "codeExecution"}
"""The field's word → Gemini's hosted tool that stands in for another provider's."""
MODE: dict[str, str] = {"auto": "AUTO", "required": "ANY", "tool": "ANY", "none": "NONE"}
MODE_NUMBER: dict[str, int] = {"AUTO": 1, "ANY": 2, "NONE": 3}


def original(form: tuple[str, ...]) -> JsonValue:
    """The schema as the client wrote it, where the neutral form had to change it; None elsewhere."""
    return next((decode(word[5:].encode()) for word in form if word.startswith("json:")), None)


def home_tools(tools: tuple[Tool, ...]) -> list[JsonValue]:
    """The client's own groups."""
    groups: dict[str, JsonObject] = {}
    for tool in tools:
        group = groups.setdefault(next((word for word in tool.form if word[:1] == "g" and word[1:].isdecimal()), ""), {})
        if tool.kind == "hosted":
            group.update(tool.native)
            continue
        spell = Speller(tool.form)
        declaration = _home_function(tool, spell)
        if "one" in tool.form:
            group[spell("functionDeclarations")] = declaration
        else:
            functions = group.setdefault(spell("functionDeclarations"), [])
            assert isinstance(functions, list)
            functions.append(declaration)
    return list(groups.values())


def _home_function(tool: Tool, spell: Speller) -> JsonObject:
    declaration: JsonObject = {"name": tool.name}
    if tool.description is not None:
        declaration["description"] = tool.description
    if tool.parameters is not None:
        key = "parameters" if "parameters" in tool.form else spell("parametersJsonSchema")
        declaration[key] = original(tool.form) or tool.parameters
    return merge(declaration, tool.extras, spell)


def foreign_tools(request: Request, can: Abilities, losses: Losses) -> list[JsonValue]:
    functions: list[JsonValue] = []
    hosted: list[JsonValue] = []
    mixed = can.mixes_tools or not any(tool.kind != "hosted" for tool in request.tools)
    seen: set[str] = set()
    for tool in request.tools:
        if tool.cache is not None:
            losses.hint(tool.cache.at or join(tool.at, "cache"), "gemini has no cache points", tool.cache.ttl)
            losses.extras(tool.cache, origin=request.origin)
        if tool.kind == "hosted":
            losses.extras(tool, origin=request.origin)
            key = EQUIVALENT.get(tool.hosted)
            if key is None or not mixed:
                why = "this model takes no hosted tools beside functions" if key else "gemini has no such hosted tool"
                losses.dropped(tool.at, why, tool.native or tool.name)
                continue
            losses.approximated(tool.at, f"gemini's own {key} stands in, with its own settings", tool.native or tool.name)
            if key not in seen:
                hosted.append({key: {}})
            seen.add(key)
            continue
        functions.append(_foreign_function(tool, losses))
        losses.extras(tool, origin=request.origin)
    return [{"functionDeclarations": functions}, *hosted] if functions else hosted


def _foreign_function(tool: Tool, losses: Losses) -> JsonObject:
    declaration: JsonObject = {"name": tool.name}
    if tool.description is not None:
        declaration["description"] = tool.description
    if tool.strict is not None:
        losses.hint(join(tool.at, "strict"), "gemini has no strict functions", tool.strict)
    if tool.kind == "custom":
        losses.approximated(tool.at, "gemini has no free-form tools: a function with the text `input` stands in", tool.native)
        declaration["parametersJsonSchema"] = {
            "type": "object",
            "properties": {"input": {"type": "string"}},
            "required": ["input"],
        }
    elif tool.parameters is not None:
        declaration["parametersJsonSchema"] = SchemaFilter(losses).rewrite(tool.parameters, join(tool.at, "parameters"))
    return declaration


def tool_config(request: Request, can: Abilities, losses: Losses) -> JsonObject:
    """`toolConfig`; empty when there is nothing to say."""
    choice = request.tool_choice
    home = request.origin == "gemini"
    out: JsonObject = {}
    if choice is not None:
        if choice.mode == "native" and not home:
            losses.dropped(choice.at or path_of(request, "tool_choice"), "gemini has no such tool choice", choice.extras)
        else:
            spell = Speller(choice.form)
            config = _calling(choice, spell)
            out[spell("functionCallingConfig")] = merge(config, losses.extras(choice, origin=request.origin), spell)
    if request.parallel_tool_calls is not None:
        weigh = losses.hint if request.parallel_tool_calls else losses.dropped
        weigh(path_of(request, "parallel_tool_calls"), "gemini cannot forbid parallel calls", request.parallel_tool_calls)
    if (
        not home
        and can.mixes_tools
        and {tool.kind == "hosted" and tool.hosted in EQUIVALENT for tool in request.tools} == {True, False}
    ):
        out["includeServerSideToolInvocations"] = True
    return out


def _calling(choice: ToolChoice, spell: Speller) -> JsonObject:
    mode = MODE.get(choice.mode, "AUTO")
    if mode == "AUTO" and choice.names and "nomode" not in choice.form:
        mode = "VALIDATED"  # AUTO refuses allowed names; VALIDATED is AUTO that takes them
    config: JsonObject = {}
    if "nomode" not in choice.form:
        config["mode"] = MODE_NUMBER[mode] if "int" in choice.form else mode
    if choice.names:
        config[spell("allowedFunctionNames")] = list(choice.names)
    return config
