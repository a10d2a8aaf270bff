"""The sink that keeps traces: a database that is away costs memory up to a bound, and then the oldest traces."""

import time

import pytest
from tests.record.tracing import message, trace

from gatewright.record import trace_keeping
from gatewright.record.trace_keeping import KeepTraces
from gatewright.stores.traces import open_traces


@pytest.fixture
def away(tmp_path):
    """A place where no database can be, until `there` is made a folder."""
    there = tmp_path / "state"
    there.write_text("a file")
    return there


def keeping(place, **more):
    return KeepTraces(lambda: open_traces(place), **{"keep_s": 3600.0, "max_bytes": 0, **more})


def ids(place):
    store = open_traces(place)
    try:
        return [one.id for one in store.iterate()]
    finally:
        store.close()


def test_what_comes_is_written_at_once(tmp_path):
    """Nothing waits while the database answers."""
    sink = keeping(tmp_path)
    sink.begin()
    sink.take([trace(id="a"), trace(id="b")])
    assert not sink.waits
    assert sorted(ids(tmp_path)) == ["a", "b"]
    sink.close()
    assert sink.lost == 0


def test_what_waits_for_a_database_is_written_when_it_is_there_again(away, caplog):
    """Nothing raises; the log says it once, with a number."""
    sink = keeping(away)
    sink.begin()
    sink.take([trace(id="a")])
    sink.take([trace(id="b")])
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
    sink.take([trace(id="a")])
    away.unlink()
    away.mkdir()
    end = time.monotonic() + 10
    while sink.waits:
        assert time.monotonic() < end
        sink.take(())
    assert ids(away) == ["a"]
    sink.close()


def test_beyond_the_bound_the_oldest_are_lost_and_counted(away, monkeypatch):
    """Memory is bounded by bytes; what is left at the end is lost, too, and told so."""
    monkeypatch.setattr(trace_keeping, "HELD_BYTES", 250)
    sink = keeping(away)
    sink.take([trace(id=str(number), size=100) for number in range(5)])
    assert sink.lost == 3
    assert [one.id for one in sink._held] == ["3", "4"]
    sink.close()
    assert sink.lost == 5


def test_what_is_too_old_is_removed(tmp_path, monkeypatch):
    """In the same thread, now and then."""
    monkeypatch.setattr(trace_keeping, "RETIRE_EVERY_S", 0.0)
    sink = keeping(tmp_path, keep_s=60.0)
    now = int(time.time() * 1e6)
    sink.take([trace(id="old", at=now - 120_000_000, request=message(b"x"))])
    sink.take([trace(id="young", at=now)])
    sink.close()
    assert ids(tmp_path) == ["young"]
