"""Where a request came from, as far as anybody can be believed.

One rule: the socket's other end is the only witness. What a header says counts where that end is a proxy which the operator
trusts, and then only as far back as proxies that are trusted have written it.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from gatewright.exchange import Network

Address: TypeAlias = IPv4Address | IPv6Address


def network(text: str) -> Network:
    """`10.0.0.0/8`, `2001:db8::/32`, or one address. Raises ValueError that says what was expected."""
    try:
        found = ip_network(text.strip(), strict=True)
    except ValueError as error:
        raise ValueError(f'expected a network such as 10.0.0.0/8, or an address, got "{text[:60]}" ({error})') from None
    mapped = found.network_address.ipv4_mapped if isinstance(found, IPv6Network) else None
    return ip_network(f"{mapped}/{found.prefixlen - 96}") if mapped is not None and found.prefixlen >= 96 else found


def address(text: str) -> Address | None:
    """An address without its zone; one of IPv4 that is written as one of IPv6 is itself. None: it is none."""
    try:
        found = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def within(found: Address, networks: Sequence[Network]) -> bool:
    return any(found.version == one.version and found in one for one in networks)


def caller(peer: str, forwarded: str, trusted: Sequence[Network]) -> Address | None:
    """Whose request it is. `peer`: the socket's other end; `forwarded`: all of `x-forwarded-for`, in the order it came.

    Read from its end, where the nearest proxy has written: the first that is not trusted is the caller. None: nobody can say.
    """
    found = address(peer)
    if found is None or not trusted or not within(found, trusted):
        return found
    for part in reversed(forwarded.split(",")) if forwarded.strip() else ():
        text = part.strip()
        if text.startswith("["):  # [2001:db8::1]:443
            text = text[1:].partition("]")[0]
        elif text.count(":") == 1:  # 192.0.2.1:443
            text = text.partition(":")[0]
        found = address(text)
        if found is None or not within(found, trusted):
            return found
    return found
