"""Seals: reasoning signatures, encrypted reasoning, thought signatures. Opaque state that only its issuer can read.

A client carries a seal in its own opaque field: raw where it is native there, packed as `gw1.` + base64url(JSON)
where it is foreign. Packed seals are unpacked on the way back and given to their issuer alone.
"""

import base64
import binascii

import msgspec

PREFIX = "gw1."
_OPENING = base64.b64encode(b'{"dialect":"').decode("ascii")
"""What follows in every packed seal: its first field comes first."""
MARK = f'"{PREFIX}{_OPENING}'.encode("ascii")
"""How a packed seal begins as a JSON string. The longer, the faster a body without one is searched."""
MARK_64 = b'"' + base64.b64encode(MARK[1:19])
"""The same where a dialect's field holds bytes, which JSON shows in base64."""
IN_MARKS = ord("Z")
"""A byte that both marks have and text has rarely: it is looked for in a tenth of the time that a mark takes."""
_MAX_PACKED = 4 << 20


class Seal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    dialect: str
    """The dialect whose opaque field `data` belongs to."""
    data: str
    issuer: str = ""
    """The endpoint that made it (OpenAI binds seals to an organisation). Empty: came raw from a client, unknown."""
    ref: str = ""
    """The issuer's id of what is sealed (`rs_…`), where it has one."""
    kind: str = ""
    """Which of the dialect's opaque fields, where it has several (`redacted_thinking`, `reasoning.encrypted`)."""


def pack(seal: Seal) -> str:
    """One ASCII word that any client can carry."""
    return PREFIX + base64.urlsafe_b64encode(msgspec.json.encode(seal)).decode("ascii").rstrip("=")


def unpack(word: str) -> Seal | None:
    """The seal in a packed word; None when `word` is not one (it is then a native, raw seal) or is damaged."""
    if not word.startswith(PREFIX) or len(word) > _MAX_PACKED:
        return None
    body = word[len(PREFIX) :]
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Seal)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return None


def open_seal(word: str, dialect: str, *, ref: str = "", kind: str = "") -> Seal:
    """The seal that a client of `dialect` carried in its opaque field: unpacked when ours, else raw and of that dialect."""
    return unpack(word) or Seal(dialect=dialect, data=word, ref=ref, kind=kind)


def carry(seal: Seal, dialect: str) -> str:
    """The word a client of `dialect` carries: raw when the seal is native to it and its issuer unknown or the same API."""
    return seal.data if seal.dialect == dialect else pack(seal)


def readable(seal: Seal, dialect: str, issuer: str) -> bool:
    """Whether the endpoint `issuer`, spoken to in `dialect`, can read this seal. A raw seal is given the benefit of the doubt."""
    return seal.dialect == dialect and seal.issuer in ("", issuer)
