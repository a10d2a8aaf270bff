"""What has to be on record before anything leaves: done in the turn, together, and before the first byte of it."""

import gc
import logging
import threading
import weakref

import pytest

from gatewright.transport.turn import KEPT_BYTES, Turn, before_leaving
from tests.transport.turning import Loop, Wire


class Book:
    """What is to be written down before anything leaves, and what has left before it."""

    def __init__(self, events):
        self.events = events
        self.late = []

    def enter(self, entry):
        self.late.append(entry)
        if len(self.late) == 1 and not before_leaving(self.write):
            self.write()

    def write(self):
        late, self.late = self.late, []
        self.events.append(("book", late))


def test_what_comes_before_is_done_once_and_before_the_first_byte(loop, turn):
    """However many answer in the turn: one entry into the books, then all that they write."""
    events = []
    book, wire = Book(events), Wire(events, "wire")
    for name in ("a", "b", "c"):
        turn.later(lambda name=name: (book.enter(name), turn.write(wire, name)))
    loop.turn_round()
    assert events == [("book", ["a", "b", "c"]), ("wire", "a"), ("wire", "b"), ("wire", "c")]


def test_it_is_done_where_nothing_is_written(loop, turn):
    """A client may have left: its request is in the books all the same."""
    events = []
    book = Book(events)
    turn.later(lambda: book.enter("a"))
    loop.turn_round()
    assert events == [("book", ["a"])]


@pytest.mark.parametrize("leaves", ["because it is much", "because somebody flushes"])
def test_what_leaves_amid_the_turn_has_its_entry_before_it(loop, turn, leaves):
    """And what comes after that has another."""
    events = []
    book, wire = Book(events), Wire(events, "wire")
    much = b"x" * (KEPT_BYTES + 1 if leaves == "because it is much" else 1)
    turn.later(lambda: (book.enter("a"), turn.write(wire, much)))
    if leaves == "because somebody flushes":
        turn.later(turn.flush)
    turn.later(lambda: (book.enter("b"), turn.write(wire, b"b")))
    loop.turn_round()
    assert events == [("book", ["a"]), ("wire", much), ("book", ["b"]), ("wire", b"b")]


def test_outside_a_turn_nothing_waits(loop, turn):
    """Nobody would say when anything leaves: whoever asks does it now."""
    events = []
    book = Book(events)
    book.enter("before")
    turn.later(lambda: None)
    loop.turn_round()
    book.enter("after")
    assert events == [("book", ["before"]), ("book", ["after"])]


def test_what_it_asks_for_comes_after_all_that_was_asked_for(loop, turn):
    """What is held is let go once it is written down, and not before anything leaves without that."""
    events = []
    wire = Wire(events, "wire")

    def settle():
        events.append(("settled", b""))
        assert before_leaving(lambda: events.append(("let go", b"")))

    turn.later(lambda: (before_leaving(settle), before_leaving(lambda: events.append(("book", b"")))))
    turn.later(lambda: turn.write(wire, b"a"))
    loop.turn_round()
    assert events == [("settled", b""), ("book", b""), ("let go", b""), ("wire", b"a")]


def test_one_that_fails_keeps_nobody_from_anything(loop, turn, caplog):
    """The others are done, and all leaves."""
    events = []
    wire = Wire(events, "wire")
    turn.later(lambda: (before_leaving(lambda: 1 / 0), before_leaving(lambda: events.append("done"))))
    turn.later(lambda: turn.write(wire, b"a"))
    loop.turn_round()
    assert events == ["done", ("wire", b"a")]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_it_is_done_though_a_request_panics(loop, turn):
    """The loop hears of it; what the others did leaves, and is in the books before."""
    events = []
    book, wire = Book(events), Wire(events, "wire")

    def panics():
        raise KeyboardInterrupt

    turn.later(lambda: (book.enter("a"), turn.write(wire, b"a")))
    turn.later(panics)
    with pytest.raises(KeyboardInterrupt):
        loop.turn_round()
    assert events == [("book", ["a"]), ("wire", b"a")]


def test_another_thread_s_turn_is_none_of_ours(loop, turn):
    """What leaves there says nothing of what leaves here."""
    events = []
    book = Book(events)

    def amid():
        other = threading.Thread(target=lambda: book.enter("elsewhere"))
        other.start()
        other.join(30)
        assert events == [("book", ["elsewhere"])]

    turn.later(amid)
    loop.turn_round()
    assert len(events) == 1


def test_nothing_in_a_turn_s_hands_is_kept_when_its_loop_is_over():
    """A transport, say, whose loop was closed before it was written to."""
    loop = Loop()
    turn, wire = Turn(loop), Wire([])
    turn.later(lambda: None)
    loop.turn_round()
    turn.write(wire, b"too late")
    gone = weakref.ref(wire)
    del loop, turn, wire
    gc.collect()
    assert gone() is None
