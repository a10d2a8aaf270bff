"""One answer on its way in: the head, then the body in pieces, as far as the reader keeps up.

One rule: nothing is decided per byte in Python; httptools parses, this file only keeps what has arrived and the limits.
https://www.rfc-editor.org/rfc/rfc9112#name-message-body
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import httptools

from gatewright.transport import answer_head, strand
from gatewright.transport.answer_head import MAX_HEAD_BYTES
from gatewright.transport.answer_state import AnswerState
from gatewright.transport.coding import decoding_of
from gatewright.transport.failures import Cut, TooLarge
from gatewright.transport.seam import KEPT_FEW, Keeper, Timeouts

if TYPE_CHECKING:
    from gatewright.transport.connection import Connection

HIGH_WATER_BYTES = 131072
"""Reading from the socket stops when more waits for the reader. One read of the loop (up to 256 KB) may come on top."""
_PIECE_OVERHEAD = 48
"""What a piece costs beyond its bytes: an answer in one-byte chunks must reach the high water too."""


class Answer(AnswerState, eq=False):
    """An `Incoming` over a `Connection`. Also the parser's listener, hence the `on_` fields."""

    @classmethod
    def of(cls, conn: "Connection", loop: asyncio.AbstractEventLoop, method: bytes, timeouts: Timeouts) -> "Answer":
        """The answer to a request that is being written."""
        answer = cls(conn, loop, timeouts, conn.where)
        if method == b"HEAD":
            answer._bodiless = True
        answer.on_header = answer._seen.setdefault
        answer.on_body = answer._pieces.append
        answer._parser = httptools.HttpResponseParser(answer)
        return answer

    # For the reader: `Incoming`.

    async def next(self) -> bytes | None:
        while True:
            if self._decoding is not None:
                data = self._decoded()
                if data:
                    return self._kept_by(self.keeper, data)
            elif self._pieces:
                data = self._take()
                return data if self.keeper is None else self._kept_by(self.keeper, data)
            if self.error is not None:
                raise self.error.again()
            if self.complete:
                return None
            try:
                reader = strand.running
                if reader is None or reader.loop is not self._loop:
                    await self.arrival()
                else:  # as `arrival`, without a call for each piece of a stream
                    self._waker = reader.resume
                    await strand.paused()
            except asyncio.CancelledError:
                self.given_up()
                raise

    @staticmethod
    def _kept_by(keeper: Keeper | None, data: bytes) -> bytes:
        if keeper is not None:
            keeper.pieces().add(data)
        return data

    async def pour(self, sink: Callable[[bytes], bool]) -> None:
        """Give `sink` what arrives, in the very call that brings it, for as long as it takes it (True) and the end has not come.

        `next` gives what it did not take, and goes on from there. `sink` must not raise. Does nothing where there is no need to
        wait, or no strand to wait in.
        """
        reader = strand.running
        if (
            reader is None
            or reader.loop is not self._loop
            or self._pieces
            or self.complete
            or self.error is not None
            or self._decoding is not None
        ):
            return
        self._sink = sink
        self._waker = reader.resume
        if self.keeper is not None:
            kept = self._kept = self.keeper.pieces()
            self._few = kept.few
        try:
            await strand.paused()
        except asyncio.CancelledError:
            self.given_up()
            raise
        finally:
            self._sink = None
            self._kept = self._few = None

    def at_once(self, max_bytes: int) -> bytes | None:
        """As `read`, where all of it is here and as it was sent; None: it is to be waited for."""
        if not self.complete or self._decoding is not None or self.error is not None:
            return None
        data = self._take()
        if len(data) > max_bytes:
            raise self._too_large(max_bytes)
        if self.keeper is not None and data:
            self.keeper.whole(data)
        return data

    async def read(self, max_bytes: int) -> bytes:
        data = self.at_once(max_bytes)
        if data is not None:  # as nearly all are: it came with its head
            return data
        pieces: list[bytes] = []
        size = 0
        while (piece := await self.next()) is not None:
            size += len(piece)
            if size > max_bytes:
                raise self._too_large(max_bytes)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def abort(self) -> None:
        conn = self._conn
        if conn is not None:
            conn.discard()
            self.fail(Cut(f"{self.where}: given up before the end of the answer", phase=self.phase, sent=True))
        self._pieces.clear()

    def _too_large(self, max_bytes: int) -> TooLarge:
        self.abort()
        return TooLarge(f"{self.where} sent a body of more than {max_bytes} bytes", phase="body", sent=True)

    def given_up(self) -> None:
        """The reader was cancelled as it waited: `abort`, and nobody is to be woken."""
        self._waker = None
        self.abort()

    # For the connection.

    def arrival(self) -> Awaitable[None]:
        """To be awaited at once: done when something has changed."""
        reader = strand.running
        if reader is not None and reader.loop is self._loop:
            self._waker = reader.resume
            return strand.paused()
        waiter: asyncio.Future[None] = self._loop.create_future()

        def wake() -> None:
            if not waiter.done():
                waiter.set_result(None)

        self._waker = wake
        return waiter

    def feed(self, data: bytes) -> None:  # noqa: PLR0915 - a call less for each event of a stream
        """Take what the socket gave."""
        self.heard = True
        parser = self._parser
        if parser is None:
            self.extra = True
            return
        if not self.head_done:
            self._head = data
        pieces = self._pieces
        before = len(pieces)
        size = len(data)
        self._quiet_bytes += size
        try:
            parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self.complete:
                self._break(self._fault or f"not HTTP/1.1 as it should be ({error})")
                return
            self.extra = True
        conn = self._conn
        if conn is None:
            return
        sink = self._sink
        if sink is not None and self.has_body and pieces and not (self.complete or self.paused):  # a stream that flows
            piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if sink(piece):
                pieces.clear()
                few = self._few
                if few is not None:
                    few.append(piece)
                    if len(few) >= KEPT_FEW and (kept := self._kept) is not None:
                        kept.gather()
                self._quiet_bytes = 0
                conn.heard_at = self._loop.time()
                return
            if self._conn is None:  # given up meanwhile
                return
        if self.complete:
            self._finish(conn)
        elif len(pieces) == before:
            if not self._framed(conn):
                return
        else:
            self._quiet_bytes = 0
            size += self._size + _PIECE_OVERHEAD * (len(pieces) - before)
            self._size = size
            if size <= HIGH_WATER_BYTES:
                if self.has_body:
                    conn.heard_at = self._loop.time()
                else:
                    self.has_body = True
                    conn.expect(self.timeouts.idle_s)
            elif not self.paused:  # a TLS layer may have had more in hand when it was told to stop
                self.paused = self.has_body = True
                conn.pause()
        waker = self._waker
        if waker is not None:  # the last thing done here: the reader may begin its next request on this very connection
            self._waker = None
            if self.complete:  # those that came together are taken up together: see docs/adr/0016
                conn.turn.later(waker)
            else:
                waker()

    def _framed(self, conn: "Connection") -> bool:
        """Bytes came, and none of the body: whether the reader is to look."""
        if self._quiet_bytes > MAX_HEAD_BYTES:
            what = "trailers or chunk extensions" if self.head_done else "a head"
            self._break(f"{what} of more than {MAX_HEAD_BYTES} bytes")
            return False
        if not self.head_done:
            self._earlier.append(self._head)
            return False
        if not self.paused:
            conn.expect(self.timeouts.idle_s if self.has_body else self.timeouts.first_event_s)
        return self._sink is None

    def peer_closed(self, error: Exception | None) -> None:
        """The connection is gone: the end of a body that has no other end, otherwise a cut."""
        conn = self._conn
        if conn is None:
            return
        if self._until_close and error is None:
            self.complete = True
            self._detach()
            self._wake()
            return
        how = "reset the connection" if isinstance(error, ConnectionError) else "closed the connection"
        when = "in the middle of its answer" if self.heard else "without an answer"
        self.fail(Cut(f"{conn.where} {how} {when}", phase=self.phase, sent=True))

    # For the parser. Exceptions raised here stop it; `_fault` keeps the reason.

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser is None or self.head_done:
            self.extra = True
            self._refuse("a second message")  # stops the parser: not a byte of it must join this answer's body
        assert parser is not None
        seen = self._seen
        status = parser.get_status_code()
        if status < 200:
            if status == 101:
                self._refuse("101 Switching Protocols, which nobody asked for")
            if status < 100:
                self._refuse("a status below 100")
            seen.clear()
            self._earlier.clear()
            self._head = answer_head.after_head(self._head)
            return
        try:
            fields = self.fields = answer_head.fields_of(seen, self._quiet_bytes)
        except ValueError as error:
            self._refuse(str(error))
        if status in answer_head.BODILESS:
            self._bodiless = True
        if b"transfer-encoding" in fields or b"content-encoding" in fields:
            self._note_framing(fields)
        elif b"content-length" not in fields:
            self._until_close = not self._bodiless
        self.status = status
        self.keep_alive = parser.should_keep_alive()
        self.head_done = True
        self._head = b""
        self.complete = self._bodiless

    def on_message_complete(self) -> None:
        if self.head_done:
            self.complete = True

    # Inside.

    def _note_framing(self, fields: dict[bytes, bytes]) -> None:
        """What a body has around it beside its length."""
        coding = fields.get(b"transfer-encoding")
        if coding is not None and coding.lower() != b"chunked":
            # Anything else would have to be read to the close of the connection and decoded once more: nobody sends it.
            self._refuse("a transfer-encoding other than chunked")
        if coding is None and b"content-length" not in fields:
            self._until_close = not self._bodiless
        if b"content-encoding" in fields and not self._bodiless:
            try:
                for value in answer_head.codings(b"".join(self._earlier) + self._head) or [fields[b"content-encoding"]]:
                    self._decoding = decoding_of(value, then=self._decoding)
            except ValueError as error:
                self._refuse(str(error))

    def _finish(self, conn: "Connection") -> None:
        self._conn = None
        self._parser = None
        if self.paused:  # the end came from a TLS layer's buffer; the next exchange must not find a deaf connection
            self.paused = False
            conn.resume(self.timeouts.idle_s)
        conn.answered(self)
