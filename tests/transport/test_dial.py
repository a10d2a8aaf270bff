"""Connecting: TLS that verifies, proxies, and failures before anything was sent."""

import asyncio
import base64
import socket

import pytest

from gatewright.transport import ConnectFailed, Cut, TimedOut, TooLarge
from gatewright.transport.client import HttpTransport
from gatewright.transport.dial import _reason, peer_of
from tests.transport.certificates import Authority
from tests.transport.upstream import (
    CHUNKED,
    OK,
    always,
    answering,
    client,
    on_both_loops,
    post,
    silent,
    until,
    upstream,
    whole,
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def tls(authority):
    return authority.server(address="127.0.0.1")


@on_both_loops
async def test_tls_with_an_own_authority(authority, tls):
    """A private CA is trusted when it is named, keep-alive works, and only http/1.1 is spoken."""
    spoken = []

    async def script(peer):
        spoken.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await always(OK)(peer)

    async with upstream(script, tls=tls) as server, client(server.url, ca_file=authority.ca_file) as transport:
        for _ in range(2):
            assert await whole(await transport.send(post(body=b"x" * 1_000_000))) == (200, b"ok")
        assert spoken == ["http/1.1"]


@on_both_loops
async def test_an_unknown_authority_is_refused(tls):
    """The system's store does not know it: no request leaves."""
    async with upstream(always(OK), tls=tls) as server, client(server.url) as transport:
        with pytest.raises(ConnectFailed, match="its certificate is not trusted") as caught:
            await transport.send(post())
        assert (caught.value.phase, caught.value.sent) == ("connect", False)


@on_both_loops
async def test_a_certificate_for_another_host_is_refused(authority):
    """A valid certificate of somebody else is no better than none."""
    other = authority.server(name="other.example")
    async with upstream(always(OK), tls=other) as server, client(server.url, ca_file=authority.ca_file) as transport:
        with pytest.raises(ConnectFailed, match="its certificate is not trusted"):
            await transport.send(post())


@on_both_loops
async def test_an_address_that_was_checked_is_the_one_that_is_called(authority):
    """The name is not looked up again, and is still what the request and the certificate are about."""
    seen = []

    async def script(peer):
        seen.append((await peer.request())[0])
        await peer.send(OK)

    async with upstream(script, tls=authority.server(name="model.invalid")) as server:
        url, settings = f"https://model.invalid:{server.port}", {"ca_file": authority.ca_file, "address": "127.0.0.1"}
        async with client(url, **settings) as transport:
            assert await whole(await transport.send(post())) == (200, b"ok")
    assert b"\r\nhost: model.invalid:%d\r\n" % server.port in seen[0]
    with pytest.raises(ValueError, match="exclude one another"):
        HttpTransport("https://model.invalid", address="127.0.0.1", proxy="http://127.0.0.1:1")


@on_both_loops
async def test_verification_can_be_switched_off(authority):
    """For a laboratory; it has to be asked for."""
    other = authority.server(name="other.example")
    async with upstream(always(OK), tls=other) as server, client(server.url, verify=False) as transport:
        assert await whole(await transport.send(post())) == (200, b"ok")


@on_both_loops
async def test_plain_http_where_tls_was_expected():
    """The usual slip in a URL has a clear message."""

    async def script(peer):
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.gone()

    async with upstream(script) as server, client(server.url.replace("http:", "https:")) as transport:
        with pytest.raises(ConnectFailed, match="TLS failed"):
            await transport.send(post())


@on_both_loops
async def test_a_cut_inside_tls_is_a_cut(authority, tls):
    """Streams over TLS obey the same rules: a stop in the middle is an error, abort closes."""
    settings = {"ca_file": authority.ca_file}
    async with (
        upstream(answering(CHUNKED + b"2\r\nok\r\n", then="close"), tls=tls) as server,
        client(server.url, **settings) as transport,
    ):
        with pytest.raises(Cut):
            await whole(await transport.send(post()))
    async with upstream(answering(CHUNKED + b"2\r\nok\r\n"), tls=tls) as server, client(server.url, **settings) as transport:
        incoming = await transport.send(post())
        assert await incoming.next() == b"ok"
        incoming.abort()
        await server.all_gone()


@on_both_loops
async def test_a_slow_reader_slows_a_tls_server_too(authority, tls):
    """Back-pressure passes through the TLS layer, and read limits hold."""

    async def endless(peer):
        await peer.request()
        await peer.send(CHUNKED)
        while True:
            await peer.send(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")

    async with upstream(endless, tls=tls) as server, client(server.url, ca_file=authority.ca_file) as transport:
        incoming = await transport.send(post())
        await until(lambda: incoming.paused)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert incoming._size < 1024 * 1024
        with pytest.raises(TooLarge):
            await incoming.read(5_000_000)
        await server.all_gone()


@pytest.mark.parametrize("scheme", ["http", "https"])
@on_both_loops
async def test_nobody_listens(scheme):
    """Refused: said so, with host and port, and nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with client(f"{scheme}://127.0.0.1:{port}") as transport:
        with pytest.raises(ConnectFailed) as caught:
            await transport.send(post())
        assert str(caught.value) == f"127.0.0.1:{port}: connection refused"
        assert (caught.value.phase, caught.value.sent, caught.value.problem.kind) == ("connect", False, "upstream")


@on_both_loops
async def test_a_handshake_that_stalls_is_given_up():
    """`connect_s` covers TLS: a listener that says nothing is as good as none. The half-open connection is closed."""
    async with upstream(silent) as server, client(server.url.replace("http:", "https:")) as transport:
        with pytest.raises(TimedOut) as caught:
            await transport.send(post(connect_s=0.05))
        assert (caught.value.phase, caught.value.sent, caught.value.problem.kind) == ("connect", False, "timeout")
        assert str(caught.value) == f"127.0.0.1:{server.port}: no connection within 0.05 s"
        await server.all_gone()


@on_both_loops
async def test_a_cancelled_connect_leaves_nothing_behind():
    """Neither a socket nor a slot."""
    async with upstream(silent) as server, client(server.url.replace("http:", "https:"), max_connections=1) as transport:
        sending = asyncio.ensure_future(transport.send(post()))
        await until(lambda: server.peers)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert transport._pool._slots == 0
        await server.all_gone()


@on_both_loops
async def test_http_through_a_proxy():
    """The whole URL goes to the proxy, with the credentials of its own URL."""
    seen = []

    async def proxy(peer):
        seen.append((await peer.request())[0])
        await peer.send(OK)

    async with upstream(proxy) as server:
        url = f"http://user:p%40ss@127.0.0.1:{server.port}"
        async with client("http://model.example:8080", proxy=url) as transport:
            assert await whole(await transport.send(post(b"/v1/x?y=1"))) == (200, b"ok")
    assert seen[0].startswith(b"POST http://model.example:8080/v1/x?y=1 HTTP/1.1\r\nhost: model.example:8080\r\n")
    assert b"\r\nproxy-authorization: Basic " + base64.b64encode(b"user:p@ss") + b"\r\n" in seen[0]


def tunnel(port, seen):
    """A proxy that connects to `port`, whatever it is asked for."""

    async def script(peer):
        seen.append((await peer.request())[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await peer.send(b"HTTP/1.1 200 Connection established\r\nx: y\r\n\r\n")

        async def copy(source, target):
            while data := await source.read(65536):
                target.write(data)
            target.write_eof()

        try:
            await asyncio.gather(copy(peer.reader, writer), copy(reader, peer.writer))
        finally:
            writer.transport.abort()

    return script


@on_both_loops
async def test_https_through_a_proxy(authority, tls):
    """A tunnel, and inside of it TLS with the server itself: the proxy sees neither path nor key."""
    asked, seen = [], []

    async def script(peer):
        for _ in range(2):
            seen.append((await peer.request())[0])
            await peer.send(OK)
        await silent(peer)

    async with upstream(script, tls=tls) as server, upstream(tunnel(server.port, asked)) as proxy:
        url = f"http://user:pass@127.0.0.1:{proxy.port}"
        async with client(server.url, proxy=url, ca_file=authority.ca_file) as transport:
            for _ in range(2):
                assert await whole(await transport.send(post(b"/secret"))) == (200, b"ok")
    where = b"127.0.0.1:%d" % server.port
    credentials = base64.b64encode(b"user:pass")
    assert asked == [b"CONNECT %b HTTP/1.1\r\nhost: %b\r\nproxy-authorization: Basic %b\r\n\r\n" % (where, where, credentials)]
    assert all(head.startswith(b"POST /secret HTTP/1.1\r\nhost: %b\r\n" % where) for head in seen)
    assert b"proxy-authorization" not in seen[0]


@on_both_loops
async def test_a_tunnel_to_the_wrong_host_is_refused(authority):
    """A proxy that leads elsewhere does not get the request."""
    other = authority.server(name="other.example")
    async with (
        upstream(always(OK), tls=other) as server,
        upstream(tunnel(server.port, [])) as proxy,
        client(server.url, proxy=proxy.url, ca_file=authority.ca_file) as transport,
    ):
        with pytest.raises(ConnectFailed, match="its certificate is not trusted"):
            await transport.send(post())
        await server.all_gone()


REFUSALS = {
    "refused": (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", "stay", "status 403 to CONNECT"),
    "credentials": (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "stay", "status 407 to CONNECT"),
    "not http": (b"hello\r\n\r\n", "stay", "something that is not HTTP"),
    "endless head": (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 50_000, "stay", "an endless head"),
    "bytes of its own": (b"HTTP/1.1 200 OK\r\n\r\nhello", "stay", "bytes of its own after CONNECT"),
    "closed": (b"HTTP/1.1 2", "close", "a closed connection"),
    "reset": (b"HTTP/1.1 2", "reset", "a closed connection"),
}


@pytest.mark.parametrize("case", REFUSALS)
@on_both_loops
async def test_a_proxy_that_refuses(case):
    """The message names the proxy and what it said, and never its password."""
    answer, then, said = REFUSALS[case]
    async with upstream(answering(answer, then=then)) as proxy:
        url = f"http://user:hunter2@127.0.0.1:{proxy.port}"
        async with client("https://model.example", proxy=url) as transport:
            with pytest.raises(ConnectFailed) as caught:
                await transport.send(post())
            assert str(caught.value).startswith(
                f"model.example:443 through proxy 127.0.0.1:{proxy.port}: the proxy answered with {said}"
            )
            assert "hunter2" not in str(caught.value)
            assert not caught.value.sent
        await proxy.all_gone()


@on_both_loops
async def test_a_proxy_that_stalls():
    """`connect_s` covers CONNECT too."""
    async with upstream(silent) as proxy, client("https://model.example", proxy=proxy.url) as transport:
        with pytest.raises(TimedOut, match=r"model.example:443: no connection within 0.05 s"):
            await transport.send(post(connect_s=0.05))
        await proxy.all_gone()


def test_only_http_proxies():
    """A kind of proxy we do not speak is refused at the start, not at the first request."""
    for url in ("socks5://127.0.0.1:1080", "https://user:hunter2@proxy:3128"):
        with pytest.raises(ValueError, match="expected an http") as caught:
            HttpTransport("https://model.example", proxy=url)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "where", "host"),
    [
        ("https://api.example", "api.example:443", b"api.example"),
        ("http://API.example:80/v1", "api.example:80", b"api.example"),
        ("http://api.example:8080", "api.example:8080", b"api.example:8080"),
        ("https://[::1]", "[::1]:443", b"[::1]"),
        ("http://[::1]:8080", "[::1]:8080", b"[::1]:8080"),
        ("https://bücher.example", "xn--bcher-kva.example:443", b"xn--bcher-kva.example"),
    ],
)
def test_hosts_are_named_as_the_standard_says(url, where, host):
    """Without the default port, IPv6 in brackets, other scripts in punycode."""
    peer = peer_of(url)
    assert (peer.where, peer.host_header) == (where, host)


def test_a_name_that_does_not_resolve():
    """The resolver's own words, without a number."""
    assert _reason(socket.gaierror(-2, "Name or service not known")) == "its name cannot be resolved (Name or service not known)"
