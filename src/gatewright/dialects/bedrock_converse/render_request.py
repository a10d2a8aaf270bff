"""A request, written for an upstream of this dialect.

One rule: at home every field stands again where it stood; from abroad the body says only what the target model takes.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

import re

from gatewright.dialects.bedrock_converse.models import facts_of
from gatewright.dialects.bedrock_converse.render_content import BlockWriter, deep
from gatewright.dialects.bedrock_converse.route import upstream_path
from gatewright.dialects.bedrock_converse.seals import NAME
from gatewright.dialects.bedrock_converse.settings import infer, shape, think
from gatewright.dialects.bedrock_converse.tools import foreign_config, home_tools
from gatewright.dialects.bedrock_converse.turns import foreign_messages, home_messages
from gatewright.dialects.bedrock_converse.wishes import MORE, home_thinking, home_top_k, text_format
from gatewright.ir.loss import Losses, is_void
from gatewright.ir.paths import path_of
from gatewright.ir.request import Asked, Rendered, Request, Target
from gatewright.ir.unsaid import tell_unsaid
from gatewright.jsontypes import JsonObject, JsonValue

TIERS = {"default": "default", "standard_only": "default", "priority": "priority", "flex": "flex"}
"""A request's service tier in others' words → ours."""
_LABEL = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.\-]{0,256}\Z")
MAX_LABELS = 16
_UNSAID = ("seed", "frequency_penalty", "presence_penalty", "parallel_tool_calls", "verbosity", "user", "store")
"""Neutral fields that the API does not have."""


def render_request(request: Request, target: Target) -> Rendered:
    """The body, the path under the provider's base URL, and what could not be said."""
    losses = Losses(NAME)
    writer = BlockWriter(request.origin, target.issuer, facts_of(target.model), losses)
    if request.origin == NAME:
        return _home(request, target, writer, losses)
    return _foreign(request, target, writer, losses)


def _rendered(body: JsonObject, request: Request, target: Target, losses: Losses, json_tool: str = "") -> Rendered:
    return Rendered(
        body=body,
        losses=losses.done(),
        path=upstream_path(target.model, stream=bool(request.stream)),
        asked=Asked(issuer=target.issuer, json_tool=json_tool, model=target.model),
    )


def _home(request: Request, target: Target, writer: BlockWriter, losses: Losses) -> Rendered:
    body: JsonObject = {}
    system, messages = home_messages(request, writer)
    if system:
        body["system"] = list[JsonValue](system)
    if messages:
        body["messages"] = list[JsonValue](messages)
    if tools := home_tools(request, writer):
        body["toolConfig"] = tools
    sampling = request.sampling
    told = (
        ("maxTokens", request.max_tokens),
        ("temperature", sampling.temperature),
        ("topP", sampling.top_p),
        ("stopSequences", list[JsonValue](sampling.stop) or None),
    )
    config: JsonObject = {key: value for key, value in told if value is not None}
    if config:
        body["inferenceConfig"] = config
    more: JsonObject = {}
    home_top_k(sampling, more, nova=writer.facts.family == "nova")
    thinking = request.thinking
    if thinking is not None and thinking.form:
        home_thinking(thinking, body, more)
    elif thinking is not None:  # the route's word, not the client's
        think(request, body, more, writer.facts, losses)
    if more:
        body[MORE] = more
    output = request.output
    if output is not None and output.schema is not None:
        before = body.get("outputConfig")
        spelt = output.form[0] if output.form else ""
        body["outputConfig"] = {
            **(before if isinstance(before, dict) else {}),
            "textFormat": text_format(output, output.schema, spelt),
        }
    if request.service_tier is not None:
        body["serviceTier"] = {"type": request.service_tier}
    if request.metadata:
        body["requestMetadata"] = request.metadata
    tell_unsaid(request, _UNSAID, losses)
    return _rendered(deep(body, losses.extras(request, origin=request.origin)), request, target, losses)


def _foreign(request: Request, target: Target, writer: BlockWriter, losses: Losses) -> Rendered:
    facts = writer.facts
    prefill = facts.prefill and request.thinking is None
    system, messages = foreign_messages(request, writer, losses, prefill=prefill)
    body: JsonObject = {"messages": list[JsonValue](messages)}
    if system:
        body["system"] = list[JsonValue](system)
    config = foreign_config(request, messages, facts, writer, losses)
    if config is not None:
        body["toolConfig"] = config
    json_tool = shape(request, body, facts, losses)
    more: JsonObject = {}
    think(request, body, more, facts, losses)
    inference = infer(request, target, more, facts, losses)
    if inference:
        body["inferenceConfig"] = inference
    if more:
        body[MORE] = more
    _labels(body, request, losses)
    losses.extras(request, origin=request.origin)
    return _rendered(body, request, target, losses, json_tool)


def _labels(body: JsonObject, request: Request, losses: Losses) -> None:
    """Who asks, how urgent it is, what is kept: what does not change the answer."""
    if request.service_tier is not None:
        tier = TIERS.get(request.service_tier)
        if tier is not None:
            body["serviceTier"] = {"type": tier}
        else:
            report = losses.hint if request.service_tier == "auto" else losses.dropped
            report(path_of(request, "service_tier"), "bedrock has no such tier", request.service_tier)
    labels: JsonObject = {}
    for key, value in request.metadata.items():
        if isinstance(value, str) and key and _LABEL.match(key) and _LABEL.match(value) and len(labels) < MAX_LABELS:
            labels[key] = value
        elif not is_void(value):
            losses.dropped(f"{path_of(request, 'metadata')}.{key}", "bedrock takes no such label", value)
    if labels:
        body["requestMetadata"] = labels
    if request.user is not None:
        losses.hint(path_of(request, "user"), "converse has no word for the end user", request.user)
    if request.cache_key is not None:
        losses.hint(path_of(request, "cache_key"), "bedrock caches at cache points", request.cache_key)
    if request.store is not None:
        losses.hint(path_of(request, "store"), "bedrock keeps no answers", request.store)
    if request.verbosity is not None:
        losses.dropped(path_of(request, "verbosity"), "not in converse", request.verbosity)
