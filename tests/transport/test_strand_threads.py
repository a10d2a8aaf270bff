"""Strands belong to one thread: what another one fetches meanwhile is woken in its own loop."""

import asyncio
import concurrent.futures
import time

from gatewright.transport.client import HttpTransport
from gatewright.transport.strand import Strand
from tests.transport.upstream import answering, post, upstream

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def _fetch(url: str, count: int) -> list[bytes]:
    """What another thread gets, by tasks in a loop of its own."""

    async def fetch() -> list[bytes]:
        transport = HttpTransport(url)
        try:
            return [await (await transport.send(post())).read(100) for _ in range(count)]
        finally:
            await transport.close()

    return asyncio.run(asyncio.wait_for(fetch(), 30))


async def test_another_thread_fetches_while_strands_run():
    """Exporters do; nearly always a strand runs in the first thread then."""
    loop, began = asyncio.get_running_loop(), []

    async def work() -> None:
        end = time.perf_counter() + 0.003
        while time.perf_counter() < end:  # the interpreter changes threads within
            began.append(1)

    async with upstream(answering(*[ANSWER] * 200)) as server:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            fetched = loop.run_in_executor(pool, _fetch, server.url, 200)
            while not fetched.done():
                Strand(loop).begin(work())
                await asyncio.sleep(0)
            assert await fetched == [b"ok"] * 200
    assert began
