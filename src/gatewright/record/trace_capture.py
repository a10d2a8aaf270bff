"""What is held of an exchange while it runs, for its trace: references to bytes that are there anyway.

One rule: within the event loop nothing is parsed, joined or copied; what is beyond the bound is counted and let go.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from gatewright.errors import Problem
from gatewright.exchange import Exchange
from gatewright.ir.blocks import DialectName
from gatewright.wire.http import Call

MAX_BODY_BYTES: Final = 1 << 20


class Pieces:
    """A body as it comes. What is beyond `most` bytes is counted alone."""

    __slots__ = ("most", "parts", "size")

    def __init__(self, most: int = MAX_BODY_BYTES) -> None:
        self.most = most
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size <= self.most:
            self.parts.append(piece)
        else:
            self._spilt(piece)

    def before(self, send: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """`send`, of which each piece is kept: `add` written out, for every event of a stream goes this way."""
        append, most = self.parts.append, self.most

        def keep(piece: bytes) -> None:
            self.size = size = self.size + len(piece)
            if size <= most:
                append(piece)
            else:
                self._spilt(piece)
            send(piece)

        return keep

    def behind(self, sink: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        """`sink`, of which each piece is kept that it takes."""
        append, most = self.parts.append, self.most

        def keep(piece: bytes) -> bool:
            if not sink(piece):
                return False
            self.size = size = self.size + len(piece)
            if size <= most:
                append(piece)
            else:
                self._spilt(piece)
            return True

        return keep

    def _spilt(self, piece: bytes) -> None:
        """`size` has it already."""
        room = self.most - (self.size - len(piece))
        if room > 0:
            self.parts.append(piece[:room])

    def joined(self) -> bytes:
        parts = self.parts
        return parts[0] if len(parts) == 1 else b"".join(parts)


class Leg:
    """What went to a provider in one attempt, and what came back. The credential is not in it: it is added beneath."""

    __slots__ = ("answer", "body", "dialect", "headers", "method", "path", "scrub", "sent", "status")

    def __init__(
        self,
        *,
        dialect: DialectName,
        method: str,
        path: str,
        sent: bytes,
        body: bytes,
        most: int,
        scrub: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self.dialect: DialectName = dialect
        self.method = method
        self.path = path
        self.sent = sent
        """Header lines."""
        self.body = body
        self.status = 0
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        """Of the answer."""
        self.answer = Pieces(most)
        self.scrub = scrub
        """Takes the endpoint's credential out of what the upstream has said."""


class Finished(msgspec.Struct, frozen=True):
    """An exchange that has ended, on its way to the thread that makes a trace of it."""

    exchange: Exchange
    call: Call
    """As the client sent it."""
    status: int
    problem: Problem | None
    headers: bytes
    """Lines of the answer."""
    answer: Pieces
    ended: float
    """Monotonic seconds."""

    @property
    def weight(self) -> int:
        """About how many bytes it holds on to."""
        return 2 * (len(self.call.body) + self.answer.size) + 2048
