"""Streams, read."""

import json

import pytest

from gatewright.dialects.anthropic import ANTHROPIC
from gatewright.ir.blocks import Native, Reasoning, Text, ToolCall
from gatewright.ir.events import (
    ArgumentsDelta,
    BlockStart,
    CitationDelta,
    Grammar,
    MessageStart,
    MessageStop,
    NativeEvent,
    StreamError,
    TextDelta,
    UsageUpdate,
)
from gatewright.ir.fold import fold
from gatewright.ir.request import Asked
from gatewright.ir.response import Finish
from gatewright.wire.sse import MAX_EVENT_BYTES
from tests.dialects.anthropic.asking import END, block_start, block_stop, delta, events_of, message_delta, start, wire

TEXT = (
    block_start(0, type="text", text=""),
    delta(0, type="text_delta", text="Hé "),
    delta(0, type="text_delta", text="🌊"),
    block_stop(0),
)
WHOLE = wire(start(), *TEXT, message_delta(), END)


def checked(events):
    grammar = Grammar()
    for event in events:
        grammar.check(event)
    assert grammar.state == "end"
    return events


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_chunking_gives_the_same_events(size, end):
    """Byte by byte, within a character, with any line end, after a BOM and comments, without the last blank line."""
    data = b"\xef\xbb\xbf: hello\n\n" + wire(start(), *TEXT, message_delta(), END, end=end).rstrip()
    parser = ANTHROPIC.stream_parser(Asked())
    found = []
    for at in range(0, len(data), size):
        found += parser.feed(data[at : at + size])
    found += parser.close()
    assert checked(found) == events_of(WHOLE)


def test_one_delta_is_one_event():
    """Nothing is joined, so that nothing is delayed."""
    texts = [event.text for event in events_of(WHOLE) if isinstance(event, TextDelta)]
    assert texts == ["Hé ", "🌊"]


def test_the_last_word_on_usage_wins():
    """message_delta is cumulative; server tools can raise the input tokens severalfold."""
    data = wire(
        start(usage={"input_tokens": 10, "output_tokens": 1, "service_tier": "standard"}), message_delta(input_tokens=4000), END
    )
    usage = fold(events_of(data)).usage
    assert usage is not None
    assert (usage.input, usage.output, usage.service_tier) == (4000, 5, "standard")
    assert usage.raw == {"input_tokens": 4000, "output_tokens": 5, "service_tier": "standard"}


def test_null_in_the_last_usage_does_not_erase_what_was_said():
    """A null says nothing."""
    data = wire(start(usage={"input_tokens": 10, "output_tokens": 1}), message_delta(input_tokens=None), END)
    usage = fold(events_of(data)).usage
    assert usage is not None
    assert usage.input == 10


def test_server_tools_come_whole():
    """A block only this dialect knows is held back until its input is complete."""
    data = wire(
        start(),
        block_start(0, type="server_tool_use", id="s", name="web_search", input={}),
        delta(0, type="input_json_delta", partial_json='{"q'),
        delta(0, type="input_json_delta", partial_json='": 1}'),
        block_stop(0),
        message_delta(),
        END,
    )
    (block,) = fold(checked(events_of(data))).blocks
    assert isinstance(block, Native)
    assert block.data == {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}}


def test_a_call_without_input_is_an_empty_object():
    """As in a whole answer; empty deltas say nothing."""
    data = wire(
        start(),
        block_start(0, type="tool_use", id="t", name="n", input={}),
        delta(0, type="input_json_delta", partial_json=""),
        block_stop(0),
        message_delta("tool_use"),
        END,
    )
    (call,) = fold(checked(events_of(data))).blocks
    assert isinstance(call, ToolCall)
    assert call.arguments == "{}"


def test_an_input_told_at_once_is_kept():
    """Some hosts send the whole input with the start."""
    data = wire(
        start(), block_start(0, type="tool_use", id="t", name="n", input={"a": 1}), block_stop(0), message_delta("tool_use"), END
    )
    assert [event.text for event in events_of(data) if isinstance(event, ArgumentsDelta)] == ['{"a":1}']


def test_thinking_with_a_signature_and_nothing_else():
    """Losing it loses the reasoning."""
    data = wire(
        start(),
        block_start(0, type="thinking", thinking="", signature=""),
        delta(0, type="signature_delta", signature="Sig"),
        block_stop(0),
        message_delta(),
        END,
    )
    (block,) = fold(checked(events_of(data, Asked(issuer="eu")))).blocks
    assert isinstance(block, Reasoning)
    assert block.seal is not None
    assert (block.text, block.seal.data, block.seal.issuer) == ("", "Sig", "eu")


def test_the_forced_tool_streams_as_text():
    """The client asked for JSON, not for a call."""
    data = wire(
        start(),
        block_start(0, type="tool_use", id="t", name="answer", input={}),
        delta(0, type="input_json_delta", partial_json='{"n":'),
        delta(0, type="input_json_delta", partial_json="1}"),
        block_stop(0),
        message_delta("tool_use"),
        END,
    )
    answer = fold(checked(events_of(data, Asked(json_tool="answer"))))
    assert [block.text for block in answer.blocks if isinstance(block, Text)] == ['{"n":1}']
    assert answer.finish == Finish(reason="stop")


def test_citations_come_as_deltas():
    """And stay with their text."""
    data = wire(
        start(),
        block_start(0, type="text", text="", citations=[]),
        delta(0, type="citations_delta", citation={"type": "char_location", "cited_text": "x", "document_index": 0}),
        delta(0, type="text_delta", text="y"),
        block_stop(0),
        message_delta(),
        END,
    )
    (citation,) = [event.citation for event in events_of(data) if isinstance(event, CitationDelta)]
    assert (citation.kind, citation.cited, citation.extras) == ("char_location", "x", {"document_index": 0})


def test_unknown_events_and_deltas_are_native():
    """Whatever comes tomorrow passes at home."""
    data = wire(
        start(), {"type": "tide"}, TEXT[0], delta(0, type="wave_delta", wave=1), TEXT[3], {"type": "ping"}, message_delta(), END
    )
    assert [event.data["type"] for event in checked(events_of(data)) if isinstance(event, NativeEvent)] == [
        "tide",
        "content_block_delta",
    ]


def test_a_cut_stream_is_an_error():
    """A cut is never a clean stop."""
    events = checked(events_of(wire(start(), *TEXT[:2])))
    assert isinstance(events[-1], StreamError)
    assert "cut off" in events[-1].problem.message


def test_a_stream_that_told_its_reason_has_ended():
    """Some hosts leave out message_stop."""
    events = checked(events_of(wire(start(), *TEXT, message_delta("max_tokens"))))
    assert isinstance(events[-1], MessageStop)
    assert events[-1].finish is not None
    assert events[-1].finish.reason == "length"


def test_an_error_event_ends_the_stream_as_what_it_is():
    """Overloaded within a 200."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    events = checked(events_of(wire(start(), *TEXT[:2], error, *TEXT[2:], END)))
    assert isinstance(events[-1], StreamError)
    assert events[-1].problem.kind == "overloaded"
    assert events[-1].problem.raw == error


@pytest.mark.parametrize(
    "nonsense",
    [
        b"data: {\n\n",
        b"data: []\n\n",
        b'data: "x"\n\n',
        b"event: content_block_delta\ndata: null\n\n",
        b'data: {"type": 3}\n\n',
        b'data: {"type": "content_block_start", "index": 0}\n\n',
        b'data: {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": 7}}\n\n',
        b'data: {"type": "content_block_delta", "index": 9, "delta": {"type": "text_delta", "text": "x"}}\n\n',
        b'data: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 7}}\n\n',
        b'data: {"type": "content_block_delta", "index": "x", "delta": {"type": "text_delta", "text": "x"}}\n\n',
        b"data: \xff\xfe\n\n",
        b"data: " + b"[" * 100_000 + b"\n\n",
        b"data: " + b"x" * (MAX_EVENT_BYTES + 1),
    ],
    ids=range(13),
)
def test_nonsense_is_one_error_and_then_silence(nonsense):
    """Never an exception, never a stop."""
    parser = ANTHROPIC.stream_parser(Asked())
    events = parser.feed(wire(start(), *TEXT[:2]))
    events += parser.feed(nonsense)
    assert isinstance(events[-1], StreamError)
    assert events[-1].problem.kind == "upstream"
    assert parser.feed(wire(*TEXT, message_delta(), END)) == []
    assert parser.close() == []
    checked(events)


def test_a_character_cut_in_two_by_the_model_is_mended():
    """A lone surrogate in the provider's JSON becomes U+FFFD."""
    data = wire(start(), TEXT[0]) + b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    data += b'"delta":{"type":"text_delta","text":"a\\ud83d"}}\n\n'
    (text,) = [event for event in events_of(data, closed=False) if isinstance(event, TextDelta)]
    assert text.text == "a\ufffd"


def test_a_stream_without_a_beginning_still_has_one():
    """Some hosts leave out message_start and the start of a block."""
    events = checked(events_of(wire(TEXT[1], block_stop(0), message_delta(), END), Asked(model="m")))
    assert isinstance(events[0], MessageStart)
    assert events[0].model == "m"
    assert isinstance(events[1], BlockStart)
    assert fold(events).blocks == (Text(text="Hé ", at="content[0]"),)


def test_done_and_empty_events_say_nothing():
    """Hosts of other habits send them."""
    data = WHOLE.replace(b"event: message_stop", b"data: [DONE]\n\nevent: ping\n\nevent: message_stop")
    assert events_of(data) == events_of(WHOLE)


def test_late_fields_belong_to_the_message():
    """Container and context management are told at the end."""
    late = message_delta()
    late["delta"]["container"] = {"id": "c"}
    late["context_management"] = {"applied_edits": []}
    answer = fold(events_of(wire(start(), late, END)))
    assert answer.extras == {"container": {"id": "c"}, "stop_sequence": None, "context_management": {"applied_edits": []}}


def test_usage_is_told_at_the_start_too():
    """So that an abort can be settled."""
    assert any(isinstance(event, UsageUpdate) for event in events_of(wire(start()), closed=False))
    assert json.loads(WHOLE.split(b"data: ")[1].split(b"\n")[0])["type"] == "message_start"


def test_fields_that_nobody_knows_yet_stand_with_the_message():
    """`estimated_tokens` of a thinking delta was new once; whatever an event says beside what is known is not lost."""
    events = checked(
        events_of(
            wire(
                start(),
                block_start(0, type="thinking", thinking="", signature=""),
                delta(0, type="thinking_delta", thinking="Hm", estimated_tokens=7),
                {**block_stop(0), "took_ms": 5},
                message_delta(),
                {**END, "farewell": "x"},
            )
        )
    )
    extras = events[-1].extras
    assert (extras["estimated_tokens"], extras["took_ms"], extras["farewell"]) == (7, 5, "x")


def test_what_goes_without_saying_may_be_left_out():
    """Hosts of this dialect drop constants, empty texts, indices and types that the event's name tells."""
    lean = [
        ("message_start", {"message": {"id": "m", "model": "x", "content": []}}),
        ("content_block_start", {"content_block": {"type": "text", "text": None}}),
        ("content_block_delta", {"delta": {"type": "text_delta", "text": "Hi"}}),
        ("content_block_stop", {}),
        ("content_block_start", {"index": 1.0, "content_block": {"type": "thinking"}}),
        ("content_block_delta", {"index": 1.0, "delta": {"type": "thinking_delta", "thinking": "Hm"}}),
        ("content_block_stop", {"index": 1.0}),
        ("message_delta", {"delta": {"stop_reason": "end_turn"}}),
        ("message_stop", {}),
    ]
    told = fold(checked(events_of("".join(f"event: {name}\ndata: {json.dumps(body)}\n\n" for name, body in lean).encode())))
    assert [block.text for block in told.blocks] == ["Hi", "Hm"]
    assert told.finish.reason == "stop"
