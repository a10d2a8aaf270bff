"""HTTP around the calls: silence, ids, methods and encodings, the same for every dialect."""

import asyncio
import gzip
import json

import pytest

from gatewright.server import sweep
from tests.plays.scene import DIALECTS, ask, asking, events, frames, get, message_of, path_of, providers, send, served
from tests.serving import END, KEY, answer, call, chunk, gateway, read_answer, stream_head, upstream


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_silence_is_broken_in_every_dialect(tmp_path, monkeypatch, dialect, client):
    """Before the head and between events: comments, or the dialect's own ping; the answer itself stays what it was."""
    monkeypatch.setattr(sweep, "TICK_S", 0.02)
    async with upstream() as up, gateway(providers(up.port), tmp_path, keepalive_s=0.05) as gw:
        beginning, content, end = frames(dialect)
        up.answers = [served(dialect, stream=True), [0.25, stream_head(), chunk(beginning + content), 0.25, chunk(end), END]]
        plain = await ask(gw, client, f"to-{dialect}", stream=True)
        slow = await ask(gw, client, f"to-{dialect}", stream=True)
        assert slow.status == 200
        assert slow.headers["content-type"].startswith("text/event-stream")
        before, _, after = slow.body.partition(b"hello")
        for silence in (before, after):
            if client == "gemini":  # Google's own SDKs take a comment for JSON; blank lines they skip
                assert b"\n:" not in silence
                assert b"\r\n\r\n\r\n" in silence or silence.startswith(b"\r\n")
            else:
                assert silence.count(b"\n:") + silence.startswith(b":") + silence.count(b"event: ping") >= 1
        told = [e for e in events(slow.body) if e.get("type") != "ping"]
        kinds = [sorted(e) for e in told]
        assert kinds == [sorted(e) for e in events(plain.body)]
        if client == "anthropic":
            assert b"event: ping" in after


@pytest.mark.parametrize("client", DIALECTS)
async def test_a_refusal_after_the_head_is_an_error_event(tmp_path, monkeypatch, client):
    """When keep-alives have begun the stream, what the provider then refuses can only be told inside it."""
    monkeypatch.setattr(sweep, "TICK_S", 0.02)
    async with upstream() as up, gateway(providers(up.port), tmp_path, keepalive_s=0.05) as gw:
        error = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
        up.answers = [[0.25, answer(json.dumps(error).encode(), status=429)]]
        got = await ask(gw, client, "to-anthropic", stream=True)
        assert (got.status, got.broken) == (200, False)
        (told,) = [e for e in events(got.body) if e.get("type") != "ping"]
        assert "slow down" in json.dumps(told)


async def test_a_json_array_has_no_room_for_keep_alives(tmp_path, monkeypatch):
    """Gemini without `alt=sse` is one JSON document: it stays one, however slow."""
    monkeypatch.setattr(sweep, "TICK_S", 0.02)
    async with upstream() as up, gateway(providers(up.port), tmp_path, keepalive_s=0.05) as gw:
        beginning, content, end = frames("anthropic")
        up.answers = [[0.15, stream_head(), chunk(beginning + content), 0.15, chunk(end), END]]
        got = await send(gw, "/v1beta/models/to-anthropic:streamGenerateContent", asking("gemini", ""))
        assert got.headers["content-type"].startswith("application/json")
        assert "".join(p.get("text", "") for c in got.json for p in c["candidates"][0]["content"].get("parts", ())) == "hello"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_answer_has_an_id_of_its_own(tmp_path, dialect):
    """Whole, streamed or an error; the provider's own id under another name; nothing a client sends is taken for it."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        head = "x-request-id: theirs\r\n"
        up.answers = [
            [answer(served(dialect)[0].partition(b"\r\n\r\n")[2], headers=head)],
            [stream_head(head), *served(dialect, stream=True)[1:]],
            [answer(b'{"error": {"message": "no"}}', status=400, headers=head)],
        ]
        ids = []
        for stream in (False, True, False):
            got = await send(
                gw,
                path_of(dialect, f"to-{dialect}", stream=stream),
                asking(dialect, f"to-{dialect}", stream=stream),
                headers="x-request-id: mine\r\n",
            )
            assert got.headers["x-request-id"] == got.headers["request-id"]
            ids.append(got.headers["x-request-id"])
            if got.status == 200:
                assert got.headers["x-gatewright-upstream-request-id"] == "theirs"
        ids.append((await ask(gw, dialect, "nobody")).headers["x-request-id"])
        ids.append((await ask(gw, dialect, "nobody", key="wrong")).headers["x-request-id"])
        assert len(set(ids)) == 5
        assert all(i.startswith("req_") for i in ids)


async def test_an_anthropic_error_names_its_request(tmp_path):
    """`request_id` in the document is the one in the head."""
    async with gateway(providers(1), tmp_path) as gw:
        for got in (await ask(gw, "anthropic", "nobody"), await ask(gw, "anthropic", "to-anthropic")):
            assert got.json["request_id"] == got.headers["request-id"]


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "GZIP, identity"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_compressed_body_is_refused_in_words(tmp_path, dialect, coding):
    """Bodies are read as they are: a 415 that says so, not a riddle about malformed JSON; nothing is unpacked."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        body = gzip.compress(json.dumps(asking(dialect, f"to-{dialect}")).encode())
        got = await send(gw, path_of(dialect, f"to-{dialect}"), body, headers=f"content-encoding: {coding}\r\n")
        assert got.status == 415
        assert "content-encoding" in message_of(dialect, got.json)
        assert (await send(gw, "/v1/embeddings", body, headers=f"content-encoding: {coding}\r\n")).status == 415
        assert up.requests == []
        up.answers = [served(dialect)]
        plain = await send(
            gw, path_of(dialect, f"to-{dialect}"), asking(dialect, f"to-{dialect}"), headers="content-encoding: identity\r\n"
        )
        assert plain.status == 200


async def test_answers_are_never_compressed(tmp_path):
    """Whatever a client accepts: compressing would hold back events; the provider is asked for none either."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [served("openai_chat"), served("openai_chat", stream=True)]
        for stream in (False, True):
            got = await send(
                gw,
                "/v1/chat/completions",
                asking("openai_chat", "to-openai_chat", stream=stream),
                headers="accept-encoding: gzip, br, zstd\r\n",
            )
            assert "content-encoding" not in got.headers
            assert b"hello" in got.body
            assert b"accept-encoding: identity" in up.head().lower()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/chat/completions",
        "/v1/messages",
        "/v1beta/models/to-gemini:generateContent",
        "/v1/embeddings",
        "/v1/models",
        "/v1/brand/new",
    ],
)
@pytest.mark.parametrize("key", [KEY, "wrong", None])
async def test_no_other_sites_page_is_let_in(tmp_path, path, key):
    """A preflight gets no CORS headers, with or without a key, and no provider ever sees one."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        headers = "origin: https://evil.example\r\naccess-control-request-method: POST\r\naccess-control-request-headers: authorization\r\n"
        headers += f"authorization: Bearer {key}\r\n" if key else ""
        for method in ("OPTIONS", "TRACE"):
            got = await call(gw.port, path, b"", method=method, headers=headers)
            assert 400 <= got.status < 500
            assert not any(name.startswith("access-control-") for name in got.headers)
        assert up.requests == []
        up.answers = [served("openai_chat")]
        got = await send(
            gw, "/v1/chat/completions", asking("openai_chat", "to-openai_chat"), headers="origin: https://evil.example\r\n"
        )
        assert not any(name.startswith("access-control-") for name in got.headers)


@pytest.mark.parametrize(
    "path", ["/", "/health", "/ready", "/v1/models", "/api/hello", "/v1/chat/completions", "/v1/embeddings", "/v1/files"]
)
async def test_head_has_no_body_and_asks_no_provider(tmp_path, path):
    """The connection goes on: the next answer on it is read as itself."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(
            f"HEAD {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\nGET /health HTTP/1.1\r\nhost: x\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 ")
        assert (await read_answer(reader)).body == b'{"status":"ok"}'
        writer.close()
        assert up.requests == []


async def test_health_needs_no_key_and_everything_else_does(tmp_path):
    """Deny by default: whatever the path, whatever the method, no key is a 401 in the caller's words."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        for path in ("/", "/health", "/ready"):
            assert (await call(gw.port, path, b"", method="GET", headers="")).status == 200
        for method, path in (
            ("GET", "/v1/models"), ("GET", "/v1beta/models"), ("GET", "/v1/models/x"), ("POST", "/v1/chat/completions"), ("POST", "/v1/responses"),
            ("GET", "/v1/responses/resp_1"), ("DELETE", "/v1/responses/resp_1"), ("POST", "/v1/responses/resp_1/cancel"), ("POST", "/v1/messages"),
            ("POST", "/v1/messages/count_tokens"), ("POST", "/v1beta/models/m:generateContent"), ("POST", "/v1beta/models/m:countTokens"),
            ("POST", "/v1/embeddings"), ("GET", "/v1/files"), ("POST", "/v1/brand/new"), ("POST", "/talk/v1/chat/completions"), ("GET", "/admin"), ("GET", "/nothing"),
        ):  # fmt: skip
            for headers in (
                "",
                "authorization: Bearer \r\n",
                "authorization: Basic eDp5\r\n",
                f"authorization: Bearer {KEY[:-1]}\r\n",
                f"authorization: Bearer {KEY}x\r\n",
            ):
                got = await call(gw.port, path, b"{}" if method == "POST" else b"", method=method, headers=headers)
                assert got.status == 401, (method, path, headers)
        assert up.requests == []


async def test_neither_host_nor_forwarded_headers_open_anything(tmp_path):
    """Nothing is trusted that a client can write."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        lies = "host: localhost\r\nx-forwarded-for: 127.0.0.1\r\nx-real-ip: 127.0.0.1\r\nx-original-url: /health\r\nx-forwarded-prefix: /health\r\n"
        assert (await call(gw.port, "/v1/models", b"", method="GET", headers=lies)).status == 401
        assert (await get(gw, "/v1/chat/completions/../models")).status == 404
        assert up.requests == []
