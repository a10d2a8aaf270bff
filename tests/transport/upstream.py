"""Loopback servers that misbehave on purpose, and the loops to meet them on.

One rule: a script sees real sockets and says exactly which bytes leave when; nothing is patched.
"""

import asyncio
import contextlib
import functools
import inspect
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from gatewright.transport import HttpTransport, Outgoing, Timeouts, header_lines

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def on_both_loops(test):
    """Run a coroutine test on asyncio's own loop and on uvloop; an exception lost in a callback fails it."""

    def run(loop_factory, **arguments):
        lost = []
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: lost.append(context))
            runner.run(asyncio.wait_for(test(**arguments), 20))
        assert lost == []

    functools.update_wrapper(run, test)
    del run.__wrapped__
    loop = inspect.Parameter("loop_factory", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = inspect.Signature([*inspect.signature(test).parameters.values(), loop])
    return pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])(
        run
    )


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.left = asyncio.get_running_loop().create_future()

    async def request(self):
        """Head and body of the next request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return head, await self.reader.readexactly(int(length or 0))

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()
        await asyncio.sleep(0)  # `drain` need not yield: an endless script would keep the loop from ever learning of the end

    def close(self):
        self.writer.close()

    def reset(self):
        """Close with RST instead of FIN."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self):
        """Until the client has closed or reset the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Script = Callable[[Peer], Awaitable[None]]


class Upstream:
    """What the test may ask of its server."""

    def __init__(self, port, scheme):
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.peers = []
        """One for each connection accepted, in order."""
        self.requests = []
        """(head, body) of each request that `answering` has read."""
        self.ended = asyncio.Condition()
        self.over = 0

    async def all_gone(self):
        """Until every connection accepted so far is over."""
        async with self.ended:
            await self.ended.wait_for(lambda: self.over == len(self.peers))


@contextlib.asynccontextmanager
async def upstream(*scripts: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    """A server that plays `scripts`, the first for the first connection and so on, the last for all that follow."""
    tasks = set()

    async def accepted(reader, writer):
        tasks.add(asyncio.current_task())
        peer = Peer(reader, writer)
        script = scripts[min(len(server.peers), len(scripts) - 1)]
        server.peers.append(peer)
        try:
            await script(peer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.transport.abort()
            async with server.ended:
                server.over += 1
                server.ended.notify_all()

    listening = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=tls)
    server = Upstream(listening.sockets[0].getsockname()[1], "https" if tls else "http")
    try:
        yield server
    finally:
        listening.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(*answers: bytes, then: str = "stay") -> Script:
    """Read a request and send an answer, for each answer; then `stay`, `close` or `reset`. The last is not repeated."""

    async def script(peer):
        for answer in answers:
            await peer.request()
            await peer.send(answer)
        match then:
            case "stay":
                await peer.gone()
            case "close":
                peer.close()
            case "reset":
                peer.reset()

    return script


def always(answer: bytes) -> Script:
    """The same answer to every request."""

    async def script(peer):
        while True:
            await peer.request()
            await peer.send(answer)

    return script


async def silent(peer):
    """Read everything, answer nothing."""
    await peer.gone()


@contextlib.asynccontextmanager
async def client(url: str, **settings) -> AsyncIterator[HttpTransport]:
    transport = HttpTransport(url, **settings)
    try:
        yield transport
    finally:
        await transport.close()
        assert transport._pool._slots == 0, "a slot leaked"


def post(path=b"/v1/x", body=b"{}", method=b"POST", **timeouts) -> Outgoing:
    return Outgoing(method, path, header_lines([("content-type", "application/json")]), body, Timeouts(**timeouts))


async def whole(incoming, limit=1 << 30):
    return incoming.status, await incoming.read(limit)


async def until(condition):
    """Let the loop turn until something holds."""
    while not condition():
        await asyncio.sleep(0.001)
