"""The outermost stage, beside the plays that go through it: what it leaves behind when an answer is over."""

import gc
import weakref

import pytest
from tests.record.exchanged import exchanged

from gatewright.exchange import Reply, Segment
from gatewright.pipeline.trace import TraceStage


class Told:
    """A source of one step."""

    ended = False

    async def next(self):
        if self.ended:
            return None
        self.ended = True
        return Segment(b"data: 1\n\n")

    def abort(self):
        self.ended = True


class Records:
    def __init__(self):
        self.taken = []

    def take(self, finished):
        self.taken.append(finished)


@pytest.mark.parametrize("how", ["ended", "left"])
async def test_an_answer_that_is_over_is_free_at_once(how):
    """A stream's pieces are much: none may wait for a collection of what knows itself."""
    records = Records()

    async def following(_exchange):
        return Reply(200, b"", source=Told())

    reply = await TraceStage(records, 1000)(exchanged(), following)
    inner = weakref.ref(reply.source._inner)
    gc.disable()
    try:
        if how == "ended":
            assert await reply.source.next() is not None
        else:
            reply.source.abort()
        (finished,) = records.taken
        assert finished.answer.size == (9 if how == "ended" else 0)
        del reply
        assert inner() is None
    finally:
        gc.enable()
