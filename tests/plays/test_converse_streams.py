"""Streams for Converse's clients on real sockets: silence, cuts and failures, told so that AWS's own reader understands them."""

import json

import pytest
from botocore.exceptions import EventStreamError

from gatewright.server import sweep
from tests.dialects.bedrock_converse.asking import END, START, ask, delta, frame, frames, stop
from tests.laws import bedrock_oracle
from tests.plays.wires import sse
from tests.serving import END as LAST_CHUNK
from tests.serving import answer, call, chunk, gateway, stream_head, upstream

FRAMED = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ntransfer-encoding: chunked\r\n\r\n"
ASKED = json.dumps(ask("Hi")).encode()
SLOW = 0.25
CHAT = [
    {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": piece, "finish_reason": end}],
    }
    for piece, end in (({"role": "assistant", "content": "Hel"}, None), ({"content": "lo"}, None), ({}, "stop"))
]


def config(up, kind):
    more = "" if kind == "openai" else ", region: us-east-1, dialects: [bedrock_converse]"
    return f"providers: {{up: {{kind: {kind}, base_url: 'http://127.0.0.1:{up.port}', api_key: sk{more}}}}}"


def read(wire):
    return [next(iter(event)) for event in bedrock_oracle.read_stream(wire)]


@pytest.mark.parametrize("kind", ["bedrock", "openai"])
async def test_a_silent_upstream_is_bridged_by_frames_that_aws_reads_past(tmp_path, monkeypatch, kind):
    """Before the head and between events; boto3 would give up after a minute without a byte."""
    monkeypatch.setattr(sweep, "TICK_S", 0.02)
    if kind == "bedrock":
        pieces = [SLOW, FRAMED, chunk(START + delta(0, text="Hello")), SLOW, chunk(stop(0) + END), LAST_CHUNK]
    else:
        texts = [chunk(sse(event)) for event in CHAT]
        pieces = [SLOW, stream_head(), texts[0], SLOW, texts[1], texts[2], chunk(b"data: [DONE]\n\n"), LAST_CHUNK]
    async with upstream() as up:
        up.answers = [pieces]
        async with gateway(config(up, kind), tmp_path, keepalive_s=0.05) as gw:
            got = await call(gw.port, "/model/up%2Fm/converse-stream", ASKED)
    names = [name for name, _ in frames(got.body)]
    assert names.count("ping") >= 2
    assert names.index("messageStart") > names.index("ping")
    assert "ping" in names[names.index("messageStart") :]
    told = read(got.body)
    assert told[0] == "messageStart"
    assert told[-1] == "metadata"
    assert "ping" not in told


@pytest.mark.parametrize("cut", [None, LAST_CHUNK], ids=["connection", "body"])
async def test_a_cut_within_a_frame_is_an_exception_and_no_broken_checksum(tmp_path, cut):
    """What was whole goes on; the half frame does not."""
    async with upstream() as up:
        up.answers = [[FRAMED, chunk(START + delta(0, text="Hel")), 0.05, chunk(delta(0, text="lo")[:-3]), 0.05, cut]]
        async with gateway(config(up, "bedrock"), tmp_path) as gw:
            got = await call(gw.port, "/model/up%2Fm/converse-stream", ASKED)
    assert [name for name, _ in frames(got.body)] == ["messageStart", "contentBlockDelta", "modelStreamErrorException"]
    with pytest.raises(EventStreamError, match="modelStreamErrorException"):
        read(got.body)


async def test_a_chat_stream_that_breaks_off_is_an_exception_too(tmp_path):
    async with upstream() as up:
        up.answers = [[stream_head(), chunk(sse(CHAT[0])), 0.05, None]]
        async with gateway(config(up, "openai"), tmp_path) as gw:
            got = await call(gw.port, "/model/up%2Fm/converse-stream", ASKED)
    assert got.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert got.headers["x-amzn-requestid"] == got.headers["x-request-id"]
    with pytest.raises(EventStreamError):
        read(got.body)


async def test_an_exception_as_the_only_frame_is_an_http_error(tmp_path):
    """Bedrock answers 200 and then refuses; until content has come the client can still be told by status."""
    async with upstream() as up:
        up.answers = [[FRAMED, chunk(frame("validationException", message="no PNG")), LAST_CHUNK]]
        async with gateway(config(up, "bedrock"), tmp_path) as gw:
            got = await call(gw.port, "/model/up%2Fm/converse-stream", ASKED)
    assert got.status == 400
    code, _, message = bedrock_oracle.read_error(got.status, tuple(got.headers.items()), got.body)
    assert (code, message) == ("ValidationException", "no PNG")


async def test_what_is_refused_after_a_keep_alive_is_told_inside_the_stream(tmp_path, monkeypatch):
    """The head is out, with a frame of ours behind it."""
    monkeypatch.setattr(sweep, "TICK_S", 0.02)
    async with upstream() as up:
        up.answers = [[SLOW, answer(b'{"message":"slow down"}', status=429, headers="x-amzn-errortype: ThrottlingException\r\n")]]
        async with gateway(config(up, "bedrock"), tmp_path, keepalive_s=0.05) as gw:
            got = await call(gw.port, "/model/up%2Fm/converse-stream", ASKED)
    assert got.status == 200
    with pytest.raises(EventStreamError, match=r"throttlingException.*slow down"):
        read(got.body)
