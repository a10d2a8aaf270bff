"""Which traces belong together: an agent's run, a chain of Responses, a conversation that goes on. Pure.

    header      `x-gatewright-session`, `x-session-id`, Codex' `session_id`, Claude Code's `x-claude-code-session-id`, …
    body        Claude Code's `metadata.user_id`, `metadata.session_id`, Responses' `conversation`, `prompt_cache_key`
    response    `previous_response_id` names the answer to an earlier one
    prefix      its messages begin with those of an earlier one and its answer

One rule: the first that tells wins. A session is its key's own: two keys that name theirs alike have one each.
https://platform.claude.com/docs/en/api/messages, https://platform.openai.com/docs/guides/conversation-state
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from gatewright.ir.blocks import Block, Message, Reasoning, Text, ToolCall, ToolResult
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.stores.trace_terms import Fields, Link

HEADERS: Final = (
    "x-gatewright-session",
    "x-session-id",
    "session_id",
    "session-id",
    "x-claude-code-session-id",
    "conversation_id",
    "x-session-affinity",
)
LONGEST: Final = 200
MOST_PREFIXES: Final = 64
"""Turns of a conversation that are looked back."""

_CLAUDE_CODE: Final = re.compile(r"_session_([0-9A-Za-z-]{8,64})\Z")
_RESPONSE_ID: Final = re.compile(rb'"id"\s*:\s*"(resp_[0-9A-Za-z_-]{4,120})"')


class _Metadata(msgspec.Struct):
    user_id: Any = None
    session_id: Any = None


class _Said(msgspec.Struct):
    """What a body may tell of its session, of whichever dialect it is."""

    metadata: Any = None
    previous_response_id: Any = None
    conversation: Any = None
    prompt_cache_key: Any = None


_json: Final = msgspec.json.Encoder(order="deterministic")
_peek: Final = msgspec.json.Decoder(_Said).decode


_NOTHING: Final = _Said()


class Told(msgspec.Struct, frozen=True):
    """What a request says of its session by itself."""

    session: str = ""
    link: Link = ""
    previous: str = ""
    """The answer that it goes on with."""


_UNTOLD: Final = Told()


def told(headers: Fields, body: bytes) -> Told:
    """By its headers, as a trace holds them, else by its body. Never raises."""
    said = _said(body) if _may_tell(body) else _NOTHING
    previous = _text(said.previous_response_id)
    named = {name: value for name, value in headers if name in HEADERS}
    for name in HEADERS if named else ():
        if session := _text(named.get(name)):
            return Told(session, "header", previous)
    if said is _NOTHING:
        return _UNTOLD
    for value in _named_in(said):
        if value:
            return Told(value, "body", previous)
    return Told("", "", previous)


def _may_tell(body: bytes) -> bool:
    find = body.find  # `in` would ask first whether the words are numbers
    return (
        find(b'"metadata"') >= 0
        or find(b'"previous_response_id"') >= 0
        or find(b'"conversation"') >= 0
        or find(b'"prompt_cache_key"') >= 0
    )


def response_id(answer: bytes) -> str:
    """Of a Responses answer, whole or streamed: the id that the next request may name. Empty: it has none."""
    found = _RESPONSE_ID.search(answer, 0, 4096)
    return found[1].decode("ascii") if found is not None else ""


def response_mark(named: str) -> str:
    return f"response:{named}"


def marks_behind(request: Request, answer: Response | None) -> tuple[str, ...]:
    """By what the next request is known that goes on with this conversation: all that was said until now."""
    if answer is None or not answer.blocks:
        return ()
    return (_mark(_Chain(request.messages, answer.blocks).digests[-1]),)


def marks_before(request: Request) -> tuple[str, ...]:
    """Conversations that this request may go on with, the longest first: its messages up to each answer among them."""
    chain = _Chain(request.messages)
    ends = [at for at, message in enumerate(request.messages) if message.role == "assistant"]
    return tuple(_mark(chain.digests[at]) for at in reversed(ends[-MOST_PREFIXES:]))


class _Chain:
    """A digest behind each message of all that was said up to there, in words that do not change on the way back."""

    def __init__(self, messages: Sequence[Message], last: Iterable[Block] = ()) -> None:
        self.digests: list[bytes] = []
        digest = hashlib.blake2b(digest_size=16)
        turns = [(message.role, message.blocks) for message in messages]
        extra = tuple(last)
        if extra:
            turns.append(("assistant", extra))
        before = ""
        for role, blocks in turns:
            if role != "system":  # agents write the date and the like into it, anew each time
                if role != before:  # one message of two blocks is told as two messages of one, elsewhere
                    digest.update(b"\x1e" + role.encode())
                    before = role
                for block in blocks:
                    digest.update(_words(block))
            self.digests.append(digest.digest())


def _words(block: Block) -> bytes:
    match block:
        case Text():
            said = "".join(block.text.split())
            return b"\x1ft" + said.encode("utf-8", "replace") if said else b""
        case ToolCall():
            return b"\x1fc" + f"{block.name} {_canonical(block.arguments)}".encode("utf-8", "replace")
        case ToolResult():
            told = b"" if block.structured is None else _json.encode(block.structured)
            return b"\x1fr" + told + b"".join(_words(part) for part in block.content)
        case Reasoning():
            return b""  # some clients send it back, and some do not
        case _:
            return b"\x1f" + type(block).__name__.encode()


def _canonical(arguments: str) -> str:
    """Arguments as they are after somebody has read them and written them again."""
    try:
        return _json.encode(msgspec.json.decode(arguments)).decode()
    except (msgspec.MsgspecError, RecursionError):
        return "".join(arguments.split())


def _mark(digest: bytes) -> str:
    return f"prefix:{digest.hex()}"


def _said(body: bytes) -> _Said:
    try:
        return _peek(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Said()


def _named_in(said: _Said) -> Iterable[str]:
    metadata = said.metadata if isinstance(said.metadata, dict) else {}
    user = metadata.get("user_id")
    if isinstance(user, str):
        if found := _CLAUDE_CODE.search(user):
            yield found[1]
        elif user.startswith("{"):
            yield _text(_in_json(user))
    yield _text(metadata.get("session_id"))
    conversation = said.conversation
    yield _text(conversation.get("id") if isinstance(conversation, dict) else conversation)
    yield _text(said.prompt_cache_key)


def _in_json(text: str) -> object:
    """Of a newer Claude Code, whose user id is a document."""
    try:
        document = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return document.get("session_id") if isinstance(document, dict) else None


def _text(value: object) -> str:
    """Printable, and no longer than a name may be."""
    if not isinstance(value, str) or not value:
        return ""
    return "".join(c for c in value[:LONGEST] if c.isprintable()).strip()
