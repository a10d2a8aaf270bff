"""Streams that cost more than was reserved for them: more is reserved while there is money, or they end in an error."""

import json
import time

import pytest

from gatewright.limits.meters import Meter
from gatewright.limits.terms import Budget
from tests.plays.cents import use_cents
from tests.plays.scene import DIALECTS, ask, frames, path_of, providers, send
from tests.serving import END, chunk, gateway, stream_head, upstream


@pytest.fixture
def priced(monkeypatch):
    """All models cost the same."""
    use_cents(monkeypatch)


async def test_a_stream_that_outgrows_its_reservation_ends_where_the_operator_wants_that(tmp_path, priced):
    """`on_outgrown: stop`: though the budget has more than enough."""
    config = "budgets: {on_outgrown: stop, everybody: [{per: day, dollars: 5000}]}\n"
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        first, said, end = frames("openai_chat", "word " * 1000)
        up.answers = [[stream_head(), chunk(first), *([chunk(said), 0.01] * 20), chunk(end), END]]
        got = await ask(gw, "openai_chat", "to-openai_chat", stream=True)
        assert b"budget_exceeded" in got.body
        assert 3000 <= got.body.count(b"word") < 9000


async def test_a_stream_that_outgrows_its_reservation_is_extended_while_there_is_money(tmp_path, priced):
    """Nobody said how long it may be: 4096 tokens are reserved, and more when they are nearly used."""
    async with (
        upstream() as up,
        gateway("budgets: {everybody: [{per: day, dollars: 5000}]}\n" + providers(up.port), tmp_path) as gw,
    ):
        first, said, end = frames("openai_chat", "word " * 1000)
        up.answers = [[stream_head(), chunk(first), *([chunk(said), 0.001] * 8), chunk(end), END]]
        got = await ask(gw, "openai_chat", "to-openai_chat", stream=True)
        assert got.body.count(b"word") == 8000
        assert got.body.rstrip().endswith(b"[DONE]")
        assert not got.broken


@pytest.mark.parametrize("client", DIALECTS)
async def test_a_stream_that_outgrows_its_budget_ends_in_an_error(tmp_path, priced, client):
    """Never like an answer that is complete; and all that was said is paid for."""
    config = "budgets: {everybody: [{per: day, dollars: 415}]}\n"
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        first, said, end = frames("openai_chat", "word " * 1000)
        up.answers = [[stream_head(), chunk(first), *([chunk(said), 0.01] * 20), chunk(end), END]]
        document = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]} if client == "gemini" else None
        path = path_of(client, "to-openai_chat", stream=True)
        if document is None:
            messages = [{"role": "user", "content": "hi"}]
            document = {"model": "to-openai_chat", "stream": True}
            document |= {"input": "hi"} if client == "openai_responses" else {"messages": messages}
            if client == "anthropic":
                document["max_tokens"] = 4000
        got = await send(gw, path, document)
        if client == "anthropic":  # it says how long it may be, so it cannot outgrow anything
            assert got.body.count(b"word") == 20_000
            return
        assert b"budget" in got.body
        assert b"[DONE]" not in got.body
        assert got.body.count(b"word") < 12_000
        budget = Meter("all", "", Budget("day", 415_000_000))
        (spent,) = [seen.used for seen in await gw.house.current.counters.look([budget], time.time_ns() // 1000)]
        assert spent > 300_000_000


async def test_an_array_that_outgrows_its_budget_is_cut(tmp_path, priced):
    """Gemini's framing without events passes, too, and has no place for an error: it must not look complete."""
    config = "budgets: {everybody: [{per: day, dollars: 415}]}\n"
    async with upstream() as up, gateway(config + providers(up.port), tmp_path) as gw:
        piece = json.dumps({"candidates": [{"content": {"role": "model", "parts": [{"text": "word " * 1000}]}}]}).encode()
        head = stream_head().replace(b"text/event-stream", b"application/json")
        up.answers = [[head, chunk(b"[" + piece), *([chunk(b",\r\n" + piece), 0.01] * 20), chunk(b"]"), END]]
        document = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
        got = await send(gw, "/v1beta/models/to-gemini:streamGenerateContent", document)
        assert got.broken
        assert 3000 <= got.body.count(b"word") < 12_000
        budget = Meter("all", "", Budget("day", 415_000_000))
        (spent,) = [seen.used for seen in await gw.house.current.counters.look([budget], time.time_ns() // 1000)]
        assert spent > 300_000_000
