"""Usage: every answered call is counted once, with the provider's own figures, however it ends and whoever spoke what."""

import asyncio
import json

import pytest

from tests.plays.scene import (
    DIALECTS,
    IN_STREAM_ERROR,
    ask,
    asking,
    events,
    frames,
    only_tally,
    path_of,
    providers,
    send,
    served,
    tallies,
    whole,
)
from tests.serving import END, KEY, answer, chunk, gateway, stream_head, upstream


def sse(document: dict, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(document).encode() + b"\n\n"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_answer_is_counted_once(tmp_path, dialect, client, stream):
    """Ten tokens in, four of them from a cache, five out: whoever asks, in whatever words."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [served(dialect, stream=stream)]
        for count in (1, 2):
            assert (await ask(gw, client, f"to-{dialect}", stream=stream)).status == 200
            tally = only_tally(gw)
            assert (tally.requests, tally.errors, tally.unknown) == (count, 0, 0)
            assert (tally.input_tokens, tally.output_tokens, tally.cached_tokens) == (10 * count, 5 * count, 4 * count)


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_client_is_told_the_same_figures(tmp_path, dialect, client):
    """Each dialect has its own way to count; the tokens are the same, whole and streamed."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [served(dialect), served(dialect, stream=True)]
        more = {"stream_options": {"include_usage": True}} if client == "openai_chat" else {}
        told = (await ask(gw, client, f"to-{dialect}")).json
        streamed = events((await ask(gw, client, f"to-{dialect}", stream=True, **more)).body)
        match client:
            case "openai_chat":
                figures = [
                    [u["prompt_tokens"], u["prompt_tokens_details"]["cached_tokens"], u["completion_tokens"]]
                    for u in (told["usage"], streamed[-1]["usage"])
                ]
            case "openai_responses":
                figures = [
                    [u["input_tokens"], u["input_tokens_details"]["cached_tokens"], u["output_tokens"]]
                    for u in (told["usage"], streamed[-1]["response"]["usage"])
                ]
            case "anthropic":
                last = next(e for e in reversed(streamed) if e["type"] == "message_delta")["usage"]
                figures = [
                    [u["input_tokens"] + u["cache_read_input_tokens"], u["cache_read_input_tokens"], u["output_tokens"]]
                    for u in (told["usage"], last)
                ]
            case _:
                last = next(e for e in reversed(streamed) if "usageMetadata" in e)["usageMetadata"]
                figures = [
                    [u["promptTokenCount"], u["cachedContentTokenCount"], u["candidatesTokenCount"]]
                    for u in (told["usageMetadata"], last)
                ]
        assert figures == [[10, 4, 5], [10, 4, 5]]


@pytest.mark.parametrize("asked", [True, False, None], ids=["asked", "not asked", "asked not to"])
async def test_the_usage_chunk_shows_only_where_it_was_asked_for(tmp_path, asked):
    """It is asked of the provider always; from a client that did not ask, that one event is kept back and nothing else."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [served("openai_chat", stream=True)]
        more = {} if asked is False else {"stream_options": {"include_usage": bool(asked)}}
        got = await ask(gw, "openai_chat", "to-openai_chat", stream=True, **more)
        wire = b"".join(frames("openai_chat", usage=bool(asked)))
        assert got.body == wire
        assert json.loads(up.body())["stream_options"]["include_usage"] is True
        assert only_tally(gw).output_tokens == 5
        for other in ("anthropic", "gemini", "openai_responses"):
            up.answers = [served(other, stream=True)]
            told = events((await ask(gw, "openai_chat", f"to-{other}", stream=True, **more)).body)
            assert any(e.get("usage") for e in told) is bool(asked)
            assert all(e["choices"] for e in told if not e.get("usage"))


async def test_usage_on_every_chunk_is_not_added_up(tmp_path):
    """Some hosts repeat the running total on each chunk, some with choices: the last word counts, no chunk is lost."""
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = [
        {
            **base,
            "choices": [{"index": 0, "delta": {"content": "w"}, "finish_reason": None}],
            "usage": {"prompt_tokens": 10, "completion_tokens": i, "total_tokens": 10 + i},
        }
        for i in range(1, 6)
    ]
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    wire = b"".join(map(sse, chunks)) + b"data: [DONE]\n\n"
    for client in DIALECTS:
        async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
            up.answers = [[stream_head(), *(chunk(wire[i : i + 50]) for i in range(0, len(wire), 50)), END]]
            got = await ask(gw, client, "to-openai_chat", stream=True)
            assert (only_tally(gw).requests, only_tally(gw).input_tokens, only_tally(gw).output_tokens) == (1, 10, 5), client
            if client == "openai_chat":
                assert len(events(got.body)) == 5


@pytest.mark.parametrize("client", DIALECTS)
async def test_message_delta_wins_over_message_start(tmp_path, client):
    """Server tools raise the input while the answer runs: what the last delta says holds, field by field."""
    beginning, content, _ = frames("anthropic")
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}}
    end = (
        sse({"type": "content_block_stop", "index": 0}, "content_block_stop")
        + sse({**delta, "usage": {"input_tokens": 100, "output_tokens": 7}}, "message_delta")
        + sse({"type": "message_stop"}, "message_stop")
    )
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), chunk(beginning + content + end), END]]
        assert (await ask(gw, client, "to-anthropic", stream=True)).status == 200
        tally = only_tally(gw)
        assert (tally.input_tokens, tally.cached_tokens, tally.output_tokens) == (104, 4, 7)


@pytest.mark.parametrize("client", DIALECTS)
async def test_the_last_usage_of_gemini_wins_and_thoughts_are_output(tmp_path, client):
    """usageMetadata comes on each chunk and grows; thinking is an addend of its own."""
    parts = [
        {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}, "index": 0}],
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 1, "totalTokenCount": 11},
        },
        {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "b"}]}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 3, "thoughtsTokenCount": 20, "totalTokenCount": 33},
        },
    ]
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), *(chunk(sse(part)) for part in parts), END]]
        assert (await ask(gw, client, "to-gemini", stream=True)).status == 200
        assert (only_tally(gw).input_tokens, only_tally(gw).output_tokens) == (10, 23)


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", ["anthropic", "gemini"])
async def test_a_client_that_leaves_is_counted_with_what_was_told(tmp_path, dialect, client):
    """The provider bills what it did until then: its last word counts, once, and the upstream is stopped."""
    beginning, content, _ = frames(dialect)
    if dialect == "gemini":
        content = content.replace(
            b'"modelVersion"', b'"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 1}, "modelVersion"'
        )
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), chunk(beginning + content), 30.0]]
        body = json.dumps(asking(client, f"to-{dialect}", stream=True)).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        path = path_of(client, f"to-{dialect}", stream=True)
        writer.write(
            f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        seen = b""
        while b"hello" not in seen:
            seen += await reader.read(65536)
        writer.transport.abort()
        await asyncio.wait_for(up.closed.wait(), 20)
        await asyncio.sleep(0)
        tally = only_tally(gw)
        assert (tally.requests, tally.input_tokens, tally.output_tokens) == (1, 10, 1)


@pytest.mark.parametrize("client", DIALECTS)
async def test_a_client_that_leaves_before_the_answer_is_one_request(tmp_path, client):
    """It settles all the same, exactly once."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[30.0]]
        body = json.dumps(asking(client, "to-anthropic")).encode()
        _, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(
            f"POST {path_of(client, 'to-anthropic')} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        while not up.requests:
            await asyncio.sleep(0.01)
        writer.transport.abort()
        await asyncio.wait_for(up.closed.wait(), 20)
        assert sum(t.requests for t in tallies(gw).values()) == 1


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_errors_are_counted_once_and_bring_no_usage(tmp_path, dialect, client):
    """By status, or inside a stream whose usage until then counts."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        beginning, content, _ = frames(dialect)
        up.answers = [
            [answer(b'{"error": {"message": "no"}}', status=400)],
            [stream_head(), chunk(beginning + content), 0.02, chunk(IN_STREAM_ERROR[dialect]), END],
        ]
        assert (await ask(gw, client, f"to-{dialect}")).status == 400
        assert (sum(t.requests for t in tallies(gw).values()), sum(t.errors for t in tallies(gw).values())) == (1, 1)
        assert (await ask(gw, client, f"to-{dialect}", stream=True)).status == 200
        assert (sum(t.requests for t in tallies(gw).values()), sum(t.errors for t in tallies(gw).values())) == (2, 2)
        assert sum(t.unknown for t in tallies(gw).values()) <= 1


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_usage_that_nobody_told_is_known_to_be_unknown(tmp_path, dialect, client):
    """Never zero in silence: the call is counted, and that its tokens are not known."""
    document = {k: v for k, v in whole(dialect).items() if k not in ("usage", "usageMetadata")}
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[answer(json.dumps(document).encode())]]
        assert (await ask(gw, client, f"to-{dialect}")).status == 200
        assert (only_tally(gw).requests, only_tally(gw).unknown) == (1, 1)


async def test_usage_is_counted_for_each_key_by_itself(tmp_path):
    """By whose key it was, whatever place the key came in."""
    async with upstream() as up, gateway(providers(up.port), tmp_path, keys="{name: other, key: gw-other-key}") as gw:
        up.answers = [served("anthropic")]
        await ask(gw, "anthropic", "to-anthropic")
        await ask(gw, "openai_chat", "to-anthropic", key="gw-other-key")
        await send(gw, "/v1/messages/count_tokens", asking("anthropic", "to-openai_chat"))
        assert tallies(gw)["test", "claude/m"].input_tokens == 10
        assert tallies(gw)["other", "claude/m"].input_tokens == 10
        assert sum(t.unknown for t in tallies(gw).values()) == 0
