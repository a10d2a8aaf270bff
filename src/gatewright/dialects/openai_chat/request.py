"""Requests, read.

One rule: a field is taken only where the neutral form has a word for it; everything else stays in extras under its own name.
https://platform.openai.com/docs/api-reference/chat/create
"""

from gatewright.dialects.openai_chat.messages import parse_message
from gatewright.dialects.openai_chat.tools import parse_choice, parse_legacy_choice, parse_legacy_function, parse_tool
from gatewright.dialects.openai_chat.words import NAME, nest
from gatewright.errors import Malformed
from gatewright.ir.request import OutputFormat, Request, Sampling, Thinking, Tool, ToolChoice
from gatewright.jsontypes import JsonObject
from gatewright.wire import json as wire_json
from gatewright.wire.fields import Fields
from gatewright.wire.http import Call
from gatewright.wire.json import kind

OUTPUT_KINDS = ("text", "json_object", "json_schema")
CLIENT_FIELDS = ("stream_options",)
"""What only the way back is concerned with."""


def parse_request(call: Call) -> Request:
    """Raises Malformed with the path of what is wrong."""
    try:
        fields = Fields(wire_json.decode(call.body))
    except wire_json.BadJson as error:
        raise Malformed("", "a JSON object", str(error)) from None
    form: list[str] = []
    model = fields.text("model")
    if model is None and "model" not in fields:  # null is Azure's: the URL names the model there
        raise Malformed("model", "a string", "nothing")
    if fields.peek("messages") is None:
        raise Malformed("messages", "an array", kind(None) if "messages" in fields else "nothing")
    messages = tuple(parse_message(item) for item in fields.each("messages"))
    client: JsonObject = {key: value for key in CLIENT_FIELDS if (value := fields.take(key)) is not None}
    tools, choice = _tools(fields)
    thinking = _thinking(fields)
    return Request(
        origin=NAME,
        model=model or "",
        messages=messages,
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=fields.boolean("parallel_tool_calls"),
        max_tokens=_max_tokens(fields, form),
        sampling=_sampling(fields),
        thinking=thinking,
        output=_output(fields),
        verbosity=fields.text("verbosity"),
        stream=fields.boolean("stream"),
        user=fields.text("user"),
        metadata=fields.object("metadata") or {},
        service_tier=fields.text("service_tier"),
        cache_key=fields.text("prompt_cache_key"),
        store=fields.boolean("store"),
        client=client,
        form=tuple(form),
        extras=fields.rest(),
    )


def _max_tokens(fields: Fields, form: list[str]) -> int | None:
    """Today's field wins; an older one beside it stays in extras."""
    today = fields.integer("max_completion_tokens")
    if today is not None:
        return today
    older = fields.integer("max_tokens")
    if older is not None:
        form.append("max_tokens")
    return older


def _sampling(fields: Fields) -> Sampling:
    form: list[str] = []
    value = fields.peek("stop")
    stop: tuple[str, ...] = ()
    if isinstance(value, str):
        fields.take("stop")
        stop = (value,)
        form.append("stop_string")
    else:
        items = fields.array("stop")
        for i, item in enumerate(items):
            if not isinstance(item, str):
                raise Malformed(f"stop[{i}]", "a string", kind(item))
        stop = tuple(item for item in items if isinstance(item, str))
    seed = fields.integer("seed")
    if seed is None and (seed := fields.integer("random_seed")) is not None:  # Mistral
        form.append("random_seed")
    return Sampling(
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.number("top_k"),
        seed=seed,
        frequency_penalty=fields.number("frequency_penalty"),
        presence_penalty=fields.number("presence_penalty"),
        stop=stop,
        n=fields.integer("n"),
        logprobs=fields.boolean("logprobs"),
        top_logprobs=fields.integer("top_logprobs"),
        form=tuple(form),
    )


def _thinking(fields: Fields) -> Thinking | None:
    """OpenAI's `reasoning_effort`, OpenRouter's `reasoning`, the `thinking` of DeepSeek, Z.ai and LiteLLM."""
    form: list[str] = []
    extras: JsonObject = {}
    effort = fields.text("reasoning_effort")
    if effort is not None:
        form.append("effort")
    enabled: bool | None = None
    budget: int | None = None
    adaptive = False
    if isinstance(fields.peek("reasoning"), dict) and (inner := fields.fields("reasoning")) is not None:
        form.append("reasoning")
        if effort is None and (effort := inner.text("effort")) is not None:
            form.append("reasoning.effort")
        budget, enabled = inner.integer("max_tokens"), inner.boolean("enabled")
        form += [word for word, value in (("reasoning.max_tokens", budget), ("reasoning.enabled", enabled)) if value is not None]
        nest(extras, "reasoning", inner.rest())
    if isinstance(fields.peek("thinking"), dict) and (inner := fields.fields("thinking")) is not None:
        form.append("thinking")
        if budget is None and (budget := inner.integer("budget_tokens")) is not None:
            form.append("thinking.budget_tokens")
        word = inner.peek("type")
        if enabled is None and word in ("enabled", "disabled"):
            inner.take("type")
            enabled = word == "enabled"
            form.append("thinking.type")
        elif word == "adaptive":
            inner.take("type")
            adaptive = True
        nest(extras, "thinking", inner.rest())
    if not form:
        return None
    return Thinking(enabled=enabled, effort=effort, budget=budget, adaptive=adaptive, form=tuple(form), extras=extras)


def _output(fields: Fields) -> OutputFormat | None:
    value = fields.peek("response_format")
    if not isinstance(value, dict) or value.get("type") not in OUTPUT_KINDS:
        return None
    outer = Fields(fields.take("response_format"), "response_format")
    word = outer.need_text("type")
    if word == "json_object":
        return OutputFormat(kind="json_object", extras=outer.rest(), at="response_format")
    if word == "text":
        return OutputFormat(kind="text", extras=outer.rest(), at="response_format")
    inner = outer.fields("json_schema")
    if inner is None:
        return OutputFormat(kind="json_schema", form=("no_schema",), extras=outer.rest(), at="response_format")
    schema, name = inner.object("schema"), inner.text("name")
    description, strict = inner.text("description"), inner.boolean("strict")
    extras = outer.rest()
    nest(extras, "json_schema", inner.rest())
    return OutputFormat(
        kind="json_schema",
        schema=schema,
        name=name,
        description=description,
        strict=strict,
        extras=extras,
        at="response_format",
    )


def _tools(fields: Fields) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    tools = [parse_tool(item) for item in fields.each("tools")]
    tools += [parse_legacy_function(item) for item in fields.each("functions")]
    search = fields.peek("web_search_options")
    if isinstance(search, dict):  # an empty object asks for search, too
        native = fields.take("web_search_options")
        assert isinstance(native, dict)
        tools.append(
            Tool(name="web_search", kind="hosted", hosted="web_search", native=native, form=("options",), at="web_search_options")
        )
    choice: ToolChoice | None = None
    if fields.peek("tool_choice") is not None:
        choice = parse_choice(fields.take("tool_choice"))
    elif fields.peek("function_call") is not None:
        choice = parse_legacy_choice(fields.take("function_call"))
    return tuple(tools), choice
