"""Streams, written for a client."""

import json

import msgspec
import pytest

from gatewright.dialects.anthropic import ANTHROPIC
from gatewright.errors import Problem
from gatewright.ir.blocks import Inline, Media, Native, Reasoning, Refusal, Text, TokenLogprob, ToolCall
from gatewright.ir.events import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    MessageStart,
    MessageStop,
    NativeEvent,
    ReasoningDelta,
    SealDelta,
    StreamError,
    TextDelta,
    UsageUpdate,
)
from gatewright.ir.response import Finish, Usage
from gatewright.ir.seal import Seal
from tests.dialects.anthropic.asking import (
    END,
    block_start,
    block_stop,
    call,
    delta,
    events_of,
    message_delta,
    start,
    wire,
    wire_events,
)

CLIENT = ANTHROPIC.parse_request(call())
BEGIN = MessageStart(id="c1", model="m", origin="openai_chat", created=5, extras={"system_fingerprint": "fp"})
STOP = MessageStop(finish=Finish(reason="stop", raw="stop"))


def render(*events):
    renderer = ANTHROPIC.stream_renderer(CLIENT)
    return wire_events(renderer.render(events)), renderer.losses


def arguments_of(*pieces, origin="openai_chat"):
    told, losses = render(
        msgspec.structs.replace(BEGIN, origin=origin),
        BlockStart(0, ToolCall(id="t", name="n", arguments="", at="here")),
        *[ArgumentsDelta(0, piece) for piece in pieces],
        BlockStop(0),
        STOP,
    )
    return "".join(event["delta"]["partial_json"] for event in told if event["type"] == "content_block_delta"), losses


def test_the_order_of_events_is_the_apis():
    """Start, block, deltas, stop, message_delta, message_stop; zeros first, the truth at the end."""
    told, losses = render(
        BEGIN,
        BlockStart(0, Text(text="")),
        TextDelta(0, "Hé\u2028"),
        BlockStop(0),
        UsageUpdate(Usage(input=7, cache_read=2, output=3, reasoning=1, raw={"x": 1})),
        STOP,
    )
    assert [event["type"] for event in told] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert told[0]["message"]["usage"]["input_tokens"] == 0
    assert told[4]["usage"]["input_tokens"] == 7
    assert told[4]["usage"]["cache_read_input_tokens"] == 2
    assert told[4]["usage"]["output_tokens"] == 4
    assert [loss.path for loss in losses] == ["created", "system_fingerprint"]


def test_names_and_data_agree():
    """The SDKs read the event's name, some clients its type."""
    data = ANTHROPIC.stream_renderer(CLIENT).render([BEGIN, BlockStart(0, Text(text="")), TextDelta(0, "a"), BlockStop(0), STOP])
    for block in data.decode().strip().split("\n\n"):
        name, body = block.split("\n")
        assert name.removeprefix("event: ") == json.loads(body.removeprefix("data: "))["type"]


def test_a_stream_at_home_comes_back():
    """Parsed and rendered, it tells the same."""
    data = wire(
        start(usage={"input_tokens": 3, "output_tokens": 1, "service_tier": "standard"}),
        block_start(0, type="text", text="", citations=[]),
        delta(0, type="citations_delta", citation={"type": "char_location", "cited_text": "x"}),
        delta(0, type="text_delta", text="y"),
        block_stop(0),
        block_start(1, type="compaction", content=None),
        delta(1, type="compaction_delta", content="short"),
        block_stop(1),
        {"type": "tide"},
        message_delta(input_tokens=3),
        END,
    )
    told, losses = render(*events_of(data))
    assert told == wire_events(data)
    assert losses == []


def test_batches_do_not_change_the_wire():
    """However the events arrive, the bytes are the same."""
    events = events_of(
        wire(
            start(),
            block_start(0, type="text", text=""),
            delta(0, type="text_delta", text="y"),
            block_stop(0),
            message_delta(),
            END,
        )
    )
    one = ANTHROPIC.stream_renderer(CLIENT)
    whole = ANTHROPIC.stream_renderer(CLIENT).render(events)
    assert b"".join(one.render([event]) for event in events) == whole


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (['{"a": ', '"}\\', '""', "}"], '{"a": "}\\""}'),
        (["", " ", '{"a"', ":[{}]}"], '{"a":[{}]}'),
        (["{}", '{"location": 1}'], "{}"),
        (["[1", "]"], '{"_raw":"[1]"}'),
        (["see you"], '{"_raw":"see you"}'),
        (['{"a": "cut'], '{"a": "cut'),
        (['{"a": "\\\\', '"}', "x"], '{"a": "\\\\"}'),
    ],
)
def test_arguments_stay_one_object(pieces, shown):
    """The SDK's reader raises on anything else; what is held back is said."""
    told, losses = arguments_of(*pieces)
    assert told == shown
    joined = "".join(pieces).strip()
    assert bool([loss for loss in losses if loss.path == "here.arguments"]) == (joined != shown)


def test_calls_that_are_signed_late_carry_their_seal_before_them():
    """Gemini tells a call whole and signs it; the carrier has to be replayed before the call."""
    told, _ = render(
        msgspec.structs.replace(BEGIN, origin="gemini"),
        BlockStart(0, ToolCall(id="t", name="n", arguments="")),
        ArgumentsDelta(0, '{"a":1}'),
        SealDelta(0, Seal(dialect="gemini", data="sig")),
        BlockStop(0),
        STOP,
    )
    starts = [(event["index"], event["content_block"]["type"]) for event in told if event["type"] == "content_block_start"]
    assert starts == [(0, "redacted_thinking"), (1, "tool_use")]


def test_summaries_are_paragraphs_of_one_thinking():
    """Responses tells reasoning in parts."""
    told, _ = render(
        msgspec.structs.replace(BEGIN, origin="openai_responses"),
        BlockStart(0, Reasoning(id="rs")),
        ReasoningDelta(0, "One", 0),
        ReasoningDelta(0, ".", 0),
        ReasoningDelta(0, "Two.", 1),
        SealDelta(0, Seal(dialect="openai_responses", data="enc", ref="rs")),
        BlockStop(0),
        STOP,
    )
    deltas = [event["delta"] for event in told if event["type"] == "content_block_delta"]
    assert "".join(piece.get("thinking", "") for piece in deltas) == "One.\n\nTwo."
    assert deltas[-1]["signature"].startswith("gw1.")


def test_what_cannot_be_said_falls_out_and_indices_stay_dense():
    """Pictures and foreign blocks are losses; the wire counts what it shows."""
    told, losses = render(
        BEGIN,
        BlockStart(0, Media(kind="image", source=Inline(media_type="image/png", data="iVBO"), at="p")),
        BlockStop(0),
        BlockStart(1, Native(origin="openai_chat", data={"x": 1}, at="q")),
        BlockStop(1),
        BlockStart(2, Refusal(text="")),
        TextDelta(2, "No."),
        BlockStop(2),
        STOP,
    )
    assert [event["index"] for event in told if "index" in event] == [0, 0, 0]
    assert {"p", "q"} <= {loss.path for loss in losses}
    assert told[-2]["delta"]["stop_reason"] == "refusal"


def test_an_error_ends_the_stream_in_the_clients_words():
    """And nothing comes after it."""
    renderer = ANTHROPIC.stream_renderer(CLIENT)
    wire_ = renderer.render([BEGIN, StreamError(Problem(kind="overloaded", message="busy"))])
    assert wire_events(wire_)[-1] == {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    assert wire_.rsplit(b"event: ", 1)[1].startswith(b"error\n")
    assert renderer.render([STOP]) == b""


def test_logprobs_are_said_and_the_text_is_kept():
    """Messages have none."""
    told, losses = render(
        BEGIN,
        BlockStart(0, Text(text="", at="t")),
        TextDelta(0, "a", (TokenLogprob(token="a", logprob=-1.0),)),
        BlockStop(0),
        STOP,
    )
    assert told[2]["delta"]["text"] == "a"
    assert "t.logprobs" in [loss.path for loss in losses]


def test_foreign_events_are_said_once():
    """A keep-alive a second would fill the memory."""
    native = NativeEvent(origin="openai_chat", data={"x": 1}, name="keepalive")
    told, losses = render(BEGIN, native, native, native, STOP)
    assert [loss.path for loss in losses].count("keepalive") == 1
    assert [event["type"] for event in told] == ["message_start", "message_delta", "message_stop"]


def test_keepalive_is_the_dialects_own_ping():
    """Clients know it and show nothing."""
    assert wire_events(ANTHROPIC.stream_renderer(CLIENT).keepalive()) == [{"type": "ping"}]
