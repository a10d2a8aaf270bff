"""Random texts, cut anywhere, under random rules: what leaves a window is held against what one look at the whole text says.

A case is made from its number alone, so that a failure can be run again.
"""

import random

import msgspec

from gatewright.errors import Problem
from gatewright.guards.check import Checker
from gatewright.guards.check_stream import StreamCheck
from gatewright.guards.redact import Redactor, Restorer, restored
from gatewright.guards.rules import Rule
from gatewright.guards.terms import Detector
from gatewright.guards.window import Window
from gatewright.ir.blocks import Block, Reasoning, Text, ToolCall
from gatewright.ir.events import ArgumentsDelta, Grammar, ReasoningDelta, StreamError, StreamEvent, TextDelta
from gatewright.ir.fold import Folder, fold, unfold
from gatewright.ir.request import Request
from gatewright.ir.response import Finish, Response
from tests.guards.looking import Numbers, Words, rule

WINDOW = 64
_ALPHABET = ("ab", "ab ", "abc1", "aé b12", "ab<_1>", "a🜁b ")


def pieces_of(text: str, chance: random.Random) -> list[str]:
    """The text, cut anywhere."""
    pieces, at = [], 0
    while at < len(text):
        size = chance.choice((1, 1, 2, 3, 5, 8, 40))
        pieces.append(text[at : at + size])
        at += size
    return pieces


def rules_of(chance: random.Random, letters: str) -> list[Rule]:
    def word() -> str:
        return "".join(chance.choice(letters) for _ in range(chance.randint(1, 6)))

    rules = []
    for n in range(chance.randint(1, 3)):
        detector = (
            Numbers(chance.randint(1, 3), chance.randint(3, 6))
            if chance.random() < 0.3
            else Words(tuple(word() for _ in range(chance.randint(1, 3))))
        )
        rules.append(rule(detector, chance.choice(("block", "redact", "redact", "flag")), f"rule{n}"))
    return rules


def expected(text: str, rules: list[Rule]) -> tuple[list[bool], int | None]:
    """For each character whether it is part of a match of a rule that redacts; and where the first block begins."""
    covered = [False] * len(text)
    stop: int | None = None
    for one in rules:
        detector: Detector | None = one.check.detector
        assert detector is not None
        for span in detector.find(text):
            if one.action == "block":
                stop = span.start if stop is None else min(stop, span.start)
            elif one.action == "redact":
                covered[span.start : span.end] = [True] * (span.end - span.start)
    return covered, stop


class _Marks(Redactor):
    """Placeholders that can be told from any text."""

    def replace(self, kind: str, words: str, *, reversible: bool) -> str:
        return "\0"


def check_window(seed: int) -> int:
    """One case. Gives the most characters that were held; raises AssertionError."""
    chance = random.Random(seed)
    letters = chance.choice(_ALPHABET)
    text = "".join(chance.choice(letters) for _ in range(chance.choice((0, 3, 20, 60, 200))))
    rules = rules_of(chance, letters)
    covered, stop = expected(text, rules)
    window, out, taken, most = Window(rules, _Marks(), WINDOW), "", 0, 0
    bound = max([one.check.longest or 0 for one in rules if one.acts], default=0)
    for piece in pieces_of(text, chance):
        window.feed(piece)
        out += window.cut(taken, window.decided)
        taken = window.decided
        most = max(most, window.held if window.violation is None else 0)
        assert most <= bound, f"seed {seed}: {most} characters held, {bound} are the longest match"
        if window.violation is not None:
            break
    window.close()
    out += window.cut(taken, window.decided)
    kept = "".join(c for c, gone in zip(text[:stop], covered, strict=False) if not gone)
    assert out.replace("\0", "") == kept, f"seed {seed}: {out!r} left of {text!r}, not {kept!r}"
    assert (window.violation is None) == (stop is None), f"seed {seed}: {window.violation}"
    assert stop is None or (window.violation is not None and window.violation.start == stop), f"seed {seed}"
    return most


def check_seams(seed: int) -> int:
    """One text in several blocks: a match of a block alone is one, and so is a match of all together. As `check_window`."""
    chance = random.Random(seed)
    letters = chance.choice(_ALPHABET)
    blocks = [
        "".join(chance.choice(letters) for _ in range(chance.choice((0, 1, 2, 5, 20)))) for _ in range(chance.randint(1, 9))
    ]
    text = "".join(blocks)
    rules = rules_of(chance, letters)
    covered, stop = expected(text, rules)
    at = 0
    for block in blocks:
        here, ends = expected(block, rules)
        covered[at : at + len(block)] = [one or other for one, other in zip(covered[at : at + len(block)], here, strict=True)]
        if ends is not None:
            stop = at + ends if stop is None else min(stop, at + ends)
        at += len(block)
    window, out, taken, most = Window(rules, _Marks(), WINDOW), "", 0, 0
    bound = max([one.check.longest or 0 for one in rules if one.acts], default=0)
    for block in blocks:
        for piece in [*pieces_of(block, chance), None]:
            if piece is None:
                window.seam()
            else:
                window.feed(piece)
            out += window.cut(taken, window.decided)
            taken = window.decided
            most = max(most, window.held if window.violation is None else 0)
            assert most <= bound, f"seed {seed}: {most} characters held, {bound} are the longest match"
    window.close()
    out += window.cut(taken, window.decided)
    kept = "".join(c for c, gone in zip(text[:stop], covered, strict=False) if not gone)
    assert out.replace("\0", "") == kept, f"seed {seed}: {out!r} left of {blocks}, not {kept!r}"
    assert (window.violation.start if window.violation is not None else None) == stop, f"seed {seed}: {window.violation}"
    return most


def check_round_trip(seed: int) -> int:
    """One text redacted, said back in pieces, and restored: it is what it was. Gives how many placeholders there were."""
    chance = random.Random(seed)
    letters = chance.choice(_ALPHABET)
    text = "".join(chance.choice(letters) for _ in range(chance.choice((3, 20, 60, 200))))
    if chance.random() < 0.2:
        text += "<word_1>"
    rules = [one for one in rules_of(chance, letters) if one.action == "redact"]
    redactor = Redactor()
    redactor.avoid([text])
    spans = sorted({(span.start, span.end, span.kind) for one in rules for span in one.check.detector.find(text)})  # type: ignore[union-attr]
    sent, at = "", 0
    for start, end, kind in spans:
        if start >= at:
            sent += text[at:start] + redactor.replace(kind, text[start:end], reversible=True)
            at = end
    sent += text[at:]
    restorer, back = Restorer(redactor.originals), ""
    for piece in pieces_of(sent, chance):
        back += restorer.feed(piece)
        assert restorer.held < max([len(one) for one in redactor.originals], default=1), f"seed {seed}"
    back += restorer.close()
    assert back == restored(sent, redactor.originals) == text, f"seed {seed}: {text!r} went as {sent!r} and came as {back!r}"
    return len(redactor.originals)


# -- whole answers, streamed ---------------------------------------------------------------------------------------------------


def answer_of(chance: random.Random, letters: str) -> Response:
    """An answer of several blocks."""

    def words(most: int = 40) -> str:
        return "".join(chance.choice(letters) for _ in range(chance.randint(0, most)))

    blocks: list[Block] = []
    for _ in range(chance.randint(1, 4)):
        match chance.randrange(4):
            case 0:
                blocks.extend(Text(text=words(chance.choice((2, 40))) or "x") for _ in range(chance.randint(1, 4)))
            case 1:
                blocks.append(Reasoning(text=words() or "x"))
            case 2:
                blocks.append(Reasoning(summary=(words() or "x", words() or "y")))
            case _:
                arguments = msgspec.json.encode({"a": words(12), "b": [words(12)]}).decode()
                blocks.append(ToolCall(id=f"c{len(blocks)}", name="f", arguments=arguments))
    return Response(origin="anthropic", id="a", model="m", blocks=tuple(blocks), finish=Finish(reason="stop"))


def cut_up(events: list[StreamEvent], chance: random.Random) -> list[StreamEvent]:
    """The events, with deltas cut anywhere."""
    done: list[StreamEvent] = []
    for event in events:
        if isinstance(event, TextDelta | ReasoningDelta | ArgumentsDelta):
            done += [msgspec.structs.replace(event, text=piece) for piece in pieces_of(event.text, chance)]
        else:
            done.append(event)
    return done


def check_answer(seed: int) -> bool:
    """One answer under one rule: as a stream it is what it is when it is looked at whole. Gives whether anything was found."""
    chance = random.Random(seed)
    letters = chance.choice(("ab", "ab ", "abc1"))
    word = "".join(chance.choice(letters) for _ in range(chance.randint(1, 5)))
    one = rule(Words((word,)), chance.choice(("redact", "flag", "block")))
    answer = answer_of(chance, letters)
    whole = Checker([one], "answer", Redactor())
    expected = whole.walk.response(answer)
    check = StreamCheck([one], Redactor(), Request(origin="anthropic", model="m"), WINDOW)
    grammar, out = Grammar(), []
    for event in cut_up(unfold(answer), chance):
        out += check.feed([event])
    for event in out:
        grammar.check(event)
    assert (check.stop is None) == (whole.stop is None), f"seed {seed}"
    if whole.stop is None:
        assert fold(out) == expected, f"seed {seed}: {answer}"
        assert check.holds is False
        assert sorted({f.kind for f in check.checker.findings}) == sorted({f.kind for f in whole.findings})
        return bool(whole.findings)
    told = Folder()
    for event in out:
        told.add(event)
    told.add(StreamError(Problem(kind="upstream", message="")))
    for got, had in zip(told.blocks, answer.blocks, strict=False):
        for mine, theirs in zip(_texts(got), _texts(had), strict=False):
            assert word not in mine, f"seed {seed}: {got}"
            assert theirs.startswith(mine), f"seed {seed}: {got} is no beginning of {had}"
    return True


def _texts(block: Block) -> tuple[str, ...]:
    match block:
        case Text():
            return (block.text,)
        case Reasoning():
            return (block.text, *block.summary)
        case ToolCall():
            return (block.arguments,)
        case _:
            return ()
