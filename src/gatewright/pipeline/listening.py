"""A flight's stream, as each of its listeners is given it: the leader's bytes as they came, the others' rendered for them."""

import asyncio
import sys
from typing import Final

from gatewright.dialects.protocol import StreamRenderer
from gatewright.exchange import Segment
from gatewright.ir.events import StreamEvent
from gatewright.pipeline.flight import Flight, Listener
from gatewright.pipeline.replay_answer import renamed
from gatewright.pipeline.replayed import Marker
from gatewright.pipeline.sources import BaseSource
from gatewright.pipeline.translated import TranslatedSource

ALL: Final = sys.maxsize
"""How far a listener has come who waits for nothing but the end."""


class _Ear:
    """A flight as an `Incoming` that gives no bytes, and as the `StreamParser` that knows what they mean."""

    status = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def __init__(self, listener: Listener, own_id: str = "") -> None:
        self._listener = listener
        self._own_id = own_id
        self._at = 0

    def header(self, name: bytes) -> bytes | None:
        return None

    async def next(self) -> bytes | None:
        flight = self._listener.flight
        while self._at == len(flight.events):
            if flight.ended:
                return None
            await self._listener.wait()
        return b"."

    async def read(self, max_bytes: int) -> bytes:
        raise NotImplementedError

    def feed(self, data: bytes) -> list[StreamEvent]:
        flight = self._listener.flight
        told = flight.events[self._at :]
        if self._at == 0:
            told = renamed(told, self._own_id)
        self._at = len(flight.events)
        self._listener.took(flight.size)
        return told

    def close(self) -> list[StreamEvent]:
        return []  # a flight tells its own end

    def abort(self) -> None:
        self._listener.leave()


class LedSource(BaseSource):
    """The leader's: the very segments that the call's own source gives."""

    __slots__ = ("_inner", "_listener")

    def __init__(self, listener: Listener, inner: BaseSource) -> None:
        super().__init__(_Ear(listener))
        self._listener = listener
        self._inner = inner

    async def _pull(self) -> Segment | None:
        listener = self._listener
        while not listener.pending:
            if listener.flight.ended:
                self._end()
                return None
            await listener.wait()
        segment = listener.pending.popleft()
        listener.took(listener.taken + len(segment.wire))
        self.content = self.content or self._inner.content
        return segment

    def _end(self) -> None:
        inner = self._inner
        self.problem = inner.problem
        self.broken = inner.broken or self._listener.flight.error is not None  # a bug of ours: no clean end then
        self.content = inner.content
        self.usage = self._listener.leave()
        super()._end()

    def spoken(self) -> int:
        return self._inner.spoken()

    def keepalive(self) -> bytes:
        return b"" if self._listener.pending or self.ended else self._inner.keepalive()


class JoinedSource(TranslatedSource):
    """Everybody else's: what the stream means, from its beginning, in the dialect of who listens."""

    __slots__ = ("_listener",)

    def __init__(self, listener: Listener, renderer: StreamRenderer, *, own_id: str, marker: Marker | None, sse: bool) -> None:
        ear = _Ear(listener, own_id)
        super().__init__(ear, ear, renderer, listener.exchange.request_id, marker=marker, sse=sse)
        self._listener = listener

    def _end(self) -> None:
        self.usage = self._listener.leave()
        super()._end()


async def until_ended(listener: Listener) -> Flight:
    """Wait for the whole answer. Who does so keeps no upstream waiting."""
    listener.took(ALL)
    try:
        while not listener.flight.ended:
            await listener.wait()
    except asyncio.CancelledError:
        listener.leave()
        raise
    return listener.flight


async def until_known(listener: Listener) -> Flight:
    """Wait until it is known what kind of answer comes."""
    try:
        while not (listener.flight.has_head or listener.flight.ended):
            await listener.wait()
    except asyncio.CancelledError:
        listener.leave()
        raise
    return listener.flight
