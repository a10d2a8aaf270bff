"""A request for an upstream of this dialect: at home as it came, from abroad as far as the API can say it.

One rule: at home nothing is repaired, so that nothing changes; from abroad nothing is sent that the API is known to refuse.
"""

from gatewright.dialects.anthropic.content import NAME
from gatewright.dialects.anthropic.render_content import BlockWriter, deep
from gatewright.dialects.anthropic.request import DISPLAY
from gatewright.dialects.anthropic.settings import TIERS, limit, sample, shape, think
from gatewright.dialects.anthropic.tools import foreign_choice, foreign_tools, home_choice, home_tools
from gatewright.dialects.anthropic.turns import foreign_messages, home_messages
from gatewright.ir.claude_models import ModelFacts, facts_of
from gatewright.ir.loss import Losses, is_void
from gatewright.ir.paths import path_of
from gatewright.ir.request import Asked, Rendered, Request, Target
from gatewright.ir.unsaid import tell_unsaid
from gatewright.jsontypes import JsonObject, JsonValue

PATH = "/v1/messages"
COUNT_PATH = "/v1/messages/count_tokens"
VERSION = ("anthropic-version", "2023-06-01")

_UNSAID = ("seed", "frequency_penalty", "presence_penalty", "verbosity", "store")
"""Neutral fields that the API does not have."""

_DISPLAY_WORD = {meaning: word for word, meaning in DISPLAY.items()}


def render_request(request: Request, target: Target) -> Rendered:
    """The body, the path under the provider's base URL, and what could not be said."""
    losses = Losses(NAME)
    writer = BlockWriter(request.origin, target.issuer, losses)
    if request.origin == NAME:
        return _home(request, target, writer, losses)
    return _foreign(request, target, writer, losses)


def _home(request: Request, target: Target, writer: BlockWriter, losses: Losses) -> Rendered:
    body: JsonObject = {"model": target.model}
    system, messages = home_messages(request, writer)
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    if system is not None:
        body["system"] = system
    body["messages"] = list[JsonValue](messages)
    if request.tools:
        body["tools"] = list[JsonValue](home_tools(request, writer))
    if (choice := home_choice(request, writer, losses)) is not None:
        body["tool_choice"] = choice
    sampling = request.sampling
    for key in ("temperature", "top_p", "top_k"):
        if (value := getattr(sampling, key)) is not None:
            body[key] = value
    if sampling.stop:
        body["stop_sequences"] = list[JsonValue](sampling.stop)
    if request.stream is not None:
        body["stream"] = request.stream
    if request.user is not None:
        body["metadata"] = {"user_id": request.user}
    if request.service_tier is not None:
        body["service_tier"] = request.service_tier
    _home_thinking(body, request, writer)
    if request.thinking is not None and not request.thinking.at:  # the route's word, not the client's
        _told_thinking(body, request, facts_of(target.model), losses)
    tell_unsaid(request, _UNSAID, losses)
    counting = "count_tokens" in request.form
    return Rendered(
        body=deep(body, writer.losses.extras(request, origin=request.origin)) | request.client,
        losses=losses.done(),
        path=COUNT_PATH if counting else PATH,
        headers=(VERSION,),
        asked=Asked(issuer=target.issuer, model=target.model),
    )


def _home_thinking(body: JsonObject, request: Request, writer: BlockWriter) -> None:
    config: JsonObject = {}
    thinking = request.thinking if request.thinking is not None and request.thinking.at else None
    if thinking is not None and thinking.form:
        wire: JsonObject = {"type": thinking.form[0]}
        if thinking.budget is not None:
            wire["budget_tokens"] = thinking.budget
        if thinking.summary is not None:
            wire["display"] = _DISPLAY_WORD[thinking.summary]
        body["thinking"] = writer.extras(thinking, wire)
    if thinking is not None and thinking.effort is not None:
        config["effort"] = thinking.effort
    output = request.output
    if output is not None and output.schema is not None:
        shown = writer.extras(output, {"type": "json_schema", "schema": output.schema})
        if "output_format" in output.form:
            body["output_format"] = shown
        else:
            config["format"] = shown
    if config:
        body["output_config"] = config


def _foreign(request: Request, target: Target, writer: BlockWriter, losses: Losses) -> Rendered:
    facts = facts_of(target.model)
    body: JsonObject = {"model": target.model}
    limit(body, request, target, facts, losses)
    system, messages = foreign_messages(request, writer, losses, prefill=facts.prefill and request.thinking is None)
    match system:
        case []:
            pass
        case [{"type": "text", "text": str(text), **rest}] if not rest:
            body["system"] = text
        case _:
            body["system"] = list[JsonValue](system)
    body["messages"] = list[JsonValue](messages)
    tools, betas = foreign_tools(request, facts, writer, losses)
    if tools:
        body["tools"] = list[JsonValue](tools)
    if (choice := foreign_choice(request, tools, losses)) is not None:
        body["tool_choice"] = choice
    json_tool = shape(body, request, facts, losses)
    _told_thinking(body, request, facts, losses)
    sample(body, request, facts, losses)
    if request.stream is not None:
        body["stream"] = request.stream
    _labels(body, request, losses)
    losses.extras(request, origin=request.origin)
    headers = (VERSION, ("anthropic-beta", ",".join(betas))) if betas else (VERSION,)
    return Rendered(
        body=body,
        losses=losses.done(),
        path=PATH,
        headers=headers,
        asked=Asked(issuer=target.issuer, json_tool=json_tool, model=target.model),
    )


def _told_thinking(body: JsonObject, request: Request, facts: ModelFacts, losses: Losses) -> None:
    """Thinking as the model takes it, beside what `output_config` already says."""
    config = body.pop("output_config", None)
    think(body, request, facts, losses)
    if isinstance(config, dict):
        told = body.get("output_config")
        body["output_config"] = {**config, **told} if isinstance(told, dict) else config


def _labels(body: JsonObject, request: Request, losses: Losses) -> None:
    """Who asks, how urgent it is, what is kept: what does not change the answer."""
    if request.user is not None:
        body["metadata"] = {"user_id": request.user}
    if request.service_tier is not None:
        tier = TIERS.get(request.service_tier)
        if tier is not None:
            body["service_tier"] = tier
        else:
            losses.dropped(path_of(request, "service_tier"), "anthropic has no such tier", request.service_tier)
    if not is_void(request.metadata):
        losses.dropped(path_of(request, "metadata"), "only a user id can be told", request.metadata)
    if request.cache_key is not None:
        losses.hint(path_of(request, "cache_key"), "anthropic caches at cache points", request.cache_key)
    if request.store is not None:
        losses.hint(path_of(request, "store"), "anthropic keeps no answers", request.store)
    if request.verbosity is not None:
        losses.dropped(path_of(request, "verbosity"), "not in messages", request.verbosity)
