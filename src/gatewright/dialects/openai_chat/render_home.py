"""A request of this dialect's own, written back: JSON-equal to what came.

The model is the target's, and seals that nobody there can read are left out.

One rule: this is the inverse of request.py and messages.py, line by line.
"""

from gatewright.dialects.openai_chat.content import home_media, render_cache, render_part
from gatewright.dialects.openai_chat.reasoning import FLAT, render_detail
from gatewright.dialects.openai_chat.tools import (
    render_call,
    render_choice,
    render_legacy_choice,
    render_tool,
    signature_field,
)
from gatewright.dialects.openai_chat.words import NAME, STRING, merge
from gatewright.ir.blocks import Block, FileRef, Inline, Media, Message, Native, Reasoning, Refusal, Text, ToolCall, ToolResult
from gatewright.ir.loss import Losses
from gatewright.ir.request import OutputFormat, Request, Sampling, Target, Thinking
from gatewright.ir.seal import Seal, carry, readable
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire import json as wire_json


def home_request(request: Request, target: Target, losses: Losses) -> JsonObject:
    body: JsonObject = {"model": target.model}
    body["messages"] = [home_message(message, losses, target.issuer) for message in request.messages]
    for key, value in (
        ("max_tokens" if "max_tokens" in request.form else "max_completion_tokens", request.max_tokens),
        ("parallel_tool_calls", request.parallel_tool_calls),
        ("verbosity", request.verbosity),
        ("stream", request.stream),
        ("user", request.user),
        ("metadata", request.metadata or None),
        ("service_tier", request.service_tier),
        ("prompt_cache_key", request.cache_key),
        ("store", request.store),
    ):
        if value is not None:
            body[key] = value
    _sampling(request.sampling, body)
    if request.thinking is not None:
        _thinking(request.thinking, body)
    if request.output is not None:
        body["response_format"] = home_output(request.output)
    _tools(request, body)
    body |= request.client
    return merge(body, {key: value for key, value in request.extras.items() if key != "model"})


def _sampling(sampling: Sampling, body: JsonObject) -> None:
    for key, value in (
        ("temperature", sampling.temperature),
        ("top_p", sampling.top_p),
        ("top_k", sampling.top_k),
        ("random_seed" if "random_seed" in sampling.form else "seed", sampling.seed),
        ("frequency_penalty", sampling.frequency_penalty),
        ("presence_penalty", sampling.presence_penalty),
        ("n", sampling.n),
        ("logprobs", sampling.logprobs),
        ("top_logprobs", sampling.top_logprobs),
    ):
        if value is not None:
            body[key] = value
    if sampling.stop:
        body["stop"] = sampling.stop[0] if "stop_string" in sampling.form else list(sampling.stop)


def _thinking(thinking: Thinking, body: JsonObject) -> None:
    form = thinking.form
    if "effort" in form or (not form and thinking.effort is not None):  # no form: the route said it, not the client
        body["reasoning_effort"] = thinking.effort
    nested: JsonObject = {}
    if "reasoning" in form:
        inner: JsonObject = {}
        if "reasoning.effort" in form:
            inner["effort"] = thinking.effort
        if "reasoning.max_tokens" in form:
            inner["max_tokens"] = thinking.budget
        if "reasoning.enabled" in form:
            inner["enabled"] = thinking.enabled
        nested["reasoning"] = inner
    if "thinking" in form:
        inner = {}
        if "thinking.budget_tokens" in form:
            inner["budget_tokens"] = thinking.budget
        if "thinking.type" in form:
            inner["type"] = "enabled" if thinking.enabled else "disabled"
        elif thinking.adaptive:
            inner["type"] = "adaptive"
        nested["thinking"] = inner
    body |= merge(nested, thinking.extras)


def home_output(output: OutputFormat) -> JsonObject:
    """`response_format`, as it came."""
    if output.kind != "json_schema" or "no_schema" in output.form:
        return {"type": output.kind, **output.extras}
    inner: JsonObject = {}
    for key, value in (
        ("name", output.name),
        ("description", output.description),
        ("schema", output.schema),
        ("strict", output.strict),
    ):
        if value is not None:
            inner[key] = value
    return merge({"type": output.kind, "json_schema": inner}, output.extras)


def _tools(request: Request, body: JsonObject) -> None:
    declared: list[JsonValue] = []
    functions: list[JsonValue] = []
    for tool in request.tools:
        if tool.form == ("options",):
            body["web_search_options"] = tool.native
        elif tool.form == ("functions",):
            functions.append(render_tool(tool))
        else:
            declared.append(render_tool(tool))
    if declared:
        body["tools"] = declared
    if functions:
        body["functions"] = functions
    choice = request.tool_choice
    if choice is None:
        return
    if choice.form == ("function_call",):
        body["function_call"] = render_legacy_choice(choice)
    else:
        body["tool_choice"] = render_choice(choice)


def home_message(message: Message, losses: Losses, issuer: str) -> JsonObject:
    body: JsonObject
    if message.form[:1] in (("tool",), ("function",)):
        result = message.blocks[0]
        assert isinstance(result, ToolResult)
        body = {"role": message.form[0]}
        if "no_id" not in result.form:
            body["tool_call_id"] = result.call_id
        if result.name:
            body["name"] = result.name
        fill(body, result.content)
        return {**body, **render_cache(result.cache), **result.extras}
    body = {"role": message.form[0] if message.form else message.role}
    if message.name is not None:
        body["name"] = message.name
    fill(body, keep_readable(message.blocks, losses, issuer), losses=losses, issuer=issuer)
    return merge(body, message.extras)


def keep_readable(blocks: tuple[Block, ...], losses: Losses, issuer: str) -> tuple[Block, ...]:
    """The blocks without those whose seal this upstream cannot read: it would refuse them."""
    kept: list[Block] = []
    for block in blocks:
        if isinstance(block, Reasoning) and block.seal is not None and not readable(block.seal, NAME, issuer):
            losses.hint(
                block.at, "the upstream cannot read this sealed reasoning", [carry(block.seal, NAME), block.text, *block.summary]
            )
        else:
            kept.append(block)
    return tuple(kept)


def fill(body: JsonObject, blocks: tuple[Block, ...], *, losses: Losses | None = None, issuer: str = "") -> None:
    """Writes a message's blocks into its fields: the inverse of `parse_assistant`. `losses` for what goes to an upstream."""
    content: list[JsonValue] = []
    details: list[JsonValue] = []
    calls: list[JsonValue] = []
    images: list[JsonValue] = []
    for block in blocks:
        match block:
            case Text(bare=True):
                body["content"] = block.text
                body |= render_cache(block.cache)
            case Text(form=form) if form == STRING:
                content.append({"type": "text", "text": block.text, **block.extras})
            case Text(form=("object",)):
                body["content"] = wire_json.decode(block.text.encode("utf-8"))
            case Text(form=("string_part",)):
                content.append(block.text)
            case Text(form=("transcript",)):
                _inside(body, "audio")["transcript"] = block.text
            case Refusal(form=("field",)):
                body["refusal"] = block.text
            case Reasoning() if block.form and block.form[0] in FLAT:
                body[block.form[0]] = block.text
            case Reasoning(form=("signature",)):
                assert block.seal is not None
                _sign(body, block.seal)
            case Reasoning() if block.form[:1] == ("detail",):
                details.append(render_detail(block))
            case Native() if block.form[:1] == ("detail",):
                details.append(block.data[""] if block.form[1:] else block.data)
            case Media(form=("audio",)):
                _inside(body, "audio").update(_speech(block))
            case Media() if block.form[2:] == ("images",):
                images.append(merge(home_media(_plain(block)), block.extras))
            case ToolCall() if block.form[:1] == ("legacy",):
                body["function_call"] = _legacy_call(block)
            case ToolCall():
                calls.append(render_call(block, losses, issuer))
            case _:
                part = render_part(block)
                assert part is not None, "a block that no parser of this dialect makes"
                content.append(part)
        if isinstance(block, Text) and block.seal is not None:
            if losses is None or readable(block.seal, NAME, issuer):
                _sign(body, block.seal)
            else:
                losses.hint(block.at, "the upstream cannot read this signature", carry(block.seal, NAME))
    for key, items in (("content", content), ("reasoning_details", details), ("tool_calls", calls), ("images", images)):
        if items:
            body[key] = items
    streamed = [block.text for block in blocks if isinstance(block, Text) and block.form == STRING and not block.extras]
    if streamed and len(streamed) == len(content):
        body["content"] = "".join(streamed)


def _inside(body: JsonObject, key: str) -> JsonObject:
    inner = body.setdefault(key, {})
    assert isinstance(inner, dict)
    return inner


def _sign(body: JsonObject, seal: Seal) -> None:
    body |= signature_field(seal)


def _speech(block: Media) -> JsonObject:
    match block.source:
        case FileRef(id=ref):
            return {"id": ref, **block.extras}
        case Inline(data=data):
            return {"data": data, **block.extras}
        case _:
            return dict(block.extras)


def _plain(block: Media) -> Media:
    form = (block.form[0], block.form[1]) if block.form[1] else (block.form[0],)
    return Media(kind=block.kind, source=block.source, detail=block.detail, form=form)


def _legacy_call(call: ToolCall) -> JsonObject:
    inner: JsonObject = {"name": call.name}
    if "object" in call.form:
        inner["arguments"] = wire_json.decode(call.arguments.encode("utf-8"))
    elif "no_arguments" not in call.form:
        inner["arguments"] = call.arguments
    return {**inner, **call.extras}
