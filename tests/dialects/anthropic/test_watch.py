"""A stream that passes through, watched."""

import pytest

from gatewright.dialects.anthropic import ANTHROPIC
from gatewright.ir.request import Target
from tests.dialects.anthropic.asking import END, block_start, call, delta, message_delta, start, wire
from tests.passing import pieces, watched

HEAD = wire(start(usage={"input_tokens": 3, "output_tokens": 1}))
BODY = wire(block_start(0, type="text", text=""), delta(0, type="text_delta", text='he said "message_stop"'))
TAIL = wire(message_delta(input_tokens=9), END)


@pytest.mark.parametrize("size", [1, 5, 50, 10_000])
@pytest.mark.parametrize("crlf", [False, True])
def test_bytes_pass_as_they_came_and_usage_is_seen(size, crlf):
    """Whatever the chunks."""
    data = HEAD + BODY + TAIL
    data = data.replace(b"\n", b"\r\n") if crlf else data
    watch = ANTHROPIC.watch(call())
    assert watched(watch, pieces(data, size)) == data
    assert watch.usage is not None
    assert (watch.usage.input, watch.usage.output) == (9, 5)
    assert (watch.content, watch.finished, watch.problem) == (True, True, None)


def test_content_and_end_are_known_when_they_pass():
    """A retry is only safe before content; a cut is told by the missing end. Quoted words are no end."""
    watch = ANTHROPIC.watch(call())
    watch.feed(HEAD)
    assert (watch.content, watch.finished) == (False, False)
    watch.feed(BODY)
    assert (watch.content, watch.finished) == (True, False)
    watch.feed(TAIL.rstrip())  # the end of a stream may lack its blank line
    assert watch.finished


@pytest.mark.parametrize(
    ("block", "shows"),
    [
        ({"type": "text", "text": ""}, False),
        ({"type": "thinking", "thinking": "", "signature": ""}, False),
        ({"type": "text", "text": "already"}, True),
        ({"type": "redacted_thinking", "data": "x"}, True),
        ({"type": "tool_use", "id": "t", "name": "f", "input": {}}, True),
        ({"type": "text", "text": "", "citations": None}, True),
    ],
)
def test_a_block_that_was_only_opened_is_no_content(block, shows):
    """Until there is something in it another target may take over. What is spelt in another way counts, to be safe."""
    watch = ANTHROPIC.watch(call())
    watch.feed(HEAD + wire(block_start(0, **block)))
    assert watch.content is shows
    watch.feed(wire(delta(0, type="text_delta", text="x")))
    assert watch.content


def test_an_error_event_is_seen():
    """A breaker keyed on the status would be blind to it."""
    watch = ANTHROPIC.watch(call())
    watch.feed(HEAD + wire({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}))
    assert watch.problem is not None
    assert watch.problem.kind == "overloaded"


def test_nonsense_passes_too():
    """Watching never breaks what passes."""
    watch = ANTHROPIC.watch(call())
    data = b'data: {"type":"message_start"\n\ndata: ["message_"]\n\n\xff"error"\n\n'
    assert watch.feed(data) == data
    assert watch.usage is None


def test_usage_of_a_whole_answer():
    """None where it says none; never an exception."""
    usage = ANTHROPIC.read_usage(b'{"usage": {"input_tokens": 4, "output_tokens": 2}, "content": []}')
    assert usage is not None
    assert (usage.input, usage.output) == (4, 2)
    assert [ANTHROPIC.read_usage(body) for body in (b"", b"[]", b'{"usage": null}', b'{"usage": 3}')] == [None] * 4


def test_passing_edits_only_the_model():
    """An unedited body keeps its bytes; the query goes along."""
    passing = call()
    assert ANTHROPIC.pass_edits(passing, Target(model="claude-sonnet-4-5", issuer="x")) == {}
    assert ANTHROPIC.pass_edits(passing, Target(model="other", issuer="x")) == {"model": b'"other"'}
    beta = type(passing)(path="/anthropic/v1/messages/count_tokens", body=passing.body, query={"beta": "true"})
    assert ANTHROPIC.pass_path(beta, Target(model="m", issuer="x")) == "/v1/messages/count_tokens?beta=true"
    assert ANTHROPIC.pass_path(passing, Target(model="m", issuer="x")) == "/v1/messages"
