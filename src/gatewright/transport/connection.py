"""One connection to an upstream: writes requests, hands what arrives to the answer, keeps its deadline.

One rule: at most one timer a connection, and it is lazy: moving a deadline later costs a comparison, the timer finds
out when it fires. It outlives an exchange, so a busy connection sets one now and then, not one a request.
"""

import asyncio
import math
import os
import select
import socket
from typing import Protocol, cast

from gatewright.transport.answer import Answer
from gatewright.transport.failures import Closed, TimedOut, TransportError
from gatewright.transport.seam import Outgoing
from gatewright.transport.turn import Turn

SMALL_BODY_BYTES = 65536
"""A body up to here is joined to its head and leaves in one write; a larger one is never copied whole."""
JOINED_BYTES = 8192
"""In one piece with its head up to here; beyond, a copy would cost more than two pieces do."""
UPLOAD_PIECE_BYTES = 262144


class Home(Protocol):
    """Where connections come from and go back to."""

    where: str
    """host:port, for messages."""

    def give_back(self, conn: "Connection") -> None: ...
    def forget(self, conn: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """A keep-alive HTTP/1.1 connection. `closed` is final."""

    __slots__ = (
        "_home",
        "_loop",
        "_patience_s",
        "_timer",
        "_timer_at",
        "_total_at",
        "_upload",
        "_uploads",
        "_wire",
        "_write_paused",
        "answer",
        "closed",
        "heard_at",
        "idle_since",
        "served",
        "turn",
        "where",
        "written_at",
    )

    def __init__(self, home: Home, loop: asyncio.AbstractEventLoop) -> None:
        self.answer: Answer | None = None
        self.closed = False
        self.idle_since = 0.0
        self.served = 0
        """How many requests were written to it: from the second on it is a reused one."""
        self.heard_at = 0.0
        """When something last happened, in loop seconds. An answer sets it for each piece, and no timer is moved."""
        self._patience_s = 0.0
        """What must happen next must do so within so many seconds of that."""
        self._home = home
        self.where = home.where
        self.written_at = 0.0
        """When the last request was begun to be written."""
        self._loop = loop
        self.turn = Turn.of(loop)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._total_at = 0.0
        self._upload: memoryview | None = None
        """What is still to be written of a large body."""
        self._uploads = False
        """Whether the body of this exchange is a large one."""
        self._wire: asyncio.Transport | None = None
        self._write_paused = False

    def now(self) -> float:
        """The loop's time. Not asked of `get_running_loop`, which costs a system call each time on CPython 3.11."""
        return self._loop.time()

    # For the client.

    def begin(self, outgoing: Outgoing, head: bytes, total_at: float, now: float) -> Answer:
        """Write a request. `head` is complete; `total_at` is when the exchange must be over, in loop seconds, as `now` is."""
        wire = self._wire
        assert wire is not None
        answer = self.answer = Answer.of(self, self._loop, outgoing.method, outgoing.timeouts)
        self.served += 1
        self._total_at = total_at
        self.written_at = now
        body = outgoing.body
        if len(body) <= SMALL_BODY_BYTES:
            self._uploads = False
            if (turn := self.turn).running:
                if len(body) > JOINED_BYTES:
                    turn.write_both(wire, head, body)
                else:
                    turn.write(wire, head + body)
            else:
                wire.write(head + body)
            self._patience_s = patience_s = outgoing.timeouts.headers_s  # as `expect`
            self.heard_at = now
            at = now + patience_s
            at = min(at, total_at)
            if self._timer is None or at < self._timer_at:
                self._arm(at)
        else:
            self._uploads = True
            self.turn.flush()
            wire.write(head)
            self._upload = memoryview(body)
            self._pump()
        return answer

    def socket(self) -> socket.socket | None:
        """The socket beneath, to look at or to tune; None when it is closed."""
        wire = self._wire
        if wire is None or wire.is_closing():
            return None
        found: socket.socket | None = wire.get_extra_info("socket")
        return found

    def looks_alive(self) -> bool:
        """Whether nothing waits on the socket of an idle connection: neither its end nor bytes nobody asked for."""
        sock = self.socket()
        if sock is None:
            return False
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        return not poll.poll(0)

    def discard(self) -> None:
        """Close at once. Idempotent."""
        wire = self._wire
        self._close()
        if wire is not None:
            wire.abort()

    def give_up(self) -> None:
        """Close at once and tell the reader, if there is one."""
        answer = self.answer
        self.discard()
        if answer is not None:
            answer.fail(Closed(f"{self.where}: given up before the end of the answer", phase=answer.phase, sent=True))

    # For the answer.

    def answered(self, answer: Answer) -> None:
        """The whole answer is here."""
        self.answer = None
        if answer.keep_alive and not answer.extra and self._upload is None and not self.closed:
            self._home.give_back(self)
        else:
            self.discard()

    def expect(self, seconds: float) -> None:
        """Something must happen within `seconds`."""
        self._patience_s = seconds
        self.heard_at = now = self._loop.time()
        at = min(now + seconds, self._total_at)
        if self._timer is None or at < self._timer_at:
            self._arm(at)

    def pause(self) -> None:
        """Stop reading: the reader is behind. Only the total deadline runs on."""
        if self._wire is not None:
            self._wire.pause_reading()
            self._patience_s = math.inf

    def resume(self, seconds: float) -> None:
        if self._wire is not None:
            self._wire.resume_reading()
            self.expect(seconds)

    # For the loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast("asyncio.Transport", transport)  # what it is in every loop, though uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        if self.answer is not None:
            self.answer.feed(data)
        else:
            self.discard()

    def eof_received(self) -> None:
        self._lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(exc)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._upload is not None:
            self._pump()

    # Inside.

    def _pump(self) -> None:
        """Write the body as far as the socket takes it. The rest follows from `resume_writing`."""
        wire, answer = self._wire, self.answer
        rest = self._upload
        while rest is not None and wire is not None and answer is not None and not self._write_paused:
            if wire.is_closing():
                return
            wire.write(rest[:UPLOAD_PIECE_BYTES])
            rest = self._upload = rest[UPLOAD_PIECE_BYTES:] if len(rest) > UPLOAD_PIECE_BYTES else None
        if answer is not None and not answer.head_done:
            self.expect(answer.timeouts.headers_s if rest is None else answer.timeouts.idle_s)

    def _lost(self, exc: Exception | None) -> None:
        answer = self.answer
        if exc is not None and answer is not None and self._uploads:
            self._read_last_words(answer)
        self.discard()
        if answer is not None:
            answer.peer_closed(exc)

    def _read_last_words(self, answer: Answer) -> None:
        """A server that refuses a long body answers, closes and so resets us: our next write fails before we have read why.

        The answer still waits in the kernel; the loop, done with the socket, would not read it.
        """
        wire = self._wire
        if wire is None or answer.paused or wire.get_extra_info("ssl_object") is not None:
            return
        answer.extra = True  # whatever it says of keeping the connection: its reader must not be given this one again
        sock: socket.socket | None = wire.get_extra_info("socket")
        try:
            while sock is not None and self.answer is answer and (data := os.read(sock.fileno(), UPLOAD_PIECE_BYTES)):
                answer.feed(data)
        except OSError:
            return

    def _close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.answer = None
        self._upload = None
        self._wire = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._home.forget(self)

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        answer = self.answer
        if answer is None:
            return
        now = self._loop.time()
        # uvloop's timers count whole milliseconds and may fire a little early.
        deadline = min(self.heard_at + self._patience_s, self._total_at)
        if now < deadline - 0.002:
            self._arm(deadline)
            return
        late = self._late(answer, now)
        self.discard()
        answer.fail(late)

    def _late(self, answer: Answer, now: float) -> TransportError:
        limits = answer.timeouts
        if now >= self._total_at - 0.002:
            what, seconds = "did not finish its answer", limits.total_s
        elif answer.has_body:
            what, seconds = "sent nothing more", limits.idle_s
        elif answer.head_done:
            what, seconds = "sent a head but no body", limits.first_event_s
        elif self._upload is not None:
            return TimedOut(f"{self.where} did not read the request for {limits.idle_s:g} s", phase="send", sent=True)
        else:
            what, seconds = "did not answer", limits.headers_s
        return TimedOut(f"{self.where} {what} within {seconds:g} s", phase=answer.phase, sent=True)
