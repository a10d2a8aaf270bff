"""Characters by category."""

from hypothesis import given
from hypothesis import strategies as st

from gatewright.invariant.detectors.characters import CATEGORIES, find_categories


def test_runs_of_a_category_are_told_with_their_places():
    assert list(find_categories("a\ue000\ue001b", ["Co"])) == [("Co", 1, 3)]
    assert list(find_categories("a+b", ["Sm"])) == [("Sm", 1, 2)]
    assert list(find_categories("plain", ["Co"])) == []


@given(st.text(max_size=60))
def test_all_of_a_text_is_in_some_category(text):
    runs = list(find_categories(text))
    assert "".join(text[start:end] for _, start, end in runs) == text
    assert {kind for kind, _, _ in runs} <= CATEGORIES
