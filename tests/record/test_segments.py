"""Records in a segment: whole, or not there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.record.segments import END_MARK, START, every_record, file_name, head_of, numbers, read, record_of, stretch

PAYLOADS = [b"one", b"two" * 100, b"\0\0\0", b"x"]


def test_what_was_written_is_read_in_order():
    """And then there are zeros: nothing more has come yet."""
    data = b"".join(map(record_of, PAYLOADS)) + bytes(100)
    assert stretch(data) == (PAYLOADS, len(data) - 100, "open")


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=6), st.data())
def test_a_record_that_was_cut_was_never_written(payloads, data):
    """Whoever was killed at any byte: what is before it is whole, and nothing half is read."""
    whole = b"".join(map(record_of, payloads))
    cut = data.draw(st.integers(0, len(whole)))
    found = stretch(whole[:cut] + bytes(len(whole) - cut + 64))
    ends, at = [], 0
    for payload in payloads:
        at += 8 + len(payload)
        ends.append(at)
    complete = sum(end <= cut for end in ends)
    # A cut within zeros of a record's own may leave it whole.
    assert found.payloads[:complete] == payloads[:complete]
    assert len(found.payloads) <= len(payloads)
    assert all(got == payload for got, payload in zip(found.payloads, payloads, strict=False))


@given(st.binary(max_size=300))
def test_nonsense_is_read_as_nothing_and_never_raises(data):
    """A disk may give anything back."""
    found = stretch(data)
    assert found.position <= len(data)


def test_an_end_mark_leads_to_the_next_segment():
    """And so does an end that no record fits in."""
    assert stretch(record_of(b"a") + END_MARK + bytes(40)).why == "over"
    assert stretch(record_of(b"a") + b"\0\0\0").why == "over"
    assert stretch(record_of(b"a") + b"\0\0\0", last=False).why is None


def test_a_flipped_bit_is_a_torn_record():
    """Its checksum says so."""
    data = bytearray(record_of(b"payload") + bytes(20))
    data[10] ^= 1
    assert stretch(bytes(data)) == ([], 0, "torn")


def test_a_segment_is_read_in_goes(tmp_path):
    """Larger than what is read at once; every record with the place where it ends."""
    payload = b"p" * 50_000
    (tmp_path / file_name(3)).write_bytes(head_of(3) + record_of(payload) * 50)
    (tmp_path / "other").touch()
    assert numbers(tmp_path) == [3]
    at, seen, goes = 0, 0, 0
    while (found := read(tmp_path / file_name(3), at)).why is None:
        at, seen, goes = found.position, seen + len(found.payloads), goes + 1
    assert seen + len(found.payloads) == 50
    assert goes > 1
    places = [(number, end) for number, end, _ in every_record(tmp_path)]
    assert places == [(3, START + (i + 1) * (len(payload) + 8)) for i in range(50)]


def test_a_segment_that_is_gone_is_an_error(tmp_path):
    """Somebody has taken it over."""
    with pytest.raises(FileNotFoundError):
        read(tmp_path / file_name(1), 0)
