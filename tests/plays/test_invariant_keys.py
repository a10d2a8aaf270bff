"""Invariant's paths: who may call there, which key goes where, and the fixed words."""

import itertools
import json

import pytest

from tests.plays.invariant_scene import (
    DATASET,
    DIALECTS,
    INV,
    KEY_HEADER,
    PROVIDER_KEY,
    VENDOR,
    ask,
    asking,
    key_lines,
    path_of,
    scene,
    served,
)
from tests.plays.scene import tallies
from tests.serving import KEY, answer, call

MATRIX = list(itertools.product([True, False], repeat=4))


def went(scene, dialect):
    """The key that the provider was sent, and the whole head."""
    head = scene.up.head().decode("latin-1")
    lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    return {name.lower(): value for name, value in lines.items()}.get(KEY_HEADER[dialect], ""), head


@pytest.mark.parametrize(("dataset", "invariant", "joined", "fallback"), MATRIX)
async def test_the_matrix_of_sixteen(tmp_path, dataset, invariant, joined, fallback):
    """A dataset needs an Invariant key, in its own header or beside the provider's; without one, two keys in one header are
    the provider's affair. Gemini's key may stand in the fallback header."""
    key = PROVIDER_KEY["gemini"]
    value = f"{key};invariant-auth={INV}" if invariant and joined else key
    headers = f"{'authorization' if fallback else 'x-goog-api-key'}: {value}\r\n"
    if invariant and not joined:
        headers += f"invariant-authorization: Bearer {INV}\r\n"
    async with scene(tmp_path) as s:
        s.up.answers = [served("gemini")]
        got = await ask(s, "gemini", dataset=DATASET if dataset else "", headers=headers)
        if dataset and not invariant:
            assert (got.status, got.json) == (400, {"detail": "Missing invariant api key"})
            assert not s.up.requests
            return
        assert got.status == 200, got.body
        sent, head = went(s, "gemini")
        assert sent == (value if not dataset else key)
        assert "invariant-authorization" not in head
        if dataset:
            assert INV not in head
            assert s.explorer.asked[0].headers["authorization"] == f"Bearer {INV}"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("separator", [";invariant-auth=", "|invariant-auth: "])
async def test_both_separators_part_two_keys(tmp_path, dialect, separator):
    """The one of today, and that of the first versions."""
    async with scene(tmp_path) as s:
        s.up.answers = [served(dialect)]
        value = PROVIDER_KEY[dialect] + separator + INV
        bearer = "Bearer " if dialect == "openai_chat" else ""
        got = await ask(s, dialect, headers=f"{KEY_HEADER[dialect]}: {bearer}{value}\r\n")
        assert got.status == 200, got.body
        assert went(s, dialect)[0] == bearer + PROVIDER_KEY[dialect]


@pytest.mark.parametrize(
    ("dialect", "headers", "text"),
    [
        ("openai_chat", "", "Missing authorization header"),
        ("openai_chat", f"invariant-authorization: Bearer {INV}\r\n", "Missing authorization header"),
        ("anthropic", "", "Missing Anthropic authorization header"),
        ("anthropic", "authorization: Bearer sk-ant-x\r\n", "Missing invariant api key"),
        ("gemini", "", "Missing LLM Provider API Key"),
        ("openai_chat", "authorization: Bearer sk-x\r\n", "Missing invariant api key"),
        ("anthropic", "x-api-key: sk-ant-x\r\n", "Missing invariant api key"),
        ("gemini", "x-goog-api-key: AIza\r\n", "Missing invariant api key"),
        ("openai_chat", "authorization: Bearer sk-x;invariant-auth=\r\n", "Invalid API Key format"),
        ("anthropic", "x-api-key: ;invariant-auth=inv\r\n", "Invalid API Key format"),
        ("gemini", "x-goog-api-key: a;invariant-auth=b;invariant-auth=c\r\n", "Invalid API Key format"),
        ("anthropic", "x-api-key: a|invariant-auth: \r\n", "Invalid API Key format"),
    ],
)
async def test_the_fixed_words_of_400(tmp_path, dialect, headers, text):
    """In the document that Invariant's gateway tells them in."""
    async with scene(tmp_path) as s:
        got = await ask(s, dialect, headers=headers)
        assert (got.status, got.json) == (400, {"detail": text})
        assert not s.up.requests


async def test_bytes_pass_both_ways(tmp_path):
    """What the reference parses and writes anew goes through as it is."""
    odd = b'{ "model":"m",  "messages":[{"role":"user","content":"h\\u00e9"}],\n "x_unknown": [1.0, 1e3] }'
    told = b'{"id":"1","object":"chat.completion","created":1,"model":"m", "choices":[ {"index":0,"message":{"role":"assistant","content":"\\u00fc"},"finish_reason":"stop"}] }'
    async with scene(tmp_path) as s:
        s.up.answers = [[answer(told)]]
        got = await call(s.port, path_of("openai_chat", dataset=""), odd, headers=key_lines("openai_chat"))
        assert got.body == told
        assert s.up.body() == odd


async def test_which_headers_go_on(tmp_path):
    """All that are the provider's business; Invariant's, the gateway's, proxies' and cookies are not."""
    more = {
        "openai-organization": "org-1", "x-stainless-lang": "python", "user-agent": "OpenAI/Python", "x-custom": "1",
        "cookie": "a=b", "x-forwarded-for": "10.0.0.1", "x-real-ip": "10.0.0.1", "invariant-guardrails": 'raise "x" if:\\n    (msg: Message)\\n    "x" in msg.content', "x-hop": "1",
        "connection": "keep-alive, x-hop", "accept-encoding": "br", "x-gatewright-session": "s", "x-api-key": "other",
    }  # fmt: skip
    async with scene(tmp_path) as s:
        s.up.answers = [served("openai_chat")]
        assert (await ask(s, "openai_chat", headers=key_lines("openai_chat", **more))).status == 200
        head = went(s, "openai_chat")[1].lower()
        for line in ("openai-organization: org-1", "x-stainless-lang: python", "user-agent: openai/python", "x-custom: 1"):
            assert head.count(line) == 1, head
        assert head.count("user-agent") == 1
        assert head.count("accept-encoding: identity") == 1
        assert head.count("accept-encoding") == 1
        for name in ("cookie", "x-forwarded", "x-real-ip", "invariant", "x-hop", "x-gatewright", "x-api-key"):
            assert name not in head


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_who_may_call_must_be_said(tmp_path, dialect):
    """Unless the operator opens the paths, a key of the gateway is asked for: beside the provider's, or as the Invariant key."""
    async with scene(tmp_path, open=False) as s:
        s.up.answers = [served(dialect)]
        refused = await ask(s, dialect)
        assert refused.status == 401
        assert b"x-gatewright-key" in refused.body
        wrong = await ask(s, dialect, headers=key_lines(dialect, x_gatewright_key="gw-wrong"))
        assert wrong.status == 401
        assert not s.up.requests
        assert not s.explorer.asked
        assert (await ask(s, dialect, headers=key_lines(dialect, x_gatewright_key=KEY))).status == 200
        assert KEY not in went(s, dialect)[1]
        for joined in (True, False):
            got = await ask(s, dialect, dataset="", headers=key_lines(dialect, invariant=KEY, joined=joined))
            assert got.status == 200, got.body
            assert KEY not in went(s, dialect)[1]


async def test_a_key_of_the_gateway_reaches_neither_provider_nor_explorer(tmp_path):
    """Wherever it stands; who is known by it pushes with the operator's Invariant key."""
    async with scene(tmp_path, key=INV) as s:
        s.up.answers = [served("openai_chat")]
        as_provider = await ask(s, "openai_chat", headers=key_lines("openai_chat", key=KEY))
        assert as_provider.status == 401
        assert not s.up.requests
        got = await ask(s, "openai_chat", headers=key_lines("openai_chat", invariant=KEY))
        assert got.status == 200
        await s.explorer.trace()
        beside = await ask(s, "openai_chat", headers=key_lines("openai_chat", invariant="", x_gatewright_key=KEY))
        assert beside.status == 200
        await s.explorer.trace(2)
        for asked in s.explorer.asked:
            assert asked.headers["authorization"] == f"Bearer {INV}"
        assert not any(KEY in str(asked.headers) for asked in s.explorer.asked)


async def test_the_operators_invariant_key_is_not_for_strangers(tmp_path):
    """Who is let in without a key of the gateway brings his own, or names no dataset."""
    async with scene(tmp_path, key=INV) as s:
        got = await ask(s, "openai_chat", headers=key_lines("openai_chat", invariant=""))
        assert got.json == {"detail": "Missing invariant api key"}
        assert not s.explorer.asked


async def test_nothing_of_it_is_there_unless_it_is_asked_for(tmp_path):
    """Off by default: the paths lead nowhere, whatever the environment has."""
    environ = {"INVARIANT_API_KEY": INV, "INVARIANT_API_URL": "http://127.0.0.1:1"}
    async with scene(tmp_path, enabled=False, environ=environ) as s:
        for dialect in DIALECTS:
            got = await call(s.port, path_of(dialect), b"{}", headers=f"authorization: Bearer {KEY}\r\n")
            assert got.status == 404, dialect
        assert not any(name.startswith("invariant") for name in s.gw.house.current.endpoints)


async def test_health_preflight_and_unknown_methods(tmp_path):
    """What Invariant's gateway answers by itself."""
    async with scene(tmp_path) as s:
        health = await call(s.port, "/api/v1/gateway/health", b"", method="GET", headers="")
        assert json.loads(health.body) == {"message": "Hello from Invariant v1/gateway"}
        for path, verb in (("openai/chat/completions", "POST"), (f"{DATASET}/openai/models", "GET")):
            got = await call(s.port, f"/api/v1/gateway/{path}", b"", method="OPTIONS", headers="origin: https://app.example\r\n")
            assert got.status == 204
            assert got.headers["access-control-allow-origin"] == "https://app.example"
            assert got.headers["access-control-allow-methods"] == f"{verb}, OPTIONS"
            assert got.headers["access-control-allow-headers"] == "Authorization, Content-Type"
            assert got.headers["access-control-max-age"] == "86400"
        bare = await call(s.port, "/api/v1/gateway/openai/models", b"", method="OPTIONS", headers="")
        assert bare.headers["access-control-allow-origin"] == "*"
        got = await call(s.port, "/api/v1/gateway/gemini/v1beta/models/m:countTokens", b"{}", headers=key_lines("gemini"))
        assert got.status == 400
        assert got.body == b"Invalid endpoint - only generateContent and streamGenerateContent supported"
        for path in (
            "",
            "nowhere",
            "openai/embeddings",
            "a/b/openai/chat/completions",
            "../openai/models",
            "x/anthropic/v1/complete",
        ):
            got = await call(s.port, f"/api/v1/gateway/{path}", b"{}", headers=key_lines("openai_chat", x_gatewright_key=KEY))
            assert got.status == 404, path


@pytest.mark.parametrize("dataset", ["", DATASET])
async def test_the_list_of_models_is_the_providers_own(tmp_path, dataset):
    """Bytes and status as they come."""
    listed = b'{"object":"list", "data":[{"id":"gpt-4o","object":"model"}]}'
    async with scene(tmp_path) as s:
        s.up.answers = [[answer(listed)], [answer(b'{"error":{"message":"no","type":"t","param":null,"code":null}}', status=401)]]
        path = "/api/v1/gateway/" + (f"{dataset}/" if dataset else "") + "openai/models"
        got = await call(s.port, path, b"", method="GET", headers=key_lines("openai_chat"))
        assert (got.status, got.body) == (200, listed)
        assert s.up.head().startswith(b"GET /v1/models HTTP/1.1")
        assert went(s, "openai_chat")[0] == "Bearer sk-clients-own"
        assert (await call(s.port, path, b"", method="GET", headers=key_lines("openai_chat"))).status == 401
        missing = await call(s.port, path, b"", method="GET", headers="")
        assert json.loads(missing.body) == {"detail": "Missing authorization header"}


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
async def test_gemini_is_called_in_the_version_that_the_path_names(tmp_path, version):
    """And by the method, with its framing."""
    async with scene(tmp_path) as s:
        s.up.answers = [served("gemini")]
        for method in ("generateContent", "streamGenerateContent?alt=sse"):
            s.up.answers = [served("gemini", stream=method != "generateContent")]
            path = f"/api/v1/gateway/{DATASET}/gemini/{version}/models/gemini-2.0-flash:{method}"
            got = await call(s.port, path, json.dumps(asking("gemini")).encode(), headers=key_lines("gemini"))
            assert got.status == 200, got.body
            asked = f"POST /{version}/models/gemini-2.0-flash:{method} HTTP/1.1"
            assert s.up.head().decode().startswith(asked)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_upstreams_404_comes_as_the_upstream_tells_it(tmp_path, dialect, stream):
    """Whole, with its status, though a stream was asked for; where the reference wraps it or breaks the connection."""
    error = {"message": "no such model", "type": "not_found_error", "code": 404, "status": "NOT_FOUND"}
    told = json.dumps({"type": "error", "error": error} if dialect == "anthropic" else {"error": error})
    async with scene(tmp_path) as s:
        s.up.answers = [[answer(told.encode(), status=404)]]
        got = await ask(s, dialect, stream=stream)
        assert (got.status, got.body) == (404, told.encode())


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_it_is_an_exchange_like_any_other(tmp_path, dialect):
    """Counted for whoever called, under the provider that was made for the path; and held to the limits of the gateway."""
    async with scene(tmp_path, more="limits: [{requests: 2, per: hour}]") as s:
        s.up.answers = [served(dialect)]
        for _ in range(2):
            assert (await ask(s, dialect, dataset="")).status == 200
        over = await ask(s, dialect, dataset="")
        assert over.status == 429
        assert tallies(s.gw)["invariant/open", f"invariant-{VENDOR[dialect]}/m"].requests == 2
