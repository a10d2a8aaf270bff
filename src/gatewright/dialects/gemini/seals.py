"""Thought signatures and the seals of others in `thoughtSignature`.

One rule: the field is `bytes` to every official SDK, so a foreign seal travels as base64 of its packed word, never as the word
itself.
https://ai.google.dev/gemini-api/docs/thought-signatures
"""

import base64
import binascii

from gatewright.ir.seal import PREFIX, Seal, pack, unpack

SKIP = "skip_thought_signature_validator"
"""The documented sentinel for a function call whose signature is not known: made by another model, or by hand."""

PACKED_START = base64.b64encode(PREFIX[:3].encode()).decode()
"""How every packed foreign seal begins on this wire."""


def open_signature(word: str, issuer: str = "") -> Seal:
    """The seal in a `thoughtSignature`: unpacked when it is a carried foreign one, else Gemini's own."""
    if word.startswith(PACKED_START) and (seal := unpack(_decoded(word))) is not None:
        return seal
    if (seal := unpack(word)) is not None:
        return seal
    return Seal(dialect="gemini", data=word, issuer=issuer)


def signature(seal: Seal) -> str:
    """What a Gemini client carries."""
    if seal.dialect == "gemini":
        return seal.data
    return base64.b64encode(pack(seal).encode("ascii")).decode("ascii")


def _decoded(word: str) -> str:
    """SDKs may send the bytes back in the URL-safe alphabet."""
    plain = word.replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
