"""Streams that pass through are watched, not touched."""

import json

import pytest

from gatewright.dialects.gemini import GEMINI
from gatewright.ir.request import Target
from tests import passing
from tests.dialects.gemini.asking import STREAM, ask, call, chunk, sse

CHUNKS = [
    chunk({"text": "a"}, usage={"promptTokenCount": 3}),
    chunk({"text": "b"}, usage={"promptTokenCount": 3, "candidatesTokenCount": 2}, finishReason="STOP"),
]


def watched(wire, size, path):
    watch = GEMINI.watch(call(ask("Hi"), path))
    assert passing.watched(watch, passing.pieces(wire, size), sse="alt=sse" in path) == wire
    return watch


@pytest.mark.parametrize("size", [1, 5, 4096])
@pytest.mark.parametrize("alt", [True, False])
def test_bytes_pass_and_the_end_is_known(size, alt):
    """Both framings, any chunking, byte for byte."""
    wire = sse(*CHUNKS) if alt else json.dumps(CHUNKS, indent=1).encode()
    watch = watched(wire, size, STREAM + ("?alt=sse" if alt else ""))
    assert (watch.content, watch.finished, watch.problem) == (True, True, None)
    assert (watch.usage.input, watch.usage.output) == (3, 2)


def test_a_cut_stream_has_not_finished():
    """But its usage so far is known."""
    watch = watched(sse(CHUNKS[0]), 4096, STREAM + "?alt=sse")
    assert (watch.finished, watch.usage.input) == (False, 3)


def test_an_error_is_seen():
    """A breaker keyed on the status alone would be blind to it."""
    watch = watched(sse({"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}}), 4096, STREAM + "?alt=sse")
    assert (watch.problem.kind, watch.content, watch.usage) == ("overloaded", False, None)


def test_nonsense_passes_too():
    """It is not the watch's to judge."""
    watch = watched(b'data: {"finishReason" nonsense\n\n', 3, STREAM + "?alt=sse")
    assert watch.finished is False


def test_a_refused_prompt_is_an_end():
    """It has no finish reason."""
    assert watched(sse({"promptFeedback": {"blockReason": "SAFETY"}}), 4096, STREAM + "?alt=sse").finished is True


def test_a_passing_call_keeps_its_framing():
    """The client's own `alt`, the target's model; the body needs no edits."""
    passing = call(ask("Hi"), "/v1/models/fast:streamGenerateContent?alt=sse&key=secret")
    target = Target(model="gemini-2.5-flash", issuer="google")
    assert GEMINI.pass_path(passing, target) == "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert GEMINI.pass_path(call(ask("Hi"), STREAM), target).endswith(":streamGenerateContent")
    assert GEMINI.pass_edits(passing, target) == {}


def test_usage_of_a_whole_answer():
    """None when there is none."""
    assert GEMINI.read_usage(json.dumps(CHUNKS[1]).encode()).output == 2
    assert GEMINI.read_usage(b"nonsense") is None


def test_peeking_needs_an_object():
    """Model and stream come from the path."""
    peek = GEMINI.peek(call(ask("Hi"), STREAM))
    assert (peek.model, peek.stream) == ("gemini-2.5-flash", True)
