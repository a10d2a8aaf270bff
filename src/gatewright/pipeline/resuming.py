"""The source of a stream that may be gone on with: the first until it breaks, then the next, as one.

One rule: what passes is not touched and not read; only when it breaks is it read, and told into nothing by a renderer that then
stands where the client does.
"""

import logging
from typing import Final

from gatewright.errors import GatewrightError, Problem
from gatewright.exchange import Segment
from gatewright.ir.events import StreamError, StreamEvent
from gatewright.ir.request import Asked
from gatewright.ir.response import Usage
from gatewright.ir.splicing import added
from gatewright.pipeline.continuation import Live, reads_on
from gatewright.pipeline.resumption import Resumption
from gatewright.pipeline.sources import BaseSource

MOST_KEPT_BYTES: Final = 8 << 20
"""Of a passing stream, to be read if it breaks. One that is longer is not resumed."""
UNREADABLE: Final = "what is out cannot be gone on from"
_ENDS: Final = (b"\n\n", b"\n\r\n", b"\r\r")
"""How whole events end."""

log = logging.getLogger("gatewright")


class Passed:
    """The bytes of a stream that passed, and what they mean once that is asked."""

    def __init__(self, resumption: Resumption) -> None:
        self._resumption = resumption
        self._pieces: list[bytes] = []
        self._size = 0
        self._events: list[StreamEvent] = []
        """Of all that is out, when it has been read."""

    def add(self, wire: bytes) -> None:
        self._size += len(wire)
        if self._size <= MOST_KEPT_BYTES:
            self._pieces.append(wire)

    def clear(self) -> None:
        """Nobody will ask any more."""
        self._pieces, self._events = [], []

    def _whole(self) -> bool:
        """Whether the client has whole events: half of one that was too large to be held cannot be taken back."""
        return self._resumption.client.framing != "sse" or not self._pieces or self._pieces[-1].endswith(_ENDS)

    def _renderer(self) -> Live:
        client = self._resumption.client
        return Live(client.stream_renderer(self._resumption.request), client)

    def caught_up(self, last: bytes) -> tuple[Live | None, bytes]:
        """The renderer as if it had told all that is out, and what it tells of the last bytes. None: they cannot be read.

        `last`: the piece that the client has not been given, because an error stands in it.
        """
        resumption = self._resumption
        if self._size > MOST_KEPT_BYTES or not self._whole():
            return None, b""
        parser = resumption.client.stream_parser(Asked(issuer=resumption.served.partition("/")[0]))
        try:
            live = self._renderer()
            before, more = parser.feed(b"".join(self._pieces)), parser.feed(last)
            if any(isinstance(event, StreamError) for event in before):
                return None, b""
            self._events = before + more
            live.render(before)
            return live, live.render(more)
        except GatewrightError:
            return None, b""
        except Exception:
            log.exception("request %s: what passed cannot be read, on a bug of ours", resumption.exchange.request_id)
            return None, b""

    def reads_on(self, said: bytes) -> bool:
        """Whether words can be put behind what is out, `said` last. After `caught_up`."""
        live = self._renderer()
        live.render(self._events)
        return reads_on(live, self._resumption.request, b"".join(self._pieces), said)


class ResumingSource(BaseSource):
    """A stream that may be gone on with. Until it breaks, the segments of the first go by as they are."""

    __slots__ = ("_inner", "_live", "_passed", "_passing", "_pending", "_resumption", "_spent")

    def __init__(self, inner: BaseSource, resumption: Resumption, live: Live | None) -> None:
        """`live`: the renderer of the stream. None: its bytes pass."""
        super().__init__(inner._incoming)  # noqa: SLF001 - the same answer, seen through
        self._inner = inner
        self._resumption = resumption
        self._live = live
        self._passing = live is None
        """Nobody is told events of it: they would begin in the middle."""
        self._passed = Passed(resumption)
        self._pending: Problem | None = None
        """What broke the stream, when all that came before it is out and somebody is to go on."""
        self._spent: Usage | None = None
        """The tokens of the streams before this one."""
        self.content = inner.content

    async def _pull(self) -> Segment | None:
        while not self.ended:
            if self._pending is not None:
                segment = await self._resume(self._pending)
            else:
                segment = await self._inner.next()
                problem = self._inner.problem
                if problem is not None:
                    segment = self._broke(b"" if segment is None else segment.wire, problem)
                else:
                    segment = None if segment is None else self._seen(segment)
                    if segment is None or self._inner.ended:
                        self._finish(None)
            if segment is not None:
                return segment
        return None

    def _seen(self, segment: Segment) -> Segment:
        if self._live is not None:
            return self._told(segment.wire)
        self._passed.add(segment.wire)
        return segment

    def _told(self, wire: bytes, *more: StreamEvent) -> Segment:
        """A segment of what the renderer was told since the last."""
        told = self._live.taken() if self._live is not None else []
        return Segment(wire, None if self._passing else [*told, *more])

    def _broke(self, wire: bytes, problem: Problem) -> Segment | None:
        """The stream has failed: gives what goes out yet. `wire`: what it said last; of bytes that pass, its error event too."""
        self._inner.abort()
        live, said = (self._live, wire) if self._live is not None else self._passed.caught_up(wire)
        why = UNREADABLE if live is None else self._resumption.forbidden(problem, live)
        if live is not None and not why and (self._live is not None or self._passed.reads_on(said)):
            self._live, self._pending = live, problem
            self._passed.clear()
            return self._told(said) if said else None
        self._resumption.note(why or UNREADABLE)
        if self._live is None:
            self._finish(problem)
            return Segment(wire) if wire else None
        return self._failed(problem, wire)

    def _failed(self, problem: Problem, wire: bytes = b"") -> Segment:
        assert self._live is not None
        self._finish(problem)
        return self._told(wire + self._live.fail(problem), StreamError(problem))

    async def _resume(self, problem: Problem) -> Segment | None:
        live = self._live
        assert live is not None
        resumption = self._resumption
        reply = await resumption.go_on(live, self.usage_so_far())
        self._pending = None
        if reply is None:
            return self._failed(problem)
        self._spent = self.usage_so_far()
        mark = resumption.mark()
        if isinstance(reply.source, BaseSource):
            self._inner = reply.source
            return Segment(mark, None if self._passing else ()) if mark else None
        self._finish(None, added(self._spent, resumption.usage))
        return self._told(mark + reply.body)

    def _finish(self, problem: Problem | None, usage: Usage | None = None) -> None:
        """`usage`: where it is not what the streams told."""
        self.usage = usage or self.usage_so_far()
        self.problem = problem
        self.broken = self._inner.broken
        self._end()

    def usage_so_far(self) -> Usage | None:
        """The tokens of all streams; of one alone as it told them."""
        usage = self._inner.usage_so_far()
        return usage if self._spent is None else added(self._spent, usage)

    def spoken(self) -> int:
        return self._inner.spoken() + (0 if self._spent is None else self._spent.total_output)

    def keepalive(self) -> bytes:
        if self.ended:
            return b""
        return self._inner.keepalive() if self._pending is None or self._live is None else self._live.keepalive()

    def abort(self) -> None:
        self._inner.abort()
        if not self.ended:
            self.usage = self.usage_so_far()
            self.left = True
            self._end()
