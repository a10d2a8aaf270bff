"""Answers of forwarded endpoints: they stream as they come, and their usage is found on the way."""

import asyncio
import json

import pytest

from tests.plays.forwarding import KEYS, config
from tests.plays.scene import events, only_tally, send
from tests.serving import END, KEY, answer, chunk, gateway, stream_head, upstream


async def test_binary_answers_stream_as_they_come(tmp_path):
    """Speech is heard from its first bytes on; nothing is added, nothing decoded."""
    sound = bytes(range(256)) * 40
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n"
        up.answers = [[head, chunk(sound[:100]), 60.0, chunk(sound[100:]), END]]
        body = json.dumps({"model": "fast", "input": "hi", "voice": "alloy"}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        writer.write(
            f"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        told = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert b"content-type: audio/mpeg" in told
        assert int(await reader.readline(), 16) == 100
        assert await reader.readexactly(102) == sound[:100] + b"\r\n"
        writer.close()
        await asyncio.wait_for(up.closed.wait(), 20)
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        up.answers = [[head, chunk(sound), END], [head, chunk(sound), None]]
        assert (await send(gw, "/v1/audio/speech", {"model": "fast"})).body == sound
        assert (await send(gw, "/v1/audio/speech", {"model": "fast"})).broken, "a cut body must not end cleanly"
        assert only_tally(gw).requests == 2


LEGACY = [
    {
        "id": "c",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"text": t, "index": 0, "logprobs": None, "finish_reason": f}],
    }
    for t, f in (("he", None), ("llo", "stop"))
]


LEGACY_USAGE = {
    "id": "c",
    "object": "text_completion",
    "created": 1,
    "model": "m",
    "choices": [],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


@pytest.mark.parametrize("asked", [True, False], ids=["usage asked", "usage not asked"])
async def test_legacy_completions_stream_with_their_usage_tapped(tmp_path, asked):
    """Usage is asked of the provider always; the client sees it only if it asked."""
    wire = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in (*LEGACY, LEGACY_USAGE)]
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        up.answers = [[stream_head(), *map(chunk, wire), chunk(b"data: [DONE]\n\n"), END]]
        options = {"stream_options": {"include_usage": True}} if asked else {}
        got = await send(gw, "/v1/completions", {"model": "fast", "prompt": "hi", "stream": True, **options})
        assert events(got.body) == [*LEGACY, *([LEGACY_USAGE] if asked else [])]
        assert got.body.endswith(b"data: [DONE]\n\n")
        assert json.loads(up.body())["stream_options"] == {"include_usage": True}
        tally = only_tally(gw)
        assert (tally.requests, tally.input_tokens, tally.output_tokens) == (1, 3, 2)


async def test_usage_at_the_end_of_a_long_stream_is_found(tmp_path):
    """A picture's event is megabytes long and tells its usage last."""
    picture = b'event: image_generation.completed\ndata: {"type": "image_generation.completed", "b64_json": "%b", "usage": {"input_tokens": 11, "output_tokens": 22, "input_tokens_details": {"text_tokens": 11}}}\n\n'
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=KEYS) as gw:
        up.answers = [
            [stream_head(), *(chunk((picture % (b"A" * 200_000))[i : i + 30_000]) for i in range(0, 200_300, 30_000)), END]
        ]
        got = await send(gw, "/v1/images/generations", {"model": "fast", "prompt": "x", "stream": True})
        assert len(got.body) > 200_000
        assert (only_tally(gw).input_tokens, only_tally(gw).output_tokens) == (11, 22)


@pytest.mark.parametrize(("asked", "sent"), [(5, 5), (1000, 10), (1e3, 10), (-1, 10), ("many", 10), (None, None)])
async def test_a_keys_longest_answer_holds_for_legacy_completions(tmp_path, asked, sent):
    """The other endpoint that writes text: what a key may not have there is no way around it."""
    keys = "{name: short, key: gw-short-key, models: ['*'], max_tokens: 10}"
    async with upstream() as up, gateway(config(up.port), tmp_path, keys=keys) as gw:
        up.answers = [[answer(b'{"id": "c", "choices": []}')]]
        got = await send(gw, "/v1/completions", {"model": "fast", "prompt": "hi", "max_tokens": asked}, key="gw-short-key")
        assert got.status == 200
        assert json.loads(up.body())["max_tokens"] == sent
