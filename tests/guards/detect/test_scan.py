import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatewright.guards.detect import scan as scan_module
from gatewright.guards.detect.scan import MOST, BadPattern, Row, Scan, apart
from gatewright.guards.terms import Span
from tests.guards.detect.pieces import holds, let_go

ATOMS = st.sampled_from(
    ["a", "b", "é", "1", "[ab]", "[^a]", ".", r"\d", r"\w", r"\x62", r"\pL", "[[:digit:]]", r"\Qa\E", r"\bé?", "☃"]
)


def patterns() -> st.SearchStrategy[str]:
    """Patterns of every construct that joins characters."""
    return st.recursive(
        ATOMS,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map("".join),
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
            st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "*?", "{2,}"])).map(
                lambda pair: f"({pair[0]}){pair[1]}"
            ),
            inner.map(lambda each: rf"\b{each}"),
            inner.map(lambda each: rf"{each}\b"),
            inner.map(lambda each: f"(?i:{each})"),
            inner.map(lambda each: f"^{each}"),
            inner.map(lambda each: f"(?m){each}$"),
        ),
        max_leaves=6,
    )


TEXTS = st.text(alphabet="abAB1 \né☃x\U0001f600", max_size=24)


def scan_of(*sources: str) -> Scan | None:
    try:
        return Scan([Row(f"k{index}", source) for index, source in enumerate(sources)])
    except BadPattern:
        return None


@settings(max_examples=700, deadline=None)
@given(st.lists(patterns(), min_size=1, max_size=3), TEXTS, st.lists(st.integers(0, 30), max_size=8))
@example(["a+b", "b"], "aaxb", [1, 2, 3])
@example([r"foo\b"], "foox foo", [3, 4])
def test_nothing_of_a_match_goes_out_before_it_is_known(sources, text, cuts):
    """Whatever the patterns, the text and where it is cut: in pieces the same is found, and what went out was no part of it."""
    scan = scan_of(*sources)
    if scan is not None:
        holds(scan, text, cuts)


@settings(max_examples=300, deadline=None)
@given(patterns(), TEXTS)
def test_a_text_is_open_only_where_something_could_follow(source, text):
    """Tight: from where a text is open, what follows can make a match, or one ends with the text."""
    scan = scan_of(source)
    if scan is None or any(mark in source for mark in ("\\b", "^", "$")):
        return
    at = scan.open_from(text)
    if at == len(text) or any(span.start <= at for span in scan.find(text)):
        return
    tails = ["a", "b", "1", "é", "A", "☃", " ", "aa", "ab", "b1", "11", "éé", "bé", "aé"]
    tails += [x + y + z for x in "ab1é" for y in "ab1é☃" for z in "ab1é☃"]
    assert any(
        span.start <= at < span.end
        for tail in ["", *tails, *(t + u for t in tails for u in tails)]
        for span in scan.find(text + tail)
    ), at


@pytest.mark.parametrize("source", [r"secret-\d+", r"\bpassword\b", r"foobar|foo", r"[a-z]{3}\d{4,6}"])
def test_matches_are_those_of_re(source):
    """Where both know the syntax they find the same, in characters and not in bytes."""
    text = "é secret-12 ☃ foobar password passwords abc12345 xyz123 \U0001f600 secret-9"
    assert [(s.start, s.end) for s in Scan([Row("x", source)]).find(text)] == [m.span() for m in re.finditer(source, text)]


def test_prose_flows():
    """Ordinary text waits for nothing that none of the rules could become."""
    scan = Scan(
        [
            Row("key", r"\bsk-[A-Za-z0-9]{20,40}\b"),
            Row("mail", r"\b[a-z.]{1,64}@[a-z.]{1,64}\.[a-z]{2,10}\b"),
            Row("x", "project falcon"),
        ]
    )
    text = "The quick brown fox jumps over the lazy dog; then it rests, and nobody projects anything upon it. " * 20
    pieces = [text[at : at + 5] for at in range(0, len(text), 5)]
    waiting = [min(len(text), 5 * (index + 1)) - out for index, (out, _) in enumerate(let_go(scan, pieces)[:-1])]
    assert max(waiting) <= len("projects")
    assert sum(waiting) / len(waiting) < 4


def test_a_choice_of_ten_thousand_characters_is_open_no_further_than_its_longest_branch():
    """Patterns too large for one automaton of beginnings are asked one by one."""
    scan = Scan([Row(f"k{i}", f"[a-f]{{900}}{i:04d}") for i in range(30)])
    assert scan.open_from("x" * 50) == 50
    assert scan.open_from("x" * 50 + "a" * 20) == 50


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (r"(?<=a)b", "lookaround"),
        (r"foo(?!bar)", "lookaround"),
        (r"(a)\1", "backreferences"),
        ("(a", "missing"),
        ("a*", "matches the empty text"),
        (r"\C", "a byte"),
        ("a{2000}", "repetition"),
        ("(" * 300 + "a" + ")" * 300, "nested deeper"),
        ("\ud800", "surrogate"),
    ],
)
def test_what_re2_refuses_is_said_in_words(source, says):
    """The operator learns which pattern, and what to write instead."""
    with pytest.raises(BadPattern, match=says) as refused:
        Scan([Row("x", source)])
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize(
    ("sources", "unit"),
    [
        (["a(?:.*b)?"], "a"),
        (["(?:a|.*c)*b|a"], "a"),
        (["BEGIN.*END|secret"], "BEGIN secret "),
        ([r"\d+x", r"(?s)<.*>"], "1<"),
        (["x(?:.*z|y)"], "xy"),
        ([r"\w+@\w+\.com"], "a@a.co"),
    ],
)
def test_a_megabyte_made_to_cost_costs_a_bounded_number_of_searches(sources, unit):
    """What RE2 reads grows with the text, not with its square: searches that may read it all are counted."""
    scan = Scan([Row(f"k{index}", source) for index, source in enumerate(sources)])
    text = unit * (1_000_000 // len(unit))
    spans = scan.find(text)
    assert len(spans) <= len(scan._located) * (MOST + 1)
    assert scan.open_from(text) <= len(text)


def test_after_most_matches_the_rest_is_one():
    """Nothing is let through for being too much."""
    spans = Scan([Row("a", "a")]).find("a" * (MOST + 500))
    assert len(spans) == MOST + 1
    assert (spans[-1].start, spans[-1].end) == (MOST, MOST + 500)


def test_half_characters_are_no_trouble():
    """A lone surrogate, which JSON can say, is one character of no meaning."""
    scan = Scan([Row("x", "secret")])
    assert [(s.start, s.end) for s in scan.find("\ud800é\udc00secret\ud83d")] == [(3, 9)]
    assert scan.open_from("\ud800sec") == 1


def test_what_overlaps_is_all_covered():
    """Of two that overlap the later begins where the earlier ends."""
    assert apart([Span(3, 10, "b"), Span(0, 5, "a"), Span(4, 5, "c")]) == [Span(0, 5, "a"), Span(5, 10, "b", 2)]


def test_what_led_to_it_is_not_found():
    """Of `key = value` the value is what is found, and nothing is cut between the two."""
    scan = Scan([Row("value", r"key = (\d{3})\b", led=True)])
    assert scan.find("a key = 123 b") == [Span(8, 11, "value", 6)]
    holds(scan, "key = 123 key = 12 key = 456.", range(30))


def test_a_check_decides_and_may_shorten():
    """A candidate that is none hides no other, even one within it."""
    rows = [Row("n", r"\b\d(?: ?\d){2,9}\b", check=lambda words: 5 if words.startswith("7") else 0, again=True)]
    assert Scan(rows).find("12 7 3456 89") == [Span(3, 8, "n")]


def test_a_set_without_memory_hides_nothing(monkeypatch):
    """RE2 says of such a set that nothing matches; each pattern is asked by itself then."""
    rows = [Row(f"k{index}", f"[a-f]{{1,40}}{index:02d}x") for index in range(12)]
    for memory in (8_000, 16_000, 24_000, 40_000, 80_000, 160_000):
        monkeypatch.setattr(scan_module, "MEMORY", memory)
        try:
            scan = Scan(rows)
        except BadPattern:
            continue
        assert [span.kind for span in scan.find("so abc05x it is")] == ["k5"], memory
