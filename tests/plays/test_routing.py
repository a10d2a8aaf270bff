"""Routes on real sockets: each strategy, each condition and each tie decides who is asked, seen by who was."""

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from gatewright.ir.seal import Seal, pack
from tests.plays.scene import ask, asking, path_of, send, served
from tests.serving import answer, gateway, upstream

LONG = "You are a careful engineer. " * 300
BROKEN = answer(b'{"error": {"message": "no", "type": "server_error"}}', status=503)


@asynccontextmanager
async def routes(tmp_path, models: str, *, count: int = 3, keys: str = "", more: str = "", fields: str = ""):
    """Hosts `a`, `b`, `c` that speak Chat Completions, and the routes. `gw.ups[name].requests` is who was asked."""
    ups = [upstream() for _ in range(count)]
    entered = [await up.__aenter__() for up in ups]
    names = "abcdef"[:count]
    hosts = "\n".join(
        f'  {name}: {{kind: openai, base_url: "http://127.0.0.1:{up.port}/v1", dialects: [openai_chat], api_key: sk-{name}{fields}}}'
        for name, up in zip(names, entered, strict=True)
    )
    for up in entered:
        up.answers = [served("openai_chat", stream=False)]
    try:
        async with gateway(f"providers:\n{hosts}\n{more}\nmodels:\n{models}\n", tmp_path, keys=keys) as gw:
            gw.ups = dict(zip(names, entered, strict=True))
            yield gw
    finally:
        for up in ups:
            await up.__aexit__(None, None, None)


async def who(gw, model: str, text: str = "hi", **more) -> str:
    """The target that answers; it must answer well."""
    got = await ask(gw, more.pop("dialect", "openai_chat"), model, text, **more)
    assert got.status == 200, got.body
    return got.headers["x-gatewright-target"]


async def whom(gw, document: dict, *, dialect: str = "openai_chat", headers: str = "", **more) -> SimpleNamespace:
    return await send(gw, path_of(dialect, document.get("model", "m")), document, headers=headers, **more)


async def test_weights_are_shares_of_the_calls(tmp_path):
    """Three to one, and nothing for a weight of 0 while another stands."""
    models = "  m: {targets: [{target: a/x, weight: 3}, {target: b/x, weight: 1}, {target: c/x, weight: 0}]}"
    async with routes(tmp_path, models) as gw:
        for _ in range(20):
            await asyncio.gather(*(who(gw, "m") for _ in range(20)))
        asked = {name: len(up.requests) for name, up in gw.ups.items()}
        assert sum(asked.values()) == 400
        assert 250 < asked["a"] < 350
        assert asked["c"] == 0


async def test_round_robin_goes_round(tmp_path):
    """Each in its turn, exactly."""
    async with routes(tmp_path, "  m: {strategy: round_robin, targets: [a/x, b/x, c/x]}") as gw:
        answered = [await who(gw, "m") for _ in range(9)]
        assert answered[:3] * 3 == answered
        assert len(set(answered)) == 3


async def test_least_busy_leaves_a_slow_target_alone(tmp_path):
    """While its calls are in flight, the other is asked."""
    async with routes(tmp_path, "  m: {strategy: least_busy, targets: [a/x, b/x]}", count=2) as gw:
        gw.ups["a"].answers = [[1.5, *served("openai_chat", stream=False)]]
        slow = [asyncio.ensure_future(who(gw, "m")) for _ in range(4)]
        while len(gw.ups["a"].requests) < 1:
            await asyncio.sleep(0.01)
        for _ in range(6):
            assert await who(gw, "m") == "b/x"
        await asyncio.gather(*slow)


async def test_lowest_latency_goes_where_answers_begin_sooner(tmp_path):
    """After each has been tried once."""
    async with routes(tmp_path, "  m: {strategy: lowest_latency, targets: [a/x, b/x]}", count=2) as gw:
        gw.ups["a"].answers = [[0.5, *served("openai_chat", stream=False)]]
        answered = [await who(gw, "m") for _ in range(8)]
        assert Counter(answered)["b/x"] >= 6


async def test_priority_goes_down_the_list_only_on_failure(tmp_path):
    """The lowest number as long as it answers."""
    models = (
        "  m: {strategy: priority, targets: [{target: a/x, priority: 2}, {target: b/x, priority: 1}], retry: {tries_each: 1}}"
    )
    async with routes(tmp_path, models, count=2) as gw:
        assert {await who(gw, "m") for _ in range(5)} == {"b/x"}
        gw.ups["b"].answers = [[BROKEN]]
        assert await who(gw, "m") == "a/x"


async def test_cheapest_asks_who_costs_least_for_this_size(tmp_path):
    """By the list prices of the providers' own hosts; nobody's price is no price of nothing."""
    more = """
  openai: {api_key: sk-o}
  anthropic: {api_key: sk-a}
"""
    models = "  m: {strategy: cheapest, targets: [anthropic/claude-opus-4-1, openai/gpt-5-nano, a/x]}"
    async with routes(tmp_path, models, count=1, more=more) as gw:
        told = await send(gw, "/v1/explain", asking("openai_chat", "m"))
        assert [t["target"] for t in told.json["targets"]] == ["openai/gpt-5-nano", "anthropic/claude-opus-4-1", "a/x"]
        assert told.json["targets"][2]["cost_usd"] == {"lowest": None, "highest": None}


CONDITIONS = """
  m:
    targets:
      - {target: a/x, when: WHEN}
      - {target: b/x, when: {tags: [never]}}
    fallback: [c/x]
"""


@pytest.mark.parametrize(
    ("when", "good", "bad"),
    [
        ("{dialects: [anthropic]}", {"dialect": "anthropic"}, {"dialect": "openai_chat"}),
        ("{tags: [beta]}", {"key": "gw-beta-key-0123456789"}, {}),
        ('{headers: {X-Team: "red*"}}', {"headers": "x-team: red-7\r\n"}, {"headers": "x-team: blue\r\n"}),
        ("{needs: [vision]}", {"image": True}, {}),
        ('{hours: ["00:00-24:00"]}', {}, None),
        ('{hours: ["00:00-00:01 UTC"], tags: [beta]}', None, {}),
    ],
)
async def test_a_condition_says_whom_a_target_is_for(tmp_path, when, good, bad):
    """Who it is not for goes to the next; the request itself passes as it was."""
    keys = "{name: beta, key: gw-beta-key-0123456789, tags: [beta]}"
    async with routes(tmp_path, CONDITIONS.replace("WHEN", when), keys=keys) as gw:
        for case, target in ((good, "a/x"), (bad, "c/x")):
            if case is None:
                continue
            content = "hi"
            if case.get("image"):
                content = [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "https://h/i.png"}}]
            dialect = case.get("dialect", "openai_chat")
            document = asking(dialect, "m", content)
            more = {name: case[name] for name in ("key", "headers") if name in case}
            got = await whom(gw, document, dialect=dialect, **more)
            assert (got.status, got.headers["x-gatewright-target"]) == (200, target)


async def test_where_nobody_is_for_a_request_it_is_told_why(tmp_path):
    """In the client's dialect, naming each target and its reason; nobody is called."""
    models = """
  m:
    targets: [{target: a/x, capabilities: [tools]}, {target: b/x, when: {tags: [beta]}}]
"""
    async with routes(tmp_path, models, count=2) as gw:
        image = [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}]
        got = await whom(gw, asking("anthropic", "m", image), dialect="anthropic")
        assert got.status == 400
        assert got.json["type"] == "error"
        message = got.json["error"]["message"]
        assert "a/x: it cannot do vision, which the request needs" in message
        assert "b/x: it is for keys tagged beta" in message
        assert not any(up.requests for up in gw.ups.values())


async def test_a_request_too_long_for_a_target_goes_to_another(tmp_path):
    """Short ones are shared; a long one skips, and one too long for all is told so by its usual code."""
    models = "  m: {strategy: priority, targets: [{target: a/x, context: 500}, {target: b/x, context: 5000, priority: 1}]}"
    async with routes(tmp_path, models, count=2) as gw:
        assert await who(gw, "m", "short") == "a/x"
        assert await who(gw, "m", "word " * 1000) == "b/x"
        got = await ask(gw, "openai_chat", "m", "word " * 10_000)
        assert (got.status, got.json["error"]["code"]) == (400, "context_length_exceeded")


async def conversation(gw, first: str, turns: int, *, dialect: str = "openai_chat", **fields) -> list[str]:
    """The targets that answered the turns of one conversation."""
    messages: list = [{"role": "user", "content": first}]
    answered = []
    for i in range(turns):
        document = {"model": "m", "messages": [{"role": "system", "content": LONG}, *messages], **fields}
        got = await whom(gw, document, dialect=dialect)
        assert got.status == 200
        answered.append(got.headers["x-gatewright-target"])
        messages += [{"role": "assistant", "content": f"answer {i}"}, {"role": "user", "content": "go on"}]
    return answered


async def test_a_conversation_keeps_its_target_for_its_beginning(tmp_path):
    """Over its turns, and in another process with another start: no table is needed. Others go elsewhere."""
    models = "  m: {targets: [a/x, b/x, c/x]}"
    homes = {}
    async with routes(tmp_path, models) as gw:
        for i in range(12):
            answered = await conversation(gw, f"question {i}", 3)
            assert len(set(answered)) == 1
            homes[i] = answered[0]
    assert len(set(homes.values())) > 1
    async with routes(tmp_path, models) as other:
        for i in range(12):
            assert await conversation(other, f"question {i}", 1) == [homes[i]]


async def test_a_conversation_moves_when_its_target_is_down(tmp_path):
    """Once its circuit is open nobody asks it any more; its conversation has another home, and the same one each time."""
    models = "  m: {targets: [a/x, b/x, c/x], retry: {tries_each: 1}}"
    async with routes(tmp_path, models, more="") as gw:
        (home,) = set(await conversation(gw, "q", 2))
        lost = gw.ups[home[0]]
        lost.answers = [[BROKEN]]
        moved = await conversation(gw, "q", 12)
        assert home not in moved
        before = len(lost.requests)
        assert len(set(await conversation(gw, "q", 4))) == 1
        assert len(lost.requests) == before


@pytest.mark.parametrize(
    ("dialect", "headers", "fields"),
    [
        ("openai_chat", "x-session-id: S\r\n", {}),
        ("openai_chat", "session_id: S\r\n", {}),
        ("openai_chat", "x-gatewright-session: S\r\n", {}),
        ("anthropic", "x-claude-code-session-id: S\r\n", {}),
        ("anthropic", "", {"metadata": {"user_id": "user_a_account_b_session_S"}}),
        ("openai_chat", "", {"prompt_cache_key": "S"}),
    ],
)
async def test_a_session_keeps_its_target(tmp_path, dialect, headers, fields):
    """However it is told; and many sessions are shared by the weights."""
    async with routes(tmp_path, "  m: {targets: [a/x, b/x, c/x]}") as gw:
        homes = Counter()
        for i in range(12):
            own = json.loads(json.dumps(fields).replace("S", f"s{i}"))
            document = {**asking(dialect, "m"), **own}
            said = headers.replace(": S", f": s{i}")
            answered = [
                (await whom(gw, document, dialect=dialect, headers=said)).headers["x-gatewright-target"] for _ in range(3)
            ]
            assert len(set(answered)) == 1
            homes[answered[0]] += 1
        assert len(homes) > 1


async def test_a_route_may_want_no_affinity(tmp_path):
    """Then the strategy decides alone."""
    async with routes(tmp_path, "  m: {strategy: round_robin, affinity: [], targets: [a/x, b/x]}", count=2) as gw:
        got = [
            (await whom(gw, asking("openai_chat", "m"), headers="x-session-id: s\r\n")).headers["x-gatewright-target"]
            for _ in range(4)
        ]
        assert len(set(got)) == 2


async def test_sealed_reasoning_goes_back_to_its_issuer(tmp_path):
    """Across tiers: elsewhere it would be lost."""
    async with routes(tmp_path, "  m: {targets: [a/x, b/x], fallback: [c/x]}") as gw:
        for issuer in "abc":
            word = pack(Seal(dialect="anthropic", data="EqQB", issuer=issuer))
            document = {
                "model": "m",
                "input": [
                    {"role": "user", "content": "q"},
                    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": word},
                    {"role": "user", "content": "go on"},
                ],
            }
            for _ in range(3):
                got = await whom(gw, document, dialect="openai_responses")
                assert got.headers["x-gatewright-target"] == f"{issuer}/x"


async def test_a_continued_response_goes_to_who_gave_it(tmp_path):
    """`previous_response_id` leads back, wherever the draw would have gone."""
    async with routes(tmp_path, "  m: {targets: [a/x, b/x, c/x]}") as gw:
        for _ in range(4):
            first = await whom(gw, {"model": "m", "input": "hi"}, dialect="openai_responses")
            home, last = first.headers["x-gatewright-target"], first.json["id"]
            for _ in range(3):
                got = await whom(gw, {"model": "m", "input": "go on", "previous_response_id": last}, dialect="openai_responses")
                assert got.headers["x-gatewright-target"] == home
                last = got.json["id"]
