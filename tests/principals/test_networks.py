"""Networks as they are written, and addresses as they come."""

import pytest

from gatewright.principals.networks import address, network, within


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("2001:db8::/32", "2001:db8::1", "2001:db9::1"),
        ("::ffff:10.0.0.0/104", "10.9.9.9", "11.9.9.9"),
        ("0.0.0.0/0", "1.2.3.4", "::1"),
    ],
)
def test_networks_hold_what_is_within(text, inside, outside):
    """Of its own kind alone; an address of IPv4 in IPv6's clothes is one of IPv4."""
    assert within(address(inside), [network(text)])
    assert not within(address(outside), [network(text)])
    if "." in inside:
        assert within(address(f"::ffff:{inside}"), [network(text)])


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "example.com", "", "10.0.0.0-10.0.0.9", "*"])
def test_what_is_no_network_is_told(text):
    """A slip must not become a wider network."""
    with pytest.raises(ValueError, match=r"such as 10\.0\.0\.0/8"):
        network(text)


@pytest.mark.parametrize("text", ["", "x", "10.0.0", "10.0.0.1, 1.1.1.1", "unknown", "[::1]"])
def test_what_is_no_address_is_none(text):
    """Nobody is found in a network by a word."""
    assert address(text) is None
