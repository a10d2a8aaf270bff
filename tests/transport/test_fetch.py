"""Media is fetched from public addresses only, whatever a name says of itself."""

import asyncio

import pytest

from gatewright.transport.fetch import FetchRefused, MediaFetcher, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
        "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "192.0.2.1", "198.18.0.1", "240.0.0.1", "fe80::1%eth0",
    ],
)  # fmt: skip
def test_private_addresses_are_private_in_every_spelling(address):
    """Mapped, 6to4, NAT64, CGNAT, metadata: each was somebody's hole."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_public(address):
    """The rule must not refuse everything."""
    assert is_public(address)


@pytest.mark.parametrize(
    "url", ["ftp://example.com/x", "file:///etc/passwd", "http://", "http://example.com:notaport/", "//example.com/x"]
)
async def test_only_http_urls(url):
    """Nothing else is fetched."""
    with pytest.raises(FetchRefused):
        await MediaFetcher().fetch(url)


async def test_every_address_of_a_name_is_checked():
    """One private address among public ones is enough to refuse: the connection could go to it."""

    async def resolver(host, port):
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(FetchRefused, match="not a public address"):
        await MediaFetcher(resolver=resolver).fetch("http://example.com/x.png")


async def serve(answer: bytes):
    seen = []

    async def one(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1], seen


async def local(host, port):
    return ["127.0.0.1"]


async def test_an_allowed_host_is_fetched_at_the_checked_address():
    """The name goes into the request, the address that was checked gets the connection."""
    server, port, seen = await serve(b"HTTP/1.1 200 OK\r\ncontent-type: image/png; x=y\r\ncontent-length: 3\r\n\r\nPNG")
    fetcher = MediaFetcher(allow_hosts=frozenset({"pictures.example"}), resolver=local)
    assert await fetcher.fetch(f"http://pictures.example:{port}/a b?c=d e") == ("image/png", b"PNG")
    assert seen[0].startswith(b"GET /a%20b?c=d%20e HTTP/1.1\r\n")
    assert b"host: pictures.example:%d" % port in seen[0].lower()
    server.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 6\r\n\r\nsecret",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n" + b"x" * 2000,
    ],
)
async def test_redirects_errors_cuts_and_floods_are_refused_without_their_text(answer):
    """A refusal must not become a window into what is behind it."""
    server, port, _ = await serve(answer)
    fetcher = MediaFetcher(allow_hosts=frozenset({"pictures.example"}), max_bytes=1000, resolver=local)
    with pytest.raises(FetchRefused) as refused:
        await fetcher.fetch(f"http://pictures.example:{port}/x")
    assert "secret" not in str(refused.value)
    server.close()
