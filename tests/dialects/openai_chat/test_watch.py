"""Streams that pass through."""

import pytest

from gatewright.dialects.openai_chat import OPENAI_CHAT
from tests.dialects.openai_chat.sample import call, chunk, wire
from tests.passing import pieces, watched

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
TEXT = wire(chunk({"role": "assistant", "content": ""}), chunk({"content": "é☸"}), chunk({}, "stop"), done=False)
ONLY = wire({**chunk(), "choices": [], "usage": USAGE}, done=False)
DONE = b"data: [DONE]\n\n"


def passed(data: bytes, size: int, *, asked: bool):
    options = {"stream_options": {"include_usage": True}} if asked else {}
    watch = OPENAI_CHAT.watch(call(stream=True, **options))
    return watched(watch, pieces(data, size)), watch


@pytest.mark.parametrize("size", [1, 5, 80, 10_000])
@pytest.mark.parametrize("asked", [True, False])
def test_only_the_unasked_usage_chunk_is_left_out(size, asked):
    """Every other byte goes on as it came."""
    out, watch = passed(TEXT + ONLY + DONE, size, asked=asked)
    assert out == (TEXT + ONLY + DONE if asked else TEXT + DONE)
    assert (watch.usage.output, watch.content, watch.finished, watch.problem) == (2, True, True, None)


@pytest.mark.parametrize("size", [1, 10_000])
def test_usage_beside_choices_passes(size):
    """Only a chunk that tells nothing else may go."""
    data = b": ping\n\n" + wire(chunk({"content": "a"}, "stop", usage=USAGE)).replace(b"\n", b"\r\n")
    out, watch = passed(data, size, asked=False)
    assert out == data
    assert watch.usage.output == 2


def test_an_error_within_a_stream_is_seen():
    """A breaker keyed on the status alone is blind to it."""
    data = TEXT[:-2] + b'\n\nevent: error\ndata: {"error":{"message":"x","type":"server_error"}}\n\n'
    out, watch = passed(data, 9, asked=False)
    assert out == data
    assert watch.problem.message == "x"


def test_a_stream_without_an_end_is_not_finished():
    """The gateway must know a cut from an end."""
    _, watch = passed(wire(chunk({"content": "a"}), done=False), 50, asked=True)
    assert (watch.finished, watch.content, watch.usage) == (False, True, None)
