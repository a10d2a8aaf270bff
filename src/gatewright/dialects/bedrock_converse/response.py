"""A whole answer, both ways.

One rule: what the answer's own dialect says beyond the neutral form (metrics, trace, the model's own fields) is kept in
extras and written again at home.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax
"""

import msgspec

from gatewright.dialects.bedrock_converse.content import parse_blocks
from gatewright.dialects.bedrock_converse.errors import problem_of
from gatewright.dialects.bedrock_converse.finish import parse_finish, render_finish, stopped_for_json
from gatewright.dialects.bedrock_converse.render_content import deep
from gatewright.dialects.bedrock_converse.seals import NAME
from gatewright.dialects.bedrock_converse.show import show
from gatewright.dialects.bedrock_converse.usage import TIERS, parse_usage, render_tier, render_usage
from gatewright.errors import Malformed, Problem, UpstreamFailed
from gatewright.ir.blocks import Block, Reasoning, Refusal, Text, ToolCall
from gatewright.ir.loss import Losses, join
from gatewright.ir.request import Asked, Rendered
from gatewright.ir.response import Response, Usage, told_in_usage
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.fields import Fields
from gatewright.wire.json import BadJson, decode_lenient


def _nonsense(why: str) -> UpstreamFailed:
    return UpstreamFailed(Problem(kind="upstream", message=f"the provider's answer is not a Converse answer: {why}"))


def parse_response(body: bytes, asked: Asked) -> Response:
    """Raises UpstreamFailed when the answer is an error in disguise or not of this shape."""
    try:
        document = decode_lenient(body)
    except BadJson as error:
        raise _nonsense(str(error)) from None
    if not isinstance(document, dict):
        raise _nonsense("it is not an object")
    if "output" not in document and ({"message", "Message", "__type", "error"} & document.keys()):
        raise UpstreamFailed(problem_of(document, 0, ""))
    try:
        return _read(Fields(document), asked)
    except Malformed as error:
        raise _nonsense(error.problem.message) from None


def _read(fields: Fields, asked: Asked) -> Response:
    output = fields.fields("output")
    message = output.fields("message") if output is not None else None
    if output is None or message is None or not isinstance(message.peek("content"), list):
        raise _nonsense("it lacks output.message.content")
    if message.peek("role") == "assistant":
        message.take("role")
    blocks = tuple(sealed_by(asked.issuer, block) for block in parse_blocks(message.each("content")))
    if message.rest():
        output.put_back("message", message.rest())
    if output.rest():
        fields.put_back("output", output.rest())
    finish = parse_finish(fields.peek("stopReason"))
    if finish is not None:
        fields.take("stopReason")
    if asked.json_tool:
        told = tuple(_as_answer(block, asked.json_tool) for block in blocks)
        if told != blocks:
            finish = stopped_for_json(finish)
        blocks = told
    return Response(
        origin=NAME,
        id="",
        model=asked.model,
        blocks=blocks,
        finish=finish,
        usage=take_usage(fields),
        extras=fields.rest(),
    )


def take_usage(fields: Fields) -> Usage | None:
    """The usage with the tier that stands beside it, taken."""
    raw = fields.object("usage")
    if raw is None:
        return None
    usage = parse_usage(raw, fields.peek("serviceTier"))
    if usage.service_tier is not None:
        tier = fields.object("serviceTier") or {}
        if len(tier) > 1:
            fields.put_back("serviceTier", {key: value for key, value in tier.items() if key != "type"})
    return usage


def sealed_by(issuer: str, block: Block) -> Block:
    """The block with its seal marked as made by `issuer`."""
    if not issuer or not isinstance(block, Reasoning) or block.seal is None or block.seal.dialect != NAME:
        return block
    return msgspec.structs.replace(block, seal=msgspec.structs.replace(block.seal, issuer=issuer))


def _as_answer(block: Block, json_tool: str) -> Block:
    """The arguments of the forced tool, as the text that the client asked for."""
    if isinstance(block, ToolCall) and block.name == json_tool:
        return Text(text=block.arguments, at=block.at, extras=block.extras)
    return block


def render_response(response: Response) -> Rendered:
    """The answer for a client of this dialect."""
    losses = Losses(NAME)
    origin = response.origin
    home = origin == NAME
    content: list[JsonObject] = []
    for index, block in enumerate(response.blocks):
        content += show(block, response.id, index, origin, losses)
    called = any(isinstance(block, ToolCall) for block in response.blocks)
    refused = any(isinstance(block, Refusal) for block in response.blocks)
    reason = render_finish(response.finish, origin, losses, called=called, refused=refused)
    message: JsonObject = {"role": "assistant", "content": list[JsonValue](content)}
    left = _within(response.extras, "output", "message")
    if home and "role" in left:
        del message["role"]
    if home and not content and "content" in left:
        del message["content"]
    body: JsonObject = {"output": {"message": message}}
    if reason is not None or not home:
        body["stopReason"] = reason
    if response.usage is not None or not home:
        body["usage"] = render_usage(response.usage, origin)
    tier = render_tier(response.usage, origin)
    if tier is not None:
        body["serviceTier"] = tier
    if not home:
        body["metrics"] = {"latencyMs": 0}
        report_message(response.id, response.model, response.created, response.others, losses)
        report_usage(response.usage, losses)
    return Rendered(body=deep(body, losses.extras(response, origin=origin, skip=told_in_usage(response))), losses=losses.done())


def _within(extras: JsonObject, *keys: str) -> JsonObject:
    for key in keys:
        inner = extras.get(key)
        extras = inner if isinstance(inner, dict) else {}
    return extras


def report_message(message_id: str, model: str, created: int | None, others: tuple[JsonObject, ...], losses: Losses) -> None:
    """What an answer here has no place for."""
    for path, value in (("id", message_id), ("model", model), ("created", created)):
        if value is not None and value != "":
            losses.hint(path, "converse answers do not say it", value)
    for index, other in enumerate(others, 1):
        losses.dropped(f"choices[{index}]", "an answer is one message", other)


def report_usage(usage: Usage | None, losses: Losses) -> None:
    """Axes of another origin that are told as part of a larger one."""
    for axis in ("audio_in", "audio_out", "reasoning"):
        if usage is not None and (value := getattr(usage, axis)):
            losses.hint(join("usage", axis), "counted among all tokens", value)
    if usage is not None and usage.service_tier is not None and usage.service_tier not in TIERS:
        losses.hint("serviceTier", "no such tier in converse", usage.service_tier)
