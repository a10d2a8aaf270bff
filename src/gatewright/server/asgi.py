"""Plain ASGI: the way in for embedding, under any ASGI server, and for what the fast lane hands over."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from gatewright.errors import Problem
from gatewright.exchange import Exchange, Reply, Source
from gatewright.server.gateway import Gateway
from gatewright.server.reading import FORWARDED
from gatewright.server.sweep import Sweeper

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Lifespan: TypeAlias = Callable[[], Awaitable[None]]


class AsgiApp:
    """An ASGI 3 application around a gateway."""

    def __init__(self, gateway: Gateway, *, startup: Lifespan, shutdown: Lifespan) -> None:
        self.gateway = gateway
        self._startup = startup
        self._shutdown = shutdown

    def hand_on(self, gateway: Gateway) -> None:
        """Let `gateway` answer from now on; what runs goes on with the one that it began with. Within the event loop."""
        old, self.gateway = self.gateway, gateway
        Sweeper.of(asyncio.get_running_loop()).hand_on(old, gateway)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1003})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._startup()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._shutdown()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            low = name.lower()
            if low == FORWARDED and low in headers:  # a proxy adds a line of its own to those that its client has made up
                headers[low] += b", " + value
            else:
                headers.setdefault(low, value)
        method = scope["method"].encode("ascii")
        target = scope.get("raw_path") or scope["path"].encode("utf-8")
        if scope.get("query_string"):
            target = target + b"?" + scope["query_string"]
        body = await self._body(receive)
        if body is None:
            problem = Problem(kind="too_large", message=f"The request body is larger than {self.gateway.max_body_bytes} bytes.")
            await _whole(send, self.gateway.refusal(method, target, headers, problem), "-")
            return
        gateway = self.gateway
        exchange = gateway.exchange(method, target, headers, body)
        exchange.connection = _Client(scope.get("client"))
        gateway.active += 1
        try:
            await self._answered(gateway, exchange, receive, send)
        finally:
            gateway.active -= 1

    async def _answered(self, gateway: Gateway, exchange: Exchange, receive: Receive, send: Send) -> None:
        # ASGI servers do not cancel an application whose client left: watch for it ourselves.
        answer = asyncio.ensure_future(self._handled(gateway, exchange, send))
        left = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((answer, left), return_when=asyncio.FIRST_COMPLETED)
        finally:
            left.cancel()
            if not answer.done():
                answer.cancel()
        await asyncio.gather(answer, left, return_exceptions=True)

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body; None when it is larger than allowed."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise asyncio.CancelledError
            part = message.get("body", b"")
            size += len(part)
            if size > self.gateway.max_body_bytes:
                return None
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)

    async def _handled(self, gateway: Gateway, exchange: Exchange, send: Send) -> None:
        reply = await gateway.handle(exchange)
        if reply.source is None:
            await _whole(send, reply, exchange.request_id)
            return
        try:
            await _stream(send, reply, reply.source, exchange.request_id)
        finally:
            reply.source.abort()


class _Client:
    """The connection, as far as the server tells of it."""

    __slots__ = ("_peer",)

    def __init__(self, peer: object) -> None:
        self._peer = tuple(peer) if isinstance(peer, list | tuple) else None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._peer if name == "peername" else default


def _header_list(reply: Reply, request_id: str) -> list[tuple[bytes, bytes]]:
    pairs = [line.split(b": ", 1) for line in reply.headers.split(b"\r\n") if line]
    rid = request_id.encode("ascii")
    return [(name, value) for name, value in pairs] + [(b"x-request-id", rid), (b"request-id", rid)]


async def _whole(send: Send, reply: Reply, request_id: str) -> None:
    headers = [*_header_list(reply, request_id), (b"content-length", b"%d" % len(reply.body))]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _stream(send: Send, reply: Reply, source: Source, request_id: str) -> None:
    await send({"type": "http.response.start", "status": reply.status, "headers": _header_list(reply, request_id)})
    while (segment := await source.next()) is not None:
        await send({"type": "http.response.body", "body": segment.wire, "more_body": True})
    if getattr(source, "broken", False):
        raise ConnectionError("the upstream's stream broke and its framing cannot say so")
    await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
