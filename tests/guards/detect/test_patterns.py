import pytest

from gatewright.guards.detect.patterns import compiled
from gatewright.guards.kinds import compile_kind


def kinds(settings: dict, text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in compile_kind("patterns", settings).detector.find(text)]


def test_findings_are_called_by_the_names_of_their_patterns():
    """What has no name is a pattern."""
    settings = {"patterns": ["project falcon", {"name": "ticket", "pattern": r"\bTCK-\d{4}\b"}]}
    assert kinds(settings, "see TCK-1234 of project falcon") == [("ticket", "TCK-1234"), ("pattern", "project falcon")]


def test_flags_hold_for_all_patterns():
    """`ignore_case`, `multiline` and `dot_all` are RE2's i, m and s."""
    assert kinds({"patterns": ["falcon"], "ignore_case": True}, "FALCON") == [("pattern", "FALCON")]
    assert kinds({"patterns": ["^b$"], "multiline": True}, "a\nb\nc") == [("pattern", "b")]
    assert kinds({"patterns": ["a.b"], "dot_all": True}, "a\nb") == [("pattern", "a\nb")]
    assert kinds({"patterns": ["a.b", "^b$", "A"]}, "a\nb") == []


def test_how_long_a_match_may_be_is_told():
    """The window holds no more than that; a pattern without a bound says so."""
    assert compiled({"patterns": [r"sk-\w{20,40}", "abc"]}).longest == 43
    assert compiled({"patterns": [r"BEGIN.*END"]}).longest is None
    assert compiled({"patterns": [r"(?:ab|c){2,3}x?"]}).longest == 7


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "patterns"),
        ({"patterns": []}, r"at least one pattern is needed - at `\$.patterns`"),
        ({"patterns": ["ok", "(?=a)b"]}, r"lookaround.*\$.patterns\[1\]"),
        ({"patterns": [{"pattern": r"(a)\1"}]}, r"backreferences.*\$.patterns\[0\].pattern"),
        ({"patterns": [{"pattern": "a", "name": ""}]}, r"\$.patterns\[0\].name"),
        ({"patterns": ["a*"]}, "matches the empty text"),
        ({"patterns": ["a"], "ignorecase": True}, "unknown field `ignorecase`"),
        ({"patterns": [1]}, r"\$.patterns\[0\]"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(settings, says):
    """The configuration's line is found by it."""
    with pytest.raises(ValueError, match=says):
        compiled(settings)
