"""Thinking, top_k and the output's format: what Converse leaves to each model's own fields, read and written again at home.

One rule: the form says where a wish stood (`thinking:enabled`, `reasoningConfig:enabled`, `reasoning_effort`, …); only what has
the known shape is taken, all else stays among the model's own fields.
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-reasoning.html
"""

from gatewright.ir.request import OutputFormat, Sampling, Thinking
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.fields import Fields
from gatewright.wire.json import BadJson, decode_object, encode

MORE = "additionalModelRequestFields"
BUDGETED = ("thinking", "reasoning_config")
"""Claude's setting, and the older name of it here."""
NOVA = "reasoningConfig"
EFFORT = "reasoning_effort"
"""As gpt-oss and other open models take it."""
DISPLAY: dict[str, str] = {"summarized": "auto", "omitted": "none"}
"""`thinking.display` → the neutral word for how reasoning is shown."""
_ENABLED = {"enabled": True, "disabled": False}
_WORDS = frozenset(("enabled", "disabled", "adaptive"))


def _whole(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _word(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


def parse_thinking(more: Fields | None, config: Fields | None) -> Thinking | None:
    """What is asked of the model's reasoning, taken from the model's own fields and from `outputConfig`."""
    enabled: bool | None = None
    budget: int | None = None
    summary: str | None = None
    form: list[str] = []
    at = ""
    if more is not None:
        for key in (*BUDGETED, NOVA):
            setting = more.peek(key)
            if isinstance(setting, dict) and (word := _word(setting.get("type"))) in _WORDS:
                form.append(f"{key}:{word}")
                at = f"{MORE}.{key}"
                enabled = _ENABLED.get(word)
                inner = more.fields(key)
                assert inner is not None
                inner.take("type")
                if key != NOVA and (budget := _whole(inner.peek("budget_tokens"))) is not None:
                    inner.take("budget_tokens")
                if key != NOVA and (summary := DISPLAY.get(_word(inner.peek("display")) or "")) is not None:
                    inner.take("display")
                if inner.rest():
                    more.put_back(key, inner.rest())
                break
    effort = _parse_effort(more, config, form)
    if not form:
        return None
    return Thinking(
        enabled=enabled,
        adaptive=form[0].endswith(":adaptive"),
        effort=effort,
        budget=budget,
        summary=summary,
        form=tuple(form),
        at=at or (MORE if form[0] != "outputConfig" else "outputConfig.effort"),
    )


def _parse_effort(more: Fields | None, config: Fields | None, form: list[str]) -> str | None:
    """The first effort told; where it stood goes into the form."""
    if more is not None:
        for key, inside in ((NOVA, "maxReasoningEffort"), ("output_config", "effort")):
            inner = more.peek(key)
            if isinstance(inner, dict) and (effort := _word(inner.get(inside))) is not None:
                more.take(key)
                if beside := {name: value for name, value in inner.items() if name != inside}:
                    more.put_back(key, beside)
                form.append(f"{key}.{inside}")
                return effort
        if (effort := _word(more.peek(EFFORT))) is not None:
            more.take(EFFORT)
            form.append(EFFORT)
            return effort
    if config is not None and (effort := _word(config.peek("effort"))) is not None:
        config.take("effort")
        form.append("outputConfig")
        return effort
    return None


def home_thinking(thinking: Thinking, body: JsonObject, more: JsonObject) -> None:
    """The setting where it stood."""
    for spelt in thinking.form:
        key, colon, word = spelt.partition(":")
        outer, dot, inside = spelt.partition(".")
        if colon:
            setting: JsonObject = {"type": word}
            if thinking.budget is not None:
                setting["budget_tokens"] = thinking.budget
            if thinking.summary is not None:
                setting["display"] = next(shown for shown, meant in DISPLAY.items() if meant == thinking.summary)
            more[key] = setting
        elif dot:
            before = more.get(outer)
            more[outer] = {**(before if isinstance(before, dict) else {}), inside: thinking.effort}
        elif spelt == "outputConfig":
            body["outputConfig"] = {"effort": thinking.effort}
        else:
            more[spelt] = thinking.effort


def parse_top_k(more: Fields | None) -> tuple[float | int | None, tuple[str, ...]]:
    """top_k as Claude and Mistral say it, or as Nova does."""
    if more is None:
        return None, ()
    value = more.peek("top_k")
    if isinstance(value, int | float) and not isinstance(value, bool):
        more.take("top_k")
        return value, ("top_k",)
    inner = more.peek("inferenceConfig")
    if isinstance(inner, dict) and isinstance(value := inner.get("topK"), int | float) and not isinstance(value, bool):
        more.take("inferenceConfig")
        if beside := {key: item for key, item in inner.items() if key != "topK"}:
            more.put_back("inferenceConfig", beside)
        return value, ("inferenceConfig",)
    return None, ()


def home_top_k(sampling: Sampling, more: JsonObject, *, nova: bool) -> None:
    """top_k where it stood; in the words of the target's family where the route set it."""
    if sampling.top_k is not None:
        if "inferenceConfig" in sampling.form or (nova and not sampling.form):
            more["inferenceConfig"] = {"topK": sampling.top_k}
        else:
            more["top_k"] = sampling.top_k


def parse_format(config: Fields | None) -> OutputFormat | None:
    """`outputConfig.textFormat`, whose schema is JSON in a string: the string itself is kept in the form."""
    told = config.peek("textFormat") if config is not None else None
    structure = told.get("structure") if isinstance(told, dict) and set(told) == {"type", "structure"} else None
    inner = structure.get("jsonSchema") if isinstance(structure, dict) and set(structure) == {"jsonSchema"} else None
    if not isinstance(told, dict) or told.get("type") != "json_schema" or not isinstance(inner, dict):
        return None
    labels = {key: value for key, value in inner.items() if isinstance(value, str) and key in {"schema", "name", "description"}}
    text = labels.get("schema")
    if text is None or len(labels) != len(inner):
        return None
    try:
        schema = decode_object(text.encode("utf-8", "surrogatepass"))
    except BadJson:
        return None
    assert config is not None
    config.take("textFormat")
    return OutputFormat(
        kind="json_schema",
        schema=schema,
        name=labels.get("name"),
        description=labels.get("description"),
        form=(text,),
        at="outputConfig.textFormat",
    )


def text_format(output: OutputFormat, schema: JsonObject, spelt: str = "") -> JsonObject:
    """`textFormat` for a schema; `spelt`: its own JSON text."""
    inner: JsonObject = {"schema": spelt or encode(schema).decode()}
    if output.name is not None:
        inner["name"] = output.name
    if output.description is not None:
        inner["description"] = output.description
    return {"type": "json_schema", "structure": {"jsonSchema": inner}}
