"""A word that is split over parts is found as if it was whole, and nothing else is touched."""

import random
import re

import pytest

from gatewright.guards.adjacent import index_at, spans_of, starts_of
from gatewright.guards.check import Checker
from gatewright.guards.kinds import compile_kind
from gatewright.guards.redact import Redactor
from gatewright.guards.rules import Rule
from gatewright.guards.terms import Direction, Span
from gatewright.guards.terms import Text as Said
from gatewright.guards.window import Window
from gatewright.ir.blocks import Block, Inline, Media, Message, Refusal, Text, TokenLogprob, ToolResult
from gatewright.ir.request import Request
from tests.guards.looking import Numbers, Words, rule
from tests.guards.streaming import rules_of

SECRET = Words(("secret plan",))


def checked(*rules: Rule, direction: Direction = "request") -> Checker:
    return Checker(rules, direction, Redactor())


def request(*said: Block, role: str = "user") -> Request:
    return Request(origin="anthropic", model="m", messages=(Message(role=role, blocks=said),))  # type: ignore[arg-type]


def parts(*said: str) -> tuple[Text, ...]:
    return tuple(Text(text=text) for text in said)


def walked(asked: Request, *rules: Rule) -> tuple[str, ...]:
    """The texts of the first message, as they are to be."""
    return tuple(block.text for block in checked(*rules).walk.request(asked).messages[0].blocks if isinstance(block, Text))


@pytest.mark.parametrize("at", range(1, len("secret plan")))
def test_a_word_is_found_wherever_it_is_split(at) -> None:
    checker = checked(rule(SECRET))
    checker.walk.request(request(*parts("the " + "secret plan"[:at], "secret plan"[at:] + " is this")))
    assert checker.stop is not None
    (finding,) = checker.findings
    assert (finding.path, finding.start, finding.end) == ("messages[0].blocks[0].text", 4, 4 + at)


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_each_piece_of_a_match_is_redacted(role) -> None:
    """All around it stays, in its own part, and no part becomes empty: providers refuse that."""
    asked = request(*parts("a se", "cr", "et plan b", "c"), role=role)
    assert walked(asked, rule(SECRET, "redact")) == ("a <word_1>", "<word_2>", "<word_3> b", "c")


def test_parts_of_a_tools_result_are_looked_at_together() -> None:
    """By a line break too: so Gemini is told them."""
    for word, pieces in ("secret plan", ("secret", " plan")), ("secret\nplan", ("secret", "plan")):
        checker = checked(rule(Words((word,)), parts=frozenset(("tool_result",))))
        checker.walk.request(request(ToolResult(call_id="c", content=parts(*pieces))))
        assert checker.stop is not None, word


def test_a_match_by_itself_is_one_whatever_stands_beside_it() -> None:
    """What is appended in another part hides nothing: the rule would not see 123 in 1234."""
    digits = rule(Numbers(3, 3), "redact")
    assert walked(request(*parts("123", "4")), digits) == ("<number_1>", "4")
    assert walked(request(*parts("1", "23", "4x")), digits) == ("1", "23", "4x")
    assert walked(request(*parts("1", "23", "x")), digits) == ("<number_1>", "<number_2>", "x")


KINDS = {
    "patterns": ({"patterns": ["(?i)project (falcon|heron)"]}, "Project Heron"),
    "secrets": ({}, "AKIA" + "Q3EGR5TLK2MNOPQX"),
    "pii": ({"only": ["email"]}, "ann.lee@example.com"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_kinds_find_what_is_split_anywhere(kind) -> None:
    """In a request and in a stream: nothing of it goes on, wherever it is split, and what stands around it does."""
    settings, word = KINDS[kind]
    one = Rule(name="r", kind=kind, action="redact", check=compile_kind(kind, settings))  # type: ignore[arg-type]
    for at in range(1, len(word)):
        first, second = f"this: {word[:at]}", f"{word[at:]} and on"
        left = "".join(walked(request(*parts(first, second)), one))
        assert re.sub(r"<\w+>", "", left) == "this:  and on", left
        window = Window([one], Redactor(), 512)
        window.feed(first)
        window.seam()
        window.feed(second)
        window.close()
        assert re.sub(r"<\w+>", "", window.cut(0, window.decided)) == "this:  and on"


def test_what_something_stands_between_is_not_joined() -> None:
    picture = Media(kind="image", source=Inline(media_type="image/png", data="AAAA"))
    checker = checked(rule(SECRET))
    checker.walk.request(request(Text(text="secret "), picture, Text(text="plan")))
    assert checker.stop is None


def test_a_refusal_is_a_text_beside_texts() -> None:
    checker = checked(rule(SECRET))
    checker.walk.request(request(Text(text="secret "), Refusal(text="plan"), role="assistant"))
    assert checker.stop is not None


def test_what_nobody_changes_is_the_same_object() -> None:
    asked = request(*parts("a", "b", "", "secret"))
    assert checked(rule(SECRET, "redact")).walk.request(asked) is asked


def test_what_is_redacted_over_parts_comes_back_piece_by_piece() -> None:
    redactor = Redactor()
    walk = Checker([rule(SECRET, "redact", reversible=True)], "request", redactor).walk
    walk.request(request(*parts("the sec", "ret plan")))
    assert redactor.originals == {"<word_1>": "sec", "<word_2>": "ret plan"}


def test_tokens_of_a_text_that_was_changed_are_not_told() -> None:
    """Log probabilities would tell the piece."""
    logprobs = (TokenLogprob(token="plan"),)
    asked = request(Text(text="secret "), Text(text="plan", logprobs=logprobs), Text(text="b", logprobs=logprobs))
    _, piece, other = checked(rule(SECRET, "redact")).walk.request(asked).messages[0].blocks
    assert piece == Text(text="<word_2>")
    assert other is asked.messages[0].blocks[2]


def test_one_match_is_one_finding() -> None:
    """It is seen alone and joined, twice."""
    checker = checked(rule(SECRET))
    checker.walk.request(request(*parts("the secret plan", "x")))
    assert len(checker.findings) == 1


def test_a_separator_is_part_of_no_text() -> None:
    """A match that ends or begins with one covers nothing of the text beyond."""
    texts = ["ab", "", "cd"]
    assert spans_of(Words(("b\n",)), texts, ["\n"]) == [Span(1, 2, "word")]
    assert spans_of(Words(("\nc",)), texts, ["\n"]) == [Span(2, 3, "word")]
    assert spans_of(Words(("b\n\nc",)), texts, ["\n"]) == [Span(1, 3, "word")]
    assert spans_of(Words(("\n\n",)), texts, ["\n"]) == []


def test_nothing_of_a_match_leaves_and_all_else_does() -> None:
    """2,000 random runs under random rules: each part keeps its own characters that are in no match, in their order."""
    found = 0
    for seed in range(2_000):
        chance = random.Random(seed)
        letters = chance.choice(("ab", "ab ", "abc1", "ab\n1"))
        texts = [
            "".join(chance.choice(letters) for _ in range(chance.choice((0, 1, 2, 3, 8)))) for _ in range(chance.randint(2, 5))
        ]
        rules = rules_of(chance, letters)
        covered, stops = _expected(texts, rules)
        checker = Checker(rules, "request", _Marks())
        got = checker.see_adjacent([Said("user", str(i), text) for i, text in enumerate(texts)])
        kept = [
            "".join(c for c, gone in zip(text, some, strict=True) if not gone) for text, some in zip(texts, covered, strict=True)
        ]
        assert [text.replace("\0", "") for text in got] == kept, f"seed {seed}: {texts} became {got}, not {kept}"
        assert (checker.stop is not None) == stops, f"seed {seed}"
        found += any(map(any, covered))
    assert found > 500


class _Marks(Redactor):
    def replace(self, kind: str, words: str, *, reversible: bool) -> str:
        return "\0"


def _expected(texts: list[str], rules: list[Rule]) -> tuple[list[list[bool]], bool]:
    """Character by character: whether it is in a match that is redacted; and whether anything is blocked."""
    covered = [[False] * len(text) for text in texts]
    stops = False
    alone = [([(i, k) for k in range(len(text))], text) for i, text in enumerate(texts)]
    for joint in "", "\n":
        places: list[tuple[int, int] | None] = []
        for i, text in enumerate(texts):
            places += [None] * (len(joint) if i else 0) + [(i, k) for k in range(len(text))]
        alone.append((places, joint.join(texts)))  # type: ignore[arg-type]
    for places, text in alone:
        for one in rules:
            detector = one.check.detector
            assert detector is not None
            for span in detector.find(text):
                held = [place for place in places[span.start : span.end] if place is not None]
                stops = stops or (one.action == "block" and bool(held))
                for i, k in held if one.action == "redact" else ():
                    covered[i][k] = True
    return covered, stops


def test_a_position_is_of_the_text_that_has_a_character_there() -> None:
    starts = starts_of(["ab", "", "c"])
    assert [index_at(starts, at) for at in range(3)] == [0, 0, 2]
