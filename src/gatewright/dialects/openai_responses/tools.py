"""Tool declarations and tool choice, wire -> neutral.

One rule: tools that the wire groups (a namespace, an `additional_tools` item) are flattened, each under a name that any provider
takes, and their form says where they stood.
https://platform.openai.com/docs/api-reference/responses/create#responses-create-tools
"""

import re
from typing import Literal

import msgspec

from gatewright.dialects.openai_responses.names import NAME, digest, flags
from gatewright.errors import Malformed
from gatewright.ir.request import Request, Tool, ToolChoice
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.fields import Fields
from gatewright.wire.json import kind as kind_of

HOSTED = {
    "web_search": "web_search",
    "web_search_2025_08_26": "web_search",
    "web_search_preview": "web_search",
    "web_search_preview_2025_03_11": "web_search",
    "code_interpreter": "code_execution",
    "file_search": "file_search",
    "computer": "computer",
    "computer_use_preview": "computer",
    "image_generation": "image_generation",
    "mcp": "mcp",
    "shell": "shell",
    "local_shell": "shell",
    "apply_patch": "apply_patch",
    "tool_search": "tool_search",
    "x_search": "x_search",
}
"""Wire type → the field's word for what the tool is."""

GROUP = "namespace"
"""Key of the extras of a namespace's first tool that holds the namespace's own fields."""
ADDED = "additional_tools"
"""Key of the extras of an `additional_tools` item's first tool that holds the item's own fields."""

_MODES: dict[str, Literal["auto", "none", "required"]] = {"auto": "auto", "none": "none", "required": "required"}
_MAX_NAME = 64
_UNFIT = re.compile(r"[^A-Za-z0-9_-]")


def flat_name(namespace: str, name: str) -> str:
    """The name of a namespace's tool where there are no namespaces: at most 64 characters, the same every time."""
    joined = f"{namespace}{name}" if namespace.endswith("__") else f"{namespace}__{name}"
    fit = _UNFIT.sub("_", joined)
    if fit == joined and len(fit) <= _MAX_NAME:
        return fit
    return f"{fit[: _MAX_NAME - 9]}_{digest(joined, 8)}"


def parse_tools(values: list[JsonValue], at: str, form: tuple[str, ...] = ()) -> tuple[Tool, ...]:
    """The tools of a list at `at`. Raises Malformed for what is not an object with a type."""
    tools: list[Tool] = []
    for i, value in enumerate(values):
        where = f"{at}[{i}]"
        fields = Fields(value, where)
        kind = fields.need_text("type")
        whole: JsonObject = dict(value) if isinstance(value, dict) else {}
        group = _namespace(whole, where, (*form, f"group={i}")) if kind == "namespace" else ()
        if group:
            tools += group
        elif kind in ("function", "custom") and isinstance(whole.get("name"), str):
            tools.append(_callable(fields, kind, form, whole))
        else:
            hosted = HOSTED.get(kind, "")
            tools.append(Tool(name=kind, kind="hosted", hosted=hosted, native=whole, form=form, at=where))
    return tuple(tools)


def _callable(fields: Fields, kind: str, form: tuple[str, ...], whole: JsonObject) -> Tool:
    """A function or custom tool whose `type` has been taken."""
    name = fields.need_text("name")
    description = fields.text("description")
    if kind == "custom":
        extras = fields.rest()
        return Tool(name=name, description=description, kind="custom", native=whole, extras=extras, form=form, at=fields.at)
    parameters = fields.object("parameters")
    strict = fields.boolean("strict")
    return Tool(
        name=name,
        description=description,
        parameters=parameters,
        strict=strict,
        extras=fields.rest(),
        form=form,
        at=fields.at,
    )


def _namespace(whole: JsonObject, at: str, form: tuple[str, ...]) -> tuple[Tool, ...]:
    """The tools of a namespace under flat names; nothing when it holds anything but named functions and custom tools."""
    fields = Fields(whole, at)
    fields.take("type")
    namespace, inner = fields.take("name"), fields.peek("tools")
    if not isinstance(namespace, str) or not isinstance(inner, list):
        return ()
    fields.take("tools")
    tools: list[Tool] = []
    for i, value in enumerate(inner):
        if not isinstance(value, dict) or value.get("type") not in ("function", "custom"):
            return ()
        each = Fields(value, f"{at}.tools[{i}]")
        name = value.get("name")
        if not isinstance(name, str):
            return ()
        tool = _callable(each, str(each.take("type")), (*form, f"namespace={namespace}", f"name={name}"), dict(value))
        extras = tool.extras if i or not fields.rest() else {**tool.extras, GROUP: fields.rest()}
        tools.append(msgspec.structs.replace(tool, name=flat_name(namespace, name), extras=extras))
    return tuple(tools)


def parse_additional(item: JsonObject, at: str, index: int) -> tuple[Tool, ...]:
    """The tools of an `additional_tools` input item; nothing when it declares none that can be read."""
    fields = Fields(item, at)
    fields.take("type")
    found = fields.array("tools")
    if not found:
        return ()
    tools = parse_tools(found, f"{at}.tools", (f"item={index}",))
    if tools and fields.rest():
        first = msgspec.structs.replace(tools[0], extras={**tools[0].extras, ADDED: fields.rest()})
        return (first, *tools[1:])
    return tools


def namespaced(tools: tuple[Tool, ...]) -> dict[tuple[str, str], str]:
    """(namespace, name) → flat name, of all tools that stood in a namespace."""
    found: dict[tuple[str, str], str] = {}
    for tool in tools:
        words = flags(tool.form)
        if "namespace" in words:
            found[words["namespace"], words["name"]] = tool.name
    return found


class Callable(msgspec.Struct, frozen=True):
    """What a client calls a tool that the upstream knows by a flat name."""

    name: str
    namespace: str | None = None
    custom: bool = False


def callables(request: Request) -> dict[str, Callable]:
    """Flat name → what the client calls it; only tools that the client knows otherwise than as plain functions."""
    found: dict[str, Callable] = {}
    for tool in request.tools:
        words = flags(tool.form) if request.origin == NAME else {}
        if tool.kind != "hosted" and ("namespace" in words or tool.kind == "custom"):
            found[tool.name] = Callable(words.get("name", tool.name), words.get("namespace"), tool.kind == "custom")
    return found


def parse_choice(value: JsonValue) -> ToolChoice:
    """`tool_choice`, in any of its shapes. Raises Malformed for what is neither a word nor an object."""
    at = "tool_choice"
    if isinstance(value, str):
        mode = _MODES.get(value)
        if mode is None:
            raise Malformed(at, '"auto", "none", "required" or an object', f'"{value}"')
        return ToolChoice(mode=mode, at=at)
    if not isinstance(value, dict):
        raise Malformed(at, "a string or an object", kind_of(value))
    native = ToolChoice(mode="native", extras=dict(value), at=at)
    match value.get("type"):
        case "function" | "custom" as kind if isinstance(value.get("name"), str):
            extras = {key: each for key, each in value.items() if key not in ("type", "name")}
            return ToolChoice(mode="tool", names=(str(value["name"]),), extras=extras, form=(kind,), at=at)
        case "allowed_tools":
            return _allowed(value, at) or native
        case _:
            return native


def _allowed(value: JsonObject, at: str) -> ToolChoice | None:
    """Functions and custom tools named one by one; None for anything more."""
    mode, tools = value.get("mode"), value.get("tools")
    if mode not in ("auto", "required") or not isinstance(tools, list) or set(value) != {"type", "mode", "tools"}:
        return None
    names: list[str] = []
    kinds: list[str] = []
    for tool in tools:
        if not isinstance(tool, dict) or set(tool) != {"type", "name"} or tool["type"] not in ("function", "custom"):
            return None
        names.append(str(tool["name"]))
        kinds.append(str(tool["type"]))
    if not names:
        return None
    return ToolChoice(mode="auto" if mode == "auto" else "required", names=tuple(names), form=("allowed_tools", *kinds), at=at)
