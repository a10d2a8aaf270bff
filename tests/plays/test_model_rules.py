"""What a model's entry may say beside its targets: parameters for what the client left unsaid, and sizes."""

import json

import pytest

from tests.plays.scene import DIALECTS, ask, send, whole
from tests.serving import answer, gateway, upstream


def config(port: int, kind: str = "openai", dialects: str = "[openai_chat]") -> str:
    base = f"http://127.0.0.1:{port}" + ("" if kind == "anthropic" else "/v1")
    return f"""
providers:
  up: {{kind: {kind}, base_url: "{base}", dialects: {dialects}, api_key: sk-up}}
models:
  tame: {{targets: [up/m], defaults: {{temperature: 0.25, max_tokens: 77, stop: [END], effort: low}}}}
  firm: {{targets: [up/m], defaults: {{temperature: 0.25}}, overrides: {{temperature: 0.5}}}}
  long: {{targets: [up/m], max_output: 12345}}
"""


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_defaults_speak_where_the_client_was_silent(tmp_path, dialect):
    """In the dialect of the upstream, whatever the client speaks; also where bytes would have passed."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(json.dumps(whole("openai_chat")).encode())]]
        assert (await ask(gw, dialect, "tame")).status == 200
        sent = json.loads(up.body())
        assert sent["temperature"] == 0.25
        assert sent["stop"] in ("END", ["END"])
        assert sent["reasoning_effort"] == "low"


async def test_what_the_client_says_holds_against_defaults_and_not_against_overrides(tmp_path):
    """Defaults are a suggestion, overrides an order."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(json.dumps(whole("openai_chat")).encode())]]
        said = {"messages": [{"role": "user", "content": "x"}], "temperature": 0, "max_tokens": 5, "stop": ["X"]}
        assert (await send(gw, "/v1/chat/completions", {"model": "tame", **said})).status == 200
        sent = json.loads(up.body())
        assert (sent["temperature"], sent.get("max_tokens", sent.get("max_completion_tokens"))) == (0, 5)
        assert sent["stop"] in ("X", ["X"])
        assert (await send(gw, "/v1/chat/completions", {"model": "firm", **said})).status == 200
        assert json.loads(up.body())["temperature"] == 0.5


async def test_a_models_longest_answer_is_asked_for_where_a_limit_must_be(tmp_path):
    """Messages wants `max_tokens`; a chat client need not give one."""
    async with upstream() as up, gateway(config(up.port, "anthropic", "[anthropic]"), tmp_path) as gw:
        up.answers = [[answer(json.dumps(whole("anthropic")).encode())]]
        assert (await ask(gw, "openai_chat", "long")).status == 200
        assert json.loads(up.body())["max_tokens"] == 12345


@pytest.mark.parametrize("losses", ["warn", "refuse"])
@pytest.mark.parametrize(
    ("dialect", "overrides", "told"),
    [
        ("openai_chat", "{temperature: 0.25}", "temperature"),
        ("openai_chat", "{top_p: 0.5}", "top_p"),
        ("openai_responses", "{temperature: 0.25}", "temperature"),
        ("openai_responses", "{top_p: 0.5}", "top_p"),
        ("openai_responses", "{stop: [END]}", "stop"),
    ],
)
async def test_an_override_that_the_model_refuses_is_told_as_lost(tmp_path, dialect, overrides, told, losses):
    """Though nothing crosses: a model of OpenAI's that always reasons answers 400 to it, and Responses has no stop sequences."""
    async with upstream() as up:
        set_ = f"  set: {{targets: [openai/gpt-5-mini], losses: {losses}, overrides: {overrides}}}\n"
        base = f"http://127.0.0.1:{up.port}/v1"
        openai = f"openai: {{base_url: '{base}', dialects: [{dialect}], api_key: sk-up}}"
        async with gateway(f"providers:\n  {openai}\nmodels:\n{set_}", tmp_path) as gw:
            up.answers = [[answer(json.dumps(whole(dialect)).encode())]]
            got = await ask(gw, dialect, "set")
            if losses == "refuse":
                assert (got.status, len(up.requests)) == (400, 0)
                assert told in got.json["error"]["message"]
            else:
                assert got.status == 200
                assert told not in json.loads(up.body())
                assert f'"{told}";w=dropped' in got.headers["x-gatewright-loss"]
