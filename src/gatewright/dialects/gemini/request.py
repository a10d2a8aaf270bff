"""generateContent requests → the neutral form.

One rule: one content is one Message; system instructions are a system Message in front, marked in `form`.
https://ai.google.dev/api/generate-content#request-body
"""

from gatewright.dialects.gemini.generation import integer, parse_output, parse_sampling, parse_thinking
from gatewright.dialects.gemini.parts import parse_part
from gatewright.dialects.gemini.proto import Proto
from gatewright.dialects.gemini.route import counts, read_path
from gatewright.dialects.gemini.tools import config_rest, parse_choice, parse_tools
from gatewright.errors import Malformed
from gatewright.ir.blocks import Block, Message, Text
from gatewright.ir.request import OutputFormat, Request, Sampling, Thinking, Tool, ToolChoice
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.http import Call
from gatewright.wire.json import BadJson, decode_object

SYSTEM = "systemInstruction"
COUNTED = "generateContentRequest"
"""Where countTokens has the request, when it is not only its contents."""


def parse_request(call: Call) -> Request:
    model, stream = read_path(call.path)
    try:
        body = decode_object(call.body)
    except BadJson as error:
        raise Malformed("", "a JSON object", str(error)) from None
    if counts(call.path) and isinstance(whole := body.get(COUNTED), dict):
        body = {key: value for key, value in whole.items() if key != "model"}
    f = Proto(body)
    form = list(f.snakes)
    messages = _system(f) + _contents(f, form)
    tools: list[Tool] = []
    if value := f.peek("tools"):
        tools = parse_tools(value, f.path("tools"))
        f.take("tools")
        if isinstance(value, dict):
            form.append("tools{}")
    extras: JsonObject = {}
    choice: ToolChoice | None = None
    if (config := f.proto("toolConfig")) is not None:
        choice = parse_choice(config)
        extras |= config_rest(config)
        form += config.snakes
    sampling, max_tokens, output, thinking = _generation(f)
    service_tier = f.text("serviceTier") if isinstance(f.peek("serviceTier"), str) else None
    return Request(
        origin="gemini",
        model=model,
        messages=tuple(messages),
        tools=tuple(tools),
        tool_choice=choice,
        max_tokens=max_tokens,
        sampling=sampling,
        thinking=thinking,
        output=output,
        stream=stream,
        service_tier=service_tier,
        client={"alt": call.query.get("alt", "json")} if stream else {},
        form=tuple(form),
        extras={**f.rest(), **extras},
    )


def _generation(f: Proto) -> tuple[Sampling, int | None, OutputFormat | None, Thinking | None]:
    config = f.proto("generationConfig")
    if config is None:
        return Sampling(at="generationConfig"), None, None, None
    max_tokens = integer(config, "maxOutputTokens")
    output = parse_output(config)
    thinking = parse_thinking(config)
    return parse_sampling(config), max_tokens, output, thinking


def _system(f: Proto) -> list[Message]:
    value = f.peek(SYSTEM)
    at = f.path(SYSTEM)
    if isinstance(value, str):
        f.take(SYSTEM)
        return [Message(role="system", blocks=(Text(text=value, bare=True, at=at),), at=at, form=(SYSTEM, "bare"))]
    if (content := f.proto(SYSTEM)) is None:
        return []
    role = content.text("role")
    blocks, form = _parts(content)
    words = (SYSTEM, *form, *content.snakes, *([] if role is None else [f"role={role}"]))
    return [Message(role="system", blocks=blocks, at=at, form=words, extras=content.rest())]


def _contents(f: Proto, form: list[str]) -> list[Message]:
    value = f.peek("contents")
    if isinstance(value, dict) and value:  # proto JSON takes one object where a list is meant
        f.take("contents")
        form.append("contents{}")
        return [_message(value, "contents")]
    return [_message(item, f"contents[{i}]") for i, item in enumerate(f.array("contents"))]


def _message(value: JsonValue, at: str) -> Message:
    content = Proto(value, at)
    role = content.text("role")
    blocks, form = _parts(content)
    words = [*form, *content.snakes]
    if role is None:
        words.append("norole")
    elif role not in ("user", "model"):
        words.append(f"role={role}")
    neutral = "assistant" if role == "model" else "user"
    return Message(
        role="assistant" if neutral == "assistant" else "user", blocks=blocks, at=at, form=tuple(words), extras=content.rest()
    )


def _parts(content: Proto) -> tuple[tuple[Block, ...], tuple[str, ...]]:
    parts = content.peek("parts")
    if isinstance(parts, dict) and parts:
        content.take("parts")
        return (parse_part(parts, content.path("parts")),), ("parts{}",)
    return tuple(parse_part(item, f"{content.path('parts')}[{i}]") for i, item in enumerate(content.array("parts"))), ()
