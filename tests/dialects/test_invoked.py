"""InvokeModel's wrapping around Anthropic's Messages, both ways."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.dialects.invoked import METRICS, Frames, as_messages, read_path
from gatewright.errors import Malformed, Refused
from gatewright.wire.eventstream import Decoder
from gatewright.wire.http import Call
from gatewright.wire.sse import sse

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
BODY = b'{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"top_p":0.90}'


def call(body=BODY, verb="invoke", **headers):
    return Call(path=f"/model/{MODEL}/{verb}", body=body, headers=headers)


@pytest.mark.parametrize(("verb", "stream"), [("invoke", False), ("invoke-with-response-stream", True)])
def test_the_path_tells_model_and_stream(verb, stream):
    """An ARN has slashes of its own."""
    assert read_path(f"/model/arn:aws:bedrock:us-west-2:1:inference-profile/x/{verb}") == (
        "arn:aws:bedrock:us-west-2:1:inference-profile/x",
        stream,
    )


def test_other_paths_are_refused():
    with pytest.raises(Refused, match="no such operation"):
        read_path("/model/x/converse")


@pytest.mark.parametrize(("verb", "stream"), [("invoke", None), ("invoke-with-response-stream", True)])
def test_a_call_becomes_the_one_that_anthropics_clients_make(verb, stream):
    """Every value keeps its spelling: a number written 0.90 stays so."""
    asked = as_messages(call(verb=verb))
    assert asked.path == "/v1/messages"
    told = json.loads(asked.body)
    assert told.pop("model") == MODEL
    assert told.pop("stream", None) is stream
    assert told == {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "top_p": 0.9}
    assert b'"top_p":0.90' in asked.body


def test_a_stream_that_the_body_asks_for_is_the_paths_to_decide():
    """Bedrock refuses the field; a client that sends it anyway gets what its path says."""
    assert "stream" not in json.loads(as_messages(call(BODY[:-1] + b',"stream":true}')).body)


def test_beta_flags_go_from_the_body_to_the_header():
    """Those of a header stay: SDKs send either."""
    body = BODY[:-1] + b',"anthropic_beta":["a-1","b-2"]}'
    asked = as_messages(call(body))
    assert asked.headers["anthropic-beta"] == "a-1,b-2"
    assert "anthropic_beta" not in json.loads(asked.body)
    both = as_messages(call(body, **{"anthropic-beta": "c-3", "x-other": "1"}))
    assert both.headers == {"anthropic-beta": "c-3,a-1,b-2", "x-other": "1"}


def test_a_flag_cannot_break_out_of_its_header():
    body = BODY[:-1] + b',"anthropic_beta":["a-1","b\\r\\nx-evil: 1"]}'
    assert as_messages(call(body)).headers["anthropic-beta"] == "a-1"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"inputText":"hi"}', "expected Anthropic's Messages.*messages"),
        (b'{"prompt":"Human: hi"}', "for bodies of other makers use Converse"),
        (b'{"messages":{}}', "Expected `array`"),
        (b"[]", "Expected `object`"),
        (b"nonsense", "not JSON"),
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
    ],
)
def test_bodies_of_other_makers_are_refused_with_the_way_out(body, words):
    """Titan's and Llama's own shapes mean nothing to other providers."""
    with pytest.raises(Malformed, match=words):
        as_messages(call(body))


def frames(**changes):
    told = {"exception": lambda document: b"[" + document + b"]", "elapsed_ms": lambda: 12}
    return Frames(**{**told, **changes})


def chunks(wire):
    messages = Decoder().feed(wire)
    assert all(
        dict(m.headers) == {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
        for m in messages
    )
    return [json.loads(base64.b64decode(json.loads(m.payload)["bytes"])) for m in messages]


def wire(*documents):
    return b"".join(sse(json.dumps(d).encode(), d["type"].encode()) for d in documents)


START = {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 3, "output_tokens": 1}}}
DELTA = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 8}}
STOP = {"type": "message_stop"}


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
def test_every_event_is_one_chunk_however_it_is_cut(size):
    events = wire(START, {"type": "ping"}, DELTA, STOP)
    out = frames()
    told = b"".join(out.feed(events[at : at + size]) for at in range(0, len(events), size))
    assert chunks(told)[:3] == [START, {"type": "ping"}, DELTA]


def test_the_last_event_tells_the_usage_where_bedrocks_clients_look():
    """LangChain reads it from there."""
    clock = iter([5, 40])
    told = chunks(frames(elapsed_ms=lambda: next(clock)).feed(wire(START, DELTA, STOP)))
    assert told[-1] == {
        "type": "message_stop",
        METRICS: {"inputTokenCount": 3, "outputTokenCount": 8, "invocationLatency": 40, "firstByteLatency": 5},
    }


def test_bedrocks_own_figures_are_left_alone():
    stop = {**STOP, METRICS: {"inputTokenCount": 99}}
    assert chunks(frames().feed(wire(START, stop)))[-1] == stop


def test_an_error_event_is_an_exception():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    assert frames().feed(wire(error)) == b"[" + json.dumps(error).encode() + b"]"


def test_comments_are_nobodys_chunk():
    assert frames().feed(b": keep-alive\n\n") == b""


def test_a_last_event_that_is_nonsense_passes_as_it_is():
    out = Decoder().feed(frames().feed(b"event: message_stop\ndata: nonsense\n\n"))
    assert base64.b64decode(json.loads(out[0].payload)["bytes"]) == b"nonsense"


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"data: {}\n\n", b"event: error\n", b"event: message_stop\n"])))
)
def test_whatever_comes_is_whole_frames_or_a_plain_refusal(pieces):
    """The network cuts where it likes and providers send what they like."""
    out = frames(exception=lambda _: b"")
    decoder = Decoder()
    for piece in pieces:
        decoder.feed(out.feed(piece))
    decoder.close()


def test_an_event_that_is_no_json_passes_uncounted():
    """What it means is its reader's business."""
    assert Decoder().feed(frames().feed(b"event: message_delta\ndata: {\n\n"))[0].payload == b'{"bytes":"ew=="}'
