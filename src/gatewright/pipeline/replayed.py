"""What clients send back of answers that another API gave: known again by a mark, and brought to one form before it travels on.

One rule: a mark is an empty seal. It makes bytes that only look native cross the neutral form, and is gone before its origin
sees it.
Google's clients send back the pieces of a stream as parts of their own, and results without the id of their call; no other API
takes either.
"""

from collections.abc import Sequence

import msgspec

from gatewright.ir.blocks import Block, DialectName, Message, Reasoning, Text, ToolCall, ToolResult
from gatewright.ir.events import BlockStart, BlockStop, SealDelta, StreamEvent
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.ir.seal import Seal

MARK = "unsealed"
"""Kind of a seal that says only who did not seal."""

replace = msgspec.structs.replace


def _wants_mark(block: Block, client: DialectName) -> bool:
    """Reasoning of another API is refused by the client's own; Gemini 3 also refuses calls that it did not sign."""
    match block:
        case Reasoning(seal=None):
            return True
        case ToolCall(seal=None):
            return client == "gemini"
        case _:
            return False


def mark(response: Response, client: DialectName, issuer: str) -> Response:
    """The answer of another API with its unsealed parts marked for a client of `client`."""
    if not any(_wants_mark(block, client) for block in response.blocks):
        return response
    seal = Seal(dialect=response.origin, data="", issuer=issuer, kind=MARK)
    blocks = tuple(_sealed(block, seal) if _wants_mark(block, client) else block for block in response.blocks)
    return replace(response, blocks=blocks)


def _sealed(block: Block, seal: Seal) -> Block:
    return replace(block, seal=seal) if isinstance(block, Reasoning | ToolCall) else block


class Marker:
    """Marks unsealed blocks of a stream, at their end."""

    __slots__ = ("_client", "_open", "_seal")

    def __init__(self, client: DialectName, origin: DialectName, issuer: str) -> None:
        self._client = client
        self._seal = Seal(dialect=origin, data="", issuer=issuer, kind=MARK)
        self._open: int | None = None
        """Index of the open block, if it still wants a mark."""

    def needs(self, event: StreamEvent) -> bool:
        """Whether the mark (`delta`) must go before this event. See every event but deltas of text once, in order."""
        match event:
            case BlockStart():
                self._open = event.index if _wants_mark(event.block, self._client) else None
            case SealDelta():
                self._open = None
            case BlockStop() if self._open == event.index:
                self._open = None
                return True
            case _:
                pass
        return False

    def delta(self, index: int) -> SealDelta:
        return SealDelta(index, self._seal)


def unmark(request: Request, upstream: DialectName) -> Request:
    """The request for an upstream of `upstream`, without the marks that say that it did not seal."""
    marked = any(_is_mark(block, upstream) for message in request.messages for block in message.blocks)
    if not marked:
        return request
    messages = tuple(
        replace(message, blocks=tuple(_plain(block) if _is_mark(block, upstream) else block for block in message.blocks))
        for message in request.messages
    )
    return replace(request, messages=messages)


def _is_mark(block: Block, upstream: DialectName) -> bool:
    return (
        isinstance(block, Reasoning | ToolCall)
        and block.seal is not None
        and block.seal.kind == MARK
        and block.seal.dialect == upstream
    )


def _plain(block: Block) -> Block:
    return replace(block, seal=None) if isinstance(block, Reasoning | ToolCall) else block


def settle(request: Request) -> Request:
    """A conversation for another API: every result with the id of its call; the pieces that Gemini's clients send back joined."""
    messages: Sequence[Message] = _joined(request.messages) if request.origin == "gemini" else request.messages
    if any(_unnamed(block) for message in messages for block in message.blocks):
        messages = _paired(messages)
    return request if messages is request.messages else replace(request, messages=tuple(messages))


def _unnamed(block: Block) -> bool:
    return (isinstance(block, ToolResult) and not block.call_id) or (isinstance(block, ToolCall) and not block.id)


def _joined(messages: Sequence[Message]) -> tuple[Message, ...]:
    done: list[Message] = []
    for message in messages:
        if message.role != "assistant":
            done.append(message)
            continue
        before = done[-1] if done else None
        blocks = message.blocks
        if before is not None and before.role == "assistant" and not message.extras and not message.name:
            done.pop()
            message = before  # noqa: PLW2901 - the turn that this continues
            blocks = (*before.blocks, *blocks)
        done.append(replace(message, blocks=_joined_blocks(blocks)))
    return tuple(done)


def _joined_blocks(blocks: Sequence[Block]) -> tuple[Block, ...]:
    done: list[Block] = []
    for block in blocks:
        before = done[-1] if done else None
        match before, block:
            case Text(seal=None, citations=(), extras={}), Text(extras={}, citations=()) if (
                not before.extras and not block.extras
            ):
                done[-1] = replace(before, text=before.text + block.text, seal=block.seal)
            case Reasoning(seal=None), Reasoning() if not before.extras and not block.extras:
                done[-1] = replace(before, text=before.text + block.text, summary=before.summary + block.summary, seal=block.seal)
            case _:
                done.append(block)
    return tuple(done)


def _paired(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Calls and results without an id get one: the results that of the first unanswered call of their name."""
    waiting: list[tuple[str, str]] = []
    done: list[Message] = []
    made = 0
    for message in messages:
        blocks: list[Block] = []
        for block in message.blocks:
            if isinstance(block, ToolCall):
                if not block.id:
                    block = replace(block, id=f"call_{made}_{block.name}"[:40])  # noqa: PLW2901 - the same call, named
                    made += 1
                waiting.append((block.name, block.id))
            elif isinstance(block, ToolResult):
                found = _call_of(block, waiting)
                if found is not None:
                    waiting.remove(found)
                    block = replace(block, call_id=found[1])  # noqa: PLW2901 - the same result, named
            blocks.append(block)
        done.append(replace(message, blocks=tuple(blocks)))
    return tuple(done)


def _call_of(result: ToolResult, waiting: list[tuple[str, str]]) -> tuple[str, str] | None:
    """(name, id) of the call that a result answers: by id if it has one, else the first of its name, or the first."""
    if result.call_id:
        return next((call for call in waiting if call[1] == result.call_id), None)
    return next((call for call in waiting if result.name in ("", call[0])), None)
