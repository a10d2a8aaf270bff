"""Streams that pass through, watched."""

import pytest

from gatewright.dialects.bedrock_converse import BEDROCK_CONVERSE
from tests import passing
from tests.dialects.bedrock_converse.asking import END, START, ask, call, delta, frame, stop

TEXT = START + delta(0, text="a") + stop(0) + END


def watched(wire, size=0):
    watch = BEDROCK_CONVERSE.watch(call(ask("Hi"), stream=True))
    assert passing.watched(watch, passing.pieces(wire, size or len(wire)), sse=False) == wire
    return watch


@pytest.mark.parametrize("size", [0, 1, 5])
def test_usage_content_and_end_are_seen_and_nothing_is_touched(size):
    watch = watched(TEXT, size)
    assert (watch.usage.input, watch.content, watch.finished, watch.problem) == (3, True, True, None)


def test_an_exception_is_seen():
    watch = watched(START + frame("throttlingException", message="slow down"))
    assert (watch.problem.kind, watch.finished, watch.content) == ("rate_limit", False, False)


def test_a_cut_is_no_end():
    assert not watched(TEXT[: -len(END)]).finished


def test_bytes_that_are_no_frames_pass_unread():
    watch = watched(START + b"garbage that is not a frame at all" + END, 9)
    assert (watch.finished, watch.usage) == (False, None)
