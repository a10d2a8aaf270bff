"""Whole answers, read.

One rule: what nobody took stays in the answer's extras under its path (`choices[0].message.annotations`), so that it is
written back at home and told as a loss elsewhere. Hosts are odd: missing keys are remembered in `form`, not refused.
https://platform.openai.com/docs/api-reference/chat/object
"""

from typing import cast

import msgspec

from gatewright.dialects.openai_chat.errors import problem_in
from gatewright.dialects.openai_chat.messages import parse_assistant
from gatewright.dialects.openai_chat.usage import parse_usage, usage_in
from gatewright.dialects.openai_chat.words import FINISH_IN, NAME, nest
from gatewright.errors import Malformed, Problem, UpstreamFailed
from gatewright.ir.blocks import Block, Citation, Refusal, Text, TokenLogprob, ToolCall
from gatewright.ir.request import Asked
from gatewright.ir.response import Finish, Response
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire import json as wire_json
from gatewright.wire.fields import Fields

CHOICE = "choices[0]"
MESSAGE = "choices[0].message"
DONE = "chat.completion.done"
"""What some hosts call their last chunk."""
replace = msgspec.structs.replace


def broken(message: str) -> UpstreamFailed:
    return UpstreamFailed(Problem(kind="upstream", message=message))


def parse_response(body: bytes, asked: Asked) -> Response:
    """Raises UpstreamFailed when it is an error in disguise or not of the dialect's shape."""
    try:
        document = wire_json.decode_lenient(body)
    except wire_json.BadJson as error:
        raise broken(f"the provider's answer is {error}") from None
    if not isinstance(document, dict):
        raise broken(f"the provider's answer: expected an object, got {wire_json.kind(document)}")
    problem = problem_in(document)
    if problem is not None:
        raise UpstreamFailed(problem)
    try:
        return _parse(Fields(document), asked)
    except Malformed as error:
        raise broken(f"the provider's answer: {error.problem.message}") from None


def _parse(fields: Fields, asked: Asked) -> Response:
    form: list[str] = []
    choices = fields.array("choices")
    if not choices:
        raise Malformed("choices", "an array of at least one choice", "nothing")
    choice = Fields(choices[0], CHOICE)
    if (problem := choice_problem(choice.peek("error"))) is not None:
        raise UpstreamFailed(problem)
    message = choice.fields("message")
    if message is None:
        raise Malformed(MESSAGE, "an object", wire_json.kind(choice.peek("message")))
    _expect(message, "role", "assistant", form)
    blocks = parse_assistant(message, issuer=asked.issuer)
    blocks = _cited(message, blocks)
    blocks = _with_logprobs(choice, blocks)
    finish = _finish(choice, blocks)
    _expect(choice, "index", 0, form)
    _expect(fields, "object", "chat.completion", form)
    usage = usage_in(dict(fields.rest()))
    if isinstance(raw := fields.peek("usage"), dict) and raw:
        fields.take("usage")
        usage = parse_usage(raw, fields.peek("service_tier"))
    elif usage is not None:
        form.append("usage_elsewhere")
    id_, model = fields.text("id"), fields.text("model")
    form += [word for word, value in (("no_id", id_), ("no_model", model)) if value is None]
    created = fields.integer("created") if isinstance(fields.peek("created"), int) else None
    extras = fields.rest()
    nest(extras, CHOICE, choice.rest())
    nest(extras, MESSAGE, message.rest())
    return Response(
        origin=NAME,
        id=id_ or "",
        model=model or "",
        blocks=tuple(blocks),
        finish=finish,
        usage=usage,
        created=created,
        others=tuple(item for item in choices[1:] if isinstance(item, dict)),
        form=tuple(form),
        extras=extras,
    )


def choice_problem(error: JsonValue) -> Problem | None:
    """OpenRouter may tell within the choice that the host behind it broke: what is there of the answer is cut off."""
    return problem_in({"error": error}) if isinstance(error, dict) and error else None


def _expect(fields: Fields, key: str, value: JsonValue, form: list[str]) -> None:
    """Takes a constant; another value stays in the rest, a missing one is remembered."""
    if fields.peek(key) == value:
        fields.take(key)
    elif key not in fields:
        form.append(f"no_{key}")


def finish_of(raw: str | None, blocks: "list[Block] | tuple[Block, ...]") -> Finish | None:
    """What a finish word means beside these blocks: hosts say `stop` behind a forced tool call and behind a refusal."""
    if raw is None:
        return None
    reason = FINISH_IN.get(raw.lower(), "other")
    if reason == "stop" or not raw:
        if any(isinstance(block, ToolCall) for block in blocks):
            reason = "tool_calls"
        elif any(isinstance(block, Refusal) for block in blocks):
            reason = "refusal"
    return Finish(reason=reason, raw=raw)


def _finish(choice: Fields, blocks: list[Block]) -> Finish | None:
    finish = finish_of(choice.text("finish_reason"), blocks)
    sequence = choice.peek("stop_reason")
    if finish is not None and isinstance(sequence, str) and finish.reason == "stop":  # vLLM tells which stop string it was
        choice.take("stop_reason")
        return replace(finish, reason="stop_sequence", sequence=sequence)
    return finish


def _last_text(blocks: list[Block]) -> int | None:
    return next((i for i in range(len(blocks) - 1, -1, -1) if isinstance(blocks[i], Text)), None)


def _cited(message: Fields, blocks: list[Block]) -> list[Block]:
    """`annotations`, as citations of the text; they stay where they are when there is no text or they are no objects."""
    value, place = message.peek("annotations"), _last_text(blocks)
    if not isinstance(value, list) or not value or place is None or not all(isinstance(item, dict) for item in value):
        return blocks
    message.take("annotations")
    at = message.path("annotations")
    citations = tuple(parse_annotation(item, f"{at}[{i}]") for i, item in enumerate(value))
    text = blocks[place]
    assert isinstance(text, Text)
    return [*blocks[:place], replace(text, citations=citations), *blocks[place + 1 :]]


def parse_annotation(item: JsonValue, at: str) -> Citation:
    fields = Fields(item, at)
    kind = fields.take("type") if isinstance(fields.peek("type"), str) else ""
    inner_value = fields.peek("url_citation")
    if not isinstance(inner_value, dict) or not inner_value:
        return Citation(kind=cast("str", kind), origin=NAME, extras=fields.rest(), at=at)
    inner = Fields(fields.take("url_citation"), fields.path("url_citation"))
    words = {key: inner.text(key) if isinstance(inner.peek(key), str) else None for key in ("url", "title", "content")}
    start = inner.integer("start_index") if isinstance(inner.peek("start_index"), int) else None
    end = inner.integer("end_index") if isinstance(inner.peek("end_index"), int) else None
    extras = fields.rest()
    nest(extras, "url_citation", inner.rest())
    return Citation(
        kind=cast("str", kind),
        origin=NAME,
        url=words["url"],
        title=words["title"],
        cited=words["content"],
        start=start,
        end=end,
        form=("url_citation",),
        extras=extras,
        at=at,
    )


def _with_logprobs(choice: Fields, blocks: list[Block]) -> list[Block]:
    """`logprobs.content` on the text; other hosts' shapes stay where they are."""
    place = _last_text(blocks)
    match choice.peek("logprobs"):
        case {"content": [_, *_] as items} if place is not None and all(is_logprob(item) for item in items):
            pass
        case _:
            return blocks
    outer = Fields(choice.take("logprobs"), choice.path("logprobs"))
    outer.take("content")
    at = outer.path("content")
    nest(choice.rest(), "logprobs", outer.rest())
    tokens = tuple(parse_logprob(cast("JsonObject", item), f"{at}[{i}]") for i, item in enumerate(items))
    text = blocks[place]
    assert isinstance(text, Text)
    return [*blocks[:place], replace(text, logprobs=tokens), *blocks[place + 1 :]]


def is_logprob(item: JsonValue) -> bool:
    return isinstance(item, dict) and isinstance(item.get("token"), str)


def parse_logprob(item: JsonObject, at: str = "") -> TokenLogprob:
    fields = Fields(item, at)
    top_value = fields.peek("top_logprobs")
    top: tuple[TokenLogprob, ...] = ()
    if isinstance(top_value, list) and top_value and all(is_logprob(one) for one in top_value):
        fields.take("top_logprobs")
        top = tuple(parse_logprob(cast("JsonObject", one), f"{at}.top_logprobs[{i}]") for i, one in enumerate(top_value))
    raw = fields.peek("bytes")
    octets: tuple[int, ...] | None = None
    if isinstance(raw, list) and all(isinstance(one, int) for one in raw) and raw:
        fields.take("bytes")
        octets = tuple(one for one in raw if isinstance(one, int))
    number = fields.number("logprob")
    return TokenLogprob(
        token=fields.need_text("token"),
        logprob=number,
        bytes=octets,
        top=top,
        extras=fields.rest(),
        at=at,
    )


def parse_logprobs(tokens: JsonValue) -> tuple[TokenLogprob, ...]:
    """Those of a `logprobs` object; none where one of them is not as it should be."""
    match tokens:
        case {"content": [_, *_] as items} if all(is_logprob(item) for item in items):
            return tuple(parse_logprob(cast("JsonObject", item)) for item in items)
        case _:
            return ()


def is_constant(key: str, value: JsonValue) -> bool:
    """Whether a key of a chunk says what every chunk says."""
    return key == "object" and value in ("chat.completion.chunk", "chat.completion", DONE)
