"""Usage over HTTP, and what answers say of their cost: each key learns of its own, and of nobody else's."""

import asyncio
import json
from decimal import Decimal

import pytest

from tests.plays.scene import get, send
from tests.serving import END, answer, chunk, gateway, stream_head, upstream

ANSWER = json.dumps({
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}).encode()  # fmt: skip
STREAM = b"".join(
    chunk(b"data: " + json.dumps(one).encode() + b"\n\n")
    for one in (
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
         "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": None}]},
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
         "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
         "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}},
    )
) + chunk(b"data: [DONE]\n\n") + END  # fmt: skip
COST = "0.0045"
"""1000 tokens at $3 a million and 100 at $15."""

ANN, BOB, BOSS, ROOT, SEER, GUEST = (f"gw-{name}-{'x' * 30}" for name in ("ann", "bob", "boss", "root", "seer", "guest"))
KEYS = ", ".join((
    f"{{name: ann, key: {ANN}, models: ['*'], team: red, show_cost: true, budgets: [{{per: day, dollars: 1}}]}}",
    f"{{name: bob, key: {BOB}, models: ['*'], team: blue}}",
    f"{{name: boss, key: {BOSS}, models: ['*'], team: red, role: team_admin}}",
    f"{{name: root, key: {ROOT}, models: ['*'], role: admin}}",
    f"{{name: seer, key: {SEER}, role: viewer}}",
    f"{{name: guest, key: {GUEST}, role: viewer, organization: acme}}",
))  # fmt: skip
CONFIG = """
providers:
  talk: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", dialects: [openai_chat], api_key: sk-x}}
models:
  dear: {{targets: [talk/dear]}}
  free: {{targets: [talk/nobody-knows]}}
pricing: {{models: {{"talk/dear": {{input: 3, output: 15}}}}}}
organizations: {{acme: {{}}}}
teams: {{red: {{}}, blue: {{organization: acme}}}}
"""


def ask(gw, key: str, model: str = "dear", *, headers: str = "", **more):
    document = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], **more}
    return send(gw, "/v1/chat/completions", document, key=key, headers=headers)


@pytest.fixture
async def gw(tmp_path):
    async with upstream() as up:
        up.answers = [[answer(ANSWER)]]
        async with gateway(CONFIG.format(port=up.port), tmp_path, keys=KEYS) as gw:
            gw.upstream = up
            yield gw


def seen(document: dict, name: str = "key") -> dict[str, int]:
    return {line[name]: line["requests"] for line in document["lines"]}


async def used(gw) -> None:
    for key, times in ((ANN, 2), (BOB, 1), (BOSS, 1), (ROOT, 1)):
        for _ in range(times):
            assert (await ask(gw, key)).status == 200


async def test_a_key_learns_what_it_used_the_moment_its_answer_is_there(gw):
    """What is not in the database yet is read from the journal; and when it is, it counts no second time."""
    await used(gw)
    for _ in range(2):
        told = (await get(gw, "/v1/usage?by=model", key=ANN)).json
        assert told["complete"] is True
        assert told["scope"] == {"key_id": "ann"}
        (line,) = told["lines"]
        assert (line["model"], line["requests"], line["input_tokens"], line["output_tokens"]) == ("dear", 2, 2000, 200)
        assert line["cost_usd"] == "0.009000"
        assert told["total"]["cost_usd"] == "0.009000"
        ingest = gw.house.current.books.ingest
        await asyncio.to_thread(ingest._write, ingest._tail)


@pytest.mark.parametrize(
    ("key", "sees", "scope"),
    [
        (ANN, {"ann": 2}, {"key_id": "ann"}),
        (BOB, {"bob": 1}, {"key_id": "bob"}),
        (BOSS, {"ann": 2, "boss": 1}, {"team": "red"}),
        (ROOT, {"ann": 2, "bob": 1, "boss": 1, "root": 1}, "all"),
        (SEER, {"ann": 2, "bob": 1, "boss": 1, "root": 1}, "all"),
        (GUEST, {"bob": 1}, {"organization": "acme"}),
    ],
    ids=["member", "other", "team admin", "admin", "viewer of no team", "viewer of an organization"],
)
async def test_everybody_sees_what_is_his_and_filters_only_narrow_it(gw, key, sees, scope):
    """A member its key, a team's admin the team, an admin all; whatever they ask for."""
    await used(gw)
    told = (await get(gw, "/v1/usage?by=key", key=key)).json
    assert seen(told) == sees
    assert told["scope"] == scope
    for filters in ("filter=key=*", "filter=key%3Dbob&filter=key=ann&filter=key=boss&filter=key=root", "filter=team=*"):
        assert seen((await get(gw, f"/v1/usage?by=key&{filters}", key=key)).json) == sees
    assert seen((await get(gw, "/v1/usage?by=key&filter=key=bob", key=key)).json) == {k: n for k, n in sees.items() if k == "bob"}
    assert seen((await get(gw, "/v1/usage?by=key&filter=team=blue", key=key)).json) == {
        k: n for k, n in sees.items() if k == "bob"
    }


async def test_admins_find_it_among_their_own_paths(gw):
    """The same, for who has the admin API's address."""
    await used(gw)
    assert seen((await get(gw, "/admin/v1/usage?by=team", key=ROOT)).json, "team") == {"red": 3, "blue": 1, "": 1}


async def test_pages_are_taken_one_after_the_other(gw):
    """Each line once; the totals are those of all."""
    await used(gw)
    found, cursor = [], "0"
    while cursor is not None:
        told = (await get(gw, f"/v1/usage?by=key&limit=2&cursor={cursor}", key=ROOT)).json
        assert len(told["lines"]) <= 2
        assert told["total"]["requests"] == 5
        found += [line["key"] for line in told["lines"]]
        cursor = told["next"]
    assert sorted(found) == ["ann", "bob", "boss", "root"]


@pytest.mark.parametrize(
    "query",
    [
        "by=modul",
        "since=later",
        "since=2026-01-02&until=2026-01-01",
        "limit=0",
        "limit=1001",
        "limit=x",
        "cursor=-1",
        "what=1",
        "filter=key",
        "filter=what=1",
    ],
)
async def test_what_cannot_be_meant_is_refused_and_says_what_can(gw, query):
    """Nobody takes the answer to another question for his own."""
    refused = await get(gw, f"/v1/usage?{query}", key=ANN)
    assert refused.status == 400
    assert refused.json["error"]["type"] == "invalid_request_error"


async def test_without_a_key_nothing_is_told(gw):
    """As everywhere."""
    assert (await get(gw, "/v1/usage", key="gw-wrong")).status == 401


async def test_looking_at_usage_is_no_usage(gw):
    """It costs nothing, and is not counted."""
    for _ in range(3):
        assert (await get(gw, "/v1/usage", key=BOB)).json["total"]["requests"] == 0


async def test_an_answer_tells_its_cost_and_what_is_left_where_its_key_says_so(gw):
    """The figure of the ledger; another key's answers tell nothing."""
    first = await ask(gw, ANN)
    assert first.headers["x-gatewright-cost"] == COST
    assert Decimal(first.headers["x-gatewright-budget-remaining"]) == 1 - Decimal(COST)
    second = await ask(gw, ANN)
    assert Decimal(second.headers["x-gatewright-budget-remaining"]) == 1 - 2 * Decimal(COST)
    other = await ask(gw, BOB)
    assert not [name for name in other.headers if name.startswith(("x-gatewright-cost", "x-gatewright-budget"))]
    told = (await get(gw, "/v1/usage", key=ANN)).json
    assert Decimal(told["total"]["cost_usd"]) == 2 * Decimal(COST)


async def test_a_cost_that_nobody_knows_is_called_unknown(gw):
    """Never 0; in the report it is null, and the calls without a price are counted."""
    assert (await ask(gw, ANN, "free")).headers["x-gatewright-cost"] == "unknown"
    told = (await get(gw, "/v1/usage", key=ANN)).json
    assert told["total"]["cost_usd"] is None
    assert told["total"]["unpriced_attempts"] == 1


async def test_a_refused_request_cost_nothing(gw):
    """And says so."""
    gw.upstream.answers = [[answer(b'{"error":{"message":"no","type":"invalid_request_error"}}', status=400)]]
    refused = await ask(gw, ANN)
    assert (refused.status, refused.headers["x-gatewright-cost"]) == (400, "0")


async def test_a_stream_tells_its_cost_behind_its_body_to_who_takes_trailers(gw):
    """Its head is out before anybody knows; what is left of a budget stands there as reserved."""
    gw.upstream.answers = [[stream_head() + STREAM]]
    reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
    body = json.dumps(
        {"model": "dear", "stream": True, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    ).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ANN}\r\nte: trailers\r\nconnection: close\r\n"
    )
    writer.write(head.encode() + b"content-length: %d\r\n\r\n%b" % (len(body), body))
    async with asyncio.timeout(20):
        wire = await reader.read()
    writer.close()
    before, _, after = wire.partition(b"\r\n\r\n")
    assert b"trailer: x-gatewright-cost" in before
    assert b"x-gatewright-cost: " not in before
    left = next(line for line in before.split(b"\r\n") if line.startswith(b"x-gatewright-budget-remaining: "))
    assert 0.9 < float(left.partition(b" ")[2]) < 1
    assert after.endswith(b"0\r\nx-gatewright-cost: " + COST.encode() + b"\r\n\r\n")
    assert b"x-gatewright-cost" not in after.rpartition(b"[DONE]")[0]
    gw.upstream.answers = [[stream_head() + STREAM]]
    plain = await ask(gw, ANN, stream=True)
    assert "trailer" not in plain.headers
    assert (await get(gw, "/v1/usage", key=ANN)).json["total"]["cost_usd"] == "0.009000"
