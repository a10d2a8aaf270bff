"""Settle: first what it cost is known, then it is written down, then what was held is let go; all before the answer leaves."""

import pytest
from tests.transport.turning import Wire

from gatewright.dialects import BY_NAME
from gatewright.exchange import AttemptRecord, Exchange, Reply
from gatewright.pipeline.settle import Settle
from gatewright.transport.turn import before_leaving
from gatewright.wire.http import Call


class Recorder:
    """Writes down late what it is told, as the ledger does."""

    def __init__(self, events, *, fails=()):
        self.events = events
        self.fails = fails

    def settle(self, exchange, status, _problem):
        if exchange.request_id in self.fails:
            raise ValueError("a bug")
        self.events.append(f"settled {exchange.request_id} {status}")
        if not before_leaving(lambda: self.events.append(f"written {exchange.request_id}")):
            self.events.append(f"written {exchange.request_id}")


class Held:
    def __init__(self, events):
        self.events = events

    def told(self, _exchange, reply):
        return reply

    def reckon(self, exchange):
        self.events.append(f"reckoned {exchange.request_id}")

    def settle(self, exchange):
        self.events.append(f"let go {exchange.request_id}")


def exchange(request_id, **more):
    return Exchange(
        request_id=request_id, dialect="openai_chat", operation="generate", method="POST",
        call=Call(path="/v1/chat/completions", body=b"{}"), started=0.0, **more,
    )  # fmt: skip


def attempt(*, ended=1.0):
    return AttemptRecord("up/m", "openai_chat", 0.5, sent=True, ended=ended)


async def answered(_exchange):
    return Reply(200, b"")


def run(coroutine):
    with pytest.raises(StopIteration):
        coroutine.send(None)


def test_answers_of_a_turn_are_settled_together_before_they_leave(loop, turn):
    """Each in its order; nothing is let go that is not written down."""
    events = []
    settle, wire = Settle(BY_NAME, Recorder(events)), Wire(events)
    for name in ("a", "b"):
        one = exchange(name, attempts=[attempt()], held=Held(events))
        turn.later(lambda one=one: (run(settle(one, answered)), turn.write(wire, one.request_id)))
    loop.turn_round()
    assert events == [
        "reckoned a", "reckoned b", "settled a 200", "settled b 200", "written a", "written b", "let go a", "let go b",
        ("", "a"), ("", "b"),
    ]  # fmt: skip


def test_without_a_turn_each_is_settled_at_once():
    """Under other servers nobody says when an answer leaves."""
    events = []
    run(Settle(BY_NAME, Recorder(events))(exchange("a", attempts=[attempt()], held=Held(events)), answered))
    assert events == ["reckoned a", "settled a 200", "written a", "let go a"]


@pytest.mark.parametrize("which", ["an attempt runs", "the client left", "there were two"])
def test_what_may_yet_change_is_settled_at_once(loop, turn, which):
    """An attempt that is given up in this moment is told as it is now; only the writing waits."""
    events = []
    attempts = [attempt(ended=0.0)] if which == "an attempt runs" else [attempt()] * (1 + (which == "there were two"))
    one = exchange("a", attempts=attempts, held=Held(events), left=which == "the client left")
    settle = Settle(BY_NAME, Recorder(events))
    turn.later(lambda: (run(settle(one, answered)), events.append("answered")))
    loop.turn_round()
    assert events == ["reckoned a", "settled a 200", "answered", "written a", "let go a"]


def test_one_that_cannot_be_settled_keeps_no_other_from_it(loop, turn, caplog):
    """What it held is let go all the same."""
    events = []
    settle = Settle(BY_NAME, Recorder(events, fails=("a",)))
    for name in ("a", "b"):
        one = exchange(name, attempts=[attempt()], held=Held(events))
        turn.later(lambda one=one: run(settle(one, answered)))
    loop.turn_round()
    assert events[2:] == ["settled b 200", "written b", "let go a", "let go b"]
    assert "request a could not be settled" in caplog.text
