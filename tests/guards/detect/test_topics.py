import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.guards.detect.topics import compiled
from tests.guards.detect.pieces import holds

FIND = compiled({"topics": {"city": ["Zürich", "New York"], "art": ["art"]}, "phrases": ["weapon*", "Straße", "łódź"]}).detector


def found(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in FIND.find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in zurich or ZÜRICH, Zu\u0308rich", [("city", "zurich"), ("city", "ZÜRICH"), ("city", "Zu\u0308rich")]),
        ("new-york, New\n York NEW_YORK", [("city", "new-york"), ("city", "New\n York"), ("city", "NEW_YORK")]),
        ("art; a party of artists, Art! ärt", [("art", "art"), ("art", "Art"), ("art", "ärt")]),
        ("Weapons and weaponry", [("topic", "Weapons"), ("topic", "weaponry")]),
        ("Strasse STRASSE straße", [("topic", "Strasse"), ("topic", "STRASSE"), ("topic", "straße")]),
        ("Lodz Łódź", [("topic", "Lodz"), ("topic", "Łódź")]),
        ("art art art", [("art", "art")] * 3),
        ("mart, яart, art1, art_x", []),
    ],
)
def test_whole_words_whatever_their_case_and_accents(text, expected):
    assert found(text) == expected


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(["art", "zür", "ich", " ", "new", "york", "-", "weapon", "s", "é", "\u0308", "x"]), max_size=12).map(
        "".join
    ),
    st.lists(st.integers(0, 40), max_size=6),
)
def test_nothing_goes_out_before_it_is_known(text, cuts):
    holds(FIND, text, cuts)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "at least one phrase"),
        ({"phrases": [" "]}, r"must not be empty.*\$.phrases\[0\]"),
        ({"topics": {"a": ["x*y"]}}, r"may only end a word.*\$.topics.a\[0\]"),
        ({"phrases": ["*"]}, "may only end a word"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(settings, says):
    with pytest.raises(ValueError, match=says):
        compiled(settings)


def test_how_long_a_match_may_be_is_known():
    assert 0 < compiled({"phrases": ["weapon*"]}).longest < 512
