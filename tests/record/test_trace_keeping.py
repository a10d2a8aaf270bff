"""The sink that keeps traces: a database that is away costs memory up to a bound, and then the oldest traces."""

import time

import pytest
from tests.record.tracing import batch, message, trace

from gatewright.record import trace_keeping
from gatewright.record.trace_keeping import KeepTraces
from gatewright.record.traces import NONE
from gatewright.stores.traces import open_traces, packer_of


@pytest.fixture
def away(tmp_path):
    """A place where no database can be, until `there` is made a folder."""
    there = tmp_path / "state"
    there.write_text("a file")
    return there


def keeping(place, **more):
    return KeepTraces(lambda: open_traces(place), packer_of(), **{"keep_s": 3600.0, "max_bytes": 0, **more})


def ids(place):
    store = open_traces(place)
    try:
        return [one.id for one in store.iterate()]
    finally:
        store.close()


def test_what_came_is_written_when_no_more_comes(tmp_path):
    """In one transaction; nothing waits while the database answers."""
    sink = keeping(tmp_path)
    sink.begin()
    sink.take(batch(trace(id="a"), trace(id="b")))
    assert sink.waits
    sink.take(NONE)
    assert not sink.waits
    assert sorted(ids(tmp_path)) == ["a", "b"]
    sink.close()
    assert sink.lost == 0


def test_what_waits_for_a_database_is_written_when_it_is_there_again(away, caplog):
    """Nothing raises; the log says it once, with a number."""
    sink = keeping(away)
    sink.begin()
    sink.take(batch(trace(id="a")))
    sink.take(NONE)
    sink.take(batch(trace(id="b")))
    assert sink.waits
    (told,) = [record.getMessage() for record in caplog.records if "traces cannot be written" in record.getMessage()]
    assert "1 wait and 0 were lost" in told
    away.unlink()
    away.mkdir()
    sink.close()
    assert sorted(ids(away)) == ["a", "b"]
    assert sink.lost == 0


def test_it_is_tried_again_after_a_pause_and_without_anything_new(away):
    """`take` of nothing, as the queue does it for whoever waits."""
    sink = keeping(away)
    sink.take(batch(trace(id="a")))
    sink.take(NONE)
    away.unlink()
    away.mkdir()
    end = time.monotonic() + 10
    while sink.waits:
        assert time.monotonic() < end
        sink.take(NONE)
    assert ids(away) == ["a"]
    sink.close()


def test_beyond_the_bound_the_oldest_are_lost_and_counted(away, monkeypatch):
    """Memory is bounded by bytes; what is left at the end is lost, too, and told so."""
    packed = packer_of().pack(batch(trace(id="0")).documents, 0)
    monkeypatch.setattr(trace_keeping, "HELD_BYTES", int(2.5 * len(packed.data)))
    sink = keeping(away)
    for number in range(5):
        sink.take(batch(trace(id=str(number))))
    assert sink.lost == 3
    sink.close()
    assert sink.lost == 5


def test_more_than_may_be_held_is_written_before_any_of_it_is_let_go(tmp_path, monkeypatch):
    """While the database answers nothing is lost, however much comes at once."""
    monkeypatch.setattr(trace_keeping, "HELD_BYTES", 250)
    sink = keeping(tmp_path)
    for number in range(5):
        sink.take(batch(trace(id=str(number))))
    sink.close()
    assert (sink.lost, len(ids(tmp_path))) == (0, 5)


def test_what_is_too_old_is_removed(tmp_path, monkeypatch):
    """In the same thread, now and then."""
    monkeypatch.setattr(trace_keeping, "RETIRE_EVERY_S", 0.0)
    sink = keeping(tmp_path, keep_s=60.0)
    now = int(time.time() * 1e6)
    for one in (trace(id="old", at=now - 120_000_000, request=message(b"x")), trace(id="young", at=now)):
        sink.take(batch(one))
        sink.take(NONE)
    sink.close()
    assert ids(tmp_path) == ["young"]
