"""Limits, sampling, thinking and the shape of the output, brought to what the target model accepts.

One rule: what a model refuses is never sent to it; each change is a loss with the client's own path. `more` is
`additionalModelRequestFields`, where each family of models has words of its own.
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
"""

from gatewright.dialects.bedrock_converse.media import plain
from gatewright.dialects.bedrock_converse.models import ModelFacts
from gatewright.dialects.bedrock_converse.tools import tool_name
from gatewright.dialects.bedrock_converse.wishes import DISPLAY, text_format
from gatewright.ir.claude_models import ModelFacts as ClaudeFacts
from gatewright.ir.effort import EFFORT_BUDGET, budget_of, effort_of
from gatewright.ir.loss import Losses, join
from gatewright.ir.paths import path_of
from gatewright.ir.request import OutputFormat, Request, Target, Thinking
from gatewright.jsontypes import JsonObject, JsonValue

LEAST_BUDGET = 1024
ROOM = 8192
"""Tokens left for the answer beside a budget, where the client gave no limit."""
JSON_TOOL = "json_answer"
_SHOWN = {meant: word for word, meant in DISPLAY.items()} | {"concise": "summarized", "detailed": "summarized"}
_VOID_SAMPLING: dict[str, object] = {"frequency_penalty": 0, "presence_penalty": 0, "n": 1, "logprobs": False, "top_logprobs": 0}
"""Values that say what is so without them."""
_THREE = ("low", "medium", "high")
"""The efforts of Nova and of gpt-oss."""


def infer(request: Request, target: Target, more: JsonObject, facts: ModelFacts, losses: Losses) -> JsonObject:
    """`inferenceConfig`; called when thinking is settled in `more`."""
    config: JsonObject = {}
    most = facts.claude.most_tokens if facts.claude is not None else 0
    limit = _limit(request, target.max_tokens, more, most, losses)
    if limit:
        config["maxTokens"] = limit
    sampling = request.sampling
    losses.extras(sampling, origin=request.origin)
    for field, void in _VOID_SAMPLING.items():
        value = getattr(sampling, field)
        if value is not None:
            report = losses.hint if value == void else losses.dropped
            report(path_of(request, field), "not in converse", value)
    if sampling.seed is not None:
        losses.dropped(path_of(request, "seed"), "not in converse", sampling.seed)
    stops = [stop for stop in sampling.stop if stop.strip() or (stop and facts.family != "claude")]
    if len(stops) < len(sampling.stop):
        shown = list[JsonValue](sampling.stop)
        losses.dropped(path_of(request, "stop"), "a stop sequence of white space alone is refused", shown)
    _sample(config, request, more, facts, losses)
    if stops:
        config["stopSequences"] = list[JsonValue](stops)
    return config


def _limit(request: Request, otherwise: int, more: JsonObject, most: int, losses: Losses) -> int:
    """Tokens to ask for, room for thinking included; 0: leave it to the model. `most`: the model's own limit, if known."""
    asked = request.max_tokens
    limit = asked if asked is not None else otherwise
    if asked is not None and asked < 1:
        losses.dropped(path_of(request, "max_tokens"), "the least limit is 1 token", asked)
        limit = otherwise
    if asked is not None and most and asked > most:
        losses.approximated(path_of(request, "max_tokens"), f"this model gives at most {most} tokens", asked)
        limit = most
    thinking = more.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if isinstance(budget, int) and isinstance(thinking, dict):
        if not limit:
            limit = min(budget + ROOM, most) if most else budget + ROOM
        elif limit <= LEAST_BUDGET:
            limit += LEAST_BUDGET
            why = f"raised to {limit} to leave room to think"
            losses.approximated(path_of(request, "max_tokens"), why, asked)
        if budget >= limit:
            lower = max(LEAST_BUDGET, limit * 4 // 5)
            losses.approximated(_thinking_path(request), f"the budget is lowered to {lower}, below max_tokens", budget)
            thinking["budget_tokens"] = lower
    return limit


def _sample(config: JsonObject, request: Request, more: JsonObject, facts: ModelFacts, losses: Losses) -> None:
    sampling = request.sampling
    taken = facts.claude.sampling if facts.claude is not None else "all"
    thinks = _thinks(more)
    temperature, top_p, top_k = sampling.temperature, sampling.top_p, sampling.top_k
    if temperature is not None and (taken == "none" or (thinks and temperature != 1)):
        why = "this model takes no temperature" if taken == "none" else "thinking goes with temperature 1 only"
        (losses.hint if temperature == 1 else losses.dropped)(path_of(request, "temperature"), why, temperature)
        temperature = None
    elif temperature is not None and temperature > 1:
        losses.approximated(path_of(request, "temperature"), "the highest temperature is 1", temperature)
        temperature = 1
    if temperature is not None:
        config["temperature"] = temperature
    if top_p is not None:
        if taken == "none" or (taken == "one" and temperature is not None) or (thinks and top_p < 0.95):
            (losses.hint if top_p == 1 else losses.dropped)(path_of(request, "top_p"), "this model takes no top_p here", top_p)
        else:
            config["topP"] = top_p
    if top_k is None:
        return
    if facts.family == "claude" and taken != "none" and not thinks:
        more["top_k"] = int(top_k)
    elif facts.family == "nova":
        more["inferenceConfig"] = {"topK": int(top_k)}
    else:
        losses.dropped(path_of(request, "top_k"), "this model takes no top_k here", top_k)


def _thinks(more: JsonObject) -> bool:
    setting = more.get("thinking") or more.get("reasoningConfig")
    return isinstance(setting, dict) and setting.get("type") in {"enabled", "adaptive"}


def _thinking_path(request: Request) -> str:
    return (request.thinking.at if request.thinking is not None else "") or path_of(request, "thinking")


def think(request: Request, body: JsonObject, more: JsonObject, facts: ModelFacts, losses: Losses) -> None:
    """Thinking in the family's own words; called when messages and tools stand in `body`."""
    thinking = request.thinking
    if thinking is None:
        return
    losses.extras(thinking, origin=request.origin)
    path, asked = _thinking_path(request), plain(thinking)
    off = thinking.enabled is False or thinking.effort == "none" or thinking.budget == 0
    if (thinking.enabled, thinking.effort, thinking.budget, thinking.adaptive) == (None, None, None, False):
        if thinking.summary is not None:
            losses.hint(path, "thinking is not asked for", asked)
        return
    match facts.family:
        case "claude":
            assert facts.claude is not None
            _think_claude(thinking, more, facts.claude, path, losses, off=off)
            _settle(body, more, facts.claude, path, losses)
        case "nova":
            effort = _three(thinking)
            more["reasoningConfig"] = {"type": "disabled"} if off else {"type": "enabled", "maxReasoningEffort": effort}
            losses.approximated(path, "told as Nova's reasoningConfig", asked)
        case "gpt-oss" if not off:
            more["reasoning_effort"] = _three(thinking)
            losses.approximated(path, f"told as reasoning effort {more['reasoning_effort']}", asked)
        case _:
            losses.dropped(path, "this model cannot be told how much to think", asked)
    if thinking.summary is not None:
        setting = more.get("thinking")
        if isinstance(setting, dict) and setting.get("type") == "adaptive":
            setting["display"] = _SHOWN.get(thinking.summary, "summarized")
        losses.hint(join(path, "summary"), "reasoning is shown summarised or not at all", thinking.summary)


def _three(thinking: Thinking) -> str:
    effort = thinking.effort or effort_of(thinking.budget if thinking.budget is not None else -1)
    return _near(effort, _THREE)


def _near(effort: str, known: tuple[str, ...]) -> str:
    """The weakest known effort that is not weaker; an unknown word counts as medium."""
    order = list(EFFORT_BUDGET)
    rank = order.index(effort) if effort in order else order.index("medium")
    return next((word for word in known if order.index(word) >= rank), known[-1])


def _think_claude(thinking: Thinking, more: JsonObject, facts: ClaudeFacts, path: str, losses: Losses, *, off: bool) -> None:
    asked = plain(thinking)
    if off and facts.thinking_optional:
        more["thinking"] = {"type": "disabled"}
        losses.hint(path, "thinking is off", asked)
    elif off:
        losses.approximated(path, "this model always thinks", asked)
    elif facts.thinking == "none":
        losses.dropped(path, "this model does not think", asked)
    elif facts.thinking == "adaptive":
        effort = thinking.effort
        if effort is None and thinking.budget is not None and thinking.budget > 0:
            effort = effort_of(thinking.budget)
        more["thinking"] = {"type": "adaptive"}
        if effort is not None:
            more["output_config"] = {"effort": _near(effort, facts.efforts)}
        losses.approximated(path, "the model decides how much to think", asked)
    else:
        budget = thinking.budget
        if budget is None or budget < 0:
            budget = budget_of(thinking.effort or "medium")
        budget = max(budget, LEAST_BUDGET)
        if budget != thinking.budget or thinking.effort is not None:
            losses.approximated(path, f"told as a budget of {budget} tokens", asked)
        more["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _settle(body: JsonObject, more: JsonObject, facts: ClaudeFacts, path: str, losses: Losses) -> None:
    """Turn thinking off where the model would refuse it beside the rest of the request."""
    if not _thinks(more):
        return
    config = body.get("toolConfig")
    choice = config.get("toolChoice") if isinstance(config, dict) else None
    setting = more["thinking"]
    if isinstance(config, dict) and isinstance(choice, dict) and "auto" not in choice:
        if facts.thinking_optional:
            losses.approximated(path, "thinking is off: a tool is forced", setting)
            more["thinking"] = {"type": "disabled"}
        else:
            losses.approximated("tool_choice", "this model always thinks, and then no tool can be forced", choice)
            config["toolChoice"] = {"auto": {}}
    elif isinstance(setting, dict) and setting["type"] == "enabled" and _unsigned_tool_turn(body.get("messages")):
        why = "thinking is off: the tool calls in the history have no signed reasoning before them"
        losses.approximated(path, why, setting)
        more["thinking"] = {"type": "disabled"}


def _unsigned_tool_turn(messages: JsonValue) -> bool:
    """Whether results are to be given for an assistant turn that does not begin with reasoning."""
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message["role"] == "assistant":
            content = message["content"]
            blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
            return any("toolUse" in block for block in blocks) and "reasoningContent" not in blocks[0]
    return False


def shape(request: Request, body: JsonObject, facts: ModelFacts, losses: Losses) -> str:
    """The output's format; called before `think`. Gives the name of the forced tool that stands in for a schema, or ''."""
    output = request.output
    if output is None:
        return ""
    losses.extras(output, origin=request.origin)
    path = output.at or path_of(request, "output")
    if output.kind == "text":
        losses.hint(path, "text is the rule", output.kind)
        return ""
    if output.kind == "json_schema" and output.schema is not None and facts.schema:
        schema = closed(output.schema)
        if schema != output.schema:
            losses.approximated(path, "objects are closed (additionalProperties: false)")
        body["outputConfig"] = {"textFormat": text_format(output, schema)}
        if output.strict is not None:
            losses.hint(join(path, "strict"), "a format here is always strict", output.strict)
        return ""
    if output.kind == "json_schema" and facts.forces and request.thinking is None:
        return _force(body, output, path, losses)
    losses.approximated(path, "JSON is asked for in words", plain(output))
    words = "Answer with a single valid JSON object and nothing else: no prose, no code fence."
    if output.schema is not None:
        words += f" It must conform to this JSON Schema: {plain_json(output.schema)}"
    system = body.get("system")
    body["system"] = [*(system if isinstance(system, list) else []), {"text": words}]
    return ""


def plain_json(schema: JsonObject) -> str:
    """The schema as text within an instruction."""
    inner = text_format(OutputFormat(kind="json_schema"), schema)["structure"]
    assert isinstance(inner, dict)
    told = inner["jsonSchema"]
    assert isinstance(told, dict)
    return str(told["schema"])


def _force(body: JsonObject, output: OutputFormat, path: str, losses: Losses) -> str:
    """A tool whose input is the answer, which the model is made to call."""
    losses.approximated(path, "a forced tool stands in for the output's format", plain(output))
    config = body.get("toolConfig")
    declared = config.get("tools") if isinstance(config, dict) else None
    tools = declared if isinstance(declared, list) else []
    name = tool_name(output.name or JSON_TOOL, path, losses)
    specs = [tool.get("toolSpec") for tool in tools if isinstance(tool, dict)]
    if any(isinstance(spec, dict) and spec.get("name") == name for spec in specs):
        name = f"{name[:57]}_answer"
    schema = output.schema or {"type": "object"}
    spec: JsonObject = {
        "name": name,
        "description": output.description or "Give the final answer by calling this tool.",
        "inputSchema": {"json": schema if schema.get("type") == "object" else {**schema, "type": "object"}},
    }
    choice: JsonObject = {"any": {}} if tools else {"tool": {"name": name}}
    body["toolConfig"] = {"tools": [*tools, {"toolSpec": spec}], "toolChoice": choice}
    return name


def closed(schema: JsonObject) -> JsonObject:
    """The schema with every object closed that does not say whether it is open."""
    kept = {"enum", "const", "default"}
    done: JsonObject = {key: value if key in kept else _closed(key, value) for key, value in schema.items()}
    if done.get("type") == "object" and "properties" in done and "additionalProperties" not in done:
        done["additionalProperties"] = False
    return done


def _closed(key: str, value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [closed(item) if isinstance(item, dict) else item for item in value]
    if not isinstance(value, dict):
        return value
    if key in {"properties", "$defs", "definitions"}:
        return {name: closed(item) if isinstance(item, dict) else item for name, item in value.items()}
    return closed(value)
