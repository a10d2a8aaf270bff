"""Streams for a Converse client, as boto3 reads them."""

import pytest
from botocore.exceptions import EventStreamError

from gatewright.dialects.bedrock_converse import BEDROCK_CONVERSE
from gatewright.errors import Problem
from gatewright.ir.blocks import Citation, Native, Reasoning, Refusal, Text, ToolCall
from gatewright.ir.events import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    MessageStart,
    MessageStop,
    NativeEvent,
    SealDelta,
    StreamError,
    TextDelta,
    UsageUpdate,
)
from gatewright.ir.fold import unfold
from gatewright.ir.response import Finish, Response, Usage
from gatewright.ir.seal import Seal
from tests.dialects.bedrock_converse.asking import ask, frames, parsed
from tests.laws import bedrock_oracle

REQUEST = parsed(ask("Hi"), stream=True)


def renderer():
    return BEDROCK_CONVERSE.stream_renderer(REQUEST)


def told(*blocks, origin="openai_chat", **more):
    response = Response(origin=origin, id="x", model="m", blocks=blocks, finish=Finish(reason="stop"), **more)
    return renderer().render(unfold(response))


def start(origin="anthropic"):
    return MessageStart(id="m", model="m", origin=origin)


def test_boto3_reads_what_is_rendered():
    wire = told(
        Reasoning(text="r"),
        Text(text="a\u2028b"),
        ToolCall(id="c", name="f", arguments='{"x":1}'),
        usage=Usage(input=2, output=3),
    )
    events = list(bedrock_oracle.read_stream(wire))
    assert [next(iter(event)) for event in events] == [
        "messageStart", "contentBlockDelta", "contentBlockStop", "contentBlockDelta", "contentBlockStop",
        "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
    ]  # fmt: skip
    assert events[3]["contentBlockDelta"]["delta"]["text"] == "a\u2028b"
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"
    assert events[-1]["metadata"]["usage"] == {"inputTokens": 2, "outputTokens": 3, "totalTokens": 5}


def test_boto3_reads_past_a_keep_alive():
    """An event that no SDK has a shape for; nothing is said after the end."""
    mine = renderer()
    wire = (
        mine.render([start()]) + mine.keepalive() + mine.render([BlockStart(0, Text(text="")), TextDelta(0, "a"), BlockStop(0)])
    )
    assert mine.keepalive()
    assert [next(iter(event)) for event in bedrock_oracle.read_stream(wire)] == [
        "messageStart", "contentBlockDelta", "contentBlockStop",
    ]  # fmt: skip
    mine.render([MessageStop(finish=None)])
    assert mine.keepalive() == b""


def test_an_error_is_an_exception_frame_that_boto3_raises():
    wire = renderer().render([start(), StreamError(Problem(kind="rate_limit", message="slow down"))])
    with pytest.raises(EventStreamError, match=r"throttlingException.*slow down"):
        list(bedrock_oracle.read_stream(wire))


def test_an_empty_text_takes_no_number():
    """Sent back, Bedrock would refuse it."""
    numbers = [payload.get("contentBlockIndex") for _, payload in frames(told(Text(text=""), Text(text="a")))]
    assert [number for number in numbers if number is not None] == [0, 0]


def test_arguments_that_are_no_object_are_wrapped_or_cut():
    """A client reads the pieces as one JSON object."""

    def inputs(*pieces):
        events = [start("openai_chat"), BlockStart(0, ToolCall(id="c", name="f", arguments=""))]
        events += [ArgumentsDelta(0, piece) for piece in pieces]
        wire = renderer().render([*events, BlockStop(0)])
        return "".join(p["delta"]["toolUse"]["input"] for name, p in frames(wire) if name == "contentBlockDelta")

    assert inputs('{"a"', ":1}") == '{"a":1}'
    assert inputs() == "{}"
    assert inputs("{}", '{"b":2}') == "{}"
    assert inputs("oops") == '{"_raw":"oops"}'


def test_a_late_seal_of_a_call_follows_it_and_comes_back():
    seal = Seal(dialect="openai_chat", data="S")
    call = ToolCall(id="c", name="f", arguments="{}")
    wire = renderer().render([start("openai_chat"), BlockStart(0, call), SealDelta(0, seal), BlockStop(0)])
    pieces = [
        p["delta"]["reasoningContent"]
        for name, p in frames(wire)
        if name == "contentBlockDelta" and "reasoningContent" in p["delta"]
    ]
    history = [{"toolUse": {"toolUseId": "c", "name": "f", "input": {}}}, {"reasoningContent": pieces[0]}]
    (block,) = parsed({"messages": [{"role": "assistant", "content": history}]}).messages[0].blocks
    assert block.seal == seal


def test_a_late_seal_of_the_last_text_is_told_as_lost():
    mine = renderer()
    seal = Seal(dialect="gemini", data="S")
    mine.render(
        [
            start("gemini"),
            BlockStart(0, Text(text="")),
            TextDelta(0, "a"),
            SealDelta(0, seal),
            BlockStop(0),
            MessageStop(finish=None),
        ]
    )
    assert [loss.value for loss in mine.losses if loss.path.endswith("signature")] == ["S"]


def test_natives_refusals_and_citations():
    wire = told(
        Refusal(text="no"),
        Text(text="x", citations=(Citation(kind="u", origin="openai_chat", url="https://x"),)),
        Native(origin="openai_chat", data={"type": "x"}),
    )
    deltas = [payload["delta"] for name, payload in frames(wire) if name == "contentBlockDelta"]
    assert deltas == [{"text": "no"}, {"text": "x"}, {"citation": {"location": {"web": {"url": "https://x"}}}}]


def test_home_events_keep_their_own():
    """Tools that Bedrock ran, events that nobody knows, late fields in their places, and no metadata where there were none."""
    native = Native(
        origin="bedrock_converse", data={"toolUse": {"toolUseId": "t", "name": "n", "input": {"q": 1}, "type": "server_tool_use"}}
    )
    mine = renderer()
    wire = mine.render(
        [
            start("bedrock_converse"), BlockStart(0, native), BlockStop(0),
            NativeEvent(origin="bedrock_converse", name="tideTable", data={"a": 1}),
            UsageUpdate(Usage(input=1, raw={"inputTokens": 1})),
            MessageStop(finish=Finish(reason="other", raw="sun_down"), extras={"trace": {}, "additionalModelResponseFields": {"x": 1}}),
        ]
    )  # fmt: skip
    assert frames(wire)[1:] == [
        (
            "contentBlockStart",
            {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "n", "type": "server_tool_use"}}},
        ),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": '{"q":1}'}}}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("tideTable", {"a": 1}),
        ("messageStop", {"stopReason": "sun_down", "additionalModelResponseFields": {"x": 1}}),
        ("metadata", {"trace": {}, "usage": {"inputTokens": 1}}),
    ]
    bare = renderer().render([start("bedrock_converse"), MessageStop(finish=Finish(reason="stop", raw="end_turn"))])
    assert [name for name, _ in frames(bare)] == ["messageStart", "messageStop"]
