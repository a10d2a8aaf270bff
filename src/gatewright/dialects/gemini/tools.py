"""Tools and tool choice, as clients of this dialect declare them.

One rule: one neutral Tool for each function and for each hosted tool; `form` says which group it stood in (`g0`), so that the
groups come back as they were.
https://ai.google.dev/api/caching#Tool  https://ai.google.dev/api/caching#ToolConfig
"""

from gatewright.dialects.gemini.proto import Proto, camel, dotted
from gatewright.dialects.gemini.schema import to_json_schema
from gatewright.errors import Malformed
from gatewright.ir.request import Tool, ToolChoice
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import encode, kind

HOSTED: dict[str, str] = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "enterpriseWebSearch": "web_search",
    "urlContext": "web_fetch",
    "codeExecution": "code_execution",
    "fileSearch": "file_search",
    "computerUse": "computer",
    "mcpServers": "mcp",
}
"""Gemini's key → the field's word. Not one to one: three keys search the web."""

MODE: dict[JsonValue, str] = {"AUTO": "auto", "ANY": "required", "NONE": "none", 1: "auto", 2: "required", 3: "none"}
"""`functionCallingConfig.mode` → ToolChoice.mode; Vertex may send integers. VALIDATED has no neutral word."""


def parse_tools(value: JsonValue, at: str) -> list[Tool]:
    entries = value if isinstance(value, list) else [value]
    tools: list[Tool] = []
    for group, entry in enumerate(entries):
        where = f"{at}[{group}]" if isinstance(value, list) else at
        if not isinstance(entry, dict):
            raise Malformed(where, "an object", kind(entry))
        for key, inner in entry.items():
            if camel(key) == "functionDeclarations" and inner:
                tools += _functions(inner, f"{where}.{key}", (f"g{group}", key))
            else:
                word = HOSTED.get(camel(key), "")
                tools.append(
                    Tool(name=key, kind="hosted", hosted=word, native={key: inner}, at=f"{where}.{key}", form=(f"g{group}",))
                )
        if not entry:
            tools.append(Tool(name="", kind="hosted", native={}, at=where, form=(f"g{group}",)))
    return tools


def _functions(value: JsonValue, at: str, form: tuple[str, ...]) -> list[Tool]:
    if isinstance(value, dict):  # proto JSON takes one object where a list is meant
        return [_function(value, at, (*form, "one"))]
    if not isinstance(value, list):
        raise Malformed(at, "an array", kind(value))
    return [_function(item, f"{at}[{i}]", form) for i, item in enumerate(value)]


def _function(value: JsonValue, at: str, form: tuple[str, ...]) -> Tool:
    f = Proto(value, at)
    name, description = f.need_text("name"), f.text("description")
    parameters: JsonObject | None = None
    for key in ("parametersJsonSchema", "parameters"):
        if parameters is not None or (found := f.object(key)) is None:
            continue
        parameters = found
        if key == "parameters":
            form = (*form, key)
            plain = to_json_schema(found)
            if plain != found:
                assert isinstance(plain, dict)
                parameters, form = plain, (*form, "json:" + encode(found).decode())
    return Tool(name=name, description=description, parameters=parameters, at=at, form=(*form, *f.snakes), extras=f.rest())


def parse_choice(config: Proto) -> ToolChoice | None:
    """The function calling config of `toolConfig`; what it does not take stays in `config`."""
    f = config.proto("functionCallingConfig")
    if f is None:
        return None
    mode = f.peek("mode")
    if not isinstance(mode, str | int | None) or isinstance(mode, bool):
        raise Malformed(f.path("mode"), "a string", kind(mode))
    names: list[str] = []
    for i, name in enumerate(f.array("allowedFunctionNames")):
        if not isinstance(name, str):
            raise Malformed(f"{f.path('allowedFunctionNames')}[{i}]", "a string", kind(name))
        names.append(name)
    neutral = MODE.get(mode)
    form = (*config.snakes, *f.snakes)
    if neutral is not None:
        f.take("mode")
        if isinstance(mode, int):
            form = (*form, "int")
    elif mode is None:
        form = (*form, "nomode")
    if neutral == "required" and len(names) == 1:
        neutral = "tool"
    return ToolChoice(
        mode="tool" if neutral == "tool" else "required" if neutral == "required" else "none" if neutral == "none" else "auto",
        names=tuple(names),
        at=f.at,
        form=form,
        extras=f.rest(),
    )


def config_rest(config: Proto) -> JsonObject:
    """What is left of `toolConfig`, as the request's extras."""
    return dotted("toolConfig", config.rest())
