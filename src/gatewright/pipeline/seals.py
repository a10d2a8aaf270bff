"""Seals across turns: the vault for clients that drop opaque fields, names for calls that have none, and doing without.

Gemini 3 answers 400 to a call without its signature, and Claude wants the signed reasoning before a tool turn back; Chat
clients keep neither. So what was sealed around a call is kept under the call's id, scoped by the key, and put back on replay.
"""

import re
from collections.abc import Sequence

import msgspec

from gatewright.errors import Problem
from gatewright.ir.blocks import Block, Message, Reasoning, Text, ToolCall
from gatewright.ir.events import BlockStart, BlockStop, ReasoningDelta, SealDelta, StreamEvent, TextDelta
from gatewright.ir.fold import Folder
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.ir.seal import Seal
from gatewright.pipeline.replayed import MARK
from gatewright.stores.kept import Kept, KeptStore

KIND = "seal"
TTL_S = 86_400.0
replace = msgspec.structs.replace


class Sealed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What belongs to one tool call: the reasoning before it, and its own seal."""

    reasoning: tuple[Reasoning, ...] = ()
    seal: Seal | None = None


_sealed = msgspec.json.Decoder(Sealed)


def call_id(request_id: str, index: int) -> str:
    """An id for a call whose provider gave none: unique across turns, short enough for every API (40 characters)."""
    return f"call_{request_id.removeprefix('req_')}_{index}"[:40]


def name_call(event: StreamEvent, request_id: str) -> StreamEvent:
    """The event, with an id for a tool call that has none."""
    if isinstance(event, BlockStart) and isinstance(event.block, ToolCall) and not event.block.id:
        return BlockStart(event.index, replace(event.block, id=call_id(request_id, event.index)))
    return event


def name_calls(response: Response, request_id: str) -> Response:
    """The answer, with ids for the tool calls that have none."""
    if all(not isinstance(block, ToolCall) or block.id for block in response.blocks):
        return response
    blocks = tuple(
        replace(block, id=call_id(request_id, i)) if isinstance(block, ToolCall) and not block.id else block
        for i, block in enumerate(response.blocks)
    )
    return replace(response, blocks=blocks)


class SealWatch:
    """Watches an answer's events for sealed reasoning and sealed calls. Text costs it one type check."""

    def __init__(self) -> None:
        self._folder = Folder()
        self._seen = False

    def add(self, event: StreamEvent) -> None:
        match event:
            case TextDelta():
                return
            case BlockStart(block=Text()):
                self._folder.add(BlockStart(event.index, Text(text="")))
            case BlockStart() | BlockStop() | ReasoningDelta():
                self._folder.add(event)
            case SealDelta():
                self._seen = True
                self._folder.add(event)
            case _:
                return

    def rows(self) -> list[Kept]:
        return sealed_rows(self._folder.response.blocks) if self._seen else []


def sealed_rows(blocks: Sequence[Block]) -> list[Kept]:
    """What to keep of an answer: for each call, its seal and the sealed reasoning since the last text or call group."""
    rows: list[Kept] = []
    before: list[Reasoning] = []
    for block in blocks:
        if isinstance(block, Reasoning):
            if block.seal is not None:
                before.append(block)
        elif isinstance(block, ToolCall) and block.id and (block.seal is not None or before):
            rows.append(Kept(block.id, msgspec.json.encode(Sealed(tuple(before), block.seal))))
            before = []
    return rows


def unsealed_calls(request: Request) -> list[str]:
    """Ids of the conversation's tool calls that came back without a seal and without sealed reasoning before them.

    A turn may be several messages: Responses clients send reasoning and calls as items of their own.
    """
    found: list[str] = []
    reasoned = False
    for message in request.messages:
        if message.role != "assistant":
            reasoned = False
            continue
        for block in message.blocks:
            if isinstance(block, Reasoning) and block.seal is not None:
                reasoned = True
            elif isinstance(block, ToolCall) and _wants_seal(block) and block.id and not reasoned:
                found.append(block.id)
    return found


def _wants_seal(call: ToolCall) -> bool:
    """A mark is no seal: Gemini CLI drops the signed thought before a call of another API, and keeps the call's mark."""
    return call.seal is None or call.seal.kind == MARK


async def restore(request: Request, store: KeptStore, owner: str) -> Request:
    """The request with what the client dropped put back from the vault."""
    ids = unsealed_calls(request)
    if not ids:
        return request
    kept = {row_id: _sealed.decode(body) for row_id, body in (await store.get(owner, KIND, ids)).items()}
    if not kept:
        return request
    return replace(request, messages=tuple(_restored(message, kept) for message in request.messages))


def _restored(message: Message, kept: dict[str, Sealed]) -> Message:
    blocks: list[Block] = []
    for block in message.blocks:
        sealed = kept.get(block.id) if isinstance(block, ToolCall) and _wants_seal(block) else None
        if sealed is not None and isinstance(block, ToolCall):
            # Plain reasoning text that the client did keep is the same reasoning without its seal: the sealed one stands for it.
            if sealed.reasoning:
                blocks = [b for b in blocks if not isinstance(b, Reasoning)] if message.role == "assistant" else blocks
                blocks[:0] = sealed.reasoning
            blocks.append(replace(block, seal=sealed.seal or block.seal))
        else:
            blocks.append(block)
    return replace(message, blocks=tuple(blocks))


_SEAL_WORDS = re.compile(
    r"signature|encrypted_content|encrypted content|thought_?signature|reasoning item|reasoning_content|reasoning_details",
    re.IGNORECASE,
)


def refused_for_a_seal(problem: Problem) -> bool:
    """Whether an upstream's 400 says that it cannot read a seal."""
    return problem.kind == "invalid_request" and _SEAL_WORDS.search(problem.message) is not None


_REASONING_FIRST = re.compile(r"Expected `thinking`|must start with a thinking block")


def refused_for_want_of_reasoning(problem: Problem) -> bool:
    """Whether an upstream that is to think refuses to go on after calls that another model made without (signed) reasoning."""
    return problem.kind == "invalid_request" and _REASONING_FIRST.search(problem.message) is not None


def has_seals(request: Request) -> bool:
    return any(getattr(block, "seal", None) is not None for message in request.messages for block in message.blocks)


def without_seals(request: Request) -> Request:
    """The request without any seal: sealed reasoning goes, calls and texts stay."""
    messages = []
    for message in request.messages:
        blocks = tuple(
            replace(block, seal=None) if isinstance(block, ToolCall | Text) else block
            for block in message.blocks
            if not (isinstance(block, Reasoning) and block.seal is not None)
        )
        if blocks or not message.blocks:
            messages.append(replace(message, blocks=blocks))
    return replace(request, messages=tuple(messages))
