"""A whole Message, both ways.

One rule: what the answer's own dialect says beyond the neutral form is kept in extras and written again at home.
https://platform.claude.com/docs/en/api/messages
"""

from typing import assert_never

import msgspec

from gatewright.dialects.anthropic.content import NAME, parse_content
from gatewright.dialects.anthropic.errors import problem_of
from gatewright.dialects.anthropic.finish import parse_finish, render_finish, stopped_for_json
from gatewright.dialects.anthropic.render_content import deep, plain
from gatewright.dialects.anthropic.show import carrier, drop, show_call, show_citation, show_native, show_reasoning
from gatewright.dialects.anthropic.usage import TIERS, parse_usage, render_usage
from gatewright.errors import Malformed, Problem, UpstreamFailed
from gatewright.ir.blocks import Block, Media, Native, Reasoning, Refusal, Text, ToolCall, ToolResult
from gatewright.ir.loss import Losses, join
from gatewright.ir.request import Asked, Rendered
from gatewright.ir.response import Response, Usage, told_in_usage
from gatewright.ir.seal import Seal, carry
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.fields import Fields
from gatewright.wire.json import BadJson, decode_lenient


def _nonsense(why: str) -> UpstreamFailed:
    return UpstreamFailed(Problem(kind="upstream", message=f"the provider's answer is not an Anthropic message: {why}"))


def parse_response(body: bytes, asked: Asked) -> Response:
    """Raises UpstreamFailed when the answer is an error in disguise or not of this shape."""
    try:
        document = decode_lenient(body)
    except BadJson as error:
        raise _nonsense(str(error)) from None
    if not isinstance(document, dict):
        raise _nonsense("it is not an object")
    if document.get("type") == "error" or ("error" in document and "content" not in document):
        raise UpstreamFailed(problem_of(document, 0))
    said = {"type": "message", "role": "assistant"}  # some hosts leave the constants out
    if any(document.get(key) not in (None, word) for key, word in said.items()) or not isinstance(document.get("content"), list):
        raise _nonsense("it is of another type or role, or lacks content")
    try:
        return _read(Fields(document), asked)
    except Malformed as error:
        raise _nonsense(error.problem.message) from None


def _read(fields: Fields, asked: Asked) -> Response:
    fields.take("type")
    fields.take("role")
    finish = parse_finish(fields.peek("stop_reason"), fields.peek("stop_sequence"), fields.peek("stop_details"))
    if finish is not None:
        fields.take("stop_reason")
        if finish.sequence is not None:
            fields.take("stop_sequence")
    blocks = tuple(sealed_by(asked.issuer, block) for block in parse_content(fields))
    if asked.json_tool:
        told = tuple(_as_answer(block, asked.json_tool) for block in blocks)
        if told != blocks:
            finish = stopped_for_json(finish)
        blocks = told
    usage = fields.object("usage")
    return Response(
        origin=NAME,
        id=fields.text("id") or "",
        model=fields.text("model") or "",
        blocks=blocks,
        finish=finish,
        usage=None if usage is None else parse_usage(usage),
        extras=fields.rest(),
    )


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
    """The message for a client of this dialect."""
    losses = Losses(NAME)
    origin = response.origin
    home = origin == NAME
    content: list[JsonObject] = []
    for index, block in enumerate(response.blocks):
        content += show(block, response.id, index, origin, losses)
    called = any(isinstance(block, ToolCall) for block in response.blocks)
    refused = any(isinstance(block, Refusal) for block in response.blocks)
    reason, sequence, beside = render_finish(response.finish, origin, losses, called=called, refused=refused)
    body: JsonObject = {
        "id": response.id or "msg_gateway",
        "type": "message",
        "role": "assistant",
        "model": response.model,
        "content": list[JsonValue](content),
        **beside,
    }
    if home:  # what the upstream did not say is not made up
        for key, value in (("id", response.id), ("model", response.model)):
            if not value:
                del body[key]
    if reason is not None or not home:
        body["stop_reason"] = reason
    if sequence is not None or not home:
        body["stop_sequence"] = sequence
    if response.usage is not None or not home:
        body["usage"] = render_usage(response.usage, origin)
    report_message(response.created, response.others, losses)
    if response.usage is not None:
        report_usage(response.usage, origin, losses)
    return Rendered(body=deep(body, losses.extras(response, origin=origin, skip=told_in_usage(response))), losses=losses.done())


def report_message(created: int | None, others: tuple[JsonObject, ...], losses: Losses) -> None:
    """What a message has no place for."""
    if created is not None:
        losses.hint("created", "messages have no date", created)
    for index, other in enumerate(others, 1):
        losses.dropped(f"choices[{index}]", "a message is one answer", other)


def report_usage(usage: Usage, origin: str, losses: Losses) -> None:
    """Axes of another origin that are told as part of a larger one."""
    if origin == NAME:
        return
    for axis in ("audio_in", "audio_out"):
        if value := getattr(usage, axis):
            losses.hint(join("usage", axis), "counted among all tokens", value)
    if usage.service_tier is not None and usage.service_tier not in TIERS:
        losses.hint("usage.service_tier", "no such tier in messages", usage.service_tier)


def show(block: Block, message_id: str, index: int, origin: str, losses: Losses) -> list[JsonObject]:
    """The block on the wire, behind the carrier of its seal where it needs one; [] when it could not be said."""
    match block:
        case Text(text="", citations=(), seal=None) if origin != NAME and not block.extras:
            losses.hint(block.at, "an empty text is not told: sent back, the API would refuse it", "")
            return []
        case Text():
            return _behind(block.seal, _show_text(block, origin, losses))
        case Reasoning():
            return [show_reasoning(block, origin, losses)]
        case ToolCall():
            return _behind(block.seal, show_call(block, message_id, index, origin, losses))
        case Refusal():
            losses.approximated(block.at, "a refusal is told as text", block.text)
            losses.extras(block, origin=origin)
            return [{"type": "text", "text": block.text}]
        case Native():
            shown = show_native(block, losses)
            return [] if shown is None else [shown]
        case Media():
            drop(block, "a message cannot answer with this", losses)
            # without its block the seal travels as reasoning, so that it can still be replayed
            return [] if block.seal is None else [{"type": "redacted_thinking", "data": carry(block.seal, NAME)}]
        case ToolResult():
            drop(block, "a message cannot answer with this", losses)
            return []
        case _:
            assert_never(block)


def _behind(seal: Seal | None, wire: JsonObject) -> list[JsonObject]:
    return [wire] if seal is None else [carrier(seal), wire]


def _show_text(block: Text, origin: str, losses: Losses) -> JsonObject:
    wire: JsonObject = {"type": "text", "text": block.text}
    shown = [told for item in block.citations if (told := show_citation(item, origin, block.at, losses)) is not None]
    if shown:
        wire["citations"] = list[JsonValue](shown)
    if block.logprobs:
        losses.dropped(join(block.at, "logprobs"), "not in messages", plain(block.logprobs))
    return deep(wire, losses.extras(block, origin=origin))
