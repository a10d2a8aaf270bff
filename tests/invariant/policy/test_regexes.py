"""Patterns as Python means them, asked of RE2."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.invariant.policy.faults import START, PolicyError
from gatewright.invariant.policy.regexes import compile_regex

PATTERNS = [
    "^(?!Peter$).*$",
    "^(?!.*@ourcompany.com$).*$",
    "(?=.*a)(?=.*b).+",
    "^(?=a)(?!ab)a.*|b+",
    "(?i)^(?!A)[a-c]+$",
    "a|(?!b)[abc]",
    "[^a]*b",
    "[]|(]+a?",
    r"\(a|b\)",
    "a.b",
    ".*",
    "(a|b)*c?",
    "^a$|^b",
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PATTERNS), st.text(alphabet="abcAB()|]@Peter.comourny", max_size=12))
def test_a_pattern_means_what_it_means_in_python(pattern, text):
    """Without line breaks in the text, where `$` differs on purpose."""
    regex = compile_regex(pattern, START, dot_all=True)
    assert regex.starts(text) == (re.match(pattern, text, re.DOTALL) is not None)
    assert regex.fits(text) == (re.fullmatch(pattern, text, re.DOTALL) is not None)


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_pattern_or_an_error_with_its_place(pattern):
    wrong = ""
    try:
        compile_regex(pattern, START)
    except PolicyError as error:
        wrong = str(error)
    assert not wrong or wrong.startswith("policy:1:1 ")


def test_places_are_counted_in_characters():
    """RE2 counts bytes; lone surrogates, which it cannot read, take their place."""
    assert list(compile_regex("b+", START).find("äöb🙂bb\ud800b")) == [(2, 3), (4, 6), (7, 8)]


@pytest.mark.parametrize("pattern", ["a(?=b)", "(?<!a)b", "(a)(?!b)", r"(a)\1", "a{2000}", "(?x) a b"])
def test_what_cannot_be_bounded_is_refused(pattern):
    with pytest.raises(PolicyError):
        compile_regex(pattern, START)
