"""So many calls at once and no more: who waits, in which turns, and who is told at once to come back."""

import asyncio

import pytest

from tests.plays.failing import error, hosts, idle, records, soon
from tests.plays.scene import OTHER, ask, send, served

ONE = "  m: {targets: [a/m]}"
KEYS = f"{{name: other, key: {OTHER}}}"


class Slow:
    """A host that serves each call after a while, and knows how many it has at once."""

    def __init__(self, up, seconds: float = 0.05, first: bytes | None = None) -> None:
        self.up, self.seconds, self.first = up, seconds, first
        self.now = self.most = 0
        up.serve_with(self.play)

    async def play(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length"))
                self.up.requests.append(head + await reader.readexactly(length))
                self.now += 1
                self.most = max(self.most, self.now)
                try:
                    await asyncio.sleep(self.seconds)
                finally:
                    self.now -= 1
                writer.write(self.first or served("openai_chat")[0])
                self.first = None
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def limits(at_once: int = 1, size: int = 100, wait_s: float = 100) -> str:
    return f"max_concurrent: {at_once}, queue: {{size: {size}, wait_s: {wait_s}}}"


@pytest.mark.parametrize("at_once", [1, 3])
async def test_never_more_at_once_than_may_be_and_all_are_served(tmp_path, at_once):
    """The others wait, and each has an answer in the end."""
    async with hosts(tmp_path, "openai_chat", models=ONE, providers=limits(at_once)) as gw:
        host = Slow(gw.a)
        got = await asyncio.gather(*(ask(gw, "openai_chat", "m") for _ in range(12)))
        assert {one.status for one in got} == {200}
        assert host.most == at_once
        assert max(record.waited_s for record in records(gw)) > 0.05
        assert idle(gw)


async def test_a_stream_holds_its_place_until_it_ends(tmp_path):
    """The place is given on at the last event, not at the first."""
    async with hosts(tmp_path, "openai_chat", models=ONE, providers=limits()) as gw:
        head, beginning, content, end, last = served("openai_chat", stream=True)
        gw.a.answers = [[head, beginning, content, 0.3, end, last]]
        got = await asyncio.gather(*(ask(gw, "openai_chat", "m", stream=True) for _ in range(2)))
        assert {one.status for one in got} == {200}
        one, other = records(gw)
        assert max(one.waited_s, other.waited_s) >= 0.25


async def test_a_flood_hurts_the_one_who_sends_it(tmp_path):
    """Twenty of one key's wait; another key's first request is served in the next turns, not after them all."""
    async with hosts(tmp_path, "openai_chat", models=ONE, providers=limits(), keys=KEYS) as gw:
        Slow(gw.a)
        flood = [asyncio.ensure_future(ask(gw, "openai_chat", "m", "flood")) for _ in range(20)]
        await soon(lambda: gw.house.current.endpoints["a"].gate.waiting >= 15)
        before = len(gw.a.requests)
        assert (await ask(gw, "openai_chat", "m", "guest", key=OTHER)).status == 200
        place = next(i for i, request in enumerate(gw.a.requests) if b"guest" in request)
        assert place - before <= 2
        assert {one.status for one in await asyncio.gather(*flood)} == {200}


@pytest.mark.parametrize(
    ("client", "status"), [("openai_chat", 503), ("openai_responses", 503), ("anthropic", 529), ("gemini", 503)]
)
async def test_who_has_no_place_is_told_at_once_when_to_come_back(tmp_path, client, status):
    """A full queue sheds; memory and latency stay as they are."""
    async with hosts(tmp_path, "openai_chat", models=ONE, providers=limits(size=1)) as gw:
        Slow(gw.a, 0.5)
        waiting = [asyncio.ensure_future(ask(gw, "openai_chat", "m")) for _ in range(2)]
        await soon(lambda: gw.house.current.endpoints["a"].gate.waiting == 1)
        got = await ask(gw, client, "m")
        assert got.status == status
        assert int(got.headers["retry-after"]) >= 1
        assert b"as many requests as it may" in got.body
        assert {one.status for one in await asyncio.gather(*waiting)} == {200}
        assert len(gw.a.requests) == 2
        assert idle(gw)


async def test_who_waits_too_long_is_told(tmp_path):
    """After `wait_s`, however few are before it."""
    async with hosts(tmp_path, "openai_chat", models=ONE, providers=limits(wait_s=0.3)) as gw:
        gw.house.current.endpoints["a"].gate.admission.mean_s = 0.01  # it is thought to be quick
        Slow(gw.a, 1.0)
        first = asyncio.ensure_future(ask(gw, "openai_chat", "m"))
        await soon(lambda: gw.a.requests)
        got = await ask(gw, "openai_chat", "m")
        assert (got.status, got.json["error"]["code"]) == (503, "too_many_requests_at_once")
        assert "waited too long" in got.json["error"]["message"]
        assert (await first).status == 200


async def test_a_full_target_is_passed_over_for_one_with_room(tmp_path):
    """Nobody queues where another can serve at once."""
    async with hosts(
        tmp_path, "openai_chat", "openai_chat", models="  m: {targets: [a/m], fallback: [b/m]}", providers=limits()
    ) as gw:
        Slow(gw.a, 0.5)
        first = asyncio.ensure_future(ask(gw, "openai_chat", "m"))
        await soon(lambda: gw.a.requests)
        got = await ask(gw, "openai_chat", "m")
        assert got.headers["x-gatewright-target"] == "b/m"
        assert (await first).headers["x-gatewright-target"] == "a/m"


async def test_who_leaves_the_queue_leaves_no_hole(tmp_path):
    """Neither its place nor its turn is lost to the others."""
    async with hosts(tmp_path, "openai_chat", models=ONE, providers=limits()) as gw:
        Slow(gw.a, 0.3)
        first = asyncio.ensure_future(ask(gw, "openai_chat", "m"))
        gate = gw.house.current.endpoints["a"].gate
        await soon(lambda: gate.running == 1)
        leaving = [asyncio.ensure_future(ask(gw, "openai_chat", "m")) for _ in range(5)]
        await soon(lambda: gate.waiting == 5)
        for one in leaving:
            one.cancel()
        await soon(lambda: gate.waiting == 0)
        assert (await ask(gw, "openai_chat", "m")).status == 200
        assert (await first).status == 200
        assert len(gw.a.requests) == 2
        assert idle(gw)


async def test_a_failure_gives_its_place_back_before_it_is_tried_again(tmp_path):
    """Who waits for a repetition holds no place meanwhile."""
    async with hosts(tmp_path, "openai_chat", models=ONE, providers=limits()) as gw:
        Slow(gw.a, 0.01, first=error(429, headers="retry-after-ms: 600\r\n"))
        slow = asyncio.ensure_future(ask(gw, "openai_chat", "m", "slow"))
        await soon(lambda: len(gw.settled) == 0 and len(gw.a.requests) == 1)
        got = await ask(gw, "openai_chat", "a/n", "quick")
        assert got.status == 200
        assert not slow.done()
        assert (await slow).status == 200


async def test_forwarded_calls_queue_too(tmp_path):
    """The limit is the provider's, whatever is asked of it."""
    models = "  e: {targets: [a/e]}"
    async with hosts(tmp_path, "openai_chat", models=models, providers=limits()) as gw:
        host = Slow(gw.a)
        got = await asyncio.gather(*(send(gw, "/v1/embeddings", {"model": "e", "input": "x"}) for _ in range(4)))
        assert {one.status for one in got} == {200}
        assert host.most == 1
        assert idle(gw)
