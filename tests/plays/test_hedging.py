"""Where the first target is slower than it usually is, a second is asked, and the first with content answers."""

import asyncio
import time

import pytest

from gatewright.record.journal import JournalFull
from tests.plays.failing import attempts_of, causes, error, hosts, idle, records, soon
from tests.plays.scene import DIALECTS, ask, frames, path_of, send, served
from tests.serving import END, chunk, stream_head

HEDGED = "  m: {targets: [a/m], fallback: [b/m], hedge: {share: 1, least_s: 0.1, unknown_s: 0.1}}"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("client", DIALECTS)
async def test_the_second_answers_while_the_first_is_silent(tmp_path, client, stream):
    """The answer is the second's alone; the first call is given up at once, and both are recorded."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=HEDGED) as gw:
        gw.a.answers = [[60.0, *served("openai_chat", stream=stream, text="late")]]
        gw.b.answers = [served("openai_chat", stream=stream)]
        began = time.monotonic()
        got = await ask(gw, client, "m", stream=stream)
        assert time.monotonic() - began < 30
        assert (got.status, got.headers["x-gatewright-target"], got.headers["x-gatewright-attempts"]) == (200, "b/m", "2")
        assert got.body.count(b"hello") >= 1
        assert b"late" not in got.body
        await asyncio.wait_for(gw.a.closed.wait(), 5)
        assert causes(gw) == [("a/m", "cancelled"), ("b/m", None)]
        assert [record.hedge for record in records(gw)] == [False, True]
        assert [record.sent for record in records(gw)] == [True, True]
        assert idle(gw)


async def test_a_quick_target_is_never_hedged(tmp_path):
    """The second is not asked at all."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=HEDGED.replace("0.1", "2")) as gw:
        for _ in range(5):
            assert (await ask(gw, "openai_chat", "m")).headers["x-gatewright-target"] == "a/m"
        assert gw.b.requests == []


async def test_a_stream_whose_head_came_is_silent_until_its_content(tmp_path):
    """A good head and a beginning are no answer yet."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=HEDGED) as gw:
        gw.a.answers = [[stream_head(), chunk(frames("openai_chat")[0]), 5.0, END]]
        gw.b.answers = [served("openai_chat", stream=True)]
        got = await ask(gw, "openai_chat", "m", stream=True)
        assert got.headers["x-gatewright-target"] == "b/m"
        assert b"hello" in got.body
        await soon(lambda: idle(gw))


async def test_the_first_may_win_after_all(tmp_path):
    """The second was asked in vain, and is given up."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=HEDGED) as gw:
        gw.a.answers = [[0.4, *served("openai_chat")]]
        gw.b.answers = [[5.0, *served("openai_chat", text="late")]]
        got = await ask(gw, "openai_chat", "m")
        assert got.headers["x-gatewright-target"] == "a/m"
        await asyncio.wait_for(gw.b.closed.wait(), 5)
        assert causes(gw) == [("a/m", None), ("b/m", "cancelled")]


async def test_a_failure_is_followed_as_ever(tmp_path):
    """What fails quickly is repeated or moves on; nothing is hedged for it."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=HEDGED) as gw:
        gw.a.answers = [[error(503)]]
        got = await ask(gw, "openai_chat", "m")
        assert (got.status, got.headers["x-gatewright-target"]) == (200, "b/m")
        assert [record.hedge for record in records(gw)] == [False, False]


async def test_a_hedge_that_fails_leaves_the_first_alone(tmp_path):
    """The one that is still at work may answer."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=HEDGED) as gw:
        gw.a.answers = [[0.6, *served("openai_chat")]]
        gw.b.answers = [[error(500)]]
        got = await ask(gw, "openai_chat", "m")
        assert (got.status, got.headers["x-gatewright-target"]) == (200, "a/m")
        assert causes(gw) == [("a/m", None), ("b/m", "broken")]


async def test_when_both_fail_both_are_named(tmp_path):
    """The error tells of the hedge, too."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=HEDGED) as gw:
        gw.a.answers = [[0.3, error(500)]]
        gw.b.answers = [[0.3, error(503)]]
        got = await ask(gw, "openai_chat", "m")
        assert got.status == 503
        assert "a/m 500" in got.json["error"]["message"]
        assert "b/m 503" in got.json["error"]["message"]
        assert idle(gw)


async def test_hedges_stay_within_their_purse(tmp_path):
    """A tenth of the requests may be asked twice: of ten slow ones, two (one is in the purse at first)."""
    models = HEDGED.replace("share: 1", "share: 0.1")
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=models, routing="breaker: false") as gw:
        gw.a.answers = [[0.3, *served("openai_chat")]]
        for _ in range(10):
            assert (await ask(gw, "openai_chat", "m")).status == 200
        assert sum(record.hedge for record in records(gw)) in (1, 2)
        assert attempts_of(gw).hedging.purses["m"] < 1.1


async def test_work_in_the_background_is_not_hedged(tmp_path):
    """It would be done and paid for twice."""
    async with hosts(tmp_path, "openai_responses", models=HEDGED.replace("b/m", "a/n")) as gw:
        gw.a.answers = [[0.4, *served("openai_responses")]]
        for background, calls in ((True, 1), (False, 3)):
            body = {"model": "m", "input": "hi", "background": background}
            assert (await send(gw, path_of("openai_responses", "m"), body)).status == 200
            assert len(gw.a.requests) == calls


async def test_a_client_that_leaves_takes_both_calls_along(tmp_path):
    """Neither upstream works on for nobody."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=HEDGED) as gw:
        gw.a.answers = gw.b.answers = [[5.0]]
        leaving = asyncio.ensure_future(ask(gw, "openai_chat", "m"))
        await soon(lambda: gw.b.requests)
        leaving.cancel()
        await asyncio.wait_for(gw.a.closed.wait(), 5)
        await asyncio.wait_for(gw.b.closed.wait(), 5)
        await soon(lambda: idle(gw))
        assert causes(gw) == [("a/m", "cancelled"), ("b/m", "cancelled")]


async def test_what_cannot_be_written_down_is_refused_in_its_own_words(tmp_path):
    """Before anything was sent, and not as a bug of ours."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=HEDGED) as gw:

        def full(_size: int) -> None:
            raise JournalFull("no room")

        gw.house.current.books.usage.journal.reserve = full
        got = await ask(gw, "openai_chat", "m")
        assert (got.status, got.json["error"]["code"]) == (503, "ledger_unavailable")
        assert gw.a.requests == gw.b.requests == []
