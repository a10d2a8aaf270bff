"""What cannot be said in another API's words is told, or refused, and never dropped in silence."""

import json
import re

import pytest

from tests.plays.scene import DIALECTS, ask, asking, message_of, path_of, providers, send, served
from tests.serving import answer, gateway, upstream

LOSSY = {
    # client dialect → (fields that the other dialect has no words for, the other dialect, the path that is named)
    "openai_chat": ({"logit_bias": {"50256": -100}}, "anthropic", "logit_bias"),
    "openai_responses": ({"top_logprobs": 3, "include": ["message.output_text.logprobs"]}, "anthropic", "top_logprobs"),
    "anthropic": ({"top_k": 5}, "openai_chat", "top_k"),
    "gemini": ({"generationConfig": {"topK": 5}}, "openai_chat", "generationConfig.topK"),
}


def strict_routes(port: int) -> str:
    return providers(port) + "".join(
        f"  strict-{d}: {{targets: [{t}/m], losses: refuse}}\n"
        for d, t in (("openai_chat", "talk"), ("openai_responses", "native"), ("anthropic", "claude"), ("gemini", "google"))
    )


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_losses_are_in_a_header(tmp_path, dialect, stream):
    """`x-gatewright-loss` names the path in the client's own terms, how grave it is, and why."""
    fields, other, path = LOSSY[dialect]
    async with upstream() as up, gateway(strict_routes(up.port), tmp_path) as gw:
        up.answers = [served(other, stream=stream)]
        got = await ask(gw, dialect, f"to-{other}", stream=stream, **fields)
        assert got.status == 200
        told = got.headers["x-gatewright-loss"]
        assert re.search(rf'"{re.escape(path)}";w=(dropped|approximated|hint);why="[^"]+"', told), told
        assert len(told) <= 2048
        plain = await ask(gw, dialect, f"to-{other}", stream=stream)
        assert "w=dropped" not in plain.headers.get("x-gatewright-loss", "")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_route_that_refuses_losses_names_them(tmp_path, dialect):
    """`losses: refuse`: a 400 in the client's words with the path, and nothing is sent; without losses it is served."""
    fields, other, path = LOSSY[dialect]
    async with upstream() as up, gateway(strict_routes(up.port), tmp_path) as gw:
        up.answers = [served(other)]
        got = await ask(gw, dialect, f"strict-{other}", **fields)
        assert got.status == 400
        assert path in message_of(dialect, got.json)
        assert up.requests == []
        assert (await ask(gw, dialect, f"strict-{other}")).status == 200


async def test_at_home_nothing_is_lost_and_nothing_is_said(tmp_path):
    """The same fields pass to a provider of the client's own dialect, header-less, byte for byte."""
    for dialect, (fields, _, _) in LOSSY.items():
        async with upstream() as up, gateway(strict_routes(up.port), tmp_path) as gw:
            up.answers = [served(dialect)]
            got = await ask(gw, dialect, f"strict-{dialect}", **fields)
            assert (got.status, "x-gatewright-loss" in got.headers) == (200, False)
            for key, value in fields.items():
                assert json.loads(up.body())[key] == value


async def test_a_flood_of_losses_is_cut_with_its_count(tmp_path):
    """A header has its bounds: the gravest first, then how many more there are."""
    async with upstream() as up, gateway(strict_routes(up.port), tmp_path) as gw:
        up.answers = [served("openai_chat")]
        blocks = [{"type": "text", "text": f"part {i}", "cache_control": {"type": "ephemeral"}} for i in range(200)]
        got = await send(
            gw,
            "/v1/messages",
            {"model": "to-openai_chat", "max_tokens": 9, "top_k": 3, "messages": [{"role": "user", "content": blocks}]},
        )
        told = got.headers["x-gatewright-loss"]
        assert len(told) <= 2048
        assert told.startswith('"top_k";w=dropped')
        assert re.search(r"more=\d+", told)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_overrides_hold_whatever_the_client_says(tmp_path, dialect):
    """A route's own settings reach the provider in its words, also where the bytes would have passed."""
    for other, provider in (
        ("openai_chat", "talk"),
        ("openai_responses", "native"),
        ("anthropic", "claude"),
        ("gemini", "google"),
    ):
        async with upstream() as up:
            config = (
                providers(up.port) + f"  set: {{targets: [{provider}/m], overrides: {{max_tokens: 77, temperature: 0.25}}}}\n"
            )
            async with gateway(config, tmp_path) as gw:
                up.answers = [served(other)]
                assert (await ask(gw, dialect, "set")).status == 200
                sent = json.loads(up.body())
                settings = sent.get("generationConfig", sent)
                limits = [
                    settings.get(k) for k in ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")
                ]
                assert 77 in limits, sent
                assert settings["temperature"] == 0.25


async def test_several_answers_pass_at_home_and_are_refused_abroad(tmp_path):
    """`n` and `candidateCount`: no other API gives several; one call is never silently one answer."""
    for dialect, more, name in (
        ("openai_chat", {"n": 2}, "n"),
        ("gemini", {"generationConfig": {"candidateCount": 2}}, "generationConfig.candidateCount"),
    ):
        async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
            up.answers = [served(dialect)]
            assert (await ask(gw, dialect, f"to-{dialect}", **more)).status == 200
            for other in DIALECTS:
                if other != dialect:
                    got = await ask(gw, dialect, f"to-{other}", **more)
                    assert got.status == 400
                    assert name in message_of(dialect, got.json)
            assert len(up.requests) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"model": 5, "contents": 5}',
        b'{"model": "to-anthropic", "messages": 5, "input": 5, "contents": 5, "max_tokens": 1}',
        b"\xff\xfe",
        b'{"model": "to-anthropic", "messages": ' + b"[" * 5000,
    ],
)
async def test_what_is_no_request_is_told_so_in_the_clients_words(tmp_path, dialect, body):
    """A 400 (or 404 for a name that is none) with the path of what is wrong; never a bug of ours, never a call."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[answer(b"{}")]]
        foreign = "openai_chat" if dialect == "anthropic" else "anthropic"
        got = await send(gw, path_of(dialect, f"to-{foreign}"), body.replace(b"to-anthropic", f"to-{foreign}".encode()))
        assert got.status in (400, 404), got.body
        assert message_of(dialect, got.json)
        assert up.requests == []


def test_every_dialect_has_its_least_request():
    """The scene's own requests are what the tests think they are."""
    assert {d: set(asking(d, "m")) for d in DIALECTS}["gemini"] == {"contents"}
