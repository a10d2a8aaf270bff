"""JSON in and out: what is none is told as such, or stays the text that it is."""

import pytest

from gatewright.wire.json import decode_or_text


@pytest.mark.parametrize(
    ("text", "document"),
    [('{"a": [1, null]}', {"a": [1, None]}), (' "a" ', "a"), ("true", True), ('"\\ud83d\\ude00"', "😀")],
)
def test_a_document_is_read(text, document):
    """Of whatever type it is."""
    assert decode_or_text(text) == document


@pytest.mark.parametrize("text", ["", " ", "sorry", "{}{}", '{"a": ', '"\ud800"', '"\\ud800"', "[" * 100_000])
def test_what_is_no_document_stays_the_text_that_it_is(text):
    """Cut off, with half a character, or nested without end: a model may write anything, and nothing of it is lost."""
    assert decode_or_text(text) == text
