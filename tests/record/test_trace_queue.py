"""The queue of traces: nobody waits for it, what it drops it counts, and what fails in it costs one trace."""

import threading
import time
from itertools import count

import pytest
from tests.record.exchanged import exchanged

from gatewright.errors import Problem
from gatewright.record.trace_capture import Finished, Pieces
from gatewright.record.trace_making import Maker
from gatewright.record.trace_queue import Recording
from gatewright.record.trace_redaction import Redactor
from gatewright.record.trace_rule import TraceRule
from gatewright.stores.trace_document import document_of
from gatewright.wire.http import Call

NUMBERS = count()


class Sink:
    """Keeps what it is given, and by whom."""

    def __init__(self) -> None:
        self.traces, self.closed, self.threads = [], 0, set()

    def take(self, batch) -> None:
        self.threads.add(threading.current_thread().name)
        self.traces += batch.traces
        assert batch.documents.joined == b"".join(map(document_of, batch.traces))
        assert batch.documents.lengths == [len(document_of(one)) for one in batch.traces]

    def close(self) -> None:
        self.closed += 1


class Broken(Sink):
    def take(self, batch) -> None:
        raise OSError("away")

    def close(self) -> None:
        raise OSError("still away")


def finished(body: bytes = b"{}", *, problem=None, session: str = "", name: str = "") -> Finished:
    exchange = exchanged()
    exchange.request_id = name or f"req_{next(NUMBERS)}"
    headers = {"x-gatewright-session": session} if session else {}
    return Finished(
        exchange=exchange, call=Call(path="/v1/messages", headers=headers, body=body), status=500 if problem else 200,
        problem=problem, headers=b"", answer=Pieces(), ended=101.0,
    )  # fmt: skip


@pytest.fixture
def begin():
    """Makes recordings, and ends them."""
    made = []

    def begun(*sinks, **rule) -> Recording:
        made.append(Recording(TraceRule(enabled=True, **rule), Maker(most=1 << 20), lambda: Redactor(["hidden-secret"]), sinks))
        return made[-1]

    yield begun
    for one in made:
        one.close()


def test_every_sink_is_given_every_trace_by_the_one_thread(begin):
    """In the order in which they ended, clean of secrets; closing writes what is left."""
    one, other = Sink(), Sink()
    recording = begin(one, other)
    for number in range(20):
        recording.take(finished(b'{"a":"hidden-secret"}', name=f"req_{number:02}"))
    recording.close()
    assert [trace.id for trace in one.traces] == [f"req_{number:02}" for number in range(20)]
    assert one.traces == other.traces
    assert {trace.request.body for trace in one.traces} == {b'{"a":"[redacted:secret]"}'}
    assert one.threads == {"traces"}
    assert (recording.taken, recording.written, recording.dropped, recording.waiting) == (20, 20, 0, 0)
    assert (one.closed, other.closed) == (1, 1)


def test_beyond_its_size_what_comes_is_dropped_and_counted(begin, caplog):
    """The oldest stay: nobody waits, and the log says so once."""
    sink = Sink()
    recording = begin(sink, queue_size=3)
    recording._thread = threading.current_thread()  # nothing takes from it yet
    for number in range(10):
        recording.take(finished(name=f"req_{number}"))
    assert (recording.taken, recording.dropped, recording.waiting) == (10, 7, 3)
    recording._thread = None
    recording.start()
    recording.close()
    assert [trace.id for trace in sink.traces] == ["req_0", "req_1", "req_2"]
    assert [record.getMessage() for record in caplog.records] == [
        "warning: 7 traces were dropped so far: more comes than can be written"
    ]


def test_beyond_its_bytes_too_and_there_is_room_again(begin):
    """What an exchange holds on to is what counts; what was written counts no more."""
    sink = Sink()
    recording = begin(sink, queue_bytes=1 << 20)
    recording._thread = threading.current_thread()
    recording.take(finished(b"x" * 400_000))
    recording.take(finished(b"x" * 400_000))
    assert recording.dropped == 1
    recording._thread = None
    recording.start()
    ends = time.monotonic() + 10
    while recording.written < 1:
        assert time.monotonic() < ends
        time.sleep(0.01)
    recording.take(finished(b"x" * 400_000))
    recording.close()
    assert (recording.dropped, len(sink.traces)) == (1, 2)


def test_a_sink_that_fails_costs_the_others_nothing(begin, caplog):
    """The log says whose it was; nothing is raised, at the end neither."""
    sink = Sink()
    recording = begin(Broken(), sink)
    recording.take(finished())
    recording.close()
    assert (len(sink.traces), sink.closed) == (1, 1)
    told = [record.getMessage() for record in caplog.records]
    assert told == ["traces: Broken has lost 1 of them on a bug of ours", "traces: Broken was not closed as it should"]


def test_an_exchange_that_no_trace_can_be_made_of_costs_itself_alone(begin, caplog):
    """And the log says which."""
    sink = Sink()
    recording = begin(sink)
    bad = finished(name="req_bad")
    bad.exchange.principal = None
    recording.take(bad)
    recording.take(finished(name="req_good"))
    recording.close()
    assert [trace.id for trace in sink.traces] == ["req_good"]
    assert (recording.failed, recording.written) == (1, 1)
    assert "request req_bad: its trace failed on a bug of ours" in caplog.text


def test_one_that_cannot_be_cleaned_costs_itself_alone_and_is_not_written(monkeypatch, begin, caplog):
    """Though several are cleaned together."""
    shows = Redactor.shows

    def fails(self, documents, own):
        if b"req_bad" in documents:
            raise ValueError("oh")
        return shows(self, documents, own)

    monkeypatch.setattr(Redactor, "shows", fails)
    sink = Sink()
    recording = begin(sink)
    for name in ("req_1", "req_bad", "req_2"):
        recording.take(finished(name=name))
    recording.close()
    assert [trace.id for trace in sink.traces] == ["req_1", "req_2"]
    assert (recording.failed, recording.written) == (1, 2)
    assert "request req_bad: its trace failed on a bug of ours" in caplog.text


def test_sessions_are_sampled_whole_and_errors_always_kept(begin):
    """Half of a conversation explains nothing."""
    sink = Sink()
    recording = begin(sink, sample=0.3)
    for session in range(60):
        for _ in range(3):
            recording.take(finished(session=f"run-{session}"))
    for _ in range(5):
        recording.take(finished(problem=Problem(kind="overloaded", message="no room")))
    recording.close()
    kept = [trace for trace in sink.traces if trace.outcome == "ok"]
    by_session = {trace.session: sum(one.session == trace.session for one in kept) for trace in kept}
    assert set(by_session.values()) == {3}
    assert 5 < len(by_session) < 40
    assert len(sink.traces) - len(kept) == 5


def test_sinks_that_are_replaced_are_closed_once(begin):
    """By a reload; what comes after goes to the new ones."""
    old, new = Sink(), Sink()
    recording = begin(old)
    recording.take(finished())
    ends = time.monotonic() + 10
    while not old.traces:
        assert time.monotonic() < ends
        time.sleep(0.01)
    recording.renew(TraceRule(enabled=True), Maker(most=4), Redactor, [new])
    recording.take(finished(b"12345678"))
    recording.close()
    assert [trace.request.body for trace in new.traces] == [b"1234"]
    assert (len(old.traces), old.closed, new.closed) == (1, 1, 1)
