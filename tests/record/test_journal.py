"""The journal: nothing that was appended is lost by a kill, nothing is promised that there is no room for."""

import os
import signal
import subprocess
import sys
import time

import pytest

from gatewright.record.journal import LEAST_SEGMENT, LOCK, Journal, JournalFull, take_over
from gatewright.record.segments import LARGEST, every_record, numbers

WRITER = """
import sys
from pathlib import Path
from gatewright.record.journal import Journal
journal = Journal(Path(sys.argv[1]), max_bytes=1 << 30)
journal.open()
number = 0
while True:
    journal.append(b"%d " % number + b"x" * (number % 700))
    number += 1
    if number % 100 == 0:
        print(number, flush=True)
"""


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path, max_bytes=4 << 20)
    journal.open()
    yield journal
    journal.close()


def payloads(journal) -> list[bytes]:
    return [payload for _, _, payload in every_record(journal.folder)]


def fill(journal) -> int:
    """How many records it took until it was full."""
    count = 0
    try:
        while True:
            journal.append(b"x" * 1000)
            count += 1
    except JournalFull:
        return count


@pytest.mark.parametrize("after_s", [0.05, 0.15, 0.3])
def test_a_killed_writer_loses_nothing(tmp_path, after_s):
    """Killed at any moment: all that it has said it wrote is there, in order, and not one half."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = int(writer.stdout.readline())
        os.set_blocking(writer.stdout.fileno(), False)
        time.sleep(after_s)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        said = max([said, *(int(line) for line in (writer.stdout.read() or "").split())])
    (folder,) = tmp_path.iterdir()
    found = [payload for _, _, payload in every_record(folder)]
    assert len(found) >= said > 0
    assert [int(payload.split()[0]) for payload in found] == list(range(len(found)))
    lock = take_over(folder)
    assert lock is not None
    os.close(lock)


def test_segments_follow_one_another(journal):
    """Each is larger than the one before; every record is where one looks for it."""
    written = [b"%d" % i + b"x" * 5000 for i in range(400)]
    for payload in written:
        journal.append(payload)
    assert payloads(journal) == written
    assert len(numbers(journal.folder)) > 2


def test_a_living_writer_s_journal_is_nobody_else_s(journal):
    """The kernel frees it with the process."""
    assert take_over(journal.folder) is None
    journal.close()
    lock = take_over(journal.folder)
    assert lock is not None
    os.close(lock)


def test_a_journal_is_not_found_before_it_is_locked(tmp_path):
    """Whoever finds one that nobody holds takes it over: there is no such moment."""
    seen = []
    journal = Journal(tmp_path, max_bytes=1 << 20)
    real = os.rename
    journal.open()
    for folder in tmp_path.iterdir():
        seen.append(folder.name)
        assert take_over(folder) is None
    assert seen == [journal.name]
    assert real is os.rename
    journal.close()


def test_room_that_was_promised_is_there(tmp_path):
    """What is promised is taken from the disk at once; where it is not to be had nothing is promised."""
    journal = Journal(tmp_path, max_bytes=LEAST_SEGMENT * 3)
    journal.open()
    journal.reserve(LEAST_SEGMENT)
    with pytest.raises(JournalFull, match="journal_bytes"):
        journal.reserve(LEAST_SEGMENT * 3)
    for _ in range(LEAST_SEGMENT // 4096):
        journal.append(b"x" * 4080)
    journal.close()


def test_a_full_journal_says_so_and_goes_on_when_there_is_room(tmp_path):
    """Segments that were read are removed, and what they took may be taken again."""
    journal = Journal(tmp_path, max_bytes=LEAST_SEGMENT * 2)
    journal.open()
    count = fill(journal)
    assert len(payloads(journal)) == count
    journal.forget(1)
    journal.append(b"more")
    assert payloads(journal)[-1] == b"more"
    journal.close()


def test_a_record_beyond_all_measure_is_refused(journal):
    """Nobody writes such; it would not fit in what is promised."""
    with pytest.raises(ValueError, match="bytes"):
        journal.append(b"x" * (LEAST_SEGMENT + 1))
    with pytest.raises(ValueError, match="bytes"):
        journal.append(b"x" * LARGEST)
    assert payloads(journal) == []


def test_the_next_segment_is_ready_before_it_is_needed(journal):
    """Nobody who answers requests waits for the disk."""
    journal.prepare()
    assert numbers(journal.folder) == [1]
    while journal.written[1] < LEAST_SEGMENT // 2:
        journal.append(b"x" * 1000)
    journal.append(b"x" * 1000)
    journal.prepare()
    journal.prepare()
    assert numbers(journal.folder) == [1, 2]


def test_what_was_closed_is_as_large_as_what_was_written(journal):
    """And spare segments are gone."""
    journal.append(b"one")
    journal.reserve(LEAST_SEGMENT * 2)
    journal.sync()
    journal.close()
    (segment,) = (file for file in journal.folder.iterdir() if file.name != LOCK)
    assert segment.stat().st_size == 8 + 8 + 3
    assert payloads(journal) == [b"one"]


def test_a_disk_without_room_leaves_nothing_behind(tmp_path, monkeypatch):
    """Opened again when there is room, it works as if nothing had happened."""

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    journal = Journal(tmp_path, max_bytes=1 << 20)
    with monkeypatch.context() as patched:
        patched.setattr("gatewright.record.journal._allocate", full)
        with pytest.raises(OSError, match="No space left"):
            journal.open()
        assert list(tmp_path.iterdir()) == []
    journal.open()
    journal.append(b"one")
    with monkeypatch.context() as patched:
        patched.setattr("gatewright.record.journal._allocate", full)
        with pytest.raises(JournalFull, match="No space left"):
            journal.reserve(1 << 19)
    journal.close()


def test_a_kernel_that_makes_no_pages_ready_makes_them_as_they_are_written_to(journal, monkeypatch):
    """Linux before 5.14 does not know how; nothing is lost by that but time."""
    monkeypatch.setattr("gatewright.record.journal._POPULATE_WRITE", 9999)
    records = [b"%d " % number + b"x" * 60_000 for number in range(8)]
    for record in records:
        journal.append(record)
    assert payloads(journal) == records
