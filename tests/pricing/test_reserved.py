"""Money that is reserved, settled and written down is the same money, by the real price list."""

import json
import time

import pytest

from gatewright.limits.meters import Meter
from gatewright.limits.terms import Budget
from tests.plays.books import books
from tests.plays.scene import DIALECTS, ask
from tests.serving import answer, gateway, upstream

USED = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "prompt_tokens_details": {"cached_tokens": 200}}
COST = 800 * 2 + 200 * 0.5 + 100 * 8
"""gpt-4.1, in micro-dollars."""
CONFIG = """
providers: {{up: {{kind: openai, dialects: [openai_chat], base_url: "http://127.0.0.1:{port}/v1", api_key: sk-x}}}}
models: {{known: {{targets: [up/gpt-4.1]}}, other: {{targets: [up/nobody-knows]}}}}
pricing: {{unknown: {unknown}, assume: {{input: 3, output: 15}}, models: {{"up/*": {{like: "openai/*"}}}}}}
budgets: {{everybody: [{{per: day, dollars: {dollars}}}]}}
model_lists: {{live: false}}
"""


def chat(tier="default"):
    message = {"role": "assistant", "content": "hi"}
    document = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4.1-2025-04-14", "service_tier": tier}
    return answer(
        json.dumps({**document, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USED}).encode()
    )


async def spent(gw, dollars):
    (seen,) = await gw.house.current.counters.look([Meter("all", "", Budget("day", dollars * 1_000_000))], time.time_ns() // 1000)
    return seen.used


@pytest.mark.parametrize("client", DIALECTS)
async def test_a_budget_is_settled_with_what_the_ledger_says(tmp_path, client):
    """Whoever asked, in whatever dialect: 200 of the 1,000 tokens from the cache."""
    async with upstream() as up, gateway(CONFIG.format(port=up.port, unknown="allow", dollars=5), tmp_path) as gw:
        up.answers = [[chat()]]
        for calls in (1, 2):
            assert (await ask(gw, client, "known")).status == 200
            assert await spent(gw, 5) == COST * calls
        assert [row.cost_micros for row in books(gw).requests] == [COST] * 2


async def test_the_tier_that_served_is_settled(tmp_path):
    """Asked for as priority and served as standard, and the other way round: the answer says what is paid."""
    async with upstream() as up, gateway(CONFIG.format(port=up.port, unknown="allow", dollars=5), tmp_path) as gw:
        up.answers = [[chat("default")], [chat("priority")]]
        for _ in range(2):
            assert (await ask(gw, "openai_chat", "known", service_tier="priority")).status == 200
        standard, priority = (row.cost_micros for row in books(gw).requests)
        assert (standard, priority) == (COST, 800 * 3.5 + 200 * 0.875 + 100 * 14)
        assert await spent(gw, 5) == standard + priority


@pytest.mark.parametrize(
    ("unknown", "status", "used"), [("allow", 200, 0), ("deny", 403, 0), ("assume", 200, 1000 * 3 + 100 * 15)]
)
async def test_a_model_without_a_price(tmp_path, unknown, status, used):
    """It passes uncounted, is refused before anything is sent, or counts as assumed; the ledger says which."""
    async with upstream() as up, gateway(CONFIG.format(port=up.port, unknown=unknown, dollars=5), tmp_path) as gw:
        up.answers = [[chat()]]
        got = await ask(gw, "openai_chat", "other")
        assert (got.status, len(up.requests)) == (status, 1 if status == 200 else 0)
        assert await spent(gw, 5) == used
        if status == 200:
            row = books(gw).only
            assert (row.cost_micros, row.price_source) == ((None, "unknown: not in the price list"), (used, "assumed"))[
                unknown == "assume"
            ]
        else:
            assert "price" in got.json["error"]["message"]


async def test_what_a_budget_cannot_cover_is_refused_before_it_is_sent(tmp_path):
    """By the list's price for the answer that was asked for: a million tokens of gpt-4.1 are $8."""
    async with upstream() as up, gateway(CONFIG.format(port=up.port, unknown="allow", dollars=5), tmp_path) as gw:
        up.answers = [[chat()]]
        assert (await ask(gw, "openai_chat", "known", max_completion_tokens=1_000_000)).status == 429
        assert up.requests == []
        assert (await ask(gw, "openai_chat", "known", max_completion_tokens=600_000)).status == 200
