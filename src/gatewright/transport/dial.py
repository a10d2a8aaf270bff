"""Opening a connection: name lookup and TCP by the loop, through a proxy where there is one, TLS on top.

One rule: nothing of a request is sent here, so every failure is safe to repeat.
https://www.rfc-editor.org/rfc/rfc9110#name-connect
"""

import asyncio
import base64
import functools
import socket
import ssl
from urllib.parse import unquote, urlsplit

import msgspec

from gatewright.transport.connection import Connection, Home
from gatewright.transport.failures import ConnectFailed, TimedOut

MAX_PROXY_HEAD_BYTES = 16384
_DEFAULT_PORT = {"http": 80, "https": 443}


class Peer(msgspec.Struct, frozen=True):
    """Where an http(s) URL points."""

    scheme: str
    host: str
    port: int
    address: str = ""
    """Connect here, whatever the name resolves to. Empty: look the name up."""
    authorization: bytes = b""
    """`Basic …` from the URL's userinfo; only a proxy's is ever used."""

    @property
    def where(self) -> str:
        """host:port, IPv6 in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def host_header(self) -> bytes:
        where = self.where
        return (where.rpartition(":")[0] if self.port == _DEFAULT_PORT[self.scheme] else where).encode("ascii")


def peer_of(url: str) -> Peer:
    """Raises ValueError, without the URL's userinfo, when it is not an http(s) URL with a host."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in _DEFAULT_PORT or not parts.hostname:
        raise ValueError(f"expected an http:// or https:// URL with a host, got scheme {parts.scheme!r}")
    host = parts.hostname
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    authorization = b""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = b"Basic " + base64.b64encode(pair.encode())
    return Peer(scheme=parts.scheme, host=host, port=parts.port or _DEFAULT_PORT[parts.scheme], authorization=authorization)


@functools.cache
def tls_context(ca_file: str | None, *, verify: bool, with_system: bool = False) -> ssl.SSLContext:
    """Shared by every endpoint with the same settings: a system store takes milliseconds and memory to load.

    `with_system`: the system's authorities are trusted beside those of `ca_file`, not only in its absence.
    Raises OSError or ssl.SSLError when `ca_file` cannot be read.
    """
    context = ssl.create_default_context(cafile=None if with_system else ca_file)
    if with_system and ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


async def dial(target: Peer, proxy: Peer | None, context: ssl.SSLContext | None, home: Home, seconds: float) -> Connection:
    """A connection ready for requests to `target`. Raises `ConnectFailed` or `TimedOut`; closes what it had opened."""
    conn = Connection(home, asyncio.get_running_loop())
    try:
        async with asyncio.timeout(seconds):
            if proxy is not None and target.scheme == "https":
                await _connect_through(target, proxy, context, conn)
            else:
                await _connect(proxy or target, context, conn)
        _tune(conn)
    except TimeoutError:
        conn.discard()
        raise TimedOut(f"{home.where}: no connection within {seconds:g} s", phase="connect", sent=False) from None
    except OSError as error:
        conn.discard()
        via = f" through proxy {proxy.where}" if proxy is not None else ""
        raise ConnectFailed(f"{home.where}{via}: {_reason(error)}", phase="connect", sent=False) from error
    except BaseException:
        conn.discard()
        raise
    return conn


async def _connect(peer: Peer, context: ssl.SSLContext | None, conn: Connection) -> None:
    loop = asyncio.get_running_loop()
    tls = context if peer.scheme == "https" else None
    name = peer.host if tls is not None else None
    await loop.create_connection(lambda: conn, peer.address or peer.host, peer.port, ssl=tls, server_hostname=name)


async def _connect_through(target: Peer, proxy: Peer, context: ssl.SSLContext | None, conn: Connection) -> None:
    assert context is not None
    loop = asyncio.get_running_loop()
    tunnel = _Tunnel(loop)
    wire, _ = await loop.create_connection(lambda: tunnel, proxy.host, proxy.port)
    try:
        credentials = b"proxy-authorization: %b\r\n" % proxy.authorization if proxy.authorization else b""
        where = target.where.encode("ascii")
        wire.write(b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (where, where, credentials))
        await tunnel.opened
        secure = await loop.start_tls(wire, conn, context, server_hostname=target.host)
    except BaseException:
        wire.abort()
        raise
    if secure is None:
        raise ConnectionResetError("closed during the TLS handshake")
    conn.connection_made(secure)


class _Tunnel(asyncio.Protocol):
    """Waits for the proxy's answer to CONNECT."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.opened: asyncio.Future[None] = loop.create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        if self.opened.done():
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > MAX_PROXY_HEAD_BYTES:
                self._fail("an endless head")
            return
        version, _, rest = self._head.partition(b" ")
        status = rest[:3]
        if not version.startswith(b"HTTP/1.") or not status.isdigit():
            self._fail("something that is not HTTP")
        elif not status.startswith(b"2"):
            self._fail(f"status {status.decode()} to CONNECT")
        elif end + 4 != len(self._head):
            self._fail("bytes of its own after CONNECT")
        else:
            self.opened.set_result(None)

    def eof_received(self) -> None:
        self._fail("a closed connection")

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"a closed connection ({exc})" if exc else "a closed connection")

    def _fail(self, what: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"the proxy answered with {what}"))
            self.opened.exception()  # read here: a cancelled `dial` no longer will


def _tune(conn: Connection) -> None:
    """Small writes leave at once; a peer that vanished is found out even while nothing is due."""
    sock = conn.socket()
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _reason(error: OSError) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message})"
        case ssl.SSLError():
            return f"TLS failed ({error.reason or 'closed during the handshake'})"
        case socket.gaierror():
            return f"its name cannot be resolved ({error.strerror})"
        case ConnectionRefusedError():
            return "connection refused"
        case _:
            return error.strerror or str(error) or type(error).__name__
