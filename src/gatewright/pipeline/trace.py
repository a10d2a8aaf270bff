"""Trace: the outermost stage where exchanges are recorded, and what it puts around the legs to see what passes.

    client ◀─ TracedSource ◀─ settle … attempt ─ asks, heard ─▶ endpoint
                   │                                  │
                   └────────── Finished ◀─── Leg ─────┘──▶ record/trace_queue.py

One rule: it sees and never changes; without it in the stack nothing of this is there. References are kept, never copies.
"""

import time
from collections.abc import Callable
from typing import Protocol, TypeAlias, cast

from gatewright.errors import Problem
from gatewright.exchange import AttemptRecord, Client, Exchange, Next, Reply, Segment, Source
from gatewright.ir.blocks import DialectName
from gatewright.pipeline.endpoint import Endpoint
from gatewright.pipeline.passed import PassSource
from gatewright.record.trace_capture import Finished, Leg, Passed, Pieces
from gatewright.transport import Answer, Incoming


class Tap(Protocol):
    """Who keeps what goes to providers and comes from them."""

    def asks(  # noqa: PLR0917 - keywords cost, and every request asks so
        self,
        exchange: Exchange,
        endpoint: Endpoint,
        record: AttemptRecord,
        dialect: DialectName,
        method: str,
        path: str,
        headers: bytes,
        body: bytes,
        content_type: bytes = ...,
    ) -> bytes:
        """What is about to be sent, as `Endpoint.send` is told. Gives the header lines to send it with."""
        ...

    def heard(self, record: AttemptRecord, incoming: Incoming) -> Incoming:
        """The answer's head is there. Gives what to read the answer from."""
        ...


Onward: TypeAlias = Callable[[str, str, int], bytes]
"""A request's id, the client's `traceparent` and an attempt's number → a header line for the provider."""


End: TypeAlias = Callable[[Problem | None, Pieces | Passed], None]
"""Told once: what ended the answer, if it was an error, and what the client was told."""


class Records(Protocol):
    """Who is given exchanges that have ended: `record.trace_queue.Recording`."""

    def take(self, finished: Finished) -> None:
        """Must not raise or wait."""
        ...


class TraceStage:
    """Outermost: what it sees is what the client gets."""

    def __init__(self, records: Records, most: int, onward: Onward | None = None) -> None:
        """`most`: bytes of a body. `onward`: by which providers are told of the trace. None: they are not."""
        self.records = records
        self.most = most
        self.onward = onward

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        call = exchange.call  # it may be replaced beneath
        try:
            reply = await following(exchange)
        except BaseException:  # the client has left; `settle` lets nothing else through
            if is_traced(exchange):
                self.records.take(Finished(exchange, call, 499, None, b"", b"", time.monotonic()))
            raise
        if not is_traced(exchange):
            return reply
        if reply.source is None:
            self.records.take(Finished(exchange, call, reply.status, reply.problem, reply.headers, reply.body, time.monotonic()))
        else:

            def end(problem: Problem | None, told: Pieces | Passed) -> None:
                self.records.take(Finished(exchange, call, reply.status, problem, reply.headers, told, time.monotonic()))

            inner = reply.source
            reply.source = TracedPassing(inner, end) if is_kept_once(inner) else TracedSource(inner, Pieces(self.most), end)
        return reply

    def asks(  # noqa: PLR0917 - keywords cost, and every request asks so
        self,
        exchange: Exchange,
        endpoint: Endpoint,
        record: AttemptRecord,
        dialect: DialectName,
        method: str,
        path: str,
        headers: bytes,
        body: bytes,
        content_type: bytes = b"content-type: application/json\r\n",
    ) -> bytes:
        """As `Tap` says."""
        principal = exchange.principal
        if principal is None or not principal.traced:  # `is_traced`, uncalled
            return headers
        if self.onward is not None and record in exchange.attempts:
            named = exchange.call.headers.get("traceparent") or ""
            headers += self.onward(exchange.request_id, named, exchange.attempts.index(record) + 1)
        record.leg = Leg(
            dialect=dialect,
            method=method,
            path=path,
            sent=content_type + headers,
            body=body,
            most=self.most,
            secrets=endpoint.secrets,
            scrub=None if endpoint.credential is None else endpoint.scrub,
        )
        return headers

    def heard(self, record: AttemptRecord, incoming: Incoming) -> Incoming:
        """As `Tap` says."""
        leg = record.leg
        if not isinstance(leg, Leg):
            return incoming
        leg.status = incoming.status
        if type(incoming) is Answer:  # as nearly all: it keeps what is read itself, and nothing is in between
            leg.headers = incoming.fields.items()  # read where nobody waits
            incoming.keeper = leg
            return incoming
        leg.headers = incoming.headers
        return _TappedIncoming(incoming, leg)


def is_traced(exchange: Exchange) -> bool:
    """Whether somebody known asked, whose key does not forbid it."""
    principal = exchange.principal
    return principal is not None and principal.traced


def is_kept_once(source: Source) -> bool:
    """Whether what the client is told are the bytes that are kept of the provider's leg."""
    return type(source) is PassSource and type(source.incoming) is Answer and source.incoming.keeper is not None


class _Around:
    """Around the source that answers: every step goes on as it is."""

    __slots__ = ("_end", "_inner")

    def __init__(self, inner: Source, end: End) -> None:
        self._inner = inner
        self._end: End | None = end

    @property
    def ended(self) -> bool:
        return self._inner.ended

    @property
    def broken(self) -> bool:
        return bool(getattr(self._inner, "broken", False))

    def _told(self) -> Pieces | Passed:
        """What the client was told."""
        raise NotImplementedError

    def abort(self) -> None:
        self._inner.abort()
        self._finish()

    def keepalive(self) -> bytes:
        return self._inner.keepalive()

    def _finish(self) -> None:
        end, self._end = self._end, None  # it knows the reply that knows this: all that was kept would wait for a collection
        if end is not None:
            end(getattr(self._inner, "problem", None), self._told())


class TracedSource(_Around):
    """Of a source whose own bytes are kept, step by step."""

    __slots__ = ("_body", "_tee")

    def __init__(self, inner: Source, body: Pieces, end: End) -> None:
        super().__init__(inner, end)
        self._body = body
        self._tee: _Tee | None = None

    def _told(self) -> Pieces:
        return self._body

    async def next(self) -> Segment | None:
        segment = await self._inner.next()
        if segment is None:
            self._finish()
            return None
        self._body.add(segment.wire)
        if self._inner.ended:
            self._finish()
        return segment

    async def flow(self, client: Client) -> None:
        tee = self._tee
        if tee is None:
            tee = self._tee = _Tee(client, self._body)
        await self._inner.flow(tee)


class TracedPassing(_Around):
    """Of bytes that pass: they are kept once, as they come."""

    __slots__ = ()

    _inner: PassSource

    def _told(self) -> Passed:
        inner = self._inner
        leg = cast("Answer", inner.incoming).keeper
        assert isinstance(leg, Leg)
        return Passed(leg.pieces(), inner.edits, inner.passed)

    async def next(self) -> Segment | None:
        segment = await self._inner.next()
        if segment is None or self._inner.ended:
            self._finish()
        return segment

    async def flow(self, client: Client) -> None:
        await self._inner.flow(client)


class _Tee:
    """A client whose steps are kept as they are pushed."""

    __slots__ = ("_client", "push")

    def __init__(self, client: Client, body: Pieces) -> None:
        self._client = client
        self.push = body.before(client.push)

    @property
    def unread(self) -> bool:
        return self._client.unread


class _TappedIncoming:
    """An answer of any kind, which is kept as it is read."""

    __slots__ = ("_inner", "_leg", "status")

    def __init__(self, inner: Incoming, leg: Leg) -> None:
        self._inner = inner
        self._leg = leg
        self.status = inner.status

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return self._inner.headers

    def header(self, name: bytes) -> bytes | None:
        return self._inner.header(name)

    @property
    def over(self) -> bool:
        return bool(getattr(self._inner, "over", False))

    async def next(self) -> bytes | None:
        piece = await self._inner.next()
        if piece is not None:
            self._leg.pieces().add(piece)
        return piece

    async def read(self, max_bytes: int) -> bytes:
        body = await self._inner.read(max_bytes)
        if body:
            self._leg.whole(body)
        return body

    def abort(self) -> None:
        self._inner.abort()
