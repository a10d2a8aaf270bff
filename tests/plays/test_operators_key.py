"""A provider that refuses the operator's key: the client hears that it is not its own that is wrong, in its own dialect."""

import json

import pytest

from tests.plays.failing import causes, error, hosts, records
from tests.plays.scene import DIALECTS, ask, asking, get, message_of, providers, send, served, whole
from tests.serving import answer, gateway, upstream

NO = error(401, "Incorrect API key provided: sk-secret", kind="invalid_request_error", code="invalid_api_key")
CLAUDES = answer(
    json.dumps({"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}).encode(), status=401
)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("client", DIALECTS)
async def test_a_clients_key_is_not_called_wrong_for_the_operators(tmp_path, client, stream):
    """502, and whose credential it is; a 401 would have clients throw away a good key. Nothing the provider said of it is told."""
    async with hosts(tmp_path, "openai_chat", models="  m: {targets: [a/m]}") as gw:
        gw.a.answers = [[NO]]
        got = await ask(gw, client, "m", stream=stream)
        assert got.status == 502
        message = message_of(client, got.json)
        assert (
            message
            == "a has refused the gateway's own credential for it. That is for the gateway's operator to mend; your key is not meant."
        )
        assert causes(gw) == [("a/m", "our_credential")]
        assert "Incorrect API key" in records(gw)[0].message, "who reads the ledger is told what it said"


async def test_another_target_is_asked_first(tmp_path):
    """Only where nobody else serves is it told; then among the others."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models="  m: {targets: [a/m], fallback: [b/m]}") as gw:
        gw.a.answers = [[NO]]
        assert (await ask(gw, "openai_chat", "m")).status == 200
        gw.b.answers = [[NO]]
    async with hosts(tmp_path, "openai_chat", "openai_chat", models="  m: {targets: [a/m], fallback: [b/m]}") as gw:
        gw.a.answers = gw.b.answers = [[NO]]
        got = await ask(gw, "openai_chat", "m")
        assert got.status == 502
        assert "a has refused the gateway's own credential" in got.json["error"]["message"]
        assert "b has refused the gateway's own credential" in got.json["error"]["message"]


async def test_so_it_is_with_counts_kept_responses_and_what_is_forwarded(tmp_path):
    """Every call that is made with the operator's key."""
    kept = answer(json.dumps(whole("openai_responses")).encode())
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[CLAUDES]]
        counted = await send(gw, "/v1/messages/count_tokens", asking("anthropic", "to-anthropic"))
        assert (counted.status, counted.json["error"]["type"]) == (502, "api_error")
        up.answers = [[NO]]
        assert (await send(gw, "/v1/embeddings", {"model": "talk/e", "input": "hi"})).status == 502
        up.answers = [[kept], [NO]]
        assert (await send(gw, "/v1/responses", {"model": "to-openai_responses", "input": "x"})).status == 200
        got = await get(gw, "/v1/responses/resp_up1")
        assert (got.status, got.json["error"]["code"]) == (502, "provider_credential_refused")


async def test_whoever_brings_the_providers_key_is_told_that_it_is_wrong(tmp_path):
    """It is the client's own there."""
    config = 'providers: {p: {kind: openai, base_url: "http://127.0.0.1:%d/v1", dialects: [openai_chat], credentials: client}}\n'
    async with upstream() as up, gateway(config % up.port, tmp_path) as gw:
        up.answers = [[NO], served("openai_chat")]
        got = await send(
            gw,
            "/v1/chat/completions",
            asking("openai_chat", "p/m"),
            key="sk-mine",
            headers="x-gatewright-key: gw-test-key\r\n",
        )
        assert got.status == 401
