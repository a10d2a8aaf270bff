"""Strands belong to one thread: what another one fetches meanwhile is woken in its own loop."""

import asyncio
import concurrent.futures

from gatewright.transport.client import HttpTransport
from gatewright.transport.strand import Strand
from tests.transport.upstream import answering, post, upstream

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def _fetch(count: int) -> list[bytes]:
    """What another thread gets, by tasks in a loop of its own."""

    async def fetch() -> list[bytes]:
        async with upstream(answering(*[ANSWER] * count)) as server:
            transport = HttpTransport(server.url)
            try:
                return [await (await transport.send(post())).read(100) for _ in range(count)]
            finally:
                await transport.close()

    return asyncio.run(asyncio.wait_for(fetch(), 30))


async def test_another_thread_fetches_while_a_strand_runs():
    """Exporters do; nearly always a strand runs in the first thread then. Here one runs all the while."""
    got: list[list[bytes]] = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:

        async def work() -> None:
            got.append(pool.submit(_fetch, 20).result(40))

        Strand(asyncio.get_running_loop()).begin(work())
    assert got == [[b"ok"] * 20]
