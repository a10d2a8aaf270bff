import sys

import pytest

from gatewright.guards.detect import presidio
from gatewright.guards.detect.presidio import MOST_AT_ONCE, Presidio, Settings, compiled
from gatewright.guards.terms import Span


class Result:
    def __init__(self, start: int, end: int, entity_type: str) -> None:
        self.start, self.end, self.entity_type = start, end, entity_type


class Stand:
    """In Presidio's place: every `Ann` is a person, and one word is more than it can take."""

    def analyze(self, *, text, language, entities, score_threshold):
        assert (language, entities, score_threshold) == ("en", ["PERSON", "LOCATION"], 0.5)
        if "BUG" in text:
            raise RuntimeError
        return [Result(at, at + 3, "PERSON") for at in range(len(text)) if text.startswith("Ann", at)]


def test_without_the_extra_its_name_is_told(monkeypatch):
    """And nothing is downloaded, nor does the process end."""
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    monkeypatch.setattr(presidio, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'gatewright\[pii\]'"):
        compiled({})


def test_a_model_that_is_not_installed_is_an_error(monkeypatch):
    monkeypatch.setattr(presidio, "find_spec", lambda name: object() if name == "presidio_analyzer" else None)
    with pytest.raises(ValueError, match=r"'en_core_web_lg' is not installed.*\$.model"):
        compiled({})
    with pytest.raises(ValueError, match=r"\$.model"):
        compiled({"model": "../x"})


def test_what_it_sees_is_found_where_it_stands():
    """Long texts in parts; a part that cannot be looked at is not let through."""
    detector = Presidio(Stand(), Settings())
    assert detector.find("é Ann and Ann") == [Span(2, 5, "person"), Span(10, 13, "person")]
    assert detector.find("Ann Ann", 4) == [Span(4, 7, "person")]
    assert detector.find("BUG") == [Span(0, 3, "unreadable")]
    assert detector.find("x" * MOST_AT_ONCE + "Ann") == [Span(MOST_AT_ONCE, MOST_AT_ONCE + 3, "person")]
    assert detector.open_from("abc", 1) == 1


def test_settings_are_read():
    with pytest.raises(ValueError, match=r"\$.entities"):
        compiled({"entities": []})
    with pytest.raises(ValueError, match=r"\$.score"):
        compiled({"score": 2})
