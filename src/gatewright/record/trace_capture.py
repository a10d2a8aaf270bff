"""What is held of an exchange while it runs, for its trace: references to bytes that are there anyway.

One rule: within the event loop nothing is parsed, joined or copied; what is beyond the bound is counted and let go.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from gatewright.errors import Problem
from gatewright.exchange import Exchange
from gatewright.ir.blocks import DialectName
from gatewright.wire.http import Call

MAX_BODY_BYTES: Final = 1 << 20


Edit: TypeAlias = tuple[int, int, bytes]
"""Where in a body, how many bytes from there on, and what stands in their place."""


class Pieces:
    """A body as it comes. What is beyond `most` bytes is counted alone."""

    __slots__ = ("most", "parts", "room")

    def __init__(self, most: int = MAX_BODY_BYTES) -> None:
        self.most = most
        self.parts: list[bytes] = []
        self.room = most
        """Bytes that may still be kept; below 0: so many are too many."""

    @property
    def size(self) -> int:
        """Bytes that came."""
        return self.most - self.room

    def add(self, piece: bytes) -> None:
        room = self.room
        if room > 0:
            self.parts.append(piece)
        self.room = room - len(piece)

    def before(self, send: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """`send`, of which each piece is kept: `add` written out, for every event of a stream goes this way."""
        append = self.parts.append

        def keep(piece: bytes) -> None:
            room = self.room
            if room > 0:
                append(piece)
            self.room = room - len(piece)
            send(piece)

        return keep

    def joined(self) -> bytes:
        """What was kept, in one: the same object each time. Once nothing more comes."""
        parts = self.parts
        if len(parts) != 1 or self.room < 0:
            parts[:] = [b"".join(parts)[: self.most]]
        return parts[0]


class Passed:
    """What a client was told by bytes that passed: those of the provider, but for a few that were changed."""

    __slots__ = ("edits", "end", "pieces", "size")

    def __init__(self, pieces: Pieces, edits: Sequence[Edit], end: int) -> None:
        """`end`: how many of the provider's bytes have gone on."""
        self.pieces = pieces
        self.edits = edits
        self.end = end
        self.size = end + sum(len(wire) - taken for _, taken, wire in edits)

    def joined(self) -> bytes:
        """Where nothing was changed, the very object that the provider's are."""
        came = self.pieces.joined()
        if not self.edits and self.end >= len(came):
            return came
        most, at = self.pieces.most, 0
        parts: list[bytes] = []
        for start, taken, wire in self.edits:
            parts += (came[at:start], wire if start <= len(came) else b"")
            at = start + taken
        return b"".join((*parts, came[at : self.end]))[:most]


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
        self.headers: Iterable[tuple[bytes, bytes]] = ()
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
    answer: Pieces | Passed
    ended: float
    """Monotonic seconds."""

    @property
    def weight(self) -> int:
        """About how many bytes it holds on to."""
        return 2 * (len(self.call.body) + self.answer.size) + 2048
