"""Several keys of one provider: used in turn, each resting alone, and never told."""

import asyncio
import json
from contextlib import asynccontextmanager

from tests.identity import serving
from tests.serving import call, gateway

CHAT = json.dumps({"model": "many/m", "messages": [{"role": "user", "content": "hi"}]}).encode()
ANSWER = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}  # fmt: skip


class Host:
    """Answers each key as it is told to; else serves."""

    def __init__(self):
        self.keys = []
        self.answers = {}

    def answer(self, asked):
        key = asked.headers["authorization"].removeprefix("Bearer ")
        self.keys.append(key)
        return self.answers.get(key, (200, ANSWER))


def error(status, message, **headers):
    return status, {"error": {"message": message, "type": "x"}}, headers


@asynccontextmanager
async def scene(tmp_path, keys="sk-one, sk-two, sk-three"):
    host = Host()
    async with serving(host.answer) as port:
        provider = f"{{kind: custom, base_url: 'http://127.0.0.1:{port}/v1', api_keys: [{keys}]}}"
        async with gateway(f"providers: {{many: {provider}}}\nrouting: {{retry: {{patience_s: 1}}}}", tmp_path) as gw:
            yield host, lambda: call(gw.port, "/v1/chat/completions", CHAT)


async def test_keys_are_used_in_turn(tmp_path):
    """Round-robin, so that limits add up."""
    async with scene(tmp_path) as (host, ask):
        for _ in range(6):
            assert (await ask()).status == 200
        assert host.keys == ["sk-one", "sk-two", "sk-three"] * 2


async def test_a_key_over_its_limit_rests_alone_and_the_client_does_not_feel_it(tmp_path):
    """429 with `retry-after` concerns one key; the call goes on with the next, and comes back when the time is over."""
    async with scene(tmp_path) as (host, ask):
        host.answers["sk-one"] = error(429, "slow down", **{"retry-after": "1"})
        for _ in range(4):
            assert (await ask()).status == 200
        assert host.keys.count("sk-one") == 1
        del host.answers["sk-one"]
        await asyncio.sleep(1.05)
        for _ in range(3):
            await ask()
        assert host.keys.count("sk-one") == 2


async def test_refused_keys_are_left_alone(tmp_path):
    """A revoked key and one without money are each tried once; the third serves."""
    async with scene(tmp_path) as (host, ask):
        host.answers["sk-one"] = error(401, "Incorrect API key provided: sk-one")
        host.answers["sk-two"] = error(429, "You exceeded your current quota, please check your plan and billing details.")
        for _ in range(5):
            assert (await ask()).status == 200
        assert host.keys == ["sk-one", "sk-two", "sk-three", "sk-three", "sk-three", "sk-three", "sk-three"]


async def test_when_all_rest_the_client_hears_when_to_come_back_and_no_key(tmp_path):
    """429 with the soonest time, and what is the matter with each key by its number."""
    async with scene(tmp_path) as (host, ask):
        host.answers["sk-one"] = error(429, "limit of sk-one", **{"retry-after": "30"})
        host.answers["sk-two"] = error(429, "limit of sk-two", **{"retry-after": "7"})
        host.answers["sk-three"] = error(401, "bad key sk-three")
        assert (await ask()).status in (429, 502), "the last key is no good"
        answer = await ask()
        told = answer.body.decode()
        assert answer.status == 429
        assert answer.headers["retry-after"] == "7"
        assert "'many'" in told
        assert "key 1 is over its limit (again in 30 s)" in told
        assert "key 3 was refused" in told
        assert "sk-" not in told
        assert len(host.keys) == 3, "nobody was asked in vain"


async def test_what_a_client_may_not_do_costs_no_key_its_place(tmp_path):
    """A 403 for a model is the same with any key: all are tried, none rests, and the client reads why."""
    async with scene(tmp_path) as (host, ask):
        host.answers = {key: error(403, f"no access to model m with {key}") for key in ("sk-one", "sk-two", "sk-three")}
        answer = await ask()
        assert answer.status == 403
        assert b"no access to model m with ***" in answer.body
        host.answers = {}
        for _ in range(3):
            assert (await ask()).status == 200
        assert sorted(host.keys[-3:]) == ["sk-one", "sk-three", "sk-two"]


async def test_one_bad_request_is_one_request(tmp_path):
    """A 400 is the client's and goes straight back."""
    async with scene(tmp_path) as (host, ask):
        host.answers["sk-one"] = error(400, "max_tokens is too large")
        answer = await ask()
        assert (answer.status, len(host.keys)) == (400, 1)
        assert b"max_tokens is too large" in answer.body
