"""Limits, sampling, thinking and the shape of the output, brought to what the target model accepts.

One rule: what a generation of models refuses is never sent to it; each change is a loss with the client's own path.
https://platform.claude.com/docs/en/build-with-claude/thinking, .../build-with-claude/effort, .../structured-outputs
"""

from gatewright.dialects.anthropic.render_content import plain
from gatewright.dialects.anthropic.tools import fits, tool_name
from gatewright.ir.claude_models import ModelFacts
from gatewright.ir.effort import EFFORT_BUDGET, budget_of, effort_of
from gatewright.ir.loss import Losses, join
from gatewright.ir.paths import path_of
from gatewright.ir.request import OutputFormat, Request, Target, Thinking
from gatewright.jsontypes import JsonObject, JsonValue

LEAST_BUDGET = 1024
JSON_TOOL = "json_answer"
TIERS = {"auto": "auto", "standard_only": "standard_only", "default": "standard_only"}
"""A request's service tier in others' words → ours."""
_DISPLAY = {"auto": "summarized", "concise": "summarized", "detailed": "summarized", "none": "omitted"}
_VOID_SAMPLING: dict[str, object] = {"frequency_penalty": 0, "presence_penalty": 0, "n": 1, "logprobs": False, "top_logprobs": 0}
"""Values that say what is so without them."""


def limit(body: JsonObject, request: Request, target: Target, facts: ModelFacts, losses: Losses) -> None:
    """`max_tokens`, which the API requires."""
    asked = request.max_tokens
    if asked is None:
        body["max_tokens"] = target.max_tokens or facts.default_max_tokens
        return
    if facts.most_tokens and asked > facts.most_tokens:
        losses.approximated(path_of(request, "max_tokens"), f"this model gives at most {facts.most_tokens} tokens", asked)
        asked = facts.most_tokens
    body["max_tokens"] = asked


def sample(body: JsonObject, request: Request, facts: ModelFacts, losses: Losses) -> None:
    """Temperature and its kin, stop sequences; called when `thinking` is settled."""
    sampling = request.sampling
    losses.extras(sampling, origin=request.origin)
    for field, void in _VOID_SAMPLING.items():
        value = getattr(sampling, field)
        if value is not None:
            report = losses.hint if value == void else losses.dropped
            report(path_of(request, field), "not in messages", value)
    if sampling.seed is not None:
        losses.dropped(path_of(request, "seed"), "not in messages", sampling.seed)
    stops = [stop for stop in sampling.stop if stop.strip()]
    if len(stops) < len(sampling.stop):
        losses.dropped(
            path_of(request, "stop"), "a stop sequence of white space alone is refused", list[JsonValue](sampling.stop)
        )
    if stops:
        body["stop_sequences"] = list[JsonValue](stops)
    thinks = _is_on(body)
    temperature, top_p, top_k = sampling.temperature, sampling.top_p, sampling.top_k
    if temperature is not None:
        if facts.sampling == "none" or (thinks and temperature != 1):
            why = "this model takes no temperature" if facts.sampling == "none" else "thinking goes with temperature 1 only"
            (losses.hint if temperature == 1 else losses.dropped)(path_of(request, "temperature"), why, temperature)
            temperature = None
        elif temperature > 1:
            losses.approximated(path_of(request, "temperature"), "the highest temperature is 1", temperature)
            temperature = 1
    if temperature is not None:
        body["temperature"] = temperature
    if top_p is not None:
        if facts.sampling == "none" or (facts.sampling == "one" and temperature is not None) or (thinks and top_p < 0.95):
            why = "not together with temperature" if facts.sampling == "one" and not thinks else "this model takes no top_p here"
            (losses.hint if top_p == 1 else losses.dropped)(path_of(request, "top_p"), why, top_p)
        else:
            body["top_p"] = top_p
    if top_k is not None:
        if facts.sampling == "none" or thinks:
            losses.dropped(path_of(request, "top_k"), "this model takes no top_k here", top_k)
        else:
            body["top_k"] = int(top_k)


def _is_on(body: JsonObject) -> bool:
    thinking = body.get("thinking")
    return isinstance(thinking, dict) and thinking["type"] in {"enabled", "adaptive"}


def think(body: JsonObject, request: Request, facts: ModelFacts, losses: Losses) -> None:
    """`thinking` and `output_config.effort`; called when messages, tools, tool_choice and max_tokens stand in `body`."""
    thinking = request.thinking
    if thinking is None:
        return
    losses.extras(thinking, origin=request.origin)
    path = thinking.at or path_of(request, "thinking")
    asked = plain(thinking)
    if thinking.enabled is False or thinking.effort == "none" or thinking.budget == 0:
        if facts.thinking_optional:
            body["thinking"] = {"type": "disabled"}
            losses.hint(path, "thinking is off", asked)
        else:
            losses.approximated(path, "this model always thinks", asked)
        return
    if (thinking.enabled, thinking.effort, thinking.budget, thinking.adaptive) == (None, None, None, False):
        if thinking.summary is not None:
            losses.hint(path, "thinking is not asked for", asked)
        return
    match facts.thinking:
        case "none":
            losses.dropped(path, "this model does not think", asked)
        case "adaptive":
            _adaptive(body, thinking, facts, path, losses)
        case "budget":
            _budgeted(body, request, thinking, facts, losses)
    _settle(body, request, facts, losses)
    setting = body.get("thinking")
    if thinking.summary is not None:
        if isinstance(setting, dict) and setting["type"] != "disabled":
            setting["display"] = _DISPLAY.get(thinking.summary, "summarized")
        losses.hint(join(path, "summary"), "reasoning is shown summarised or not at all", thinking.summary)


def _adaptive(body: JsonObject, thinking: Thinking, facts: ModelFacts, path: str, losses: Losses) -> None:
    body["thinking"] = {"type": "adaptive"}
    effort = thinking.effort
    if effort is None and thinking.budget is not None and thinking.budget > 0:
        effort = effort_of(thinking.budget)
        losses.approximated(path, f"a budget of tokens is told as effort {effort}", thinking.budget)
    elif thinking.budget is not None:
        losses.hint(path, "the model decides how much to think", thinking.budget)
    elif (thinking.enabled or thinking.adaptive) and effort is not None:
        losses.hint(path, "the effort says that it is on", "adaptive" if thinking.adaptive else thinking.enabled)
    if effort is None:
        return
    known = effort if effort in facts.efforts else _near(effort, facts.efforts)
    if known != effort:
        losses.approximated(path, f"effort {known} is the nearest this model has", effort)
    body["output_config"] = {"effort": known}


def _near(effort: str, known: tuple[str, ...]) -> str:
    """The weakest known effort that is not weaker; an unknown word counts as medium."""
    order = list(EFFORT_BUDGET)
    rank = order.index(effort) if effort in order else order.index("medium")
    return next((word for word in known if order.index(word) >= rank), known[-1])


def _budgeted(body: JsonObject, request: Request, thinking: Thinking, facts: ModelFacts, losses: Losses) -> None:
    path = thinking.at or path_of(request, "thinking")
    limit_ = body["max_tokens"]
    assert isinstance(limit_, int)
    budget = thinking.budget
    if budget is None or budget < 0:
        budget = budget_of(thinking.effort or "medium")
        losses.approximated(path, f"told as a budget of {budget} tokens", plain(thinking))
    elif thinking.effort is not None:
        losses.hint(path, "the budget is told, not the effort", thinking.effort)
    if budget < LEAST_BUDGET:
        losses.approximated(path, f"the least budget is {LEAST_BUDGET} tokens", budget)
        budget = LEAST_BUDGET
    if budget >= limit_:
        if request.max_tokens is None:
            limit_ = min(facts.most_tokens or budget + limit_, budget + limit_)
        elif limit_ * 4 // 5 < LEAST_BUDGET:
            limit_ += LEAST_BUDGET
            losses.approximated(path_of(request, "max_tokens"), f"raised to {limit_} to leave room to think", request.max_tokens)
        if budget >= limit_:
            budget = max(LEAST_BUDGET, limit_ * 4 // 5)
            losses.approximated(path, f"the budget is lowered to {budget}, below max_tokens", thinking.budget or thinking.effort)
    body["max_tokens"] = limit_
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _settle(body: JsonObject, request: Request, facts: ModelFacts, losses: Losses) -> None:
    """Turn thinking off where the API would refuse it beside the rest of the request."""
    if not _is_on(body):
        return
    assert request.thinking is not None
    path = request.thinking.at or path_of(request, "thinking")
    choice = body.get("tool_choice")
    thinking = body["thinking"]
    assert isinstance(thinking, dict)
    if isinstance(choice, dict) and choice["type"] in {"any", "tool"}:
        if facts.thinking_optional:
            losses.approximated(path, "thinking is off: a tool is forced", thinking)
            _switch_off(body)
        else:
            losses.approximated(
                path_of(request, "tool_choice"), "this model always thinks, and then no tool can be forced", choice
            )
            kept = {key: value for key, value in choice.items() if key != "name"}
            body["tool_choice"] = {**kept, "type": "auto"}
    elif thinking["type"] == "enabled" and _unsigned_tool_turn(body.get("messages")):
        losses.approximated(path, "thinking is off: the tool calls in the history have no signed thinking before them", thinking)
        _switch_off(body)


def _switch_off(body: JsonObject) -> None:
    body["thinking"] = {"type": "disabled"}


def _unsigned_tool_turn(messages: JsonValue) -> bool:
    """Whether results are to be given for an assistant turn that does not begin with thinking."""
    if not isinstance(messages, list) or len(messages) < 2:
        return False
    for message in reversed(messages):
        if isinstance(message, dict) and message["role"] == "assistant":
            content = message["content"]
            kinds = [block["type"] for block in content if isinstance(block, dict)] if isinstance(content, list) else []
            return "tool_use" in kinds and kinds[0] not in {"thinking", "redacted_thinking"}
    return False


def shape(body: JsonObject, request: Request, facts: ModelFacts, losses: Losses) -> str:
    """The output's format; called before `think`. Gives the name of the forced tool that stands in for a schema, or ''."""
    output = request.output
    if output is None:
        return ""
    losses.extras(output, origin=request.origin)
    path = output.at or path_of(request, "output")
    if output.kind == "text":
        losses.hint(path, "text is the rule", output.kind)
        return ""
    if output.kind == "json_schema" and output.schema is not None and facts.native_schema:
        schema = closed(output.schema)
        if fits(schema):
            if schema != output.schema:
                losses.approximated(path, "objects are closed (additionalProperties: false)")
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
            _report_labels(output, path, losses)
            return ""
    if output.kind == "json_object" and (body.get("tools") or request.thinking is not None):
        losses.approximated(path, "JSON is asked for in words", output.kind)
        _instruct(body, "Answer with a single valid JSON object and nothing else: no prose, no code fence.")
        return ""
    return _force(body, output, path, losses)


def _report_labels(output: OutputFormat, path: str, losses: Losses) -> None:
    for key in ("name", "description", "strict"):
        value = getattr(output, key)
        if value is not None:
            losses.hint(join(path, key), "a format here has no label and is always strict", value)


def _force(body: JsonObject, output: OutputFormat, path: str, losses: Losses) -> str:
    """A tool whose input is the answer, which the model is made to call."""
    losses.approximated(path, "a forced tool stands in for the output's format", plain(output))
    tools = body.get("tools")
    declared = tools if isinstance(tools, list) else []
    name = tool_name(output.name or JSON_TOOL, path, losses)
    if any(isinstance(tool, dict) and tool.get("name") == name for tool in declared):
        name = f"{name}_answer"
    schema = output.schema or {"type": "object"}
    tool: JsonObject = {
        "name": name,
        "description": output.description or "Give the final answer by calling this tool.",
        "input_schema": schema if schema.get("type") == "object" else {**schema, "type": "object"},
    }
    body["tools"] = [*declared, tool]
    body["tool_choice"] = {"type": "any"} if declared else {"type": "tool", "name": name}
    return name


def _instruct(body: JsonObject, words: str) -> None:
    system = body.get("system")
    if isinstance(system, list):
        body["system"] = [*system, {"type": "text", "text": words}]
    else:
        body["system"] = f"{system}\n\n{words}" if isinstance(system, str) else words


def closed(schema: JsonObject) -> JsonObject:
    """The schema with every object closed that does not say whether it is open."""
    return {key: value if key in {"enum", "const", "default"} else _closed(key, value) for key, value in _close(schema).items()}


def _close(schema: JsonObject) -> JsonObject:
    if schema.get("type") == "object" and "properties" in schema and "additionalProperties" not in schema:
        return {**schema, "additionalProperties": False}
    return schema


def _closed(key: str, value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [closed(item) if isinstance(item, dict) else item for item in value]
    if not isinstance(value, dict):
        return value
    if key in {"properties", "$defs", "definitions"}:
        return {name: closed(item) if isinstance(item, dict) else item for name, item in value.items()}
    return closed(value)
