"""Lists of models: what providers list is asked for in the background, and nobody waits for it."""

import asyncio
import json

import anthropic
import openai
from google import genai

from tests.plays.scene import get, send, whole
from tests.serving import KEY, answer, gateway, upstream

OPENAI = {"data": [{"id": "gpt-5", "created": 5, "context_length": 9}, {"id": "org/o3"}]}
NARROW = "gw-narrow-key"


def config(port: int, kind: str = "openai", more: str = "") -> str:
    base = f"http://127.0.0.1:{port}" + ("/v1" if kind == "openai" else "")
    return f"""
providers:
  up: {{kind: {kind}, base_url: "{base}", api_key: sk-up}}
models:
  fast: {{targets: [up/real], context: 1000, max_output: 100}}
{more}
"""


def ids(answer) -> list[str]:
    return [model["id"] for model in answer.json["data"]]


async def until(condition, within_s: float = 20.0):
    """What `condition` (a coroutine function) gives, once it is true."""
    async with asyncio.timeout(within_s):
        while not (found := await condition()):
            await asyncio.sleep(0.01)
    return found


async def test_the_first_answer_is_what_is_known_and_the_next_has_the_providers(tmp_path):
    """A provider that hangs makes nobody wait; one that answers is asked once."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        goes_on = asyncio.Event()

        async def hangs(reader, writer):
            await goes_on.wait()
            up.play = None
            await up.serve(reader, writer)

        up.serve_with(hangs)
        up.answers = [[answer(json.dumps(OPENAI).encode())]]
        first = await asyncio.wait_for(get(gw, "/v1/models"), 30)
        assert ids(first) == ["fast"]
        goes_on.set()
        listed = await until(lambda: _longer(gw, 1))
        assert ids(listed) == ["fast", "up/gpt-5", "up/org/o3"]
        assert listed.json["data"][0]["context_length"] == 1000
        assert listed.json["data"][1] == {
            "id": "up/gpt-5", "object": "model", "created": 5, "owned_by": "up", "context_length": 9,
        }  # fmt: skip
        for _ in range(5):
            await get(gw, "/v1/models")
        assert len(up.requests) == 1
        head = up.head().lower()
        assert head.startswith(b"get /v1/models http/1.1")
        assert b"authorization: bearer sk-up" in head
        assert b"content-type" not in head
        assert (await get(gw, "/v1/models/up/never-listed")).json["id"] == "up/never-listed"
        assert ids(await get(gw, "/up/v1/models")) == ["gpt-5", "org/o3", "real"]


async def _is(file):
    return file.exists()


async def _longer(gw, than: int):
    got = await get(gw, "/v1/models")
    return got if len(ids(got)) > than else None


async def test_a_key_sees_of_the_live_lists_what_it_may_use(tmp_path):
    """The list of a key that may use nothing of a provider does not grow by it."""
    keys = f'{{name: narrow, key: {NARROW}, models: ["fast", "up/org/*"]}}'
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=keys) as gw:
        up.answers = [[answer(json.dumps(OPENAI).encode())]]
        await get(gw, "/v1/models")
        await until(lambda: _longer(gw, 1))
        assert ids(await get(gw, "/v1/models", key=NARROW)) == ["fast", "up/org/o3"]


async def test_with_live_lists_off_nobody_is_asked(tmp_path):
    """Some providers bill or log every call."""
    async with upstream() as up, gateway(config(up.port, more="model_lists: {live: false}"), tmp_path) as gw:
        up.answers = [[answer(json.dumps(OPENAI).encode())]]
        assert ids(await get(gw, "/v1/models")) == ["fast"]
        await asyncio.sleep(0.2)
        assert ids(await get(gw, "/v1/models")) == ["fast"]
        assert up.requests == []


LADDER = """
  "claude-*": {ladder: {provider: up}}
model_lists: {live: false}
"""


async def test_a_laddered_name_follows_the_list(tmp_path):
    """The list is asked for when the gateway starts; a name goes up the ladder as soon as it is there."""
    async with upstream() as up, gateway(config(up.port, more=LADDER), tmp_path) as gw:
        listed = {"data": [{"id": "anthropic/claude-opus-4.9"}, {"id": "anthropic/claude-opus-4.10"}, {"id": "openai/gpt-5"}]}
        up.answers = [[answer(json.dumps(listed).encode())], [answer(json.dumps(whole("openai_chat")).encode())]]
        for begin in gw.gateway.starting:
            begin()
        await until(lambda: _longer(gw, 3))
        call = {"model": "claude-opus-3", "messages": [{"role": "user", "content": "x"}]}
        got = await send(gw, "/v1/chat/completions", call)
        assert (got.status, got.headers["x-gatewright-target"]) == (200, "up/anthropic/claude-opus-4.10")
        assert json.loads(up.body())["model"] == "anthropic/claude-opus-4.10"
        assert "claude-opus-4.9" in ids(await get(gw, "/v1/models"))


async def test_official_sdks_read_the_list(tmp_path):
    """With their own paging: each model once, sizes where the SDK has a field for them."""
    many = {"data": [{"id": f"m{i:04}", "context_length": 5} for i in range(45)]}
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(json.dumps(many).encode())]]
        await get(gw, "/v1/models")
        names = ids(await until(lambda: _longer(gw, 1)))
        base = f"http://127.0.0.1:{gw.port}"
        async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key=KEY) as client:
            assert [model.id async for model in client.models.list()] == names
        async with anthropic.AsyncAnthropic(base_url=base, api_key=KEY) as client:
            found = [model async for model in client.models.list(limit=20)]
            assert [model.id for model in found] == names
            assert (found[0].max_input_tokens, found[0].max_tokens, found[0].lifecycle) == (1000, 100, "active")
            assert (await client.models.retrieve("up/m0001")).max_input_tokens == 5
        client = genai.Client(api_key=KEY, http_options={"base_url": base}).aio
        pager = await client.models.list(config={"page_size": 20})
        listed = [model async for model in pager]
        assert [model.name for model in listed] == [f"models/{name}" for name in names]
        assert (listed[0].input_token_limit, listed[0].output_token_limit) == (1000, 100)
        await client.aclose()


async def test_bedrocks_lists_are_on_a_host_of_their_own(tmp_path):
    """Models and inference profiles add up, signed like every call; one list that is refused does not take the other away."""
    models = {"modelSummaries": [{"modelId": "amazon.nova-pro-v1:0", "modelName": "Nova Pro", "outputModalities": ["TEXT"]}]}
    profiles = {"inferenceProfileSummaries": [{"inferenceProfileId": "us.anthropic.claude-opus-4-1-v1:0"}]}
    async with upstream() as up:
        text = f"""
providers:
  bed: {{kind: bedrock, region: us-east-1, base_url: "http://127.0.0.1:{up.port}", auth: aws, access_key_id: AKIDEXAMPLE, secret_access_key: s3}}
models:
  fast: {{targets: [bed/x]}}
"""
        async with gateway(text, tmp_path) as gw:
            up.answers = [[answer(json.dumps(models).encode())], [answer(json.dumps(profiles).encode())]]
            await get(gw, "/v1/models")
            assert ids(await until(lambda: _longer(gw, 1))) == [
                "fast",
                "bed/amazon.nova-pro-v1:0",
                "bed/us.anthropic.claude-opus-4-1-v1:0",
            ]
            assert [request.split(b" ")[1].partition(b"?")[0] for request in up.requests] == [
                b"/foundation-models",
                b"/inference-profiles",
            ]
            assert all(b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/" in request for request in up.requests)
        (tmp_path / "anew").mkdir()
        async with gateway(text, tmp_path / "anew") as gw:
            up.serve_with(_refusing_models(profiles))
            await get(gw, "/v1/models")
            assert ids(await until(lambda: _longer(gw, 1))) == ["fast", "bed/us.anthropic.claude-opus-4-1-v1:0"]


def _refusing_models(profiles):
    async def play(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                good = head.startswith(b"GET /inference-profiles")
                writer.write(answer(json.dumps(profiles).encode()) if good else answer(b"{}", status=403))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return play


async def test_what_was_known_is_known_after_a_restart(tmp_path):
    """The first request goes up the ladder though its provider's list cannot be had just now."""
    listed = {"data": [{"id": "anthropic/claude-opus-4.10"}]}
    async with upstream() as up:
        up.answers = [[answer(json.dumps(listed).encode())], [answer(json.dumps(whole("openai_chat")).encode())]]
        text = config(up.port, more=LADDER)
        async with gateway(text, tmp_path) as gw:
            for begin in gw.gateway.starting:
                begin()
            await until(lambda: _longer(gw, 1))
            await until(lambda: _is(tmp_path / "model-lists.json"))
        async with gateway(text, tmp_path) as gw:
            call = {"model": "claude-opus-3", "messages": [{"role": "user", "content": "x"}]}
            got = await send(gw, "/v1/chat/completions", call)
            assert got.headers["x-gatewright-target"] == "up/anthropic/claude-opus-4.10"
