"""Streams, both ways."""

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from gatewright.dialects.openai_responses import OPENAI_RESPONSES
from gatewright.errors import Problem
from gatewright.ir.blocks import Native, Reasoning, Text, ToolCall
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
)
from gatewright.ir.fold import fold
from gatewright.ir.response import Finish
from gatewright.ir.seal import Seal
from tests.dialects.openai_responses.speaking import ANYONE, completed, created, lines, read, request_of, told

SDK = TypeAdapter(ResponseStreamEvent)
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}


def added(index, item):
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index, item):
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def call(name, arguments=""):
    return {"type": "function_call", "id": f"fc_{name}", "call_id": f"call_{name}", "name": name, "arguments": arguments}


def arguments(index, text):
    return {"type": "response.function_call_arguments.delta", "output_index": index, "item_id": "x", "delta": text}


def rendered(*events, request=ANYONE):
    found = told(OPENAI_RESPONSES.stream_renderer(request).render(events))
    for event in found:
        SDK.validate_python(event)
    return found


def started(origin="anthropic"):
    return MessageStart(id="msg_1", model="claude", origin=origin)


def test_interleaved_calls_are_told_one_after_another():
    """Clients' accumulators break on alternating deltas."""
    wire = lines(
        created(),
        added(0, call("a")),
        added(1, call("b")),
        arguments(1, "{1"),
        arguments(0, "{0"),
        done(1, call("b", "{1}")),
        arguments(0, "}"),
        done(0, call("a", "{0}")),
        completed(),
    )
    events = [event for event in read(wire) if isinstance(event, BlockStart | ArgumentsDelta)]
    assert [type(event).__name__ for event in events] == ["BlockStart"] + ["ArgumentsDelta"] * 2 + [
        "BlockStart",
        "ArgumentsDelta",
    ]
    assert [block.arguments for block in fold(read(wire)).blocks] == ["{0}", "{1"]


@pytest.mark.parametrize("size", [0, 1, 3])
def test_any_chunking_and_framing_gives_the_same_events(size):
    """Byte by byte, CRLF, comments, [DONE], a missing last blank line: the same answer."""
    wire = lines(created(), added(0, MESSAGE), {"type": "keepalive"}, completed(MESSAGE)).replace(b"\n\n", b"\n\n: c\n\n", 1)
    plain = read(wire)
    assert read(wire + b"data: [DONE]\n\n", size) == plain
    assert read(wire.replace(b"\n", b"\r\n").rstrip(), size) == plain


def test_a_host_without_deltas_is_read_from_its_ends():
    """Some servers tell texts, arguments and reasoning only when they are whole."""
    text = {**MESSAGE, "content": [{"type": "output_text", "text": "hi", "annotations": []}]}
    thought = {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "E"}
    items = (thought, text, call("f", "{}"))
    for wire in (lines(created(), *(done(i, item) for i, item in enumerate(items)), completed()), lines(completed(*items))):
        blocks = fold(read(wire)).blocks
        assert blocks[0].summary == ("hm",)
        assert blocks[0].seal == Seal(dialect="openai_responses", data="E", issuer="openai", ref="rs", kind="reasoning.encrypted")
        assert (blocks[1].text, blocks[2].arguments) == ("hi", "{}")


def test_hosted_items_tell_their_progress():
    """Events of a hosted item lie within its block, and the end adds what it found."""
    item = {"type": "web_search_call", "id": "ws", "status": "in_progress"}
    note = {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws"}
    events = read(lines(created(), added(0, item), note, done(0, {**item, "status": "completed", "action": {}}), completed()))
    assert [type(event) for event in events[1:4]] == [BlockStart, NativeEvent, BlockStop]
    assert fold(events).blocks[0] == Native(origin="openai_responses", data=item, extras={"status": "completed", "action": {}})


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "code": "server_error", "message": "x"}, "upstream"),
        ({"type": "error", "error": {"code": "insufficient_quota", "message": "x"}}, "billing"),
        ({"error": {"message": "x", "code": 429}}, "rate_limit"),
        (
            {
                "type": "response.failed",
                "response": {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "x"}},
            },
            "rate_limit",
        ),
    ],
)
def test_every_error_in_a_stream_ends_it(event, kind):
    """In any spelling; what comes after is not read."""
    events = read(lines(created(), event, completed()))
    assert isinstance(events[-1], StreamError)
    assert (events[-1].problem.kind, events[-1].problem.message) == (kind, "x")


@pytest.mark.parametrize("tail", [b"", b"data: {\n\n", b"data: 7\n\n", b'data: {"type":"response.output_item.added"'])
def test_nonsense_and_cuts_are_errors(tail):
    """A cut stream is never a clean stop."""
    assert isinstance(read(lines(created()) + tail)[-1], StreamError)


def test_events_come_in_the_official_order():
    """Reasoning, text and a call: each item opens, tells and closes; the last event holds them all."""
    found = rendered(
        started(),
        BlockStart(0, Reasoning()),
        ReasoningDelta(0, "hm"),
        SealDelta(0, Seal(dialect="anthropic", data="S")),
        BlockStop(0),
        BlockStart(1, Text(text="")),
        TextDelta(1, "Hi"),
        BlockStop(1),
        BlockStart(2, ToolCall(id="c", name="f", arguments="")),
        ArgumentsDelta(2, "{}"),
        BlockStop(2),
        MessageStop(finish=Finish(reason="tool_calls")),
    )
    assert [event["type"].removeprefix("response.") for event in found] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    items = [event["item"] for event in found if event["type"] == "response.output_item.done"]
    assert found[-1]["response"]["output"] == items


def test_a_freeform_call_is_held_until_its_text_is_known():
    """Its upstream wrote it as JSON; half of an escape must not be shown."""
    request = request_of(input="x", tools=[{"type": "custom", "name": "patch"}])
    found = rendered(
        started(),
        BlockStart(0, ToolCall(id="c", name="patch", arguments="")),
        ArgumentsDelta(0, '{"input":"a\\'),
        ArgumentsDelta(0, 'nb"}'),
        BlockStop(0),
        MessageStop(finish=None),
        request=request,
    )
    assert [event["delta"] for event in found if event["type"] == "response.custom_tool_call_input.delta"] == ["a\nb"]


def test_an_error_after_the_start_also_fails_the_response():
    """Clients wait for a terminal event; before the start there is no response to fail."""
    problem = Problem(kind="overloaded", message="busy")
    assert [event["type"] for event in rendered(StreamError(problem))] == ["error"]
    found = rendered(started(), StreamError(problem))
    assert [event["type"] for event in found[2:]] == ["error", "response.failed"]
    assert found[-1]["response"]["error"] == {"code": "server_error", "message": "busy"}


def test_deltas_one_by_one_and_in_bulk_are_the_same_bytes():
    """The short way for text is only shorter."""
    events = [started(), BlockStart(0, Text(text="")), *(TextDelta(0, f'"{i}\u2028') for i in range(5)), BlockStop(0)]
    one, bulk = OPENAI_RESPONSES.stream_renderer(ANYONE), OPENAI_RESPONSES.stream_renderer(ANYONE)
    assert b"".join(one.render([event]) for event in events) == bulk.render(events)


def test_events_without_an_output_index_are_about_the_open_item():
    """Some hosts leave it out, and roles and empty texts with it."""
    bare = {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "Hi"}]}
    wire = lines(
        created(),
        {"type": "response.output_item.added", "item": {"type": "message", "id": "msg_1"}},
        {"type": "response.content_part.added", "item_id": "msg_1", "part": {"type": "output_text", "text": None}},
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "Hi"},
        {"type": "response.output_item.done", "item": bare},
        {"type": "response.output_item.added", "output_index": 1.0, "item": call("f")},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_f", "delta": "{}"},
        {"type": "response.output_item.done", "item": call("f", "{}")},
        completed(),
    )
    text, made = fold(read(wire)).blocks
    assert isinstance(text, Text)
    assert text.text == "Hi"
    assert isinstance(made, ToolCall)
    assert made.arguments == "{}"
