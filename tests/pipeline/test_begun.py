"""Answers that are not what their head says."""

import pytest
from tests.fuzz.exchanges import Scripted

from gatewright.pipeline.begun import Begun, looks_like_a_stream, tells_an_answer


@pytest.mark.parametrize(
    ("first", "array", "streamed"),
    [
        (b"data: {}\n\n", False, True),
        (b"\xef\xbb\xbfevent: ping\n", False, True),
        (b"\n: comment\n\n", False, True),
        (b'[{"candidates"', True, True),
        (b'[{"candidates"', False, False),
        (b'{"id": "data:"}', False, False),
        (b"<html>", True, False),
        (b"", True, False),
    ],
)
def test_the_first_bytes_tell_a_stream(first, array, streamed):
    """Server-sent events start with a field or a comment; an array is a stream only where the client asked for one."""
    assert looks_like_a_stream(first, array=array) is streamed


async def test_what_was_looked_at_is_still_read():
    """A look at the first piece takes nothing away, whether the rest is pulled or read at once."""
    for whole in (True, False):
        incoming = Scripted(200, b"", [b"one", b"two", b"three"], cut=False)
        begun = Begun(incoming, await incoming.next() or b"")
        if whole:
            assert await begun.read(100) == b"onetwothree"
        else:
            assert [await begun.next() for _ in range(4)] == [b"one", b"two", b"three", None]


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"choices": []}', True),
        (b'{"error": {"message": "no"}}', False),
        (b'{"type": "error", "error": {}}', False),
        (b'{"output": null, "error": {}}', False),
        (b'{"status": "completed", "output": []}', True),
        (b'{"status": "failed", "output": [], "error": {}}', False),
        (b"[]", False),
        (b"<html>", False),
        (b"", False),
    ],
)
def test_an_answer_has_the_fields_of_one(body, answer):
    """A page or an error with status 200 must not pass for an answer."""
    assert tells_an_answer(body) is answer
