"""The fast lane: HTTP/1.1 on the socket, for uvicorn's documented `http=` setting.

Model calls are read (`reading.py`) and answered straight on the connection: no ASGI scope, no queue, no task while one waits
for nothing but its upstream. Paths of the gateway's `asgi_prefixes` are handed over, connection and all, to uvicorn's own ASGI
protocol. One rule: whatever the client does, what it costs is bounded.
https://www.rfc-editor.org/rfc/rfc9112
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

from gatewright.errors import Problem
from gatewright.exchange import Exchange, Reply, Source
from gatewright.server import framing
from gatewright.server.gateway import Gateway
from gatewright.server.reading import Reader, ReadRequest
from gatewright.server.sweep import Sweeper
from gatewright.transport import strand
from gatewright.transport.strand import Strand, back_to

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

log = logging.getLogger("gatewright")

WRITE_HIGH_WATER = 64 << 10
JOINED_BYTES = 8 << 10
"""Up to here a piece is joined with its framing before it is written."""
LINGER_S = 1.0
PARTING_S = 0.5
"""While draining: how long an idle connection may still bring a request, which is answered with `connection: close`.

One that is closed at once may have a request on its way, which would be lost."""


class FastLane(Reader):
    """One client connection."""

    __slots__ = (
        "_app_state", "_config", "_connections", "_drained", "_exchange", "_head_out", "_keep", "_old_http", "_promised",
        "_queue", "_source", "_state", "_strand", "sweeper", "unread",
    )  # fmt: skip

    def __init__(
        self,
        config: "Config",
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(gateway_within(config.loaded_app), _loop or asyncio.get_running_loop())
        self._config = config
        self._state = server_state
        self._connections = cast("set[object]", server_state.connections)  # duck-typed: uvicorn calls shutdown() on each
        self._app_state = app_state
        self._strand = Strand(self._loop)
        self._queue: list[ReadRequest] = []
        """Pipelined requests; one that is not empty waits for the answer before it."""
        self._source: Source | None = None
        self._exchange: Exchange | None = None
        self._drained: asyncio.Future[None] | None = None
        self.unread = False
        """More waits for the client than it should: nothing new is begun, and a stream goes no further."""
        self._keep = True
        self._promised = False
        """The head of the answer that runs has said that the connection is kept; it is not."""
        self._old_http = False
        self._head_out = False

    # -- the connection ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        self._connections.add(self)
        # Between the making of a protocol and this the loop has turned: another gateway may have taken over, which only tells
        # the connections that it finds.
        self.gateway = gateway_within(self._config.loaded_app)
        self.sweeper = Sweeper.of(self._loop)
        self.sweeper.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self.sweeper.discard(self)
        self._queue.clear()
        self._strand.cancel()  # the client left: the upstream is aborted by the cancellation, or by `abort` below
        if self._source is not None:
            self._source.abort()
            self._source = None
        # The parser and this hold one another: whatever is large must not wait for the collector.
        self._dead = True
        self._exchange = None
        self._pieces.clear()
        self._raw = None
        del self._parser

    def shutdown(self) -> None:
        """Told by uvicorn to drain: finish what runs, take nothing new."""
        self._promised = self._keep and self._exchange is not None and self._head_out
        self._keep = False
        if self.idle:
            self._loop.call_later(PARTING_S, self._part)

    def _part(self) -> None:
        if self.idle and self.transport.get_extra_info("sslcontext") is None:
            self.close()
        elif self.idle:
            self._break_off()  # a goodbye by TLS would wait for the client's, who keeps the connection for later

    def pause_writing(self) -> None:
        self.unread = True

    def resume_writing(self) -> None:
        self.unread = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        elif self._queue:
            self._loop.call_soon(self._start_queued)

    def eof_received(self) -> bool:
        self._turn.flush()  # the loop closes now
        return False

    # -- the answer ----------------------------------------------------------------------------------------------------------

    @property
    def answering(self) -> bool:
        return self._exchange is not None

    @property
    def streaming(self) -> bool:
        return self._source is not None

    def _begin(self, request: ReadRequest) -> None:
        if self._exchange is not None or self._queue or self.unread:  # pipelined: wait, and read no more meanwhile
            self._queue.append(request)
            self.transport.pause_reading()
        else:
            self._start(request)

    def _start(self, request: ReadRequest) -> None:
        heading, body, keep, old = request
        self._keep = keep and self._keep and not old  # clients of 1.0 that would keep it wait for a word that 1.1 does not say
        self._old_http = old
        self._head_out = False
        exchange = self._exchange = self.gateway.inbound.exchange(heading, body)
        exchange.connection = self.transport
        # Not now: requests that came together are read together, then answered together. Code that stays in the cache is worth
        # more than the turn of the loop (docs/adr/0016).
        self._turn.later(self._go)

    def _go(self) -> None:
        exchange = self._exchange
        if exchange is not None:  # else the client has left meanwhile
            self._strand.begin(self._run(exchange))

    async def _run(self, exchange: Exchange) -> None:
        gateway = self.gateway
        gateway.active += 1
        try:
            reply = await gateway.handle(exchange)
            self._source = reply.source
            if reply.source is None:
                self._write_whole(exchange, reply)
            else:
                await self._write_stream(exchange, reply, reply.source)
        except GeneratorExit:  # the process ends
            raise
        except BaseException as error:
            if self._source is not None:
                self._source.abort()
            self._break_off()  # whatever it is: the client must not wait for an answer that does not come
            if not isinstance(error, Exception):
                raise
            log.exception("request %s failed on a bug of ours", exchange.request_id)
        finally:
            gateway.active -= 1
        self._next()

    def _write_whole(self, exchange: Exchange, reply: Reply) -> None:
        if self._head_out:  # the head of a stream is out: whatever came is told inside it
            problem = reply.problem
            wire = reply.body if problem is None else self.gateway.late_error(exchange, problem)
            self._turn.write(self.transport, self._chunk(wire) + self._last(exchange))
            return
        date = self.sweeper.date_line
        bare = exchange.method == "HEAD"
        rid = exchange.request_id
        whole = framing.whole(reply.status, reply.headers, reply.body, request_id=rid, date=date, keep=self._keep, head_only=bare)
        self._turn.write(self.transport, whole)

    def _stream_head(self, exchange: Exchange, status: int, headers: bytes) -> bytes:
        if self._old_http:
            self._keep = False
        date = self.sweeper.date_line
        chunked = not self._old_http
        return framing.stream_head(status, headers, request_id=exchange.request_id, date=date, keep=self._keep, chunked=chunked)

    def _chunk(self, wire: bytes) -> bytes:
        return wire if self._old_http else framing.chunk(wire)

    def _last(self, exchange: Exchange) -> bytes:
        if self._old_http:
            return b""
        return b"0\r\n%b\r\n" % exchange.trailers if exchange.trailers else framing.LAST_CHUNK

    async def _write_stream(self, exchange: Exchange, reply: Reply, source: Source) -> None:
        head = b"" if self._head_out else self._stream_head(exchange, reply.status, reply.headers)
        while (segment := await source.next()) is not None:
            if source.ended and not getattr(source, "broken", False):
                self._source = None
                self.push(segment.wire, head, self._last(exchange))
                return
            self.push(segment.wire, head)
            head = b""
            if self.unread:
                await self._drain()
            await source.flow(self)
            if self.unread:
                await self._drain()
        if getattr(source, "broken", False):
            self._break_off()
        else:
            self._turn.write(self.transport, head + self._last(exchange))
        self._source = None

    def push(self, wire: bytes, head: bytes = b"", end: bytes = b"") -> None:
        """Write one step of a streamed answer; before the first, its head; behind the last, the end of the body."""
        old = self._old_http
        if len(wire) > JOINED_BYTES:  # one write, and no copy of what is large
            before, after = (head, end) if old else (b"%b%x\r\n" % (head, len(wire)), b"\r\n" + end)
            self._turn.flush()
            self.transport.writelines((before, wire, after))
        elif old:
            self._turn.write(self.transport, head + wire + end)
        else:
            self._turn.write(self.transport, b"%b%x\r\n%b\r\n%b" % (head, len(wire), wire, end))
        self._head_out = True
        self.since = self._loop.time()

    async def _drain(self) -> None:
        left = strand.running
        self._drained = self._loop.create_future()
        await self._drained
        self._drained = None
        await back_to(left)

    def keep_alive(self, now: float) -> None:
        """Called by the sweeper when nothing was written for `gateway.keepalive_s`."""
        exchange = self._exchange
        if self.unread or exchange is None:
            return
        if self._source is not None:  # its head leaves with its first segment: nothing may come before
            wire = cast("Any", self._source).keepalive() if self._head_out else b""
        elif not self._head_out and (early := self.gateway.early_head(exchange)) is not None:
            self._head_out = True
            self._turn.write(self.transport, self._stream_head(exchange, 200, early))
            wire = self.gateway.early_ping(exchange)
        else:
            wire = self.gateway.early_ping(exchange) if self._head_out else b""
        if wire:
            self._turn.write(self.transport, self._chunk(wire))
            self.since = now

    def _next(self) -> None:
        self._exchange = None
        self._source = None
        self.since = self._loop.time()
        self._state.total_requests += 1
        if self.transport.is_closing():
            self._queue.clear()
        elif self._promised:
            self._promised = False
            if self._queue:
                self._loop.call_soon(self._start_queued)
            else:
                self._loop.call_later(PARTING_S, self._part)
        elif not self._keep:
            self._queue.clear()
            self._dead = True  # the parser may have more in hand
            self.close()
        elif self._queue:
            if not self.unread:  # else when the client has read what is there
                self._loop.call_soon(self._start_queued)  # not now: a thousand in a row would be a thousand frames deep
        elif self._dead:
            self.close()

    def close(self) -> None:
        """Close when what is written is out."""
        self._turn.flush()
        self.transport.close()

    def _break_off(self) -> None:
        """Close before that: what the socket takes at once of what is written leaves, and no end."""
        self._turn.flush()
        self.transport.abort()

    def _start_queued(self) -> None:
        if self._queue and self._exchange is None:
            if len(self._queue) == 1:
                self.transport.resume_reading()
            self._start(self._queue.pop(0))

    # -- ways out ------------------------------------------------------------------------------------------------------------

    def _reject(self, problem: Problem) -> None:
        """Answer a request that is not a request, and close: nothing after it can be trusted."""
        if self._dead or self.transport.is_closing():
            return
        self._dead = True
        self.waiting_body = False
        self._pieces.clear()
        if self._exchange is not None or self._queue:  # what came before it is answered as if nothing had followed
            self._keep = self._keep and bool(self._queue)
            return
        reply = self.gateway.refusal(b"POST", self._target, self._headers, problem)
        refusal = framing.refusal(reply.status, reply.headers, reply.body, date=self.sweeper.date_line)
        self._turn.write(self.transport, refusal)
        # A close with bytes unread would reset the connection before the client has read why: read on and forget for a while.
        self._loop.call_later(LINGER_S, self.close)

    def timed_out(self) -> None:
        """Called by the sweeper: a request that began does not go on."""
        self._reject(Problem(kind="timeout", status=408, message="The request did not arrive in time."))

    @property
    def idle(self) -> bool:
        return self._exchange is None and not self.waiting_body and not self._queue

    def _hand_over(self) -> None:
        """This path is not the fast lane's: give the connection, with what was read, to uvicorn's own protocol."""
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # noqa: PLC0415 - only when needed

        raw = self._raw or b""
        if self._target not in raw:  # it began inside a piece that held another request: nobody pipelines to these paths
            self._reject(Problem(kind="invalid_request", message="Pipelined requests are not served at this path."))
            return
        self._turn.flush()  # what the other protocol writes, or closes, comes after it
        self._connections.discard(self)
        self.sweeper.discard(self)
        protocol = HttpToolsProtocol(self._config, self._state, self._app_state, self._loop)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(raw)


def gateway_within(app: object) -> Gateway:
    """The gateway of an ASGI application, seen through whatever middleware the server put around it."""
    while not isinstance(gateway := getattr(app, "gateway", None), Gateway):
        app = getattr(app, "app", None)
        if app is None:
            raise TypeError("the fast lane serves an application made by gatewright.create_app()")
    return gateway
