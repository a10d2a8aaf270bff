"""Requests, written for a chat upstream.

One rule: a streamed request always asks for usage. A request of this dialect's own is written back as it came (render_home.py);
of any other, each field is said, or told as a loss in its origin's words.
https://platform.openai.com/docs/api-reference/chat/create
"""

from gatewright.dialects.openai_chat.render_home import home_request
from gatewright.dialects.openai_chat.render_messages import MessageWriter
from gatewright.dialects.openai_chat.tools import foreign_tool, render_choice
from gatewright.dialects.openai_chat.words import NAME, SERVICE_TIERS, lower_types
from gatewright.ir.effort import effort_of
from gatewright.ir.loss import Losses, join
from gatewright.ir.openai_models import facts_of
from gatewright.ir.paths import path_of
from gatewright.ir.request import Asked, OutputFormat, Rendered, Request, Target, Thinking, Tool, ToolChoice
from gatewright.ir.strictness import strict_or_loss
from gatewright.jsontypes import JsonObject, JsonValue

PATH = "/chat/completions"
STOP_MAX = 4
"""OpenAI refuses more stop strings."""
CACHE_KEY_MAX = 64


def render_request(request: Request, target: Target) -> Rendered:
    losses = Losses(NAME)
    home = request.origin == NAME
    body = home_request(request, target, losses) if home else _foreign_request(request, target, losses)
    if request.stream:
        options = body.get("stream_options")
        body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    asked = Asked(issuer=target.issuer, model=request.model)
    return Rendered(body=body, losses=losses.done(), path=PATH, asked=asked)


def _foreign_request(request: Request, target: Target, losses: Losses) -> JsonObject:
    losses.extras(request, origin=request.origin)
    writer = MessageWriter(request, target, losses)
    for message in request.messages:
        writer.write(message)
    writer.flush()
    body: JsonObject = {"model": target.model, "messages": writer.messages}
    _plain_fields(request, body, losses)
    _sampling(request, body, losses)
    facts = facts_of(target.model)
    if request.thinking is not None and facts.reasons:
        _thinking(request, request.thinking, body, losses)
    elif request.thinking is not None:
        _no_thinking(request, request.thinking, losses)
    if not facts.takes_sampling(body.get("reasoning_effort")):
        _no_sampling(request, body, losses)
    if request.output is not None:
        _output(request, request.output, body, losses)
    _tools(request, target, body, losses)
    return body


def _plain_fields(request: Request, body: JsonObject, losses: Losses) -> None:
    if request.max_tokens is not None:
        body["max_completion_tokens"] = request.max_tokens
    if request.verbosity is not None:
        body["verbosity"] = request.verbosity
    if request.stream is not None:
        body["stream"] = request.stream
    if request.user is not None:
        body["user"] = request.user
    if request.store is not None:
        body["store"] = request.store
    if request.metadata:
        if request.store:
            body["metadata"] = request.metadata
        else:
            losses.hint(path_of(request, "metadata"), "chat completions takes metadata only with `store`", dict(request.metadata))
    if request.service_tier is not None:
        if request.service_tier in SERVICE_TIERS:
            body["service_tier"] = request.service_tier
        else:
            losses.hint(path_of(request, "service_tier"), "no such tier in chat completions", request.service_tier)
    if request.cache_key is not None:
        if len(request.cache_key) <= CACHE_KEY_MAX:
            body["prompt_cache_key"] = request.cache_key
        else:
            losses.hint(path_of(request, "cache_key"), "longer than 64 characters", request.cache_key)


def _sampling(request: Request, body: JsonObject, losses: Losses) -> None:
    sampling = request.sampling
    losses.extras(sampling, origin=request.origin)
    for key, value in (
        ("temperature", sampling.temperature),
        ("top_p", sampling.top_p),
        ("seed", sampling.seed),
        ("frequency_penalty", sampling.frequency_penalty),
        ("presence_penalty", sampling.presence_penalty),
        ("logprobs", sampling.logprobs),
        ("top_logprobs", sampling.top_logprobs),
    ):
        if value is not None:
            body[key] = value
    if sampling.top_logprobs is not None and not sampling.logprobs:
        del body["top_logprobs"]
        losses.dropped(path_of(request, "top_logprobs"), "only with logprobs in chat completions", sampling.top_logprobs)
    if sampling.top_k is not None:
        losses.dropped(path_of(request, "top_k"), "not in chat completions", sampling.top_k)
    if sampling.n == 1:
        body["n"] = 1
    elif sampling.n is not None:
        losses.dropped(path_of(request, "n"), "further choices cannot be shown in another dialect", sampling.n)
    if sampling.stop:
        body["stop"] = list(sampling.stop[:STOP_MAX])
        if rest := sampling.stop[STOP_MAX:]:
            losses.approximated(path_of(request, "stop"), "chat completions takes four stop strings", list(rest))


def _no_sampling(request: Request, body: JsonObject, losses: Losses) -> None:
    """OpenAI's reasoning models answer 400 to these."""
    for key in ("temperature", "top_p", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs", "stop"):
        value = body.get(key)
        if value is None or (key == "temperature" and value == 1):
            continue
        del body[key]
        (losses.hint if key == "top_p" and value == 1 else losses.dropped)(
            path_of(request, key), "this model takes none while it reasons", value
        )


def _no_thinking(request: Request, thinking: Thinking, losses: Losses) -> None:
    """OpenAI's other models answer 400 to an effort."""
    losses.extras(thinking, origin=request.origin)
    off = thinking.enabled is False or thinking.effort == "none" or thinking.budget == 0
    told: JsonObject = {"effort": thinking.effort, "budget": thinking.budget, "enabled": thinking.enabled}
    told |= {"adaptive": thinking.adaptive, "summary": thinking.summary}
    (losses.hint if off else losses.dropped)(path_of(request, "thinking"), "this model does not reason", told)


def _thinking(request: Request, thinking: Thinking, body: JsonObject, losses: Losses) -> None:
    at = path_of(request, "thinking")
    losses.extras(thinking, origin=request.origin)
    if thinking.effort is not None:
        body["reasoning_effort"] = thinking.effort
        if thinking.budget is not None:
            losses.approximated(at, "effort is said, the budget is not", thinking.budget)
    elif thinking.budget == 0:
        losses.approximated(at, "left to the model: not every chat model knows an effort of none", thinking.budget)
    elif thinking.budget is not None:
        body["reasoning_effort"] = effort_of(thinking.budget)
        losses.approximated(at, f"a budget becomes an effort of {body['reasoning_effort']}", thinking.budget)
    if thinking.enabled is False:
        losses.approximated(at, "left to the model: chat completions has no switch", thinking.enabled)
    elif thinking.enabled and "reasoning_effort" not in body:
        body["reasoning_effort"] = "medium"
        losses.approximated(at, "reasoning is on or off there, an effort here", thinking.enabled)
    elif thinking.enabled:
        losses.hint(at, "said by the effort", thinking.enabled)
    if thinking.adaptive:
        losses.approximated(at, "left to the model: chat completions knows no adaptive reasoning", thinking.adaptive)
    if thinking.summary is not None:
        losses.hint(join(thinking.at or at, "summary"), "chat completions cannot ask for summaries", thinking.summary)


def _output(request: Request, output: OutputFormat, body: JsonObject, losses: Losses) -> None:
    losses.extras(output, origin=request.origin)
    if output.kind == "json_schema" and output.schema is None:
        body["response_format"] = {"type": "json_object"}
        return
    if output.kind != "json_schema":
        body["response_format"] = {"type": output.kind}
        return
    inner: JsonObject = {"name": output.name or "answer", "schema": lower_types(output.schema)}
    if output.description is not None:
        inner["description"] = output.description
    if output.strict is not None:
        inner["strict"] = strict_or_loss(inner["schema"], output.at, losses, strict=output.strict)
    body["response_format"] = {"type": "json_schema", "json_schema": inner}


def _tools(request: Request, target: Target, body: JsonObject, losses: Losses) -> None:
    declared: list[JsonValue] = []
    for tool in request.tools:
        if tool.kind == "hosted":
            _hosted(tool, request, target, body, losses)
        elif (declaration := foreign_tool(tool, request, losses)) is not None:
            declared.append(declaration)
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if choice is not None and choice.mode == "native":
        losses.dropped(choice.at or path_of(request, "tool_choice"), "chat completions has no such choice", dict(choice.extras))
        choice = None
    elif choice is not None:
        losses.extras(choice, origin=request.origin)
    if not declared:
        # OpenAI answers 400 to a choice without tools to choose from.
        if choice is not None:
            losses.dropped(path_of(request, "tool_choice"), "no tool is left to choose from", [choice.mode, *choice.names])
        if parallel is not None:
            losses.dropped(path_of(request, "parallel_tool_calls"), "no tool is left to call", parallel)
        return
    body["tools"] = declared
    if choice is not None:
        known = {tool.name for tool in request.tools if tool.kind != "hosted"}
        if all(name in known for name in choice.names):
            body["tool_choice"] = render_choice(ToolChoice(mode=choice.mode, names=choice.names))
        else:
            losses.dropped(path_of(request, "tool_choice"), "the tool is not there to be chosen", list(choice.names))
    if parallel is not None:
        body["parallel_tool_calls"] = parallel


def _hosted(tool: Tool, request: Request, target: Target, body: JsonObject, losses: Losses) -> None:
    """Only OpenAI's search models take `web_search_options`; any other model answers 400 to it."""
    losses.extras(tool, origin=request.origin)
    if tool.hosted == "web_search" and "search" in target.model:
        options: JsonObject = {}
        place = tool.native.get("user_location")
        if isinstance(place, dict):
            kept: JsonObject = {k: v for k, v in place.items() if k in {"city", "country", "region", "timezone"}}
            options["user_location"] = {"type": "approximate", "approximate": kept}
        body["web_search_options"] = options
        losses.approximated(tool.at, "becomes web_search_options; only the place is carried over", tool.native)
        return
    losses.dropped(tool.at, "chat completions runs no such tool", tool.native or tool.name)
