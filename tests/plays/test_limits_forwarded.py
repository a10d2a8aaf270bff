"""What is forwarded is held by budgets as all else is: reserved before it is sent, at its model's price."""

import asyncio
import json

import pytest

from gatewright.limits.terms import Budget
from tests.plays.books import books
from tests.plays.cents import use_cents
from tests.plays.scene import providers, send
from tests.plays.test_limits import until_used
from tests.serving import answer, gateway, upstream

EVERYBODY = "budgets: {everybody: [{per: day, dollars: 5}]}\n"
OF_FIVE = Budget("day", 5_000_000)


@pytest.fixture
def priced(monkeypatch):
    """All models cost the same: a cent a token read, ten a token written."""
    use_cents(monkeypatch)


def completion(read: int, written: int) -> bytes:
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return json.dumps({"object": "text_completion", "choices": [{"text": "x", "finish_reason": "stop"}], "usage": usage}).encode()


async def test_forwarded_calls_at_once_do_not_spend_more_than_there_is(tmp_path, priced):
    """Ten that may each cost all of it: one goes out, and what it did not use is there for the next."""
    async with upstream() as up, gateway(EVERYBODY + providers(up.port), tmp_path) as gw:
        up.answers = [[0.3, answer(completion(1, 20))]]
        body = {"model": "talk/t", "prompt": "hi", "max_tokens": 30}
        got = await asyncio.gather(*(send(gw, "/v1/completions", body) for _ in range(10)))
        assert sorted(one.status for one in got) == [200] + [429] * 9
        assert len(up.requests) == 1
        spent = got[[one.status for one in got].index(200)]
        assert spent.json["usage"]["completion_tokens"] == 20
        await until_used(gw, (OF_FIVE, 2_010_000))


async def test_an_answer_asked_for_several_times_is_reserved_as_often(tmp_path, priced):
    """`n` and `best_of` are written and paid for, each."""
    async with upstream() as up, gateway(EVERYBODY + providers(up.port), tmp_path) as gw:
        up.answers = [[answer(completion(1, 2))]]
        body = {"model": "talk/t", "prompt": "hi", "max_tokens": 10}
        assert (await send(gw, "/v1/completions", {**body, "best_of": 9})).status == 429
        assert (await send(gw, "/v1/completions", {**body, "n": 9})).status == 429
        assert up.requests == []
        assert (await send(gw, "/v1/completions", body)).status == 200


async def test_vectors_write_nothing(tmp_path, priced):
    """They are reserved by what is read alone, and settled so, however long they are."""
    async with upstream() as up, gateway(EVERYBODY + providers(up.port), tmp_path) as gw:
        vector = {"object": "embedding", "index": 0, "embedding": [0.125] * 100}
        up.answers = [[answer(json.dumps({"data": [vector], "usage": {"prompt_tokens": 3, "total_tokens": 3}}).encode())]]
        assert (await send(gw, "/v1/embeddings", {"model": "talk/e", "input": "hi"})).status == 200
        await until_used(gw, (OF_FIVE, 30_000))


async def test_what_nobody_can_price_is_refused_where_the_operator_says_so(tmp_path):
    """A model without a price, and a batch, which names none; a list of files costs nothing."""
    config = "pricing: {unknown: deny}\n" + EVERYBODY
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        refused = await send(gw, "/v1/embeddings", {"model": "talk/e", "input": "hi"})
        assert (refused.status, refused.json["error"]["code"]) == (403, "price_unknown")
        refused = await send(gw, "/talk/v1/batches", {"input_file_id": "f", "endpoint": "/v1/chat/completions"})
        assert (refused.status, refused.json["error"]["code"]) == (403, "price_unknown")
        assert up.requests == []


A_BATCH = {"input_file_id": "f", "endpoint": "/v1/chat/completions"}


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (EVERYBODY, 403),
        ("limits: [{per: day, dollars: 5}]\n", 403),
        ("pricing: {batches: allow}\n" + EVERYBODY, 200),
        ("budgets: {everybody: [{per: day, dollars: 5, on_exceeded: warn}]}\n", 200),
        ("limits: [{per: day, requests: 50}]\n", 200),
        ("", 200),
    ],
    ids=["budget", "dollars", "allowed", "warns", "requests", "unlimited"],
)
async def test_a_batch_is_begun_only_where_no_money_stops_its_key(tmp_path, more, status):
    """It could cost any amount; and what only asks for one, or cancels it, passes."""
    async with upstream() as up, gateway(more + providers(up.port), tmp_path) as gw:
        up.answers = [[answer(b'{"id": "batch_1", "object": "batch"}')]]
        begun = await send(gw, "/talk/v1/batches", A_BATCH)
        assert begun.status == status
        if status == 403:
            assert begun.json["error"]["code"] == "price_unknown"
            assert "(pricing.batches: deny)" in begun.json["error"]["message"]
        sent = len(up.requests)
        assert sent == (status == 200)
        assert (await send(gw, "/talk/v1/batches/batch_1", method="GET")).status == 200
        assert (await send(gw, "/talk/v1/batches/batch_1/cancel", {})).status == 200
        assert len(up.requests) == sent + 2


async def test_the_ledger_says_that_the_cost_of_a_batch_is_unknown(tmp_path):
    """Null, and why: never nothing; and the client is told so."""
    keys = "{name: sees, key: gw-sees, show_cost: true}"
    async with upstream() as up, gateway(providers(up.port), tmp_path, keys=keys) as gw:
        up.answers = [[answer(b'{"id": "batch_1", "object": "batch"}')]]
        begun = await send(gw, "/talk/v1/batches", A_BATCH, key="gw-sees")
        assert begun.headers["x-gatewright-cost"] == "unknown"
        asked = await send(gw, "/talk/v1/batches/batch_1", method="GET", key="gw-sees")
        assert float(asked.headers["x-gatewright-cost"]) == 0
        found = [(row.cost_micros, row.price_source) for row in books(gw).requests]
        assert found == [(None, "unknown: a batch is billed when it is done"), (0, "unbilled")]
