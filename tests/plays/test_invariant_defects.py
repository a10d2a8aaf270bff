"""What goes wrong in Invariant's gateway and must not here: each of its known defects that concern these paths, once."""

import asyncio
import json

import pytest

from tests.plays.books import books
from tests.plays.invariant_scene import DATASET, DIALECTS, FILE_POLICY, ask, asking, called, key_lines, path_of, scene, served
from tests.plays.scene import events, frames, whole
from tests.serving import END, answer, call, chunk, read_answer, stream_head


async def test_usage_of_a_stream_is_pushed_though_the_client_was_not_shown_it(tmp_path):
    """The gateway asks for it in any case; who did not is not told, and Explorer is."""
    async with scene(tmp_path) as s:
        s.up.answers = [served("openai_chat", stream=True)]
        document = asking("openai_chat", stream=True)
        del document["stream_options"]
        got = await ask(s, "openai_chat", stream=True, document=document)
        assert b"prompt_tokens" not in got.body
        (metadata,) = (await s.explorer.trace())["metadata"]
        assert metadata["usage"]["prompt_tokens"] == 10
        assert metadata["usage"]["prompt_tokens_details"] == {"cached_tokens": 4}


async def test_refusals_reasoning_and_thinking_of_streams_are_not_lost(tmp_path):
    """What a delta holds beside content."""
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    deltas = [
        {"role": "assistant", "reasoning_content": "let me "},
        {"reasoning_content": "think"},
        {"refusal": "I must"},
        {"refusal": " not"},
    ]
    wire = [
        b"data: " + json.dumps({**base, "choices": [{"index": 0, "delta": d, "finish_reason": None}]}).encode() + b"\n\n"
        for d in deltas
    ]
    last = {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    wire += [b"data: " + json.dumps(last).encode() + b"\n\ndata: [DONE]\n\n"]
    async with scene(tmp_path) as s:
        s.up.answers = [[stream_head(), *map(chunk, wire), END]]
        await ask(s, "openai_chat", stream=True)
        (said,) = (await s.explorer.trace())["messages"]
        assert said[-1]["reasoning_content"] == "let me think"
        assert said[-1]["refusal"] == "I must not"


async def test_a_streamed_tool_call_of_anthropic_has_its_arguments_as_an_object(tmp_path):
    """As a whole one has."""
    async with scene(tmp_path) as s:
        s.up.answers = [called("anthropic", "f", {"a": [1, {"b": "ü"}]}, stream=True)]
        await ask(s, "anthropic", stream=True)
        (said,) = (await s.explorer.trace())["messages"]
        assert said[-1]["tool_calls"][0]["function"]["arguments"] == {"a": [1, {"b": "ü"}]}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("status", [400, 429, 500])
async def test_an_error_before_a_stream_is_an_error(tmp_path, dialect, status):
    """With its status and its headers, not a broken connection behind a 200."""
    error = {"message": "not now", "type": "api_error", "code": status, "status": "UNAVAILABLE"}
    told = json.dumps({"type": "error", "error": error} if dialect == "anthropic" else {"error": error}).encode()
    async with scene(tmp_path, more="routing: {retry: {tries_all: 1}}") as s:
        s.up.answers = [[answer(told, status=status, headers="retry-after: 0\r\n")]]
        got = await ask(s, dialect, stream=True)
        assert (got.status, got.body, got.broken) == (status, told, False)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_cut_within_a_stream_is_told_as_an_error(tmp_path, dialect):
    """In the dialect's own event; the connection ends as it should."""
    async with scene(tmp_path) as s:
        s.up.answers = [[stream_head(), *map(chunk, frames(dialect, "half")[:2]), None]]
        got = await ask(s, dialect, stream=True)
        assert got.status == 200
        assert not got.broken
        assert "error" in events(got.body)[-1]


async def test_connections_are_kept_and_not_leaked(tmp_path):
    """One for all requests that come one after another, to the provider and to Explorer."""
    opened = []

    async def play(reader, writer):
        opened.append(writer)
        body = json.dumps(whole("openai_chat")).encode()
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(length)
                writer.write(answer(body))
        except asyncio.IncompleteReadError:
            writer.close()

    async with scene(tmp_path) as s:
        s.up.serve_with(play)
        for number in range(8):
            assert (await ask(s, "openai_chat")).status == 200
            await s.explorer.trace(number + 1)
        assert len(opened) == 1


async def test_encoded_or_odd_answers_have_no_headers_that_lie(tmp_path):
    """Length and coding are those of the bytes that go out."""
    async with scene(tmp_path) as s:
        body = json.dumps(whole("openai_chat")).encode()
        s.up.answers = [[answer(body, headers="content-encoding: identity\r\nset-cookie: a=b\r\nserver: x\r\n")]]
        got = await ask(s, "openai_chat")
        assert got.body == body
        assert int(got.headers["content-length"]) == len(body)
        assert not {"content-encoding", "set-cookie", "server", "transfer-encoding"} & got.headers.keys()


@pytest.mark.parametrize("stream", [False, True])
async def test_plain_history_of_an_assistant(tmp_path, stream):
    """Anthropic's shorthand stops the reference: the request where policies are on, the trace where they are not."""
    history = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello there"},
        {"role": "user", "content": [{"type": "text", "text": "again"}]},
    ]
    async with scene(tmp_path, policy=FILE_POLICY) as s:
        s.up.answers = [served("anthropic", "fine", stream=stream)]
        document = {**asking("anthropic", stream=stream), "system": "be kind", "messages": history}
        assert (await ask(s, "anthropic", stream=stream, document=document)).status == 200
        (said,) = (await s.explorer.trace())["messages"]
        assert [message["role"] for message in said] == ["system", "user", "assistant", "user", "assistant"]
        assert said[2] == {"role": "assistant", "content": "hello there"}


@pytest.mark.parametrize(
    "path",
    [
        "http://evil.example/openai/chat/completions",
        f"/api/v1/gateway/{DATASET}/openai/chat/completions?base_url=http://evil.example",
        "/api/v1/gateway/evil.example/openai/chat/completions",
        "/api/v1/gateway/x@evil.example:80/openai/chat/completions",
    ],
)
async def test_no_request_chooses_who_is_called(tmp_path, path):
    """Whatever its path, its query or its headers name: the provider of the configuration is asked, or nobody."""
    lies = {"host": "evil.example", "x-forwarded-host": "evil.example", "mcp-server-base-url": "http://evil.example"}
    async with scene(tmp_path) as s:
        s.up.answers = [served("openai_chat")]
        reader, writer = await asyncio.open_connection("127.0.0.1", s.port)
        body = json.dumps(asking("openai_chat")).encode()
        lines = key_lines("openai_chat", **lies)
        writer.write(f"POST {path} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body)
        got = await read_answer(reader)
        writer.close()
        assert got.status in (200, 400, 401, 404)
        for asked in s.up.requests:
            assert asked.startswith(b"POST /v1/chat/completions HTTP/1.1")
            assert f"\r\nhost: 127.0.0.1:{s.up.port}\r\n".encode() in asked


@pytest.mark.parametrize("model", ["../../v1/models", "m/../../x", "..", "m:generateContent/../../y"])
async def test_a_model_leads_out_of_no_path(tmp_path, model):
    """Of Gemini's, where it is part of one."""
    async with scene(tmp_path) as s:
        s.up.answers = [served("gemini")]
        path = f"/api/v1/gateway/{DATASET}/gemini/v1beta/models/{model}:generateContent"
        got = await call(s.port, path, json.dumps(asking("gemini")).encode(), headers=key_lines("gemini"))
        assert got.status in (400, 401, 404)
        assert not s.up.requests


async def test_bodies_have_a_limit_and_long_answers_have_none(tmp_path):
    """The server's own limit holds; a provider may be silent for longer than the reference's sixty seconds, as configured."""
    async with scene(tmp_path, more="server: {max_body_bytes: 2048}") as s:
        got = await ask(s, "openai_chat", "x" * 5000)
        assert got.status == 413
        assert s.gw.house.current.config.providers["invariant-openai"].timeouts.first_event_s > 60


async def test_what_is_blocked_is_in_the_books_once(tmp_path):
    """An error of the client's, and what the provider had said is counted."""
    async with scene(tmp_path, policy=FILE_POLICY) as s:
        s.up.answers = [served("openai_chat", "Madrid", stream=True)]
        await ask(s, "openai_chat", "capital of Spain?", stream=True)
        told = books(s.gw)
        (request,), (attempt,) = told.requests, told.attempts
        assert (request.key_id, request.provider, request.outcome) == ("invariant/open", "invariant-openai", "error")
        assert request.error == "guard_blocked"
        assert attempt.input == 6


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_body_that_is_none_is_refused_in_the_clients_dialect(tmp_path, dialect):
    """400, where the reference fails with 500; and nobody is called."""
    async with scene(tmp_path, policy=FILE_POLICY) as s:
        s.up.answers = [served(dialect)]
        for body in (b"{", b"[]", b'{"messages": 7, "model": "m", "contents": 7, "max_tokens": 1}', b"\xff"):
            got = await call(s.port, path_of(dialect), body, headers=key_lines(dialect))
            assert 400 <= got.status < 500, (body, got.body)
        assert not s.up.requests
        assert not s.explorer.traces
