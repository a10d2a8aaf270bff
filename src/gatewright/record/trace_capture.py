"""What is held of an exchange while it runs, for its trace: references to bytes that are there anyway.

One rule: within the event loop nothing is parsed, joined or copied; what is beyond the bound is counted and let go.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from gatewright.errors import Problem
from gatewright.exchange import Exchange
from gatewright.ir.blocks import DialectName
from gatewright.transport import KEPT_FEW
from gatewright.wire.http import Call

MAX_BODY_BYTES: Final = 1 << 20


Edit: TypeAlias = tuple[int, int, bytes]
"""Where in a body, how many bytes from there on, and what stands in their place."""


class Pieces:
    """A body as it comes. What is beyond `most` bytes is counted alone.

    A few pieces are held as they are, and then joined: what an event is made of is free at once for the next one's, and still in
    the processor's cache. Hundreds of streams, each with hundreds of pieces, would use new memory for every event.
    """

    __slots__ = ("_parts", "_room", "few", "most")

    def __init__(self, most: int = MAX_BODY_BYTES) -> None:
        self.most = most
        self.few: list[bytes] = []
        """What came last: whoever appends to it says `gather` when there are `KEPT_FEW`."""
        self._parts: list[bytes] = []
        self._room = most
        """Bytes that may still be kept; below 0: so many are too many."""

    @property
    def size(self) -> int:
        """Bytes that came."""
        if self.few:
            self.gather()
        return self.most - self._room

    def gather(self) -> None:
        """Join the few."""
        few = self.few
        piece = few[0] if len(few) == 1 else b"".join(few)
        few.clear()
        if self._room > 0:
            self._parts.append(piece)
        self._room -= len(piece)

    def add(self, piece: bytes) -> None:
        few = self.few
        few.append(piece)
        if len(few) >= KEPT_FEW:
            self.gather()

    def before(self, send: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """`send`, of which each piece is kept: `add` written out, for every event of a stream goes this way."""
        few = self.few

        def keep(piece: bytes) -> None:
            few.append(piece)
            if len(few) >= KEPT_FEW:
                self.gather()
            send(piece)

        return keep

    def joined(self) -> bytes:
        """What was kept, in one: the same object each time. Once nothing more comes."""
        if self.few:
            self.gather()
        parts = self._parts
        if len(parts) != 1 or self._room < 0:
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


Body: TypeAlias = bytes | Pieces | Passed
"""Whole where it came in one, which is not bounded: it is there anyway."""


def joined(body: Body, most: int) -> bytes:
    """What is kept of it: `most` bytes. The same object each time, but where it is cut here."""
    if isinstance(body, bytes):
        return body if len(body) <= most else body[:most]
    return body.joined()


def size_of(body: Body) -> int:
    """Bytes that came."""
    return len(body) if isinstance(body, bytes) else body.size


class Leg(msgspec.Struct, kw_only=True):
    """What went to a provider in one attempt, and what came back. The credential is not in it: it is added beneath."""

    dialect: DialectName
    method: str
    path: str
    sent: bytes
    """Header lines."""
    body: bytes
    status: int = 0
    headers: Iterable[tuple[bytes, bytes]] = ()
    """Of the answer."""
    most: int = MAX_BODY_BYTES
    """Of the answer's bytes, where it comes in pieces."""
    answer: bytes | Pieces = b""
    secrets: tuple[bytes, ...] = ()
    """The endpoint's, of which the upstream may have told something, …"""
    scrub: Callable[[bytes], bytes] | None = None
    """… and where they are not known beforehand: takes them out of what it has told."""

    def whole(self, body: bytes) -> None:
        """The answer, or the rest of it."""
        if isinstance(self.answer, Pieces):
            self.answer.add(body)
        else:
            self.answer = body

    def pieces(self) -> Pieces:
        """The answer, which comes in pieces."""
        answer = self.answer
        if not isinstance(answer, Pieces):
            answer = self.answer = Pieces(self.most)
        return answer


class Finished(msgspec.Struct, frozen=True):
    """An exchange that has ended, on its way to the thread that makes a trace of it."""

    exchange: Exchange
    call: Call
    """As the client sent it."""
    status: int
    problem: Problem | None
    headers: bytes
    """Lines of the answer."""
    answer: Body
    ended: float
    """Monotonic seconds."""

    def add_secrets(self, found: set[bytes]) -> None:
        """What its client has shown for a key, and what its providers were shown."""
        found.add(self.exchange.credential)
        for record in self.exchange.attempts:
            if isinstance(record.leg, Leg):
                found.update(record.leg.secrets)

    @property
    def weight(self) -> int:
        """About how many bytes it holds on to."""
        answer = self.answer
        return 2 * (len(self.call.body) + (len(answer) if isinstance(answer, bytes) else answer.size)) + 2048
