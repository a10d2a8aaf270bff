"""What fails too often is left alone, found again by a few calls, and told of; a throttled key rests, and no other."""

import asyncio
import json
import time

import pytest

from tests.plays.failing import REFUSED, causes, error, hosts, idle, records, soon
from tests.plays.scene import IN_STREAM_ERROR, ask, frames, get, message_of, send, served
from tests.serving import END, call, chunk, gateway, stream_head

ONE = "  m: {targets: [a/m]}"
TWO = "  m: {targets: [a/m], fallback: [b/m]}"
BREAKS = "retry: {tries_each: 1, base_s: 0.01, patience_s: 1}, breaker: {in_a_row: 3, open_s: 0.5, closing: 1}"


async def fail(gw, times: int, model: str = "m"):
    for _ in range(times):
        got = await ask(gw, "openai_chat", model)
    return got


@pytest.mark.parametrize("client", ["openai_chat", "anthropic", "gemini"])
async def test_an_open_circuit_answers_at_once_and_says_when(tmp_path, client):
    """After three failures nobody calls; the client hears who is left alone, and for how long."""
    async with hosts(tmp_path, "openai_chat", models=ONE, routing=BREAKS.replace("0.5", "60")) as gw:
        gw.a.answers = [[error(500)]]
        await fail(gw, 3)
        got = await ask(gw, client, "m")
        assert (got.status, got.headers["retry-after"]) == (529 if client == "anthropic" else 503, "60")
        assert "a/m is left alone for 60 s more" in message_of(client, got.json)
        assert len(gw.a.requests) == 3
        assert (records(gw)[-1].sent, records(gw)[-1].cause) == (False, "open")
        assert "x-gatewright-attempts" not in got.headers


async def test_an_open_circuit_is_passed_over(tmp_path):
    """The other target answers, and nobody waits for the first to fail again."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO, routing=BREAKS.replace("0.5", "60")) as gw:
        gw.a.answers = [[error(500)]]
        got = await fail(gw, 6)
        assert (got.status, len(gw.a.requests), len(gw.b.requests)) == (200, 3, 6)


async def test_a_good_probe_closes_and_a_bad_one_opens_for_longer(tmp_path):
    """When the time is over one call finds out."""
    async with hosts(tmp_path, "openai_chat", models=ONE, routing=BREAKS) as gw:
        gw.a.answers = [[error(500)]]
        await fail(gw, 3)
        await asyncio.sleep(0.55)
        assert (await ask(gw, "openai_chat", "m")).status == 500
        assert gw.house.current.health.board.state("a", "m").openings == 2
        gw.a.answers = [served("openai_chat")]
        await asyncio.sleep(0.55)
        assert (await ask(gw, "openai_chat", "m")).status == 503, "the second opening lasts twice as long"
        await asyncio.sleep(0.5)
        assert [(await ask(gw, "openai_chat", "m")).status for _ in range(3)] == [200, 200, 200]
        assert idle(gw)


async def test_one_probe_at_a_time(tmp_path):
    """Half open, one call goes through and the others are told to come back."""
    async with hosts(tmp_path, "openai_chat", models=ONE, routing=BREAKS) as gw:
        gw.a.answers = [[error(500)]]
        await fail(gw, 3)
        gw.a.answers = [[0.4, *served("openai_chat")]]
        await asyncio.sleep(0.55)
        got = await asyncio.gather(*(ask(gw, "openai_chat", "m") for _ in range(5)))
        assert sorted(one.status for one in got) == [200, 503, 503, 503, 503]
        assert len(gw.a.requests) == 4


async def test_a_probe_whose_client_leaves_makes_room_for_another(tmp_path):
    """Nothing was found out, and nothing is lost by it."""
    async with hosts(tmp_path, "openai_chat", models=ONE, routing=BREAKS) as gw:
        gw.a.answers = [[error(500)]]
        await fail(gw, 3)
        await asyncio.sleep(0.55)
        gw.a.answers = [[5.0, *served("openai_chat")], served("openai_chat")]
        leaving = asyncio.ensure_future(ask(gw, "openai_chat", "m"))
        await soon(lambda: len(gw.a.requests) == 4)
        leaving.cancel()
        await soon(lambda: idle(gw))
        assert (await ask(gw, "openai_chat", "m")).status == 200


async def test_a_host_that_cannot_be_reached_takes_all_its_models_along(tmp_path):
    """A model that works elsewhere on the same host has nothing to do with another's failures; a dead host has."""
    config = f"""
providers:
  dead: {{kind: custom, base_url: "http://127.0.0.1:{REFUSED}/v1", api_key: sk}}
models:
  m: {{targets: [dead/m]}}
  n: {{targets: [dead/n]}}
routing: {{{BREAKS.replace("0.5", "60")}}}
"""
    async with gateway(config, tmp_path) as gw:
        assert (await fail(gw, 3)).status == 502
        got = await ask(gw, "openai_chat", "n")
        assert (got.status, got.json["error"]["code"]) == (503, "target_unavailable")


async def test_a_failing_model_leaves_its_neighbours_alone(tmp_path):
    """Circuits are per model."""
    models = "  m: {targets: [a/m]}\n  n: {targets: [a/n]}"
    async with hosts(tmp_path, "openai_chat", models=models, routing=BREAKS) as gw:
        gw.a.answers = [[error(500)]]
        await fail(gw, 4)
        gw.a.answers = [served("openai_chat")]
        assert (await ask(gw, "openai_chat", "n")).status == 200
        assert (await ask(gw, "openai_chat", "m")).status == 503


@pytest.mark.parametrize("status", [400, 404, 413, 429])
async def test_what_is_no_fault_of_the_target_opens_nothing(tmp_path, status):
    """Clients cannot close a target for others."""
    async with hosts(tmp_path, "openai_chat", models=ONE, routing=BREAKS) as gw:
        gw.a.answers = [[error(status)]]
        await fail(gw, 5)
        assert len(gw.a.requests) == 5


async def test_breakers_can_be_off(tmp_path):
    """Then every failure is the upstream's own."""
    async with hosts(tmp_path, "openai_chat", models=ONE, routing="breaker: false, retry: {tries_each: 1}") as gw:
        gw.a.answers = [[error(500)]]
        await fail(gw, 8)
        assert len(gw.a.requests) == 8


async def test_errors_inside_streams_open_too(tmp_path):
    """A breaker that looks at the status alone is blind to them; what breaks after content counts as well."""
    beginning, content, _ = frames("openai_chat")
    error_event = chunk(IN_STREAM_ERROR["openai_chat"])
    async with hosts(tmp_path, "openai_chat", models=ONE, routing=BREAKS) as gw:
        gw.a.answers = [[stream_head(), error_event, END], [stream_head(), chunk(beginning + content), 0.02, error_event, END]]
        for _ in range(3):
            await ask(gw, "openai_chat", "m", stream=True)
        assert (await ask(gw, "openai_chat", "m", stream=True)).status == 503
        assert len(gw.a.requests) == 3
        assert [record.stage for record in records(gw)[:3]] == ["streaming", "content", "content"]


async def test_a_throttled_key_rests_as_long_as_the_provider_says(tmp_path):
    """The next requests go elsewhere without asking; with nowhere to go they are told when."""
    models = TWO + "\n  lone: {targets: [a/m]}\n  other: {targets: [a/n]}"
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=models) as gw:
        gw.a.answers = [[error(429, headers="retry-after: 20\r\n")], served("openai_chat")]
        for _ in range(3):
            assert (await ask(gw, "openai_chat", "m")).status == 200
        assert (len(gw.a.requests), len(gw.b.requests)) == (1, 3)
        got = await ask(gw, "openai_chat", "lone")
        assert (got.status, got.json["error"]["code"]) == (429, "key_rests")
        assert 15 <= int(got.headers["retry-after"]) <= 20
        assert (await ask(gw, "openai_chat", "other")).status == 200, "the limit was one model's"


async def test_a_short_rest_is_waited_for(tmp_path):
    """Within the route's patience the client notices nothing but the time."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO + "\n  lone: {targets: [a/m]}") as gw:
        gw.a.answers = [[error(429, headers="retry-after-ms: 1000\r\n")], served("openai_chat")]
        await ask(gw, "openai_chat", "m")
        began = time.monotonic()
        got = await ask(gw, "openai_chat", "lone")
        assert (got.status, len(gw.a.requests)) == (200, 2)
        assert time.monotonic() - began > 0.5
        assert causes(gw)[-2:] == [("a/m", "resting"), ("a/m", None)]


async def test_a_rest_that_nobody_asked_for_keeps_no_client_out(tmp_path):
    """Without a word from the provider we only guess: a target that is the last one is asked all the same."""
    async with hosts(tmp_path, "openai_chat", models=ONE) as gw:
        gw.a.answers = [[error(429)], [error(429)], served("openai_chat")]
        assert (await ask(gw, "openai_chat", "m")).status == 429
        assert (await ask(gw, "openai_chat", "m")).status == 200


async def test_how_targets_stand_is_told_to_who_may_use_them(tmp_path):
    """Circuits, rests, calls in flight and speed, for the targets of models that the key may use."""
    models = "  m: {targets: [a/m]}\n  n: {targets: [a/n, b/n]}"
    keys = "{name: narrow, key: gw-narrow-key, models: [n]}"
    routing = BREAKS.replace("0.5", "60")
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=models, routing=routing, keys=keys) as gw:
        gw.a.answers = [[error(500)]] * 3 + [[error(429, headers="retry-after: 20\r\n")]]
        await fail(gw, 3)
        await ask(gw, "openai_chat", "n")
        await ask(gw, "openai_chat", "b/own")
        report = (await get(gw, "/v1/health/targets")).json
        found = {one["target"]: one for one in report["targets"]}
        assert sorted(found) == ["a/m", "a/n", "b/n", "b/own"]
        down = found["a/m"]
        assert (down["standing"], down["model"]["standing"], down["provider"]["standing"]) == ("open", "open", "closed")
        assert 55 < down["model"]["next_probe_s"] <= 60
        assert down["model"]["open_for_s"] < 5
        assert down["models"] == ["m"]
        resting = [one["resting_keys"] for one in found.values() if one["resting_keys"]]
        assert [(rest["key"], rest["model"]) for (rest,) in resting] in ([("key", "n")], [])
        assert found["b/own"]["ttft_s"] is not None
        assert {one["in_flight"] for one in found.values()} == {0}
        mine = (await get(gw, "/v1/health/targets", key="gw-narrow-key")).json
        assert [one["target"] for one in mine["targets"]] == ["a/n", "b/n"]
        assert "sk-" not in json.dumps(report)


async def test_how_targets_stand_is_nobodys_without_a_key(tmp_path):
    """It tells which providers are used."""
    async with hosts(tmp_path, "openai_chat", models=ONE) as gw:
        assert (await call(gw.port, "/v1/health/targets", b"", method="GET", headers="")).status == 401


async def test_a_probe_finds_out_before_a_client_does(tmp_path):
    """The first failing probes open the circuit, a later one closes it, and nobody's request is spent on it."""
    routing = "breaker: {in_a_row: 2, open_s: 0.1, longest_s: 0.1, closing: 1}"
    async with hosts(tmp_path, "anthropic", models=ONE, routing=routing, providers="probe: {every_s: 0.1, model: m}") as gw:
        health = gw.house.current.health
        gw.a.answers = [[error(500)]]
        gw.house.current.begin()
        await soon(lambda: health.board.state("a", "m").opened_at is not None)
        gw.a.answers = [served("anthropic")]
        await soon(lambda: health.board.state("a", "m").closed_at > 0)
        sent = json.loads(gw.a.body())
        assert (sent["model"], sent["max_tokens"]) == ("m", 16)
        assert gw.house.current.books.usage.calls["gatewright-probe", "a/m"].sent >= 3
        assert (await ask(gw, "anthropic", "m")).status == 200


async def test_forwarded_calls_break_apart_from_model_calls(tmp_path):
    """A failing embeddings model is left alone; the chats of its host go on."""
    models = "  m: {targets: [a/m]}\n  e: {targets: [a/e]}"
    async with hosts(tmp_path, "openai_chat", models=models, routing=BREAKS.replace("0.5", "60")) as gw:
        gw.a.answers = [[error(500)]]
        for _ in range(3):
            got = await send(gw, "/v1/embeddings", {"model": "e", "input": "x"})
            assert got.status == 500
        got = await send(gw, "/v1/embeddings", {"model": "e", "input": "x"})
        assert (got.status, got.headers["retry-after"], len(gw.a.requests)) == (503, "60", 3)
        gw.a.answers = [served("openai_chat")]
        assert (await ask(gw, "openai_chat", "m")).status == 200


async def test_a_closed_door_is_knocked_at_before_a_client_is_given_up(tmp_path):
    """The other target has failed this request: the one whose circuit is open may serve after all, and says nothing by it."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO, routing=BREAKS.replace("0.5", "60")) as gw:
        gw.a.answers = [[error(500)]]
        await fail(gw, 3)
        gw.a.answers = [served("openai_chat")]
        gw.b.answers = [[error(500)]]
        got = await ask(gw, "openai_chat", "m")
        assert (got.status, got.headers["x-gatewright-target"]) == (200, "a/m")
        assert causes(gw)[-3:] == [("b/m", "broken"), ("a/m", "open"), ("a/m", None)]
        assert gw.house.current.health.board.state("a", "m").opened_at is not None
        assert idle(gw)


async def test_a_door_behind_which_nobody_answered_is_left_closed(tmp_path):
    """Its last calls took their whole time to fail: an error now is better than the same wait again."""
    slow = "timeouts: {headers_s: 0.2}"
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO, routing=BREAKS.replace("0.5", "60"), more=slow) as gw:
        gw.a.answers = [[0.6]]
        await fail(gw, 3)
        calls = len(gw.a.requests)
        gw.b.answers = [[error(500)]]
        got = await ask(gw, "openai_chat", "m")
        assert (got.status, len(gw.a.requests)) == (500, calls)
        assert "a/m not asked" in got.json["error"]["message"]
