"""The cache over real sockets: what is given again, to whom, for how long; and what is not."""

import asyncio
import json
import time
import uuid

import pytest
from tests.plays.same import CLIENTS, ask, said, understood
from tests.plays.scene import KEYS_YAML, OTHER, frames, providers, send, served, tallies, whole
from tests.redis_here import redis_url
from tests.serving import END, answer, chunk, gateway, stream_head, upstream

from gatewright.pipeline.cache import Cache
from gatewright.stores.answers_redis import RedisAnswers

KEPT = """  kept: {targets: [claude/m], cache: {ttl_s: 600}, retry: {tries_each: 1, tries_all: 1}}
  plain: {targets: [claude/m]}
"""


def stage_of(gw) -> Cache:
    step = gw.gateway.stacks.by_operation["generate"]
    while not isinstance(getattr(step, "func", None), Cache):
        step = step.keywords["following"]
    return step.func


async def uses(gw, *asked, **more) -> list[str]:
    """What `x-gatewright-cache` said to each of several requests, given by their headers."""
    return [
        (await ask(gw, "anthropic", "kept", headers=headers, **more)).headers.get("x-gatewright-cache", "") for headers in asked
    ]


async def test_a_model_that_does_not_say_so_keeps_nothing(tmp_path):
    """What may be kept is the operator's to say, per model; elsewhere there is not even a header."""
    async with upstream() as up, gateway(providers(up.port) + KEPT, tmp_path) as gw:
        up.answers = [served("anthropic")]
        for model in ("plain", "plain", "claude/m"):
            got = await ask(gw, "anthropic", model)
            assert "x-gatewright-cache" not in got.headers
        assert len(up.requests) == 3


async def test_where_no_model_keeps_anything_there_is_no_cache(tmp_path):
    """It costs nothing then, because it is not there."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        with pytest.raises((KeyError, AttributeError)):
            stage_of(gw)


async def test_the_client_says_how_old_an_answer_may_be(tmp_path):
    """`no-store` neither looks nor keeps, `no-cache` asks anew and keeps that, `max-age` bounds the age."""
    no_store, no_cache = "cache-control: no-store\r\n", "Cache-Control: no-cache\r\n"
    async with upstream() as up, gateway(providers(up.port) + KEPT, tmp_path) as gw:
        up.answers = [served("anthropic", text=f"answer {i}") for i in range(20)]
        assert await uses(gw, no_store, "", "", no_store) == ["bypass", "miss", "hit", "bypass"]
        assert len(up.requests) == 3
        assert await uses(gw, no_cache, "") == ["miss", "hit"]
        got = await ask(gw, "anthropic", "kept")
        assert said(understood("anthropic", got))[0] == "answer 3", "the one that was asked for anew"
        stage_of(gw).clock = lambda: time.time() + 10
        got = await ask(gw, "anthropic", "kept", headers="cache-control: max-age=60\r\n")
        assert got.headers["x-gatewright-cache"] == "hit"
        assert 10 <= int(got.headers["age"]) < 60
        assert await uses(gw, "cache-control: max-age=5\r\n", "cache-control: max-age=5\r\n") == ["miss", "hit"]


async def test_an_answer_is_good_for_as_long_as_the_model_says(tmp_path):
    """Then it is asked for again."""
    async with upstream() as up, gateway(providers(up.port) + KEPT, tmp_path) as gw:
        up.answers = [served("anthropic")]
        assert await uses(gw, "", "") == ["miss", "hit"]
        stage_of(gw).clock = lambda: time.time() + 599
        assert await uses(gw, "") == ["hit"]
        stage_of(gw).clock = lambda: time.time() + 601
        assert await uses(gw, "", "") == ["miss", "hit"]


async def test_two_keys_never_share_an_answer(tmp_path):
    """The same words of another tenant: another call, at the same time and later."""
    async with upstream() as up, gateway(providers(up.port) + KEPT, tmp_path, keys=KEYS_YAML) as gw:
        up.answers = [served("anthropic")]
        for client in CLIENTS:
            for stream in (False, True):
                up.answers = [served("anthropic", stream=stream)]
                text = f"{client} {stream}"
                first = await ask(gw, client, "kept", text, stream=stream)
                other = await ask(gw, client, "kept", text, stream=stream, key=OTHER)
                again = await ask(gw, client, "kept", text, stream=stream)
                assert [got.headers["x-gatewright-cache"] for got in (first, other, again)] == ["miss", "miss", "hit"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_failures_and_opinions_are_not_kept(tmp_path, stream):
    """Errors, cuts, refusals: the next to ask gets another chance."""
    refused = {**whole("anthropic"), "stop_reason": "refusal"}
    failures = [
        [answer(b'{"type": "error", "error": {"type": "api_error", "message": "no"}}', status=500)],
        [answer(json.dumps(refused).encode())],
    ]
    if stream:
        beginning, content, end = frames("anthropic")
        failures.append([stream_head(), chunk(beginning), chunk(content), END])
        failures.append([stream_head(), chunk(beginning), chunk(content), chunk(end.replace(b"end_turn", b"refusal")), END])
    async with upstream() as up, gateway(providers(up.port) + KEPT, tmp_path) as gw:
        for i, failure in enumerate(failures):
            up.answers = [failure, served("anthropic", stream=stream)]
            assert await uses(gw, "", "", "", stream=stream, text=f"{i}") == ["miss", "miss", "hit"]


async def test_what_is_good_once_goes_to_the_provider_each_time(tmp_path):
    """Tools that the provider runs: the world may have changed."""
    body = {
        "model": "kept",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "news?"}],
        "tools": [{"type": "web_search_20250305", "name": "web_search"}],
    }
    async with upstream() as up, gateway(providers(up.port) + KEPT, tmp_path) as gw:
        up.answers = [served("anthropic")]
        for _ in range(2):
            got = await send(gw, "/v1/messages", body)
            assert got.headers["x-gatewright-cache"] == "bypass"
        assert len(up.requests) == 2


async def test_what_an_upstream_is_to_refuse_is_not_refused_here(tmp_path):
    """A request that we do not understand passes as it did, though the route keeps answers."""
    async with upstream() as up, gateway(providers(up.port) + KEPT, tmp_path) as gw:
        up.answers = [served("anthropic")]
        got = await send(
            gw, "/v1/messages", {"model": "kept", "max_tokens": "many", "messages": [{"role": "user", "content": "hi"}]}
        )
        assert got.status == 200
        assert got.headers["x-gatewright-cache"] == "bypass"
        assert b'"many"' in up.body()


async def test_what_was_lost_is_told_each_time_in_each_one_s_words(tmp_path):
    """A hit hides no loss: not to the dialect that filled it, and not to another."""
    config = providers(0).replace("models:", "models:\n  lossy: {targets: [talk/m], cache: {ttl_s: 60}}")
    async with upstream() as up, gateway(config.replace(":0", f":{up.port}"), tmp_path) as gw:
        up.answers = [served("openai_chat")]
        asked = {"model": "lossy", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "top_k": 5}
        other = {
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {"maxOutputTokens": 9, "topK": 5},
        }
        first = await send(gw, "/v1/messages", asked)
        again = await send(gw, "/v1/messages", asked)
        third = await send(gw, "/v1beta/models/lossy:generateContent", other)
        assert [got.headers["x-gatewright-cache"] for got in (first, again, third)] == ["miss", "hit", "hit"]
        assert '"top_k"' in first.headers["x-gatewright-loss"]
        assert again.headers["x-gatewright-loss"] == first.headers["x-gatewright-loss"]
        assert "generationConfig.topK" in third.headers["x-gatewright-loss"]


async def test_invoke_clients_share_too(tmp_path):
    """Bedrock's InvokeModel is Anthropic's Messages in another wrapping; so is its hit."""
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 200, "messages": [{"role": "user", "content": "hi"}]}
    async with upstream() as up, gateway(providers(up.port) + KEPT, tmp_path) as gw:
        up.answers = [served("anthropic")]
        answers = [await send(gw, "/model/kept/invoke", body) for _ in range(2)]
        assert [got.headers["x-gatewright-cache"] for got in answers] == ["miss", "hit"]
        assert answers[1].json["content"] == answers[0].json["content"]
        streamed = await send(gw, "/model/kept/invoke-with-response-stream", body)
        assert streamed.headers["x-gatewright-cache"] == "hit"
        assert streamed.headers["content-type"] == "application/vnd.amazon.eventstream"
        assert len(up.requests) == 1


def shared(monkeypatch, url: str) -> str:
    """Configuration of a shared store, with keys of this test alone and time enough on a busy machine."""
    prefix = f"gatewright:test:{uuid.uuid4()}:"
    monkeypatch.setattr("gatewright.caching._shared", lambda url: RedisAnswers(url, deadline_s=5, prefix=prefix))
    return f"\ncache: {{url: '{url}'}}\n"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_two_gateways_share_by_redis(tmp_path, monkeypatch, stream):
    """What one was told the other gives again, in another dialect; and holds it from then on."""
    config = shared(monkeypatch, redis_url())
    left = []
    put = RedisAnswers.put

    async def told(self, *args):
        await put(self, *args)
        left.append(args)

    monkeypatch.setattr(RedisAnswers, "put", told)
    async with upstream() as up:
        up.answers = [served("anthropic", stream=stream)]
        homes = [tmp_path / name for name in ("one", "two")]
        for home in homes:
            home.mkdir()
        async with (
            gateway(providers(up.port) + KEPT + config, homes[0]) as one,
            gateway(providers(up.port) + KEPT + config, homes[1], keys=KEYS_YAML) as two,
        ):
            first = await ask(one, "anthropic", "kept", stream=stream)
            assert first.headers["x-gatewright-cache"] == "miss"
            for _ in range(500):
                if left:
                    break
                await asyncio.sleep(0.01)
            for client in CLIENTS:
                got = await ask(two, client, "kept", stream=not stream)
                assert got.headers["x-gatewright-cache"] == "hit"
                assert said(understood(client, got, stream=not stream)) == said(understood("anthropic", first, stream=stream))
            assert len(stage_of(two).answers) == 1
            assert (await ask(two, "anthropic", "kept", key=OTHER)).headers["x-gatewright-cache"] == "miss"
            assert len(up.requests) == 2
            (tally,) = [tally for (who, _), tally in tallies(two).items() if who == "test"]
            assert (tally.requests, tally.input_tokens, tally.errors) == (5, 0, 0)


async def test_a_dead_redis_is_no_error(tmp_path):
    """Answers are kept in memory meanwhile."""
    config = "\ncache: {url: 'redis://127.0.0.1:1/0'}\n"
    async with upstream() as up, gateway(providers(up.port) + KEPT + config, tmp_path) as gw:
        up.answers = [served("anthropic")]
        for i in range(6):
            assert await uses(gw, "", "", text=f"{i}") == ["miss", "hit"]
        assert stage_of(gw).answers.shared.resting


async def test_what_others_can_write_is_not_believed(tmp_path, monkeypatch):
    """A store may hold anything; what is no answer is as if it were not there."""
    config = shared(monkeypatch, "redis://unused")

    class Junk:
        async def get(self, key):
            return b"\x00" + b"\x81\xa1a\x01"

        async def put(self, key, kept, ttl_s): ...

        async def close(self): ...

    monkeypatch.setattr("gatewright.caching._shared", lambda url: Junk())
    async with upstream() as up, gateway(providers(up.port) + KEPT + config, tmp_path) as gw:
        up.answers = [served("anthropic")]
        assert await uses(gw, "", "") == ["miss", "hit"]
