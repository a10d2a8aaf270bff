"""Whether a secret stands in bytes: Vectorscan and RE2 say the same of everything, and where the first cannot, the other looks."""

import hyperscan
import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from gatewright.record.trace_look import by_re2, by_vectorscan, look_for
from gatewright.record.trace_redaction import BEGINS, KEYS, OTHERS
from gatewright.stores.trace_document import FRAMES

LITERALS = (b'pa/ss"w\xc3\xb6rd+1234', b"with\0nul", b"a.b*c[d]", b"line\nof\tkey", b"plain-word")
PATTERNS = (
    *map(re2.escape, LITERALS),
    *(form.encode() for form in OTHERS),
    b"%b(%b)" % (BEGINS.encode(), "|".join(KEYS).encode()),
    b"%b(?:%b)" % (FRAMES, "|".join(KEYS).encode()),
)
VECTORSCAN, RE2 = by_vectorscan(PATTERNS), by_re2(PATTERNS)
PIECES = (
    *LITERALS,
    b"sk-", b"proj-", b"gw-", b"AIza", b"AKIA", b"ASIA", b"ghp_", b"github_pat_", b"glpat-", b"xoxb-", b"sk_live_", b"hf_", b"npm_",
    b"pypi-", b"gsk_", b"xai-", b"pplx-", b"nvapi-", b"ya29.", b"eyJ", b".eyJ", b"-----BEGIN ", b"RSA ", b"PRIVATE KEY-----",
    b"Bearer ", b"bEARER ", b"A" * 8, b"0Z" * 8, b"a1" * 10, b"b" * 17, b"C" * 35, b"d" * 36, b"9" * 40, b"e" * 43, b"f" * 50,
    b"\xc4", b"\xd9", b"\xc5", b"\xda", b"\xc6", b"\xdb", b"\xff", b"\0", b"x", b"_", b"-", b"\\n", b"\\u00e9", b"%2F", b" ", b"\n", b'"',
    b"\x1b[31m", b".", b"word",
)  # fmt: skip


@given(pieces=st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=8), far=st.integers(0, 300), kind=st.booleans())
def test_both_say_the_same(pieces, far, kind):
    """Whatever stands before and behind, in either kind of bytes, wherever a vector begins."""
    data = b"." * far + b"".join(pieces) + b"." * (far % 7)
    told = VECTORSCAN(bytearray(data) if kind else data)
    assert told == RE2(data)
    assert VECTORSCAN(data) == told, "one look leaves nothing for the next"


@pytest.mark.parametrize("literal", LITERALS)
@pytest.mark.parametrize("look", [VECTORSCAN, RE2])
def test_a_secret_is_found_and_all_but_its_last_byte_is_not(literal, look):
    """Whatever bytes it is of."""
    assert look(b"before " + literal + b" behind")
    assert not look(b"before " + literal[:-1] + b" behind")


def test_where_it_cannot_be_compiled_the_other_one_looks(monkeypatch):
    """A processor without the means, or a secret of more bytes than a pattern may have."""
    long = b"k" * 20_000
    with pytest.raises(hyperscan.error):
        by_vectorscan([long])
    look = look_for([long])
    assert look(b"x" + long)
    assert not look(long[:-1])

    def none(*_args, **_more):
        raise hyperscan.error("no such processor")

    monkeypatch.setattr(hyperscan, "Database", none)
    assert look_for([b"key"])(b"a key")
