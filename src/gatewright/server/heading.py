"""The head of a request, and how the next one of the same connection is known by it.

A client that keeps its connection sends the same head again and again, but for the length of the body. Such a head need not be
parsed twice, nor its path be matched or its credential be looked for again.
One rule: what is taken for a repetition is, byte for byte, what the parser has already found good.
"""

from collections.abc import Mapping
from typing import Final

from gatewright.exchange import Operation
from gatewright.ir.blocks import DialectName
from gatewright.server.paths import Match
from gatewright.wire.http import HeaderView

LONGEST: Final = 8 << 10
"""Bytes of a head that is remembered."""
_DIGITS: Final = 12
_LENGTH: Final = b"\r\ncontent-length: "
_ONCE: Final = (b"\r\ntransfer-encoding", b"\r\nexpect", b"\r\nupgrade", b"\r\nconnection")
"""Headers that make of a head more than the beginning of a request like the one before."""


class Heading:
    """Method, target and headers; and, once somebody has asked, what they mean to a gateway."""

    __slots__ = (
        "credential", "dialect", "headers", "match", "method", "operation", "pairs", "query", "read_by", "target", "view", "word",
    )  # fmt: skip

    def __init__(self, method: bytes, target: bytes, headers: Mapping[bytes, bytes]) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        """Names in lower case; the first of several wins."""
        self.read_by: object = None
        """The `Inbound` that set what follows; None: nobody has."""
        self.match: Match
        self.dialect: DialectName
        self.operation: Operation
        self.query: Mapping[str, str]
        self.pairs: tuple[tuple[str, str], ...]
        self.credential: bytes
        self.view: HeaderView
        self.word: str
        """The method, as text."""


class Repeat:
    """A head that may come again: what stands before and after the digits of its body's length."""

    __slots__ = ("_after", "_before", "_digits_at", "heading")

    def __init__(self, before: bytes, after: bytes, heading: Heading) -> None:
        self._before = before
        self._after = after
        self._digits_at = len(before)
        self.heading = heading

    def body_of(self, data: bytes) -> bytes | None:
        """The body of a whole request that has this head, where `data` is one and nothing more. None: let the parser see."""
        if not data.startswith(self._before):
            return None
        at = self._digits_at
        end = data.find(b"\r", at, at + _DIGITS)
        if end < 0 or not data.startswith(self._after, end):
            return None
        digits = data[at:end]
        body = data[end + len(self._after) :]
        return body if digits.isdigit() and int(digits) == len(body) else None


def repeat_of(raw: bytes, body: bytes, heading: Heading) -> Repeat | None:
    """How a request like this one will look. `raw`: its bytes, if they came in one piece. None: it is not to be remembered."""
    size = len(raw) - len(body)
    head = raw[:size]
    if not 0 < size <= LONGEST or not head.endswith(b"\r\n\r\n") or not head.startswith(heading.method + b" " + heading.target):
        return None
    lower = head.lower()
    at = lower.find(_LENGTH) + len(_LENGTH)
    if at < len(_LENGTH) or lower.count(b"content-length") > 1 or any(word in lower for word in _ONCE):
        return None
    end = head.find(b"\r", at)
    if head[at:end] != b"%d" % len(body) or raw[size:] != body or head.find(b"\r\n\r\n") + 4 != size:
        return None
    return Repeat(head[:at], head[end:], heading)
