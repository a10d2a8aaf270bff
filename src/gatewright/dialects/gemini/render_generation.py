"""`generationConfig` for a Gemini upstream.

One rule: at home each key comes back as it was spelt; abroad what Gemini or the target model cannot do is a loss in the
client's terms.
https://ai.google.dev/api/generate-content#v1beta.GenerationConfig  https://ai.google.dev/gemini-api/docs/thinking
"""

from gatewright.dialects.gemini.generation import JSON_MIME
from gatewright.dialects.gemini.models import Abilities
from gatewright.dialects.gemini.proto import Speller, merge
from gatewright.dialects.gemini.render_tools import original
from gatewright.dialects.gemini.schema import SchemaFilter
from gatewright.ir.effort import budget_of, effort_of
from gatewright.ir.loss import Losses
from gatewright.ir.paths import path_of
from gatewright.ir.request import OutputFormat, Request, Sampling, Thinking
from gatewright.jsontypes import JsonObject

MAX_STOPS = 5
MAX_TOP_LOGPROBS = 20
MAX_SEED = 2**31 - 1
LEVEL: dict[str, str] = {"none": "minimal", "minimal": "minimal", "low": "low", "medium": "medium", "high": "high"} | {
    "xhigh": "high",
    "max": "high",
}
"""Effort → thinkingLevel."""


def generation_config(request: Request, model: str, can: Abilities, losses: Losses) -> JsonObject:
    """The object; empty when there is nothing to say."""
    home = request.origin == "gemini"
    sampling = request.sampling
    spell = Speller(sampling.form if home else ())  # another dialect has other words there
    out: JsonObject = {}
    if request.max_tokens is not None:
        out[spell("maxOutputTokens")] = request.max_tokens
    _sampling(sampling, out, spell)
    if request.output is not None:
        if home:
            _home_output(request.output, out, spell)
        else:
            _foreign_output(request, request.output, out, can, losses)
    if request.thinking is not None:
        told = home and request.thinking.at  # without a place it is the route's word, not the client's
        thinking = _home_thinking(request.thinking) if told else _foreign_thinking(request, request.thinking, model, can, losses)
        if thinking:
            out[spell("thinkingConfig")] = thinking
    if not home:
        _limits(request, out, losses)
    return merge(out, losses.extras(sampling, origin=request.origin), spell)


def _sampling(sampling: Sampling, out: JsonObject, spell: Speller) -> None:
    told: dict[str, float | int | bool | None] = {
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "topK": sampling.top_k,
        "seed": sampling.seed,
        "frequencyPenalty": sampling.frequency_penalty,
        "presencePenalty": sampling.presence_penalty,
        "candidateCount": sampling.n,
        "responseLogprobs": sampling.logprobs,
        "logprobs": sampling.top_logprobs,
    }
    out.update({spell(key): value for key, value in told.items() if value is not None})
    if sampling.stop:
        out[spell("stopSequences")] = list(sampling.stop)


def _limits(request: Request, out: JsonObject, losses: Losses) -> None:
    """What Gemini refuses beyond its own bounds."""
    sampling = request.sampling
    if len(sampling.stop) > MAX_STOPS:
        out["stopSequences"] = list(sampling.stop[:MAX_STOPS])
        losses.dropped(path_of(request, "stop"), f"gemini takes {MAX_STOPS} stop sequences", list(sampling.stop[MAX_STOPS:]))
    if sampling.n is not None and sampling.n > 1:
        del out["candidateCount"]
        losses.dropped(path_of(request, "n"), "only one answer can be shown across dialects", sampling.n)
    if sampling.seed is not None and not -MAX_SEED <= sampling.seed <= MAX_SEED:
        out["seed"] = sampling.seed % MAX_SEED
        losses.approximated(path_of(request, "seed"), "gemini's seeds have 32 bits", sampling.seed)
    if sampling.top_logprobs is not None:
        if not sampling.logprobs or sampling.top_logprobs < 1:
            del out["logprobs"]
            losses.hint(
                path_of(request, "top_logprobs"), "gemini counts alternatives from 1, with logprobs on", sampling.top_logprobs
            )
        elif sampling.top_logprobs > MAX_TOP_LOGPROBS:
            out["logprobs"] = MAX_TOP_LOGPROBS
            losses.approximated(path_of(request, "top_logprobs"), f"gemini tells {MAX_TOP_LOGPROBS}", sampling.top_logprobs)
    if isinstance(top_k := sampling.top_k, int) and top_k < 1:
        del out["topK"]
        losses.hint(path_of(request, "top_k"), "gemini counts from 1", top_k)


def _home_output(output: OutputFormat, out: JsonObject, spell: Speller) -> None:
    plain = output.kind == "text" or "mime=text/plain" in output.form
    out[spell("responseMimeType")] = "text/plain" if plain else JSON_MIME
    if output.schema is not None:
        key = output.form[0] if output.form else "responseJsonSchema"
        out[spell(key)] = original(output.form) or output.schema


def _foreign_output(request: Request, output: OutputFormat, out: JsonObject, can: Abilities, losses: Losses) -> None:
    path = output.at or path_of(request, "output")
    losses.extras(output, origin=request.origin)
    if output.kind == "text":
        out["responseMimeType"] = "text/plain"
        return
    if output.strict is not None:
        losses.hint(f"{path}.strict", "gemini always holds to the schema", output.strict)
    if request.tools and not can.mixes_tools:
        value: JsonObject = {"schema": output.schema, "name": output.name, "description": output.description}
        losses.dropped(path, "this model takes no JSON mode beside tools", value)
        return
    out["responseMimeType"] = JSON_MIME
    if output.schema is None:
        for key, said in (("name", output.name), ("description", output.description)):
            if said is not None:
                losses.hint(f"{path}.{key}", "there is no schema that it could name", said)
        return
    schema = SchemaFilter(losses).rewrite(output.schema, path)
    for key, value_ in (("title", output.name), ("description", output.description)):
        if value_ is None:
            continue
        if key in schema or "$ref" in schema:
            losses.hint(f"{path}.{'name' if key == 'title' else key}", f"the schema has its own {key}", value_)
        else:
            schema[key] = value_
    out["responseJsonSchema"] = schema


def _home_thinking(thinking: Thinking) -> JsonObject:
    spell = Speller(thinking.form)
    out: JsonObject = {}
    if thinking.budget is not None:
        out[spell("thinkingBudget")] = thinking.budget
    if thinking.effort is not None:
        level = next((word[6:] for word in thinking.form if word.startswith("level=")), thinking.effort)
        out[spell("thinkingLevel")] = level
    if thinking.summary is not None:
        out[spell("includeThoughts")] = thinking.summary != "none"
    return merge(out, thinking.extras, spell)


def _foreign_thinking(request: Request, thinking: Thinking, model: str, can: Abilities, losses: Losses) -> JsonObject:
    path = thinking.at or path_of(request, "thinking")
    losses.extras(thinking, origin=request.origin)
    told: JsonObject = {}
    told |= {"enabled": thinking.enabled, "effort": thinking.effort, "budget": thinking.budget}
    told |= {"adaptive": thinking.adaptive, "summary": thinking.summary}
    off = thinking.enabled is False or thinking.effort == "none" or thinking.budget == 0
    if not can.levels and can.budgets is None:
        (losses.hint if off else losses.dropped)(path, f"{model} does not think", told)
        return {}
    out = _level(thinking, model, path, losses, off=off) if can.levels else _budget(request, thinking, can, path, losses, off=off)
    if thinking.summary == "none":
        out["includeThoughts"] = False
    elif not off and (thinking.enabled or thinking.adaptive or thinking.summary is not None):
        out["includeThoughts"] = True
    if thinking.summary not in (None, "none"):
        losses.hint(path, "gemini shows thoughts or does not", thinking.summary)
    if thinking.enabled is not None and (thinking.effort or thinking.adaptive):
        losses.hint(path, "told by level or budget", thinking.enabled)
    return out


def _level(thinking: Thinking, model: str, path: str, losses: Losses, *, off: bool) -> JsonObject:
    effort = thinking.effort
    if effort is None and thinking.budget is not None:
        effort = None if thinking.budget < 0 else effort_of(thinking.budget)
        losses.approximated(path, "this model takes a level, not a budget", thinking.budget)
    elif thinking.budget is not None:
        losses.hint(path, "told by the level", thinking.budget)
    if off:
        effort = "none"
    if effort is None:
        if thinking.adaptive:
            losses.hint(path, "this model decides for itself", thinking.adaptive)
        return {}
    level = LEVEL.get(effort, "medium")
    if level == "minimal" and "pro" in model:
        level = "low"
    if level != effort:
        losses.approximated(path, f"this model has no level {effort}: {level}", effort)
    return {"thinkingLevel": level}


def _budget(request: Request, thinking: Thinking, can: Abilities, path: str, losses: Losses, *, off: bool) -> JsonObject:
    assert can.budgets is not None
    least, largest = can.budgets
    if off:
        if can.can_rest:
            return {"thinkingBudget": 0}
        losses.approximated(path, "this model cannot stop thinking: the least", least)
        return {"thinkingBudget": least}
    if thinking.budget is not None and thinking.budget > 0:
        wanted = thinking.budget
        if thinking.effort is not None:
            losses.hint(path, "told by the budget", thinking.effort)
    elif thinking.effort is not None and thinking.effort != "none":
        wanted = budget_of(thinking.effort, request.max_tokens)
        losses.approximated(path, "this model takes a budget, not an effort", thinking.effort)
    else:
        return {"thinkingBudget": -1} if thinking.adaptive or thinking.enabled else {}
    bounded = min(max(wanted, least), largest)
    if bounded != wanted:
        losses.approximated(path, f"this model thinks within {least} to {largest} tokens", wanted)
    return {"thinkingBudget": bounded}
