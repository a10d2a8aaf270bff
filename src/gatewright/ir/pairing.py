"""Tool calls and their results, paired under ids that another API accepts.

One rule: every call has an id of its own over the whole conversation, and a result answers the call that it answered before.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from gatewright.ir.blocks import Block, Message, ToolCall, ToolResult
from gatewright.ir.loss import Losses

_Open: TypeAlias = tuple[str, str, str]
"""Of a call without a result so far: its id as received, its id as sent, its name."""


class IdRule(msgspec.Struct, frozen=True):
    """What an API takes for the id of a call."""

    good: re.Pattern[str]
    """Matches an id that can stay."""
    prefix: str
    """Of those that are made, `toolu_` for instance."""

    def accepted(self, call_id: str) -> str:
        """An id that the API accepts: the same word for the same id, always."""
        if self.good.match(call_id):
            return call_id
        return self.prefix + hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def with_ids(messages: Sequence[Message], rule: IdRule, losses: Losses) -> list[Message]:
    """The messages with ids that the API accepts, unique over the conversation, pairing results and calls as before.

    Results without an id (Gemini) answer the earliest open call of their name, else the earliest open call.
    """
    open_calls: list[_Open] = []
    used: set[str] = set()
    count = 0
    done: list[Message] = []
    for message in messages:
        blocks: list[Block] = []
        for block in message.blocks:
            match block:
                case ToolCall():
                    sent = rule.accepted(block.id) if block.id else f"{rule.prefix}call_{count}"
                    while sent in used:
                        sent = rule.accepted(f"{block.id}/{count}/{sent}")
                    used.add(sent)
                    count += 1
                    open_calls.append((block.id, sent, block.name))
                    blocks.append(msgspec.structs.replace(block, id=sent))
                case ToolResult():
                    found = _answered(block, open_calls)
                    if not block.call_id:
                        losses.hint(block.at, "a result without an id is paired by its name", block.name)
                    if found is not None:
                        open_calls.remove(found)
                    sent = found[1] if found else rule.accepted(block.call_id or "unknown")
                    blocks.append(msgspec.structs.replace(block, call_id=sent))
                case _:
                    blocks.append(block)
        done.append(msgspec.structs.replace(message, blocks=tuple(blocks)))
    return done


def _answered(result: ToolResult, open_calls: Sequence[_Open]) -> _Open | None:
    if result.call_id:
        return next((call for call in open_calls if call[0] == result.call_id), None)
    return next((call for call in open_calls if call[2] == result.name), open_calls[0] if open_calls else None)
