"""HTTP messages as values: what a dialect may see of a call, and what it answers."""

from collections.abc import Mapping

import msgspec


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What a client sent, as far as a dialect may see it."""

    path: str
    """Decoded and normalised, without query: `/v1beta/models/gemini-2.5-pro:generateContent`."""
    body: bytes
    query: Mapping[str, str] = {}
    """The last of several wins. The client's key is not in here."""
    pairs: tuple[tuple[str, str], ...] = ()
    """The whole query in order, repeated names included; without the key."""
    headers: Mapping[str, str] = {}
    """Names in lower case; the first of several wins. Credentials are not in here."""
    notes: dict[str, object] = {}
    """What a dialect has read of this call already, so that it reads it once. Private to the dialect."""


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    """Beside content-type (JSON) and length, which the server adds."""
