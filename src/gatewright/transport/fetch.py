"""Fetching an image or document that a client named by URL, for an upstream that takes no URLs. Off unless the operator says so.

One rule: a client must not make the gateway talk to anything but public addresses. Every address the name resolves to is checked,
the connection goes to the address that was checked, and redirects are not followed.
https://owasp.org/www-community/attacks/Server_Side_Request_Forgery
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

from gatewright.transport.client import HttpTransport
from gatewright.transport.failures import TransportError
from gatewright.transport.seam import Outgoing, Timeouts, header_lines

Resolver = Callable[[str, int], Awaitable[list[str]]]

_TIMEOUTS = Timeouts(connect_s=5, headers_s=10, first_event_s=10, idle_s=10, total_s=30)
_HEADERS = header_lines((("accept", "*/*"), ("user-agent", "gatewright")))
_SAFE = "/%:@!$&'()*+,;=-._~?"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class FetchRefused(Exception):
    """Why a URL was not fetched, in words for the client. Never what the target answered."""


def is_public(address: str) -> bool:
    """Whether an IP address is global unicast, looking through every way to write an IPv4 address inside an IPv6 one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback)


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of a name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class MediaFetcher:
    """GETs public URLs. One connection each: nothing is pooled across names."""

    def __init__(
        self, *, allow_hosts: frozenset[str] = frozenset(), max_bytes: int = 20 << 20, resolver: Resolver = resolve
    ) -> None:
        self.allow_hosts = allow_hosts
        """Hosts, in lower case, that may resolve to private addresses."""
        self.max_bytes = max_bytes
        self.resolver = resolver

    async def fetch(self, url: str) -> tuple[str, bytes]:
        """(media type, bytes). Raises FetchRefused."""
        parts = urlsplit(url)
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise FetchRefused("its port is not a number") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FetchRefused("only http and https URLs are fetched")
        address = await self._checked(parts.hostname.lower(), port)
        path = quote(parts.path or "/", safe=_SAFE) + (f"?{quote(parts.query, safe=_SAFE)}" if parts.query else "")
        transport = HttpTransport(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", address=address, max_connections=1)
        try:
            asked = Outgoing(method=b"GET", path=path.encode("ascii"), headers=_HEADERS, timeouts=_TIMEOUTS)
            incoming = await transport.send(asked)
            if incoming.status != 200:
                raise FetchRefused(f"its host answered {incoming.status}")
            media_type = (incoming.header(b"content-type") or b"").partition(b";")[0].strip().decode("latin-1")
            return media_type, await incoming.read(self.max_bytes)
        except TransportError as error:
            raise FetchRefused(f"it could not be read ({type(error).__name__})") from None
        finally:
            await transport.close()

    async def _checked(self, host: str, port: int) -> str:
        """One address of `host`, after checking all of them."""
        try:
            addresses = await self.resolver(host, port)
        except OSError:
            raise FetchRefused("its host cannot be resolved") from None
        if not addresses:
            raise FetchRefused("its host cannot be resolved")
        if host not in self.allow_hosts and not all(map(is_public, addresses)):
            raise FetchRefused("its host is not a public address")
        return addresses[0]
