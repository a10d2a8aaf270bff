"""One upstream call for everybody who asks the same at the same time.

    leader ──▶ Flight ──▶ upstream        the leader is given the reply as it came, bytes and all;
    others ──▶   │                        the others what it means, each in the own dialect, whole or streamed
                 ▼
              kept

One rule: the call belongs to nobody. It runs in a task of its own on a copy of the leader's exchange, for as long as anybody
listens; who is slow waits alone, and only where all are slow does the upstream wait. One of them pays: the leader, or, when
it leaves before the end, who joined next.
"""

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from gatewright.dialects.protocol import StreamParser
from gatewright.errors import GatewrightError, Problem
from gatewright.exchange import Exchange, Reply, Segment
from gatewright.ir.blocks import DialectName
from gatewright.ir.events import MessageStop, SealDelta, StreamError, StreamEvent, UsageUpdate
from gatewright.ir.fold import Folder
from gatewright.ir.packing import KeptAnswer
from gatewright.ir.request import Asked
from gatewright.ir.response import Response, Usage
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.nearest import Vector
from gatewright.pipeline.replayed import MARK
from gatewright.pipeline.sources import CUT, BaseSource
from gatewright.pipeline.translate import Dialects
from gatewright.pipeline.translated import TranslatedSource

log = logging.getLogger("gatewright")

WINDOW: Final = 1 << 20
"""Bytes that the upstream may be ahead of the fastest listener."""
FREE: Final = Usage()
"""What an exchange used that no upstream was called for: nothing, which is known."""

_TOO_LONG: Final = Problem(
    kind="upstream", code="answer_too_long", message="The provider's answer is longer than is allowed here."
)


def gateway_failed(request_id: str) -> Problem:
    """What others are told of a bug that the leader ran into."""
    return Problem(kind="internal", message=f"The gateway failed on this answer ({request_id}); its log says why.")


class Listener:
    """One exchange that waits for a flight's answer."""

    __slots__ = ("_waiter", "exchange", "flight", "left", "pending", "taken", "usage")

    def __init__(self, flight: "Flight", exchange: Exchange) -> None:
        self.flight = flight
        self.exchange = exchange
        self.taken = 0
        """Bytes of the answer that it has taken, as the upstream sent them."""
        self.pending: deque[Segment] = deque()
        """The leader's segments that it has not taken."""
        self.left = False
        self.usage: Usage | None = None
        """What it is to be told to have used, once it has left."""
        self._waiter: asyncio.Future[None] | None = None

    @property
    def leads(self) -> bool:
        return self.flight.leader is self

    async def wait(self) -> None:
        """Until something has changed."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def took(self, size: int) -> None:
        """It has come so far in the answer."""
        self.taken = size
        if self.leads or not self.flight.deaf:
            self.flight.moved(size)

    def leave(self) -> Usage | None:
        """It wants no more, or has all. What it used; idempotent."""
        return self.flight.leave(self)


class Flight:
    """The call, and what has come of it. Made and used within one event loop."""

    def __init__(
        self,
        shadow: Exchange,
        dialects: Dialects,
        *,
        max_answer_bytes: int,
        landed: "Callable[[Flight], Awaitable[None]]",
        over: "Callable[[Flight], None]",
        inherits: Callable[[Exchange, Exchange], None] = lambda _heir, _shadow: None,
    ) -> None:
        """`shadow`: a copy of the leader's exchange, for the call to write on. `landed` is called with a whole, good answer.
        `over`: when nobody else may join; it may be called again. `inherits`: when an exchange is to pay for what `shadow` does,
        in the place of one that has left.
        """
        self.shadow = shadow
        self.dialects = dialects
        self.max_answer_bytes = max_answer_bytes
        self.leader: Listener | None = None
        self.payer: Listener | None = None
        """The leader, or its heir."""
        self.listeners: dict[Listener, None] = {}
        """In the order in which they joined."""
        self.reply: Reply | None = None
        """The leader's, once there is one."""
        self.error: BaseException | None = None
        """What was raised in its stead."""
        self.found: KeptAnswer | None = None
        """A kept answer, in its stead."""
        self.similarity = 1.0
        """Of the question that `found` answered, to the one that is asked."""
        self.question: tuple[bytes, Vector] | None = None
        """What may be compared of the request: its kind, and where its question lies."""
        self.events: list[StreamEvent] = []
        """The whole stream so far, without our marks."""
        self.response: Response | None = None
        """The whole answer, at the end of a good one."""
        self.problem: Problem | None = None
        """What ended the stream, if it was an error."""
        self.ended = False
        """Nothing more comes."""
        self.size = 0
        """Bytes of the stream so far."""
        self._landed = landed
        self._over = over
        self._inherits = inherits
        self.deaf = False
        """The others are told no more: the leader alone goes on, and is alone waited for."""
        self._fastest = 0
        self._room: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def origin(self) -> DialectName:
        """The dialect in which the upstream was asked. Once there is a reply."""
        client: DialectName = self.shadow.dialect
        for candidate in self.shadow.plan:
            if isinstance(candidate, Candidate) and candidate.name == self.shadow.served:
                return candidate.dialect_for(client)
        return client

    # -- those who listen ----------------------------------------------------------------------------------------------------

    def join(self, exchange: Exchange) -> Listener:
        """The first to join leads."""
        listener = Listener(self, exchange)
        if self.leader is None:
            self.leader = self.payer = listener
        self.listeners[listener] = None
        return listener

    @property
    def has_head(self) -> bool:
        """Whether it is known what kind of answer comes."""
        return self.reply is not None or self.error is not None or self.found is not None

    def moved(self, size: int) -> None:
        if size > self._fastest:
            self._fastest = size
            if self._room is not None and not self._room.done():
                self._room.set_result(None)

    @property
    def _done(self) -> bool:
        """Whether nothing more is to be paid for."""
        return self.ended or (self.has_head and (self.reply is None or self.reply.source is None))

    def leave(self, listener: Listener) -> Usage | None:
        if listener.left:
            return listener.usage
        listener.left = True
        listener.pending.clear()
        self.listeners.pop(listener, None)
        if self._done:
            self._charge(listener)
            return listener.usage
        if not self.listeners:
            self._over(self)
            if self.reply is not None and self.reply.source is not None:
                self.reply.source.abort()  # at once: it ends the attempt's record, which is told of now
            self._charge(listener)
            if self._task is not None:
                self._task.cancel()
            return listener.usage
        if listener is self.payer:
            self.payer = next(iter(self.listeners))
            self._inherits(self.payer.exchange, self.shadow)
        self._charge(listener)
        if self.deaf:
            if listener is self.leader:
                self.moved(sys.maxsize)  # nobody is to be waited for
        elif listener.taken >= self._fastest:  # the others are slower: the upstream waits for the fastest of them now
            self._fastest = max(other.taken for other in self.listeners)
        return listener.usage

    def _charge(self, listener: Listener) -> None:
        """What an exchange that leaves is to be told to have used, and whom it has called."""
        exchange, shadow = listener.exchange, self.shadow
        exchange.served = shadow.served
        exchange.attempts = shadow.attempts if listener is self.payer else []
        listener.usage = FREE
        if listener is self.payer and self.found is None:
            source = self.reply.source if self.reply is not None else None
            usage = source.usage_so_far() if isinstance(source, BaseSource) else None
            listener.usage = usage if usage is not None else shadow.usage
        exchange.usage = listener.usage
        if listener is self.leader:
            exchange.trailers = shadow.trailers + exchange.trailers  # as its head has announced them

    # -- the call ------------------------------------------------------------------------------------------------------------

    def begin(self, look: Callable[[], Awaitable[KeptAnswer | None]], call: Callable[[Exchange], Awaitable[Reply]]) -> None:
        """Start: `look` for the answer elsewhere, else `call`. Somebody has joined."""
        self._task = asyncio.get_running_loop().create_task(self._run(look, call))

    async def _run(self, look: Callable[[], Awaitable[KeptAnswer | None]], call: Callable[[Exchange], Awaitable[Reply]]) -> None:
        try:
            self.found = await look()
            if self.found is None:
                await self._called(call)
        except asyncio.CancelledError:  # nobody listens
            if self.reply is not None and self.reply.source is not None:
                self.reply.source.abort()
            raise
        except GatewrightError as error:
            self.error = error
        except Exception as error:
            log.exception("request %s: its call failed on a bug of ours", self.shadow.request_id)
            self.error = error
            if self.reply is not None and self.reply.source is not None:
                self.reply.source.abort()
                self.events.append(StreamError(gateway_failed(self.shadow.request_id)))
        finally:
            self.ended = True
            self._over(self)
            self._wake()
        if self.response is not None and self.problem is None:
            await self._landed(self)

    async def _called(self, call: Callable[[Exchange], Awaitable[Reply]]) -> None:
        reply = self.reply = await call(self.shadow)
        self._wake()
        if reply.problem is not None:
            return
        if isinstance(reply.source, BaseSource):
            await self._streamed(reply.source)
            return
        await asyncio.sleep(0)  # whoever was waiting for the bytes goes first
        self.response = reply.response or self._read(reply.body)

    def _asked(self) -> Asked:
        issuer, _, model = self.shadow.served.partition("/")
        return Asked(issuer=issuer, model=model)

    def _read(self, body: bytes) -> Response | None:
        """What a body means that passed. None: it is not to be understood; then only its own dialect is served with it."""
        try:
            return self.dialects[self.shadow.dialect].parse_response(body, self._asked())
        except GatewrightError:
            return None
        except Exception:
            log.exception("request %s: its answer cannot be read, on a bug of ours", self.shadow.request_id)
            return None

    async def _streamed(self, source: BaseSource) -> None:
        folder = Folder()
        parser: StreamParser | None = None
        while (segment := await source.next()) is not None:
            self.size += len(segment.wire)
            leader = self.leader
            if leader is not None and not leader.left:
                leader.pending.append(segment)
                leader.wake()
            if segment.events is not None:
                self._tell(segment.events, folder, source)
            elif not self.deaf:
                parser = parser or self.dialects[self.shadow.dialect].stream_parser(self._asked())
                self._understand(partial(parser.feed, segment.wire), folder, source)
            if self.size > self.max_answer_bytes and not self.deaf:  # too much to remember: the leader alone goes on
                self._go_deaf()
                self._tell([StreamError(_TOO_LONG)], folder, source)
            self._wake()
            if self.size - self._fastest > WINDOW:
                await self._until_there_is_room()
        if parser is not None:
            self._understand(parser.close, folder, source)
        elif isinstance(source, TranslatedSource):
            self._tell(source.mute, folder, source)
        if folder.problem is None and source.problem is not None:
            self._tell([StreamError(source.problem)], folder, source)
        if not self.events or not isinstance(self.events[-1], MessageStop | StreamError):
            self._tell([StreamError(CUT)], folder, source)
        self.problem = folder.problem
        self.response = folder.response if folder.problem is None else None

    def _understand(self, read: Callable[[], Sequence[StreamEvent]], folder: Folder, source: BaseSource) -> None:
        """Tell what bytes mean that pass. A bug in that costs the others the answer, and never the leader."""
        try:
            self._tell(read(), folder, source)
        except Exception:
            log.exception("request %s: its stream cannot be read, on a bug of ours", self.shadow.request_id)
            self._go_deaf()
            self._add(StreamError(gateway_failed(self.shadow.request_id)), folder)

    def _go_deaf(self) -> None:
        self.deaf = True
        leader = self.leader
        self._fastest = leader.taken if leader is not None and not leader.left else sys.maxsize

    def _tell(self, events: Sequence[StreamEvent], folder: Folder, source: BaseSource) -> None:
        """Add to what is told. After its end nothing more is."""
        for event in events:
            if self.events and isinstance(self.events[-1], MessageStop | StreamError):
                return
            if isinstance(event, SealDelta) and event.seal.kind == MARK:
                continue  # it was for the leader's client
            if isinstance(event, MessageStop) and folder.usage is None and (usage := source.usage_so_far()) is not None:
                self._add(UsageUpdate(usage), folder)  # the leader did not ask to be told
            self._add(event, folder)

    def _add(self, event: StreamEvent, folder: Folder) -> None:
        self.events.append(event)
        folder.add(event)

    async def _until_there_is_room(self) -> None:
        while self.size - self._fastest > WINDOW and self.listeners:
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self._room = None

    def _wake(self) -> None:
        for listener in self.listeners:
            listener.wake()
