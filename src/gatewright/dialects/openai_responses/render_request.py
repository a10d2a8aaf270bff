"""Requests, neutral -> wire.

One rule: a client of another dialect gets what that dialect promises: nothing stored, reasoning given back sealed.
https://platform.openai.com/docs/api-reference/responses/create
"""

from typing import assert_never

import msgspec

from gatewright.dialects.openai_responses.names import NAME, plain
from gatewright.dialects.openai_responses.render_items import ItemsOf
from gatewright.dialects.openai_responses.render_tools import additional_items, choice_of, foreign_tools, home_tools
from gatewright.dialects.openai_responses.request import LOGPROBS
from gatewright.ir.blocks import Reasoning, Text
from gatewright.ir.effort import EFFORT_BUDGET, effort_of
from gatewright.ir.loss import Losses, is_void, join
from gatewright.ir.openai_models import ModelFacts, facts_of
from gatewright.ir.paths import path_of
from gatewright.ir.request import Asked, OutputFormat, Rendered, Request, Target, Thinking
from gatewright.ir.strictness import strict_or_loss
from gatewright.ir.unsaid import tell_unsaid
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import encode

PATH = "/responses"
SEALED = "reasoning.encrypted_content"
MIN_OUTPUT_TOKENS = 16
"""The API refuses less."""

_UNSAID = ("top_k", "seed", "frequency_penalty", "presence_penalty", "stop", "n")
"""Sampling settings that the API does not have."""
_TIERS = {
    "auto": "auto",
    "default": "default",
    "flex": "flex",
    "priority": "priority",
    "scale": "scale",
    "standard": "default",
    "standard_only": "default",
    "on_demand": "default",
}
"""Any dialect's service tier → ours."""


def render_request(request: Request, target: Target) -> Rendered:
    """The request for an upstream that speaks the Responses API."""
    losses = Losses(NAME)
    body: JsonObject = {"model": target.model} if target.model else {}
    facts = facts_of(target.model)
    if request.origin != NAME and request.thinking is not None and not facts.reasons:
        _no_reasoning(request, request.thinking, losses)
        request = msgspec.structs.replace(request, thinking=None)
    body |= settings(request, losses)
    items = ItemsOf(request, target.issuer, losses)
    messages = list(request.messages)
    if request.origin == NAME and messages and messages[0].form == ("instructions",):
        blocks = messages.pop(0).blocks
        body["instructions"] = "".join(block.text for block in blocks if isinstance(block, Text))
    if request.origin == NAME and len(messages) == 1 and messages[0].form == ("input",):
        body["input"] = "".join(block.text for block in messages[0].blocks if isinstance(block, Text))
    else:
        wire: list[JsonValue] = []
        for message in messages:
            wire += items.message(message)
        if request.origin == NAME:
            for index, item in sorted(additional_items(request.tools).items()):
                wire.insert(index, item)
        if wire or request.origin != NAME:
            body["input"] = wire
    if request.origin != NAME:
        _foreign(request, body, facts)
        _fit_sampling(request, body, facts, losses)
    else:
        tell_unsaid(request, _UNSAID, losses)
    return Rendered(body=body, losses=losses.done(), path=PATH, asked=Asked(issuer=target.issuer, model=target.model))


def settings(request: Request, losses: Losses) -> JsonObject:
    """Everything but the model and the input."""
    home = request.origin == NAME
    body: JsonObject = dict(losses.extras(request, origin=request.origin))
    if home:
        body |= request.client
    tools = home_tools(request.tools) if home else foreign_tools(request.tools, request.origin, losses)
    if tools:
        body["tools"] = tools
    if request.tool_choice is not None:
        choice = choice_of(request.tool_choice, request, losses)
        if choice is not None:
            body["tool_choice"] = choice
    given: JsonObject = {
        "parallel_tool_calls": request.parallel_tool_calls,
        "max_output_tokens": _max_tokens(request, losses),
        "temperature": request.sampling.temperature,
        "top_p": request.sampling.top_p,
        "top_logprobs": request.sampling.top_logprobs,
        "stream": request.stream,
        "user": request.user,
        "metadata": _metadata(request, losses) or None,
        "service_tier": _tier(request, losses),
        "prompt_cache_key": request.cache_key,
        "store": request.store,
    }
    body |= {key: value for key, value in given.items() if value is not None}
    if not home:
        _sampling(request, body, losses)
    if request.thinking is not None:
        reasoning = _reasoning(request.thinking, request, losses)
        if reasoning:
            body["reasoning"] = reasoning
    text = _text(request, losses)
    left = body.get("text")
    if text:
        body["text"] = text | left if isinstance(left, dict) else text
    return body


def _foreign(request: Request, body: JsonObject, facts: ModelFacts) -> None:
    """What other dialects take for granted."""
    body.setdefault("store", False)
    thinking = request.thinking is not None and request.thinking.enabled is not False
    sealed = any(isinstance(b, Reasoning) and b.seal is not None for m in request.messages for b in m.blocks)
    include: list[JsonValue] = [SEALED] if facts.reasons and (thinking or sealed) else []
    if request.sampling.logprobs:
        include.append(LOGPROBS)
    if include:
        body["include"] = include


def _no_reasoning(request: Request, thinking: Thinking, losses: Losses) -> None:
    """OpenAI's models that do not reason answer 400 to an effort."""
    losses.extras(thinking, origin=request.origin)
    off = thinking.enabled is False or thinking.effort == "none" or thinking.budget == 0
    (losses.hint if off else losses.dropped)(path_of(request, "thinking"), "this model does not reason", plain(thinking))


def _fit_sampling(request: Request, body: JsonObject, facts: ModelFacts, losses: Losses) -> None:
    """OpenAI's reasoning models answer 400 to sampling settings other than their own."""
    reasoning = body.get("reasoning")
    if facts.takes_sampling(reasoning.get("effort") if isinstance(reasoning, dict) else None):
        return
    for key in ("temperature", "top_p", "top_logprobs"):
        value = body.get(key)
        if value is None or (key == "temperature" and value == 1):
            continue
        del body[key]
        report = losses.hint if key == "top_p" and value == 1 else losses.dropped
        report(path_of(request, key), "this model takes none while it reasons", value)
    include = body.get("include")
    if isinstance(include, list) and LOGPROBS in include:
        include.remove(LOGPROBS)
        losses.dropped(path_of(request, "logprobs"), "this model tells none while it reasons", request.sampling.logprobs)
        if not include:
            del body["include"]


def _max_tokens(request: Request, losses: Losses) -> int | None:
    asked = request.max_tokens
    if asked is None or asked >= MIN_OUTPUT_TOKENS or request.origin == NAME:
        return asked
    losses.approximated(path_of(request, "max_tokens"), f"raised to the least allowed, {MIN_OUTPUT_TOKENS}", asked)
    return MIN_OUTPUT_TOKENS


def _metadata(request: Request, losses: Losses) -> JsonObject:
    if request.origin == NAME:
        return request.metadata
    found: JsonObject = {}
    for key, value in request.metadata.items():
        if not isinstance(value, str):
            losses.approximated(join(path_of(request, "metadata"), key), "metadata values are strings here", value)
        found[key] = value if isinstance(value, str) else encode(value).decode()
    return found


def _tier(request: Request, losses: Losses) -> str | None:
    tier = request.service_tier
    if tier is None or request.origin == NAME:
        return tier
    ours = _TIERS.get(tier)
    if ours is None:
        losses.dropped(path_of(request, "service_tier"), "not a tier of the Responses API", tier)
    elif ours != tier:
        losses.approximated(path_of(request, "service_tier"), f"told as {ours}", tier)
    return ours


def _sampling(request: Request, body: JsonObject, losses: Losses) -> None:
    sampling = request.sampling
    losses.extras(sampling, origin=request.origin)
    for field in _UNSAID:
        value = plain(getattr(sampling, field))
        if not is_void(value):
            losses.dropped(path_of(request, field), "not in the Responses API", value)
    if sampling.logprobs is False:
        losses.hint(path_of(request, "logprobs"), "off unless asked for", value=False)
    if sampling.temperature is not None and sampling.temperature > 2:
        losses.approximated(path_of(request, "temperature"), "lowered to the most allowed, 2", sampling.temperature)
        body["temperature"] = 2


def _reasoning(thinking: Thinking, request: Request, losses: Losses) -> JsonObject:
    reasoning: JsonObject = {}
    if thinking.effort is not None:
        reasoning["effort"] = thinking.effort
    if thinking.summary is not None:
        reasoning["summary"] = thinking.summary
    if request.origin == NAME:
        return reasoning | thinking.extras
    path = path_of(request, "thinking")
    losses.extras(thinking, origin=request.origin)
    if thinking.effort is not None and thinking.effort not in EFFORT_BUDGET:
        del reasoning["effort"]
        losses.dropped(path, "not an effort of the Responses API", thinking.effort)
    elif thinking.effort is not None and thinking.enabled:
        losses.hint(path, "said by the effort", thinking.enabled)
    if thinking.summary == "none":
        del reasoning["summary"]
        losses.hint(path, "summaries are off unless asked for", thinking.summary)
    if thinking.enabled is False and thinking.effort is None:
        reasoning["effort"] = "none"
        losses.approximated(path, "told as the effort none", plain(thinking))
    elif thinking.budget is not None:
        reasoning.setdefault("effort", effort_of(thinking.budget))
        losses.approximated(path, f"a budget of tokens, told as the effort {reasoning['effort']}", plain(thinking))
    elif thinking.adaptive or (thinking.enabled is not None and thinking.effort is None):
        losses.approximated(path, "the model decides how much to reason anyway", plain(thinking))
    if thinking.summary is None and (thinking.adaptive or (thinking.enabled and thinking.budget is not None)):
        reasoning["summary"] = "auto"  # such clients are promised the reasoning; here it is shown on request only
    return reasoning


def _text(request: Request, losses: Losses) -> JsonObject:
    text: JsonObject = {}
    if request.output is not None:
        text["format"] = _format(request.output, request, losses)
    if request.verbosity is not None:
        text["verbosity"] = request.verbosity
    return text


def _format(output: OutputFormat, request: Request, losses: Losses) -> JsonObject:
    extras = losses.extras(output, origin=request.origin)
    match output.kind:
        case "text" | "json_object":
            return {"type": output.kind, **extras}
        case "json_schema":
            given: JsonObject = {
                "name": output.name,
                "description": output.description,
                "schema": output.schema,
                "strict": output.strict,
            }
            wire: JsonObject = {"type": "json_schema", **extras}
            wire |= {key: value for key, value in given.items() if value is not None}
            if request.origin != NAME:
                if output.strict is not None:
                    wire["strict"] = strict_or_loss(output.schema, output.at, losses, strict=output.strict)
                wire.setdefault("name", "output")
                wire.setdefault("schema", {"type": "object"})
            return wire
        case _:
            assert_never(output.kind)
