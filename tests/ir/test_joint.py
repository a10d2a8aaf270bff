"""Texts joined: no words come twice, no space is lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.ir.continuing import anchor_of
from gatewright.ir.joint import LEAST_OVERLAP, Joint


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="abc .", min_size=1, max_size=40), st.text(alphabet="abc .", max_size=20), st.data())
def test_a_model_that_does_as_asked_is_joined_letter_by_letter(before, rest, data):
    """It repeats the last words and goes on: what the client reads is what one model would have said, in any pieces."""
    anchor = anchor_of(before)
    if not anchor:
        return
    space = before[len(before.rstrip()) :]
    told = anchor + space + rest
    joint, out = Joint(before, "turn", anchor), ""
    while told:
        size = data.draw(st.integers(1, len(told)))
        out, told = out + joint.feed(told[:size]), told[size:]
    assert out + joint.close() == rest


@pytest.mark.parametrize(
    ("before", "told", "joined"),
    [
        ("The quick", "The quick brown fox", " brown fox"),
        ("The quick ", "The quick brown fox", "brown fox"),
        ("The quick", '"The quick" brown fox', " brown fox"),
        ("The quick", "\n\nThe quick brown fox", " brown fox"),
        ("The quick", "brown fox", " brown fox"),
        ("The quick ", " brown fox", "brown fox"),
        ("The quick.", "Brown", " Brown"),
        ("The quick", ", brown", ", brown"),
        ("f(", "x)", "x)"),
        ("你好", "世界", "世界"),
        ("The qui", "The quick brown", "ck brown"),
        ("Done.\n\n", "Done.\n\nNext", "Next"),
        ("Done.\n\n", "Done.\nNext", "Next"),
        ("Done.", "Done.\n\nNext", "\n\nNext"),
        ("Never the same", "Never the", " Never the"),
    ],
)
def test_words_and_white_space_are_mended(before, told, joined):
    """With the last words repeated the join is certain; without them a space stands where a fresh turn leaves it out."""
    for size in (1, 3, 100):
        joint = Joint(before, "turn", anchor_of(before))
        pieces = [joint.feed(told[at : at + size]) for at in range(0, len(told), size)]
        assert "".join(pieces) + joint.close() == joined


def test_a_repetition_from_further_back_is_dropped_whole():
    """A model that begins its last sentence anew, or the whole answer."""
    before = "It was the best of times. It was the worst of"
    for told in (f"{before} times.", "It was the worst of times."):
        joint = Joint(before, "turn", "the worst of")
        assert joint.feed(told) + joint.close() == " times."


def test_nothing_is_dropped_after_a_prefilled_answer_but_the_space_between():
    """Such a model goes on for certain: what looks like a repetition is one that it means."""
    before = "-|-|-|-|-|-|-|-|-|-|-|-|-|" * 2
    joint = Joint(before, "prefill")
    assert joint.feed(before) == before
    assert Joint("So ", "prefill").feed(" it is") == "it is"
    assert Joint("So", "prefill").feed(" it is") == " it is"
    assert Joint("quick", "prefill").feed("ly") == "ly"


def test_few_words_in_common_are_no_repetition():
    """Unasked, only what is long enough counts."""
    before = "x" * LEAST_OVERLAP + " and then"
    joint = Joint(before, "turn", "something else entirely")
    assert joint.feed("and then some") + joint.close() == " and then some"
