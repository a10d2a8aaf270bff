"""Calls that the gateway makes for a request of its own accord: paid for by the client's budgets, and no requests of its own."""

import time

import pytest
from tests.pipeline.test_semantic import NEAR, Providers, uses
from tests.plays.cents import use_cents
from tests.plays.scene import providers
from tests.serving import gateway, upstream

from gatewright.limits.meters import Meter
from gatewright.limits.terms import Budget, Limit

EMBEDDING = 30_000
ANSWER = 600_000


@pytest.fixture(autouse=True)
def _priced(monkeypatch):
    """A cent a token read, ten a token written."""
    use_cents(monkeypatch)


async def used(gw, *terms) -> list[int]:
    seen = await gw.house.current.counters.look([Meter("all", "", term) for term in terms], time.time_ns() // 1000)
    return [one.used for one in seen]


async def test_an_embedding_is_spent_of_the_clients_budgets(tmp_path):
    """Counted as the ledger counts it; limits on requests count the client's one, and one at once is enough."""
    budget, requests, one = Budget("day", 1000_000_000), Limit(3600, "requests", 50), Limit(0, "concurrent", 1)
    config = "budgets: {everybody: [{per: day, dollars: 1000}]}\nlimits: [{per: hour, requests: 50}, {concurrent: 1}]\n"
    behind = Providers()
    async with upstream() as up, gateway(config + providers(up.port) + NEAR, tmp_path) as gw:
        up.serve_with(behind)
        assert await uses(gw, "openai_chat", "The capital of France?") == "miss"
        assert len(behind.embedded) == 1
        assert await used(gw, budget, requests, one) == [EMBEDDING + ANSWER, 1, 0]
        assert await uses(gw, "openai_chat", "France's capital?") == "hit"
        assert await used(gw, budget, requests, one) == [2 * EMBEDDING + ANSWER, 2, 0]


async def test_an_embedding_that_the_budget_does_not_cover_is_not_made(tmp_path):
    """It is reserved before; the model is asked without it, if there is enough for that."""
    config = "budgets: {everybody: [{per: day, dollars: 0.2, models: [talk/embed]}]}\n"
    behind = Providers()
    async with upstream() as up, gateway(config + providers(up.port) + NEAR, tmp_path) as gw:
        up.serve_with(behind)
        assert await uses(gw, "openai_chat", "The capital of France?") == "miss"
        assert behind.embedded == []
        assert len(behind.asked) == 1
        assert await used(gw, Budget("day", 200_000, models=("talk/embed",))) == [0]


async def test_a_model_for_embeddings_without_a_price_is_not_asked_where_a_budget_wants_one(tmp_path, monkeypatch):
    """`pricing.unknown: deny` holds for it, too."""
    monkeypatch.undo()
    config = "pricing: {unknown: deny}\nbudgets: {everybody: [{per: day, dollars: 5, models: [talk/embed]}]}\n"
    behind = Providers()
    async with upstream() as up, gateway(config + providers(up.port) + NEAR, tmp_path) as gw:
        up.serve_with(behind)
        assert await uses(gw, "openai_chat", "The capital of France?") == "miss"
        assert behind.embedded == []
