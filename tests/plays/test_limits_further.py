"""Further attempts of one request: a second try, a hedge, a stream that is gone on with. Each is reserved before it is made."""

import asyncio
import json

import pytest

from gatewright.limits.terms import Budget
from tests.plays.breaking import MODELS, OTHER_MODELS, STORY, Breaking, config, middle
from tests.plays.cents import use_cents
from tests.plays.failing import causes, hosts, records, soon
from tests.plays.resumed import stream
from tests.plays.scene import ask, frames, served
from tests.plays.test_limits import until_used, used
from tests.serving import answer, chunk, gateway, stream_head
from tests.upstreams.script import Say

CUT = [answer(b"{" * 400)[:-390], None]
"""A good head and the beginning of an answer: whoever sent it has worked, and may bill it."""
TWO = "  m: {targets: [a/m], fallback: [b/m]}"
HEDGED = "  m: {targets: [a/m], fallback: [b/m], hedge: {share: 1, least_s: 0.1, unknown_s: 0.1}}"
LONG = "hi " * 1000
"""Reserved at about $15.60, and reckoned at half of that where nobody tells."""
EACH = 16_700_000


def budget(dollars: int) -> str:
    return f"budgets: {{everybody: [{{per: day, dollars: {dollars}}}]}}"


@pytest.fixture(autouse=True)
def _priced(monkeypatch):
    """All models cost the same."""
    use_cents(monkeypatch)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_second_try_that_the_budget_does_not_cover_is_not_made(tmp_path, stream):
    """What the first has used is spent, and another like it would be more than there is."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO, more=budget(20)) as gw:
        gw.a.answers = [[stream_head(), chunk(frames("openai_chat")[0]), None]] if stream else [CUT]
        gw.b.answers = [served("openai_chat", stream=stream)]
        got = await ask(gw, "openai_chat", "m", LONG, stream=stream, max_tokens=10)
        assert got.status == 502
        assert b"hello" not in got.body
        assert (len(gw.a.requests), len(gw.b.requests)) == (1, 0)
        assert "no more is left of the budget" in gw.settled[-1][0].attempts[-1].message
        (spent,) = await used(gw, Budget("day", 20_000_000))
        assert 7_000_000 < spent < 9_000_000, "the one attempt"


async def test_a_second_try_is_counted_while_it_runs(tmp_path):
    """Before it is sent, by as much as it may cost; and settled with both."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO, more=budget(100)) as gw:
        gw.a.answers = [CUT]
        gw.b.answers = [[0.5, *served("openai_chat")]]
        asking = asyncio.ensure_future(ask(gw, "openai_chat", "m", LONG, max_tokens=10))
        await soon(lambda: gw.b.requests)
        (running,) = await used(gw, Budget("day", 100_000_000))
        assert (await asking).status == 200
        *cut, last = [record.cost_micros for record in records(gw)]
        assert len(cut) == 2
        assert running > sum(cut) + EACH - 1_000_000, "what the first two used, and the third's most"
        assert await used(gw, Budget("day", 100_000_000)) == [sum(cut) + last]


async def test_what_nobody_bills_leaves_its_reservation_to_the_next(tmp_path):
    """A refusal costs nothing: a budget for one attempt is enough for as many tries as it takes."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO, more=budget(17)) as gw:
        gw.a.answers = [[answer(b'{"error": {"message": "later"}}', status=503)]]
        assert (await ask(gw, "openai_chat", "m", LONG, max_tokens=10)).status == 200
        assert causes(gw) == [("a/m", "overloaded"), ("b/m", None)]


@pytest.mark.parametrize(("dollars", "hedges"), [(20, 0), (40, 1)])
async def test_a_hedge_that_the_budget_does_not_cover_is_not_made(tmp_path, dollars, hedges):
    """The first answers alone then; one that is made is reserved beside it."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=HEDGED, more=budget(dollars)) as gw:
        gw.a.answers = [[0.6, *served("openai_chat")]]
        gw.b.answers = [[5.0, *served("openai_chat", text="late")]]
        asking = asyncio.ensure_future(ask(gw, "openai_chat", "m", LONG, max_tokens=10))
        await soon(lambda: gw.a.requests)
        (first,) = await used(gw, Budget("day", dollars * 1_000_000))
        assert first < EACH, "a hedge that is not made takes nothing from others"
        await asyncio.sleep(0.3)
        (running,) = await used(gw, Budget("day", dollars * 1_000_000))
        assert running == first * (1 + hedges)
        assert (await asking).status == 200
        assert len(gw.b.requests) == hedges


@pytest.mark.parametrize(("dollars", "tries"), [(12, 1), (100, 2)])
async def test_a_stream_goes_on_only_where_the_budget_covers_that(tmp_path, dollars, tries):
    """Else it ends in the error that broke it; nobody is asked for what cannot be paid."""
    route = ("safe", MODELS["openai_chat"], OTHER_MODELS["anthropic"])
    with Breaking((Say(STORY),)).telling() as up:
        async with gateway(config(up.port, route) + budget(dollars), tmp_path) as gw:
            up.cuts = [middle()]
            got = await stream(gw, "openai_chat", "safe", max_tokens=100)
            assert len(up.answers) == tries
            assert (got.end, got.text == STORY) == (("error", False) if tries == 1 else ("stop", True))


async def test_limits_on_tokens_hold_for_further_attempts(tmp_path):
    """As budgets do."""
    limit = "limits: [{per: hour, tokens: 1200}]"
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO, more=limit) as gw:
        gw.a.answers = [CUT]
        got = await ask(gw, "openai_chat", "m", LONG, max_tokens=10)
        assert (got.status, len(gw.b.requests)) == (502, 0)
        assert json.loads(got.body)["error"]["message"]


async def test_nothing_is_left_reserved_behind_several_tries(tmp_path):
    """What was added for each is settled with the rest."""
    async with hosts(tmp_path, "openai_chat", "openai_chat", models=TWO, more=budget(60)) as gw:
        gw.a.answers = gw.b.answers = [CUT]
        assert (await ask(gw, "openai_chat", "m", LONG, max_tokens=10)).status == 502
        costs = [record.cost_micros for record in records(gw)]
        assert len(costs) == 6
        await until_used(gw, (Budget("day", 60_000_000), sum(costs)))
