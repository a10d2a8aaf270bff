"""What is known of an answer while it comes in: its head, the pieces that wait for the reader, how it ended.

One rule: what ends it is told once, to whoever waits; a reader finds what had come before.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import httptools
import msgspec

from gatewright.transport.coding import Decoding
from gatewright.transport.failures import BadAnswer, Cut, Phase, TransportError
from gatewright.transport.seam import Keeper, Kept, Timeouts

if TYPE_CHECKING:
    from gatewright.transport.connection import Connection


class AnswerState(msgspec.Struct, eq=False):
    """What has come of an answer, and what of it waits for its reader. (Structs are made fastest.)"""

    _conn: "Connection | None"
    _loop: asyncio.AbstractEventLoop
    timeouts: Timeouts
    where: str
    """host:port, for messages."""
    status: int = 0
    fields: dict[bytes, bytes] = {}
    """Headers: names in lower case, the first of several."""
    heard: bool = False
    """Whether a single byte has come."""
    head_done: bool = False
    has_body: bool = False
    """Whether a byte of the body has come."""
    complete: bool = False
    """The whole message has come (it may still wait here for the reader)."""
    extra: bool = False
    """Bytes came that belong to no answer."""
    keep_alive: bool = False
    paused: bool = False
    error: TransportError | None = None
    on_header: Callable[[bytes, bytes], object] | None = None
    on_body: Callable[[bytes], object] | None = None
    """The parser's callbacks for headers and for pieces of the body, and no Python in between: a burst has hundreds."""
    _parser: httptools.HttpResponseParser | None = None
    _bodiless: bool = False
    keeper: Keeper | None = None
    """Who keeps what is read. None: nobody."""
    _kept: Kept | None = None
    """Who keeps what is poured, …"""
    _few: list[bytes] | None = None
    """… and his pieces of late. Here, and not behind a call: with many streams each line of memory costs."""
    _decoding: Decoding | None = None
    _fault: str = ""
    _seen: dict[bytes, bytes] = {}
    """Headers as they come: those of the head, then whatever trails the body."""
    _head: bytes = b""
    """What came last while the head was not done, …"""
    _earlier: list[bytes] = []
    """… and what came of it before."""
    _pieces: list[bytes] = []
    _quiet_bytes: int = 0
    _sink: Callable[[bytes], bool] | None = None
    _size: int = 0
    _until_close: bool = False
    _waker: Callable[[], None] | None = None

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return tuple(self.fields.items())

    def header(self, name: bytes) -> bytes | None:
        return self.fields.get(name)

    @property
    def over(self) -> bool:
        """Whether `next` would give None, at once."""
        return self.complete and not self._pieces and self._decoding is None and self.error is None

    @property
    def phase(self) -> Phase:
        return "body" if self.head_done else "headers"

    def fail(self, error: TransportError) -> None:
        """End the answer with an error, after what has already arrived. Does nothing when it has ended."""
        if self._conn is None:
            return
        self.error = error
        self._detach()
        self._wake()

    def _take(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        if self.paused:
            self.paused = False
            if self._conn is not None:
                self._conn.resume(self.timeouts.idle_s)
        return data

    def _decoded(self) -> bytes:
        """The next decoded bytes; empty when there are none yet. Sets `error` where the coding is broken or cut."""
        decoding = self._decoding
        assert decoding is not None
        try:
            while decoding.pending or self._pieces:
                data = decoding.decode(b"" if decoding.pending else self._take())
                if data:
                    return data
        except ValueError as error:
            self._decoding = None
            self._pieces.clear()
            if self._conn is not None:
                self._break(str(error))
            else:
                self.error = BadAnswer(f"{self.where} answered with {error}", phase="body", sent=True)
            return b""
        if self.complete and self.error is None and not decoding.complete:
            self.error = Cut(f"{self.where} ended its answer inside of compressed data", phase="body", sent=True)
        return b""

    def _refuse(self, reason: str) -> None:
        self._fault = reason
        raise ValueError(reason)

    def _break(self, reason: str) -> None:
        conn = self._conn
        if conn is not None:
            conn.discard()
            self.fail(BadAnswer(f"{self.where} answered with {reason}", phase=self.phase, sent=True))

    def _detach(self) -> None:
        self._conn = None
        self._parser = None

    def _wake(self) -> None:
        waker = self._waker
        if waker is not None:
            self._waker = None
            waker()
