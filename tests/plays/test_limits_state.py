"""A conversation that goes on by an id is reserved whole, before anything is sent: it is read whole, and billed whole."""

import asyncio
import secrets

import pytest
from redis.asyncio import Redis

from gatewright.limiting import now_us
from gatewright.limits.meters import Meter
from gatewright.limits.terms import Budget, Limit
from gatewright.stores import counters_redis
from gatewright.stores.counters_batched_redis import BatchedRedisCounters
from tests.plays.cents import use_cents
from tests.plays.failing import soon
from tests.plays.scene import ask, providers, served
from tests.plays.test_limits import counters, until_used, used
from tests.redis_here import redis_url
from tests.serving import answer, gateway, upstream

KEPT_BY = ["openai_chat", "anthropic", "openai_responses"]
"""The gateway keeps the conversation; or the provider does, which reads it and bills it all the same."""
LONG = "word " * 3000
"""Of an answer: nearly $75 to read, and 3,750 tokens."""
WHOLE = 74_000_000
TOLD = 600_000
"""What one call is said to have cost: ten tokens read, five written."""


@pytest.fixture(autouse=True)
def _priced(monkeypatch):
    """All models cost the same."""
    use_cents(monkeypatch)


def budget(dollars: int) -> str:
    return f"budgets: {{everybody: [{{per: day, dollars: {dollars}}}]}}\n"


async def begun(gw, up, api: str, said: str = LONG) -> str:
    """The id of a first answer, which was long."""
    up.answers = [served(api, text=said)]
    first = await ask(gw, "openai_responses", f"to-{api}", max_output_tokens=10)
    assert first.status == 200, first.body
    up.answers = [served(api)]
    return first.json["id"]


async def go_on(gw, api: str, before: str, **more: object):
    return await ask(gw, "openai_responses", f"to-{api}", "go on", previous_response_id=before, max_output_tokens=10, **more)


@pytest.mark.parametrize("api", KEPT_BY)
async def test_what_does_not_fit_into_a_budget_with_its_earlier_turns_is_not_sent(tmp_path, api):
    """Alone it would fit many times. The answer says what it may cost; it counts neither as money nor as a request."""
    config = budget(50) + "limits: [{per: minute, requests: 3}]\n"
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        before = await begun(gw, up, api)
        for _ in range(3):
            refused = await go_on(gw, api, before)
            assert refused.status == 429
            assert refused.json["error"]["code"] == "budget_exceeded"
            assert "$49.40 left, and this request may cost up to $7" in refused.json["error"]["message"]
            assert "It never fits" in refused.json["error"]["message"]
        assert len(up.requests) == 1
        await until_used(gw, (Budget("day", 50_000_000), TOLD), (Limit(60, "requests", 3), 1))
        alone = await ask(gw, "openai_responses", f"to-{api}", "go on", max_output_tokens=10)
        assert alone.status == 200


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", KEPT_BY)
async def test_it_is_counted_while_it_runs_and_settled_with_the_truth(tmp_path, api, stream):
    async with upstream() as up, gateway(budget(200) + providers(up.port), tmp_path) as gw:
        before = await begun(gw, up, api)
        up.answers = [[0.5, *served(api, stream=stream)]]
        asking = asyncio.ensure_future(go_on(gw, api, before, stream=stream))
        await soon(lambda: len(up.requests) == 2)
        (running,) = await used(gw, Budget("day", 200_000_000))
        assert running > TOLD + WHOLE
        assert (await asking).status == 200
        await until_used(gw, (Budget("day", 200_000_000), 2 * TOLD))


@pytest.mark.parametrize("api", KEPT_BY)
async def test_limits_on_tokens_hold_for_all_that_is_read(tmp_path, api):
    """And the refusal names what the whole may need."""
    async with upstream() as up, gateway("limits: [{per: minute, input_tokens: 3000}]\n" + providers(up.port), tmp_path) as gw:
        before = await begun(gw, up, api)
        refused = await go_on(gw, api, before)
        assert refused.status == 429
        assert "2990 left, and this request may need 38" in refused.json["error"]["message"]
        assert len(up.requests) == 1
        await until_used(gw, (Limit(60, "input_tokens", 3000), 10))


async def test_many_at_once_do_not_overspend_by_their_history(tmp_path):
    """Ten go on at once where there is room for two: two are sent."""
    async with upstream() as up, gateway(budget(160) + providers(up.port), tmp_path) as gw:
        before = await begun(gw, up, "openai_chat")
        up.answers = [[0.5, *served("openai_chat")]]
        got = await asyncio.gather(*(go_on(gw, "openai_chat", before) for _ in range(10)))
        assert sorted(one.status for one in got) == [200] * 2 + [429] * 8
        await until_used(gw, (Budget("day", 160_000_000), 3 * TOLD))


@pytest.mark.parametrize(("dollars", "status"), [(3_500, 429), (100_000, 200)])
async def test_one_of_many_that_are_reserved_together_goes_on_alone(tmp_path, dollars, status):
    """It leaves its seat, with a whole that may fit or not; what all have used stays exact."""
    count = 120
    limits = "limits: [{per: minute, requests: 10000}]\n"
    async with upstream() as up, gateway(limits + budget(dollars) + providers(up.port), tmp_path) as gw:
        before = await begun(gw, up, "openai_chat", LONG * 48)

        async def short():
            return await ask(gw, "openai_responses", "to-openai_chat", "go on, " * 20, max_output_tokens=10)

        for _ in range(3):
            asked = [short() for _ in range(count // 3)]
            asked.insert(count // 4, go_on(gw, "openai_chat", before))
            got = await asyncio.gather(*asked)
            assert got.pop(count // 4).status == status
            assert {one.status for one in got} == {200}
        sent = 1 + count + 3 * (status == 200)
        assert len(up.requests) == sent
        await until_used(gw, (Budget("day", dollars * 1_000_000), sent * TOLD), (Limit(60, "requests", 10_000), sent))


async def test_a_provider_that_has_forgotten_is_given_the_items_that_were_reserved(tmp_path):
    """Asked twice, reserved once."""
    gone = b'{"error": {"message": "gone", "type": "invalid_request_error", "code": "previous_response_not_found"}}'
    async with upstream() as up, gateway(budget(100) + providers(up.port), tmp_path) as gw:
        before = await begun(gw, up, "openai_responses")
        up.answers = [[answer(gone, status=400)], served("openai_responses")]
        assert (await go_on(gw, "openai_responses", before)).status == 200
        assert [b"word word" in body for body in map(up.body, range(3))] == [False, False, True]
        await until_used(gw, (Budget("day", 100_000_000), 2 * TOLD))


async def test_items_that_are_named_by_their_ids_are_reserved(tmp_path):
    async with upstream() as up, gateway(budget(50) + providers(up.port), tmp_path) as gw:
        up.answers = [served("openai_chat", text=LONG)]
        first = await ask(gw, "openai_responses", "to-openai_chat", max_output_tokens=10)
        named = [{"type": "item_reference", "id": first.json["output"][0]["id"]}, {"role": "user", "content": "go on"}]
        refused = await ask(gw, "openai_responses", "to-openai_chat", named, max_output_tokens=10)
        assert refused.status == 429
        assert len(up.requests) == 1


async def test_what_is_reserved_in_a_redis_is_the_whole_as_well(tmp_path, monkeypatch):
    """Where the counters must be asked, and a lease covers what comes in between."""
    prefix = f"gatewright:{{test-{secrets.token_hex(6)}}}:"
    for made in (counters_redis.RedisCounters.__init__, BatchedRedisCounters.__init__):
        monkeypatch.setattr(made, "__kwdefaults__", {**made.__kwdefaults__, "prefix": prefix})
    shared = f"counters: {{url: '{redis_url()}', deadline_ms: 5000}}\nlimits: [{{per: minute, requests: 20}}]\n"
    async with upstream() as up, gateway(shared + budget(50) + providers(up.port), tmp_path) as gw:
        before = await begun(gw, up, "openai_chat")
        for _ in range(3):
            assert (await go_on(gw, "openai_chat", before)).status == 429
        assert len(up.requests) == 1
        alone = await ask(gw, "openai_responses", "to-openai_chat", "go on", max_output_tokens=10)
        assert alone.status == 200
        await counters(gw).close()
        reads = counters_redis.RedisCounters(redis_url())
        seen = await reads.look([Meter("all", "", it) for it in (Budget("day", 50_000_000), Limit(60, "requests", 20))], now_us())
        assert [found.used for found in seen] == [2 * TOLD, 2]
        await reads.close()
    async with Redis.from_url(redis_url()) as redis:
        async for key in redis.scan_iter(prefix + "*"):
            await redis.delete(key)
