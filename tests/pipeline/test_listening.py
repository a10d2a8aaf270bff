"""A flight's stream for each of its listeners: the leader's own bytes, everybody else's own dialect; and what a bug costs whom."""

import asyncio
import time

import pytest
from tests.plays.same import parsed, saying
from tests.plays.scene import frames

from gatewright.dialects import BY_NAME
from gatewright.exchange import Exchange, Reply, Segment
from gatewright.pipeline.flight import Flight
from gatewright.pipeline.listening import JoinedSource, LedSource, until_ended, until_known
from gatewright.pipeline.sources import BaseSource
from gatewright.wire.http import Call

FRAMES = frames("anthropic", "some words")


class Scripted(BaseSource):
    """Gives the segments it was made with."""

    def __init__(self, wires: list[bytes]) -> None:
        super().__init__(None)
        self._wires = list(wires)
        self.aborted = False

    async def _pull(self) -> Segment | None:
        await asyncio.sleep(0)
        if not self._wires:
            self._end()
            return None
        return Segment(self._wires.pop(0))

    def keepalive(self) -> bytes:
        return b": ping\n\n"

    def abort(self) -> None:
        self.aborted = True


def exchange(dialect: str) -> Exchange:
    made = Exchange(
        request_id="req_1",
        dialect=dialect,
        operation="generate",
        method="POST",
        call=Call(path="/", body=b""),
        started=time.monotonic(),
    )
    made.stream = True
    return made


def flight_of(source: Scripted, dialects=BY_NAME, max_answer_bytes: int = 1 << 20) -> tuple[Flight, list[Flight]]:
    """A flight that streams `source` as Anthropic's bytes, and what has landed."""
    landed: list[Flight] = []

    async def keep(flight: Flight) -> None:
        landed.append(flight)

    flight = Flight(exchange("anthropic"), dialects, max_answer_bytes=max_answer_bytes, landed=keep, over=lambda _flight: None)

    async def look():
        return None

    async def call(shadow: Exchange) -> Reply:
        return Reply(200, b"", source=source)

    flight.join(exchange("anthropic"))
    flight.begin(look, call)
    return flight, landed


def joined(flight: Flight, dialect: str = "openai_chat") -> JoinedSource:
    request = parsed(dialect, saying(dialect, "m", "hi", stream=True), stream=True)
    renderer = BY_NAME[dialect].stream_renderer(request)
    return JoinedSource(flight.join(exchange(dialect)), renderer, own_id="own", marker=None, sse=True)


async def heard(source: BaseSource) -> bytes:
    wire = b""
    while (segment := await source.next()) is not None:
        wire += segment.wire
    return wire


async def test_the_leader_is_given_the_very_bytes_and_others_the_beginning_too():
    """Even who joins when all has come."""
    flight, landed = flight_of(Scripted(FRAMES))
    assert flight.leader is not None
    await until_known(flight.leader)
    led = LedSource(flight.leader, flight.reply.source)
    assert await heard(led) == b"".join(FRAMES)
    late = joined(flight)
    assert b"some words" in await heard(late)
    assert late.problem is None
    assert landed == [flight]


async def test_others_have_an_id_of_their_own():
    """In the first event, whichever dialect."""
    flight, _ = flight_of(Scripted(FRAMES))
    assert b'"id":"own"' in await heard(joined(flight))


async def test_an_answer_too_long_to_remember_goes_on_for_the_leader_alone():
    """Others are told so; nothing is kept."""
    more = [
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%b"}}\n\n'
        % (b"x" * 900)
    ] * 5
    wires = [*FRAMES[:2], *more, FRAMES[2]]
    flight, landed = flight_of(Scripted(wires), max_answer_bytes=2000)
    assert flight.leader is not None
    other = joined(flight)
    await until_known(flight.leader)
    led = LedSource(flight.leader, flight.reply.source)
    wire, theirs = await asyncio.gather(heard(led), heard(other))
    assert wire == b"".join(wires)
    assert led.problem is None
    assert b"longer than is allowed" in theirs
    assert landed == []


class Breaks:
    """A parser that has a bug."""

    def feed(self, data: bytes):
        if b"some words" in data:
            raise RuntimeError("a bug")
        return []

    def close(self):
        return []


async def test_a_bug_in_reading_costs_the_others_the_answer_and_never_the_leader(caplog):
    """Bytes that pass are understood beside their way."""

    class Liar:
        def __getattr__(self, name):
            return getattr(BY_NAME["anthropic"], name)

        def stream_parser(self, asked):
            return Breaks()

    flight, landed = flight_of(Scripted(FRAMES), {**BY_NAME, "anthropic": Liar()})
    assert flight.leader is not None
    other = joined(flight)
    await until_known(flight.leader)
    led = LedSource(flight.leader, flight.reply.source)
    wire, theirs = await asyncio.gather(heard(led), heard(other))
    assert wire == b"".join(FRAMES)
    assert not led.broken
    assert b"The gateway failed" in theirs
    assert landed == []
    assert "cannot be read" in caplog.text


async def test_a_leader_is_never_told_a_clean_end_after_a_bug():
    """What goes wrong in the call itself breaks its stream off."""

    class Bursts(Scripted):
        async def _pull(self) -> Segment | None:
            if len(self._wires) == 1:
                raise RuntimeError("promised never to happen")
            return await super()._pull()

    source = Bursts(FRAMES)
    flight, landed = flight_of(source)
    assert flight.leader is not None
    await until_known(flight.leader)
    led = LedSource(flight.leader, flight.reply.source)
    await heard(led)
    assert led.broken
    assert source.aborted
    assert landed == []


async def test_who_waits_for_the_whole_keeps_nobody_waiting():
    """And hears of the end."""
    flight, _ = flight_of(Scripted(FRAMES))
    listener = flight.join(exchange("gemini"))
    ended = await asyncio.wait_for(until_ended(listener), 10)
    assert ended.response is not None
    assert ended.problem is None


async def test_no_ping_comes_between_pieces_that_wait():
    """The leader's pings are the call's own, and only where nothing else is to be said."""
    flight, _ = flight_of(Scripted(FRAMES))
    assert flight.leader is not None
    await until_ended(flight.leader)
    led = LedSource(flight.leader, flight.reply.source)
    assert led.keepalive() == b""
    flight.leader.pending.clear()
    assert led.keepalive() == b": ping\n\n"


@pytest.mark.parametrize("leave", ["leader", "all"])
async def test_the_call_is_given_up_with_its_last_listener(leave):
    """Not with its first."""

    class Endless(Scripted):
        async def _pull(self) -> Segment | None:
            await asyncio.sleep(0.01)
            return Segment(FRAMES[0]) if self._wires.pop() else None

    source = Endless([b"x"] * 10_000)
    flight, _ = flight_of(source)
    other = flight.join(exchange("anthropic"))
    assert flight.leader is not None
    await until_known(flight.leader)
    flight.leader.leave()
    await asyncio.sleep(0.05)
    assert not source.aborted
    if leave == "all":
        other.leave()
        await asyncio.sleep(0.05)
        assert source.aborted
        assert flight.ended
    else:
        assert not flight.ended
        other.leave()
        await asyncio.sleep(0.05)
