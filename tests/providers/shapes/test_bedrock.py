"""Claude on Bedrock: what InvokeModel wants, and its event stream as Anthropic's."""

import base64
import json
from urllib.parse import unquote

import pytest
from tests.laws.cases import recordings_root

from gatewright.dialects.anthropic import ANTHROPIC
from gatewright.ir.events import MessageStart, MessageStop
from gatewright.ir.request import Asked
from gatewright.providers.shapes import Said
from gatewright.providers.shapes.bedrock import BedrockClaude, CountUnwrapper, StreamUnwrapper, betas
from gatewright.wire.eventstream import BadFrame, encode
from gatewright.wire.sse import SseParser

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
BODY = b'{"model":"us.anthropic.x","max_tokens":16,"stream":true,"messages":[{"role":"user","content":"hi"}],"temperature":1.0}'
EVENTS = "application/vnd.amazon.eventstream"


def said(**changes):
    asked = {
        "path": "/v1/messages",
        "body": BODY,
        "headers": (("anthropic-version", "2023-06-01"),),
        "model": MODEL,
        "stream": False,
    }
    return BedrockClaude().request(Said(**{**asked, **changes}))


def chunk(document, **headers):
    payload = json.dumps({"bytes": base64.b64encode(json.dumps(document).encode()).decode(), "p": "abcd"}).encode()
    return encode({":event-type": "chunk", ":content-type": "application/json", ":message-type": "event", **headers}, payload)


def test_model_and_stream_move_to_the_path_and_the_version_to_the_body():
    """Bedrock refuses `model` and `stream` as extra inputs."""
    sent = said()
    assert sent.path == "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke"
    assert json.loads(sent.body) == {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 1.0,
    }
    assert b'"temperature":1.0' in sent.body  # values keep their spelling
    assert sent.headers == ()


def test_a_stream_is_asked_for_by_the_path():
    assert said(stream=True).path.endswith("/invoke-with-response-stream")


def test_an_arn_stays_one_segment_of_the_path():
    """A `/` in it would be another resource."""
    arn = "arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/abc"
    assert said(model=arn).path == (
        "/model/arn%3Aaws%3Abedrock%3Aus-west-2%3A123456789012%3Aapplication-inference-profile%2Fabc/invoke"
    )


def test_beta_flags_go_into_the_body_and_unknown_ones_nowhere():
    """One unknown flag makes Bedrock refuse the whole call."""
    flags = "claude-code-20250219, interleaved-thinking-2025-05-14,made-up-2030-01-01"
    sent = said(headers=(("anthropic-version", "2023-06-01"), ("anthropic-beta", flags), ("idempotency-key", "k")))
    assert json.loads(sent.body)["anthropic_beta"] == ["interleaved-thinking-2025-05-14"]
    assert sent.headers == (("idempotency-key", "k"),)


def test_flags_with_another_name_on_bedrock_get_it():
    assert betas("advanced-tool-use-2025-11-20,tool-examples-2025-10-29") == [
        "tool-search-tool-2025-10-19",
        "tool-examples-2025-10-29",
    ]


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_the_stream_comes_out_as_server_sent_events(size):
    """However the network cuts it."""
    documents = [{"type": "message_start", "message": {"id": "m"}}, {"type": "ping"}, {"type": "message_stop", "x": "é\n"}]
    wire = b"".join(map(chunk, documents))
    unwrapper = BedrockClaude().unwrapper(said(stream=True), EVENTS.encode())
    told = b"".join(unwrapper.feed(wire[at : at + size]) for at in range(0, len(wire), size)) + unwrapper.close()
    events = SseParser().feed(told)
    assert [(name, json.loads(data)) for name, data in events] == [(d["type"].encode(), d) for d in documents]


def test_whole_answers_come_as_they_are():
    assert BedrockClaude().unwrapper(said(), b"application/json") is None


@pytest.mark.parametrize(
    ("headers", "payload", "kind", "message"),
    [
        (
            {":message-type": "exception", ":exception-type": "throttlingException"},
            {"message": "slow down"},
            "rate_limit_error",
            "slow down",
        ),
        (
            {":message-type": "exception", ":exception-type": "modelStreamErrorException"},
            {"message": "odd"},
            "api_error",
            "odd",
        ),
        (
            {":message-type": "error", ":error-code": "InternalError", ":error-message": "broke"},
            None,
            "api_error",
            "broke",
        ),
        (
            {":message-type": "exception", ":exception-type": "validationException"},
            None,
            "invalid_request_error",
            "the provider ended its stream with validationException",
        ),
    ],
)
def test_exceptions_within_the_stream_are_anthropic_errors(headers, payload, kind, message):
    """The client's own words for them: it may retry a rate limit."""
    unwrapper = StreamUnwrapper()
    told = unwrapper.feed(chunk({"type": "ping"}) + encode(headers, b"" if payload is None else json.dumps(payload).encode()))
    assert [(name, json.loads(data)) for name, data in SseParser().feed(told)][1:] == [
        (b"error", {"type": "error", "error": {"type": kind, "message": message}})
    ]


def test_a_stream_that_breaks_off_within_a_frame_is_no_clean_end():
    unwrapper = StreamUnwrapper()
    unwrapper.feed(chunk({"type": "ping"})[:-3])
    with pytest.raises(BadFrame):
        unwrapper.close()


@pytest.mark.parametrize("payload", [b"{}", b"[]", b'{"bytes":"%%%"}', b'{"bytes":"bm90IGpzb24="}'])
def test_a_chunk_that_is_none_is_the_hosts_failure(payload):
    headers = {":event-type": "chunk", ":message-type": "event"}
    with pytest.raises(ValueError, match="chunk of its stream"):
        StreamUnwrapper().feed(encode(headers, payload))


def test_an_event_name_cannot_write_events_of_its_own():
    with pytest.raises(ValueError, match="line break"):
        StreamUnwrapper().feed(chunk({"type": "a\ndata: {}\n\n"}))


def test_tokens_are_counted_for_the_bare_model():
    """CountTokens knows no inference profiles."""
    sent = said(path="/v1/messages/count_tokens", body=b'{"model":"x","messages":[],"thinking":{"budget_tokens":2000}}')
    assert sent.path == "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens"
    inner = json.loads(base64.b64decode(json.loads(sent.body)["input"]["invokeModel"]["body"]))
    assert inner == {
        "anthropic_version": "bedrock-2023-05-31",
        "messages": [],
        "thinking": {"budget_tokens": 2000},
        "max_tokens": 3024,
    }
    unwrapper = BedrockClaude().unwrapper(sent, b"application/json")
    assert isinstance(unwrapper, CountUnwrapper)
    assert unwrapper.feed(b'{"inputTok') + unwrapper.feed(b'ens":19}') + unwrapper.close() == b'{"input_tokens":19}'


def test_recorded_streams_of_claude_are_read_to_their_end():
    """What Bedrock itself sent, through the unwrapper, is what Anthropic's own parser understands."""
    root = recordings_root()
    if root is None:
        pytest.skip("no recorded traffic at hand: set GATEWRIGHT_RECORDINGS to its folder")
    read = 0
    for path in sorted((root / "bedrock" / "invoke-stream").glob("*.json")):
        recorded = json.loads(path.read_bytes())
        if "messages" not in (recorded["request"]["json"] or {}) or "claude" not in recorded["request"]["path"]:
            continue
        wire = base64.b64decode(recorded["response"]["body"])
        for size in (7, len(wire)):
            unwrapper = StreamUnwrapper()
            told = b"".join(unwrapper.feed(wire[at : at + size]) for at in range(0, len(wire), size)) + unwrapper.close()
            parser = ANTHROPIC.stream_parser(Asked())
            events = [*parser.feed(told), *parser.close()]
            assert isinstance(events[0], MessageStart)
            assert isinstance(events[-1], MessageStop), path.name
        read += 1
    assert read >= 5


def test_recorded_calls_of_claude_are_what_the_shape_says():
    """The same fields, the same path: nothing that Bedrock was not seen to take."""
    root = recordings_root()
    if root is None:
        pytest.skip("no recorded traffic at hand: set GATEWRIGHT_RECORDINGS to its folder")
    compared = 0
    for path in sorted((root / "bedrock").glob("invoke*/*.json")):
        asked = json.loads(path.read_bytes())["request"]
        document = asked["json"]
        if "messages" not in (document or {}) or "claude" not in asked["path"] or "anthropic_version" not in document:
            continue
        model = unquote(asked["path"].split("/")[2])
        stream = asked["path"].endswith("stream")
        told = {"model": "x", **{key: value for key, value in document.items() if key != "anthropic_version"}, "stream": stream}
        sent = said(body=json.dumps(told).encode(), model=model, stream=stream)
        assert json.loads(sent.body) == document
        assert unquote(sent.path) == unquote(asked["path"])
        compared += 1
    assert compared >= 10
