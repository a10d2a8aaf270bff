"""Streams that were resumed, as they are told: to the client, in the books, to those who listen in, and in silence."""

import asyncio
import json

import pytest

from gatewright.server import sweep
from tests.plays import wires
from tests.plays.breaking import (
    MODELS,
    OTHER_MODELS,
    STORY,
    middle,
)
from tests.plays.resumed import DIALECTS, request, stream
from tests.plays.resuming_scene import OUT, scene
from tests.plays.scene import events, get
from tests.serving import END, chunk, stream_head, upstream


async def test_the_client_is_told_the_tokens_of_both_and_each_attempt_has_its_own(tmp_path):
    """Both were paid for."""
    async with scene(tmp_path, ("safe", MODELS["anthropic"], OTHER_MODELS["openai_chat"])) as gw:
        gw.up.cuts = [middle()]
        got = await stream(gw, "anthropic", "safe")
        usage = next(event for event in events(got.body) if event["type"] == "message_delta")["usage"]
        settled = gw.settled[-1]
    assert (usage["input_tokens"], usage["output_tokens"]) == (200, 18)
    assert (settled.usage.input, settled.usage.output) == (200, 18)
    assert [(record.usage.input, record.usage.output) for record in settled.exchange.attempts] == [(100, 1), (100, 17)]


@pytest.mark.parametrize("client", DIALECTS)
async def test_a_client_that_takes_trailers_is_told_in_one(tmp_path, client):
    """Also where the dialect has no comments; nobody else is sent any."""
    async with scene(tmp_path, ("safe", MODELS[client], OTHER_MODELS[client])) as gw:
        for te in ("te: trailers\r\nconnection: te\r\n", ""):
            gw.up.cuts = [middle()]
            path, body = request(client, "safe")
            sent = json.dumps(body).encode()
            reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
            head = (
                f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer gw-test-key\r\n{te}content-length: {len(sent)}\r\n\r\n"
            )
            writer.write(head.encode() + sent)
            head_told = await reader.readuntil(b"\r\n\r\n")
            tail = await reader.readuntil(b"\r\n0\r\n")
            last = await reader.readuntil(b"\r\n\r\n" if te else b"\r\n")
            writer.close()
            assert tail
            assert last == (f"x-gatewright-resumed: {OTHER_MODELS[client]}\r\n\r\n".encode() if te else b"\r\n")
            assert (b"trailer: x-gatewright-resumed\r\n" in head_told) is bool(te)


async def test_a_request_that_was_resumed_is_one_request_in_the_books(tmp_path):
    """Begun once, settled once, with an attempt for each provider that was paid."""
    async with scene(tmp_path, ("safe", MODELS["anthropic"], OTHER_MODELS["openai_chat"])) as gw:
        books = gw.house.current.books.usage
        begun, before = [], books.begun
        books.begun = lambda exchange, *told: (begun.append(exchange.request_id), before(exchange, *told))[1]
        gw.up.cuts = [middle()]
        got = await stream(gw, "anthropic", "safe")
        assert got.end == "stop"
        assert [settled.exchange.request_id for settled in gw.settled] == [got.headers["x-request-id"]]
        assert begun == [got.headers["x-request-id"]]
        assert [record.resumed for record in gw.settled[0].exchange.attempts] == [False, True]


async def test_a_stored_response_is_kept_whole(tmp_path):
    """What the gateway keeps for the next turn is the answer that the client read."""
    async with scene(tmp_path, ("safe", MODELS["anthropic"], OTHER_MODELS["gemini"])) as gw:
        gw.up.cuts = [middle()]
        got = await stream(gw, "openai_responses", "safe", store=True)
        assert got.text == STORY
        kept = await get(gw, f"/v1/responses/{events(got.body)[-1]['response']['id']}")
    assert kept.json["output"][0]["content"][0]["text"] == STORY


@pytest.mark.parametrize("first", ["anthropic", "openai_chat"])
async def test_who_listens_in_hears_the_same_and_nobody_afterwards(tmp_path, first):
    """One call for two clients of a cached route, resumed for both; an answer of two models is not kept as one's."""
    route = ("safe", MODELS[first], OTHER_MODELS["gemini"])
    async with scene(tmp_path, route, more=", cache: {ttl_s: 60}") as gw:
        gw.up.cuts = [middle()]
        same = {"generationConfig": {"maxOutputTokens": 100}}
        led, joined = await asyncio.gather(stream(gw, "anthropic", "safe"), stream(gw, "gemini", "safe", **same))
        assert (led.end, led.text) == (joined.end, joined.text) == ("stop", STORY)
        assert {led.headers["x-gatewright-cache"], joined.headers["x-gatewright-cache"]} == {"miss", "coalesced"}
        assert len(gw.up.requests) == 2
        after_it = await stream(gw, "anthropic", "safe")
    assert after_it.headers["x-gatewright-cache"] == "miss"
    assert len(gw.up.requests) == 3


@pytest.mark.parametrize("client", DIALECTS)
async def test_silence_between_two_is_bridged(tmp_path, monkeypatch, client):
    """While the second thinks the client hears from us, in words that its programs read past."""
    monkeypatch.setattr(sweep, "TICK_S", 0.02)
    async with upstream() as slow:
        slow.answers = [[0.3, stream_head(), *map(chunk, wires.STREAM["anthropic"]), END]]
        async with scene(tmp_path, ("safe", MODELS[client], "slow/m"), slow=slow.port, keepalive_s=0.05) as gw:
            gw.up.cuts = [middle()]
            got = await stream(gw, client, "safe")
    assert (got.end, got.text) == ("stop", f"{OUT} {wires.TEXT}")
    passed = len(b"".join(gw.up.answers[0].chunks))
    assert len(got.body[passed:]) > 0


async def test_silence_in_the_middle_counts_as_a_cut(tmp_path):
    """Nothing comes any more, and nothing says why: after `idle_s` another goes on, and the silent one is hung up on."""
    async with upstream() as slow:
        begun = wires.STREAM["anthropic"][: wires.CONTENT_AT["anthropic"]]
        slow.answers = [[stream_head(), *map(chunk, begun), 30.0]]
        more = ", timeouts: {idle_s: 0.3}"
        async with scene(tmp_path, ("safe", "slow/m", MODELS["gemini"]), slow=slow.port, slowly=more) as gw:
            gw.up.story = "hello from the other side"
            got = await stream(gw, "anthropic", "safe")
            await asyncio.wait_for(slow.closed.wait(), 10)
    assert (got.end, got.text) == ("stop", "hello from the other side")
    assert [record.cause for record in gw.settled[0].exchange.attempts] == ["stalled", None]


async def test_no_resume_begins_after_the_deadline(tmp_path):
    """The client's patience is counted from its request."""
    async with upstream() as slow:
        begun = wires.STREAM["anthropic"][: wires.CONTENT_AT["anthropic"]]
        slow.answers = [[stream_head(), *map(chunk, begun), 0.5, None]]
        async with scene(tmp_path, ("safe", "slow/m", MODELS["gemini"]), slow=slow.port, more=", deadline_s: 0.3") as gw:
            got = await stream(gw, "anthropic", "safe")
            assert gw.up.requests == []
    assert (got.end, got.text) == ("error", "hello")


async def test_a_client_that_leaves_meanwhile_takes_everybody_along(tmp_path):
    """The second call is hung up on, and nothing stays in flight."""
    async with upstream() as slow:
        slow.answers = [[stream_head(), 30.0]]
        async with scene(tmp_path, ("safe", MODELS["anthropic"], "slow/m"), slow=slow.port) as gw:
            gw.up.cuts = [middle()]
            path, body = request("anthropic", "safe")
            reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
            sent = json.dumps(body).encode()
            head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer gw-test-key\r\ncontent-length: {len(sent)}\r\n\r\n"
            writer.write(head.encode() + sent)
            await reader.readuntil(OUT[-7:].encode())
            while not slow.requests:
                await asyncio.sleep(0.01)
            writer.transport.abort()
            await asyncio.wait_for(slow.closed.wait(), 10)
            while not gw.settled:
                await asyncio.sleep(0.01)
    assert [record.cause for record in gw.settled[0].exchange.attempts] == ["broken", "cancelled"]
