"""One call for all who ask the same at the same time: over real sockets, streamed and whole, in every dialect."""

import asyncio
import json
import random

import pytest
from tests.pipeline.flying import APIS, Held, flights, kept, listeners, long_answer, opened, stage_books, stage_of, until
from tests.plays.same import CLIENTS, ask, said, understood
from tests.plays.scene import IN_STREAM_ERROR, frames, served, tallies, whole
from tests.serving import END, answer, chunk, gateway, read_answer, stream_head, upstream

from gatewright.pipeline import flight


async def test_500_streams_at_once_make_one_call(tmp_path):
    """In five dialects; each reads the whole answer, and tokens are counted once."""
    held = Held("anthropic")
    async with upstream() as up, gateway(kept(up.port), tmp_path) as gw:
        up.serve_with(held)
        asked = [asyncio.ensure_future(ask(gw, CLIENTS[i % 5], "kept-anthropic", stream=True)) for i in range(500)]
        await until(lambda: listeners(gw) == 500, 60)
        held.go.set()
        answers = await asyncio.gather(*asked)
        assert held.calls == 1
        heads = [got.headers["x-gatewright-cache"] for got in answers]
        assert sorted(set(heads)) == ["coalesced", "miss"]
        assert heads.count("miss") == 1
        told = {said(understood(CLIENTS[i % 5], got, stream=True))[::2] for i, got in enumerate(answers)}
        assert told == {("held words", "stop")}
        (tally,) = tallies(gw).values()
        assert (tally.requests, tally.errors, tally.unknown) == (500, 0, 0)
        assert (tally.input_tokens, tally.output_tokens) == (10, 5)
        assert flights(gw) == {}
        after = await ask(gw, "gemini", "kept-anthropic")
        assert after.headers["x-gatewright-cache"] == "hit"
        assert held.calls == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("leader", CLIENTS)
@pytest.mark.parametrize("api", APIS)
async def test_who_joins_is_told_the_same_whole_or_streamed(tmp_path, api, leader, stream):
    """Whoever began, and however: everybody's own dialect, from the beginning, one call."""
    held = Held(api)
    async with upstream() as up, gateway(kept(up.port), tmp_path) as gw:
        if stream:
            up.serve_with(held)
        else:
            up.answers = [[0.3, *served(api, text="held words")]]
        first = asyncio.ensure_future(ask(gw, leader, f"kept-{api}", stream=stream))
        await until(lambda: listeners(gw) == 1)
        joined = [
            (client, streamed, asyncio.ensure_future(ask(gw, client, f"kept-{api}", stream=streamed)))
            for client in CLIENTS
            for streamed in (False, True)
        ]
        await until(lambda: listeners(gw) == 11)
        held.go.set()
        one = understood(leader, await first, stream=stream)
        for client, streamed, asked in joined:
            got = await asked
            assert got.headers["x-gatewright-cache"] == "coalesced"
            other = understood(client, got, stream=streamed)
            assert said(other) == said(one) == ("held words", [], "stop")
            assert other.usage is not None
            assert (other.usage.total_input, other.usage.total_output) == (10, 5)
        assert (held.calls or len(up.requests)) == 1
        (tally,) = tallies(gw).values()
        assert (tally.requests, tally.input_tokens, tally.output_tokens, tally.unknown) == (11, 10, 5, 0)


@pytest.mark.parametrize("client", ["anthropic", "openai_chat"])
async def test_the_call_outlives_the_client_that_began_it(tmp_path, client):
    """The leader hangs up in mid-stream; who joined reads on, and pays."""
    held = Held("anthropic")
    async with upstream() as up, gateway(kept(up.port), tmp_path) as gw:
        up.serve_with(held)
        reader, writer = await opened(gw, client, "kept-anthropic")
        await reader.readuntil(b"held words")
        asked = [asyncio.ensure_future(ask(gw, other, "kept-anthropic", stream=True)) for other in CLIENTS]
        await until(lambda: listeners(gw) == 6)
        writer.transport.abort()
        await until(lambda: listeners(gw) == 5)
        assert not held.left.is_set()
        held.go.set()
        for other, got in zip(CLIENTS, await asyncio.gather(*asked), strict=True):
            assert said(understood(other, got, stream=True)) == ("held words", [], "stop")
        assert held.calls == 1
        (tally,) = tallies(gw).values()
        assert (tally.requests, tally.input_tokens, tally.output_tokens) == (6, 10, 5)


class Journal:
    """Writes down whose a call is."""

    def __init__(self) -> None:
        self.begun_by: list[tuple[str, str]] = []

    def begun(self, exchange, target: str, dialect: str) -> None:
        self.begun_by.append((exchange.dialect, target))


async def test_a_call_is_somebody_s_at_every_moment(tmp_path):
    """Each who inherits it is written down before the one who leaves is settled; the last to stay pays, and nobody else does."""
    held, journal = Held("anthropic"), Journal()
    async with upstream() as up, gateway(kept(up.port), tmp_path) as gw:
        up.serve_with(held)
        stage_of(gw).recorder = journal
        connections = []
        for client in ("anthropic", "gemini", "openai_chat"):
            connections.append(await opened(gw, client, "kept-anthropic"))
            await until(lambda: listeners(gw) == len(connections))
        await connections[0][0].readuntil(b"held words")
        for i, (_, writer) in enumerate(connections[:2], 1):
            writer.transport.abort()
            await until(lambda i=i: listeners(gw) == 3 - i)
        assert journal.begun_by == [("gemini", "claude/m"), ("openai_chat", "claude/m")]
        books = stage_books(gw)
        assert sum(told.sent for told in books.calls.values()) == 0, "the one who pays has not been settled"
        held.go.set()
        await read_answer(connections[2][0])
        await until(lambda: sum(told.sent for told in books.calls.values()) == 1)
        for _, writer in connections:
            writer.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_leader_that_leaves_before_any_answer_leaves_the_call_to_others(tmp_path, stream):
    """Nothing had come yet; the one call goes on for who joined."""
    async with upstream() as up, gateway(kept(up.port), tmp_path) as gw:
        up.answers = [[0.5, *served("anthropic", stream=stream, text="held words")]]
        _, writer = await opened(gw, "anthropic", "kept-anthropic", stream=stream)
        await until(lambda: listeners(gw) == 1)
        asked = asyncio.ensure_future(ask(gw, "gemini", "kept-anthropic", stream=stream))
        await until(lambda: listeners(gw) == 2)
        writer.transport.abort()
        assert said(understood("gemini", await asked, stream=stream)) == ("held words", [], "stop")
        assert len(up.requests) == 1
        assert sum(tally.requests for tally in tallies(gw).values()) == 2
        paid = tallies(gw)["test", "claude/m"]
        assert (paid.requests, paid.input_tokens, paid.output_tokens) == (1, 10, 5)


async def test_the_call_ends_when_nobody_listens(tmp_path):
    """The last to leave takes the upstream along; the next to ask begins anew."""
    held = Held("anthropic")
    async with upstream() as up, gateway(kept(up.port), tmp_path) as gw:
        up.serve_with(held)
        connections = [await opened(gw, client, "kept-anthropic") for client in ("anthropic", "gemini", "openai_chat")]
        await until(lambda: listeners(gw) == 3)
        for reader, _ in connections:
            await reader.readuntil(b"held words")
        for _, writer in connections[:2]:
            writer.transport.abort()
        await until(lambda: listeners(gw) == 1)
        assert not held.left.is_set()
        connections[2][1].transport.abort()
        await asyncio.wait_for(held.left.wait(), 20)
        assert flights(gw) == {}
        held.go.set()
        again = await ask(gw, "anthropic", "kept-anthropic", stream=True)
        assert again.headers["x-gatewright-cache"] == "miss"
        assert held.calls == 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_call_that_fails_fails_for_all_in_each_one_s_words(tmp_path, stream):
    """Nobody tries for himself: five hundred repetitions would not mend an upstream. The next to ask begins anew."""
    failure = answer(b'{"type": "error", "error": {"type": "overloaded_error", "message": "try later"}}', status=529)
    async with upstream() as up, gateway(kept(up.port), tmp_path) as gw:
        up.answers = [[0.5, failure], served("anthropic")]
        asked = [asyncio.ensure_future(ask(gw, client, "kept-anthropic", stream=stream)) for client in CLIENTS]
        for client, got in zip(CLIENTS, await asyncio.gather(*asked), strict=True):
            assert got.status >= 500, client
            assert b"try later" in got.body
        assert len(up.requests) == 1
        assert (await ask(gw, "anthropic", "kept-anthropic")).headers["x-gatewright-cache"] == "miss"


@pytest.mark.parametrize("how", ["error", "cut"])
async def test_a_stream_that_breaks_breaks_for_all_and_is_not_kept(tmp_path, how):
    """Each is told in the own dialect's error event, and no one a clean end."""
    held = Held("anthropic", [chunk(IN_STREAM_ERROR["anthropic"]), END] if how == "error" else [END])
    async with upstream() as up, gateway(kept(up.port), tmp_path) as gw:
        up.serve_with(held)
        asked = [asyncio.ensure_future(ask(gw, client, "kept-anthropic", stream=True)) for client in CLIENTS]
        wholly = asyncio.ensure_future(ask(gw, "openai_chat", "kept-anthropic"))
        await until(lambda: listeners(gw) == 6)
        held.go.set()
        for client, got in zip(CLIENTS, await asyncio.gather(*asked), strict=True):
            assert b"held words" in got.body
            with pytest.raises(Exception, match="try later" if how == "error" else "ended before|cut|end"):
                understood(client, got, stream=True)
        assert (await wholly).status >= 500
        assert (await ask(gw, "anthropic", "kept-anthropic", stream=True)).headers["x-gatewright-cache"] == "miss"
        assert held.calls == 2


async def test_who_reads_slowly_waits_alone(tmp_path):
    """One listener reads nothing; the others have the whole answer meanwhile, and it has all of it later."""
    words = "word " * 1_000_000
    async with upstream() as up, gateway(kept(up.port), tmp_path) as gw:
        up.answers = [
            [stream_head(), *(chunk(frame) for frame in frames("anthropic", "begin")[:2]), 0.5, *long_answer(words), END]
        ]
        slow_leader, first = await opened(gw, "anthropic", "kept-anthropic")
        await until(lambda: listeners(gw) == 1)
        slow, second = await opened(gw, "openai_chat", "kept-anthropic")
        await until(lambda: listeners(gw) == 2)
        fast = await ask(gw, "gemini", "kept-anthropic", stream=True)
        assert said(understood("gemini", fast, stream=True))[0] == "begin" + words
        for client, reader in (("anthropic", slow_leader), ("openai_chat", slow)):
            assert said(understood(client, await read_answer(reader), stream=True))[0] == "begin" + words
        assert len(up.requests) == 1
        for writer in (first, second):
            writer.close()


async def test_where_all_read_slowly_the_upstream_waits(tmp_path):
    """What nobody takes is not taken in: memory is bounded by the window, not by the answer."""
    sent = 0
    deltas = long_answer("word " * 8_000_000, 50_000)

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        try:
            writer.write(stream_head() + b"".join(chunk(frame) for frame in frames("anthropic", "begin")[:2]))
            for delta in deltas:
                writer.write(delta)
                await writer.drain()
                sent += len(delta)
            writer.write(END)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with upstream() as up, gateway(kept(up.port), tmp_path) as gw:
        up.serve_with(pour)
        reader, writer = await opened(gw, "anthropic", "kept-anthropic")
        _, second = await opened(gw, "openai_chat", "kept-anthropic")
        await until(lambda: listeners(gw) == 2)
        before = -1
        async with asyncio.timeout(30):
            while sent != before:
                before = sent
                await asyncio.sleep(0.3)
        assert sent < sum(map(len, deltas)) / 2
        (running,) = flights(gw).values()
        assert running.size - max(listener.taken for listener in running.listeners) <= flight.WINDOW + (1 << 20)
        second.close()
        got = await read_answer(reader)
        assert len(said(understood("anthropic", got, stream=True))[0]) == 40_000_005
        writer.close()


async def test_an_answer_that_cannot_be_read_is_the_leader_s_alone(tmp_path):
    """A whole answer that passes is not ours to judge; who joined asks for himself."""
    strange = json.dumps({**whole("openai_chat"), "choices": [{"index": 0, "message": "?"}]}).encode()
    async with upstream() as up, gateway(kept(up.port), tmp_path) as gw:
        up.answers = [[0.5, answer(strange)], served("openai_chat")]
        asked = [asyncio.ensure_future(ask(gw, "openai_chat", "kept-openai_chat")) for _ in range(2)]
        first, second = await asyncio.gather(*asked)
        assert first.body == strange
        assert second.headers["x-gatewright-cache"] == "bypass"
        assert said(understood("openai_chat", second))[0] == "hello"
        assert len(up.requests) == 2


@pytest.mark.parametrize("seed", range(12))
async def test_whoever_comes_and_goes_the_bill_is_paid_once(tmp_path, seed):
    """Clients join and hang up at random: who stays has the whole answer, and every call that the upstream saw is in the books."""
    chance = random.Random(seed)
    calls = 0

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        try:
            await reader.readuntil(b"\r\n\r\n")
            calls += 1
            await asyncio.sleep(chance.random() / 20)
            writer.write(stream_head())
            for frame in frames("anthropic", "held words"):
                writer.write(chunk(frame))
                await asyncio.sleep(chance.random() / 20)
            writer.write(END)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with upstream() as up, gateway(kept(up.port), tmp_path) as gw:
        up.serve_with(stream)

        async def one(i: int) -> bool:
            await asyncio.sleep(chance.random() / 10)
            client, streamed = CLIENTS[i % 5], chance.random() < 0.7
            if chance.random() < 0.5:
                got = await ask(gw, client, "kept-anthropic", stream=streamed)
                return said(understood(client, got, stream=streamed)) == ("held words", [], "stop")
            _, writer = await opened(gw, client, "kept-anthropic", stream=streamed)
            await asyncio.sleep(chance.random() / 10)
            writer.transport.abort()
            return True

        assert all(await asyncio.gather(*(one(i) for i in range(30))))
        await until(lambda: not flights(gw) and not gw.state.connections)
        books = stage_books(gw)
        assert sum(tally.requests for tally in books.tallies.values()) == 30
        assert sum(told.sent for told in books.calls.values()) == calls
        assert sum(tally.output_tokens for tally in books.tallies.values()) <= 5 * calls
        assert sum(tally.output_tokens for tally in books.tallies.values()) >= 5
