"""A Converse request, read.

One rule: every field that is not taken into the neutral form stays in the extras of the node it stood in, nested as it was.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from typing import Literal

import msgspec

from gatewright.dialects.bedrock_converse.content import nested, parse_blocks, parse_cache
from gatewright.dialects.bedrock_converse.route import read_path
from gatewright.dialects.bedrock_converse.seals import NAME
from gatewright.dialects.bedrock_converse.wishes import parse_format, parse_thinking, parse_top_k
from gatewright.errors import Malformed, refuse
from gatewright.ir.blocks import Message
from gatewright.ir.request import Request, Sampling, Tool, ToolChoice
from gatewright.jsontypes import JsonObject
from gatewright.wire.fields import Fields
from gatewright.wire.http import Call
from gatewright.wire.json import BadJson, decode_object, kind

ROLES: dict[str, Literal["system", "user", "assistant"]] = {"user": "user", "assistant": "assistant", "system": "system"}
CHOICES: dict[str, Literal["auto", "required", "tool"]] = {"auto": "auto", "any": "required", "tool": "tool"}
HOSTED: dict[str, str] = {"nova_grounding": "web_search", "nova_code_interpreter": "code_execution"}
"""Name of a system tool → what it is."""


def parse_request(call: Call) -> Request:
    """Raises Malformed with the path of what is wrong."""
    model, stream = read_path(call.path)
    try:
        fields = Fields(decode_object(call.body))
    except BadJson as error:
        raise refuse("invalid_request", f"the request body could not be read: {error}") from None
    system = parse_blocks(fields.each("system"))
    messages = (
        *((Message(role="system", blocks=system, at="system", form=("system",)),) if system else ()),
        *(_parse_message(item) for item in fields.each("messages")),
    )
    tools, choice = _parse_tools(fields)
    more = _inner(fields, "additionalModelRequestFields")
    config = fields.fields("outputConfig")
    thinking = parse_thinking(more, config)
    output = parse_format(config)
    sampling, max_tokens = _parse_inference(fields, more)
    for key, left in (("additionalModelRequestFields", more), ("outputConfig", config)):
        if left is not None and left.rest():
            fields.put_back(key, left.rest())
    return Request(
        origin=NAME,
        model=model,
        messages=messages,
        tools=tools,
        tool_choice=choice,
        max_tokens=max_tokens,
        sampling=sampling,
        thinking=thinking,
        output=output,
        stream=stream,
        service_tier=_parse_tier(fields),
        metadata=fields.object("requestMetadata") or {},
        extras=fields.rest(),
    )


def _inner(fields: Fields, key: str) -> Fields | None:
    """A document of the model's own: whatever is no object stays where it is."""
    return fields.fields(key) if isinstance(fields.peek(key), dict) else None


def _parse_message(fields: Fields) -> Message:
    word = fields.need_text("role")
    role = ROLES.get(word)
    if role is None:
        raise Malformed(fields.path("role"), '"user", "assistant" or "system"', f'"{word[:40]}"')
    if "content" not in fields:
        raise Malformed(fields.path("content"), "an array of blocks", "nothing")
    return Message(role=role, blocks=parse_blocks(fields.each("content")), at=fields.at, extras=fields.rest())


def _parse_tools(fields: Fields) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    config = fields.fields("toolConfig")
    if config is None:
        return (), None
    tools: list[Tool] = []
    for item in config.each("tools"):
        hint = parse_cache(item)
        if hint is not None and tools and tools[-1].cache is None and tools[-1].kind == "function":
            tools[-1] = msgspec.structs.replace(tools[-1], cache=hint)
        else:
            tools.append(_parse_tool(item))
    choice = _parse_choice(config)
    if rest := config.rest():
        fields.put_back("toolConfig", rest)
    return tuple(tools), choice


def _parse_tool(fields: Fields) -> Tool:
    whole = dict(fields.rest())
    spec = fields.fields("toolSpec") if set(whole) == {"toolSpec"} else None
    if spec is None:
        native = whole.get("systemTool")
        name = native.get("name") if isinstance(native, dict) else None
        named = name if isinstance(name, str) else next(iter(whole), "")
        return Tool(name=named, kind="hosted", hosted=HOSTED.get(named, ""), native=whole, at=fields.at)
    schema = spec.fields("inputSchema")
    parameters: JsonObject | None = None
    if schema is not None:
        found = schema.peek("json")
        if isinstance(found, dict):
            schema.take("json")
            parameters = found
        if rest := schema.rest():
            spec.put_back("inputSchema", rest)
    return Tool(
        name=spec.need_text("name"),
        description=spec.text("description"),
        parameters=parameters,
        strict=spec.boolean("strict"),
        at=fields.at,
        extras=nested(fields, "toolSpec", spec.rest()),
    )


def _parse_choice(config: Fields) -> ToolChoice | None:
    value = config.peek("toolChoice")
    if not isinstance(value, dict) or not value:
        return None
    at = config.path("toolChoice")
    config.take("toolChoice")
    word = next(iter(value))
    inner = value[word]
    if len(value) != 1 or word not in CHOICES or not isinstance(inner, dict):
        return ToolChoice(mode="native", at=at, extras=value)
    mode = CHOICES[word]
    told = Fields(inner, f"{at}.{word}")
    names = (told.need_text("name"),) if mode == "tool" else ()
    return ToolChoice(mode=mode, names=names, at=at, extras={word: told.rest()} if told.rest() else {})


def _parse_inference(fields: Fields, more: Fields | None) -> tuple[Sampling, int | None]:
    config = fields.fields("inferenceConfig")
    top_k, form = parse_top_k(more)
    if config is None:
        return Sampling(top_k=top_k, form=form), None
    stops: list[str] = []
    for index, stop in enumerate(config.array("stopSequences")):
        if not isinstance(stop, str):
            raise Malformed(f"inferenceConfig.stopSequences[{index}]", "a string", kind(stop))
        stops.append(stop)
    sampling = Sampling(
        temperature=config.number("temperature"), top_p=config.number("topP"), top_k=top_k, stop=tuple(stops), form=form
    )
    max_tokens = config.integer("maxTokens")
    if rest := config.rest():
        fields.put_back("inferenceConfig", rest)
    return sampling, max_tokens


def _parse_tier(fields: Fields) -> str | None:
    tier = fields.fields("serviceTier")
    if tier is None:
        return None
    word = tier.text("type")
    if rest := tier.rest():
        fields.put_back("serviceTier", rest)
    return word
