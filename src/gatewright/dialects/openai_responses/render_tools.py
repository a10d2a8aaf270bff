"""Tool declarations and tool choice, neutral -> wire.

One rule: at home every tool goes back to where its form says it stood; from abroad a freeform tool becomes a function with one
string parameter, and a hosted tool its equivalent here or a loss.
"""

from gatewright.dialects.openai_responses.names import NAME, flags, plain
from gatewright.dialects.openai_responses.tools import ADDED, GROUP
from gatewright.ir.blocks import DialectName
from gatewright.ir.loss import Losses, join
from gatewright.ir.paths import path_of
from gatewright.ir.request import Request, Tool, ToolChoice
from gatewright.ir.strictness import strict_or_loss
from gatewright.jsontypes import JsonObject, JsonValue

FREEFORM: JsonObject = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
"""Parameters of the function that stands in for a freeform tool."""

_OURS: dict[str, JsonObject] = {
    "web_search": {"type": "web_search"},
    "code_execution": {"type": "code_interpreter", "container": {"type": "auto"}},
}
"""What a hosted tool of another dialect is here."""
_PLACE = ("city", "country", "region", "timezone")


def home_tools(tools: tuple[Tool, ...], item: str | None = None) -> list[JsonValue]:
    """The wire's list of tools: the top-level one, or that of the `additional_tools` item whose index is `item`."""
    found: list[JsonValue] = []
    group, inner = "", list[JsonValue]()
    for tool in tools:
        words = flags(tool.form)
        if words.get("item") != item:
            continue
        if "group" not in words:
            group = ""
            found.append(_home(tool, tool.name))
            continue
        if words["group"] != group:
            group, inner = words["group"], []
            own = tool.extras.get(GROUP)
            namespace: JsonObject = {"type": "namespace", "name": words["namespace"], "tools": inner}
            found.append(namespace | (own if isinstance(own, dict) else {}))
        inner.append(_home(tool, words["name"]))
    return found


def _home(tool: Tool, name: str) -> JsonObject:
    if tool.kind == "hosted":
        return dict(tool.native)
    wire: JsonObject = {"type": tool.kind, "name": name}
    if tool.description is not None:
        wire["description"] = tool.description
    if tool.parameters is not None:
        wire["parameters"] = tool.parameters
    if tool.strict is not None:
        wire["strict"] = tool.strict
    return wire | {key: value for key, value in tool.extras.items() if key not in (GROUP, ADDED)}


def additional_items(tools: tuple[Tool, ...]) -> dict[int, JsonObject]:
    """Place in the input → the `additional_tools` item that stood there."""
    found: dict[int, JsonObject] = {}
    for tool in tools:
        index = flags(tool.form).get("item")
        if index is not None and int(index) not in found:
            own = tool.extras.get(ADDED)
            item: JsonObject = {"type": "additional_tools", "tools": home_tools(tools, index)}
            found[int(index)] = item | (own if isinstance(own, dict) else {})
    return found


def foreign_tools(tools: tuple[Tool, ...], origin: DialectName, losses: Losses) -> list[JsonValue]:
    """Another dialect's tools."""
    found: list[JsonValue] = []
    for tool in tools:
        if tool.cache is not None:
            at = tool.cache.at or join(tool.at, "cache_control")
            losses.hint(at, "the Responses API places its cache points itself", plain(tool.cache))
        losses.extras(tool, origin=origin)
        match tool.kind:
            case "function":
                found.append(_function(tool, losses))
            case "custom":
                losses.approximated(tool.at, "a freeform tool, told as a function of one string", tool.native or tool.name)
                found.append(_declared(tool, FREEFORM))
            case "hosted" if tool.hosted in _OURS:
                found.append(_hosted(tool, losses))
            case "hosted":
                losses.dropped(tool.at, f"the Responses API hosts no such tool: {tool.name}", tool.native)
    return found


def _declared(tool: Tool, parameters: JsonObject, *, strict: bool = False) -> JsonObject:
    wire: JsonObject = {"type": "function", "name": tool.name, "parameters": parameters, "strict": strict}
    if tool.description is not None:
        wire["description"] = tool.description
    return wire


def _function(tool: Tool, losses: Losses) -> JsonObject:
    # Strict is on by default here and off elsewhere: it is always said, and a client that said so itself is told.
    if tool.strict is False:
        losses.hint(join(tool.at, "strict"), "false is said for every function", value=False)
    parameters = tool.parameters
    if parameters is None:
        parameters = {"type": "object", "properties": {}}
        losses.hint(join(tool.at, "parameters"), "none given; told as an object without properties")
    return _declared(tool, parameters, strict=bool(strict_or_loss(parameters, tool.at, losses, strict=tool.strict)))


def _hosted(tool: Tool, losses: Losses) -> JsonObject:
    wire = dict(_OURS[tool.hosted])
    if tool.hosted == "web_search":
        domains, place = tool.native.get("allowed_domains"), tool.native.get("user_location")
        if domains:
            wire["filters"] = {"allowed_domains": domains}
        if isinstance(place, dict):
            # Chat Completions says the place one level deeper.
            inner = place.get("approximate")
            told = inner if isinstance(inner, dict) else place
            wire["user_location"] = {
                "type": "approximate",
                **{key: told[key] for key in _PLACE if isinstance(told.get(key), str)},
            }
    losses.approximated(tool.at, f"{wire['type']} stands in; other settings are lost", tool.native)
    return wire


def choice_of(choice: ToolChoice, request: Request, losses: Losses) -> JsonValue:
    """`tool_choice`; None when only another dialect can say it."""
    home = request.origin == NAME
    extras = losses.extras(choice, origin=request.origin) if home or choice.mode != "native" else {}
    custom = {tool.name for tool in request.tools if tool.kind == "custom"} if home else frozenset[str]()
    match choice.mode:
        case "native" if home:
            return dict(choice.extras)
        case "native":
            losses.dropped(path_of(request, "tool_choice"), "only its own dialect knows it", dict(choice.extras))
            return None
        case "tool":
            kind = choice.form[0] if home and choice.form else "custom" if choice.names[0] in custom else "function"
            return {"type": kind, "name": choice.names[0], **extras}
        case "auto" | "none" | "required" as mode if not choice.names:
            return mode
        case mode:
            kinds = choice.form[1:] if home and choice.form else ("function",) * len(choice.names)
            named: list[JsonValue] = [{"type": kind, "name": name} for kind, name in zip(kinds, choice.names, strict=True)]
            return {"type": "allowed_tools", "mode": mode, "tools": named}
