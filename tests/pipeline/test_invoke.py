"""InvokeModel's clients while the upstream thinks, fails and answers otherwise than asked."""

import base64
import json

import pytest
from tests.serving import END, answer, call, chunk, gateway, stream_head, upstream

from gatewright.dialects.invoked import Frames
from gatewright.exchange import Segment
from gatewright.pipeline.invoke import Framed
from gatewright.server import sweep
from gatewright.wire.eventstream import Decoder

BODY = b'{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
PATH = "/model/up%2Fm/invoke-with-response-stream"
START = {
    "type": "message_start",
    "message": {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    },
}
EVENTS = [
    START,
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]
MESSAGE = {
    **START["message"],
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}


def sse(document):
    return f"event: {document['type']}\ndata: {json.dumps(document)}\n\n".encode()


def config(port, kind="anthropic"):
    return f"providers: {{up: {{kind: {kind}, base_url: 'http://127.0.0.1:{port}', api_key: upstream-key}}}}"


def told(body):
    """(type of the frame, its document) of each frame; keep-alives left out."""
    decoder = Decoder()
    frames = decoder.feed(body)
    decoder.close()
    found = []
    for frame in frames:
        payload = json.loads(frame.payload)
        name = frame.headers.get(":event-type") or frame.headers[":exception-type"]
        if name != "ping":
            found.append((name, json.loads(base64.b64decode(payload["bytes"])) if name == "chunk" else payload))
    return found


async def test_silence_is_broken_by_frames_that_sdks_read_past(tmp_path, monkeypatch):
    """Before the head and between events; every chunk stays one event."""
    monkeypatch.setattr(sweep, "TICK_S", 0.02)
    async with upstream() as up, gateway(config(up.port), tmp_path, keepalive_s=0.05) as gw:
        up.answers = [[0.3, stream_head(), *(chunk(sse(e)) for e in EVENTS[:3]), 0.3, *(chunk(sse(e)) for e in EVENTS[3:]), END]]
        got = await call(gw.port, PATH, BODY)
    assert got.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert [document["type"] for _, document in told(got.body)] == [event["type"] for event in EVENTS]
    assert len(Decoder().feed(got.body)) >= len(EVENTS) + 4


async def test_an_error_after_an_early_head_is_an_exception_frame(tmp_path, monkeypatch):
    """The head is out already; the SDK raises what the frame says."""
    monkeypatch.setattr(sweep, "TICK_S", 0.02)
    refusal = b'{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}'
    async with upstream() as up, gateway(config(up.port), tmp_path, keepalive_s=0.05) as gw:
        up.answers = [[0.3, answer(refusal, status=429)]]
        got = await call(gw.port, PATH, BODY)
    assert got.status == 200
    assert told(got.body) == [("throttlingException", {"message": "slow down"})]


async def test_a_stream_that_is_cut_ends_in_an_exception_frame(tmp_path):
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), *(chunk(sse(e)) for e in EVENTS[:3]), None]]
        got = await call(gw.port, PATH, BODY)
    assert [name for name, _ in told(got.body)] == ["chunk", "chunk", "chunk", "modelStreamErrorException"]


async def test_an_upstream_that_answers_whole_when_asked_to_stream_is_streamed_on(tmp_path):
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(json.dumps(MESSAGE).encode())]]
        got = await call(gw.port, PATH, BODY)
    assert got.headers["content-type"] == "application/vnd.amazon.eventstream"
    documents = [document for _, document in told(got.body)]
    assert documents[0]["type"] == "message_start"
    assert documents[-1]["type"] == "message_stop"
    assert "".join(d["delta"].get("text", "") for d in documents if d["type"] == "content_block_delta") == "Hi"


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (429, "rate_limit_error", "ThrottlingException"),
        (400, "invalid_request_error", "ValidationException"),
        (403, "permission_error", "AccessDeniedException"),
        (404, "not_found_error", "ResourceNotFoundException"),
        (529, "overloaded_error", "ServiceUnavailableException"),
        (500, "api_error", "InternalServerException"),
        (503, "api_error", "ServiceUnavailableException"),
    ],
)
async def test_errors_of_an_anthropic_upstream_are_told_in_bedrocks_words(tmp_path, status, kind, name):
    """And not in Anthropic's, though the bytes of answers pass."""
    refusal = json.dumps({"type": "error", "error": {"type": kind, "message": "no, because"}}).encode()
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(refusal, status=status, headers="retry-after: 7\r\n")]]
        got = await call(gw.port, "/model/up%2Fm/invoke", BODY)
    assert got.status == status
    assert got.headers["x-amzn-errortype"] == name
    assert json.loads(got.body) == {"message": "no, because"}
    assert got.headers["retry-after"] == "7"


class Given:
    """A source of these segments, as far as it is let."""

    broken = True

    def __init__(self, *wires):
        self.wires = list(wires)
        self.aborted = False

    async def next(self):
        return Segment(self.wires.pop(0)) if self.wires and not self.aborted else None

    def abort(self):
        self.aborted = True

    def keepalive(self):
        return b": x\n\n"


async def test_an_event_that_no_frame_holds_ends_the_stream_as_an_exception():
    """A source never raises; the upstream is let go."""
    huge = b"data: " + b"x" * (32 << 20) + b"\n\n"
    source = Given(sse(START), huge, sse(EVENTS[1]))
    framed = Framed(source, Frames(lambda _: b"", lambda: 0), lambda why: b"!" + why.encode())
    assert (await framed.next()).wire
    assert (await framed.next()).wire.startswith(b"!the provider's stream cannot be told in frames")
    assert await framed.next() is None
    assert source.aborted
    assert framed.broken
    assert framed.keepalive() != b""


async def test_nobodys_body_is_read_without_a_key(tmp_path):
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        got = await call(gw.port, "/model/up%2Fm/invoke", b"nonsense", headers="")
    assert got.headers["x-amzn-errortype"] == "UnrecognizedClientException"
    assert up.requests == []


def to_count(body):
    return json.dumps({"input": {"invokeModel": {"body": base64.b64encode(body).decode()}}}).encode()


async def test_tokens_of_an_invoke_body_are_counted_by_whoever_counts_messages(tmp_path):
    """Claude Code asks so in its Bedrock mode."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(b'{"input_tokens":14}')]]
        got = await call(gw.port, "/model/up%2Fm/count-tokens", to_count(BODY))
    assert (got.status, json.loads(got.body)) == (200, {"inputTokens": 14})
    assert up.head().startswith(b"POST /v1/messages/count_tokens ")
    assert json.loads(up.body()) == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


async def test_tokens_of_a_converse_call_are_counted_too(tmp_path):
    converse = {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "How many are these?"}]}]}}}
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(b'{"input_tokens":14}')]]
        got = await call(gw.port, "/bedrock/model/up%2Fm/count-tokens", json.dumps(converse).encode())
    assert (got.status, json.loads(got.body)) == (200, {"inputTokens": 14})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{}", "an input with converse or invokeModel"),
        (b'{"input":{}}', "expected converse or invokeModel, got neither"),
        (b'{"input":{"invokeModel":{"body":"%%"}}}', "Invalid base64"),
        (b"nonsense", "not JSON"),
        (to_count(b'{"inputText":"x"}'), "Anthropic's Messages"),
    ],
)
async def test_what_cannot_be_counted_is_refused_in_bedrocks_words(tmp_path, body, words):
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        got = await call(gw.port, "/model/up%2Fm/count-tokens", body)
    assert (got.status, got.headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert words in json.loads(got.body)["message"]
    assert up.requests == []


async def test_errors_while_counting_are_told_in_bedrocks_words(tmp_path):
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        refusal = b'{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}'
        up.answers = [[answer(refusal, status=429)]]
        got = await call(gw.port, "/model/up%2Fm/count-tokens", to_count(BODY))
    assert got.headers["x-amzn-errortype"] == "ThrottlingException"
    assert json.loads(got.body) == {"message": "slow down"}
