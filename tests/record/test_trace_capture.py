"""Bodies as they come: references are kept up to the bound, and what is beyond is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.record.trace_capture import Pieces


@pytest.mark.parametrize("way", ["add", "before", "behind"])
@given(pieces=st.lists(st.binary(max_size=9), max_size=20), most=st.integers(0, 40))
def test_what_is_kept_is_the_beginning_and_all_is_counted(way, pieces, most):
    """Whichever way the pieces go by."""
    body, passed = Pieces(most), []
    take = {
        "add": lambda: body.add,
        "before": lambda: body.before(passed.append),
        "behind": lambda: body.behind(lambda p: not passed.append(p)),
    }[way]()
    for piece in pieces:
        take(piece)
    whole = b"".join(pieces)
    assert body.joined() == whole[:most]
    assert body.size == len(whole)
    assert way == "add" or passed == pieces


def test_what_nobody_took_is_not_kept():
    """It comes again by another way."""
    body = Pieces()
    assert body.behind(lambda _: False)(b"x") is False
    assert (body.size, body.parts) == (0, [])


def test_a_piece_is_kept_as_it_is():
    """A reference, and no copy."""
    body, piece = Pieces(), b"x" * 1000
    body.add(piece)
    assert body.joined() is piece
