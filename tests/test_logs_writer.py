"""The log's writer: nobody waits for it, nothing is lost that there is room for, and what is lost is counted."""

import io
import os
import subprocess
import sys
import threading

from gatewright.logs_writer import Writer


class Slow(io.RawIOBase):
    """Takes nothing until it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.taken = b""

    def write(self, wire) -> int:
        assert self.let.wait(10)
        self.taken += wire
        return len(wire)


def test_lines_leave_in_order_and_all_at_the_end():
    sink = io.BytesIO()
    with Writer(sink) as writer:
        for number in range(2000):
            writer.put(str, number)
    assert sink.getvalue().decode().split() == [str(number) for number in range(2000)]


def test_what_is_urgent_leaves_at_once():
    """Not when it is next time to look."""
    seen = threading.Event()

    class Sink(io.BytesIO):
        def write(self, wire) -> int:
            seen.set()
            return len(wire)

    with Writer(Sink()) as writer:
        writer.put(str, "a warning", urgent=True)
        assert seen.wait(5)


def test_who_does_not_read_is_not_waited_for():
    """Lines beyond the bound are dropped and counted; what waits is written when somebody reads again."""
    sink = Slow()
    writer = Writer(sink, most=100)
    writer.put(str, "first", urgent=True)
    while writer._waiting:
        pass
    for number in range(1000):
        writer.put(str, number)
    assert writer.dropped == 900
    sink.let.set()
    writer.close()
    assert sink.taken.decode().split() == ["first", *(str(number) for number in range(100))]


def test_a_line_that_cannot_be_made_does_not_stop_the_next():
    sink = io.BytesIO()
    with Writer(sink) as writer:
        writer.put(lambda what: what.nothing, "x")
        writer.put(str, "after it")
    failed, good = sink.getvalue().decode().splitlines()
    assert "AttributeError" in failed
    assert good == "after it"


def test_a_pipe_that_is_closed_is_nobodys_failure():
    """Whoever read it has gone; the gateway goes on."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as sink, Writer(sink) as writer:
        writer.put(str, "x", urgent=True)
        writer.flush()
        writer.put(str, "y")


def test_what_waits_when_the_process_ends_is_written():
    """The last words of a process are those that somebody will want."""
    script = "import sys; from gatewright.logs_writer import Writer; Writer(sys.stderr.buffer).put(str, 'last words')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stderr == b"last words\n"
