"""Which proxy the environment asks for: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, in either case.

One rule: a pure function of the URL and the environment given. There is no standard; this is what curl, Go and Python agree on.
https://everything.curl.dev/usingcurl/proxies/env.html
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

_DEFAULT_PORT = {"http": 80, "https": 443}


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy's URL for `url`, or None to connect straight.

    The lower-case name wins. HTTP_PROXY in upper case is ignored where REQUEST_METHOD is set: a CGI client could have
    sent it as a header (CVE-2016-5385).
    """
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in _DEFAULT_PORT or not host:
        return None
    upper = f"{parts.scheme.upper()}_PROXY"
    forged = upper == "HTTP_PROXY" and "REQUEST_METHOD" in environ
    names = (upper.lower(), *(() if forged else (upper,)), "all_proxy", "ALL_PROXY")
    # A name that is set but empty means: no proxy, whatever the wider ones say.
    found = next((environ[name].strip() for name in names if name in environ), "")
    if not found:
        return None
    exceptions = environ.get("no_proxy", environ.get("NO_PROXY", ""))
    if bypasses(host, parts.port or _DEFAULT_PORT[parts.scheme], exceptions):
        return None
    return found if "://" in found else f"http://{found}"


def bypasses(host: str, port: int, no_proxy: str) -> bool:
    """Whether NO_PROXY lists a host: `*`, names and what is below them, addresses, CIDR blocks; each with an optional port."""
    host = host.rstrip(".").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    return any(_covers(entry, host, port, address) for entry in no_proxy.replace(",", " ").lower().split())


def _covers(entry: str, host: str, port: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if entry == "*":
        return True
    name, only_port = _split_port(entry)
    if only_port is not None and only_port != port:
        return False
    if address is not None:
        try:
            network = ipaddress.ip_network(name, strict=False)
        except ValueError:
            return False
        return address in network
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _split_port(entry: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address or block."""
    if entry.startswith("["):
        inside, _, rest = entry[1:].partition("]")
        return inside, int(rest[1:]) if rest[1:].isdigit() else None
    name, colon, port = entry.rpartition(":")
    if colon and ":" not in name and port.isdigit():
        return name, int(port)
    return entry, None
