"""What requests are written as: once when they begin, once when they are settled, whatever they are made of."""

import time

import msgspec
import pytest

from gatewright.errors import Problem, Refused
from gatewright.exchange import AttemptRecord, Exchange, Principal
from gatewright.ir.response import Usage
from gatewright.record.entries import Begun, Settled, Who
from gatewright.record.entries import read as read_entries
from gatewright.record.ledger import Ledger, LedgerRule
from gatewright.record.segments import every_record
from gatewright.wire.http import Call


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path, LedgerRule())
    yield ledger
    ledger.close()


def exchange(request_id: str = "req_1", **changes) -> Exchange:
    call = Call(path="/v1/chat/completions", body=b"x" * 400)
    plain = {"principal": Principal("ci"), "model": "smart", "served": "up/m", "attempts": []}
    return Exchange(
        request_id=request_id, dialect="openai_chat", operation=changes.pop("operation", "generate"), method="POST", call=call,
        started=time.monotonic(), **{**plain, **changes},
    )  # fmt: skip


def attempt(**changes) -> AttemptRecord:
    now = time.monotonic()
    return AttemptRecord(
        **{"target": "up/m", "dialect": "openai_chat", "began": now, "ended": now, "sent": True, "status": 200, **changes}
    )


def entries(ledger) -> list:
    return [entry for _, _, payload in every_record(ledger.journal.folder) for entry in read_entries(payload)]


def test_a_request_is_two_entries(ledger):
    """Before it goes out, and before its answer is all told; whose it was stands in both."""
    one = exchange(reserved=700)
    ledger.begun(one, "up/m", "anthropic")
    one.attempts.append(attempt(usage=Usage(input=10, output=5, raw={"prompt_tokens": 10})))
    ledger.settle(one, 200, None)
    begun, settled = entries(ledger)
    assert isinstance(begun, Begun)
    assert (begun.id, begun.target, begun.upstream, begun.input, begun.reserved) == ("req_1", "up/m", "anthropic", 100, 700)
    assert isinstance(settled, Settled)
    assert (settled.id, settled.status, settled.outcome, settled.served) == ("req_1", 200, "ok", "up/m")
    assert settled.attempts[0].usage == (10, None, None, None, None, 5, None, None)
    assert settled.attempts[0].raw == {"prompt_tokens": 10}
    assert msgspec.msgpack.decode(settled.who, type=Who) == Who("ci", "ci")
    assert abs(settled.at / 1e6 - time.time()) < 60


def test_saying_twice_that_it_begins_is_saying_it_once(ledger):
    """A stream that is resumed begins again, beneath."""
    one = exchange()
    ledger.begun(one, "up/m", "openai_chat")
    ledger.begun(one, "other/m", "openai_chat")
    assert len(entries(ledger)) == 1


def test_who_has_left_begins_no_more(ledger):
    """A call that others wait for too may go out after the first of them has left: that one is settled, and not in flight."""
    one = exchange()
    one.left = True
    ledger.settle(one, 499, None)
    ledger.begun(one, "up/m", "openai_chat")
    (only,) = entries(ledger)
    assert (only.outcome, only.status) == ("left", 499)


@pytest.mark.parametrize(
    "of_nobody", [exchange(principal=None), exchange(operation="list_models"), exchange(operation="explain")], ids=str
)
def test_what_is_nobody_s_and_what_nobody_bills_is_not_written(ledger, of_nobody):
    """An unknown key reaches nothing, and fills no ledger."""
    ledger.settle(of_nobody, 200, None)
    assert not ledger.journal.is_open


def test_how_it_ended_is_told_in_a_word(ledger):
    """An error by its code, else by its kind."""
    ledger.settle(exchange("a"), 429, Problem(kind="rate_limit", message="slow down", code="rate_limit_exceeded"))
    ledger.settle(exchange("b"), 200, Problem(kind="upstream", message="cut"))
    ledger.settle(exchange("c", left=True), 200, None)
    assert [(e.outcome, e.error) for e in entries(ledger)] == [
        ("error", "rate_limit_exceeded"),
        ("error", "upstream"),
        ("left", ""),
    ]


@pytest.mark.parametrize(
    "strange",
    [
        {"usage": Usage(input=1 << 70, output=5)},
        {"usage": Usage(input=1, output=5, raw={"huge": 1 << 70})},
        {"usage": Usage(input=1, output=5, raw={"long": "x" * 100_000})},
        {"usage": Usage(input=1, output=5, service_tier="t" * 100_000)},
        {"message": "\ud800"},
        {"target": "up/" + "m" * 100_000},
    ],
    ids=lambda value: next(iter(value)),
)
def test_whatever_a_provider_tells_the_request_is_written_down(ledger, strange):
    """Figures beyond all measure, half characters, novels: what cannot be written is left out, and the row is there."""
    one = exchange()
    ledger.begun(one, "up/m", "openai_chat")
    one.attempts.append(attempt(**strange))
    ledger.settle(one, 200, None)
    begun, settled = entries(ledger)
    assert (begun.id, settled.id) == ("req_1", "req_1")
    assert ledger.lost == 0


def test_what_was_begun_is_settled_however_full_the_journal_is(tmp_path):
    """Its room was kept; whoever comes after is refused."""
    ledger = Ledger(tmp_path, LedgerRule(journal_bytes=1 << 20))
    running = []
    problem = None
    while problem is None:
        one = exchange(f"req_{len(running)}")
        try:
            ledger.begun(one, "up/m", "openai_chat")
            running.append(one)
        except Refused as refused:
            problem = refused.problem
    assert (problem.http_status, problem.code) == (503, "ledger_unavailable")
    assert len(running) > 100
    for one in running:
        one.attempts.append(attempt(usage=Usage(input=1, output=5), message="m" * 300))
        ledger.settle(one, 200, None)
    assert ledger.lost == 0
    assert sum(isinstance(entry, Settled) for entry in entries(ledger)) == len(running)
    ledger.close()
