"""What is written together: one record before anything leaves, with the same in it as if each were written by itself."""

import itertools

import msgspec
import pytest
from tests.record.test_ledger import attempt, entries, exchange

from gatewright.errors import Problem, Refused
from gatewright.exchange import Principal
from gatewright.ir.loss import Loss
from gatewright.ir.response import Usage
from gatewright.record import ledger as ledger_module
from gatewright.record.entries import ENCODER, Begun, Settled, read
from gatewright.record.ledger import Ledger, LedgerRule
from gatewright.record.segments import every_record
from gatewright.record.written import settled

USAGE = Usage(input=10, output=5, raw={"prompt_tokens": 10})


class Turn:
    """Says that all leaves together, until a test lets it leave."""

    def __init__(self):
        self.before = []

    def together(self, write):
        self.before.append(write)
        return True

    def ends(self):
        before, self.before = self.before, []
        for write in before:
            write()


@pytest.fixture
def turn():
    return Turn()


@pytest.fixture
def ledger(tmp_path, turn):
    ledger = Ledger(tmp_path, LedgerRule(), together=turn.together)
    yield ledger
    ledger.close()


def is_refused(ledger, one):
    try:
        ledger.begun(one, "up/m", "openai_chat")
    except Refused:
        return True
    return False


def records(ledger):
    return [read(payload) for _, _, payload in every_record(ledger.journal.folder)]


def test_what_leaves_together_is_one_record(ledger, turn):
    """Beginnings and settlements, in order; nothing before it is asked for, and nothing twice."""
    for name in ("a", "b"):
        ledger.begun(exchange(name), "up/m", "openai_chat")
    assert records(ledger) == []
    assert len(turn.before) == 1
    turn.ends()
    ledger.settle(exchange("a", attempts=[attempt(usage=USAGE)]), 200, None)
    ledger.begun(exchange("c"), "up/m", "openai_chat")
    ledger.settle(exchange("b", attempts=[attempt(cause="status")]), 503, Problem(kind="upstream", message="no"))
    turn.ends()
    turn.ends()
    assert [[(type(entry), entry.id) for entry in record] for record in records(ledger)] == [
        [(Begun, "a"), (Begun, "b")],
        [(Settled, "a"), (Begun, "c"), (Settled, "b")],
    ]


def test_what_is_late_when_the_ledger_closes_is_written(tmp_path, turn):
    """Nobody was answered yet, but upstreams may have been asked."""
    ledger = Ledger(tmp_path, LedgerRule(), together=turn.together)
    ledger.begun(exchange("a"), "up/m", "openai_chat")
    ledger.close()
    turn.ends()
    assert [entry.id for entry in entries(ledger)] == ["a"]


@pytest.mark.parametrize(
    ("more", "of_attempt"),
    [
        ({}, {}),
        ({}, {"ttft_s": 0.25, "waited_s": 1.5, "stage": "content"}),
        ({"stream": True, "reserved": 12, "cache": "miss"}, {"cost_micros": 7, "price_source": "list", "price_date": "2026-01-01"}),
        ({"principal": Principal("ci", user="u", team="t", organization="o", key_id="k")}, {"dialect": "anthropic"}),
        ({}, {"usage": Usage(input=1, output=2, cache_read=3, cache_write_5m=4, cache_write_1h=5, reasoning=6, audio_in=7,
                             audio_out=8, service_tier="flex", raw={"a": {"b": [1, None]}})}),
        ({}, {"usage": Usage(input=1, output=2, searches=3)}),
        ({}, {"usage": Usage(input=1)}),
        ({}, {"usage": Usage(output=1)}),
        ({}, {"usage": None, "spoken": 9}),
        ({}, {"hedge": True}),
        ({}, {"resumed": True}),
        ({}, {"sent": False}),
        ({}, {"ended": 0.0}),
        ({}, {"cause": "status", "status": 500, "message": "no"}),
        ({}, {"message": "said"}),
        ({"left": True}, {}),
        ({"losses": (Loss(path="a.b", why="c", weight="approximated"),)}, {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("status", "problem"), [(200, None), (404, None), (200, Problem(kind="upstream", message="cut"))])
def test_the_quick_way_says_the_same_as_the_other(ledger, turn, monkeypatch, more, of_attempt, status, problem):
    """Most requests are settled by an entry of their own; who reads it finds what it would have found."""
    monkeypatch.setattr("time.monotonic", lambda: 1000.5)
    one = exchange(**more)
    one.started = 1000.0
    one.attempts.append(attempt(**{"began": 1000.125, "ended": 1000.375, "usage": USAGE, **of_attempt}))
    ledger.settle(one, status, problem)
    turn.ends()
    (found,) = entries(ledger)
    slow = settled(one, found.who, status, problem, ledger._offset)
    assert msgspec.msgpack.decode(ENCODER.encode(found)) == msgspec.msgpack.decode(ENCODER.encode(slow))


def test_most_requests_go_the_quick_way(ledger, turn, monkeypatch):
    """Or all of it would be for nothing."""
    monkeypatch.setattr(ledger_module, "settled", None)
    ledger.settle(exchange(attempts=[attempt(usage=USAGE)]), 200, None)
    turn.ends()
    assert [entry.outcome for entry in entries(ledger)] == ["ok"]


@pytest.mark.parametrize(
    "strange",
    [
        {"usage": Usage(input=1 << 70, output=5)},
        {"usage": Usage(input=1, output=5, raw={"huge": 1 << 70})},
        {"usage": Usage(input=1, output=5, raw={"long": "x" * 100_000})},
        {"usage": Usage(input=1 << 60, output=5)},
        {"target": "up/\ud800"},
    ],
    ids=["no figure", "no figure within", "a novel", "a figure beyond measure", "half a character"],
)
def test_one_that_cannot_be_written_so_spoils_no_other(ledger, turn, strange):
    """It is mended, and the others stand as they are."""
    for number in range(8):
        ledger.begun(exchange(f"{number}"), "up/m", "openai_chat")
        ledger.settle(
            exchange(f"{number}", attempts=[attempt(**{"usage": USAGE, **(strange if number == 5 else {})})]), 200, None
        )
    turn.ends()
    found = entries(ledger)
    assert [entry.id for entry in found] == [f"{number}" for number in range(8) for _ in "bs"]
    assert ledger.lost == 0
    assert all(entry.attempts[0].usage[0] == 10 for entry in found if isinstance(entry, Settled) and entry.id != "5")


@pytest.mark.parametrize(("said", "most"), [("", 16), ("x" * 2000, 130)], ids=["as usual", "whose upstream tells a lot"])
def test_however_many_leave_together_no_record_is_too_large(ledger, turn, said, most):
    """A turn may end a thousand streams."""
    usage = Usage(input=10, output=5, raw={"said": said})
    for number in range(1000):
        ledger.settle(exchange(f"{number}", attempts=[attempt(usage=usage)]), 200, None)
    turn.ends()
    assert [entry.id for entry in entries(ledger)] == [f"{number}" for number in range(1000)]
    assert len(records(ledger)) <= most
    assert ledger.lost == 0


def test_who_is_let_in_finds_its_room_when_all_is_written(tmp_path, turn):
    """However many are let in before anything is written, and whatever they are named: the journal takes all of them."""
    ledger = Ledger(tmp_path, LedgerRule(journal_bytes=1 << 20), together=turn.together)
    running = []
    for number in itertools.count():
        one = exchange(f"req_{number}", model="\N{EARTH GLOBE EUROPE-AFRICA}" * (number % 7) * 30)
        if is_refused(ledger, one):
            break
        running.append(one)
    assert len(running) > 100
    turn.ends()
    for one in running:
        one.attempts.append(attempt(usage=Usage(input=1, output=5), message="m" * 300))
        ledger.settle(one, 200, None)
    turn.ends()
    assert ledger.lost == 0
    found = entries(ledger)
    assert len(found) == 2 * len(running)
    ledger.close()


def test_what_is_settled_and_not_yet_written_has_its_room_too(tmp_path, turn):
    """Who comes after it in the same turn takes none of that."""
    ledger = Ledger(tmp_path, LedgerRule(journal_bytes=1 << 20), together=turn.together)
    ids = []
    while not is_refused(ledger, one := exchange(f"req_{len(ids)}")):
        one.attempts.append(attempt(usage=USAGE, message="m" * 300))
        ledger.settle(one, 200, None)
        ids.append(one.request_id)
    turn.ends()
    assert [entry.id for entry in entries(ledger)] == [name for name in ids for _ in "bs"]
    ledger.close()


def test_settlements_without_a_journal_are_counted_as_lost(tmp_path, turn, monkeypatch, caplog):
    """Refusals have kept no room; the operator is told once, and reports tell how many."""
    ledger = Ledger(tmp_path / "none", LedgerRule(), together=turn.together)

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gatewright.record.journal._allocate", full)
    for number in range(5):
        ledger.settle(exchange(f"{number}", attempts=[attempt(usage=USAGE)]), 200, None)
    turn.ends()
    assert ledger.lost == 5
    assert len(caplog.records) == 1
    assert "No space left" in caplog.text
