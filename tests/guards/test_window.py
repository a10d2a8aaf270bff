"""The hold-back window."""

from gatewright.guards.redact import Redactor
from gatewright.guards.rules import Compiled, Rule
from gatewright.guards.terms import Span
from gatewright.guards.window import UNDECIDED, Window
from tests.guards.looking import Words, rule
from tests.guards.streaming import check_seams, check_window


def test_nothing_of_a_match_leaves_and_all_else_does() -> None:
    """2,000 random texts, cut anywhere, under random rules; `make guards` runs 10,000 and more."""
    held = [check_window(seed) for seed in range(2_000)]
    assert max(held) > 0, "the cases are to make a window hold something"


def test_nothing_of_a_match_over_blocks_leaves_and_all_else_does() -> None:
    """The same of texts in several blocks, each looked at by itself and all as one."""
    assert max(check_seams(seed) for seed in range(2_000)) > 0


class _Endless:
    """What begins with `<` may be a match until `>` comes."""

    def find(self, text: str, start: int = 0) -> list[Span]:
        first = text.find("<", start)
        last = text.find(">", first)
        return [Span(first, last + 1, "tag")] if 0 <= first < last else []

    def open_from(self, text: str, start: int = 0) -> int:
        first = text.find("<", start)
        return len(text) if first < 0 or text.find(">", first) >= 0 else first


def _endless(action: str, **settings: object) -> Rule:
    return Rule(name="tags", kind="test", action=action, check=Compiled(detector=_Endless()), **settings)  # type: ignore[arg-type]


def test_what_may_be_a_match_for_too_long_ends_the_text() -> None:
    """A rule without a bound holds as much as it may; in doubt nothing leaves."""
    for action in ("block", "redact"):
        window = Window([_endless(action, max_chars=8)], Redactor(), 64)
        window.feed("see <12345")
        assert (window.decided, window.violation) == (4, None)
        window.feed("67890")
        assert window.violation is not None
        assert window.violation.kind == UNDECIDED
        assert window.cut(0, window.decided) == "see "


def test_a_rule_that_only_tells_holds_nothing() -> None:
    window = Window([rule(Words(("secret",)), "flag"), rule(Words(("other",)), "block", dry=True)], Redactor(), 64)
    window.feed("a secr")
    assert window.held == 0
    window.feed("et and another other")
    window.close()
    assert window.violation is None
    assert [hit.rule.action for hit in window.hits] == ["flag", "block", "block"]
    assert window.cut(0, window.decided) == "a secret and another other"


def test_a_rule_over_the_whole_text_holds_it_to_its_end() -> None:
    whole = Rule(name="w", kind="test", action="block", check=Compiled(detector=Words(("b",)), whole=True))
    window = Window([whole], Redactor(), 8)
    window.feed("a" * 100)
    assert window.decided == 0
    window.close()
    assert window.cut(0, window.decided) == "a" * 100


def test_overlapping_matches_of_two_rules_leave_one_placeholder() -> None:
    window = Window([rule(Words(("abcd",)), "redact", "x"), rule(Words(("cdef",)), "redact", "y")], Redactor(), 64)
    for piece in "1abcdef2":
        window.feed(piece)
    window.close()
    assert window.cut(0, window.decided) == "1<word_1>2"


def test_blocks_are_forgotten_as_they_leave() -> None:
    window, taken = Window([rule(Words(("needle",)))], Redactor(), 64), 0
    for _ in range(2_000):
        window.feed("hay, and hay. ")
        window.seam()
        window.cut(taken, window.decided)
        taken = window.decided
    assert len(window._text) < 1_000
    assert len(window._seams) < 100


def test_a_long_text_is_forgotten_as_it_leaves() -> None:
    """What is kept of a long answer is what may still matter."""
    window, taken = Window([rule(Words(("needle",)))], Redactor(), 64), 0
    for _ in range(2_000):
        window.feed("hay, and hay. ")
        window.cut(taken, window.decided)
        taken = window.decided
    assert len(window._text) < 1_000
