"""Explain tells what would happen, and that is what happens; nobody is called for it."""

import asyncio
import json

import pytest

from tests.plays.scene import OTHER, ask, asking, send, served
from tests.plays.test_routing import BROKEN, routes, whom
from tests.serving import call, gateway


async def explained(gw, document: dict, query: str = "", headers: str = "", **more) -> dict:
    got = await send(gw, f"/v1/explain{query}", document, headers=headers, **more)
    assert got.status == 200, got.body
    return got.json


def order(told: dict) -> list[str]:
    return [target["target"] for target in told["targets"]]


@pytest.mark.parametrize(
    ("model", "headers"),
    [
        ("  m: {strategy: round_robin, targets: [a/x, b/x, c/x]}", ""),
        ("  m: {strategy: priority, targets: [{target: a/x, priority: 9}, b/x], fallback: [c/x]}", ""),
        ("  m: {targets: [a/x, b/x, c/x]}", "x-session-id: one\r\n"),
        ("  m: {targets: [a/x, b/x, c/x]}", "x-session-id: two\r\n"),
        ("  m: {targets: [{target: a/x, when: {tags: [beta]}}, {target: b/x, context: 1}, c/x]}", ""),
    ],
)
async def test_the_first_target_told_is_the_one_that_serves(tmp_path, model, headers):
    """Asked again and again: a question uses no turn up."""
    async with routes(tmp_path, model) as gw:
        for _ in range(4):
            document = asking("openai_chat", "m", "word " * 50)
            told = [order(await explained(gw, document, headers=headers)) for _ in range(3)]
            assert told[0] == told[1] == told[2]
            calls = sum(len(up.requests) for up in gw.ups.values())
            got = await whom(gw, document, headers=headers)
            assert got.headers["x-gatewright-target"] == told[0][0]
            assert sum(len(up.requests) for up in gw.ups.values()) == calls + 1


async def test_everything_about_a_request_is_told(tmp_path):
    """Route, order, what each would be sent, losses, standing, costs, cache and persistence."""
    models = """
  m:
    targets: [{target: a/x, weight: 3}, {target: b/x, weight: 1}, {target: c/x, capabilities: [vision]}]
    retry: {tries_all: 4}
    cache: {ttl_s: 60}
aliases: {other: m}
"""
    async with routes(tmp_path, models) as gw:
        document = {
            **asking("anthropic", "other"),
            "system": "s",
            "top_k": 3,
            "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        }
        told = await explained(gw, document)
        assert (told["model"], told["alias_of"], told["route"], told["dialect"]) == ("other", "m", "m", "anthropic")
        assert told["needs"] == ["tools"]
        assert told["size"]["input_tokens"] > 0
        assert told["tiers"] == [{"tier": 1, "strategy": "weighted", "targets": ["a/x", "b/x", "c/x"]}]
        first = told["targets"][0]
        assert (first["target"], first["share"], first["dialect"], first["bytes"]) == ("a/x", 0.75, "openai_chat", "cross")
        assert [loss["path"] for loss in first["losses"]] == ["top_k"]
        assert (first["circuit"], first["rests_s"], first["in_flight"]) == ("closed", 0.0, 0)
        assert first["cost_usd"] == {"lowest": None, "highest": None}
        assert [(s["target"], s["reason"]) for s in told["skipped"]] == [("c/x", "capability")]
        assert told["cache"] == {"looked_up": True, "why": None, "ttl_s": 60.0}
        assert told["policy"]["tries_all"] == 4
        assert told["problem"] is None
        assert not any(up.requests for up in gw.ups.values())
        fresh = await explained(gw, document, headers="cache-control: no-cache\r\n")
        assert fresh["cache"]["looked_up"] is False


async def test_prices_are_told_in_dollars(tmp_path):
    """At least the input, at most the longest answer; exact, as decimal text."""
    yaml = "providers: {anthropic: {api_key: sk-ant}}\nmodels: {m: {targets: [anthropic/claude-sonnet-4-5]}}"
    async with gateway(yaml, tmp_path) as gw:
        told = await explained(gw, asking("anthropic", "m", "x" * 4000), "?path=/v1/messages")
        cost = told["targets"][0]["cost_usd"]
        assert cost == {"lowest": "0.003012", "highest": "0.004512"}


async def test_an_open_circuit_is_told_and_comes_last(tmp_path):
    """With what is left of it."""
    models = "  m: {strategy: priority, targets: [a/x, {target: b/x, priority: 1}], retry: {tries_each: 1}}"
    async with routes(tmp_path, models, count=2) as gw:
        gw.ups["a"].answers = [[BROKEN]]
        for _ in range(6):
            assert (await ask(gw, "openai_chat", "m")).status == 200
        told = await explained(gw, asking("openai_chat", "m"))
        assert order(told) == ["b/x", "a/x"]
        last = told["targets"][1]
        assert last["circuit"] == "open"
        assert last["again_s"] > 0
        assert last["why"].startswith("last: its circuit is open")


@pytest.mark.parametrize(
    ("document", "query", "dialect"),
    [
        ({"model": "m", "messages": [{"role": "user", "content": "hi"}]}, "", "openai_chat"),
        ({"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}, "?path=/v1/messages", "anthropic"),
        ({"model": "m", "input": "hi"}, "", "openai_responses"),
        ({"model": "m", "system": "s", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}, "", "anthropic"),
        ({"model": "m", "contents": [{"parts": [{"text": "hi"}]}]}, "", "gemini"),
        ({"contents": [{"parts": [{"text": "hi"}]}]}, "?model=m", "gemini"),
        ({"contents": [{"parts": [{"text": "hi"}]}]}, "?path=/v1beta/models/m:streamGenerateContent", "gemini"),
        ({"modelId": "m", "messages": [{"role": "user", "content": [{"text": "hi"}]}]}, "", "bedrock_converse"),
        ({"model": "zzz", "messages": [{"role": "user", "content": "hi"}]}, "?model=m", "openai_chat"),
    ],
)
async def test_requests_of_every_dialect_are_known_by_their_fields(tmp_path, document, query, dialect):
    """Or by the path they would be sent to."""
    async with routes(tmp_path, "  m: {targets: [a/x]}", count=1) as gw:
        told = await explained(gw, document, query)
        assert (told["dialect"], told["route"], order(told)) == (dialect, "m", ["a/x"])
        assert told["targets"][0]["refused"] is None


async def test_questions_are_refused_as_requests_are(tmp_path):
    """No key, a model that this key may not use, a name that leads nowhere, a body that is none."""
    keys = f"{{name: other, key: {OTHER}, models: [elsewhere]}}"
    models = "  m: {targets: [a/x]}\n  elsewhere: {targets: [a/y]}"
    async with routes(tmp_path, models, count=1, keys=keys) as gw:
        document = asking("openai_chat", "m")
        assert (await call(gw.port, "/v1/explain", json.dumps(document).encode(), headers="")).status == 401
        assert (await send(gw, "/v1/explain", document, key=OTHER)).status == 403
        assert (await send(gw, "/v1/explain", asking("openai_chat", "nowhere"))).status == 404
        for body, query in ((b"{", ""), (b"{}", ""), (b'{"contents": []}', ""), (b'{"model": "m"}', "?path=/v1/embeddings")):
            got = await send(gw, f"/v1/explain{query}", body)
            assert (got.status, got.json["error"]["type"]) == (400, "invalid_request_error")


async def test_where_nobody_would_answer_it_is_told(tmp_path):
    """The same words as the request itself would get."""
    async with routes(tmp_path, "  m: {targets: [{target: a/x, context: 1}, {target: b/x, context: 2}]}", count=2) as gw:
        document = asking("openai_chat", "m", "word " * 50)
        told = await explained(gw, document)
        assert told["targets"] == []
        assert told["problem"] == (await whom(gw, document)).json["error"]["message"]


async def test_a_response_that_goes_on_is_told_to_lead_back(tmp_path):
    """The store is looked into, as for the request itself."""
    async with routes(tmp_path, "  m: {targets: [a/x, b/x, c/x]}") as gw:
        for _ in range(3):
            given = await whom(gw, {"model": "m", "input": "hi"}, dialect="openai_responses")
            home = given.headers["x-gatewright-target"]
            told = await explained(gw, {"model": "m", "input": "go on", "previous_response_id": given.json["id"]})
            assert told["affinity"] == {"kind": "state", "leads_to": home}
            assert order(told)[0] == home


async def test_a_target_without_a_free_place_is_told_to_come_last(tmp_path):
    """As it does: who can go elsewhere does not queue."""
    models = "  m: {strategy: priority, targets: [a/x, {target: b/x, priority: 1}]}"
    async with routes(tmp_path, models, count=2, fields=", max_concurrent: 1") as gw:
        gw.ups["a"].answers = [[1.5, *served("openai_chat", stream=False)]]
        slow = asyncio.ensure_future(ask(gw, "openai_chat", "m"))
        while not gw.ups["a"].requests:
            await asyncio.sleep(0.01)
        told = await explained(gw, asking("openai_chat", "m"))
        assert (order(told), told["targets"][1]["queue"]) == (["b/x", "a/x"], {"running": 1, "waiting": 0})
        assert told["targets"][1]["why"] == "all its places are taken"
        assert (await ask(gw, "openai_chat", "m")).headers["x-gatewright-target"] == "b/x"
        await slow
