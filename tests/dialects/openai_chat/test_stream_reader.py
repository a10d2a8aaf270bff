"""Chunks of streams, read: their ends, and what stands beside the answer."""

import pytest

from gatewright.ir.events import MessageStop, NativeEvent, StreamError, UsageUpdate
from gatewright.ir.fold import fold
from tests.dialects.openai_chat.sample import chunk, parse, wire


def test_usage_anywhere_and_a_second_finish_change_nothing_else():
    """Usage beside choices, in every chunk, after the finish: the last figures count."""
    usage = [{"prompt_tokens": 5, "completion_tokens": n, "total_tokens": 5 + n} for n in (1, 2)]
    data = wire(chunk({"content": "a"}, usage=usage[0]), chunk({}, "length"), chunk({"content": ""}, "length", usage=usage[1]))
    events = parse(data)
    assert [event.usage.output for event in events if isinstance(event, UsageUpdate)] == [1, 2]
    assert fold(events).finish.reason == "length"


@pytest.mark.parametrize(
    "data",
    [
        wire(chunk({"content": "a"}), done=False),
        wire(chunk({"content": "a"}), {"error": {"message": "x", "code": 502}}, done=False),
        b'data: {"choices": [\n\n',
        b"data: [1]\n\n",
        b'event: error\ndata: {"message": "x"}\n\n',
        b"data: [DONE]\n\n",
        b"",
    ],
)
def test_what_is_no_clean_end_is_an_error(data):
    """A cut or broken stream must never look like success."""
    assert isinstance(parse(data)[-1], StreamError)


def test_a_finish_without_done_is_an_end():
    """Several hosts send no [DONE]."""
    assert isinstance(parse(wire(chunk({"content": "a"}, "stop"), done=False))[-1], MessageStop)


def test_further_choices_travel_beside_the_first():
    """They are for a client of the same dialect alone."""
    other = {"id": "c1", "choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": None}]}
    events = parse(wire(chunk({"content": "a"}), other, chunk({}, "stop")))
    assert [event.data for event in events if isinstance(event, NativeEvent)] == [{"choices": other["choices"]}]
    assert [block.text for block in fold(events).blocks] == ["a"]
