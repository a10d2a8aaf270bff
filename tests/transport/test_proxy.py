"""Which proxy the environment asks for."""

import pytest

from gatewright.transport import proxy_for
from gatewright.transport.proxy import bypasses

P = "http://proxy:3128"


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://api.example", {}, None),
        ("https://api.example", {"HTTPS_PROXY": P}, P),
        ("https://api.example", {"HTTP_PROXY": P}, None),
        ("http://api.example", {"HTTP_PROXY": P}, P),
        ("http://api.example", {"HTTP_PROXY": P, "REQUEST_METHOD": "GET"}, None),
        ("http://api.example", {"http_proxy": P, "REQUEST_METHOD": "GET"}, P),
        ("https://api.example", {"ALL_PROXY": P}, P),
        ("https://api.example", {"ALL_PROXY": "http://other", "HTTPS_PROXY": P}, P),
        ("https://api.example", {"https_proxy": P, "HTTPS_PROXY": "http://other"}, P),
        ("https://api.example", {"https_proxy": "", "ALL_PROXY": P}, None),
        ("https://api.example", {"https_proxy": "proxy:3128"}, P),
        ("https://api.example", {"https_proxy": P, "NO_PROXY": "example"}, None),
        ("https://api.example", {"https_proxy": P, "no_proxy": "", "NO_PROXY": "example"}, P),
        ("https://api.example:8443", {"https_proxy": P, "NO_PROXY": "api.example:443"}, P),
        ("https://api.example", {"https_proxy": P, "NO_PROXY": "api.example:443"}, None),
        ("unix:///tmp/x", {"ALL_PROXY": P}, None),
    ],
)
def test_the_environment_chooses_the_proxy(url, environ, proxy):
    """By scheme first, then for all; lower case wins; a name set to nothing switches it off."""
    assert proxy_for(url, environ) == proxy


@pytest.mark.parametrize(
    ("host", "no_proxy", "straight"),
    [
        ("api.example.com", "*", True),
        ("api.example.com", "", False),
        ("api.example.com", ", ,", False),
        ("api.example.com", "example.com", True),
        ("api.example.com", ".example.com", True),
        ("api.example.com", "*.example.com", True),
        ("example.com", ".example.com", True),
        ("badexample.com", "example.com", False),
        ("example.com.evil", "example.com", False),
        ("API.Example.COM", "other, example.com", True),
        ("api.example.com.", "example.com", True),
        ("api.example.com", "localhost example.com", True),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:443", True),
        ("10.1.2.3", "10.1.2.3:80", False),
        ("10.1.2.3", "2.3", False),
        ("::1", "::1", True),
        ("::1", "[::1]", True),
        ("::1", "[::1]:443", True),
        ("::1", "[::1]:80", False),
        ("fd00::5", "fd00::/8", True),
        ("fd00::5", "10.0.0.0/8", False),
        ("api.example.com", "10.0.0.0/8", False),
    ],
)
def test_no_proxy(host, no_proxy, straight):
    """Names cover what is below them, addresses are compared as numbers, ports narrow."""
    assert bypasses(host, 443, no_proxy) is straight
