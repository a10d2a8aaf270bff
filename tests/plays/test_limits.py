"""Limits and budgets on real sockets: who is refused is told why, nothing is sent for it, and what ran is settled once."""

import asyncio
import json
import secrets
import time

import pytest
from redis.asyncio import Redis

from gatewright.limits.meters import Meter
from gatewright.limits.terms import Budget, Limit
from gatewright.stores import counters_batched, counters_batched_redis, counters_redis
from gatewright.stores.counters_batch import Batch
from gatewright.stores.counters_batched_redis import BatchedRedisCounters
from tests.plays.cents import use_cents
from tests.plays.scene import DIALECTS, ask, frames, message_of, providers, send, served
from tests.redis_here import redis_url
from tests.serving import KEY, answer, call, chunk, gateway, stream_head, upstream

SPOKEN = "word " * 40


@pytest.fixture
def priced(monkeypatch):
    """All models cost the same."""
    use_cents(monkeypatch)


def counters(gw):
    return gw.house.current.counters


async def used(gw, *terms) -> list[int]:
    seen = await counters(gw).look([Meter("all", "", term) for term in terms], time.time_ns() // 1000)
    return [one.used for one in seen]


async def until_used(gw, *expected) -> None:
    """Until (term, used) holds for each: the end of an answer reaches the client before it is settled in the next step."""
    for _ in range(200):
        if await used(gw, *(term for term, _ in expected)) == [count for _, count in expected]:
            return
        await asyncio.sleep(0.02)
    assert await used(gw, *(term for term, _ in expected)) == [count for _, count in expected]


PER_MINUTE = Limit(60, "requests", 2)
TOKENS = Limit(60, "tokens", 100_000)
ONE = Limit(0, "concurrent", 1)
BUDGET = Budget("day", 100_000_000)


@pytest.mark.parametrize("client", DIALECTS)
async def test_who_is_over_a_limit_is_told_which_and_until_when(tmp_path, client):
    """429 in the dialect's own shape, with the level, what is left and when to come back; the provider is not asked."""
    config = "limits: [{per: minute, requests: 2}]\n"
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        up.answers = [served(client)]
        for _ in range(2):
            assert (await ask(gw, client, f"to-{client}")).status == 200
        refused = await ask(gw, client, f"to-{client}")
        assert refused.status == 429
        message = message_of(client, refused.json)
        assert "All keys together has a limit of 2 requests a minute: none left. There is room in" in message
        assert 50 <= int(refused.headers["retry-after"]) <= 62
        assert len(up.requests) == 2
        if client.startswith("openai"):
            assert refused.json["error"]["code"] == "rate_limit_exceeded"
            assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        await until_used(gw, (PER_MINUTE, 2))


@pytest.mark.parametrize("client", ["openai_chat", "openai_responses", "anthropic"])
async def test_answers_say_what_is_left_in_the_dialects_headers_and_the_providers_own_stay_behind(tmp_path, client):
    """A client that paces itself by headers must not pace itself by another's limits."""
    config = "limits: [{per: minute, requests: 2}, {per: hour, requests: 50}, {per: minute, tokens: 100000}]\n"
    head = "x-ratelimit-remaining-requests: 9999\r\nanthropic-ratelimit-requests-remaining: 9999\r\n"
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        document = served(client)[0].partition(b"\r\n\r\n")[2]
        up.answers = [[answer(document, headers=head)]]
        got = await ask(gw, client, f"to-{client}")
        assert got.status == 200
        if client == "anthropic":
            assert got.headers["anthropic-ratelimit-requests-limit"] == "2"
            assert got.headers["anthropic-ratelimit-requests-remaining"] == "1"
            assert got.headers["anthropic-ratelimit-tokens-limit"] == "100000"
            assert got.headers["anthropic-ratelimit-tokens-reset"].endswith("Z")
            assert "x-ratelimit-remaining-requests" not in got.headers
        else:
            assert got.headers["x-ratelimit-limit-requests"] == "2"
            assert got.headers["x-ratelimit-remaining-requests"] == "1"
            assert got.headers["x-ratelimit-reset-requests"] in ("1m0s", "1m1s")
            assert int(got.headers["x-ratelimit-remaining-tokens"]) < 100_000
            assert "anthropic-ratelimit-requests-remaining" not in got.headers


async def test_the_providers_headers_pass_where_nothing_limits_tokens_or_requests(tmp_path):
    """They are all that there is to tell."""
    async with upstream() as up, gateway("limits: [{concurrent: 5}]\n" + providers(up.port), tmp_path) as gw:
        document = served("openai_chat")[0].partition(b"\r\n\r\n")[2]
        up.answers = [[answer(document, headers="x-ratelimit-remaining-requests: 9999\r\n")]]
        assert (await ask(gw, "openai_chat", "to-openai_chat")).headers["x-ratelimit-remaining-requests"] == "9999"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic"])
async def test_what_was_reserved_is_settled_with_what_was_used(tmp_path, priced, dialect, client, stream):
    """Ten tokens in, five out, whoever asks in whatever words: in tokens and in money, exactly."""
    config = "limits: [{per: minute, tokens: 100000}, {concurrent: 1}]\nbudgets: {everybody: [{per: day, dollars: 100000}]}\n"
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        up.answers = [served(dialect, stream=stream)]
        for count in (1, 2):
            assert (await ask(gw, client, f"to-{dialect}", stream=stream)).status == 200
            await until_used(gw, (TOKENS, 15 * count), (ONE, 0), (BUDGET, 600_000 * count))


@pytest.mark.parametrize("client", DIALECTS)
async def test_what_fails_costs_a_request_and_nothing_else(tmp_path, priced, client):
    """An error of the provider is billed by nobody."""
    config = "limits: [{per: minute, requests: 2}, {per: minute, tokens: 100000}, {concurrent: 1}]\n"
    config += "budgets: {everybody: [{per: day, dollars: 100000}]}\nrouting: {retry: {tries_each: 1}}\n"
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        up.answers = [[answer(b'{"error": {"message": "no"}}', status=500)]]
        assert (await ask(gw, client, f"to-{client}")).status == 500
        await until_used(gw, (PER_MINUTE, 1), (TOKENS, 0), (ONE, 0), (BUDGET, 0))


async def test_a_client_that_leaves_is_settled(tmp_path, priced):
    """With what was told of its answer until then; and the next one may run."""
    config = "limits: [{per: minute, tokens: 100000}, {concurrent: 1}]\nbudgets: {everybody: [{per: day, dollars: 100000}]}\n"
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        first, said, _ = frames("anthropic", SPOKEN)
        up.answers = [[stream_head(), chunk(first), chunk(said), 30.0], served("anthropic")]
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        body = json.dumps(
            {"model": "to-anthropic", "max_tokens": 500, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        )
        writer.write(
            f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
        )
        while b"word" not in await reader.read(4096):
            pass
        refused = await ask(gw, "anthropic", "to-anthropic")
        assert refused.status == 429
        assert "1 requests at once: none left. Try again when one has ended." in message_of("anthropic", refused.json)
        writer.close()
        for _ in range(200):
            running, tokens, money = await used(gw, ONE, TOKENS, BUDGET)
            if not running:
                break
            await asyncio.sleep(0.02)
        assert running == 0
        assert 40 <= tokens <= 100, "the input that was told, and about what was said"
        assert money >= 40 * 100_000
        assert (await ask(gw, "anthropic", "to-anthropic")).status == 200


async def test_a_client_that_leaves_before_the_answer_is_settled(tmp_path):
    """The request is cancelled where it waits."""
    async with upstream() as up, gateway("limits: [{concurrent: 1}]\n" + providers(up.port), tmp_path) as gw:
        up.answers = [[30.0]]
        asking = asyncio.ensure_future(ask(gw, "openai_chat", "to-openai_chat"))
        while not up.requests:
            await asyncio.sleep(0.01)
        assert await used(gw, ONE) == [1]
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await until_used(gw, (ONE, 0))


@pytest.mark.parametrize("client", DIALECTS)
async def test_a_budget_refuses_what_it_may_not_cover(tmp_path, priced, client):
    """By the most that it may cost; and says what is left. Nothing is sent."""
    config = "budgets: {everybody: [{per: day, dollars: 5}]}\n"
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        refused = await ask(gw, client, f"to-{client}", "hi" * 3000)
        assert refused.status == 429
        message = message_of(client, refused.json)
        assert "All keys together has a budget of $5.00 a day: $5.00 left, and this request may cost up to $" in message
        assert "It never fits" in message
        if client.startswith("openai"):
            assert refused.json["error"]["code"] == "budget_exceeded"
        assert up.requests == []
        await until_used(gw, (Budget("day", 5_000_000), 0))


async def test_limits_count_the_models_that_they_name(tmp_path):
    """By the name that was asked for, or the route's."""
    config = 'limits: [{per: minute, requests: 1, models: ["to-open*"]}]\n'
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        up.answers = [served("openai_chat"), served("openai_chat"), served("anthropic"), served("anthropic")]
        assert (await ask(gw, "openai_chat", "to-openai_chat")).status == 200
        refused = await ask(gw, "openai_responses", "to-openai_responses")
        assert refused.status == 429
        assert "1 requests a minute of to-open*" in refused.json["error"]["message"]
        up.answers = [served("anthropic")]
        for _ in range(2):
            assert (await ask(gw, "anthropic", "to-anthropic")).status == 200


async def test_a_soft_threshold_is_told_in_a_header(tmp_path, priced):
    """From there on, to whoever spends."""
    config = "budgets: {everybody: [{per: day, dollars: 30, soft: [0.8]}]}\n"
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        up.answers = [served("openai_chat")]
        shares = []
        for _ in range(6):
            got = await ask(gw, "openai_chat", "to-openai_chat", "hi", max_tokens=240)
            assert got.status == 200
            shares.append(got.headers.get("x-gatewright-budget"))
        assert shares[0] is not None, "24 and more of 30 dollars are reserved by one that may cost so much"
        plain = await ask(gw, "openai_chat", "to-openai_chat", "hi", max_tokens=5)
        assert "x-gatewright-budget" not in plain.headers


async def test_counting_and_forwarding_count_as_requests(tmp_path):
    """Whatever reaches a provider."""
    config = "limits: [{per: minute, requests: 2}]\n"
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        up.answers = [
            [answer(b'{"input_tokens": 3}')],
            [answer(b'{"data": [], "usage": {"prompt_tokens": 3, "total_tokens": 3}}')],
        ]
        body = {"model": "to-anthropic", "messages": [{"role": "user", "content": "hi"}]}
        assert (await send(gw, "/v1/messages/count_tokens", body)).status == 200
        assert (await send(gw, "/v1/embeddings", {"model": "talk/e", "input": "hi"})).status == 200
        assert (await send(gw, "/v1/embeddings", {"model": "talk/e", "input": "hi"})).status == 429
        await until_used(gw, (PER_MINUTE, 2))


async def test_a_model_without_a_price_passes_a_budget_that_has_anything_left(tmp_path):
    """`pricing.unknown: allow`, as by default."""
    async with upstream() as up, gateway("budgets: {everybody: [{per: day, dollars: 5}]}\n" + providers(up.port), tmp_path) as gw:
        up.answers = [served("openai_chat")]
        assert (await ask(gw, "openai_chat", "to-openai_chat")).status == 200


async def test_who_is_refused_above_limits_uses_none(tmp_path):
    """A wrong key, an unknown model: nothing is counted."""
    config = "limits: [{per: minute, requests: 2}]\n"
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        assert (await ask(gw, "openai_chat", "to-openai_chat", key="gw-wrong")).status == 401
        assert (await ask(gw, "openai_chat", "nothing")).status == 404
        assert (await call(gw.port, "/v1/chat/completions", b"{")).status == 400
        assert await used(gw, PER_MINUTE) == [0]


LEVELS = """
organizations: {acme: {limits: [{per: minute, requests: 4}]}}
teams: {red: {organization: acme, limits: [{per: minute, requests: 3}]}, blue: {organization: acme}}
users: {ann: {team: red, limits: [{per: minute, requests: 9}]}}
"""
KEYS = (
    "{name: one, key: gw-one, team: red, user: ann, limits: [{per: minute, requests: 2}]}, "
    "{name: two, key: gw-two, team: red}, {name: three, key: gw-three, team: blue}"
)


async def told(gw, key: str) -> str:
    """What the key's request is refused with; empty: it passed."""
    got = await ask(gw, "openai_chat", "to-openai_chat", key=key)
    return "" if got.status == 200 else got.json["error"]["message"]


async def test_each_level_limits_all_that_is_beneath_it(tmp_path):
    """A key, its team and its organization; who is refused by one uses up none of the others."""
    async with upstream() as up, gateway(LEVELS + providers(up.port), tmp_path, keys=KEYS) as gw:
        up.answers = [served("openai_chat")]
        assert [await told(gw, "gw-one") for _ in range(2)] == ["", ""]
        assert (await told(gw, "gw-one")).startswith("Key 'one' has a limit of 2 requests a minute: none left.")
        assert await told(gw, "gw-two") == ""
        assert (await told(gw, "gw-two")).startswith("Team 'red' has a limit of 3 requests a minute: none left.")
        assert await told(gw, "gw-three") == ""
        assert (await told(gw, "gw-three")).startswith("Organization 'acme' has a limit of 4 requests a minute: none left.")
        levels = [("key", "one"), ("user", "ann"), ("team", "red"), ("organization", "acme")]
        meters = [Meter(level, ident, PER_MINUTE) for level, ident in levels]
        seen = await counters(gw).look(meters, time.time_ns() // 1000)
        assert [one.used for one in seen] == [2, 2, 3, 4]
        assert len(up.requests) == 4


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_machines_that_share_a_redis_share_their_limits(tmp_path, priced, stream, monkeypatch):
    """Two gateways, each with a state folder of its own: together they let through what one may."""
    prefix = f"gatewright:{{test-{secrets.token_hex(6)}}}:"
    for made in (counters_redis.RedisCounters.__init__, BatchedRedisCounters.__init__):
        monkeypatch.setattr(made, "__kwdefaults__", {**made.__kwdefaults__, "prefix": prefix})
    config = (
        f"counters: {{url: '{redis_url()}', deadline_ms: 5000}}\nlimits: [{{per: minute, requests: 20}}, {{concurrent: 50}}]\n"
    )
    config += "budgets: {everybody: [{per: day, dollars: 100000}]}\n"
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    async with (
        upstream() as up,
        gateway(config + providers(up.port), tmp_path / "a") as one,
        gateway(config + providers(up.port), tmp_path / "b") as other,
    ):
        up.answers = [served("anthropic", stream=stream)]
        asked = [ask(gw, "openai_chat", "to-anthropic", stream=stream) for gw in (one, other) * 20]
        statuses = [got.status for got in await asyncio.gather(*asked)]
        assert statuses.count(200) == 20
        assert statuses.count(429) == 20
        for gw in (one, other):
            await counters(gw).close()
        reads = counters_redis.RedisCounters(redis_url())
        meters = [Meter("all", "", term) for term in (Limit(60, "requests", 20), Limit(0, "concurrent", 50), BUDGET)]
        seen = await reads.look(meters, time.time_ns() // 1000)
        assert [found.used for found in seen] == [20, 0, 20 * 600_000]
        await reads.close()
    async with Redis.from_url(redis_url()) as redis:
        async for key in redis.scan_iter(prefix + "*"):
            await redis.delete(key)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("where", ["embedded", "redis"])
async def test_many_requests_are_reserved_together_and_each_counts(tmp_path, priced, where, stream, monkeypatch):
    """Where limits are far, hardly any request asks for itself; and in the end all of it is counted, and nothing else is."""
    prefix = f"gatewright:{{test-{secrets.token_hex(6)}}}:"
    monkeypatch.setattr(
        BatchedRedisCounters.__init__, "__kwdefaults__", {**BatchedRedisCounters.__init__.__kwdefaults__, "prefix": prefix}
    )
    config = f"counters: {{url: '{redis_url()}', deadline_ms: 5000}}\n" if where == "redis" else ""
    config += "limits: [{per: hour, requests: 1000000}, {concurrent: 100000}]\n"
    config += "budgets: {everybody: [{per: month, dollars: 1000000000}]}\n"
    batched, sit = [], Batch.vacate

    def vacate(batch, *told):
        batched.append(batch)
        sit(batch, *told)

    monkeypatch.setattr(Batch, "vacate", vacate)
    for file in (counters_batched, counters_batched_redis):  # how fast they come is the machine's matter
        monkeypatch.setattr(file, "seats_for", lambda *_: 16)
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        up.answers = [served("anthropic", stream=stream)]
        for _ in range(10):
            got = await asyncio.gather(*(ask(gw, "openai_chat", "to-anthropic", stream=stream) for _ in range(20)))
            assert {one.status for one in got} == {200}
        month = Budget("month", 10**15)
        await until_used(gw, (Limit(0, "concurrent", 100_000), 0), (Limit(3600, "requests", 10**6), 200), (month, 200 * 600_000))
        assert len(batched) > 100
        assert len(set(batched)) < len(batched)
    async with Redis.from_url(redis_url()) as redis:
        async for key in redis.scan_iter(prefix + "*"):
            await redis.delete(key)


async def test_without_its_redis_a_gateway_keeps_money_and_lets_rates_pass(tmp_path, priced):
    """The operator's default; and the client is told to come back."""
    dead = "counters: redis://127.0.0.1:1/0\n"
    async with upstream() as up, gateway(dead + "limits: [{per: minute, requests: 1}]\n" + providers(up.port), tmp_path) as gw:
        up.answers = [served("openai_chat")]
        assert [(await ask(gw, "openai_chat", "to-openai_chat")).status for _ in range(3)] == [200, 200, 200]
    config = dead + "budgets: {everybody: [{per: day, dollars: 100000}]}\n"
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        refused = await ask(gw, "openai_chat", "to-openai_chat")
        assert refused.status == 503
        assert refused.json["error"]["code"] == "limits_unavailable"
        assert up.requests == []


async def test_the_webhook_hears_of_a_budget_that_is_spent(tmp_path, priced):
    """A server of the operator's; once."""
    heard = []

    async def hook(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        heard.append(json.loads(await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hook, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    config = f'budgets: {{webhook: "{url}", everybody: [{{per: day, dollars: 30, soft: [0.05]}}]}}\n'
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        up.answers = [served("openai_chat")]
        for _ in range(8):
            assert (await ask(gw, "openai_chat", "to-openai_chat", max_tokens=10)).status == 200
        for _ in range(200):
            if heard:
                break
            await asyncio.sleep(0.02)
        assert [(one["threshold"], one["level"], one["budget_micros"]) for one in heard] == [(0.05, "all", 30_000_000)]
    server.close()
