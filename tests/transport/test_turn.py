"""What a turn of the loop keeps back, it does and writes: all of it, in order, before the loop waits, whoever else fails."""

import asyncio
import gc
import logging
import weakref

import pytest
import uvloop

from gatewright.transport.turn import KEPT_BYTES, Turn
from tests.transport.turning import Loop, Wire


@pytest.fixture
def written():
    return []


def test_what_is_written_leaves_at_the_end_of_the_turn_in_order(loop, turn, written):
    """Not before, and the loop is asked for one call however much it is."""
    one, two = Wire(written, "one"), Wire(written, "two")
    turn.write(one, b"a")
    turn.write(two, b"b")
    turn.write(one, b"c")
    assert written == []
    assert len(loop.soon) == 1
    loop.turn_round()
    assert written == [("one", b"a"), ("two", b"b"), ("one", b"c")]
    turn.write(one, b"d")
    loop.turn_round()
    assert written[3:] == [("one", b"d")]
    assert loop.soon == []


def test_no_more_than_a_little_is_kept(loop, turn, written):
    """A source that never waits would fill the memory, and never learn that its client reads nothing; in order all the same."""
    wire = Wire(written)
    piece = b"x" * 1000
    kept = most = 0
    for count in range(1, 1001):
        turn.write(wire, piece)
        kept = count * len(piece) - sum(len(data) for _, data in written)
        most = max(most, kept)
    assert KEPT_BYTES - len(piece) < most <= KEPT_BYTES
    loop.turn_round()
    assert written == [("", piece)] * 1000
    turn.write(wire, piece)
    assert len(written) == 1000, "and then as much as before is kept again"


def test_many_who_write_little_are_one_who_writes_much(turn, written):
    """What is kept is bounded for the loop, not for each of its connections."""
    for _ in range(KEPT_BYTES // 100):
        turn.write(Wire(written), b"x" * 100)
    assert written == []
    turn.write(Wire(written), b"x" * 100)
    assert len(written) == KEPT_BYTES // 100 + 1


def test_a_flush_writes_what_is_there_and_no_more_is_written_twice(loop, turn, written):
    """Whoever closes a transport has its last words written first."""
    wire = Wire(written)
    turn.write(wire, b"a")
    turn.flush()
    assert written == [("", b"a")]
    turn.write(wire, b"b")
    turn.flush()
    turn.flush()
    loop.turn_round()
    assert written == [("", b"a"), ("", b"b")]


def test_callbacks_run_together_and_their_writes_leave_after_the_last(loop, turn, written):
    """The neighbour is woken once."""
    wire = Wire(written)
    seen = []

    def answer(data):
        assert turn.running
        turn.write(wire, data)
        seen.append(list(written))

    turn.later(lambda: answer(b"a"))
    turn.later(lambda: answer(b"b"))
    assert len(loop.soon) == 1
    assert not turn.running
    loop.turn_round()
    assert seen == [[], []]
    assert written == [("", b"a"), ("", b"b")]
    assert not turn.running
    assert loop.soon == []


def test_what_was_written_before_the_callbacks_run_comes_before(loop, turn, written):
    """A `100 Continue`, then the answer."""
    wire = Wire(written)
    turn.later(lambda: turn.write(wire, b"answer"))
    turn.write(wire, b"continue")
    loop.turn_round()
    assert written == [("", b"continue"), ("", b"answer")]


def test_much_that_is_written_amid_the_callbacks_leaves_amid_them(loop, turn, written):
    """One that brings a megabyte is not to keep it."""
    wire = Wire(written)
    seen = []
    turn.later(lambda: turn.write(wire, b"little"))
    turn.later(lambda: turn.write(wire, b"x" * (KEPT_BYTES + 1)))
    turn.later(lambda: seen.append(len(written)))
    loop.turn_round()
    assert seen == [2]


def test_a_flush_amid_the_callbacks_keeps_the_order(loop, turn, written):
    """One closes its connection; the others' bytes only leave sooner."""
    one, two = Wire(written, "one"), Wire(written, "two")
    turn.later(lambda: turn.write(one, b"a"))
    turn.later(lambda: (turn.write(two, b"b"), turn.flush(), two.abort()))
    turn.later(lambda: turn.write(one, b"c"))
    loop.turn_round()
    assert written == [("one", b"a"), ("two", b"b"), ("one", b"c")]


def test_what_a_callback_asks_for_has_the_next_turn(loop, turn, written):
    """Or a connection that always has another request would keep the loop from reading."""
    wire = Wire(written)
    rounds = []

    def again():
        rounds.append(len(written))
        turn.write(wire, b"x")
        turn.later(again)

    turn.later(again)
    for expected in (1, 2, 3):
        loop.turn_round()
        assert len(rounds) == len(written) == expected
        assert len(loop.soon) == 1
    assert rounds == [0, 1, 2]


def test_a_callback_that_fails_fails_alone(loop, turn, written, caplog):
    """It is another's request: the others run, and what they write leaves."""
    wire = Wire(written)
    turn.later(lambda: turn.write(wire, b"a"))
    turn.later(lambda: 1 / 0)
    turn.later(lambda: turn.write(wire, b"b"))
    loop.turn_round()
    assert written == [("", b"a"), ("", b"b")]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert not turn.running


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, BaseException])
def test_the_rest_runs_after_what_is_no_exception(loop, turn, written, kind):
    """The loop must see it, as it sees one out of any callback; those behind it have the next turn."""
    wire = Wire(written)

    def fails():
        raise kind

    turn.later(lambda: turn.write(wire, b"a"))
    turn.later(fails)
    turn.later(lambda: turn.write(wire, b"b"))
    turn.later(lambda: turn.write(wire, b"c"))
    with pytest.raises(kind):
        loop.turn_round()
    assert written == [("", b"a")]
    assert not turn.running
    assert len(loop.soon) == 1
    loop.turn_round()
    assert written == [("", b"a"), ("", b"b"), ("", b"c")]
    assert loop.soon == []


def test_nothing_is_written_to_who_has_left(loop, turn, written):
    """Loops warn, or raise, where a closed transport is written to; the others have their bytes."""
    gone, here = Wire(written, "gone"), Wire(written, "here")
    turn.write(gone, b"a")
    turn.write(here, b"b")
    gone.closing = True
    loop.turn_round()
    assert written == [("here", b"b")]


def test_a_transport_that_raises_is_given_up_alone(loop, turn, written, caplog):
    """With a gap in what it was to send it must not go on; whoever was to be written to after it is another client."""
    broken, here = Wire(written, "broken", RuntimeError("no")), Wire(written, "here")
    turn.write(broken, b"a")
    turn.write(here, b"b")
    turn.write(broken, b"c")
    loop.turn_round()
    assert written == [("here", b"b")]
    assert broken.aborted
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_turn_is_of_its_loop(loop):
    """A thread that fetches in a loop of its own has its own."""
    other = Loop()
    turn = Turn.of(loop)
    assert Turn.of(loop) is turn
    assert Turn.of(other) is not turn


@pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_loop_that_is_over_is_not_kept(make):
    """Whoever makes a loop for each job would keep all of them."""
    loop = make()
    turn = Turn.of(loop)
    turn.later(lambda: None)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None
    assert turn not in Turn._turns.values()


def test_what_is_written_in_two_leaves_as_two_and_in_its_place(loop, turn):
    """Neither is copied; together they count, and what is much leaves at once."""
    written, head, body = [], b"head", b"b" * 20_000

    class Lines(Wire):
        def writelines(self, some):
            self.written.extend((self.name, one) for one in some)

    wire, closed = Lines(written, "wire"), Lines(written, "closed")
    closed.closing = True
    turn.write(wire, b"before")
    turn.write_both(wire, head, body)
    turn.write_both(closed, head, body)
    turn.write(wire, b"after")
    assert not written
    loop.turn_round()
    assert [data for _, data in written] == [b"before", head, body, b"after"]
    assert written[2][1] is body
    turn.write_both(wire, head, b"x" * (KEPT_BYTES + 1))
    assert len(written) == 6
