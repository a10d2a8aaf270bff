"""Tools, tool choice and tool calls, both ways.

One rule: what is declared in an older or flatter spelling (`functions`, `function_call`, `tool_choice: "any"`) is written
back in it at home, and in today's spelling for everybody else.
https://platform.openai.com/docs/api-reference/chat/create#chat-create-tools
"""

from typing import Literal

from gatewright.dialects.openai_chat.content import parse_cache, render_cache
from gatewright.dialects.openai_chat.words import HOSTED, NAME, lower_types, merge, nest
from gatewright.errors import Malformed
from gatewright.ir.blocks import ToolCall
from gatewright.ir.loss import Losses
from gatewright.ir.request import Request, Tool, ToolChoice
from gatewright.ir.seal import Seal, carry, open_seal, readable
from gatewright.ir.strictness import strict_or_loss
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire import json as wire_json
from gatewright.wire.fields import Fields
from gatewright.wire.json import kind

SEAL_CALL = "thought_signature"
MODES: dict[str, tuple[str, tuple[str, ...]]] = {
    "auto": ("auto", ()),
    "none": ("none", ()),
    "required": ("required", ()),
    "any": ("required", ("any",)),  # Mistral
}
INPUT_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
"""The one parameter of a function that stands in for a custom tool."""


def parse_tool(fields: Fields) -> Tool:
    word = fields.peek("type")
    if isinstance(fields.peek("function"), dict) and word in ("function", None):
        form: tuple[str, ...] = () if word else ("untyped",)
        fields.take("type")
        inner = fields.fields("function")
        if inner is None:
            raise Malformed(fields.path("function"), "an object with a name", "an empty object")
        cache = parse_cache(fields)
        return _function(inner, fields, cache_of=Tool(name="", cache=cache, form=form))
    if word == "function":
        raise Malformed(fields.path("function"), "an object", kind(fields.peek("function")))
    if not isinstance(word, str):
        raise Malformed(fields.path("type"), "a string", kind(word) if "type" in fields else "nothing")
    whole = dict(fields.rest())
    if word == "custom" and isinstance(whole.get("custom"), dict):
        custom = Fields(whole["custom"], fields.path("custom"))
        name, description = custom.need_text("name"), custom.text("description")
        return Tool(name=name, description=description, kind="custom", native=whole, at=fields.at)
    own_name = whole.get("name")
    return Tool(
        name=own_name if isinstance(own_name, str) else "", kind="hosted", hosted=HOSTED.get(word, ""), native=whole, at=fields.at
    )


def _function(inner: Fields, outer: Fields, *, cache_of: Tool) -> Tool:
    """The function's own fields out of `inner`; leftovers of `outer` and, dotted, of `inner` become extras."""
    name, description = inner.need_text("name"), inner.text("description")
    form = cache_of.form
    parameters = inner.object("parameters")
    strict = inner.boolean("strict")
    extras = outer.rest()
    nest(extras, "function", inner.rest())
    return Tool(
        name=name,
        description=description,
        parameters=parameters,
        strict=strict,
        cache=cache_of.cache,
        form=form,
        extras=extras,
        at=outer.at,
    )


def parse_legacy_function(fields: Fields) -> Tool:
    """An item of `functions`."""
    return Tool(
        name=fields.need_text("name"),
        description=fields.text("description"),
        parameters=fields.object("parameters"),
        form=("functions",),
        extras=fields.rest(),
        at=fields.at,
    )


def render_tool(tool: Tool) -> JsonObject:
    """A declaration of this dialect's own, as it came."""
    if tool.kind != "function":
        return tool.native
    inner: JsonObject = {"name": tool.name}
    if tool.description is not None:
        inner["description"] = tool.description
    if tool.parameters is not None:
        inner["parameters"] = tool.parameters
    if tool.strict is not None:
        inner["strict"] = tool.strict
    if tool.form == ("functions",):
        return {**inner, **tool.extras}
    typed: JsonObject = {} if tool.form == ("untyped",) else {"type": "function"}
    return merge({**typed, "function": inner, **render_cache(tool.cache)}, tool.extras)


def foreign_tool(tool: Tool, request: Request, losses: Losses) -> JsonObject | None:
    """A declaration of another dialect's; None for hosted tools, which stand elsewhere or nowhere."""
    if tool.kind == "hosted":
        return None
    losses.extras(tool, origin=request.origin)
    if tool.cache is not None:
        losses.hint(f"{tool.at}.cache_control", "chat completions has no cache points", tool.cache.ttl)
        losses.extras(tool.cache, origin=request.origin)
    inner: JsonObject = {"name": tool.name}
    if tool.description is not None:
        inner["description"] = tool.description
    if tool.kind == "custom":
        inner["parameters"] = INPUT_SCHEMA
        losses.approximated(tool.at, "a free-form tool becomes a function with one string parameter `input`", tool.native)
    elif tool.parameters is not None:
        inner["parameters"] = lower_types(tool.parameters)
    if tool.strict is not None:
        inner["strict"] = strict_or_loss(inner.get("parameters"), tool.at, losses, strict=tool.strict)
    return {"type": "function", "function": inner}


def parse_choice(value: JsonValue) -> ToolChoice:
    """`tool_choice`."""
    at = "tool_choice"
    if isinstance(value, str):
        if value not in MODES:
            return ToolChoice(mode="native", extras={"": value}, at=at)
        mode, form = MODES[value]
        return ToolChoice(mode=_mode(mode), form=form, at=at)
    fields = Fields(value, at)
    whole = dict(fields.rest())
    word = fields.peek("type")
    if word in ("function", "custom") and isinstance(fields.peek(str(word)), dict) and fields.peek(str(word)):
        fields.take("type")
        inner = Fields(fields.take(str(word)), f"{at}.{word}")
        name = inner.need_text("name")
        extras = fields.rest()
        nest(extras, str(word), inner.rest())
        return ToolChoice(mode="tool", names=(name,), form=(str(word),), extras=extras, at=at)
    if word in ("function", "tool") and isinstance(fields.peek("name"), str):  # xAI takes it flat
        fields.take("type")
        return ToolChoice(mode="tool", names=(fields.need_text("name"),), form=("flat", str(word)), extras=fields.rest(), at=at)
    if word == "allowed_tools" and len(whole) == 2 and (names := _allowed(whole.get("allowed_tools"))) is not None:
        mode, items = names
        return ToolChoice(mode=_mode(mode), names=items, form=("allowed_tools",), at=at)
    return ToolChoice(mode="native", extras=whole, at=at)


def _mode(word: str) -> Literal["auto", "none", "required"]:
    return "auto" if word == "auto" else "none" if word == "none" else "required"


def _allowed(value: JsonValue) -> tuple[str, tuple[str, ...]] | None:
    """Mode and names, when every allowed tool is a plain function; None otherwise."""
    if not isinstance(value, dict) or value.keys() != {"mode", "tools"} or value["mode"] not in ("auto", "required"):
        return None
    tools = value["tools"]
    if not isinstance(tools, list) or not tools:
        return None
    names: list[str] = []
    for tool in tools:
        match tool:
            case {"type": "function", "function": {"name": str(name), **inner}, **rest} if not inner and not rest:
                names.append(name)
            case _:
                return None
    return str(value["mode"]), tuple(names)


def render_choice(choice: ToolChoice) -> JsonValue:
    """For both home and abroad: home spellings are in `form`."""
    if choice.mode == "native":
        return choice.extras[""] if "" in choice.extras else dict(choice.extras)
    if choice.mode == "tool":
        name = choice.names[0] if choice.names else ""
        if choice.form[:1] == ("flat",):
            return {"type": choice.form[1], "name": name, **choice.extras}
        word = choice.form[0] if choice.form in (("function",), ("custom",)) else "function"
        return merge({"type": word, word: {"name": name}}, choice.extras)
    if choice.names:
        allowed: list[JsonValue] = [{"type": "function", "function": {"name": name}} for name in choice.names]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": allowed}}
    return "any" if choice.form == ("any",) else choice.mode


def parse_legacy_choice(value: JsonValue) -> ToolChoice:
    """`function_call` of a request."""
    at = "function_call"
    if isinstance(value, str) and value in ("auto", "none"):
        return ToolChoice(mode=_mode(value), form=("function_call",), at=at)
    fields = Fields(value, at)
    return ToolChoice(mode="tool", names=(fields.need_text("name"),), form=("function_call",), extras=fields.rest(), at=at)


def render_legacy_choice(choice: ToolChoice) -> JsonValue:
    return choice.mode if choice.mode != "tool" else {"name": choice.names[0], **choice.extras}


def parse_call(fields: Fields, *, issuer: str = "") -> ToolCall:
    """An item of `tool_calls`. Tolerant where hosts are odd: no type, no id, object arguments."""
    form: list[str] = []
    word = fields.peek("type")
    if word in ("function", "custom"):
        fields.take("type")
    elif not isinstance(word, str):
        form.append("untyped")
    custom = fields.peek("custom")
    if isinstance(custom, dict) and custom and word == "custom":
        inner = Fields(fields.take("custom"), fields.path("custom"))
        prefix, key = "custom", "input"
    else:
        value = fields.peek("function")
        if not isinstance(value, dict) or not value:
            raise Malformed(fields.path("function"), "an object with a name", kind(value))
        inner = Fields(fields.take("function"), fields.path("function"))
        prefix, key = "function", "arguments"
    arguments, spelt = parse_arguments(inner, key)
    form += spelt
    identity = fields.text("id")
    if identity is None and "id" not in fields:
        form.append("no_id")
    cache = parse_cache(fields)
    seal = take_signature(fields, issuer=issuer)
    name = inner.text("name")
    if name is None:
        form.append("no_name")
    extras = fields.rest()
    nest(extras, prefix, inner.rest())
    return ToolCall(
        id=identity or "",
        name=name or "",
        arguments=arguments,
        kind="custom" if prefix == "custom" else "function",
        seal=seal,
        cache=cache,
        form=tuple(form),
        extras=extras,
        at=fields.at,
    )


def parse_arguments(inner: Fields, key: str) -> tuple[str, list[str]]:
    """(arguments as text, form words). An object is encoded compactly; null and nothing count as empty."""
    value = inner.peek(key)
    if value is None:
        return "", ["no_arguments"]
    if isinstance(value, str):
        inner.take(key)
        return value, []
    inner.take(key)
    return wire_json.encode(value).decode("utf-8"), ["object"]


def take_signature(fields: Fields, *, issuer: str = "") -> Seal | None:
    """Google's `extra_content.google.thought_signature`, out of a call or a message; what stands beside it stays, dotted."""
    match fields.peek("extra_content"):
        case {"google": {"thought_signature": str(word)}} if word:
            pass
        case _:
            return None
    outer = Fields(fields.take("extra_content"))
    google = Fields(outer.take("google"))
    google.take("thought_signature")
    nest(fields.rest(), "extra_content", outer.rest())
    nest(fields.rest(), "extra_content.google", google.rest())
    seal = open_seal(word, NAME, kind=SEAL_CALL)
    return seal if seal.dialect != NAME else Seal(dialect=NAME, data=seal.data, issuer=seal.issuer or issuer, kind=SEAL_CALL)


def signature_field(seal: Seal) -> JsonObject:
    return {"extra_content": {"google": {"thought_signature": carry(seal, NAME)}}}


def render_call(call: ToolCall, losses: Losses | None = None, issuer: str = "") -> JsonObject:
    """A call of this dialect's own, as it came. With `losses` (towards an upstream) a seal it cannot read is left out."""
    inner: JsonObject = {} if "no_name" in call.form else {"name": call.name}
    key = "input" if call.kind == "custom" else "arguments"
    if "object" in call.form:
        inner[key] = wire_json.decode(call.arguments.encode("utf-8"))
    elif "no_arguments" not in call.form:
        inner[key] = call.arguments
    prefix = "custom" if call.kind == "custom" else "function"
    body: JsonObject = {prefix: inner}
    if "untyped" not in call.form and "type" not in call.extras:
        body["type"] = prefix
    if "no_id" not in call.form and "id" not in call.extras:
        body["id"] = call.id
    body |= render_cache(call.cache)
    extras = call.extras
    if call.seal is not None:
        if losses is None or readable(call.seal, NAME, issuer):
            body |= signature_field(call.seal)
        else:
            losses.hint(f"{call.at}.extra_content", "the upstream cannot read this signature", carry(call.seal, NAME))
            extras = {key: value for key, value in extras.items() if not key.startswith("extra_content.")}
    return merge(body, extras)


def is_custom(request: Request, name: str) -> bool:
    """Whether the client declared `name` as a custom tool."""
    return any(tool.kind == "custom" and tool.name == name for tool in request.tools)


def is_legacy(request: Request) -> bool:
    """Whether the client speaks of `functions`."""
    return any(tool.form == ("functions",) for tool in request.tools)


def unwrap_input(arguments: str) -> str:
    """The free-form input out of the arguments of the function that stood in for a custom tool."""
    try:
        value = wire_json.decode(arguments.encode("utf-8"))
    except wire_json.BadJson:
        return arguments
    inner = value.get("input") if isinstance(value, dict) else None
    return inner if isinstance(inner, str) else arguments
