"""The lab's upstreams: one listening socket for all targets, and two that never let anybody in.

The first segment of a path names a target; what is played to each is a list of steps, made anew for every call.
One rule: a call counts as seen when its last byte was read, and each is kept with the moment it came.
"""

import asyncio
import contextlib
import select
import socket
import struct
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal, NamedTuple

from gatewright.ir.blocks import DialectName
from tests.faults import saying
from tests.serving import END, answer, chunk

HANG_UP: Final = "hang up"
"""Close the connection, in good order."""
RESET: Final = "reset"
"""Break the connection off."""
AMBUSH: Final = "ambush"
"""Read nothing more; when the next request has come, break the connection off unread."""
Step = bytes | float | Literal["hang up", "reset", "ambush"]
"""Bytes to write, seconds to wait (less when the other side leaves), or how to end the connection."""


class Asked(NamedTuple):
    """One call, as a play sees it."""

    dialect: DialectName
    stream: bool
    count: int
    """Calls of this target before this one."""
    text: str
    """What its healthy answer says."""
    body: bytes = b""


Play = Callable[[Asked], Iterable[Step]]


def stream_head(dialect: DialectName, headers: str = "") -> bytes:
    kind = saying.content_type(dialect, stream=True)
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{headers}transfer-encoding: chunked\r\n\r\n".encode()


def healthy(asked: Asked) -> Sequence[Step]:
    """A good answer."""
    if asked.stream:
        return [stream_head(asked.dialect), *map(chunk, saying.events(asked.dialect, asked.text)), END]
    return [answer(saying.whole(asked.dialect, asked.text))]


class Target(NamedTuple):
    """What stands behind one first segment of the paths."""

    dialect: DialectName
    text: str
    play: Play


class Upstreams:
    """Plays to whoever calls, and keeps when."""

    def __init__(self) -> None:
        self.port = 0
        self.targets: dict[str, Target] = {}
        self.calls: defaultdict[str, list[float]] = defaultdict(list)
        """Target → when each of its calls had been read, in seconds of the loop's clock."""
        self.written: defaultdict[str, int] = defaultdict(int)
        """Target → bytes that the other side took."""
        self.open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One call; whether the connection stays."""
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        path = lines[0].split(" ")[1]
        length = next((int(line[15:]) for line in lines if line.lower().startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        name = path.split("/")[1]
        target = self.targets[name]
        seen = self.calls[name]
        seen.append(asyncio.get_running_loop().time())
        stream = b'"stream":true' in body.replace(b" ", b"") or "streamGenerateContent" in path or "converse-stream" in path
        for step in target.play(Asked(target.dialect, stream, len(seen) - 1, target.text, body)):
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
                self.written[name] += len(step)
            elif isinstance(step, float):
                if await left_within(reader, step):
                    return False
            else:
                if step == AMBUSH:
                    await lie_in_wait(writer)
                if step != HANG_UP:
                    reset(writer)
                return False
        return True


async def left_within(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Wait; whether the other side left meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            await reader.read(1)
    except TimeoutError:
        return False
    return True


async def lie_in_wait(writer: asyncio.StreamWriter) -> None:
    """Until bytes wait on the socket that nobody will read."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    poll = select.poll()
    poll.register(writer.get_extra_info("socket").fileno(), select.POLLIN)
    until = time.monotonic() + 20
    while not poll.poll(0) and time.monotonic() < until:
        await asyncio.sleep(0.002)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the peer is told of a reset, whatever was read."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def upstreams() -> AsyncIterator[Upstreams]:
    ups = Upstreams()
    server = await asyncio.start_server(ups.serve, "127.0.0.1", 0, limit=1 << 24)
    ups.port = server.sockets[0].getsockname()[1]
    try:
        yield ups
    finally:
        server.close()
        for writer in tuple(ups.open):
            writer.transport.abort()
        await asyncio.sleep(0.02)


@contextlib.contextmanager
def full_backlog():
    """The port of a socket whose queue is full: the kernel answers no connection there. Linux lets one more in than is asked."""
    with contextlib.ExitStack() as held:
        listening = held.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


@contextlib.contextmanager
def closed_port():
    """A port that nobody listens on, and that nobody else is given meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
