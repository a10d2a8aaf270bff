"""The lab itself: it tells a lie from an answer, its doors are shut as they say, and its page is current."""

import asyncio
import time
from pathlib import Path

import pytest

from gatewright.exchange import AttemptRecord
from tests.faults import reading, saying, table
from tests.faults.cells import CELLS, FOREIGN, cells_of, some_of
from tests.faults.fates import FATES, Expected, expected
from tests.faults.lab import Books, Seen, Settled, differences
from tests.faults.rows import ROWS
from tests.faults.saying import DIALECTS, FIRST
from tests.faults.upstreams import closed_port, full_backlog
from tests.serving import Answer

dialects = pytest.mark.parametrize("dialect", DIALECTS)


def got(body: bytes, status: int = 200, **headers: str) -> Answer:
    return Answer(status=status, headers=headers, body=body, broken=False)


def streamed(dialect, wire: bytes) -> reading.Read:
    return reading.read(dialect, got(wire), stream=True, passing=False)


@dialects
def test_a_complete_answer_is_read_as_one(dialect):
    """Whole and streamed, with all its text."""
    for stream, body in ((False, saying.whole(dialect)), (True, b"".join(saying.events(dialect)))):
        read = reading.read(dialect, got(body), stream=stream, passing=False)
        assert (read.sight, read.text) == ("answer", FIRST), read


@dialects
def test_a_withheld_answer_is_not_read_as_complete(dialect):
    """A filter's end is the API's own word, in both forms."""
    for stream in (False, True):
        read = reading.read(dialect, got(saying.filtered(dialect, stream=stream)), stream=stream, passing=False)
        assert read.sight == "withheld", read


@dialects
def test_a_stream_that_stops_without_an_end_is_a_lie(dialect):
    """The very thing that must never be told for a cut: some content, and then nothing."""
    assert streamed(dialect, saying.begun(dialect)).sight == "lie"
    assert streamed(dialect, saying.beginning(dialect)).sight == "lie"
    assert streamed(dialect, b"").sight == "lie"
    whole = b"".join(saying.events(dialect))
    assert (
        reading.read(dialect, Answer(status=200, headers={}, body=whole, broken=True), stream=True, passing=False).sight == "lie"
    )


@dialects
def test_an_error_event_is_one_only_as_the_last_word(dialect):
    """A clean end after it, or a second error, contradicts it."""
    error = saying.error_inside(dialect, "broken")
    assert streamed(dialect, saying.begun(dialect) + error).sight == "error event"
    assert streamed(dialect, saying.begun(dialect) + error + saying.events(dialect)[-1]).sight == "lie"
    assert streamed(dialect, saying.begun(dialect) + error + error).sight == "lie"
    assert streamed(dialect, b"".join(saying.events(dialect)) + error).sight == "lie"


@dialects
def test_an_error_of_another_apis_shape_is_a_lie(dialect):
    """Status alone is not enough: an SDK must find its own document."""
    document, _ = saying.refusal(dialect, 503)
    named = {"x-amzn-errortype": "ServiceUnavailableException"} if dialect == "bedrock_converse" else {}
    assert reading.read(dialect, got(document, 503, **named), stream=False, passing=False).sight == "error"
    other, _ = saying.refusal("bedrock_converse" if dialect != "bedrock_converse" else "openai_chat", 503)
    assert reading.read(dialect, got(other, 503), stream=False, passing=False).sight == "lie"


@dialects
def test_half_a_document_and_a_shown_key_are_lies(dialect):
    """Also where the status is good."""
    body = saying.whole(dialect)
    assert reading.read(dialect, got(body[:-20]), stream=False, passing=False).sight == "lie"
    shown = body.replace(b"far", saying.SECRET.encode())
    assert reading.read(dialect, got(shown), stream=False, passing=False).sight == "lie"


def seen_of(want: Expected, cell, **changes: object) -> Seen:
    """A cell that went as it must."""
    targets = [f"{cell.name}-a/m"] * want.first + [f"{cell.name}-b/m"] * want.second
    attempts = [AttemptRecord(target=target, dialect=cell.upstream, began=0.0) for target in targets]
    for record in attempts:
        record.sent = True
        record.cause = "overloaded"
    exchange = type("Booked", (), {"model": cell.name, "attempts": attempts})()
    if want.sight == "answer":
        attempts[-1].cause = None
    text = "" if want.sight == "error" else saying.SECOND if want.second else FIRST
    problem = object() if want.sight == "error" else None
    seen = Seen(
        read=reading.Read(want.sight, want.status, text),
        first=[float(i) for i in range(want.first)],
        second=want.second,
        settled=[Settled(exchange, want.status, problem)],  # type: ignore[arg-type]
        seconds=0.1,
        headers={"x-gatewright-attempts": str(len(attempts))},
        written=0,
    )
    return seen._replace(**changes)


def test_whatever_is_not_as_it_must_be_is_found():
    """Each side of a cell is looked at: sight, text, calls, time, books, header."""
    fault = next(fault for fault in ROWS if fault.name == "503")
    alone, safe = (next(c for c in cells_of(fault) if c.safe is there and c.client == c.upstream) for there in (False, True))
    wants = {cell: fault.expected(cell.client, cell.upstream, safe=cell.safe) for cell in (alone, safe)}
    for cell, want in wants.items():
        assert differences(fault, cell, want, seen_of(want, cell)) == []
    want = wants[safe]
    good = seen_of(want, safe)
    less = Settled(type("Booked", (), {"model": safe.name, "attempts": good.settled[0].exchange.attempts[1:]})(), 200, None)
    for wrong in (
        {"read": reading.Read("lie", 200, "")},
        {"read": reading.Read("answer", 200, FIRST)},
        {"read": reading.Read("answer", 200, "hello")},
        {"first": [0.0, 1.0]},
        {"first": []},
        {"second": 2},
        {"seconds": 60.0},
        {"settled": []},
        {"settled": good.settled * 2},
        {"settled": [less]},
        {"headers": {}},
    ):
        assert differences(fault, safe, want, good._replace(**wrong)), wrong


def test_a_repetition_before_its_time_is_found():
    """The gap between two calls is what the upstream asked for, or longer."""
    fault = next(fault for fault in ROWS if fault.name == "429, retry-after: 1")
    cell = next(cells_of(fault))
    want = fault.expected(cell.client, cell.upstream, safe=False)
    good = seen_of(want, cell, seconds=1.1, headers={"x-gatewright-attempts": "2", "retry-after": "1"})
    assert differences(fault, cell, want, good) == []
    assert differences(fault, cell, want, good._replace(first=[0.0, 0.5]))
    assert differences(fault, cell, want, good._replace(headers={"x-gatewright-attempts": "2"}))


def test_the_causes_say_what_follows():
    """Hand-picked, so that a slip in the derivation shows."""
    ask = {"client": "openai_chat", "status": 0}
    assert expected("overloaded", safe=True, **ask) == Expected("answer", 200, 1, 1)
    assert expected("overloaded", safe=False, **ask) == Expected("error", 503, 2, 0)
    assert expected("overloaded", safe=False, client="anthropic", status=0).status == 529
    assert expected("broken", safe=True, **ask) == Expected("answer", 200, 2, 1)
    assert expected("broken", safe=True, mends=True, **ask) == Expected("answer", 200, 2, 0)
    assert expected("overloaded", safe=True, mends=True, **ask) == Expected("answer", 200, 1, 1)
    assert expected("client", safe=True, client="gemini", status=404) == Expected("error", 404, 1, 0)
    assert expected("content", safe=True, **ask) == Expected("error event", 200, 1, 0)
    assert expected(None, safe=True, **ask) == Expected("answer", 200, 1, 0)


def test_every_cause_that_an_upstream_can_give_has_a_fault():
    """Else the causes' table could be wrong unseen."""
    assert {fault.cause for fault in ROWS} >= set(FATES)


def test_every_dialect_meets_every_other_role():
    """Each client asks its own API and another; each API is somebody's other one."""
    assert set(FOREIGN) == set(FOREIGN.values()) == set(DIALECTS)
    assert all(client != other for client, other in FOREIGN.items())
    assert len(CELLS) == 5 * 2 * 2 * 2


def test_the_suites_share_holds_every_form_and_route_of_every_fault():
    """And, taken in turns, every cell."""
    for i, fault in enumerate(ROWS):
        shapes = {(cell.stream, cell.safe) for cell in cells_of(fault)}
        assert {(cell.stream, cell.safe) for cell in some_of(fault, i)} == shapes
        assert {cell for turn in range(10) for cell in some_of(fault, turn)} == set(cells_of(fault)), fault.name


async def test_a_closed_port_refuses_and_a_full_backlog_says_nothing():
    """What the rows about connecting rest on."""
    with closed_port() as port, pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    with full_backlog() as port:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.open_connection("127.0.0.1", port)
        assert time.monotonic() - began >= 0.29


def test_the_books_pass_on_what_they_keep():
    """The gateway's own counting goes on while the lab looks."""
    told: list[object] = []
    behind = type("Recorder", (), {"settle": lambda _, *settled: told.append(settled)})()
    exchange = type("Booked", (), {"model": "m"})()
    Books(behind).settle(exchange, 200, None)  # type: ignore[arg-type]
    assert told == [(exchange, 200, None)]


def test_the_page_is_current():
    """docs/faults.md says what the causes' table says: `python -m tests.docs.generate` writes it."""
    page = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
    assert page.read_text(encoding="utf-8") == table.page()
