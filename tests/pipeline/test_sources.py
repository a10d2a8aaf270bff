"""Sources never raise: cuts, nonsense and our own bugs end a stream in words, and events pass whole."""

import json
import logging

import pytest
from tests.fuzz.exchanges import Scripted
from tests.laws.cases import minimal_call
from tests.plays import wires

from gatewright.dialects import BY_NAME
from gatewright.ir.events import StreamError
from gatewright.ir.request import Asked
from gatewright.pipeline.passed import PassSource
from gatewright.pipeline.sources import CUT, WrappedSource
from gatewright.pipeline.translated import TranslatedSource
from gatewright.wire.sse import MAX_EVENT_BYTES

ANTHROPIC = BY_NAME["anthropic"]


def passing(chunks, *, cut: bool = False, dialect: str = "anthropic") -> PassSource:
    spoken = BY_NAME[dialect]
    incoming = Scripted(200, b"text/event-stream", chunks, cut=cut)
    return PassSource(incoming, spoken, spoken.watch(minimal_call(dialect, stream=True)), "req_1", sse=True)


async def drained(source) -> list[bytes]:
    found = []
    while (segment := await source.next()) is not None:
        found.append(segment.wire)
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 100_000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
async def test_events_pass_whole_in_any_pieces(size, end):
    """However the upstream's bytes come, each segment ends where an event does, and together they are the same bytes."""
    wire = b"".join(wires.STREAM["anthropic"]).replace(b"\n", end)
    source = passing([wire[i : i + size] for i in range(0, len(wire), size)])
    segments = await drained(source)
    assert b"".join(segments) == wire
    # The very last line break may be half of a longer one: it is let go at the end.
    assert all(segment.endswith((end * 2, end)) for segment in segments)
    assert not source.broken


async def test_half_an_event_does_not_spoil_the_error_after_it():
    """A client must be able to read the error event: what the cut left of the event before it is not sent."""
    events = wires.STREAM["anthropic"]
    source = passing([b"".join(events[:3]), events[3][:30]], cut=True)
    wire = b"".join(await drained(source))
    assert wire.startswith(b"".join(events[:3]))
    assert wires.told("anthropic", wire) == ("error", "hello")


async def test_an_event_without_end_is_not_collected():
    """Beyond the largest event accepted the bytes go by, and memory stays what it was."""
    piece = b"x" * (1 << 20)
    source = passing([b"data: ", *([piece] * 20)], cut=True)
    segments = await drained(source)
    assert max(map(len, segments)) <= MAX_EVENT_BYTES + 2 * len(piece)
    assert source.problem is not None


@pytest.mark.parametrize("before", [b"data: ", b"event: big\ndata: ", b": big"], ids=["data", "named", "comment"])
@pytest.mark.parametrize("dialect", wires.STREAM)
async def test_what_is_too_large_to_be_read_disturbs_nothing_behind_it(dialect, before):
    """Its parts go by unread, whatever they look like; the end and the usage after it are seen."""
    events = wires.STREAM[dialect]
    piece = b'"type":"message_stop","error":"finishReason"' * 25_000
    large = [before, *[piece] * 17, b"\n\n"]
    source = passing([events[0], *large, b"".join(events[1:])], dialect=dialect)
    assert b"".join(await drained(source)) == b"".join((events[0], *large, *events[1:]))
    assert (source.problem, source.content, source.usage is not None) == (None, True, True)


async def test_a_told_error_is_not_told_twice():
    """The provider's own error event, then its close: one error is enough."""
    source = passing([wires.ERROR_INSIDE["anthropic"]], cut=True)
    wire = b"".join(await drained(source))
    assert wire == wires.ERROR_INSIDE["anthropic"]
    assert source.problem is not None


async def test_a_cut_after_one_of_several_choices_is_an_error():
    """A finish reason ends one choice; without [DONE] another may be unfinished."""
    source = passing([b"".join(wires.STREAM["openai_chat"]).replace(b"data: [DONE]\n\n", b"")], cut=True, dialect="openai_chat")
    assert wires.told("openai_chat", b"".join(await drained(source)))[0] == "error"


class _Bug:
    """A watch, a parser and a renderer that fall over."""

    usage = problem = None
    content = finished = False
    losses: list = []

    def __init__(self, *, even_on_errors: bool = False) -> None:
        self.even_on_errors = even_on_errors

    def feed(self, data):
        raise KeyError("a bug")

    def close(self):
        raise KeyError("a bug")

    def render(self, events):
        if self.even_on_errors or not isinstance(events[-1], StreamError):
            raise KeyError("a bug")
        return b"data: " + json.dumps({"error": {"message": events[-1].problem.message}}).encode() + b"\n\n"

    def keepalive(self):
        return b""


async def test_a_bug_of_ours_ends_a_stream_in_an_error_event(caplog):
    """Nothing that a dialect raises may leave a client waiting; the log says what it was."""
    caplog.set_level(logging.ERROR, "gatewright")
    incoming = Scripted(200, b"text/event-stream", wires.STREAM["anthropic"], cut=False)
    passed = PassSource(incoming, ANTHROPIC, _Bug(), "req_1", sse=True)
    assert wires.told("anthropic", b"".join(await drained(passed)))[0] == "error"
    again = Scripted(200, b"text/event-stream", wires.STREAM["anthropic"], cut=False)
    translated = TranslatedSource(again, _Bug(), _Bug(), "req_1")
    assert b"req_1" in b"".join(await drained(translated))
    assert again.aborted
    assert sum(record.exc_info is not None for record in caplog.records) == 2


async def test_a_renderer_that_cannot_even_tell_an_error_breaks_the_body_off(caplog):
    """Then the server must not end the body as if all were well."""
    incoming = Scripted(200, b"text/event-stream", wires.STREAM["anthropic"], cut=False)
    source = TranslatedSource(incoming, _Bug(), _Bug(even_on_errors=True), "req_1")
    assert await drained(source) == []
    assert source.broken


async def test_the_end_is_told_once_even_if_the_listener_fails():
    """Whoever settles an answer cannot spoil it."""
    told = []

    def listen() -> None:
        told.append(1)
        raise RuntimeError("the recorder is broken")

    source = passing(wires.STREAM["anthropic"])
    source.when_ended(listen)
    assert b"".join(await drained(source)) == b"".join(wires.STREAM["anthropic"])
    source.abort()
    assert told == [1]


class Pouring(Scripted):
    """As `Scripted`, and what arrives can be poured."""

    async def pour(self, sink):
        while self._chunks and sink(self._chunks[0]):
            self._chunks.pop(0)


class Reading:
    """A client that is behind at every third step."""

    def __init__(self, *, slow: bool) -> None:
        self.wire: list[bytes] = []
        self.pushed = 0
        self.slow = slow

    @property
    def unread(self) -> bool:
        return self.slow and len(self.wire) % 3 == 2

    def push(self, wire):
        assert wire, "an empty step would end the body"
        self.wire.append(wire)
        self.pushed += 1


async def flowed(source, client: Reading) -> bytes:
    while (segment := await source.next()) is not None:
        client.wire.append(segment.wire)
        if source.ended:
            assert await source.next() is None
            break
        await source.flow(client)
    return b"".join(client.wire)


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("size", [1, 7, 60, 100_000])
@pytest.mark.parametrize("dialect", wires.STREAM)
@pytest.mark.parametrize("client", ["openai_chat", "anthropic", "openai_responses"])
async def test_what_flows_is_what_is_pulled(dialect, client, size, cut, slow):
    """Pushed on by the call that brings it, or asked for piece by piece: the same bytes, usage and end."""
    wire = b"".join(wires.STREAM[dialect])
    wire = wire[: len(wire) * 2 // 3] if cut else wire
    for pieces in ([wire[i : i + size] for i in range(0, len(wire), size)], wires.STREAM[dialect]):
        told = []
        for kind in (Scripted, Pouring):
            incoming = kind(200, b"text/event-stream", pieces, cut=cut)
            spoken = BY_NAME[dialect]
            if client == dialect:
                watch = spoken.watch(minimal_call(dialect, stream=True))
                source = PassSource(incoming, spoken, watch, "req_1", sse=True)
            else:
                request = BY_NAME[client].parse_request(minimal_call(client, stream=True))
                source = TranslatedSource(
                    incoming, spoken.stream_parser(Asked()), BY_NAME[client].stream_renderer(request), "req_1"
                )
            ended = []
            source.when_ended(lambda ended=ended: ended.append(1))
            reading = Reading(slow=slow)
            out = await flowed(source, reading)
            assert (reading.pushed > 0) == (kind is Pouring) or slow or pieces is not wires.STREAM[dialect]
            told.append((out, source.usage, source.problem, source.content, ended))
        assert told[0] == told[1]
        assert told[0][-1] == [1]


async def test_a_bug_in_what_flows_is_told_once(caplog):
    """The call that brings a piece must not fail: the stream ends in words all the same."""
    caplog.set_level(logging.ERROR, "gatewright")
    events = wires.STREAM["anthropic"]
    request = ANTHROPIC.parse_request(minimal_call("anthropic", stream=True))
    for bug_in in ("watch", "parser"):
        incoming = Pouring(200, b"text/event-stream", events, cut=False)
        if bug_in == "watch":
            watch = ANTHROPIC.watch(minimal_call("anthropic", stream=True))
            source = PassSource(incoming, ANTHROPIC, watch, "req_1", sse=True)
        else:
            source = TranslatedSource(incoming, ANTHROPIC.stream_parser(Asked()), ANTHROPIC.stream_renderer(request), "req_1")
        first = (await source.next()).wire
        if bug_in == "watch":
            source._watch = _Bug()
        else:
            source._feed = _Bug().feed
        caplog.clear()
        client = Reading(slow=False)
        await source.flow(client)
        rest = await drained(source)
        assert wires.told("anthropic", first + b"".join(client.wire + rest))[0] == "error"
        assert incoming.aborted
        assert len(caplog.records) == 1


@pytest.mark.parametrize("dialect", wires.STREAM)
@pytest.mark.parametrize("client", wires.STREAM)
async def test_a_stream_that_breaks_before_anything_was_shown_has_no_content(dialect, client):
    """Its target may still be changed for another, whatever was opened; with the first text it may not."""
    for count in range(1, wires.CONTENT_AT[dialect] + 1):
        incoming = Scripted(200, b"text/event-stream", wires.STREAM[dialect][:count], cut=True)
        spoken, client_spoken = BY_NAME[dialect], BY_NAME[client]
        if client == dialect:
            source = PassSource(incoming, spoken, spoken.watch(minimal_call(dialect, stream=True)), "req_1", sse=True)
        else:
            request = client_spoken.parse_request(minimal_call(client, stream=True))
            source = TranslatedSource(incoming, spoken.stream_parser(Asked()), client_spoken.stream_renderer(request), "req_1")
        await source.begin(until_content=True)
        shown = count == wires.CONTENT_AT[dialect]
        assert source.content is shown, wires.STREAM[dialect][count - 1]
        assert shown or source.problem is not None
        source.abort()


class Around(WrappedSource):
    """Passes on what it is told."""

    async def _pull(self):
        segment = await self._inner.next()
        if segment is None or self._inner.ended:
            self._over()
        return segment


@pytest.mark.parametrize("cut", [False, True])
async def test_what_is_around_a_stream_ends_as_it_did(cut):
    """Its usage, its problem, and whether the body may end cleanly: once, and with nothing to be said behind it."""
    inner = passing(wires.STREAM["anthropic"][: -1 if cut else None], cut=cut)
    source, ends = Around(Around(inner)), []
    source.when_ended(lambda: ends.append((source.usage, source.problem, source.broken, source.left)))
    assert source.keepalive() == inner.keepalive() != b""
    await drained(source)
    assert ends == [(inner.usage, inner.problem, inner.broken, False)]
    assert (inner.usage is not None, inner.problem is not None) == (True, cut)
    assert (source.spoken(), source.usage_so_far(), source.keepalive()) == (inner.spoken(), inner.usage, b"")
    source.abort()
    assert len(ends) == 1


async def test_who_leaves_what_is_around_a_stream_leaves_the_stream():
    """What it has used until then is known."""
    inner = passing(wires.STREAM["anthropic"])
    source, ends = Around(inner), []
    source.when_ended(lambda: ends.append(source.left))
    await source.next()
    for _ in range(2):
        source.abort()
    assert (inner.ended, inner.left, ends) == (True, True, [True])
    assert source.usage == inner.usage
    assert source.usage is not None


async def test_a_problem_of_what_is_around_a_stream_is_the_one_that_counts():
    """The client did not leave, and how the upstream was given up is nobody's matter."""
    inner = passing(wires.STREAM["anthropic"])
    source = Around(inner)
    source.problem = CUT
    source.abort()
    assert (source.problem, source.left, source.broken, inner.left) == (CUT, False, False, True)
