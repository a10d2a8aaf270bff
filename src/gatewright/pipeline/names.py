"""Tool names that the upstream refuses: fitted for it, and given back as the client wrote them.

Names with dots, slashes or more than 64 characters are common where tools come from MCP servers; most APIs refuse them. The
fitted name keeps what it can and ends in a hash of the whole, so that two names never become one.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from gatewright.ir.blocks import Block, DialectName, Message, ToolCall, ToolResult
from gatewright.ir.events import BlockStart, StreamEvent
from gatewright.ir.loss import Loss
from gatewright.ir.request import Request
from gatewright.ir.response import Response

_PLAIN: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_GEMINI: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
ALLOWED: Final[dict[DialectName, re.Pattern[str]]] = {
    "openai_chat": _PLAIN,
    "openai_responses": _PLAIN,
    "anthropic": _PLAIN,
    "gemini": _GEMINI,
    "bedrock_converse": _PLAIN,
}
"""https://platform.openai.com/docs/guides/function-calling, https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview,
https://ai.google.dev/api/caching#FunctionDeclaration"""

Names = Mapping[str, str]
"""Fitted name → the client's."""

replace = msgspec.structs.replace


def fitted(name: str) -> str:
    """A name that every API takes; the same for the same name, another for another."""
    kept = re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:55]
    if not kept or not (kept[0].isalpha() or kept[0] == "_"):
        kept = f"_{kept}"[:55]
    return f"{kept}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def fit_names(request: Request, dialect: DialectName) -> tuple[Request, Names, tuple[Loss, ...]]:
    """The request with names that `dialect` takes, the way back, and what to tell."""
    allowed = ALLOWED[dialect]
    bad = {t.name: t.at for t in request.tools if t.kind != "hosted" and not allowed.fullmatch(t.name)}
    for message in request.messages:
        for block in message.blocks:
            if isinstance(block, ToolCall | ToolResult) and block.name and not allowed.fullmatch(block.name):
                bad.setdefault(block.name, block.at)
    if not bad:
        return request, {}, ()
    there = {name: fitted(name) for name in bad}
    choice = request.tool_choice
    renamed = replace(
        request,
        tools=tuple(replace(t, name=there.get(t.name, t.name)) if t.kind != "hosted" else t for t in request.tools),
        tool_choice=None if choice is None else replace(choice, names=tuple(there.get(n, n) for n in choice.names)),
        messages=tuple(_renamed_message(message, there) for message in request.messages),
    )
    losses = tuple(
        Loss(
            path=f"{at}.name" if at else "name",
            why=f"{dialect} takes no such name; it is called {there[name]} there",
            weight="hint",
        )
        for name, at in bad.items()
    )
    return renamed, {new: old for old, new in there.items()}, losses


def _renamed_message(message: Message, names: Mapping[str, str]) -> Message:
    blocks = tuple(_renamed(block, names) for block in message.blocks)
    return message if blocks == message.blocks else replace(message, blocks=blocks)


def _renamed(block: Block, names: Mapping[str, str]) -> Block:
    if isinstance(block, ToolCall | ToolResult) and block.name in names:
        return replace(block, name=names[block.name])
    return block


def client_names(response: Response, names: Names) -> Response:
    """The answer with the client's own names."""
    return replace(response, blocks=tuple(_renamed(block, names) for block in response.blocks)) if names else response


def client_name(event: StreamEvent, names: Names) -> StreamEvent:
    """The event with the client's own name."""
    if names and isinstance(event, BlockStart):
        return BlockStart(event.index, _renamed(event.block, names))
    return event
