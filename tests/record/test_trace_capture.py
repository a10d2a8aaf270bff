"""Bodies as they come: references are kept up to the bound, and what is beyond is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.record.trace_capture import Passed, Pieces


@pytest.mark.parametrize("way", ["add", "before"])
@given(pieces=st.lists(st.binary(max_size=9), max_size=20), most=st.integers(0, 40))
def test_what_is_kept_is_the_beginning_and_all_is_counted(way, pieces, most):
    """Whichever way the pieces go by."""
    body, passed = Pieces(most), []
    take = body.add if way == "add" else body.before(passed.append)
    for piece in pieces:
        take(piece)
    whole = b"".join(pieces)
    assert body.joined() == whole[:most]
    assert body.joined() is body.joined()
    assert body.size == len(whole)
    assert way == "add" or passed == pieces


def test_a_piece_is_kept_as_it_is():
    """A reference, and no copy."""
    body, piece = Pieces(), b"x" * 1000
    body.add(piece)
    assert body.joined() is piece


@given(
    steps=st.lists(st.tuples(st.binary(max_size=9), st.none() | st.binary(max_size=9)), max_size=12),
    unsent=st.binary(max_size=9),
    most=st.integers(1, 200),
)
def test_what_has_passed_is_what_the_client_was_told(steps, unsent, most):
    """Each step passes as it came or is changed into something else; the last piece has come and not gone on."""
    pieces, edits, end, told = Pieces(most), [], 0, b""
    for came, changed in steps:
        pieces.add(came)
        if changed is not None:
            edits.append((end, len(came), changed))
        end += len(came)
        told += came if changed is None else changed
    pieces.add(unsent)
    passed = Passed(pieces, edits, end)
    assert passed.size == len(told)
    if pieces.size <= most or not edits:
        assert passed.joined() == told[:most]
    else:
        assert len(passed.joined()) <= most


def test_what_passed_unchanged_is_the_same_object():
    """It is then written once."""
    pieces = Pieces()
    pieces.add(b"a")
    pieces.add(b"b")
    assert Passed(pieces, (), 2).joined() is pieces.joined()
