"""A gateway that does wrong is caught: each test breaks one thing in it, and the lab says so."""

import pytest

from gatewright.exchange import Segment
from gatewright.pipeline.passed import PassSource
from gatewright.routing import retry
from tests.faults.cells import cells_of
from tests.faults.rows import ROWS
from tests.faults.run import outcomes


async def wrong(name: str, *, part: str = "", client: str = "anthropic") -> list[str]:
    """What the lab finds in the cells of one client where bytes pass."""
    fault = next(fault for fault in ROWS if fault.name == name and part in fault.part)
    cells = [cell for cell in cells_of(fault) if cell.client == cell.upstream == client]
    found = await outcomes([(fault, cells)])
    assert len(found) == len(cells) > 0
    return [line for outcome in found for line in outcome.wrong]


async def test_nothing_is_wrong_with_the_gateway_as_it_is():
    """Else the rest of this file would show nothing."""
    for name, part in (("400", ""), ("503", "By status"), ("500", "By status"), ("the end of the body", "")):
        assert await wrong(name, part=part) == []


@pytest.mark.parametrize(
    ("cause", "name", "ways"),
    [
        ("client", "400", ("next",)),
        ("overloaded", "503", ("same", "next")),
        ("overloaded", "503", ()),
        ("broken", "500", ("next",)),
    ],
)
async def test_another_way_after_a_failure_is_noticed(monkeypatch, cause, name, ways):
    """A client's error that is tried elsewhere, an overload that is repeated at once, a failure that is given up."""
    monkeypatch.setitem(retry.POLICY, cause, ways)
    assert await wrong(name, part="By status")


async def test_a_cut_that_is_told_as_an_end_is_noticed(monkeypatch):
    """The worst of all: a truncated answer that looks like a short one."""
    end = b'event: message_stop\ndata: {"type": "message_stop"}\n\n'

    def clean(self: PassSource, problem: object) -> Segment:
        self._incoming.abort()
        self._end()
        return Segment(end)

    monkeypatch.setattr(PassSource, "_fail", clean)
    assert any("answer" in line or "text" in line for line in await wrong("the end of the body"))


async def test_a_stream_that_just_stops_is_noticed(monkeypatch):
    """No error event, no end."""

    def silent(self: PassSource, problem: object) -> None:
        self._incoming.abort()
        self._end()

    monkeypatch.setattr(PassSource, "_fail", silent)
    assert any("lie" in line for line in await wrong("the end of the body"))


async def test_a_wait_that_is_not_kept_is_noticed(monkeypatch):
    """The provider said when; a call before that is wasted."""
    monkeypatch.setattr(retry, "wait_s", lambda *_: 0.0)
    assert await wrong("429, retry-after: 1")
