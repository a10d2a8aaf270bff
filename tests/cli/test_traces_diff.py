"""How two exchanges differ: nothing is left out, nothing is made up, and a long text costs no more than it should."""

import time

from hypothesis import given
from hypothesis import strategies as st
from tests.record.tracing import ANSWER, ASKED, message, trace

from gatewright.cli.trace_diff import Side, calls, changes, compare, words
from gatewright.record.export_meaning import meaning_of

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=8,
)


def side(**more):
    told = trace(**more)
    meaning = meaning_of(told)
    return Side(summary=told, request=meaning.request, answer=meaning.answer)


@given(st.text(max_size=200), st.text(max_size=200))
def test_the_pieces_are_both_texts(a, b):
    """Joined they are what was compared; what is the same is the same."""
    pieces = words(a, b)
    assert "".join(piece.a for piece in pieces) == a
    assert "".join(piece.b for piece in pieces) == b
    assert all((piece.a == piece.b) == (piece.op == "same") for piece in pieces)
    assert (a == b) == all(piece.op == "same" for piece in pieces)


def test_long_texts_are_compared_by_lines():
    """Two of 200 KB: bounded work, and still the change alone."""
    a = "\n".join(f"line {n} of a long text with some words in it" for n in range(1500))
    b = a.replace("line 700 ", "LINE 700 ")
    began = time.process_time()
    changed = [piece for piece in words(a, b) if piece.op != "same"]
    assert [piece.a[:8] for piece in changed] == ["line 700"]
    huge = "x " * 200_000
    assert len(words(huge, huge + "y")) == 1
    assert time.process_time() - began < 20


@given(DOCUMENTS, DOCUMENTS)
def test_documents_differ_where_they_differ(a, b):
    """No difference is told of what is the same, and one at least of what is not."""
    found = list(changes("$", a, b))
    assert not list(changes("$", a, a))
    if a != b:
        assert found
    for change in found:
        assert change.path.startswith("$")


def test_calls_are_matched_by_name_in_their_order():
    """One that only the second made is added; arguments are compared where both called."""
    found = calls([("a", {"x": 1}), ("c", {})], [("a", {"x": 2}), ("b", {}), ("c", {})])
    assert [(call.name, call.op) for call in found] == [("a", "changed"), ("b", "added"), ("c", "same")]
    assert [(change.path, change.a, change.b) for change in found[0].changes] == [("$.x", 1, 2)]


def test_what_was_asked_differently_is_told_by_its_place():
    """A message more, another word, another setting."""
    other = ASKED.replace(b"Cobh", b"Cork").replace(b'"max_tokens":64', b'"max_tokens":65').replace(b'"tools":[', b'"tools":[')
    found = compare(side(), side(request=message(other)))
    assert {change.path for change in found.asked} == {"messages[1].blocks[0]", ".max_tokens"}
    assert not found.same


def test_an_answer_that_is_missing_is_a_difference():
    """A refusal beside an answer."""
    failed = side(status=503, outcome="error", answer=message(b'{"error":{"message":"no"}}'))
    found = compare(side(), failed)
    assert [piece.op for piece in found.text] == ["removed"]
    assert [call.op for call in found.calls] == ["removed"]
    assert compare(side(), side(answer=message(ANSWER))).same
