"""The fast lane: HTTP/1.1 on the socket, for uvicorn's documented `http=` setting.

Model calls are parsed by httptools and answered straight on the connection: no ASGI scope, no queue, one task a request. Paths of
the gateway's `asgi_prefixes` are handed over, connection and all, to uvicorn's own ASGI protocol. One rule: whatever the client
does, what it costs is bounded.
https://www.rfc-editor.org/rfc/rfc9112
"""

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import httptools

from gatewright.errors import Problem
from gatewright.exchange import Exchange, Reply, Source
from gatewright.server import framing
from gatewright.server.gateway import Gateway
from gatewright.server.sweep import Sweeper
from gatewright.transport.strand import Strand

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

log = logging.getLogger("gatewright")

MAX_HEADER_BYTES = 64 << 10
MAX_HEADERS = 200
MAX_QUIET_BYTES = 64 << 10
"""Most bytes of a body's framing with nothing of the body between: trailers, chunk extensions."""
MAX_PIECES = 64
"""Pieces of a body that are kept apart: a client that sends two bytes at a time must not fill the memory with pieces."""
WRITE_HIGH_WATER = 64 << 10
JOINED_BYTES = 8 << 10
"""Up to here a piece is joined with its framing before it is written."""
LINGER_S = 1.0
PARTING_S = 0.5
"""While draining: how long an idle connection may still bring a request, which is answered with `connection: close`.

One that is closed at once may have a request on its way, which would be lost."""

_OFFER = re.compile(rb"\r\nupgrade:", re.IGNORECASE)

_NO_WEBSOCKETS = Problem(kind="invalid_request", status=426, message="WebSockets are not served here; use HTTP with SSE.")
_HEADERS_TOO_LARGE = Problem(
    kind="invalid_request", status=431, message=f"Too many headers: {MAX_HEADERS} or {MAX_HEADER_BYTES} bytes at most."
)


class _Stop(Exception):
    """This request is answered with a problem, now."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


_Request: TypeAlias = tuple[bytes, bytes, dict[bytes, bytes], bytes, bool, bool]
"""Method, target, headers, body, whether to keep the connection, whether it is HTTP/1.0."""


class FastLane(asyncio.Protocol):
    """One client connection."""

    __slots__ = (
        "_app_state", "_config", "_connections", "_dead", "_drained", "_exchange", "_fields", "_head_out",
        "_headers", "_keep", "_loop", "_promised", "_old_http", "_parser", "_pieces", "_queue", "_quiet_bytes", "_raw",
        "_source", "_state", "_strand", "_target", "_weighed", "began", "gateway", "on_body", "on_header", "since", "sweeper",
        "transport", "unread", "waiting_body",
    )  # fmt: skip

    def __init__(
        self,
        config: "Config",
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._state = server_state
        self._connections = cast("set[object]", server_state.connections)  # duck-typed: uvicorn calls shutdown() on each
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self.gateway = gateway_within(config.loaded_app)
        self.transport: asyncio.Transport  # set by connection_made
        self._strand = Strand(self._loop)
        self._queue: list[_Request] = []
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
        self._dead = False
        self.began = 0.0
        """Monotonic seconds at which the request now arriving began."""
        self.since = 0.0
        """Monotonic seconds of the last sign of life in the present phase."""
        self.waiting_body = False
        """A request has begun and is not complete."""
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._weighed = -1
        """Bytes of the body when it was last weighed."""
        self._quiet_bytes = 0
        """How many have come since then that were none of it."""
        self._raw: bytes | None = b""
        self._fields: dict[bytes, bytes] = {}
        self._pieces: list[bytes | bytearray] = []
        self.on_header = self._fields.setdefault
        """The parser's callbacks for headers and for pieces of the body, and no Python in between. The first of several wins."""
        self.on_body = self._pieces.append
        self._parser = httptools.HttpRequestParser(self)

    # -- the connection ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        self._connections.add(self)
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
            self.transport.close()
        elif self.idle:
            self.transport.abort()  # a goodbye by TLS would wait for the client's, who keeps the connection for later

    def pause_writing(self) -> None:
        self.unread = True

    def resume_writing(self) -> None:
        self.unread = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        elif self._queue:
            self._loop.call_soon(self._start_queued)

    def eof_received(self) -> bool:
        return False

    # -- the request ---------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._dead:
            return
        self.since = self._loop.time()
        if self._raw is not None:
            self._raw = self._raw + data if self._raw else data
        try:
            self._parser.feed_data(data)
            if self._raw:
                if len(self._raw) > MAX_HEADER_BYTES:  # the head goes on and on
                    self._reject(_HEADERS_TOO_LARGE)
            elif self.waiting_body:
                self._weigh(len(data))
        except httptools.HttpParserUpgrade:
            # CONNECT, or an offer amid a packet: the request itself is served, and the connection ends with its answer.
            self._dead = True
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, _Handover):
                self._hand_over()
            elif isinstance(cause, _Offer):
                self._decline()
            elif isinstance(cause, _Stop):
                self._reject(cause.problem)
            else:
                self._reject(Problem(kind="invalid_request", message=f"Malformed HTTP request: {error}"))

    def _weigh(self, count: int) -> None:
        """`count` bytes more of a body that is not complete: is it too large, or in too many pieces?"""
        pieces = self._pieces
        size = sum(map(len, pieces))
        self._quiet_bytes = self._quiet_bytes + count if size == self._weighed else 0
        self._weighed = size
        if size > self.gateway.max_body_bytes:
            self._reject(self._too_large())
        elif self._quiet_bytes > MAX_QUIET_BYTES:
            self._reject(_HEADERS_TOO_LARGE)
        elif len(pieces) > MAX_PIECES:
            grown: bytes | bytearray = pieces[0]
            if not isinstance(grown, bytearray):
                grown = bytearray(grown)
            for piece in pieces[1:]:
                grown += piece  # in place
            pieces[:] = [grown]

    def on_message_begin(self) -> None:
        self.waiting_body = True
        self.began = self.since

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > MAX_HEADER_BYTES:
            raise _Stop(Problem(kind="invalid_request", status=414, message="The request target is too long."))

    def on_headers_complete(self) -> None:
        if self._exchange is None and self._target.startswith(self.gateway.asgi_prefixes):
            raise _Handover
        fields = self._fields
        headers = self._headers = {name.lower(): value for name, value in fields.items()}
        if len(headers) < len(fields):  # one name in two spellings: the first wins there too
            headers = self._headers = {name.lower(): fields[name] for name in reversed(fields)}
        fields.clear()
        large = self._raw is None or len(self._raw) > MAX_HEADER_BYTES
        if len(headers) > MAX_HEADERS or (large and sum(len(n) + len(v) + 4 for n, v in headers.items()) > MAX_HEADER_BYTES):
            raise _Stop(_HEADERS_TOO_LARGE)
        if b"upgrade" in headers:
            if headers[b"upgrade"].lower() == b"websocket":
                raise _Stop(_NO_WEBSOCKETS)
            if self._raw and self._parser.should_upgrade():
                raise _Offer
        self._raw = None
        self._weighed = -1
        length = headers.get(b"content-length")
        if length is not None and int(length) > self.gateway.max_body_bytes:
            raise _Stop(self._too_large())
        if self._exchange is None and b"expect" in headers and headers[b"expect"].lower() == b"100-continue":
            self.transport.write(framing.CONTINUE)

    def on_message_complete(self) -> None:
        pieces = self._pieces
        body = bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)
        if len(body) > self.gateway.max_body_bytes:  # its end came with what made it too large
            raise _Stop(self._too_large())
        pieces.clear()
        parser = self._parser
        target = self._target
        keep = parser.should_keep_alive() and not parser.should_upgrade()  # what follows an offer is not parsed any more
        request = (parser.get_method(), target, self._headers, body, keep, parser.get_http_version() == "1.0")
        self.waiting_body = False
        self._target = self._raw = b""
        if self._fields:  # trailers: nobody's, least of all the next request's
            self._fields.clear()
        if self._dead:
            return
        if self._exchange is not None or self._queue or self.unread:  # pipelined: wait, and read no more meanwhile
            self._queue.append(request)
            self.transport.pause_reading()
            return
        self._start(request)

    def _too_large(self) -> Problem:
        return Problem(kind="too_large", message=f"The request body is larger than {self.gateway.max_body_bytes} bytes.")

    # -- the answer ----------------------------------------------------------------------------------------------------------

    def _start(self, request: _Request) -> None:
        method, target, headers, body, keep, old = request
        self._keep = keep and self._keep and not old  # clients of 1.0 that would keep it wait for a word that 1.1 does not say
        self._old_http = old
        self._head_out = False
        exchange = self._exchange = self.gateway.inbound.exchange(method, target, headers, body)
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
        except asyncio.CancelledError:
            if self._source is not None:
                self._source.abort()
            self.transport.abort()
            raise
        except Exception:
            # Promised never to happen; if it does, the client must not wait for an answer that does not come.
            log.exception("request %s failed on a bug of ours", exchange.request_id)
            if self._source is not None:
                self._source.abort()
            self.transport.abort()
        finally:
            gateway.active -= 1
        self._next()

    def _write_whole(self, exchange: Exchange, reply: Reply) -> None:
        if self._head_out:  # the head of a stream is out: whatever came is told inside it
            problem = reply.problem
            wire = reply.body if problem is None else self.gateway.late_error(exchange, problem)
            self.transport.write(self._chunk(wire) + self._last())
            return
        date = self.sweeper.date_line
        bare = exchange.method == "HEAD"
        rid = exchange.request_id
        self.transport.write(
            framing.whole(reply.status, reply.headers, reply.body, request_id=rid, date=date, keep=self._keep, head_only=bare)
        )

    def _stream_head(self, exchange: Exchange, status: int, headers: bytes) -> bytes:
        if self._old_http:
            self._keep = False
        date = self.sweeper.date_line
        chunked = not self._old_http
        return framing.stream_head(status, headers, request_id=exchange.request_id, date=date, keep=self._keep, chunked=chunked)

    def _chunk(self, wire: bytes) -> bytes:
        return wire if self._old_http else framing.chunk(wire)

    def _last(self) -> bytes:
        return b"" if self._old_http else framing.LAST_CHUNK

    async def _write_stream(self, exchange: Exchange, reply: Reply, source: Source) -> None:
        write, write_lines = self.transport.write, self.transport.writelines
        head = b"" if self._head_out else self._stream_head(exchange, reply.status, reply.headers)
        old = self._old_http
        while (segment := await source.next()) is not None:
            wire = segment.wire
            if len(wire) > JOINED_BYTES:  # one write, and no copy of what is large
                write_lines((head, wire) if old else (b"%b%x\r\n" % (head, len(wire)), wire, b"\r\n"))
                head = b""
                self._head_out = True
            else:
                if not old:
                    wire = b"%x\r\n%b\r\n" % (len(wire), wire)
                if head:
                    wire = head + wire
                    head = b""
                    self._head_out = True
                write(wire)
            self.since = self._loop.time()
            if self.unread:
                await self._drain()
        if getattr(source, "broken", False):
            self.transport.abort()
        else:
            write(head + self._last())
        self._source = None

    async def _drain(self) -> None:
        self._drained = self._loop.create_future()
        await self._drained
        self._drained = None

    def keep_alive(self, now: float) -> None:
        """Called by the sweeper when nothing was written for `gateway.keepalive_s`."""
        exchange = self._exchange
        if self.unread or exchange is None:
            return
        if self._source is not None:  # its head leaves with its first segment: nothing may come before
            wire = cast("Any", self._source).keepalive() if self._head_out else b""
        elif not self._head_out and (early := self.gateway.early_head(exchange)) is not None:
            self._head_out = True
            self.transport.write(self._stream_head(exchange, 200, early))
            wire = self.gateway.early_ping(exchange)
        else:
            wire = self.gateway.early_ping(exchange) if self._head_out else b""
        if wire:
            self.transport.write(self._chunk(wire))
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
            self.transport.close()
        elif self._queue:
            if not self.unread:  # else when the client has read what is there
                self._loop.call_soon(self._start_queued)  # not now: a thousand in a row would be a thousand frames deep
        elif self._dead:
            self.transport.close()

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
        self.transport.write(framing.refusal(reply.status, reply.headers, reply.body, date=self.sweeper.date_line))
        # A close with bytes unread would reset the connection before the client has read why: read on and forget for a while.
        self._loop.call_later(LINGER_S, self.transport.close)

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
        self._connections.discard(self)
        self.sweeper.discard(self)
        protocol = HttpToolsProtocol(self._config, self._state, self._app_state, self._loop)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(raw)

    def _decline(self) -> None:
        """Parse anew without an offer of another protocol (h2c, as Java's client makes one): the parser would skip the body."""
        head, end, rest = (self._raw or b"").partition(b"\r\n\r\n")
        self._parser = httptools.HttpRequestParser(self)
        self._target = self._raw = b""
        self._fields.clear()
        self.data_received(_OFFER.sub(b"\r\nx-declined:", head) + end + rest)


def gateway_within(app: object) -> Gateway:
    """The gateway of an ASGI application, seen through whatever middleware the server put around it."""
    while not isinstance(gateway := getattr(app, "gateway", None), Gateway):
        app = getattr(app, "app", None)
        if app is None:
            raise TypeError("the fast lane serves an application made by gatewright.create_app()")
    return gateway


class _Handover(Exception):
    pass


class _Offer(Exception):
    pass
