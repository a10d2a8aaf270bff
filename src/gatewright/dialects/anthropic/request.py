"""A Messages request (or one to count its tokens), read.

One rule: every field that is not taken into the neutral form stays in the extras of the node it stood in.
https://platform.claude.com/docs/en/api/messages
"""

from typing import Literal

from gatewright.dialects.anthropic.content import NAME, parse_cache, parse_content
from gatewright.errors import Malformed, refuse
from gatewright.ir.blocks import Message
from gatewright.ir.request import OutputFormat, Request, Sampling, Thinking, Tool, ToolChoice
from gatewright.jsontypes import JsonObject
from gatewright.wire.fields import Fields
from gatewright.wire.http import Call
from gatewright.wire.json import BadJson, decode_object, kind

ROLES: dict[str, Literal["system", "user", "assistant"]] = {"user": "user", "assistant": "assistant", "system": "system"}

CHOICES: dict[str, Literal["auto", "none", "required", "tool"]] = {
    "auto": "auto",
    "none": "none",
    "any": "required",
    "tool": "tool",
}
DISPLAY: dict[str, str] = {"summarized": "auto", "omitted": "none"}
"""`thinking.display` → the neutral word for how reasoning is shown."""
_ENABLED: dict[str, bool | None] = {"enabled": True, "disabled": False, "between_tools": False, "adaptive": None}
"""`thinking.type` → whether it is on; other words are told as what they are, a loss abroad."""
HOSTED: tuple[tuple[str, str], ...] = (
    ("web_search_", "web_search"),
    ("web_fetch_", "web_fetch"),
    ("code_execution_", "code_execution"),
    ("computer_", "computer"),
    ("text_editor_", "text_editor"),
    ("bash_", "shell"),
    ("memory_", "memory"),
    ("tool_search_", "tool_search"),
    ("mcp_", "mcp"),
)
"""Prefix of a declared tool type → what it is."""


def parse_request(call: Call) -> Request:
    """Raises Malformed with the path of what is wrong; Refused for a thread, whose state only Anthropic has."""
    try:
        fields = Fields(decode_object(call.body))
    except BadJson as error:
        raise refuse("invalid_request", f"the request body could not be read: {error}") from None
    counting = call.path.endswith("/count_tokens")
    if fields.peek("thread") is not None:
        raise refuse(
            "invalid_request",
            "thread: this endpoint keeps no message threads; send the full conversation without `thread`",
            param="thread",
            code="thread_unsupported_request",
        )
    model = fields.need_text("model")
    max_tokens = fields.integer("max_tokens")
    if max_tokens is None and not counting:
        raise Malformed("max_tokens", "an integer", "null" if "max_tokens" in fields else "nothing")
    if not isinstance(fields.peek("messages"), list):
        raise Malformed("messages", "an array", kind(fields.peek("messages")) if "messages" in fields else "nothing")
    messages = (*_parse_system(fields), *(_parse_message(item) for item in fields.each("messages")))
    choice, parallel = _parse_choice(fields)
    thinking, output = _parse_thinking_and_output(fields)
    return Request(
        origin=NAME,
        model=model,
        messages=messages,
        tools=tuple(_parse_tool(item) for item in fields.each("tools")),
        tool_choice=choice,
        parallel_tool_calls=parallel,
        max_tokens=max_tokens,
        sampling=Sampling(
            temperature=fields.number("temperature"),
            top_p=fields.number("top_p"),
            top_k=fields.number("top_k"),
            stop=_parse_stop(fields),
        ),
        thinking=thinking,
        output=output,
        stream=fields.boolean("stream"),
        user=_parse_user(fields),
        service_tier=fields.text("service_tier"),
        form=("count_tokens",) if counting else (),
        extras=fields.rest(),
    )


def _parse_system(fields: Fields) -> tuple[Message, ...]:
    blocks = parse_content(fields, "system")
    return (Message(role="system", blocks=blocks, at="system", form=("system",)),) if blocks else ()


def _parse_message(fields: Fields) -> Message:
    word = fields.need_text("role")
    role = ROLES.get(word)
    if role is None:
        raise Malformed(fields.path("role"), '"user", "assistant" or "system"', f'"{word[:40]}"')
    if "content" not in fields:
        raise Malformed(fields.path("content"), "a string or an array of blocks", "nothing")
    return Message(role=role, blocks=parse_content(fields), at=fields.at, extras=fields.rest())


def _parse_stop(fields: Fields) -> tuple[str, ...]:
    stops: list[str] = []
    for index, stop in enumerate(fields.array("stop_sequences")):
        if not isinstance(stop, str):
            raise Malformed(f"stop_sequences[{index}]", "a string", kind(stop))
        stops.append(stop)
    return tuple(stops)


def _parse_user(fields: Fields) -> str | None:
    metadata = fields.fields("metadata")
    if metadata is None:
        return None
    user = metadata.text("user_id")
    if rest := metadata.rest():
        fields.put_back("metadata", rest)
    return user


def _parse_tool(fields: Fields) -> Tool:
    word = fields.peek("type")
    if word is None or word == "custom":
        fields.take("type")
        return Tool(
            name=fields.need_text("name"),
            description=fields.text("description"),
            parameters=_parse_schema(fields),
            strict=fields.boolean("strict"),
            cache=parse_cache(fields),
            form=("custom",) if word else (),
            at=fields.at,
            extras=fields.rest(),
        )
    if not isinstance(word, str):
        raise Malformed(fields.path("type"), "a string", kind(word))
    name = fields.peek("name")
    hosted = next((meaning for prefix, meaning in HOSTED if word.startswith(prefix)), "")
    return Tool(
        name=name if isinstance(name, str) else word,
        kind="hosted",
        hosted=hosted,
        native=dict(fields.rest()),
        at=fields.at,
    )


def _parse_schema(fields: Fields) -> JsonObject:
    """The schema, which the API requires; an empty one counts."""
    schema = fields.peek("input_schema")
    if not isinstance(schema, dict):
        raise Malformed(fields.path("input_schema"), "an object", kind(schema) if "input_schema" in fields else "nothing")
    fields.take("input_schema")
    return schema


def _parse_choice(fields: Fields) -> tuple[ToolChoice | None, bool | None]:
    """The choice, and whether several calls at once are allowed (said inside it)."""
    choice = fields.fields("tool_choice")
    if choice is None:
        return None, None
    disabled = choice.boolean("disable_parallel_tool_use")
    parallel = None if disabled is None else not disabled
    word = choice.peek("type")
    mode = CHOICES.get(word) if isinstance(word, str) else None
    if mode is None:
        return ToolChoice(mode="native", at=choice.at, extras=choice.rest()), parallel
    choice.take("type")
    names = (choice.need_text("name"),) if mode == "tool" else ()
    return ToolChoice(mode=mode, names=names, at=choice.at, extras=choice.rest()), parallel


def _parse_thinking_and_output(fields: Fields) -> tuple[Thinking | None, OutputFormat | None]:
    """`thinking`, `output_config` (effort belongs to the one, format to the other) and the older `output_format`."""
    effort: str | None = None
    output: OutputFormat | None = None
    config = fields.fields("output_config")
    if config is not None:
        effort = config.text("effort")
        output = _parse_format(config, "format", ())
        if rest := config.rest():
            fields.put_back("output_config", rest)
    if output is None:
        output = _parse_format(fields, "output_format", ("output_format",))
    setting = fields.fields("thinking")
    if setting is None:
        return (None if effort is None else Thinking(effort=effort, at="output_config")), output
    word = setting.need_text("type")
    display = setting.peek("display")
    summary = DISPLAY.get(display) if isinstance(display, str) else None
    if summary is not None:
        setting.take("display")
    return Thinking(
        enabled=_ENABLED.get(word),
        adaptive=word == "adaptive",
        effort=effort,
        budget=setting.integer("budget_tokens"),
        summary=summary,
        form=(word,),
        at=setting.at,
        extras=setting.rest() if word in _ENABLED else {"type": word, **setting.rest()},
    ), output


def _parse_format(fields: Fields, key: str, form: tuple[str, ...]) -> OutputFormat | None:
    value = fields.peek(key)
    if not isinstance(value, dict) or value.get("type") != "json_schema" or not isinstance(value.get("schema"), dict):
        return None  # stays in the rest: only this dialect knows it
    inner = Fields(fields.take(key), fields.path(key))
    inner.take("type")
    schema = inner.take("schema")
    assert isinstance(schema, dict)
    return OutputFormat(kind="json_schema", schema=schema, form=form, at=inner.at, extras=inner.rest())
