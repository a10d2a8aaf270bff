"""A conversation from abroad, brought to the order the API insists on.

One rule: turns of a role are merged, results stand first in the turn after their calls, every call has one result; whatever had
to be moved or made up for that is said in the losses.
https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use
"""

import re
from typing import Final, Literal

from gatewright.dialects.anthropic.render_content import BlockWriter, plain
from gatewright.ir.blocks import Block, Message, Text
from gatewright.ir.loss import Losses, join
from gatewright.ir.pairing import IdRule, with_ids
from gatewright.ir.request import Request
from gatewright.jsontypes import JsonObject, JsonValue

CONTINUE = "Continue."
NO_RESULT = "No result was given for this call."
IDS: Final = IdRule(re.compile(r"[a-zA-Z0-9_-]{1,64}\Z"), "toolu_")

Role = Literal["user", "assistant"]


class Turn:
    """One message of the rendered conversation while it is put together."""

    __slots__ = ("at", "bare", "blocks", "role")

    def __init__(self, role: Role, at: str) -> None:
        self.role: Role = role
        self.at = at
        self.blocks: list[JsonObject] = []
        self.bare = False

    def wire(self) -> JsonObject:
        if self.bare and len(self.blocks) == 1 and set(self.blocks[0]) == {"type", "text"}:
            return {"role": self.role, "content": self.blocks[0]["text"]}
        return {"role": self.role, "content": list[JsonValue](self.blocks)}


def foreign_messages(
    request: Request, writer: BlockWriter, losses: Losses, *, prefill: bool
) -> tuple[list[JsonObject], list[JsonObject]]:
    """The text blocks of `system` and the messages. `prefill`: whether an assistant turn may come last."""
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
            turns[-1].bare = len(message.blocks) == 1 and isinstance(text := message.blocks[0], Text) and text.bare
        else:
            turns[-1].bare = False
        turns[-1].blocks += _message_blocks(message, writer, losses)
    turns = _merged(turns)
    _pair(turns, losses)
    _ends(turns, losses, prefill=prefill)
    return system, [turn.wire() for turn in turns]


def _system_blocks(message: Message, writer: BlockWriter, losses: Losses) -> list[JsonObject]:
    done: list[JsonObject] = []
    for block in message.blocks:
        if not isinstance(block, Text):
            losses.dropped(block.at, "instructions can only be text", plain(block))
        elif (wire := writer.block(block)) is not None:
            done.append(wire)
    return done


def _message_blocks(message: Message, writer: BlockWriter, losses: Losses) -> list[JsonObject]:
    done: list[JsonObject] = []
    for block in message.blocks:
        if not _may_stand(message.role, block):
            losses.dropped(block.at, f"not in a turn of the {message.role}", plain(block))
        elif (wire := writer.block(block)) is not None:
            done.append(wire)
    return done


_ONLY_USER = frozenset({"Media", "ToolResult"})
_ONLY_ASSISTANT = frozenset({"Reasoning", "ToolCall"})


def _may_stand(role: str, block: Block) -> bool:
    return type(block).__name__ not in (_ONLY_USER if role == "assistant" else _ONLY_ASSISTANT)


def _merged(turns: list[Turn]) -> list[Turn]:
    """Without the turns that lost all their blocks; neighbours of one role become one."""
    done: list[Turn] = []
    for turn in turns:
        if not turn.blocks:
            continue
        if done and done[-1].role == turn.role:
            done[-1].blocks += turn.blocks
            done[-1].bare = False
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
        calls = tuple(str(block["id"]) for block in turn.blocks if block["type"] == "tool_use")
        following = turns[index + 1] if index + 1 < len(turns) else None
        if calls and following is None:
            following = Turn("user", turn.at)
            turns.append(following)
        if following is not None:
            _order_results(following, calls, losses)
        index += 1


def _order_results(turn: Turn, calls: tuple[str, ...], losses: Losses) -> None:
    results: dict[str, JsonObject] = {}
    others: list[JsonObject] = []
    moved = False
    for block in turn.blocks:
        if block["type"] != "tool_result":
            others.append(block)
            continue
        name = str(block["tool_use_id"])
        if name in calls and name not in results:
            moved = moved or bool(others)
            results[name] = block
        else:
            losses.approximated(turn.at, "a tool result that no call right before asked for is told as text", name)
            others += _as_text(block)
    if moved:
        losses.approximated(turn.at, "tool results are moved before the rest of their turn")
    for name in calls:
        if name not in results:
            losses.approximated(turn.at, "a call without a result is given an empty one", name)
            results[name] = {"type": "tool_result", "tool_use_id": name, "content": NO_RESULT, "is_error": True}
    turn.blocks = [*(results[name] for name in results), *others]
    turn.bare = turn.bare and not results


def _as_text(result: JsonObject) -> list[JsonObject]:
    """A result as ordinary blocks."""
    content = result.get("content")
    parts: list[JsonValue] = [{"type": "text", "text": content}] if isinstance(content, str) and content.strip() else []
    if isinstance(content, list):
        parts = content
    head: JsonObject = {"type": "text", "text": f"Result of tool call {result['tool_use_id']}:"}
    if result.get("is_error"):
        head["text"] = f"Result of tool call {result['tool_use_id']} (failed):"
    return [head, *(part for part in parts if isinstance(part, dict))]


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
    if block["type"] == "text" and isinstance(text, str) and text != text.rstrip():
        losses.hint(last.at, "white space at the end of a prefilled answer is refused", text)
        last.blocks[-1] = {**block, "text": text.rstrip()}


def _said(text: str) -> Turn:
    turn = Turn("user", "")
    turn.blocks.append({"type": "text", "text": text})
    turn.bare = True
    return turn


def home_messages(request: Request, writer: BlockWriter) -> tuple[JsonValue, list[JsonObject]]:
    """`system` (None: there is none) and the messages, as they came."""
    system: JsonValue = None
    messages: list[JsonObject] = []
    for message in request.messages:
        match message.blocks:
            case (Text(bare=True) as only,):
                content: JsonValue = only.text
            case _:
                content = [wire for block in message.blocks if (wire := writer.block(block)) is not None]
        if "system" in message.form and message.role == "system" and system is None:
            system = content
        else:
            turn: JsonObject = {"role": message.role}
            if content or "content" not in message.extras:
                turn["content"] = content
            messages.append(writer.extras(message, turn))
    return system, messages
