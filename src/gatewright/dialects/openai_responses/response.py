"""Whole answers, wire -> neutral.

One rule: an answer's items become blocks in their order; the fields of a message item travel with its first block.
https://platform.openai.com/docs/api-reference/responses/object
"""

from collections.abc import Iterable

import msgspec

from gatewright.dialects.openai_responses.errors import problem_of
from gatewright.dialects.openai_responses.items import parse_reasoning
from gatewright.dialects.openai_responses.names import ITEM, MORE, NAME, PART
from gatewright.dialects.openai_responses.parts import parse_text
from gatewright.dialects.openai_responses.usage import parse_usage
from gatewright.errors import Malformed, Problem, UpstreamFailed
from gatewright.ir.blocks import Block, Native, Refusal, ToolCall
from gatewright.ir.request import Asked
from gatewright.ir.response import Finish, FinishReason, Response
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.fields import Fields
from gatewright.wire.json import BadJson, decode_lenient, encode

REASONS: dict[str, FinishReason] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "context_length_exceeded": "context",
}
"""`incomplete_details.reason` → finish."""

CALL_KEYS = {"function_call": "arguments", "custom_tool_call": "input"}
"""Type of a call item → where its arguments are."""


def upstream(message: str) -> Problem:
    return Problem(kind="upstream", message=message)


def parse_response(body: bytes, asked: Asked) -> Response:
    """Raises UpstreamFailed when it is an error in disguise or not of the API's shape."""
    try:
        value = decode_lenient(body)
    except BadJson as error:
        raise UpstreamFailed(upstream(f"the provider's answer is {error}")) from None
    if not isinstance(value, dict):
        raise UpstreamFailed(upstream("the provider's answer is not a JSON object"))
    failed = failure_of(value)
    if failed is not None:
        raise UpstreamFailed(failed)
    if not isinstance(value.get("output"), list):
        raise UpstreamFailed(upstream("the provider's answer has no output"))
    try:
        return response_of(value, asked)
    except Malformed as error:
        raise UpstreamFailed(upstream(f"the provider's answer could not be read: {error}")) from None


def failure_of(value: JsonObject) -> Problem | None:
    """The problem of a body that is an error, or of a response that failed."""
    error = value.get("error")
    if error and (value.get("status") == "failed" or "output" not in value):
        return problem_of(value, 0)
    if value.get("status") == "failed":
        return upstream("the provider's answer failed and does not say why")
    return None


def response_of(value: JsonObject, asked: Asked) -> Response:
    fields = Fields(value)
    blocks: list[Block] = []
    for i, item in enumerate(fields.array("output")):
        blocks += blocks_of(item, f"output[{i}]", asked)
    usage = parse_usage(fields.peek("usage"), fields.peek("service_tier"), value.get("output"))
    if usage is not None:
        fields.take("usage")
    return Response(
        origin=NAME,
        id=fields.text("id") or "",
        model=fields.text("model") or "",
        created=created_of(fields),
        blocks=tuple(blocks),
        finish=finish_of(fields.peek("status"), fields.peek("incomplete_details"), blocks),
        usage=usage,
        extras=fields.rest(),
    )


def created_of(fields: Fields) -> int | None:
    """`created_at` in seconds; one that is not whole (some hosts say floats) also stays as it is."""
    value = fields.peek("created_at")
    if isinstance(value, float):
        return int(value)
    return fields.integer("created_at") if isinstance(value, int) and not isinstance(value, bool) else None


def finish_of(status: JsonValue, details: JsonValue, blocks: Iterable[Block]) -> Finish | None:
    """How the answer ended. The wire's own words stay in the response's extras, for home."""
    if not isinstance(status, str):
        return None
    if status == "completed":
        kinds = {type(block) for block in blocks}
        reason: FinishReason = "tool_calls" if ToolCall in kinds else "refusal" if Refusal in kinds else "stop"
        return Finish(reason=reason, raw=status)
    why = details.get("reason") if isinstance(details, dict) else None
    word = why if isinstance(why, str) else None
    if status == "incomplete":
        return Finish(reason=REASONS.get(word or "", "other"), raw=status, message=word)
    return Finish(reason="other", raw=status, message=word)


def blocks_of(item: JsonValue, at: str, asked: Asked) -> list[Block]:
    """The blocks of one output item. Raises Malformed for what is not an object; an unknown item is a Native."""
    fields = Fields(item, at)
    whole: JsonObject = dict(item) if isinstance(item, dict) else {}
    native = Native(origin=NAME, data=whole, at=at)
    try:
        match fields.take("type"):
            case "message" if whole.get("role") in (None, "assistant"):
                return _message(fields) or [native]
            case "reasoning":
                return [parse_reasoning(fields, whole, issuer=asked.issuer)]
            case "function_call":
                return [call_of(fields, "function_call")]
            case "custom_tool_call":
                return [call_of(fields, "custom_tool_call")]
            case _:
                return [native]
    except Malformed:
        return [native]


def call_of(fields: Fields, kind: str, *, whole: bool = True) -> ToolCall:
    """A call item whose `type` has been taken. Not `whole`: its arguments are still to come."""
    custom = kind == "custom_tool_call"
    key = CALL_KEYS[kind]
    told = fields.peek(key)
    if told is None and whole:
        raise Malformed(fields.path(key), "a string", "nothing")
    if isinstance(told, dict | list):
        fields.take(key)
        arguments = encode(told).decode()
    else:
        arguments = fields.text(key) or ""
    return ToolCall(
        id=fields.text("call_id") or "",
        name=fields.need_text("name"),
        arguments=arguments,
        kind="custom" if custom else "function",
        item_id=fields.text("id") or "",
        extras=fields.rest(),
        at=fields.at,
    )


def _message(fields: Fields) -> list[Block]:
    """The blocks of a message item; none when it has no content, and is then kept whole."""
    blocks: list[Block] = []
    content = fields.array("content")
    at = fields.path("content")
    item = fields.rest()
    for i, value in enumerate(content):
        if not isinstance(value, dict):
            raise Malformed(f"{at}[{i}]", "an object", "something else")
        blocks.append(part_of(value, f"{at}[{i}]", item=None if i else item))
    return blocks


def part_of(value: JsonObject, at: str, *, item: JsonObject | None) -> Block:
    """One part of a message's content. `item`: the fields of the message; None for a part that is not the first."""
    fields = Fields(value, at)
    kind = fields.take("type")
    block: Block
    if kind == "output_text" and isinstance(fields.peek("text"), str):
        block = parse_text(fields)
    elif kind == "refusal" and isinstance(fields.peek("refusal"), str):
        block = Refusal(text=fields.need_text("refusal"), extras=fields.rest(), at=at)
    else:
        block = Native(origin=NAME, data=value, form=(PART,), at=at)
    if item is None:
        return msgspec.structs.replace(block, form=(*block.form, MORE))
    return msgspec.structs.replace(block, extras={**block.extras, ITEM: item})
