"""The source that goes on with another: what it keeps, when it lets a stream fail as it would have, and that it ends once."""

from types import SimpleNamespace

import pytest
from tests.fuzz.exchanges import Scripted
from tests.plays import wires

from gatewright.dialects import BY_NAME
from gatewright.errors import Problem
from gatewright.exchange import Reply, Segment
from gatewright.ir.request import Request
from gatewright.ir.response import Usage
from gatewright.pipeline import resuming
from gatewright.pipeline.continuation import Live
from gatewright.pipeline.resuming import UNREADABLE, ResumingSource
from gatewright.pipeline.sources import BaseSource

ANTHROPIC = BY_NAME["anthropic"]
EVENTS = wires.STREAM["anthropic"]
ERROR = wires.ERROR_INSIDE["anthropic"]
OVERLOADED = Problem(kind="overloaded", message="Overloaded")


class Inner(BaseSource):
    """Gives what it was told to; with the last segment it has failed, or ended."""

    def __init__(self, wires_, problem=None, usage=None) -> None:
        super().__init__(Scripted(200, b"text/event-stream", [], cut=False))
        self._wires = list(wires_)
        self._fails = problem
        self.usage = usage
        self.aborted = 0

    async def _pull(self):
        if not self._wires:
            self._end()
            return None
        wire = self._wires.pop(0)
        if not self._wires and self._fails is not None:
            self.problem = self._fails
        return Segment(wire)

    def keepalive(self) -> bytes:
        return b": inner\n\n"

    def abort(self) -> None:
        self.aborted += 1
        super().abort()


class Resumption:
    """Stands in for those who are asked to go on."""

    client = ANTHROPIC
    request = Request(origin="anthropic", model="m")
    exchange = SimpleNamespace(request_id="req_1")
    usage = None
    served = "claude/m"

    def __init__(self, reply=None, forbidden="") -> None:
        self.reply, self.reason, self.notes, self.delivered = reply, forbidden, [], None

    def forbidden(self, problem, live) -> str:
        self.delivered = live.delivered
        return self.reason

    def note(self, why) -> None:
        self.notes.append(why)

    async def go_on(self, live: Live, usage):
        self.live = live
        return self.reply

    def mark(self) -> bytes:
        return b": mark\n\n"


async def drained(source) -> bytes:
    found = b""
    while (segment := await source.next()) is not None:
        found += segment.wire
    return found


def ends_of(source) -> list[tuple[Problem | None, Usage | None]]:
    told = []
    source.when_ended(lambda: told.append((source.problem, source.usage)))
    return told


async def test_what_is_not_broken_goes_by_as_it_is():
    """Byte for byte, one end, and nobody is asked anything."""
    source = ResumingSource(Inner(EVENTS, usage=Usage(input=3)), Resumption(), None)
    ends = ends_of(source)
    assert await drained(source) == b"".join(EVENTS)
    assert await source.next() is None
    assert ends == [(None, Usage(input=3))]


async def test_what_stood_beside_the_error_is_told_and_the_error_is_not():
    """A read may hold both: the content goes out, the error only if nobody goes on."""
    second = Inner([b"rest\n\n"], usage=Usage(input=5))
    resumption = Resumption(Reply(200, b"", source=second))
    inner = Inner([*EVENTS[:3], EVENTS[3] + ERROR], OVERLOADED, Usage(input=3))
    source = ResumingSource(inner, resumption, None)
    ends = ends_of(source)
    out = await drained(source)
    assert out.startswith(b"".join(EVENTS[:3]))
    assert out.endswith(b": mark\n\nrest\n\n")
    assert b" from far" in out
    assert b"verloaded" not in out
    assert resumption.delivered.text == "hello from far"
    assert ends == [(None, Usage(input=8))]
    assert inner.aborted == 1


@pytest.mark.parametrize("reason", ["", "a tool call is out"])
async def test_where_nobody_goes_on_the_error_is_told(reason):
    """Forbidden: the very bytes of before. Nobody found: in the same words, behind what came before."""
    inner = Inner([*EVENTS[:3], EVENTS[3] + ERROR], OVERLOADED)
    resumption = Resumption(None, reason)
    source = ResumingSource(inner, resumption, None)
    ends = ends_of(source)
    out = await drained(source)
    if reason:
        assert out == b"".join(EVENTS[:4]) + ERROR
        assert resumption.notes == [reason]
    assert wires.told("anthropic", out) == ("error", "hello from far")
    assert [problem for problem, _ in ends] == [OVERLOADED]


async def test_what_is_longer_than_is_kept_fails_as_it_did(monkeypatch):
    """Memory has a bound; the bytes go by all the same."""
    monkeypatch.setattr(resuming, "MOST_KEPT_BYTES", 100)
    resumption = Resumption(Reply(200, b"", source=Inner([])))
    out = await drained(ResumingSource(Inner([*EVENTS[:4], ERROR], OVERLOADED), resumption, None))
    assert out == b"".join(EVENTS[:4]) + ERROR
    assert resumption.notes == [UNREADABLE]


async def test_half_an_event_cannot_be_gone_on_from():
    """One too large to be held is out in parts: what follows would be read as its rest."""
    resumption = Resumption(Reply(200, b"", source=Inner([])))
    inner = Inner([*EVENTS[:3], b"data: {", b"\n\n" + ERROR], OVERLOADED)
    assert (await drained(ResumingSource(inner, resumption, None))).endswith(b"data: {\n\n" + ERROR)
    assert resumption.notes == [UNREADABLE]


async def test_an_answer_that_goes_on_whole_ends_the_stream():
    """A host that does not stream though it was asked to."""
    resumption = Resumption(Reply(200, b"", b"the rest\n\n"))
    resumption.usage = Usage(input=4)
    source = ResumingSource(Inner([*EVENTS[:3], ERROR], OVERLOADED, Usage(input=3)), resumption, None)
    ends = ends_of(source)
    assert (await drained(source)).endswith(b": mark\n\nthe rest\n\n")
    assert ends == [(None, Usage(input=7))]


async def test_a_client_that_leaves_is_told_once():
    """Before, between and after: the upstream is hung up on, the end told once, with the tokens so far."""
    inner = Inner(EVENTS, usage=Usage(input=3))
    source = ResumingSource(inner, Resumption(), None)
    ends = ends_of(source)
    await source.next()
    source.abort()
    source.abort()
    assert ends == [(None, Usage(input=3))]
    assert source.left
    assert inner.aborted
    assert await source.next() is None


async def test_keep_alives_are_the_streams_and_then_the_renderers():
    """What may be said in between is the dialect's own."""
    resumption = Resumption()
    source = ResumingSource(Inner([*EVENTS[:3], EVENTS[3] + ERROR], OVERLOADED), resumption, None)
    assert source.keepalive() == b": inner\n\n"
    for _ in range(4):
        await source.next()
    assert source.keepalive() == ANTHROPIC.stream_renderer(resumption.request).keepalive()
    await drained(source)
    assert source.keepalive() == b""
