"""Names of models: what clients may call them, who may ask for which, and what is said of one that nobody serves."""

import json
from urllib.parse import quote

import pytest

from tests.plays.scene import DIALECTS, ask, get, message_of, path_of, send, whole
from tests.serving import KEY, answer, call, gateway, upstream

NARROW = "gw-narrow-key"
KEYS = f'{{name: narrow, key: {NARROW}, models: ["fast", "wild-*", "up/allowed"]}}'


def config(port: int) -> str:
    base = f"http://127.0.0.1:{port}"
    return f"""
providers:
  up: {{kind: openai, base_url: "{base}/v1", dialects: [openai_chat], api_key: sk-up}}
  claude: {{kind: anthropic, base_url: "{base}", api_key: sk-ant}}
models:
  fast: {{targets: [up/real]}}
  smart: {{targets: [up/bigger]}}
  "wild-*": {{targets: ["up/x-*"]}}
  "wild-card-*": {{targets: ["up/y-*"]}}
aliases: {{gpt-4o: smart, quick: fast}}
"""


@pytest.mark.parametrize(
    ("path", "asked", "sent"),
    [
        ("", "fast", "real"),
        ("", "gpt-4o", "bigger"),
        ("", "up/anything/at:all", "anything/at:all"),
        ("", "wild-7", "x-7"),
        ("", "wild-card-7", "y-7"),
        ("/up", "fast", "fast"),
        ("/up", "up/other", "other"),
    ],
)
async def test_every_way_to_name_a_model(tmp_path, path, asked, sent):
    """Configured, alias, provider/model, wildcard (the longest wins), pinned by path: the provider hears its own name for it."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(json.dumps(whole("openai_chat")).encode())]]
        body = {"model": asked, "messages": [{"role": "user", "content": "x"}]}
        got = await send(gw, f"{path}/v1/chat/completions", body)
        assert got.status == 200
        assert json.loads(up.body())["model"] == sent
        assert got.headers["x-gatewright-target"] == f"up/{sent}"
        got = await send(gw, f"{path}/chat/completions", body)  # base URLs come with and without the version
        assert got.status == 200


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_unknown_name_is_a_404_with_near_names(tmp_path, dialect, stream):
    """In the client's own words, so that its SDK raises its own NotFound."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        got = await ask(gw, dialect, "fastt", stream=stream)
        assert got.status == 404
        assert "fast" in message_of(dialect, got.json).replace("fastt", "")
        assert up.requests == []
        got = await send(gw, path_of(dialect, "up/x").replace("/v1", "/nobody/v1", 1), {"model": "up/x"})
        assert got.status == 404


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_keys_models_hold_in_every_dialect(tmp_path, dialect):
    """Globs cover the name asked for or the route; a pin does not turn a permitted name into another model."""
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        up.answers = [[answer(json.dumps(whole("openai_chat")).encode())]]
        for allowed in ("fast", "quick", "wild-1", "up/allowed"):
            assert (await ask(gw, dialect, allowed, key=NARROW)).status == 200, allowed
        seen = len(up.requests)
        for forbidden in ("smart", "gpt-4o", "up/real", "up/other"):
            got = await ask(gw, dialect, forbidden, key=NARROW)
            assert got.status == 403, forbidden
            assert message_of(dialect, got.json)
        for pinned in ("fast", "real"):
            body = {
                "model": pinned,
                "max_tokens": 9,
                "messages": [{"role": "user", "content": "x"}],
                "input": "x",
                "contents": [],
            }
            assert (await send(gw, "/up" + path_of(dialect, pinned), body, key=NARROW)).status == 403
        assert len(up.requests) == seen


OPENAI, ANTHROPIC, GOOGLE = (
    f"authorization: Bearer {KEY}\r\n",
    f"x-api-key: {KEY}\r\nanthropic-version: 2023-06-01\r\n",
    f"x-goog-api-key: {KEY}\r\n",
)
NAMES = ["fast", "gpt-4o", "quick", "smart"]


@pytest.mark.parametrize("path", ["/v1/models", "/models"])
async def test_one_list_in_three_shapes(tmp_path, path):
    """Every SDK asks at the same path; its headers tell which it is."""
    async with gateway(config(1), tmp_path) as gw:
        openai = json.loads((await call(gw.port, path, b"", method="GET", headers=OPENAI)).body)
        assert openai["object"] == "list"
        assert [m["id"] for m in openai["data"]] == NAMES
        assert all(m["object"] == "model" and isinstance(m["created"], int) and m["owned_by"] for m in openai["data"])
        anthropic = json.loads((await call(gw.port, path, b"", method="GET", headers=ANTHROPIC)).body)
        assert [m["id"] for m in anthropic["data"]] == NAMES
        assert (anthropic["first_id"], anthropic["last_id"], anthropic["has_more"]) == ("fast", "smart", False)
        assert all(m["type"] == "model" and m["display_name"] and m["created_at"] for m in anthropic["data"])
        google = json.loads((await call(gw.port, path, b"", method="GET", headers=GOOGLE)).body)
        assert [m["name"] for m in google["models"]] == [f"models/{name}" for name in NAMES]
        assert (await get(gw, "/v1beta/models")).json == google


async def test_the_list_holds_what_the_key_may_use(tmp_path):
    """And nothing else; nor does a single look-up tell that more exists."""
    async with gateway(config(1), tmp_path, keys=KEYS) as gw:
        listed = (await get(gw, "/v1/models", key=NARROW)).json
        assert [m["id"] for m in listed["data"]] == ["fast", "quick"]
        assert (await get(gw, "/v1/models/smart", key=NARROW)).status == 404
        assert (await get(gw, "/v1/models/fast", key=NARROW)).json["id"] == "fast"
        assert (await get(gw, "/v1/models", key="wrong")).status == 401


@pytest.mark.parametrize("name", ["fast", "gpt-4o", "up/llama3:8b", "up/org/model:free", "wild-9"])
async def test_one_model_can_be_looked_up(tmp_path, name):
    """By any name that would be served, colons and slashes included; unknown ones are a 404 in the client's words."""
    async with gateway(config(1), tmp_path) as gw:
        got = await get(gw, f"/v1/models/{name}")
        assert (got.status, got.json["id"]) == (200, name)
        got = json.loads((await call(gw.port, f"/v1/models/{name}", b"", method="GET", headers=ANTHROPIC)).body)
        assert (got["type"], got["id"]) == ("model", name)
        got = await get(gw, f"/v1beta/models/{name}")
        assert got.json["name"] == f"models/{name}"
        for headers, dialect in ((OPENAI, "openai_chat"), (ANTHROPIC, "anthropic"), (GOOGLE, "gemini")):
            got = await call(gw.port, "/v1/models/nobody", b"", method="GET", headers=headers)
            assert got.status == 404
            assert "nobody" in message_of(dialect, json.loads(got.body))


async def test_a_pinned_list_names_what_the_pinned_path_takes(tmp_path):
    """Under a provider's path, models go by the provider's names."""
    async with gateway(config(1), tmp_path) as gw:
        assert [m["id"] for m in (await get(gw, "/up/v1/models")).json["data"]] == ["bigger", "real"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["up/x\r\nevil: 1", "up/\x00", "up/ü☃", "up/" + "x" * 5000, "../up/x", "up/../x", "up/\ud800"])
async def test_a_name_is_never_more_than_a_name(tmp_path, dialect, name):
    """It stands in headers and paths: nothing in it can end a line or leave a place."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(json.dumps(whole("openai_chat")).encode())]]
        wire = quote(name, safe="/", errors="replace") if dialect == "gemini" else name
        got = await ask(gw, dialect, wire)
        assert got.status in (200, 400, 404)
        assert "evil" not in got.headers
        assert got.json is not None
        for request in up.requests:
            assert b"\r\nevil: 1" not in request
            assert b"/../" not in request.split(b"\r\n")[0]
