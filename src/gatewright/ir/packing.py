"""An answer as bytes to be kept, and back.

One rule: what cannot be read is no answer. The bytes may come from another version of this program, or from a store that others
can write to; nothing in them is ever run.
"""

import zlib
from typing import Final, assert_never

import msgspec

from gatewright.ir.blocks import (
    Block,
    CacheHint,
    DialectName,
    Media,
    Native,
    Node,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from gatewright.ir.loss import Loss
from gatewright.ir.response import Finish, Response, Usage
from gatewright.jsontypes import JsonObject, JsonValue

VERSION: Final = 1
"""Of the form. Bytes of another one are no answer."""
COMPRESSED_FROM: Final = 2 << 10
"""Bytes from which compressing is worth its time."""
MAX_BYTES: Final = 512 << 20
"""Of one answer, unpacked."""

_PLAIN: Final = b"\x00"
_ZLIB: Final = b"\x01"


class KeptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer, with what its later readers are told of it."""

    response: Response
    target: str
    """`provider/model` that gave it."""
    made: float
    """Unix seconds at which it had come."""
    losses: tuple[Loss, ...] = ()
    """What its request lost on the way to the target, in the words of …"""
    dialect: DialectName
    """… the client that asked first."""


class _Packed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    version: int
    target: str
    made: float
    dialect: DialectName
    losses: tuple[Loss, ...] = ()
    origin: DialectName
    id: str
    model: str
    blocks: tuple[JsonObject, ...] = ()
    """Each with its type's name: the neutral form's own types carry none."""
    finish: Finish | None = None
    usage: Usage | None = None
    created: int | None = None
    others: tuple[JsonObject, ...] = ()
    extras: JsonObject = {}
    form: tuple[str, ...] = ()


class _Result(Node, frozen=True, kw_only=True):
    """`ToolResult` without its content."""

    call_id: str
    name: str = ""
    is_error: bool | None = None
    kind: str = "function"
    structured: JsonValue = None
    item_id: str = ""
    cache: CacheHint | None = None


_KIND: Final = "type"
_TYPES: Final[dict[str, type[Text | Media | Reasoning | ToolCall | Refusal | Native]]] = {
    kind.__name__: kind for kind in (Text, Media, Reasoning, ToolCall, Refusal, Native)
}
_decoder = msgspec.msgpack.Decoder(_Packed)
_encode = msgspec.msgpack.Encoder().encode


def pack(answer: KeptAnswer) -> bytes | None:
    """The bytes; None for an answer that cannot be kept: it holds what no reader could be given (numbers beyond 64 bits)."""
    response = answer.response
    try:
        told = _encode(
            _Packed(
                version=VERSION,
                target=answer.target,
                made=answer.made,
                dialect=answer.dialect,
                losses=answer.losses,
                origin=response.origin,
                id=response.id,
                model=response.model,
                blocks=tuple(_packed(block) for block in response.blocks),
                finish=response.finish,
                usage=response.usage,
                created=response.created,
                others=response.others,
                extras=response.extras,
                form=response.form,
            )
        )
    except (msgspec.MsgspecError, OverflowError, UnicodeEncodeError, RecursionError):
        return None
    return _PLAIN + told if len(told) < COMPRESSED_FROM else _ZLIB + zlib.compress(told, 1)


def unpack(kept: bytes) -> KeptAnswer | None:
    """The answer; None when the bytes are none of this version."""
    try:
        packed = _decoder.decode(_opened(kept))
        if packed.version != VERSION:
            return None
        response = Response(
            origin=packed.origin,
            id=packed.id,
            model=packed.model,
            blocks=tuple(_unpacked(block) for block in packed.blocks),
            finish=packed.finish,
            usage=packed.usage,
            created=packed.created,
            others=packed.others,
            extras=packed.extras,
            form=packed.form,
        )
    except (msgspec.MsgspecError, zlib.error, ValueError, RecursionError, KeyError, TypeError):
        return None
    return KeptAnswer(response=response, target=packed.target, made=packed.made, losses=packed.losses, dialect=packed.dialect)


def _opened(kept: bytes) -> bytes:
    """Raises ValueError or zlib.error."""
    if kept[:1] == _PLAIN:
        return kept[1:]
    if kept[:1] != _ZLIB:
        raise ValueError("neither plain nor compressed")
    opener = zlib.decompressobj()
    told = opener.decompress(kept[1:], MAX_BYTES)
    if not opener.eof:
        raise ValueError("cut off, or larger than any answer")
    return told


def _packed(block: Block) -> JsonObject:
    match block:
        case ToolResult():
            fields: JsonObject = {name: msgspec.to_builtins(getattr(block, name)) for name in _Result.__struct_fields__}
            return {_KIND: "ToolResult", **fields, "content": [_packed(inner) for inner in block.content]}
        case Text() | Media() | Reasoning() | ToolCall() | Refusal() | Native():
            return {_KIND: type(block).__name__, **msgspec.to_builtins(block)}
        case _:
            assert_never(block)


def _unpacked(packed: JsonObject) -> Block:
    """Raises KeyError, TypeError or ValidationError for what is no block."""
    fields = dict(packed)
    kind = fields.pop(_KIND)
    if kind != "ToolResult":
        return msgspec.convert(fields, _TYPES[str(kind)])
    content = fields.pop("content")
    if not isinstance(content, list):
        raise TypeError("a result's content is a list")
    result = msgspec.convert(fields, _Result)
    rest = {name: getattr(result, name) for name in _Result.__struct_fields__}
    return ToolResult(content=tuple(_unpacked(inner) for inner in content if isinstance(inner, dict)), **rest)
