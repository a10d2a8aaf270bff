"""Providers are asked for their models in the background: politely, within bounds, and never twice at once."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.serving import END, answer, chunk, stream_head, upstream

from gatewright.config import load_config
from gatewright.endpoints import endpoint_of
from gatewright.listing import lists_of
from gatewright.pipeline.live_lists import ListCall, list_call, list_call_elsewhere
from gatewright.providers.catalog import HOSTS

OPENAI = {"data": [{"id": "gpt-5"}, {"id": "org/o3"}]}
NAMES = ["gpt-5", "org/o3"]


def told(document) -> list[bytes]:
    return [answer(json.dumps(document).encode())]


@asynccontextmanager
async def asking(tmp_path, port: int, kind: str = "openai", path: str = "/v1"):
    """Live lists of one provider at `port`."""
    file = tmp_path / "gatewright.yaml"
    file.write_text(f"providers: {{up: {{kind: {kind}, base_url: 'http://127.0.0.1:{port}{path}', api_key: sk-up}}}}\n")
    config = load_config(file, {"GATEWRIGHT_HOME": str(tmp_path)})
    endpoint = endpoint_of(config.providers["up"], {})
    lists = lists_of(config, {"up": endpoint})
    try:
        yield lists
    finally:
        await lists.close()
        await endpoint.close()


@pytest.mark.parametrize(
    ("refusal", "problem"),
    [
        ([answer(b"<html>log in</html>", content_type="text/html")], "expected a list of models in JSON"),
        ([answer(b'{"error": {"message": "bad key sk-up"}}', status=401)], "answered 401 to GET /models"),
        ([answer(b'{"data": []}')], ""),
        ([None], "127.0.0.1"),
        ([stream_head(), chunk(b'{"data": ['), None], "127.0.0.1"),
        ([stream_head(), chunk(b"[" * 200_000), END], "expected a list of models in JSON"),
        ([stream_head(), chunk(b" " * (9 << 20)), END], "127.0.0.1"),
    ],
    ids=["html", "401", "empty", "cut", "cut in the list", "nested", "too long"],
)
async def test_a_provider_that_cannot_be_asked_takes_nothing_away(tmp_path, refusal, problem):
    """The old list stays, what went wrong is told without the key, and it is asked again later."""
    async with upstream() as up, asking(tmp_path, up.port) as lists:
        up.answers = [told(OPENAI), refusal]
        await lists.refresh(("up",))
        assert list(lists.known.models("up")) == NAMES
        await lists.refresh(("up",))
        assert list(lists.known.models("up")) == NAMES
        assert problem in lists.known.problem("up")
        assert bool(problem) == bool(lists.known.problem("up"))
        assert "sk-up" not in lists.known.problem("up")
        assert lists.known.due(float("inf")) == ("up",)


async def test_nobody_listens_there(tmp_path):
    """A local server that is switched off; what was remembered of it is not written over."""
    async with asking(tmp_path, 1) as lists:
        await lists.refresh(("up",))
        assert not (tmp_path / "model-lists.json").exists()
        assert "127.0.0.1:1" in lists.known.problem("up")
        assert lists.known.due(lists._now()) == ()


async def test_one_round_at_a_time(tmp_path):
    """A hundred clients that look at once cause one call, and one that looks later none while the list is fresh."""
    async with upstream() as up, asking(tmp_path, up.port) as lists:
        up.answers = [[0.05, *told(OPENAI)]]
        lists.keep(("up",))
        await asyncio.sleep(0)
        for _ in range(100):
            lists.poke()
        await lists._round
        for _ in range(200):  # who comes second need not wait for whoever asks
            if list(lists.known.models("up")):
                break
            await asyncio.sleep(0.02)
        lists.poke()
        await lists._round
        assert len(up.requests) == 1


async def test_routes_hear_of_prices_whoever_has_loaded_them(tmp_path):
    """The books' thread may be first; what routes have found out without sizes and prices is then found out anew."""
    async with asking(tmp_path, 1) as lists:
        told = []
        lists.known.subscribe(lambda: told.append(lists.prices.loaded))
        await asyncio.to_thread(lists.prices.load)
        assert told == []
        lists.load_prices_soon()
        await lists._loading
        await lists.load_prices()
        assert told == [True]


async def test_a_round_ends_with_the_gateway(tmp_path):
    """A provider that hangs does not keep it from stopping."""
    async with upstream() as up, asking(tmp_path, up.port) as lists:
        up.answers = [[30.0, None]]
        lists.poke()
        await asyncio.sleep(0.05)
        async with asyncio.timeout(1):
            await lists.close()


async def test_a_kept_list_is_asked_for_again_when_it_is_old(tmp_path):
    """Names go up a ladder by it, and nobody looks at it for as long as names are remembered."""
    async with upstream() as up, asking(tmp_path, up.port) as lists:
        up.answers = [told(OPENAI), told({"data": [{"id": "gpt-6"}]})]
        lists.known._refresh_s = 0.1
        changes = asyncio.Event()
        lists.keep(("up",))
        async with asyncio.timeout(5):
            while list(lists.known.models("up")) != ["gpt-6"]:
                lists.known.subscribe(changes.set)
                await changes.wait()
                changes.clear()
        assert len(up.requests) == 2


async def test_a_kept_list_that_cannot_be_had_is_not_asked_for_in_a_hurry(tmp_path):
    """It waits as after any failure."""
    async with upstream() as up, asking(tmp_path, up.port) as lists:
        up.answers = [[answer(b"no", status=500)]]
        lists.keep(("up",))
        await asyncio.sleep(0.4)
        assert len(up.requests) == 1


async def test_a_provider_without_a_list_is_not_asked_for_one(tmp_path):
    """A ladder may lead to one; that must not end the keeping of other lists."""
    async with upstream() as up, asking(tmp_path, up.port, "databricks", "/serving-endpoints") as lists:
        lists.keep(("up",))
        lists.poke("up")
        await lists.refresh(("up",))
        assert lists._keeping is None
        assert (up.requests, lists.known.problem("up")) == ([], "")


async def test_pages_are_followed_and_not_for_ever(tmp_path):
    """Cursors go back as they came; a provider that always has more is left after twenty."""
    async with upstream() as up, asking(tmp_path, up.port, "anthropic", "") as lists:
        page = {"data": [{"type": "model", "id": "claude-1"}], "has_more": True, "last_id": "claude-1&x=/1"}
        up.answers = [told(page), told({"data": [{"id": "claude-2"}], "has_more": False, "last_id": "claude-2"})]
        await lists.refresh(("up",))
        assert list(lists.known.models("up")) == ["claude-1", "claude-2"]
        asked = [urlsplit(request.split(b" ")[1].decode()) for request in up.requests]
        assert [url.path for url in asked] == ["/v1/models", "/v1/models"]
        assert parse_qs(asked[1].query) == {"limit": ["1000"], "after_id": ["claude-1&x=/1"]}
        assert b"anthropic-version: 2023-06-01" in up.head().lower()
        assert b"x-api-key: sk-up" in up.head().lower()
        up.requests.clear()
        up.answers = [told({"data": [{"id": f"m{i}"}], "has_more": True, "last_id": f"m{i}"}) for i in range(100)]
        await lists.refresh(("up",))
        assert len(up.requests) == len(lists.known.models("up")) == 20


async def test_geminis_list(tmp_path):
    """Resource names, tokens for pages, its own header."""
    async with upstream() as up, asking(tmp_path, up.port, "gemini", "") as lists:
        model = {"name": "models/gemini-3-pro", "supportedGenerationMethods": ["generateContent"]}
        up.answers = [told({"models": [model], "nextPageToken": "T"}), told({"models": [{"name": "models/gemini-2.5-pro"}]})]
        await lists.refresh(("up",))
        assert list(lists.known.models("up")) == ["gemini-3-pro", "gemini-2.5-pro"]
        assert [request.split(b" ")[1] for request in up.requests] == [
            b"/v1beta/models?pageSize=1000",
            b"/v1beta/models?pageSize=1000&pageToken=T",
        ]
        assert b"x-goog-api-key: sk-up" in up.head().lower()


async def test_a_list_that_lies_beside_the_base(tmp_path):
    """GitHub's catalogue is not under the base of its calls."""
    async with upstream() as up, asking(tmp_path, up.port, "github", "/inference") as lists:
        up.answers = [told([{"id": "openai/gpt-5", "name": "OpenAI gpt-5"}])]
        await lists.refresh(("up",))
        assert list(lists.known.models("up")) == ["openai/gpt-5"]
        assert up.requests[0].split(b" ")[1] == b"/catalog/models"


@pytest.mark.parametrize(
    ("kind", "dialects", "call"),
    [
        ("openai", ("openai_responses", "openai_chat"), ListCall("openai_chat", ("/models",))),
        ("openai", ("openai_responses",), ListCall("openai_responses", ("/models",))),
        ("openrouter", ("anthropic", "openai_chat"), ListCall("openai_chat", ("/models",))),
        ("openrouter", ("anthropic",), ListCall("anthropic", ("/v1/models?limit=1000",))),
        ("gemini", ("gemini",), ListCall("gemini", ("/v1beta/models?pageSize=1000",))),
        ("perplexity", ("openai_chat",), ListCall("openai_chat", ("/v1/models",))),
        ("github", ("openai_chat",), ListCall("openai_chat", ("/../catalog/models",))),
        ("databricks", ("openai_chat",), None),
    ],
)
def test_where_a_host_lists_its_models(kind, dialects, call):
    """Where its row says, else where hosts of the dialect do."""
    assert list_call(HOSTS[kind], dialects) == call


def test_lists_on_a_host_of_their_own():
    """Asked there, or behind another's base URL at that one; not without the settings that they need."""
    bedrock = HOSTS["bedrock"]
    own = list_call_elsewhere(
        bedrock, bedrock.dialects, {"region": "eu-west-1"}, "https://bedrock-runtime.eu-west-1.amazonaws.com"
    )
    assert own.origin == "https://bedrock.eu-west-1.amazonaws.com"
    assert [path.partition("?")[0] for path in own.paths] == ["/foundation-models", "/inference-profiles"]
    proxy = list_call_elsewhere(bedrock, bedrock.dialects, {"region": "eu-west-1"}, "http://127.0.0.1:4566")
    assert (proxy.origin, proxy.paths) == ("http://127.0.0.1:4566", own.paths)
    assert list_call_elsewhere(bedrock, bedrock.dialects, {}, "http://127.0.0.1:4566") is None
    assert list_call_elsewhere(HOSTS["openai"], ("openai_chat",), {}, "") is None
