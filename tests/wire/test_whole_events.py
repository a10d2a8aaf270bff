"""Passing events go on whole, byte for byte, and in linear time."""

import time

import pytest

from gatewright.wire.whole_events import WholeEvents

EVENTS = {
    "lf": b"data: a\n\n: ping\n\nevent: x\ndata: b\n\n",
    "crlf": b"data: a\r\n\r\n: ping\r\n\r\nevent: x\r\ndata: b\r\n\r\n",
    "cr": b"data: a\r\r: ping\r\revent: x\rdata: b\r\r",
    "mixed": b"data: a\n\r\n: ping\r\n\r\nevent: x\ndata: b\n\n",
}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("name", EVENTS)
def test_what_goes_on_ends_with_a_blank_line(name, size):
    """However it was cut into reads, and whichever lines the provider writes."""
    wire, events, passed = EVENTS[name] + b"data: cut of", WholeEvents(), b""
    for at in range(0, len(wire), size):
        part = events.feed(wire[at : at + size])
        assert not part or part.endswith((b"\n\n", b"\r\n\r\n", b"\n\r\n", b"\r\r"))
        assert events.at_boundary
        passed += part
    assert passed == EVENTS[name]
    assert (events.close(), events.close()) == (b"data: cut of", b"")


def test_what_came_last_waits_for_its_own_blank_line():
    """And what came before does not wait for it."""
    events = WholeEvents()
    assert events.feed(b"data: a\n\ndata: b") == b"data: a\n\n"
    assert events.feed(b"c\n") == b""
    assert events.feed(b"\n") == b"data: bc\n\n"


def test_an_event_too_large_to_hold_goes_on_in_parts():
    """Until its blank line, behind which events are whole again."""
    events = WholeEvents(max_bytes=10)
    assert events.feed(b"data: 123456789") == b"data: 123456789"
    assert not events.at_boundary
    assert events.feed(b"0\n\ndata: a") == b"0\n\n"
    assert events.at_boundary
    assert events.feed(b"\n\n") == b"data: a\n\n"


def test_a_large_event_in_small_pieces_costs_linear_time():
    """Only what is new is searched."""

    def seconds(pieces: int) -> float:
        events, started = WholeEvents(), time.perf_counter()
        for _ in range(pieces):
            events.feed(b"x" * 100)
        return time.perf_counter() - started

    seconds(1000)
    assert min(seconds(40_000) for _ in range(3)) < 12 * min(seconds(10_000) for _ in range(3))
