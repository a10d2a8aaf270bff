"""Quirks at work: what reaches the host, what the client is told, and what a policy refuses."""

import json
from contextlib import asynccontextmanager

import pytest

from tests.plays import wires
from tests.plays.hosts.answers import http, text, written
from tests.plays.hosts.stand_in import world
from tests.serving import KEY, call, gateway
from tests.transport.certificates import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@asynccontextmanager
async def before(kind, authority, tmp_path, *, dialect="openai_chat", settings=None, losses="warn"):
    """A gateway before one host; the model `m` leads to it with a policy of its own."""
    async with world(authority) as host:
        section = {"kind": kind, "api_key": "sk-1", "proxy": f"http://127.0.0.1:{host.port}", "ca_file": authority.ca_file}
        models = {"m": {"targets": [f"it/{'claude-x' if dialect == 'anthropic' else 'some-model'}"], "losses": losses}}
        config = f"providers: {json.dumps({'it': section | (settings or {})})}\nmodels: {json.dumps(models)}\n"
        host.answer = http(*written(kind, dialect, stream=False))
        async with gateway(config, tmp_path) as gw:
            yield gw, host


async def chat(gw, **more):
    document = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **more}
    return await call(gw.port, "/v1/chat/completions", json.dumps(document).encode())


async def test_a_client_of_the_hosts_own_dialect_is_told_what_was_left_out(authority, tmp_path):
    """Its bytes pass, but for what would have killed the call."""
    async with before("groq", authority, tmp_path) as (gw, host):
        got = await chat(gw, logprobs=True, seed=1)
        assert got.status == 200
        assert host.seen[-1].json == {"model": "some-model", "messages": [{"role": "user", "content": "hi"}], "seed": 1}
        assert '"logprobs";w=dropped' in got.headers["x-gatewright-loss"]


async def test_under_refuse_it_is_refused_by_name(authority, tmp_path):
    """And the host is not asked; a hint is no reason to refuse."""
    async with before("groq", authority, tmp_path, losses="refuse") as (gw, host):
        got = await chat(gw, logprobs=True)
        assert got.status == 400
        assert json.loads(got.body)["error"]["param"] == "logprobs"
        assert host.seen == []
        got = await chat(gw, logprobs=False)
        assert got.status == 200
        assert "logprobs" not in host.seen[-1].json


async def test_what_nothing_is_wrong_with_passes_as_it_came(authority, tmp_path):
    """Byte for byte but for the model's name."""
    async with before("groq", authority, tmp_path) as (gw, host):
        body = b'{"model":"m","messages":[{"role":"user","content":"\\u00e9"}],"temperature":1.0}'
        got = await call(gw.port, "/v1/chat/completions", body)
        assert host.seen[-1].body == body.replace(b'"m"', b'"some-model"')
        assert "x-gatewright-loss" not in got.headers


async def test_a_tool_round_of_another_api_fits_mistral(authority, tmp_path):
    """Ids of nine characters, its own name for the limit, and no field that it refuses: all of it from an Anthropic client."""
    async with before("mistral", authority, tmp_path) as (gw, host):
        document = {
            "model": "m",
            "max_tokens": 50,
            "stream": True,
            "metadata": {"user_id": "u1"},
            "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}],
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_01A", "name": "f", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01A", "content": "4"}]},
            ],
        }
        host.answer = http(*written("mistral", "openai_chat", stream=True))
        got = await call(gw.port, "/v1/messages", json.dumps(document).encode())
        assert got.status == 200
        sent = host.seen[-1].json
        assert set(sent) == {"model", "messages", "max_tokens", "stream", "tools"}
        assert sent["max_tokens"] == 50
        (ref,) = (call["id"] for call in sent["messages"][1]["tool_calls"])
        assert len(ref) == 9
        assert sent["messages"][2]["tool_call_id"] == ref
        assert '"metadata.user_id";w=hint' in got.headers["x-gatewright-loss"]


async def test_an_unknown_beta_flag_kills_no_call(authority, tmp_path):
    """Vertex AI is shown what it knows; the rest is a hint, and so is a cache scope."""
    settings = {"project": "p1", "auth": "bearer"}
    async with before("vertex", authority, tmp_path, dialect="anthropic", settings=settings) as (gw, host):
        said = {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral", "scope": "global"}}
        document = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": [said]}]}
        headers = f"x-api-key: {KEY}\r\nanthropic-beta: odd-2099-01-01, interleaved-thinking-2025-05-14\r\n"
        got = await call(gw.port, "/v1/messages", json.dumps(document).encode(), headers=headers)
        assert got.status == 200
        assert host.seen[-1].headers["anthropic-beta"] == "interleaved-thinking-2025-05-14"
        assert host.seen[-1].json["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
        told = got.headers["x-gatewright-loss"]
        assert '"anthropic-beta";w=hint' in told
        assert '"cache_control.scope";w=hint' in told


async def test_anthropic_itself_is_shown_every_flag(authority, tmp_path):
    """Whatever it does not know yet, it may know tomorrow."""
    async with before("anthropic", authority, tmp_path, dialect="anthropic") as (gw, host):
        document = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
        headers = f"x-api-key: {KEY}\r\nanthropic-beta: odd-2099-01-01\r\n"
        await call(gw.port, "/v1/messages", json.dumps(document).encode(), headers=headers)
        assert host.seen[-1].headers["anthropic-beta"] == "odd-2099-01-01"


async def test_tokens_are_counted_without_unknown_flags_too(authority, tmp_path):
    """The counting call is refused for a flag as any other is."""
    settings = {"project": "p1", "auth": "bearer"}
    async with before("vertex", authority, tmp_path, dialect="anthropic", settings=settings) as (gw, host):
        host.answer = http(b'{"input_tokens":7}', "application/json")
        document = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        headers = f"x-api-key: {KEY}\r\nanthropic-beta: token-counting-2024-11-01\r\n"
        got = await call(gw.port, "/v1/messages/count_tokens", json.dumps(document).encode(), headers=headers)
        assert (got.status, got.body) == (200, b'{"input_tokens":7}')
        at = "/v1/projects/p1/locations/global/publishers/anthropic/models/count-tokens:rawPredict"
        assert host.seen[-1].url == f"https://aiplatform.googleapis.com{at}"
        assert host.seen[-1].json == {**document, "model": "claude-x", "anthropic_version": "vertex-2023-10-16"}
        assert "anthropic-beta" not in host.seen[-1].headers


async def test_geminis_tokens_are_counted_on_vertex(authority, tmp_path):
    """Asked by an Anthropic client; the request is not wrapped there."""
    async with before("vertex", authority, tmp_path, settings={"project": "p1", "auth": "bearer"}) as (gw, host):
        host.answer = http(b'{"totalTokens":9}', "application/json")
        document = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        got = await call(gw.port, "/v1/messages/count_tokens", json.dumps(document).encode())
        assert json.loads(got.body) == {"input_tokens": 9}
        assert host.seen[-1].url.endswith("/publishers/google/models/some-model:countTokens")
        assert set(host.seen[-1].json) <= {"contents", "generationConfig"}


async def test_a_forwarded_call_has_the_hosts_shape(authority, tmp_path):
    """Embeddings of a deployment; what names no model lies beside the deployments."""
    settings = {"base_url": "https://acme.openai.azure.com", "api_version": "2024-10-21"}
    async with before("azure", authority, tmp_path, settings=settings) as (gw, host):
        host.answer = http(b'{"data":[]}', "application/json")
        await call(gw.port, "/v1/embeddings", b'{"model":"it/emb","input":"x"}')
        assert host.seen[-1].url == "https://acme.openai.azure.com/openai/deployments/emb/embeddings?api-version=2024-10-21"
        assert host.seen[-1].headers["api-key"] == "sk-1"
        await call(gw.port, "/it/v1/files?limit=2", b"", method="GET")
        assert host.seen[-1].url == "https://acme.openai.azure.com/openai/files?limit=2&api-version=2024-10-21"


async def test_an_operator_can_say_how_a_server_deviates(authority, tmp_path):
    """A server of the operator's own may have any quirk that has a name; none is a choice too."""
    custom = {"base_url": "https://llm.example/v1"}
    async with before("custom", authority, tmp_path, settings=custom | {"quirks": ["groq-parameters"]}) as (gw, host):
        await chat(gw, logprobs=True)
        assert "logprobs" not in host.seen[-1].json
    async with before("groq", authority, tmp_path, settings={"quirks": []}) as (gw, host):
        await chat(gw, logprobs=True)
        assert host.seen[-1].json["logprobs"] is True


async def test_an_older_client_can_be_led_to_a_model_that_reasons(authority, tmp_path):
    """Its limit and its temperature would each kill the call; a model that does not reason gets both as they are."""
    async with before("openai", authority, tmp_path) as (gw, host):
        document = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9, "temperature": 0.2}
        for model, sent in (("gpt-5-mini", {"max_completion_tokens": 9}), ("gpt-4o", {"max_tokens": 9, "temperature": 0.2})):
            got = await call(gw.port, "/v1/chat/completions", json.dumps({"model": f"it/{model}", **document}).encode())
            assert host.seen[-1].json == {"model": model, "messages": document["messages"], **sent}
            assert ("temperature" in got.headers.get("x-gatewright-loss", "")) == (model == "gpt-5-mini")


@pytest.mark.parametrize(
    ("client", "model", "url"),
    [
        ("openai_chat", "gpt-5-codex", "/v1/responses"),
        ("anthropic", "gpt-4o-search-preview", "/v1/chat/completions"),
        ("openai_responses", "gpt-4o-search-preview", "/v1/chat/completions"),
        ("openai_chat", "gpt-5-mini", "/v1/chat/completions"),
    ],
)
async def test_a_model_that_has_one_endpoint_is_called_there(client, model, url, authority, tmp_path):
    """Whatever the client speaks; the host would answer 404 at the other."""
    async with before("openai", authority, tmp_path) as (gw, host):
        dialect = "openai_responses" if url == "/v1/responses" else "openai_chat"
        host.answer = http(*written("openai", dialect, stream=False))
        path, document = wires.request(client, f"it/{model}", stream=False)
        got = await call(gw.port, path, json.dumps(document).encode())
        assert host.seen[-1].url == f"https://api.openai.com{url}"
        assert text(client, got.body) == wires.TEXT
