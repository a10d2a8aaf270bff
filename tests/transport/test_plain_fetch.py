"""Servers that issue credentials are asked once, within a time, and named when they fail."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from gatewright.errors import UpstreamFailed
from gatewright.transport.plain_fetch import PlainFetch
from tests.transport.certificates import Authority
from tests.transport.upstream import OK, always, upstream


@asynccontextmanager
async def server(answer, *, hangs=False):
    seen = []
    running = set()

    async def one(reader, writer):
        running.add(asyncio.current_task())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        seen.append((head, await reader.readexactly(length)))
        if hangs:
            await reader.read()  # until the other side gives up
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1], seen
    finally:
        listening.close()
        if running:
            await asyncio.wait(running, timeout=1)


async def test_a_request_and_its_answer():
    """Method, path, headers and body as given; the answer read whole, its headers in lower case."""
    async with server(b"HTTP/1.1 201 X\r\nX-One: 1\r\ncontent-length: 2\r\n\r\nok") as (port, seen):
        status, headers, body = await PlainFetch({})(
            "POST", f"http://127.0.0.1:{port}/token?a=b", {"content-type": "text/x"}, b"abc"
        )
    assert (status, headers["x-one"], body) == (201, "1", b"ok")
    head, sent = seen[0]
    assert head.startswith(b"POST /token?a=b HTTP/1.1\r\n")
    assert b"content-type: text/x\r\n" in head
    assert sent == b"abc"


async def test_errors_are_answers():
    """What a status means is the caller's business."""
    async with server(b"HTTP/1.1 400 X\r\ncontent-length: 2\r\n\r\nno") as (port, _):
        assert (await PlainFetch({})("GET", f"http://127.0.0.1:{port}/"))[0] == 400


async def test_a_server_that_hangs_is_given_up_and_named():
    """Bounded waiting, with host and port and nothing of the path."""
    async with server(b"", hangs=True) as (port, _):
        with pytest.raises(UpstreamFailed, match=rf"127\.0\.0\.1:{port}") as raised:
            await PlainFetch({})("GET", f"http://127.0.0.1:{port}/secret-path", timeout_s=0.05)
    assert raised.value.problem.kind == "timeout"
    assert "secret-path" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1/x", "127.0.0.1:1"),
        ("ftp://x/y", "expected an http"),
        ("http://", "host"),
        ("http://127.0.0.1:1/ü", "127.0.0.1:1"),
    ],
)
async def test_what_cannot_be_asked_is_an_error_of_ours(url, said):
    """No other exception leaves, whatever the URL."""
    with pytest.raises(UpstreamFailed, match=said):
        await PlainFetch({})("GET", url, timeout_s=1)


async def test_an_endless_answer_is_not_read():
    """Memory is bounded."""
    async with server(b"HTTP/1.1 200 X\r\ncontent-length: 99\r\n\r\n" + b"x" * 99) as (port, _):
        with pytest.raises(UpstreamFailed):
            await PlainFetch({}, max_bytes=50)("GET", f"http://127.0.0.1:{port}/")


async def test_issuers_are_trusted_by_the_systems_authorities_and_the_providers(tmp_path, monkeypatch):
    """A provider behind a private authority still has its tokens from a public issuer."""
    for folder in ("public", "private", "stranger"):
        (tmp_path / folder).mkdir()
    public, private, stranger = (Authority(tmp_path / name) for name in ("public", "private", "stranger"))
    monkeypatch.setenv("SSL_CERT_FILE", public.ca_file)
    fetch = PlainFetch({}, ca_file=private.ca_file)
    for authority in (public, private):
        async with upstream(always(OK), tls=authority.server(address="127.0.0.1")) as server:
            assert (await fetch("GET", server.url))[2] == b"ok"
    async with upstream(always(OK), tls=stranger.server(address="127.0.0.1")) as server:
        with pytest.raises(UpstreamFailed, match="not trusted"):
            await fetch("GET", server.url)


async def test_local_addresses_are_never_asked_through_a_proxy():
    """A metadata server is on this link or nowhere; a proxy would give its own machine's identity."""
    async with server(b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\nok") as (port, seen):
        assert (await PlainFetch({}, proxy="http://127.0.0.1:1")("GET", f"http://127.0.0.1:{port}/t"))[0] == 200
        assert (await PlainFetch({"http_proxy": f"http://127.0.0.1:{port}"})("GET", "http://issuer.example/t"))[0] == 200
    assert seen[0][0].startswith(b"GET /t ")
    assert seen[1][0].startswith(b"GET http://issuer.example/t ")
