"""Counts of tokens and kept responses: requests as others are, to limits, to queues and to circuits."""

import asyncio
import json

from gatewright.limits.terms import Limit
from tests.plays.failing import error, hosts, soon
from tests.plays.scene import ask, asking, get, providers, send, served, whole
from tests.plays.test_limits import until_used
from tests.serving import answer, gateway, upstream

COUNT = answer(b'{"input_tokens": 3}')
KEPT = answer(json.dumps(whole("openai_responses")).encode())
ONE = "  m: {targets: [a/m]}"


async def test_kept_responses_are_requests_to_limits(tmp_path):
    """Asking for one, for its input, and deleting it: each counts, and is refused where there is none left. Cancelling never is."""
    async with upstream() as up, gateway("limits: [{per: hour, requests: 3}]\n" + providers(up.port), tmp_path) as gw:
        up.answers = [[KEPT], [KEPT], [answer(b'{"object":"list","data":[]}')], [KEPT]]
        assert (await send(gw, "/v1/responses", {"model": "to-openai_responses", "input": "x", "background": True})).status == 200
        assert (await get(gw, "/v1/responses/resp_up1")).status == 200
        assert (await get(gw, "/v1/responses/resp_up1/input_items")).status == 200
        for method, tail in (("GET", ""), ("GET", "/input_items"), ("DELETE", "")):
            refused = await send(gw, f"/v1/responses/resp_up1{tail}", method=method)
            assert (refused.status, refused.json["error"]["code"]) == (429, "rate_limit_exceeded")
        assert len(up.requests) == 3
        assert (await send(gw, "/v1/responses/resp_up1/cancel")).status == 200
        assert up.head().startswith(b"POST /v1/responses/resp_up1/cancel")
        await until_used(gw, (Limit(3600, "requests", 3), 3))


async def test_a_count_waits_for_its_place_at_the_provider(tmp_path):
    """`max_concurrent` is of all calls."""
    async with hosts(tmp_path, "anthropic", models=ONE, providers="max_concurrent: 1") as gw:
        gw.a.answers = [[0.4, *served("anthropic")], [COUNT]]
        answering = asyncio.ensure_future(ask(gw, "anthropic", "m"))
        await soon(lambda: gw.a.requests)
        counting = asyncio.ensure_future(send(gw, "/v1/messages/count_tokens", asking("anthropic", "m")))
        await asyncio.sleep(0.2)
        assert len(gw.a.requests) == 1, "one at once"
        assert (await counting).json == {"input_tokens": 3}
        assert (await answering).status == 200
        await soon(lambda: gw.house.current.endpoints["a"].gate.running == 0)


async def test_a_count_that_finds_no_place_is_an_estimate(tmp_path):
    """It is told at once, and said to be one."""
    queue = "max_concurrent: 1, queue: {size: 0}"
    async with hosts(tmp_path, "anthropic", models=ONE, providers=queue) as gw:
        gw.a.answers = [[0.4, *served("anthropic")], [COUNT]]
        answering = asyncio.ensure_future(ask(gw, "anthropic", "m"))
        await soon(lambda: gw.a.requests)
        got = await send(gw, "/v1/messages/count_tokens", asking("anthropic", "m"))
        assert (got.status, got.headers["x-gatewright-token-count"]) == (200, "estimate")
        assert (await answering).status == 200
        assert len(gw.a.requests) == 1


async def test_whom_calls_leave_alone_counts_leave_alone(tmp_path):
    """A circuit that is open: the count is an estimate, and nothing is sent."""
    breaker = "breaker: {in_a_row: 1, open_s: 60}, retry: {tries_each: 1}"
    async with hosts(tmp_path, "anthropic", models=ONE, routing=breaker) as gw:
        gw.a.answers = [[error(500)]]
        assert (await ask(gw, "anthropic", "m")).status >= 500
        gw.a.answers = [[COUNT]]
        got = await send(gw, "/v1/messages/count_tokens", asking("anthropic", "m"))
        assert (got.status, got.headers.get("x-gatewright-token-count")) == (200, "estimate")
        assert len(gw.a.requests) == 1


async def test_a_kept_response_is_told_while_its_provider_has_no_place(tmp_path):
    """What the gateway knows itself; to delete it needs the provider, and must come back."""
    config = (
        'providers: {p: {kind: openai, base_url: "http://127.0.0.1:%d/v1", api_key: sk, max_concurrent: 1, queue: {size: 0}}}\n'
    )
    async with upstream() as up, gateway(config % up.port, tmp_path) as gw:
        up.answers = [[KEPT], [0.5, KEPT], [answer(b'{"id": "resp_up1", "object": "response", "deleted": true}')]]
        assert (await send(gw, "/v1/responses", {"model": "p/m", "input": "x"})).status == 200
        answering = asyncio.ensure_future(send(gw, "/v1/responses", {"model": "p/m", "input": "x"}))
        await soon(lambda: len(up.requests) == 2)
        assert (await get(gw, "/v1/responses/resp_up1")).json["id"] == "resp_up1"
        refused = await send(gw, "/v1/responses/resp_up1", method="DELETE")
        assert (refused.status, refused.json["error"]["code"]) == (503, "too_many_requests_at_once")
        assert len(up.requests) == 2
        assert (await answering).status == 200
        assert (await send(gw, "/v1/responses/resp_up1", method="DELETE")).json["deleted"] is True
