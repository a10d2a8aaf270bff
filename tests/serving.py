"""A real gateway on a real socket, inside the test's own loop, and a scripted upstream beside it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace

from gatewright.app import generation_of
from gatewright.config import load_config
from gatewright.house import House
from gatewright.server.lane import FastLane

KEY = "gw-test-key"


class Upstream:
    """Answers with scripted bytes; keeps every request it got, and when clients hung up."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.closed = asyncio.Event()
        self.port = 0
        self.play: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None = None
        self.answers: list[list[bytes | float | asyncio.Event | None]] = []
        """One list per request: bytes to write, seconds or an event to wait for, None to cut the connection."""

    def serve_with(self, play: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
        """Let `play` answer from now on, connection by connection."""
        self.play = play

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.play is not None:
            await self.play(reader, writer)
            return
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                body = await reader.readexactly(length)
                self.requests.append(head + body)
                for step in self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]:
                    if step is None:
                        writer.transport.abort()
                        return
                    if isinstance(step, asyncio.Event):
                        await step.wait()
                        continue
                    if isinstance(step, float):
                        gone = asyncio.ensure_future(reader.read(1))
                        done, _ = await asyncio.wait((gone,), timeout=step)
                        if done:
                            self.closed.set()
                            return
                        gone.cancel()
                        continue
                    writer.write(step)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()
        finally:
            writer.close()

    def body(self, index: int = -1) -> bytes:
        return self.requests[index].partition(b"\r\n\r\n")[2]

    def head(self, index: int = -1) -> bytes:
        return self.requests[index].partition(b"\r\n\r\n")[0]


def answer(body: bytes, *, status: int = 200, content_type: str = "application/json", headers: str = "") -> bytes:
    """A whole HTTP answer."""
    return f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


def stream_head(headers: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{headers}transfer-encoding: chunked\r\n\r\n".encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


END = b"0\r\n\r\n"


@asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    up = Upstream()
    server = await asyncio.start_server(up.serve, "127.0.0.1", 0)
    up.port = server.sockets[0].getsockname()[1]
    try:
        yield up
    finally:
        server.close()


@asynccontextmanager
async def gateway(
    config_yaml: str, tmp_path, *, keepalive_s: float | None = None, keys: str = "", environ: Mapping[str, str] | None = None
) -> AsyncIterator[SimpleNamespace]:
    """The gateway that a configuration describes, listening on a free port. `keys`: more client keys, as YAML list items.
    `environ`: variables beside those that say where state is kept.
    """
    file = tmp_path / "gatewright.yaml"
    file.write_text(config_yaml + f"\nkeys: [{{name: test, key: {KEY}}}{keys and ', ' + keys}]\n")
    around = environ or {}
    config = load_config(file, {"XDG_STATE_HOME": str(tmp_path), "GATEWRIGHT_HOME": str(tmp_path), **around})
    house = House(generation_of(config, around))
    gw = house.current.gateway
    if keepalive_s is not None:
        gw.keepalive_s = keepalive_s
    state = SimpleNamespace(connections=set(), tasks=set(), total_requests=0, default_headers=[])
    wrapped = SimpleNamespace(loaded_app=SimpleNamespace(gateway=gw))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: FastLane(wrapped, state, {}, loop), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield SimpleNamespace(port=port, gateway=gw, state=state, house=house)
    finally:
        server.close()
        for lane in list(state.connections):
            lane.transport.abort()
        await asyncio.sleep(0)
        await house.close()


class Answer(SimpleNamespace):
    status: int
    headers: dict[str, str]
    body: bytes


async def call(
    port: int, path: str, body: bytes, *, method: str = "POST", headers: str | None = None, raw: bytes | None = None
) -> Answer:
    """One request on its own connection, read to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    auth = f"authorization: Bearer {KEY}\r\n" if headers is None else headers
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\n{auth}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(raw if raw is not None else head.encode() + body)
    try:
        return await read_answer(reader)
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """An answer; `broken` is set when the body did not end as its framing says."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = head.split("\r\n")
    headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:] if line)}
    status = int(lines[0].split(" ")[1])
    broken = False
    body = b""
    try:
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readline()
        else:
            body = await reader.readexactly(int(headers["content-length"]))
    except (asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
        body += getattr(error, "partial", b"")
        broken = True
    return Answer(status=status, headers=headers, body=body, broken=broken)
