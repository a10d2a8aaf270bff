"""A client that leaves, at whatever point, leaves nothing behind: no call, no place, no probe, and one settlement."""

import asyncio

import pytest

from tests.plays.failing import causes, error, hosts, idle, soon
from tests.plays.scene import ask, frames, served
from tests.serving import chunk, stream_head

ONE = "  m: {targets: [a/m]}"
LIMITS = "max_concurrent: 2"
BEGINNING, CONTENT, _ = frames("openai_chat")

PHASES = {
    "waiting for the head": ([5.0], False, "cancelled"),
    "in the middle of a whole answer": (
        [b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{", 5.0],
        False,
        "cancelled",
    ),
    "a stream's head came": ([stream_head(), 5.0], True, "cancelled"),
    "a stream is held back": ([stream_head(), chunk(BEGINNING), 5.0], True, "cancelled"),
    "a stream runs": ([stream_head(), chunk(BEGINNING + CONTENT), 5.0], True, "cancelled"),
    "before a repetition": ([error(429, headers="retry-after: 20\r\n")], False, "throttled"),
}


@pytest.mark.parametrize("phase", PHASES)
async def test_whenever_a_client_leaves_nothing_stays_behind(tmp_path, phase):
    """In flight: none. In the queue: none. Settled: once. And the next client is served."""
    steps, stream, cause = PHASES[phase]
    async with hosts(tmp_path, "openai_chat", models=ONE, routing="retry: {patience_s: 60}", providers=LIMITS) as gw:
        gw.a.answers = [steps]
        leaving = asyncio.ensure_future(ask(gw, "openai_chat", "m", stream=stream))
        await soon(lambda: gw.a.requests)
        await asyncio.sleep(0.1)
        assert not leaving.done()
        leaving.cancel()
        await soon(lambda: gw.settled)
        await soon(lambda: idle(gw))
        await asyncio.sleep(0.05)
        assert len(gw.settled) == 1
        assert causes(gw) == [("a/m", cause)]
        gw.a.answers = [served("openai_chat")]
        assert (await ask(gw, "openai_chat", "a/n")).status == 200


async def test_many_leave_at_any_moment(tmp_path):
    """Two hundred clients that stay from nothing to a while: in the end nothing is in flight and all are settled."""
    models = "  m: {targets: [a/m], fallback: [b/m], hedge: {share: 1, least_s: 0.01, unknown_s: 0.01}}"
    routing = "breaker: false, retry: {base_s: 0.02}"
    async with hosts(
        tmp_path, "openai_chat", "openai_chat", models=models, routing=routing, providers="max_concurrent: 20"
    ) as gw:
        gw.a.answers = [[0.02, error(503)], [0.03, *served("openai_chat", stream=True)]] * 100
        gw.b.answers = [[0.02, error(500)], [0.01, *served("openai_chat", stream=True)]] * 100

        async def stay(seconds: float) -> None:
            try:
                async with asyncio.timeout(seconds):
                    await ask(gw, "openai_chat", "m", stream=True)
            except TimeoutError:
                pass

        await asyncio.gather(*(stay(0.001 * i) for i in range(1, 200)))
        await soon(lambda: idle(gw) and gw.gateway.active == 0)
        assert (await ask(gw, "openai_chat", "m", stream=True)).status in (200, 500, 503)
        await soon(lambda: idle(gw))
