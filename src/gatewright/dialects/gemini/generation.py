"""`generationConfig`, as clients of this dialect write it: sampling, thinking, output.

One rule: every key that nobody takes stays in `Sampling.extras`, and the snake spellings of the whole object in `Sampling.form`.
https://ai.google.dev/api/generate-content#v1beta.GenerationConfig
"""

from gatewright.dialects.gemini.proto import Proto
from gatewright.dialects.gemini.schema import to_json_schema
from gatewright.errors import Malformed
from gatewright.ir.request import OutputFormat, Sampling, Thinking
from gatewright.jsontypes import JsonObject
from gatewright.wire.json import encode, kind

JSON_MIME = "application/json"
SCHEMA_KEYS = ("responseJsonSchema", "_responseJsonSchema", "responseSchema")
LEVELS = frozenset({"minimal", "low", "medium", "high", "xhigh"})


def integer(f: Proto, key: str) -> int | None:
    """An integer; a float without a fraction counts as one, as in proto JSON."""
    value = f.peek(key)
    if isinstance(value, float) and value.is_integer():
        f.take(key)
        return int(value)
    return f.integer(key)


def parse_sampling(f: Proto) -> Sampling:
    """To be called last: takes the rest of the object as its extras."""
    stop: list[str] = []
    for i, word in enumerate(f.array("stopSequences")):
        if not isinstance(word, str):
            raise Malformed(f"{f.path('stopSequences')}[{i}]", "a string", kind(word))
        stop.append(word)
    return Sampling(
        temperature=f.number("temperature"),
        top_p=f.number("topP"),
        top_k=f.number("topK"),
        seed=integer(f, "seed"),
        frequency_penalty=f.number("frequencyPenalty"),
        presence_penalty=f.number("presencePenalty"),
        stop=tuple(stop),
        n=integer(f, "candidateCount"),
        logprobs=f.boolean("responseLogprobs"),
        top_logprobs=integer(f, "logprobs"),
        at=f.at,
        form=f.snakes,
        extras=f.rest(),
    )


def parse_thinking(config: Proto) -> Thinking | None:
    f = config.proto("thinkingConfig")
    if f is None:
        return None
    form = list(f.snakes)
    effort: str | None = None
    level = f.peek("thinkingLevel")
    if isinstance(level, str) and level.lower() in LEVELS:
        f.take("thinkingLevel")
        effort = level.lower()
        form.append(f"level={level}")
    budget = integer(f, "thinkingBudget")
    shown = f.boolean("includeThoughts")
    return Thinking(
        enabled=None if budget is None else budget != 0,
        effort=effort,
        budget=budget,
        adaptive=budget == -1,
        summary=None if shown is None else "auto" if shown else "none",
        at=f.at,
        form=tuple(form),
        extras=f.rest(),
    )


def parse_output(f: Proto) -> OutputFormat | None:
    """JSON, with a schema or without, or plain text. A media type we do not know is left to the rest."""
    mime = f.peek("responseMimeType")
    at = f.path("responseMimeType")
    if mime not in (None, JSON_MIME, "text/plain"):
        return None
    schema: JsonObject | None = None
    form: list[str] = []
    for key in SCHEMA_KEYS:
        if schema is None and (found := f.object(key)) is not None:
            form.append(key)
            at = f.path(key)
            schema = found
            plain = to_json_schema(found) if key == "responseSchema" else found
            if plain != found:
                assert isinstance(plain, dict)
                schema = plain
                form.append("json:" + encode(found).decode())
    if mime is None and schema is None:
        return None
    if mime is None:
        raise Malformed(f.path("responseMimeType"), f'"{JSON_MIME}" beside a schema', "nothing")
    f.take("responseMimeType")
    if mime != JSON_MIME and schema is not None:
        form.append("mime=text/plain")
    word = "json_schema" if schema is not None else "json_object" if mime == JSON_MIME else "text"
    return OutputFormat(
        kind="json_schema" if word == "json_schema" else "json_object" if word == "json_object" else "text",
        schema=schema,
        at=at,
        form=tuple(form),
    )
