"""Metrics of a running gateway: what requests did can be asked for, by those who may, in the formats of Prometheus."""

import asyncio
import json

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from tests.plays.scene import DIALECTS, ask, frames, get, providers, send, served, whole
from tests.serving import END, answer, chunk, gateway, stream_head, upstream

VIEWER = "gw-viewer-key"
ALONE = f"{{name: prometheus, key: {VIEWER}, role: viewer}}"
KEYS = f"{ALONE}, {{name: theirs, key: gw-team-viewer, role: viewer, team: red}}"
RED = "\nteams: {red: {}}\n"


async def scraped(gw, **how) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Sample → labels → value."""
    got = await get(gw, "/metrics", key=how.get("key", VIEWER))
    assert got.status == 200, got.body
    found: dict = {}
    for family in families(got.body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def total(found: dict, name: str, **labels: str) -> float:
    """The sum of all samples with these labels."""
    return sum(value for told, value in found.get(name, {}).items() if labels.items() <= dict(told).items())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_request_is_counted_with_what_it_was(tmp_path, client, dialect, stream):
    """Route, target, both dialects and status; its tokens by axis; its times."""
    async with upstream() as up, gateway(providers(up.port) + RED, tmp_path, keys=KEYS) as gw:
        up.answers = [served(dialect, stream=stream)]
        await ask(gw, client, f"to-{dialect}", stream=stream)
        found = await scraped(gw)
        call = {"route": f"to-{dialect}", "model": "m", "client": client, "upstream": dialect, "stream": str(stream).lower()}
        assert total(found, "gatewright_requests_total", operation="generate", status="200", **call) == 1
        assert total(found, "gatewright_attempts_total", model="m", upstream=dialect, kind="first", cause="ok") == 1
        tokens = {axis: total(found, "gatewright_tokens_total", axis=axis) for axis in ("input", "cache_read", "output")}
        assert tokens == {"input": 6, "cache_read": 4, "output": 5}
        for name, count in (
            ("request_duration_seconds", 1),
            ("overhead_seconds", 1),
            ("time_to_first_token_seconds", int(stream)),
            ("request_input_tokens", 1),
            ("request_output_tokens", 1),
        ):
            assert total(found, f"gatewright_{name}_count", operation="generate", outcome="ok") == count, name
        took = total(found, "gatewright_request_duration_seconds_sum", operation="generate")
        assert 0 < total(found, "gatewright_overhead_seconds_sum", operation="generate") < took
        assert total(found, "gatewright_request_input_tokens_sum") == 10
        assert total(found, "gatewright_errors_total") == 0


async def test_failures_are_counted_by_their_cause(tmp_path):
    """Each try, why it failed; what the client was told; what a limit refused."""
    async with upstream() as up, gateway(providers(up.port) + RED, tmp_path, keys=KEYS) as gw:
        up.answers = [[answer(b'{"error": {"message": "no", "type": "invalid_request_error"}}', status=400)]]
        await ask(gw, "openai_chat", "to-openai_chat")
        await ask(gw, "anthropic", "nobody-has-this")
        await ask(gw, "openai_chat", "to-openai_chat", key="gw-stranger")
        found = await scraped(gw)
        assert total(found, "gatewright_attempts_total", provider="talk", cause="client", kind="first") == 1
        assert total(found, "gatewright_requests_total", route="to-openai_chat", status="400") == 1
        assert total(found, "gatewright_requests_total", client="anthropic", status="404", route="", model="") == 1
        assert total(found, "gatewright_requests_total", status="401", provider="") == 1
        kinds = {
            kind: total(found, "gatewright_errors_total", kind=kind)
            for kind in ("invalid_request", "not_found", "authentication")
        }
        assert kinds == {"invalid_request": 1, "not_found": 1, "authentication": 1}


async def test_whoever_may_not_is_not_told(tmp_path):
    """Nobody without a key, no member, and no viewer of a team: what is told is about all."""
    async with gateway("providers: {demo: {kind: demo}}" + RED, tmp_path, keys=KEYS) as gw:
        for key, status in (("", 401), ("gw-wrong", 401), ("gw-test-key", 403), ("gw-team-viewer", 403), (VIEWER, 200)):
            got = await get(gw, "/metrics", key=key)
            assert got.status == status, key
            assert (b"gatewright_requests" in got.body) is (status == 200)
        assert (await send(gw, "/metrics", {}, key=VIEWER)).status == 404


async def test_it_may_be_made_public_and_switched_off(tmp_path):
    """Neither is so by default."""
    demo = "providers: {demo: {kind: demo}}\n"
    async with gateway(demo + "metrics: {public: true}", tmp_path) as gw:
        assert (await get(gw, "/metrics", key="")).status == 200
    async with gateway(demo + "metrics: {enabled: false}", tmp_path, keys=ALONE) as gw:
        assert (await get(gw, "/metrics", key=VIEWER)).status == 404
        assert gw.house.current.measures.metrics is None


async def test_both_formats_are_what_their_parsers_read(tmp_path):
    """OpenMetrics for who asks for it, with its end marked; else Prometheus' text."""
    async with upstream() as up, gateway(providers(up.port), tmp_path, keys=ALONE) as gw:
        up.answers = [served("openai_chat")]
        await ask(gw, "openai_chat", "to-openai_chat")
        wanted = "accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n"
        got = await get(gw, "/metrics", key=VIEWER, headers=wanted)
        assert got.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        assert got.body.endswith(b"# EOF\n")
        told = {family.name: family for family in open_families(got.body.decode())}
        plain = await get(gw, "/metrics", key=VIEWER)
        assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert {family.name.removesuffix("_total") for family in families(plain.body.decode())} == set(told)
        assert told["gatewright_requests"].samples


async def test_what_runs_is_told_while_it_runs(tmp_path):
    """Requests in flight, open streams, connections to a provider: up while a stream runs, down behind it."""
    async with upstream() as up, gateway(providers(up.port), tmp_path, keys=ALONE) as gw:
        beginning, content, end = frames("openai_chat")
        up.answers = [[stream_head(), chunk(beginning + content), 0.6, chunk(end), END]]
        asked = asyncio.create_task(ask(gw, "openai_chat", "to-openai_chat", stream=True))
        while (found := await scraped(gw))["gatewright_streams_open"][()] != 1:
            await asyncio.sleep(0.01)
        assert found["gatewright_requests_in_flight"][()] == 2  # the scrape itself is one
        assert total(found, "gatewright_upstream_connections", provider="talk", state="busy") == 1
        assert total(found, "gatewright_requests_total", operation="generate") == 0
        await asked
        found = await scraped(gw)
        assert found["gatewright_streams_open"][()] == 0
        assert total(found, "gatewright_upstream_connections", provider="talk", state="busy") == 0


async def test_a_client_cannot_make_series(tmp_path):
    """Names of models that nobody has configured and no provider has answered for are one: `other`."""
    async with upstream() as up, gateway(providers(up.port), tmp_path, keys=ALONE) as gw:
        up.answers = [[answer(b'{"error": {"message": "no such model"}}', status=404)]]
        for number in range(50):
            await ask(gw, "openai_chat", f"talk/wild-{number}")
        up.answers = [[answer(json.dumps(whole("openai_chat")).encode())]]
        await ask(gw, "openai_chat", "talk/real")
        found = await scraped(gw)
        assert total(found, "gatewright_requests_total", provider="talk", model="other", status="404", route="direct") == 50
        assert total(found, "gatewright_requests_total", provider="talk", model="real", status="200", route="direct") == 1
        assert len([labels for labels in found["gatewright_requests_total"] if dict(labels)["operation"] == "generate"]) == 2


async def test_costs_are_those_of_the_ledger(tmp_path):
    """Counted when they are in the database, once."""
    prices = "pricing: {models: {talk/m: {input: 1000, output: 2000, cache_read: 0}}}\n"
    async with upstream() as up, gateway(providers(up.port) + prices, tmp_path, keys=ALONE) as gw:
        gw.house.current.books.start()
        up.answers = [served("openai_chat")]
        await ask(gw, "openai_chat", "to-openai_chat")
        async with asyncio.timeout(20):
            while not total(found := await scraped(gw), "gatewright_cost_micro_dollars_total") + total(
                found, "gatewright_cost_unknown_total"
            ):
                await asyncio.sleep(0.05)
        assert total(found, "gatewright_cost_micro_dollars_total", route="to-openai_chat", provider="talk", model="m") > 0
        assert total(found, "gatewright_cost_unknown_total") == 0
