"""The `Transport` over HTTP/1.1: a pool of connections to one endpoint.

One rule: a request is written twice only when the first copy cannot have been processed. A server may close a
keep-alive connection at the moment we reuse it; its end then reaches us instead of an answer. So one retry, on a new
connection, when a *reused* connection ends within `STALE_RACE_S` of the request and before a single byte of an answer.
A server that dies later than that had the request in its hands: that is a `Cut`, and the caller's decision.
https://www.rfc-editor.org/rfc/rfc9112#name-retrying-requests
"""

import asyncio
import re

import msgspec

from gatewright.transport.answer import Answer
from gatewright.transport.connection import Connection
from gatewright.transport.dial import dial, peer_of, tls_context
from gatewright.transport.failures import Cut
from gatewright.transport.pool import Pool
from gatewright.transport.seam import Incoming, Outgoing

STALE_RACE_S = 2.0
"""Longer than any round trip, shorter than what a model needs before its server has something to lose."""

_BAD_IN_PATH = re.compile(rb"[\x00-\x20\x7f-\xff]")
_BODILESS_METHODS = frozenset({b"GET", b"HEAD", b"DELETE", b"OPTIONS"})


class HttpTransport:
    """Connections to one (scheme, host, port). Belongs to the event loop that first uses it."""

    def __init__(
        self,
        base_url: str,
        *,
        ca_file: str | None = None,
        with_system: bool = False,
        verify: bool = True,
        proxy: str | None = None,
        address: str = "",
        max_connections: int = 1024,
        idle_pool_s: float = 55.0,
    ) -> None:
        """`base_url`: only scheme, host and port count. `proxy`: an http:// URL, credentials in its userinfo.
        `with_system`: trust the system's authorities beside those of `ca_file`.
        `address`: an IP address to connect to in place of looking the host up; Host header and TLS keep the URL's host.

        Raises ValueError for a URL that cannot be used, OSError or ssl.SSLError for a `ca_file` that cannot be read.
        """
        target = msgspec.structs.replace(peer_of(base_url), address=address)
        via = peer_of(proxy) if proxy else None
        if via is not None and via.scheme != "http":
            raise ValueError(f"proxy {via.where}: expected an http:// URL, got {via.scheme}://")
        if via is not None and address:
            raise ValueError("a proxy looks names up itself: `address` and `proxy` exclude one another")
        self._target = target
        self._proxy = via
        self._context = tls_context(ca_file, verify=verify, with_system=with_system) if target.scheme == "https" else None
        self._host_line = b" HTTP/1.1\r\nhost: %b\r\n" % target.host_header
        self._path_prefix = b""
        if via is not None and target.scheme == "http":
            self._path_prefix = b"http://" + target.host_header
            if via.authorization:
                self._host_line += b"proxy-authorization: %b\r\n" % via.authorization
        self._last = (b"POST", b"\n", b"", b"")
        """Method, path and headers of the last call, and the head they came to: a model's calls differ in their bodies."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool = Pool(target.where, self._dial, max_connections=max_connections, idle_pool_s=idle_pool_s)

    async def send(self, outgoing: Outgoing) -> Incoming:
        head = self._head(outgoing)
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        now = loop.time()
        total_at = now + outgoing.timeouts.total_s
        conn = self._pool.take(now)
        if conn is None:
            conn = await self._pool.obtain(outgoing.timeouts)
            now = loop.time()
        answer = conn.begin(outgoing, head, total_at, now)
        if outgoing.trail is not None:
            outgoing.trail.wrote()
        try:
            while not answer.head_done:
                if answer.error is not None:
                    if not _is_stale_race(conn, answer, loop.time() - conn.written_at):
                        raise answer.error.again()
                    conn = await self._pool.obtain(outgoing.timeouts, retry=True)
                    conn.served = 0
                    answer = conn.begin(outgoing, head, total_at, loop.time())
                    if outgoing.trail is not None:
                        outgoing.trail.wrote()
                    continue
                await answer.arrival()
        except asyncio.CancelledError:
            answer.given_up()
            raise
        return answer

    def connections(self) -> tuple[int, int, int]:
        """Connections that are busy, and idle; and calls that wait for one."""
        return self._pool.counts()

    async def close(self) -> None:
        self._pool.close()

    async def _dial(self, home: Pool, seconds: float) -> Connection:
        return await dial(self._target, self._proxy, self._context, home, seconds)

    def _head(self, outgoing: Outgoing) -> bytes:
        method, path, headers = outgoing.method, outgoing.path, outgoing.headers
        last_method, last_path, last_headers, start = self._last
        if headers is not last_headers or path is not last_path or method is not last_method:
            if not path or _BAD_IN_PATH.search(path) is not None:
                raise ValueError("the path of a request must be percent-encoded ASCII without spaces")
            start = b"%b %b%b%b%b" % (method, self._path_prefix, path, self._host_line, headers)
            self._last = method, path, headers, start
        size = len(outgoing.body)
        if not size and method in _BODILESS_METHODS:
            return start + b"\r\n"
        return b"%bcontent-length: %d\r\n\r\n" % (start, size)


def _is_stale_race(conn: Connection, answer: Answer, elapsed_s: float) -> bool:
    return conn.served > 1 and not answer.heard and elapsed_s < STALE_RACE_S and isinstance(answer.error, Cut)
