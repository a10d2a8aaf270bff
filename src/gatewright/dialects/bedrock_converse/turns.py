"""A conversation from abroad, brought to the order the API insists on.

One rule: turns of a role are merged, results stand first in the turn after their calls, every call has one result; whatever had
to be moved or made up for that is said in the losses.
https://docs.aws.amazon.com/bedrock/latest/userguide/tool-use-inference-call.html
"""

import re
from typing import Final, Literal

import msgspec

from gatewright.dialects.bedrock_converse.media import plain
from gatewright.dialects.bedrock_converse.render_content import BlockWriter
from gatewright.ir.blocks import Message, Text
from gatewright.ir.loss import Losses, join
from gatewright.ir.pairing import IdRule, with_ids
from gatewright.ir.request import Request
from gatewright.jsontypes import JsonObject, JsonValue

CONTINUE = "Continue."
NO_RESULT = "No result was given for this call."
IDS: Final = IdRule(re.compile(r"[a-zA-Z0-9_-]{1,64}\Z"), "tooluse_")
ABOUT = "See the document."
"""Stands beside a document that came without a word: the API wants text in such a turn."""

Role = Literal["user", "assistant"]
_ONLY_USER = frozenset({"Media", "ToolResult"})
_ONLY_ASSISTANT = frozenset({"Reasoning", "ToolCall"})


class Turn:
    """One message of the rendered conversation while it is put together."""

    __slots__ = ("at", "blocks", "role")

    def __init__(self, role: Role, at: str) -> None:
        self.role: Role = role
        self.at = at
        self.blocks: list[JsonObject] = []

    def wire(self) -> JsonObject:
        return {"role": self.role, "content": list[JsonValue](self.blocks)}


def inner_of(block: JsonObject, key: str) -> JsonObject:
    """The object under `key` of a rendered block; {} when it is another kind of block."""
    inner = block.get(key)
    return inner if isinstance(inner, dict) else {}


def foreign_messages(
    request: Request, writer: BlockWriter, losses: Losses, *, prefill: bool
) -> tuple[list[JsonObject], list[JsonObject]]:
    """The blocks of `system` and the messages. `prefill`: whether an assistant turn may come last."""
    system: list[JsonObject] = []
    turns: list[Turn] = []
    for message in with_ids(request.messages, IDS, losses):
        if message.name is not None:
            losses.dropped(join(message.at, "name"), "messages have no names", message.name)
        losses.extras(message, origin=request.origin)
        if message.role == "system":
            if turns:
                losses.approximated(message.at, "instructions within the conversation are moved to the top")
            system += _system_blocks(message, writer, losses)
            continue
        if not turns or turns[-1].role != message.role:
            turns.append(Turn(message.role, message.at))
        turns[-1].blocks += _message_blocks(message, writer, losses)
    turns = _merged(turns)
    _pair(turns, losses)
    _ends(turns, losses, prefill=prefill)
    _name_documents(turns, losses)
    return system, [turn.wire() for turn in turns]


def _system_blocks(message: Message, writer: BlockWriter, losses: Losses) -> list[JsonObject]:
    done: list[JsonObject] = []
    for block in message.blocks:
        if isinstance(block, Text):
            done += writer.blocks(block)
        else:
            losses.dropped(block.at, "instructions can only be text", plain(block))
    return done


def _message_blocks(message: Message, writer: BlockWriter, losses: Losses) -> list[JsonObject]:
    done: list[JsonObject] = []
    misplaced = _ONLY_USER if message.role == "assistant" else _ONLY_ASSISTANT
    for block in message.blocks:
        if type(block).__name__ in misplaced:
            losses.dropped(block.at, f"not in a turn of the {message.role}", plain(block))
        else:
            done += writer.blocks(block)
    return done


def _merged(turns: list[Turn]) -> list[Turn]:
    """Without the turns that lost all their blocks; neighbours of one role become one."""
    done: list[Turn] = []
    for turn in turns:
        if not any("cachePoint" not in block for block in turn.blocks):
            continue
        if done and done[-1].role == turn.role:
            done[-1].blocks += turn.blocks
        else:
            done.append(turn)
    return done


def _pair(turns: list[Turn], losses: Losses) -> None:
    """Results first in the turn after their calls; made up where missing, told as text where nothing asked for them."""
    index = 0
    while index < len(turns):
        turn = turns[index]
        if turn.role == "user":
            if index == 0:
                _order_results(turn, (), losses)
            index += 1
            continue
        calls = tuple(str(inner_of(block, "toolUse")["toolUseId"]) for block in turn.blocks if "toolUse" in block)
        following = turns[index + 1] if index + 1 < len(turns) else None
        if calls and following is None:
            following = Turn("user", turn.at)
            turns.append(following)
        if following is not None:
            _order_results(following, calls, losses)
        index += 1


def _order_results(turn: Turn, calls: tuple[str, ...], losses: Losses) -> None:
    results: dict[str, list[JsonObject]] = {}
    others: list[JsonObject] = []
    moved = False
    last: list[JsonObject] = others
    for block in turn.blocks:
        if "cachePoint" in block:  # goes where the block before it goes
            last.append(block)
            continue
        if "toolResult" not in block:
            others.append(block)
            last = others
            continue
        name = str(inner_of(block, "toolResult")["toolUseId"])
        if name in calls and name not in results:
            moved = moved or bool(others)
            last = results[name] = [block]
        else:
            losses.approximated(turn.at, "a tool result that no call right before asked for is told as text", name)
            others += _as_text(inner_of(block, "toolResult"))
            last = others
    if moved:
        losses.approximated(turn.at, "tool results are moved before the rest of their turn")
    for name in calls:
        if name not in results:
            losses.approximated(turn.at, "a call without a result is given an empty one", name)
            results[name] = [{"toolResult": {"toolUseId": name, "content": [{"text": NO_RESULT}], "status": "error"}}]
    turn.blocks = [*(block for found in results.values() for block in found), *others]


def _as_text(result: JsonObject) -> list[JsonObject]:
    """A result as ordinary blocks."""
    content = result.get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    failed = " (failed)" if result.get("status") == "error" else ""
    head: JsonObject = {"text": f"Result of tool call {result['toolUseId']}{failed}:"}
    return [head, *(_spoken(part) for part in parts)]


def _spoken(part: JsonObject) -> JsonObject:
    """A result's part as a block of a message, which has no JSON."""
    return {"text": msgspec.json.encode(part["json"]).decode()} if "json" in part else part


def _ends(turns: list[Turn], losses: Losses, *, prefill: bool) -> None:
    """The conversation begins with the user, and ends so that the API takes it."""
    if not turns or turns[0].role == "assistant":
        losses.approximated(turns[0].at if turns else "messages", "the conversation has to begin with the user")
        turns.insert(0, _said(CONTINUE))
    last = turns[-1]
    if last.role == "user":
        return
    if not prefill:
        losses.approximated(last.at, "this model does not continue an assistant's turn")
        turns.append(_said(CONTINUE))
        return
    block = last.blocks[-1]
    text = block.get("text")
    if isinstance(text, str) and text != text.rstrip():
        losses.hint(last.at, "white space at the end of a prefilled answer is refused", text)
        last.blocks[-1] = {**block, "text": text.rstrip()}


def _said(text: str) -> Turn:
    turn = Turn("user", "")
    turn.blocks.append({"text": text})
    return turn


def _name_documents(turns: list[Turn], losses: Losses) -> None:
    """No two documents of one name, and a word beside each that stands alone."""
    used: set[str] = set()
    for turn in turns:
        documents = [inner_of(block, "document") for block in turn.blocks if "document" in block]
        for block in turn.blocks:
            content = inner_of(block, "toolResult").get("content")
            parts = content if isinstance(content, list) else []
            documents += [inner_of(part, "document") for part in parts if isinstance(part, dict) and "document" in part]
        for document in documents:
            name = str(document["name"])
            count = 2
            while str(document["name"]) in used:
                document["name"] = f"{name} {count}"
                count += 1
            used.add(str(document["name"]))
        if any("document" in block for block in turn.blocks) and not any("text" in block for block in turn.blocks):
            losses.approximated(turn.at, "a document has to stand beside text", ABOUT)
            turn.blocks.append({"text": ABOUT})


def home_messages(request: Request, writer: BlockWriter) -> tuple[list[JsonObject], list[JsonObject]]:
    """`system` and the messages, as they came."""
    system: list[JsonObject] = []
    messages: list[JsonObject] = []
    for message in request.messages:
        content = [wire for block in message.blocks for wire in writer.blocks(block)]
        if "system" in message.form:
            system += content
        else:
            turn: JsonObject = {"role": message.role}
            if content or "content" not in message.extras:
                turn["content"] = list[JsonValue](content)
            messages.append(writer.extras(message, turn))
    return system, messages
