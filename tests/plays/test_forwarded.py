"""Endpoints that are passed on as they are: to a provider that has them, under its credential, for keys that may."""

import json

import pytest

from tests.plays.forwarding import KEYS, NARROW, OK, config
from tests.plays.scene import get, message_of, send, tallies
from tests.serving import KEY, answer, call, gateway, upstream

JSON_PATHS = (
    "embeddings",
    "images/generations",
    "moderations",
    "rerank",
    "completions",
    "audio/speech",
    "videos",
    "brand/new/thing",
)


@pytest.mark.parametrize("path", JSON_PATHS)
async def test_json_goes_on_with_only_its_model_renamed(tmp_path, path):
    """Numbers keep their spelling, unknown fields stay, the alias becomes the provider's name for it."""
    body = b'{"model": "quick", "input": "x", "price": 1.10, "extra": {"b":1,"a":2}}'
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        up.answers = [[answer(OK)]]
        got = await send(gw, f"/v1/{path}", body)
        assert (got.status, got.body) == (200, OK)
        assert b'"price":1.10' in up.body()
        assert b'{"b":1,"a":2}' in up.body()
        assert json.loads(up.body()) == {**json.loads(body), "model": "real-model"}
        assert up.head().startswith(f"POST /v1/{path} HTTP/1.1".encode())
        tally = tallies(gw)["test", "up/real-model"]
        assert (tally.requests, tally.input_tokens, tally.unknown) == (1, 8, 0)


async def test_credentials_are_replaced_and_hop_by_hop_headers_stay_here(tmp_path):
    """The provider sees its own key and what describes the body; nothing else of the client's."""
    headers = (
        "connection: keep-alive, x-secret\r\nx-secret: 1\r\nkeep-alive: 5\r\nte: trailers\r\nproxy-authorization: Basic eA==\r\n"
        "x-forwarded-for: 10.0.0.1\r\ncookie: session=1\r\nx-api-key: other\r\nopenai-beta: assistants=v2\r\n"
    )
    reply = (
        "x-ratelimit-remaining-requests: 9\r\nset-cookie: a=b\r\nx-request-id: up-1\r\nkeep-alive: timeout=5\r\nserver: them\r\n"
    )
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        up.answers = [[answer(OK, headers=reply)]]
        got = await send(gw, f"/v1/embeddings?key={KEY}&user=me&tag=a&tag=b", {"model": "fast", "input": "x"}, headers=headers)
        head = up.head().lower()
        assert b"authorization: bearer sk-upstream\r\n" in head + b"\r\n"
        for word in (
            b"x-secret",
            b"keep-alive: 5",
            b"te:",
            b"proxy-authorization",
            b"x-forwarded",
            b"cookie",
            b"x-api-key",
            KEY.encode(),
        ):
            assert word not in head
        assert b"openai-beta: assistants=v2" in head
        assert head.startswith(b"post /v1/embeddings?user=me&tag=a&tag=b http/1.1\r\n")
        assert got.headers["x-ratelimit-remaining-requests"] == "9"
        assert got.headers["x-gatewright-upstream-request-id"] == "up-1"
        assert not {"set-cookie", "keep-alive", "server"} & set(got.headers)


@pytest.mark.parametrize(
    "where", ["/v1/messages?beta=true", "/v1/embeddings", "/v1beta/models/google/g:countTokens", "/v1beta/files"]
)
async def test_the_key_in_a_query_stays_here(tmp_path, where):
    """Whichever endpoint it was sent to."""
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        up.answers = [[answer(b'{"totalTokens": 1}')]]
        body = {
            "model": "claude/x" if "messages" in where else "fast",
            "max_tokens": 1,
            "messages": [{"role": "user", "content": "x"}],
            "contents": [],
        }
        path = where + ("&" if "?" in where else "?") + f"key={KEY}"
        await call(
            gw.port,
            path,
            b"" if "files" in where else json.dumps(body).encode(),
            method="GET" if "files" in where else "POST",
            headers="",
        )
        assert up.requests
        assert not any(KEY.encode() in request for request in up.requests)


@pytest.mark.parametrize("action", ["embedContent", "batchEmbedContents"])
async def test_gemini_embeddings_name_one_model_everywhere(tmp_path, action):
    """Google refuses a batch whose requests name another model than its path."""
    one = {"content": {"parts": [{"text": "x"}]}, "outputDimensionality": 8}
    body = (
        {"model": "models/embed", **one}
        if action == "embedContent"
        else {"requests": [{"model": "models/embed", **one}, {"model": "models/embed", **one}]}
    )
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        up.answers = [[answer(b'{"embedding": {"values": [0.1]}}')]]
        got = await send(gw, f"/v1beta/models/embed:{action}", body)
        assert got.status == 200
        assert up.head().startswith(f"POST /v1beta/models/gemini-embedding-001:{action} HTTP/1.1".encode())
        assert b"models/embed" not in up.body()
        assert json.loads(up.body()) == json.loads(json.dumps(body).replace("models/embed", "models/gemini-embedding-001"))
        assert tallies(gw)["test", "google/gemini-embedding-001"].requests == 1


BOUNDARY = "x9f"
FILE = b'RIFF\x00\xff\r\n--x9\r\ncontent-disposition: form-data; name="model"\r\n\r\nnot-this\r\n'


def form(*parts: tuple[str, bytes]) -> bytes:
    told = b"".join(
        b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (BOUNDARY.encode(), n.encode(), v) for n, v in parts
    )
    return told + b"--%b--\r\n" % BOUNDARY.encode()


async def post_form(
    gw, path: str, body: bytes, *, key: str = KEY, content_type: str = f"multipart/form-data; boundary={BOUNDARY}"
):
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    got = await call(gw.port, path, b"", raw=head.encode() + body)
    got.json = json.loads(got.body) if got.body.startswith(b"{") else None
    return got


async def test_a_form_goes_on_with_only_its_model_renamed(tmp_path):
    """A file may hold anything, even what looks like a field: it is not read, and stays byte for byte."""
    parts = [('name="file"; filename="a.wav"', FILE), ('name="model"', b"quick"), ('name="language"', b"de")]
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        up.answers = [
            [answer(b'{"text": "hi", "usage": {"type": "tokens", "input_tokens": 7, "output_tokens": 2, "total_tokens": 9}}')]
        ]
        got = await post_form(gw, "/v1/audio/transcriptions", form(*parts))
        assert got.status == 200
        parts[1] = ('name="model"', b"real-model")
        assert up.body() == form(*parts)
        assert f"content-type: multipart/form-data; boundary={BOUNDARY}".encode() in up.head()
        tally = tallies(gw)["test", "up/real-model"]
        assert (tally.input_tokens, tally.output_tokens) == (7, 2)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (form(('name="model"', b"fast"), ('name="model"', b"up/forbidden")), f"multipart/form-data; boundary={BOUNDARY}"),
        (form(('name="model"', b"fast")), "multipart/form-data"),
        (form(('name="model"', b"fast"))[:-8], f"multipart/form-data; boundary={BOUNDARY}"),
        (form(('name="model"', b"fast")), "Multipart/Form-Data; boundary=other"),
        (form(('name="file"', FILE), ('name="model"', b"up/forbidden")), f"multipart/form-data; boundary={BOUNDARY}"),
        (form(('name="file"; filename="x"', b"x"), ("name=model", b"up/forbidden")), f"MULTIPART/form-data; boundary={BOUNDARY}"),
    ],
    ids=["two models", "no boundary", "cut", "other boundary", "hidden behind a file", "unquoted name"],
)
async def test_a_form_cannot_smuggle_a_model_past_the_key(tmp_path, body, content_type):
    """What the provider might read otherwise than we do is refused before it is sent."""
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        up.answers = [[answer(OK)]]
        got = await post_form(gw, "/v1/audio/transcriptions", body, key=NARROW, content_type=content_type)
        assert got.status in (400, 403)
        assert up.requests == []


@pytest.mark.parametrize(
    "path", ["embeddings", "images/generations", "moderations", "rerank", "completions", "audio/speech", "batches", "brand/new"]
)
async def test_a_keys_models_hold_on_every_endpoint(tmp_path, path):
    """Forwarded or not: what a key may not ask for it does not get, by any of a model's names."""
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        up.answers = [[answer(OK)]]
        for allowed in ("fast", "quick", "up/allowed-1"):
            assert (await send(gw, f"/v1/{path}", {"model": allowed}, key=NARROW)).status == 200
        seen = len(up.requests)
        for path_asked, model in (
            (f"/v1/{path}", "up/forbidden"),
            (f"/v1/{path}", "up/real-model"),
            (f"/up/v1/{path}", "fast"),
            (f"/up/v1/{path}", "forbidden"),
        ):
            got = await send(gw, path_asked, {"model": model}, key=NARROW)
            assert (got.status, got.json["error"]["code"]) == (403, "model_not_allowed"), (path_asked, model)
        assert len(up.requests) == seen
        assert (await send(gw, f"/up/v1/{path}", {"model": "allowed-2"}, key=NARROW)).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/files"),
        ("POST", "/v1/batches"),
        ("GET", "/v1/files/file-1/content"),
        ("DELETE", "/v1/vector_stores/vs_1"),
        ("POST", "/up/v1/responses/compact"),
    ],
)
async def test_what_names_no_model_needs_a_key_for_all_of_them(tmp_path, method, path):
    """A batch file holds any models: a narrow key would be a wide one."""
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        up.answers = [[answer(OK)]]
        got = await send(gw, path, {} if method == "POST" else None, method=method, key=NARROW)
        assert (got.status, got.json["error"]["code"]) == (403, "model_not_allowed")
        assert up.requests == []
        got = await send(gw, path, {} if method == "POST" else None, method=method)
        assert (got.status, up.head().split(b" ")[0]) == (200, method.encode())


async def test_files_go_to_the_api_whose_client_asks(tmp_path):
    """/v1/files is OpenAI's and Anthropic's; the SDK's own header tells, /v1beta/files is Google's."""
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        up.answers = [[answer(OK)]]
        await get(gw, "/v1/files")
        assert b"bearer sk-upstream" in up.head().lower()
        await get(gw, "/v1/files", headers="anthropic-version: 2023-06-01\r\nanthropic-beta: files-api-2025-04-14\r\n")
        assert b"x-api-key: sk-ant" in up.head().lower()
        assert b"anthropic-beta: files-api-2025-04-14" in up.head()
        await get(gw, "/v1/messages/batches")
        assert b"x-api-key: sk-ant" in up.head().lower()
        await get(gw, "/v1beta/files")
        assert b"x-goog-api-key: aiza" in up.head().lower()
        assert up.head().startswith(b"GET /v1beta/files ")


async def test_each_only_to_a_provider_that_has_it(tmp_path):
    """An API that has no such endpoint is never asked; the error says who was meant, in the client's words."""
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        got = await send(gw, "/v1/embeddings", {"model": "claude/claude-x", "input": "x"})
        assert got.status == 404
        assert "claude" in message_of("openai_chat", got.json)
        got = await send(gw, "/v1/embeddings", {"model": "embed", "input": "x"})  # Google's are not OpenAI's
        assert got.status == 404
        got = await send(gw, "/v1beta/models/fast:embedContent", {"content": {}})
        assert got.status == 404
        assert message_of("gemini", got.json)
        got = await send(gw, "/claude/v1/images/generations", {"prompt": "x"})
        assert got.status == 404
        got = await send(gw, "/v1/embeddings", {"model": "fest", "input": "x"})
        assert got.status == 404
        assert "fast" in message_of("openai_chat", got.json)
        assert up.requests == []


async def test_two_that_have_it_must_be_told_apart(tmp_path):
    """Without a model the client says which by path; the error says how."""
    async with upstream() as up:
        two = f'providers: {{one: {{kind: openai, base_url: "http://127.0.0.1:{up.port}/v1", api_key: sk-1}}, two: {{kind: openai, base_url: "http://127.0.0.1:{up.port}/v1", api_key: sk-2}}}}'
        async with gateway(two, tmp_path) as gw:
            up.answers = [[answer(OK)]]
            got = await get(gw, "/v1/files")
            assert got.status == 400
            assert "/one/v1/files" in got.json["error"]["message"]
            assert (await get(gw, "/two/v1/files")).status == 200
            assert b"bearer sk-2" in up.head().lower()


@pytest.mark.parametrize(
    ("path", "dialect"), [("/v1/embeddings", "openai_chat"), ("/v1beta/models/embed:embedContent", "gemini")]
)
async def test_errors_come_in_the_clients_words(tmp_path, path, dialect):
    """The provider's own error where it is one; its status, its retry-after; never its credential."""
    ours = {
        "openai_chat": {"error": {"message": "sk-upstream is slow", "type": "rate_limit", "param": None, "code": None}},
        "gemini": {"error": {"code": 429, "message": "AIza is slow", "status": "RESOURCE_EXHAUSTED"}},
    }[dialect]
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        up.answers = [
            [answer(json.dumps(ours).encode(), status=429, headers="retry-after: 7\r\n")],
            [answer(b"<html>bad gateway</html>", status=502, content_type="text/html")],
            [None],
        ]
        body = {"model": "fast", "input": "x"}
        got = await send(gw, path, body)
        assert (got.status, got.headers["retry-after"]) == (429, "7")
        assert message_of(dialect, got.json) == "*** is slow"
        got = await send(gw, path, body)
        assert got.status == 502
        assert message_of(dialect, got.json)
        assert b"<html>" not in got.body.split(b'"message"')[0]
        got = await send(gw, path, body)
        assert got.status == 502
        assert message_of(dialect, got.json)
        assert sum(t.errors for t in tallies(gw).values()) == 3


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/../../admin",
        "/v1/files/..%2f..%2fadmin",
        "/up/v1/%2e%2e/secret",
        "/v1beta/../x",
        "/v1//files",
        "/v1/files\\..\\x",
    ],
)
async def test_a_path_cannot_climb_out_of_its_place(tmp_path, path):
    """The provider never sees another path than the one that was checked."""
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        assert (await get(gw, path)).status == 404
        assert (await send(gw, "/v1beta/models/google/../../v1beta/files:embedContent", {})).status == 404
        assert (await send(gw, "/v1beta/models/google%2F..%2Fx:generateContent", {"contents": []})).status == 404
        assert up.requests == []
