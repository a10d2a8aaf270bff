"""The page on this machine that a browser comes back to after a login: one request, its query, a word of farewell.

One rule: it listens on the loopback address only, for this one path, and for as long as the login lasts.
https://www.rfc-editor.org/rfc/rfc8252#section-7.3
"""

import asyncio
import html
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

HEAD_S = 5.0
MAX_HEAD = 16 << 10
_PAGE = "<!doctype html><meta charset=utf-8><title>Gatewright</title><p style='font: 1.2em sans-serif; margin: 3em'>{}"


class Redirect:
    """Waits for the browser."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._query: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.port = 0

    @property
    def uri(self) -> str:
        """What the identity server sends the browser to."""
        return f"http://127.0.0.1:{self.port}{self._path}"

    async def query(self) -> str:
        """The query that the browser brought."""
        return await asyncio.shield(self._query)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
            method, _, rest = head.decode("latin-1").partition(" ")
            target = rest.partition(" ")[0]
            path, _, query = target.partition("?")
            if method != "GET" or path != self._path:
                writer.write(_answer(404, "Nothing is here."))
            else:
                writer.write(_answer(200, "That is all: you can close this page and go back to the terminal."))
                if not self._query.done():
                    self._query.set_result(query)
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # browsers open connections that they never use
        finally:
            writer.close()


@asynccontextmanager
async def listening(path: str, port: int) -> AsyncIterator[Redirect]:
    """Listen on `port` of the loopback address; 0: any free one. Raises OSError."""
    redirect = Redirect(path)
    server = await asyncio.start_server(redirect.serve, "127.0.0.1", port, limit=MAX_HEAD)
    redirect.port = server.sockets[0].getsockname()[1]
    try:
        yield redirect
    finally:
        server.close()


def _answer(status: int, text: str) -> bytes:
    body = _PAGE.format(html.escape(text)).encode()
    return (
        f"HTTP/1.1 {status} X\r\ncontent-type: text/html; charset=utf-8\r\nreferrer-policy: no-referrer\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    ).encode() + body
