"""Bring your own key: the client's provider key passes, the gateway's does not, and neither goes where it was not meant for."""

import json
import logging
from contextlib import asynccontextmanager

import pytest

from tests.identity import serving
from tests.serving import KEY, call, gateway

OWN = "sk-ant-api03-the-clients-own"
TOKEN = "sk-ant-oat01-subscription"

MESSAGES = json.dumps({"model": "claude/c", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}).encode()
CHAT = json.dumps({"model": "claude/c", "messages": [{"role": "user", "content": "hi"}]}).encode()
GEMINI = json.dumps({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}).encode()

ANSWERS = {
    "anthropic": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "gemini": {"candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP"}]},
    "openai": {
        "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    },
}  # fmt: skip


class Host:
    def __init__(self, name):
        self.name = name
        self.seen = []
        self.answer_with = None

    def answer(self, asked):
        self.seen.append(asked)
        told = self.answer_with
        return told(asked) if callable(told) else told or (200, ANSWERS[self.name])

    @property
    def head(self):
        return self.seen[-1].headers


@asynccontextmanager
async def scene(tmp_path, own="credentials: client"):
    hosts = {name: Host(name) for name in ("anthropic", "gemini", "openai")}
    async with (
        serving(hosts["anthropic"].answer) as claude,
        serving(hosts["gemini"].answer) as gemini,
        serving(hosts["openai"].answer) as openai,
    ):
        config = f"""
providers:
  claude: {{kind: anthropic, base_url: 'http://127.0.0.1:{claude}', {own}}}
  google: {{kind: gemini, base_url: 'http://127.0.0.1:{gemini}', {own}}}
  gpt: {{kind: openai, base_url: 'http://127.0.0.1:{openai}/v1', dialects: [openai_chat], {own}}}
  spare: {{kind: openai, base_url: 'http://127.0.0.1:{openai}/v1', dialects: [openai_chat], api_key: sk-the-gateways-own}}
models:
  m: {{targets: [claude/c], fallback: [spare/m]}}
"""
        async with gateway(config, tmp_path) as gw:
            yield gw, hosts


def lines(**headers):
    return "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())


async def messages(gw, body=MESSAGES, **headers):
    return await call(gw.port, "/v1/messages", body, headers=lines(**headers))


async def test_a_clients_key_passes_and_the_gateways_does_not(tmp_path):
    """Whichever header its SDK uses; the provider gets it in the one that it reads."""
    async with scene(tmp_path) as (gw, hosts):
        for header, value in (("x-api-key", OWN), ("authorization", f"Bearer {OWN}"), ("api-key", OWN)):
            answer = await messages(gw, **{"x-gatewright-key": KEY, header: value})
            assert answer.status == 200
            head = hosts["anthropic"].head
            assert head["x-api-key"] == OWN
            assert "authorization" not in head
            assert KEY not in str(head)


async def test_a_subscriptions_token_travels_as_bearer_with_its_beta_flag(tmp_path):
    """`sk-ant-oat…` is refused as `x-api-key`, and without the flag; flags that the client sent stay."""
    async with scene(tmp_path) as (gw, hosts):
        await messages(gw, x_gatewright_key=KEY, authorization=f"Bearer {TOKEN}")
        head = hosts["anthropic"].head
        assert (head["authorization"], head["anthropic-beta"]) == (f"Bearer {TOKEN}", "oauth-2025-04-20")
        assert "x-api-key" not in head
        flags = "claude-code-20250219, oauth-2025-04-20,context-1m-2025-08-07"
        await messages(gw, x_gatewright_key=KEY, x_api_key=TOKEN, anthropic_beta=flags)
        head = hosts["anthropic"].head
        assert head["authorization"] == f"Bearer {TOKEN}"
        assert [f.strip() for f in head["anthropic-beta"].split(",")] == [f.strip() for f in flags.split(",")]


async def test_every_provider_gets_the_key_in_its_own_header(tmp_path):
    """OpenAI's as bearer, Gemini's as `x-goog-api-key`, from a header or from `?key=`; also across dialects."""
    async with scene(tmp_path) as (gw, hosts):
        both = lines(x_gatewright_key=KEY, authorization="Bearer sk-proj-mine")
        assert (await call(gw.port, "/v1/chat/completions", CHAT.replace(b"claude/c", b"gpt/m"), headers=both)).status == 200
        assert hosts["openai"].head["authorization"] == "Bearer sk-proj-mine"
        path = "/v1beta/models/google%2Fg:generateContent"
        assert (await call(gw.port, path, GEMINI, headers=lines(x_gatewright_key=KEY, x_goog_api_key="AIza-mine"))).status == 200
        assert hosts["gemini"].head["x-goog-api-key"] == "AIza-mine"
        assert (await call(gw.port, f"{path}?key=AIza-query", GEMINI, headers=lines(x_gatewright_key=KEY))).status == 200
        assert hosts["gemini"].head["x-goog-api-key"] == "AIza-query"
        assert "key=" not in str(hosts["gemini"].seen[-1].query)
        abroad = lines(x_gatewright_key=KEY, authorization=f"Bearer {OWN}")
        assert (await call(gw.port, "/v1/chat/completions", CHAT, headers=abroad)).status == 200
        assert hosts["anthropic"].head["x-api-key"] == OWN


@pytest.mark.parametrize(
    "joined", [f"{OWN};gatewright-auth={KEY}", f"{OWN};invariant-auth={KEY}", f"{OWN}|invariant-auth: {KEY}"]
)  # fmt: skip
@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
async def test_two_keys_may_share_a_header(joined, header, tmp_path):
    """For clients that have one place for a key; both reference forms."""
    async with scene(tmp_path) as (gw, hosts):
        value = f"Bearer {joined}" if header == "authorization" else joined
        assert (await messages(gw, **{header: value})).status == 200
        assert hosts["anthropic"].head["x-api-key"] == OWN
        assert KEY not in str(hosts["anthropic"].head)


async def test_a_missing_key_is_told_in_the_clients_dialect_with_the_header_to_send(tmp_path):
    """401, and nothing leaves: the gateway's key is not the provider's."""
    async with scene(tmp_path) as (gw, hosts):
        for headers in ({"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}, {"x-gatewright-key": KEY, "x-api-key": KEY}):
            answer = await messages(gw, **headers)
            told = json.loads(answer.body)
            assert answer.status == 401
            assert told["type"] == "error"
            assert told["error"]["type"] == "authentication_error"
            assert "x-api-key" in told["error"]["message"]
            assert "x-gatewright-key" in told["error"]["message"]
            assert "'claude'" in told["error"]["message"]
        assert not hosts["anthropic"].seen


async def test_a_wrong_gateway_key_reaches_nothing_whatever_else_is_sent(tmp_path):
    """A provider's key alone is no key of ours."""
    async with scene(tmp_path) as (gw, hosts):
        for headers in (
            {"x-api-key": OWN}, {"x-gatewright-key": "wrong", "x-api-key": OWN}, {"x-api-key": f"{OWN};gatewright-auth=wrong"},
            {"x-gatewright-key": "wrong", "x-api-key": f"{OWN};gatewright-auth={KEY}"},
        ):  # fmt: skip
            answer = await messages(gw, **headers)
            assert answer.status == 401
            assert OWN.encode() not in answer.body
        for bad in (f"{OWN};gatewright-auth=", f";gatewright-auth={KEY}", f"a;gatewright-auth={KEY};gatewright-auth={KEY}"):
            assert (await messages(gw, x_api_key=bad)).status in (400, 401)
        assert not hosts["anthropic"].seen


async def test_a_clients_key_never_reaches_another_provider(tmp_path):
    """The fallback has a key of its own and uses that one."""
    async with scene(tmp_path) as (gw, hosts):
        hosts["anthropic"].answer_with = (529, {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})
        answer = await messages(gw, MESSAGES.replace(b"claude/c", b"m"), x_gatewright_key=KEY, x_api_key=OWN)
        assert (answer.status, answer.headers["x-gatewright-target"]) == (200, "spare/m")
        assert hosts["anthropic"].head["x-api-key"] == OWN
        assert hosts["openai"].head["authorization"] == "Bearer sk-the-gateways-own"
        assert OWN not in str(hosts["openai"].head)


async def test_without_the_setting_nothing_of_a_clients_credential_leaves(tmp_path):
    """Whatever the client sends, only the gateway's own key goes out."""
    async with scene(tmp_path, own="api_key: sk-the-gateways-own") as (gw, hosts):
        await messages(gw, x_gatewright_key=KEY, authorization=f"Bearer {TOKEN}", x_api_key=OWN, x_goog_api_key="AIza-x")
        await messages(gw, x_api_key=f"{OWN};gatewright-auth={KEY}")
        for asked in hosts["anthropic"].seen:
            assert asked.headers["x-api-key"] == "sk-the-gateways-own"
            for secret in (OWN, TOKEN, "AIza-x", KEY):
                assert secret not in str(asked.headers)
        assert len(hosts["anthropic"].seen) == 2


async def test_errors_and_logs_do_not_tell_the_clients_key(tmp_path, caplog):
    """An upstream that repeats the key in its error is freed of it, whole and in the dialect of another client."""
    caplog.set_level(logging.DEBUG)
    async with scene(tmp_path) as (gw, hosts):
        for status in (401, 403, 500):
            told = {"type": "error", "error": {"type": "authentication_error", "message": f"invalid x-api-key: {OWN}"}}
            hosts["anthropic"].answer_with = (status, told)
            for path, body in (("/v1/messages", MESSAGES), ("/v1/chat/completions", CHAT)):
                answer = await call(gw.port, path, body, headers=lines(x_gatewright_key=KEY, x_api_key=OWN))
                assert answer.status == status if path == "/v1/messages" else answer.status >= 400
                assert OWN.encode() not in answer.body
                assert b"***" in answer.body
        assert OWN not in caplog.text


async def test_counting_and_forwarding_use_the_clients_key_too(tmp_path):
    """Every way out is the same way."""
    async with scene(tmp_path) as (gw, hosts):
        hosts["anthropic"].answer_with = (200, {"input_tokens": 7})
        both = lines(x_gatewright_key=KEY, x_api_key=OWN, anthropic_version="2023-06-01")
        answer = await call(gw.port, "/v1/messages/count_tokens", MESSAGES, headers=both)
        assert json.loads(answer.body) == {"input_tokens": 7}
        assert hosts["anthropic"].head["x-api-key"] == OWN
        hosts["openai"].answer_with = (200, {"object": "list", "data": [], "usage": {"prompt_tokens": 1, "total_tokens": 1}})
        asked = json.dumps({"model": "gpt/e", "input": "x"}).encode()
        headers = lines(x_gatewright_key=KEY, authorization="Bearer sk-proj-mine")
        assert (await call(gw.port, "/v1/embeddings", asked, headers=headers)).status == 200
        assert hosts["openai"].head["authorization"] == "Bearer sk-proj-mine"
