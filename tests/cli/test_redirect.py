"""The page that a browser comes back to."""

import asyncio

import pytest

from gatewright.cli.redirect import listening
from gatewright.transport.plain_fetch import PlainFetch


async def test_the_query_is_taken_once_and_the_person_told():
    """Favicons and prefetches are not the login."""
    async with listening("/callback", 0) as redirect:
        assert redirect.uri == f"http://127.0.0.1:{redirect.port}/callback"
        base = f"http://127.0.0.1:{redirect.port}"
        fetch = PlainFetch({})
        assert (await fetch("GET", f"{base}/favicon.ico"))[0] == 404
        assert (await fetch("POST", f"{base}/callback?code=x"))[0] == 404
        status, headers, body = await fetch("GET", f"{base}/callback?code=c&state=s")
        assert status == 200
        assert headers["referrer-policy"] == "no-referrer"
        assert b"close this page" in body
        assert b"code=c" not in body
        await fetch("GET", f"{base}/callback?code=late")
        assert await redirect.query() == "code=c&state=s"


async def test_a_connection_that_says_nothing_is_not_waited_for():
    """Browsers open more than they use."""
    async with listening("/callback", 0) as redirect:
        _, idle = await asyncio.open_connection("127.0.0.1", redirect.port)
        _, huge = await asyncio.open_connection("127.0.0.1", redirect.port)
        huge.write(b"GET /" + b"x" * 40_000)
        status, _, _ = await PlainFetch({})("GET", f"{redirect.uri}?code=c")
        assert status == 200
        idle.close()
        huge.close()


async def test_a_port_that_is_taken_is_an_error():
    """Told with its number by the command."""
    async with listening("/", 0) as redirect:
        with pytest.raises(OSError, match="address already in use"):
            async with listening("/", redirect.port):
                pass
