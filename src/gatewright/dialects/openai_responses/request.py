"""Requests, wire -> neutral.

One rule: one input item is one message; what only this API can resolve (stored responses, conversations, prompt templates) is
left alone and not guessed at.
https://platform.openai.com/docs/api-reference/responses/create
"""

from typing import Final

import msgspec

from gatewright.dialects.openai_responses.items import Items
from gatewright.dialects.openai_responses.names import NAME
from gatewright.dialects.openai_responses.tools import namespaced, parse_additional, parse_choice, parse_tools
from gatewright.errors import Malformed
from gatewright.ir.blocks import Message, Text
from gatewright.ir.request import OutputFormat, Request, Sampling, Thinking, Tool
from gatewright.jsontypes import JsonObject
from gatewright.wire.fields import Fields
from gatewright.wire.http import Call
from gatewright.wire.json import BadJson, decode
from gatewright.wire.json import kind as kind_of

CLIENT_FIELDS: Final = ("include", "previous_response_id", "stream_options")
"""What the gateway honours itself (or resolves before any rendering): never a loss."""
DEFAULTS: Final[JsonObject] = {"background": False, "truncation": "disabled"}
"""Settings that mean nothing more than their absence."""
LOGPROBS: Final = "message.output_text.logprobs"


def read_body(call: Call) -> JsonObject:
    """The body, which must be an object. Raises Malformed."""
    try:
        body = decode(call.body)
    except BadJson as error:
        raise Malformed("", "a JSON object", str(error)) from None
    if not isinstance(body, dict):
        raise Malformed("", "a JSON object", kind_of(body))
    return body


def parse_request(call: Call) -> Request:
    """Raises Malformed with the path of what is wrong."""
    return parse_body(read_body(call))


def parse_body(body: JsonObject) -> Request:
    fields = Fields(body)
    tools, messages = _tools_and_messages(fields)
    client: JsonObject = {}
    for key in CLIENT_FIELDS:
        if fields.peek(key) is not None:
            client[key] = fields.take(key)
    for key, value in DEFAULTS.items():
        if fields.peek(key) is value or (isinstance(value, str) and fields.peek(key) == value):
            client[key] = fields.take(key)
    include = client.get("include")
    output, verbosity = _text(fields)
    choice = fields.take("tool_choice")
    return Request(
        origin=NAME,
        model=fields.text("model") or "",
        messages=messages,
        tools=tools,
        tool_choice=None if choice is None else parse_choice(choice),
        parallel_tool_calls=fields.boolean("parallel_tool_calls"),
        max_tokens=fields.integer("max_output_tokens"),
        sampling=Sampling(
            temperature=fields.number("temperature"),
            top_p=fields.number("top_p"),
            logprobs=True if isinstance(include, list) and LOGPROBS in include else None,
            top_logprobs=fields.integer("top_logprobs"),
        ),
        thinking=_thinking(fields),
        output=output,
        verbosity=verbosity,
        stream=fields.boolean("stream"),
        user=fields.text("user"),
        metadata=fields.object("metadata") or {},
        service_tier=fields.text("service_tier"),
        cache_key=fields.text("prompt_cache_key"),
        store=fields.boolean("store"),
        client=client,
        extras=fields.rest(),
    )


def _tools_and_messages(fields: Fields) -> tuple[tuple[Tool, ...], tuple[Message, ...]]:
    messages: list[Message] = []
    instructions = fields.peek("instructions")
    if instructions is not None and not isinstance(instructions, str):
        raise Malformed("instructions", "a string", kind_of(instructions))
    if instructions:
        fields.take("instructions")
        block = Text(text=instructions, bare=True, at="instructions")
        messages.append(Message(role="system", blocks=(block,), form=("instructions",), at="instructions"))
    tools = parse_tools(fields.array("tools"), "tools")
    given = fields.peek("input")
    if isinstance(given, str):
        fields.take("input")
        block = Text(text=given, bare=True, at="input")
        messages.append(Message(role="user", blocks=(block,), form=("input",), at="input"))
        return tools, tuple(messages)
    items = fields.array("input")
    for i, item in enumerate(items):
        if isinstance(item, dict) and item.get("type") == "additional_tools":
            tools += parse_additional(item, f"input[{i}]", i)
    messages += Items(namespaced(tools)).parse(items)
    return tools, tuple(messages)


def _thinking(fields: Fields) -> Thinking | None:
    inner = fields.fields("reasoning")
    if inner is None:
        return None
    effort = inner.text("effort")
    summary = inner.text("summary")
    enabled = None if effort is None else effort != "none"
    return Thinking(enabled=enabled, effort=effort, summary=summary, extras=inner.rest(), at="reasoning")


def _text(fields: Fields) -> tuple[OutputFormat | None, str | None]:
    """`text.format` and `text.verbosity`; what else `text` holds stays in the request's extras."""
    inner = fields.fields("text")
    if inner is None:
        return None, None
    verbosity = inner.text("verbosity")
    output = None
    form = inner.fields("format")
    if form is not None:
        match form.need_text("type"):
            case "text":
                output = OutputFormat(kind="text", extras=form.rest(), at="text.format")
            case "json_object":
                output = OutputFormat(kind="json_object", extras=form.rest(), at="text.format")
            case "json_schema":
                output = msgspec.structs.replace(_schema(form), extras=form.rest())
            case word:
                raise Malformed("text.format.type", '"text", "json_object" or "json_schema"', f'"{word}"')
    if inner.rest():
        fields.put_back("text", inner.rest())
    return output, verbosity


def _schema(form: Fields) -> OutputFormat:
    return OutputFormat(
        kind="json_schema",
        name=form.text("name"),
        description=form.text("description"),
        schema=form.object("schema"),
        strict=form.boolean("strict"),
        at="text.format",
    )
