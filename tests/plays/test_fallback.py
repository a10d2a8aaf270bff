"""When a provider fails: another takes over without the client's notice, for as long as nothing has been shown."""

import json

import pytest

from tests.plays.scene import (
    DIALECTS,
    IN_STREAM_ERROR,
    ask,
    events,
    frames,
    message_of,
    only_tally,
    path_of,
    send,
    served,
    tallies,
)
from tests.serving import END, answer, chunk, gateway, stream_head, upstream

KINDS = {
    "openai_chat": "kind: openai, dialects: [openai_chat]",
    "openai_responses": "kind: openai, dialects: [openai_responses]",
    "anthropic": "kind: anthropic",
    "gemini": "kind: gemini",
}


def two(one: int, other: int, dialect: str, second: str | None = None) -> str:
    """Two hosts of one dialect (or of two): a route that falls back, and one that shares the load."""

    def host(port: int, api: str) -> str:
        version = "/v1" if api.startswith("openai") else ""
        return f'{{{KINDS[api]}, base_url: "http://127.0.0.1:{port}{version}", api_key: sk-{port}}}'

    return f"""
providers:
  first: {host(one, dialect)}
  second: {host(other, second or dialect)}
models:
  safe: {{targets: [first/a], fallback: [second/b]}}
  shared: {{targets: [{{target: first/a, weight: 3}}, {{target: second/b, weight: 1}}]}}
  lone: {{targets: [first/a]}}
"""


GOOGLE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
}


def error(status: int, dialect: str, headers: str = "", message: str = "try later", kind: str = "overloaded_error") -> bytes:
    document = {
        "anthropic": {"type": "error", "error": {"type": kind, "message": message}},
        "gemini": {"error": {"code": status, "message": message, "status": GOOGLE.get(status, "UNAVAILABLE")}},
    }.get(dialect, {"error": {"message": message, "type": kind, "param": None, "code": None}})
    return answer(json.dumps(document).encode(), status=status, headers=headers)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [429, 500, 502, 503, 529, None, "refused"], ids=str)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_failure_before_content_moves_on_unseen(tmp_path, dialect, status, stream):
    """Rate limits, broken and overloaded hosts, cut and refused connections: the answer is the other's, whole."""
    async with upstream() as one, upstream() as other:
        one.answers = [[status if status is None else error(status, dialect)]] if status != "refused" else []
        other.answers = [served(dialect, stream=stream)]
        async with gateway(two(1 if status == "refused" else one.port, other.port, dialect), tmp_path) as gw:
            got = await ask(gw, dialect, "safe", stream=stream)
            assert (got.status, got.broken) == (200, False)
            assert got.headers["x-gatewright-target"] == "second/b"
            assert b"hello" in got.body
            assert b"error" not in got.body.replace(b'"error": null', b"").replace(b'"error":null', b"")
            assert tallies(gw)["test", "second/b"].requests == 1
            assert only_tally(gw).errors == 0


@pytest.mark.parametrize("when", ["at once", "after the beginning"])
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_error_inside_a_stream_before_content_moves_on_unseen(tmp_path, dialect, client, when):
    """A 200 says nothing: errors arrive as events. Until content came the client has seen nothing."""
    async with upstream() as one, upstream() as other:
        begun = [chunk(frames(dialect)[0]), 0.03] if when != "at once" else []
        one.answers = [[stream_head(), *begun, chunk(IN_STREAM_ERROR[dialect]), END]]
        other.answers = [served(dialect, stream=True)]
        async with gateway(two(one.port, other.port, dialect), tmp_path) as gw:
            got = await ask(gw, client, "safe", stream=True)
            assert (got.status, got.headers.get("x-gatewright-target")) == (200, "second/b")
            assert b"hello" in got.body
            assert b"try later" not in got.body


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_after_content_an_error_is_told_and_never_retried(tmp_path, dialect, client):
    """What was shown cannot be taken back: the stream ends in the client's own error event, never in a clean stop."""
    async with upstream() as one, upstream() as other:
        beginning, content, _ = frames(dialect)
        one.answers = [[stream_head(), chunk(beginning + content), 0.02, chunk(IN_STREAM_ERROR[dialect]), END]]
        other.answers = [served(dialect, stream=True)]
        async with gateway(two(one.port, other.port, dialect), tmp_path) as gw:
            got = await ask(gw, client, "safe", stream=True)
            assert got.status == 200
            assert other.requests == []
            assert b"hello" in got.body
            assert_error_event(client, got.body)
            assert only_tally(gw).errors == 1


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_cut_stream_ends_in_an_error_event(tmp_path, dialect, client):
    """A truncated answer must not look like a short one, whoever speaks what."""
    async with upstream() as one, upstream() as other:
        beginning, content, _ = frames(dialect)
        one.answers = [
            [stream_head(), chunk(beginning + content), 0.02, None],
            [stream_head(), chunk(beginning + content), 0.02, END],
        ]
        async with gateway(two(one.port, other.port, dialect), tmp_path) as gw:
            for _ in range(2):  # the connection breaks; the body ends cleanly but the answer did not
                got = await ask(gw, client, "lone", stream=True)
                assert b"hello" in got.body
                assert_error_event(client, got.body)


def assert_error_event(client: str, wire: bytes) -> None:
    told = events(wire)
    assert b"[DONE]" not in wire
    match client:
        case "openai_chat":
            assert "message" in told[-1]["error"]
            assert not any(choice["finish_reason"] for event in told[:-1] for choice in event["choices"])
        case "openai_responses":
            assert told[-1]["type"] in ("error", "response.failed")
            assert not any(event["type"] == "response.completed" for event in told)
        case "anthropic":
            assert told[-1]["type"] == "error"
            assert {"type", "message"} <= set(told[-1]["error"])
            assert not any(event["type"] == "message_stop" for event in told)
        case _:
            assert {"code", "message", "status"} <= set(told[-1]["error"])
            assert not any(c.get("finishReason") for event in told[:-1] for c in event["candidates"])


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("status", [400, 403, 404, 413, 422])
async def test_a_clients_error_never_moves_on(tmp_path, dialect, status):
    """Another host would say the same: it comes back at once, with its status, in the client's words."""
    async with upstream() as one, upstream() as other:
        one.answers = [[error(status, dialect, message="your fault", kind="invalid_request_error")]]
        other.answers = [served(dialect)]
        async with gateway(two(one.port, other.port, dialect), tmp_path) as gw:
            got = await ask(gw, dialect, "safe")
            assert (got.status, message_of(dialect, got.json)) == (status, "your fault")
            assert other.requests == []
            for client in DIALECTS:
                got = await ask(gw, client, "safe")
                assert got.status == status
                assert "your fault" in message_of(client, got.json)


@pytest.mark.parametrize("client", DIALECTS)
async def test_when_all_fail_every_attempt_is_named(tmp_path, client):
    """The failure that tells the client most leads: a rate limit with its retry-after before a broken host."""
    async with upstream() as one, upstream() as other:
        one.answers = [[error(429, "anthropic", "retry-after: 12\r\n", "slow down", "rate_limit_error")]]
        other.answers = [[error(500, "openai_chat", message="broken", kind="server_error")]]
        async with gateway(two(one.port, other.port, "anthropic", "openai_chat"), tmp_path) as gw:
            got = await ask(gw, client, "safe")
            assert (got.status, got.headers["retry-after"]) == (429, "12")
            message = message_of(client, got.json)
            for word in ("first/a 429", "slow down", "second/b 500", "broken"):
                assert word in message
            assert sum(t.requests for t in tallies(gw).values()) == 1


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_status_and_hints_of_an_upstream_survive(tmp_path, dialect, client):
    """429, 503 and 529 stay what they are (as near as a dialect has them); retry-after and rate limits are carried over."""
    async with upstream() as one:
        hints = "retry-after: 3\r\nx-ratelimit-remaining-requests: 0\r\nanthropic-ratelimit-requests-remaining: 0\r\n"
        for status in (429, 503, 529):
            one.answers = [[error(status, dialect, hints)]]
            async with gateway(two(one.port, 1, dialect) + "routing: {retry: {tries_each: 1}}\n", tmp_path) as gw:
                got = await ask(gw, client, "lone")
                assert got.status in ({503, 529} if status != 429 else {429}), (status, got.status)
                assert got.headers["retry-after"] == "3"
                assert "try later" in message_of(client, got.json)


async def test_weights_share_the_load(tmp_path):
    """Three to one, by chance; a target that fails hands over to the other."""
    async with upstream() as one, upstream() as other:
        one.answers = other.answers = [served("openai_chat")]
        async with gateway(two(one.port, other.port, "openai_chat"), tmp_path) as gw:
            following = gw.gateway.stacks.by_operation["generate"]
            while "checks" not in following.keywords:
                following = following.keywords["following"]
            (route,) = (c.__self__ for c in following.keywords["checks"] if type(c.__self__).__name__ == "RouteStage")
            draws = iter([0.0, *(x for i in range(40) for x in ((i + 0.5) / 40, 0.5))])
            route.random = lambda: next(draws)
            for _ in range(40):
                assert (await ask(gw, "openai_chat", "shared")).status == 200
            assert len(one.requests) + len(other.requests) == 40
            assert len(one.requests) > 2 * len(other.requests) > 0
        one.answers = [[error(503, "openai_chat")]]
        async with gateway(two(one.port, other.port, "openai_chat"), tmp_path) as gw:
            for _ in range(5):
                assert (await ask(gw, "openai_chat", "shared")).headers["x-gatewright-target"] == "second/b"


async def test_money_gone_is_no_rate_limit(tmp_path):
    """A 429 for an empty account does not pass by itself: another target is tried, and no retry-after is invented."""
    spent = answer(
        b'{"error": {"message": "quota", "type": "insufficient_quota", "param": null, "code": "insufficient_quota"}}', status=429
    )
    async with upstream() as one, upstream() as other:
        one.answers, other.answers = [[spent]], [served("openai_chat")]
        async with gateway(two(one.port, other.port, "openai_chat"), tmp_path) as gw:
            assert (await ask(gw, "openai_chat", "safe")).headers["x-gatewright-target"] == "second/b"
            got = await ask(gw, "openai_chat", "lone")
            assert (got.status, got.json["error"]["code"]) == (429, "insufficient_quota")
            assert "retry-after" not in got.headers


async def test_a_refused_seal_is_left_out_once(tmp_path):
    """Opaque reasoning that a provider cannot read (another account's, an expired one) must not end the conversation."""
    refusal = error(
        400, "anthropic", message="messages.1.content.0: Invalid `signature` in `thinking` block", kind="invalid_request_error"
    )
    thinking = [{"type": "thinking", "thinking": "hm", "signature": "EqQB"}, {"type": "text", "text": "So."}]
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": thinking}, {"role": "user", "content": "b"}]
    async with upstream() as one, upstream() as other:
        one.answers = [[refusal], served("anthropic"), [refusal]]
        other.answers = [served("anthropic")]
        async with gateway(two(one.port, other.port, "anthropic"), tmp_path) as gw:
            body = {"model": "safe", "max_tokens": 9, "messages": turns}
            got = await send(gw, "/v1/messages", body)
            assert (got.status, len(one.requests)) == (200, 2)
            assert json.loads(one.body(0)) == {**body, "model": "a"}
            assert b"EqQB" not in one.body(1)
            assert json.loads(one.body(1))["messages"][1]["content"] == [{"type": "text", "text": "So."}]
            got = await send(gw, "/v1/messages", body)  # refused for good: told, and not tried a third time
            assert (got.status, len(one.requests)) == (400, 4)
            assert other.requests == []


async def test_a_refused_seal_is_not_put_back_from_the_vault(tmp_path):
    """What was kept for a client that drops seals is left out too, once the provider has refused it."""
    thinks = {
        "id": "m1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use", "stop_sequence": None,
        "content": [{"type": "thinking", "thinking": "hm", "signature": "EqQBseal"}, {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}],
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip
    refusal = error(400, "anthropic", message="Invalid `signature` in `thinking` block", kind="invalid_request_error")
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
    async with upstream() as one:
        one.answers = [[answer(json.dumps(thinks).encode())], [refusal], served("anthropic")]
        async with gateway(two(one.port, 1, "anthropic"), tmp_path) as gw:
            turns: list = [{"role": "user", "content": "a"}]
            first = await send(gw, path_of("openai_chat", ""), {"model": "lone", "messages": turns, "tools": tools})
            call = first.json["choices"][0]["message"]["tool_calls"][0]
            plain = {"id": call["id"], "type": "function", "function": call["function"]}
            turns += [
                {"role": "assistant", "content": None, "tool_calls": [plain]},
                {"role": "tool", "tool_call_id": call["id"], "content": "x"},
            ]
            got = await send(gw, path_of("openai_chat", ""), {"model": "lone", "messages": turns, "tools": tools})
            assert got.status == 200
            assert [b"EqQBseal" in body for body in map(one.body, range(3))] == [False, True, False]


async def test_the_one_that_takes_over_gets_the_clients_own_bytes(tmp_path):
    """After a try in another dialect, a provider of the client's own dialect is asked as if it had been the first."""
    async with upstream() as one, upstream() as other:
        one.answers, other.answers = [[error(503, "gemini")]], [served("openai_chat")]
        async with gateway(two(one.port, other.port, "gemini", "openai_chat"), tmp_path) as gw:
            body = b'{"model": "safe", "temperature": 1.0e0, "messages": [{"role":"user", "content":"hi", "unheard_of": [1.50]}]}'
            got = await send(gw, "/v1/chat/completions", body)
            assert got.status == 200
            assert b'"temperature":1.0e0' in other.body()
            assert b'[{"role":"user", "content":"hi", "unheard_of": [1.50]}]' in other.body()
            assert "x-gatewright-loss" not in got.headers


async def test_one_that_cannot_be_asked_does_not_hide_why_the_other_failed(tmp_path):
    """The rate limit is what the client can act on, not that the fallback takes no `n`; all are named."""
    async with upstream() as one, upstream() as other:
        one.answers, other.answers = [[error(429, "openai_chat", "retry-after: 5\r\n")]], [served("anthropic")]
        async with gateway(two(one.port, other.port, "openai_chat", "anthropic"), tmp_path) as gw:
            got = await ask(gw, "openai_chat", "safe", n=2)
            assert (got.status, got.headers["retry-after"]) == (429, "5")
            assert "first/a 429" in got.json["error"]["message"]
            assert "second/b 400" in got.json["error"]["message"]
            assert other.requests == []
