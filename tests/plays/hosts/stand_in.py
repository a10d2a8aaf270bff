"""Every host of the world, on loopback: a proxy that answers in place of whom it is asked to reach, with TLS where they have it.

One rule: the gateway is configured as for the real host; only the proxy and the authority that vouches for it are the test's.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.transport.certificates import Authority


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request as a host would have seen it."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.body)


class World:
    """Answers every request with `answer`: ready bytes of an HTTP/1.1 answer."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.seen: list[Seen] = []
        self.answer = b""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            origin = "http://"
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
                if method == "CONNECT":
                    name = target.rpartition(":")[0]
                    origin = f"https://{name}"
                    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                    await writer.drain()
                    await writer.start_tls(self.authority.server(name=name))
                    continue
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                url = target if target.startswith("http://") else origin + target
                assert url.split("/")[2].removesuffix(":443") == headers["host"]
                self.seen.append(Seen(method=method, url=url, headers=headers, body=body))
                writer.write(self.answer)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def world(authority: Authority) -> AsyncIterator[World]:
    found = World(authority)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
