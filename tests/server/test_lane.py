"""The fast lane: whatever a client does to HTTP, the answer is clear and the cost is bounded."""

import asyncio
import json

import pytest
from tests.server.test_process import _unchunked
from tests.serving import END, KEY, answer, call, chunk, gateway, read_answer, stream_head, upstream

from gatewright.server import lane, sweep

CHAT = b'{"model": "fast", "messages": [{"role": "user", "content": "hi"}]}'
CHAT_STREAM = b'{"model": "fast", "stream": true, "stream_options": {"include_usage": true}, "messages": [{"role": "user", "content": "hi"}]}'
WHOLE = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
).encode()
DELTA = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}\n\n'
STOP = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


def config(port: int) -> str:
    return f"""
providers:
  up: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", dialects: [openai_chat], api_key: sk-upstream}}
models:
  fast: {{targets: [up/m]}}
"""


async def test_bytes_pass_with_the_model_renamed(tmp_path):
    """A call in the upstream's own dialect goes through with nothing changed but the model's name and the credential."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)]]
        got = await call(gw.port, "/v1/chat/completions", CHAT)
        assert (got.status, got.body) == (200, WHOLE)
        assert json.loads(up.body()) == {**json.loads(CHAT), "model": "m"}
        head = up.head().lower()
        assert head.startswith(b"post /v1/chat/completions http/1.1\r\n")
        assert b"authorization: bearer sk-upstream" in head
        assert KEY.encode() not in up.requests[0]
        assert got.headers["x-gatewright-target"] == "up/m"
        assert got.headers["x-request-id"].startswith("req_")


async def test_a_stream_passes_byte_for_byte(tmp_path):
    """Chunks arrive as the upstream sent them, whatever its own chunking."""
    wire = DELTA + STOP + DONE
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), *(chunk(wire[i : i + 7]) for i in range(0, len(wire), 7)), END]]
        got = await call(gw.port, "/v1/chat/completions", CHAT_STREAM)
        assert (got.status, got.body, got.broken) == (200, wire, False)
        assert got.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ("", 401, "missing_api_key"),
        ("authorization: Bearer nope\r\n", 401, "invalid_api_key"),
        (f"x-api-key: {KEY}\r\n", 200, None),
    ],
)
async def test_keys(tmp_path, headers, status, code):
    """No key and a wrong key are refused in the client's dialect; nothing reaches the upstream."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)]]
        got = await call(gw.port, "/v1/chat/completions", CHAT, headers=headers)
        assert got.status == status
        if code:
            assert json.loads(got.body)["error"]["code"] == code
            assert up.requests == []


@pytest.mark.parametrize(
    "how", [f"x-goog-api-key: {KEY}\r\n", f"api-key: {KEY}\r\n", f"x-gatewright-key: {KEY}\r\nauthorization: Bearer other\r\n"]
)
async def test_every_place_a_client_puts_its_key(tmp_path, how):
    """Each SDK has its own header."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)]]
        assert (await call(gw.port, "/v1/chat/completions", CHAT, headers=how)).status == 200


async def test_key_in_the_query(tmp_path):
    """Google's REST clients send `?key=`; it is not passed on."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)]]
        got = await call(gw.port, f"/v1/chat/completions?key={KEY}", CHAT, headers="")
        assert got.status == 200
        assert KEY.encode() not in up.requests[0]


async def raw_call(port: int, data: bytes) -> bytes:
    """Everything the server says to `data` until it closes or is silent for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    said = b""
    try:
        while piece := await asyncio.wait_for(reader.read(65536), 1.5):
            said += piece
    except (TimeoutError, ConnectionError):
        pass
    writer.close()
    return said


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd", 400),
        (b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /v1/messages HTTP/1.1\r\nhost: x\r\n" + b"".join(b"h%d: v\r\n" % i for i in range(10_000)) + b"\r\n", 431),
        (b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nbig: " + b"a" * 100_000 + b"\r\n\r\n", 431),
        (b"POST /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 414),
        (b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 104857600\r\n\r\n{", 413),
        (
            b"GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\r\n",
            426,
        ),
    ],
)
async def test_what_is_not_a_request_gets_an_error_and_a_close(tmp_path, data, status):
    """Smuggling, floods and garbage end the connection with a JSON error; the next client is served."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)]]
        said = await raw_call(gw.port, data)
        assert said.startswith(b"HTTP/1.1 %d" % status), said[:200]
        assert b"connection: close" in said
        assert isinstance(json.loads(said.partition(b"\r\n\r\n")[2]), dict)
        assert up.requests == []
        assert (await call(gw.port, "/v1/chat/completions", CHAT)).status == 200


async def test_a_chunked_body_beyond_the_limit_is_refused_while_it_comes(tmp_path):
    """The limit counts what arrives, not what was announced."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        gw.gateway.max_body_bytes = 1000
        data = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"a" * 600) * 3
        said = await raw_call(gw.port, data)
        assert said.startswith(b"HTTP/1.1 413")
        assert json.loads(said.partition(b"\r\n\r\n")[2])["error"]["type"] == "request_too_large"


async def test_pipelined_requests_are_answered_in_order(tmp_path):
    """One at a time; the second waits."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[0.05, answer(WHOLE)], [answer(WHOLE.replace(b"hello", b"again"))]]
        request = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(CHAT)}\r\n\r\n".encode()
            + CHAT
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(request * 2)
        first, second = await read_answer(reader), await read_answer(reader)
        assert b"hello" in first.body
        assert b"again" in second.body
        writer.close()


async def test_expect_continue_is_answered(tmp_path):
    """curl waits a second for it with large bodies."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)]]
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nexpect: 100-continue\r\ncontent-length: {len(CHAT)}\r\n\r\n".encode()
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        writer.write(CHAT)
        assert (await read_answer(reader)).status == 200
        writer.close()


async def test_http_1_0_gets_a_stream_that_ends_with_the_connection(tmp_path):
    """No chunked coding for a client that does not know it."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), chunk(DELTA + STOP + DONE), END]]
        request = (
            f"POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(CHAT_STREAM)}\r\n\r\n".encode()
            + CHAT_STREAM
        )
        said = await raw_call(gw.port, request)
        head, _, body = said.partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        assert body == DELTA + STOP + DONE


async def test_a_client_that_leaves_cancels_the_upstream_at_once(tmp_path):
    """Providers bill what nobody reads."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), chunk(DELTA), 60.0, END]]
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(CHAT_STREAM)}\r\n\r\n".encode()
            + CHAT_STREAM
        )
        await reader.readuntil(b"hello")
        writer.transport.abort()
        await asyncio.wait_for(up.closed.wait(), 20)


async def test_a_client_that_leaves_before_the_head_cancels_the_upstream(tmp_path):
    """Also while the upstream still thinks."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[60.0, answer(WHOLE)]]
        _, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(CHAT)}\r\n\r\n".encode()
            + CHAT
        )
        while not up.requests:
            await asyncio.sleep(0.01)
        writer.transport.abort()
        await asyncio.wait_for(up.closed.wait(), 20)


async def test_a_cut_upstream_is_an_error_event_never_a_clean_stop(tmp_path):
    """A truncated answer must not look like a short one."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), chunk(DELTA), 0.05, None]]
        got = await call(gw.port, "/v1/chat/completions", CHAT_STREAM)
        assert got.body.startswith(DELTA)
        assert b"[DONE]" not in got.body
        last = got.body.strip().rpartition(b"data: ")[2]
        assert "error" in json.loads(last)


async def test_keepalives_while_the_upstream_thinks(tmp_path, monkeypatch):
    """Before the head and between events, silence is broken by comments; the events stay whole."""
    monkeypatch.setattr(sweep, "TICK_S", 0.02)
    async with upstream() as up, gateway(config(up.port), tmp_path, keepalive_s=0.05) as gw:
        sign, thought, spoke = b": keep-alive\n\n", asyncio.Event(), asyncio.Event()
        up.answers = [[thought, stream_head(), chunk(DELTA), spoke, chunk(STOP + DONE), END]]
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(CHAT_STREAM)}\r\n\r\n"
        writer.write(head.encode() + CHAT_STREAM)
        said = b""
        async with asyncio.timeout(20):
            while said.count(chunk(sign)) < 2:
                said += await reader.read(4096)
            thought.set()
            while said.partition(chunk(DELTA))[2].count(chunk(sign)) < 2:
                said += await reader.read(4096)
            spoke.set()
            while not said.endswith(END):
                said += await reader.read(4096)
        assert said.startswith(b"HTTP/1.1 200 OK\r\n")
        assert _unchunked(said.partition(b"\r\n\r\n")[2]).replace(sign, b"") == DELTA + STOP + DONE
        writer.close()


@pytest.mark.parametrize(("seconds", "signs"), [(0.05, True), (15, False)])
async def test_the_configuration_says_how_long_a_client_waits_for_a_sign_of_life(tmp_path, monkeypatch, seconds, signs):
    """Whatever hangs up on silence between the gateway and its clients, `server.keepalive_s` comes before it."""
    monkeypatch.setattr(sweep, "TICK_S", 0.02)
    async with upstream() as up, gateway(f"server: {{keepalive_s: {seconds}}}\n{config(up.port)}", tmp_path) as gw:
        up.answers = [[stream_head(), chunk(DELTA), 0.3, chunk(STOP + DONE), END]]
        got = await call(gw.port, "/v1/chat/completions", CHAT_STREAM)
        assert (b": keep-alive\n\n" in got.body) == signs


async def test_an_error_after_an_early_head_is_an_event(tmp_path, monkeypatch):
    """When the head is out already, a refusal of the upstream can only be told inside the stream."""
    monkeypatch.setattr(sweep, "TICK_S", 0.02)
    async with upstream() as up, gateway(config(up.port), tmp_path, keepalive_s=0.05) as gw:
        up.answers = [[0.3, answer(b'{"error": {"message": "slow down", "type": "rate_limit_error"}}', status=429)]]
        got = await call(gw.port, "/v1/chat/completions", CHAT_STREAM)
        assert (got.status, got.broken) == (200, False)
        events = [line for line in got.body.split(b"\n\n") if line and not line.startswith(b":")]
        assert json.loads(events[0].removeprefix(b"data: "))["error"]["message"] == "slow down"


async def test_a_request_that_drips_is_given_up(tmp_path, monkeypatch):
    """A slow loris holds a connection for a bounded time only."""
    monkeypatch.setattr(sweep, "TICK_S", 0.02)
    monkeypatch.setattr(sweep, "REQUEST_TOTAL_S", 0.2)
    monkeypatch.setattr(lane, "LINGER_S", 0.02)
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n")
        said = b""
        for _ in range(200):
            try:
                writer.write(b"{")
                said += await asyncio.wait_for(reader.read(4096), 0.01)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if said:
                break
        assert said.startswith(b"HTTP/1.1 408")
        writer.close()


async def test_a_slow_reader_slows_the_upstream(tmp_path):
    """Back-pressure end to end: what nobody reads is not buffered here."""
    big = b"data: " + b"x" * 65_000 + b"\n\n"
    written = 0

    async def firehose(reader, writer):
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(stream_head())
        try:
            for _ in range(2000):
                writer.write(chunk(big))
                await writer.drain()
                written += len(big)
        except ConnectionError:
            pass

    server = await asyncio.start_server(firehose, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with gateway(config(port), tmp_path) as gw:
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port, limit=1 << 14)
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(CHAT_STREAM)}\r\n\r\n".encode()
            + CHAT_STREAM
        )
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.5)
        level = written
        await asyncio.sleep(0.3)
        assert written == level, "the upstream was still being read"
        assert written < 40_000_000
        writer.transport.abort()
    server.close()


async def test_head_answers_without_a_body(tmp_path):
    """Claude Code starts with HEAD; a body after it would be read as the next answer."""
    async with gateway(config(1), tmp_path) as gw:
        said = await raw_call(gw.port, b"HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 200")
        assert said.endswith(b"\r\n\r\n")


async def test_too_many_at_once_are_told_to_come_back(tmp_path):
    """Beyond the operator's limit a request is refused before it costs anything."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        gw.gateway.max_concurrent = 1
        up.answers = [[0.2, answer(WHOLE)]]
        one = asyncio.ensure_future(call(gw.port, "/v1/chat/completions", CHAT))
        await asyncio.sleep(0.1)
        two = await call(gw.port, "/v1/chat/completions", CHAT)
        assert (two.status, two.headers["retry-after"]) == (503, "1")
        assert (await one).status == 200
        assert (await call(gw.port, "/v1/chat/completions", CHAT)).status == 200


async def test_unknown_path_is_a_404_in_the_dialect_it_looks_like(tmp_path):
    """An SDK can show it."""
    async with gateway(config(1), tmp_path) as gw:
        got = await call(gw.port, "/nothing/here", b"")
        assert got.status == 404
        assert "message" in json.loads(got.body)["error"]
