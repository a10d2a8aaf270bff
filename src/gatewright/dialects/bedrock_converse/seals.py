"""Reasoning signatures and redacted reasoning, and the seals of others in their place.

One rule: `signature` is a string and carries a packed seal as it is; `redactedContent` is bytes to every SDK, so there a packed
seal travels as base64.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ReasoningContentBlock.html
"""

import base64
import binascii
from typing import Literal

from gatewright.ir.seal import PREFIX, Seal, open_seal, pack, unpack

NAME: Literal["bedrock_converse"] = "bedrock_converse"
REDACTED = "redactedContent"
NEXT = "~next"
"""Ends the packed word of a seal that belongs to the block after its carrier: other dialects sign tool calls and texts."""
PREV = "~prev"
"""The same for the block before, where a stream told the seal too late."""
_PACKED_START = base64.b64encode(PREFIX[:3].encode()).decode()
"""How every packed seal begins in base64."""


def open_signature(word: str) -> Seal:
    """The seal in a `signature`."""
    return open_seal(word, NAME)


def open_redacted(word: str) -> tuple[Seal, str]:
    """The seal in a `redactedContent`, and which neighbour it belongs to (NEXT or PREV) if it is not its block's own."""
    if word.startswith(_PACKED_START):
        packed = _decoded(word)
        side = next((side for side in (NEXT, PREV) if packed.endswith(side)), "")
        if (seal := unpack(packed.removesuffix(side))) is not None:
            return seal, side
    return Seal(dialect=NAME, data=word, kind=REDACTED), ""


def _decoded(word: str) -> str:
    plain = word.replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return ""


def signature(seal: Seal) -> str:
    """What a client carries in a `signature`."""
    return seal.data if seal.dialect == NAME else pack(seal)


def redacted(seal: Seal, side: str = "") -> str:
    """What a client carries in a `redactedContent`; with a side, for the block beside it."""
    if seal.dialect == NAME and not side:
        return seal.data
    return base64.b64encode((pack(seal) + side).encode("ascii")).decode("ascii")
