"""Conversations of other dialects as Gemini's turns.

One rule: user and model alternate; after a model turn with function calls the next user turn opens with one function response
for each call, in the order of the calls.
https://ai.google.dev/gemini-api/docs/function-calling
"""

from collections.abc import Iterable

import msgspec

from gatewright.dialects.gemini.render_parts import PartWriter
from gatewright.dialects.gemini.seals import SKIP
from gatewright.ir.blocks import Block, Message, Reasoning, Text, ToolCall, ToolResult
from gatewright.ir.loss import join
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import encode

replace = msgspec.structs.replace


def write_turns(messages: Iterable[Message], writer: PartWriter, *, sentinel: bool) -> list[JsonValue]:
    """`contents` for messages without their system ones. `sentinel`: function calls must be signed."""
    turns: list[JsonValue] = []
    calls: list[ToolCall] = []
    for role, blocks in _gather(messages, writer):
        if role == "assistant":
            if not turns and any(isinstance(block, ToolCall) for block in blocks):
                writer.losses.approximated(blocks[0].at, "gemini wants a user turn before function calls: an empty one")
                turns.append({"role": "user", "parts": [{"text": " "}]})
            calls = [block for block in blocks if isinstance(block, ToolCall)]
            parts = _model_parts(blocks, writer, sentinel=sentinel)
            name = "model"
        else:
            parts = _user_parts(blocks, calls, writer)
            calls, name = [], "user"
        if parts:
            turns.append({"role": name, "parts": parts})
    return turns


def _gather(messages: Iterable[Message], writer: PartWriter) -> list[tuple[str, list[Block]]]:
    """Runs of one role, merged."""
    runs: list[tuple[str, list[Block]]] = []
    for message in messages:
        writer.losses.extras(message, origin=writer.origin)
        if message.name is not None:
            writer.losses.dropped(join(message.at, "name"), "gemini has no names of participants", message.name)
        if not runs or runs[-1][0] != message.role:
            runs.append((message.role, []))
        runs[-1][1].extend(message.blocks)
    return runs


def _model_parts(blocks: list[Block], writer: PartWriter, *, sentinel: bool) -> list[JsonValue]:
    parts: list[JsonValue] = []
    signed = False
    for block in _seat_seals(blocks, writer):
        for part in writer.parts(block):
            if says_nothing(part, block, writer):
                continue
            if isinstance(block, ToolCall):
                if sentinel and not signed and "thoughtSignature" not in part:
                    part = {**part, "thoughtSignature": SKIP}  # noqa: PLW2901 - one more key of the same part
                signed = True
            parts.append(part)
    return parts


def says_nothing(part: JsonObject, block: Block, writer: PartWriter) -> bool:
    """Whether `part` is an empty text, which Vertex refuses; tells the loss."""
    if part.get("text") != "" or "thoughtSignature" in part:
        return False
    writer.losses.hint(block.at, "gemini refuses empty texts")
    return True


def _seat_seals(blocks: list[Block], writer: PartWriter) -> list[Block]:
    """A Gemini seal that a foreign client could only carry as empty reasoning goes back to what it signed: the next part."""
    out: list[Block] = []
    waiting: Reasoning | None = None
    for block in blocks:
        if (
            isinstance(block, Reasoning)
            and block.seal is not None
            and block.seal.dialect == "gemini"
            and not (block.text or block.summary)
        ):
            if waiting is not None:
                out.append(_alone(waiting))
            waiting = block
            continue
        if waiting is not None:
            if isinstance(block, ToolCall | Text) and block.seal is None:
                block = replace(block, seal=waiting.seal)  # noqa: PLW2901 - the same block with its seal
                writer.losses.extras(waiting, origin=writer.origin)
                if waiting.id:
                    writer.losses.hint(join(waiting.at, "id"), "gemini has no ids of reasoning", waiting.id)
            else:
                out.append(_alone(waiting))
            waiting = None
        out.append(block)
    if waiting is not None:
        out.append(_alone(waiting))
    return out


def _alone(block: Reasoning) -> Text:
    seal = block.seal
    assert isinstance(seal, Seal)
    return Text(text="", seal=seal, at=block.at, extras=block.extras)


def _user_parts(blocks: list[Block], calls: list[ToolCall], writer: PartWriter) -> list[JsonValue]:
    """Responses first, in the order of their calls; then all else in its own order."""
    results = [block for block in blocks if isinstance(block, ToolResult)]
    first: list[JsonValue] = []
    beside: list[JsonValue] = []
    taken: set[int] = set()
    for call in calls:
        index = _answer(call, results, taken)
        if index is None:
            writer.losses.approximated(call.at, "a call without a result: gemini gets an error as its result")
            missing: JsonObject = {"name": call.name, "response": {"error": "no result was given"}}
            if call.id:
                missing["id"] = call.id
            first.append({"functionResponse": missing})
            continue
        taken.add(index)
        result = results[index]
        if result.name:
            writer.losses.hint(join(result.at, "name"), "gemini gets the name of the call instead", result.name)
        own, *more = writer.parts(replace(result, name=call.name))
        first.append(own)
        beside += more
    if taken and list(taken) != sorted(taken):
        writer.losses.hint(results[0].at, "results are put in the order of their calls")
    rest: list[JsonValue] = []
    for block in blocks:
        if not isinstance(block, ToolResult):
            rest += [part for part in writer.parts(block) if not says_nothing(part, block, writer)]
    orphans = [result for i, result in enumerate(results) if i not in taken]
    return [*first, *beside, *(part for result in orphans for part in _as_text(result, writer)), *rest]


def _answer(call: ToolCall, results: list[ToolResult], taken: set[int]) -> int | None:
    """Index of the result that answers `call`: by id, else by name among results without an id, else the next without either."""
    free = [i for i in range(len(results)) if i not in taken]
    if call.id and (hit := next((i for i in free if results[i].call_id == call.id), None)) is not None:
        return hit
    loose = [i for i in free if not results[i].call_id or not call.id]
    if (hit := next((i for i in loose if results[i].name == call.name), None)) is not None:
        return hit
    return next((i for i in loose if not results[i].name), None)


def _as_text(result: ToolResult, writer: PartWriter) -> list[JsonValue]:
    """A result whose call is not in the turn before: Gemini refuses it as such."""
    own, *more = writer.parts(result)
    writer.losses.approximated(result.at, "the result of a call that is not in the turn before: sent as text")
    inner = own.get("functionResponse")
    assert isinstance(inner, dict)
    response = inner.get("response")
    told = next(iter(response.values())) if isinstance(response, dict) and len(response) == 1 else response
    media = inner.get("parts")
    name = result.name or result.call_id
    text = told if isinstance(told, str) else encode(told).decode()
    parts: list[JsonValue] = [{"text": f"{'Error' if result.is_error else 'Result'} of {name}: {text}"}]
    return parts + (media if isinstance(media, list) else []) + list(more)
