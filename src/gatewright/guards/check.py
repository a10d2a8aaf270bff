"""Rules held against whole texts: what they find, what is replaced, and whether it ends here.

One rule: all rules have their say before anything is decided, and each match is one finding that does not hold it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from gatewright.guards.adjacent import SEPARATORS, index_at, pieces_of, spans_of, starts_of
from gatewright.guards.redact import Redactor, restored
from gatewright.guards.rules import Rule
from gatewright.guards.terms import Direction, Finding, Span, Text
from gatewright.guards.texts import Kind, Walk
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonValue

MOST_FINDINGS: Final = 200
"""Of one exchange. What is found beyond is done, and not told."""


class Checker:
    """One direction of one exchange."""

    __slots__ = ("_detecting", "_direction", "_judging", "_known", "_redactor", "asked", "findings", "stop")

    def __init__(self, rules: Sequence[Rule], direction: Direction, redactor: Redactor) -> None:
        self._direction: Direction = direction
        self._redactor = redactor
        mine = [rule for rule in rules if direction in rule.directions]
        self._detecting = [(rule, rule.check.detector) for rule in mine if rule.check.detector is not None]
        self._judging = [(rule, rule.check.judge) for rule in mine if rule.check.judge is not None]
        self.asked = [rule for rule in mine if rule.check.asked is not None]
        """Those who must be waited for: whoever asks them tells `said`."""
        self._known: set[tuple[object, ...]] = set()
        self.findings: list[Finding] = []
        """In the order they came; whoever takes them may clear them."""
        self.stop: Rule | None = None
        """The first rule that blocks."""

    def see(self, text: Text) -> str:
        """The text as it is to be."""
        cuts: list[tuple[Span, Rule]] = []
        for rule, detector in self._detecting:
            if text.part not in rule.parts:
                continue
            spans = detector.find(text.text)
            for span in spans:
                self.found(rule, span.kind, text.path, span.start, span.end)
            if spans and rule.acts and rule.action == "redact":
                cuts += [(span, rule) for span in spans]
        return self._replaced(text.text, cuts) if cuts else text.text

    def see_adjacent(self, run: Sequence[Text]) -> list[str]:
        """Texts of one part that stand side by side, as they are to be: what is split over several is found too.

        Each piece of a match has a placeholder of its own: no text becomes empty, which providers refuse, and what comes back is
        what was said.
        """
        said = [text.text for text in run]
        starts = starts_of(said)
        cuts: list[list[tuple[Span, Rule]]] = [[] for _ in said]
        for rule, detector in self._detecting:
            if run[0].part not in rule.parts:
                continue
            spans = spans_of(detector, said, SEPARATORS[self._direction])
            for span in spans:
                i = index_at(starts, span.start)
                self.found(rule, span.kind, run[i].path, span.start - starts[i], min(span.end - starts[i], len(said[i])))
                if rule.acts and rule.action == "redact":
                    for i, piece in pieces_of(span, starts):
                        cuts[i].append((piece, rule))
        return [self._replaced(text, some) if some else text for text, some in zip(said, cuts, strict=True)]

    @property
    def walk(self) -> Walk:
        """Over all texts of a request or an answer."""
        return Walk(self.see, self.see_adjacent)

    def found(self, rule: Rule, kind: str, path: str, start: int = 0, end: int = 0) -> None:
        """One match of a rule."""
        self._note(rule, Finding(kind=kind, path=path, start=start, end=end))

    def judge(self, request: Request, answer: Response | None) -> None:
        """Have those judge who look at the whole."""
        for rule, judge in self._judging:
            self.said(rule, judge.judge(request, answer))

    def said(self, rule: Rule, findings: Iterable[Finding]) -> None:
        """What somebody who was asked has found."""
        for finding in findings:
            self._note(rule, finding)

    def _note(self, rule: Rule, finding: Finding) -> None:
        where = finding.path, finding.start, finding.end
        known = (rule.name, finding.kind, *where, finding.message)
        if rule.acts and rule.action == "block" and self.stop is None:
            self.stop = rule
        if known in self._known or len(self._known) >= MOST_FINDINGS or self._written_again(rule, finding):
            return
        self._known.add(known)
        self.findings.append(
            msgspec.structs.replace(finding, rule=rule.name, action=rule.action, direction=self._direction, dry=rule.dry)
        )

    def _written_again(self, rule: Rule, finding: Finding) -> bool:
        """Whether a match in a call's arguments as they are written is one in a string of theirs."""
        inside = f"{finding.path}."
        return any(
            one.rule == rule.name and one.kind == finding.kind and one.path.startswith(inside)
            for one in self.findings
            if finding.path.endswith("arguments")
        )

    def _replaced(self, text: str, cuts: list[tuple[Span, Rule]]) -> str:
        """The text with placeholders; of matches that overlap, one stands for all."""
        cuts.sort(key=lambda cut: (cut[0].start, -cut[0].end))
        out: list[str] = []
        at = i = 0
        while i < len(cuts):
            span, rule = cuts[i]
            end, i = span.end, i + 1
            while i < len(cuts) and cuts[i][0].start < end:
                end, i = max(end, cuts[i][0].end), i + 1
            reversible = rule.reversible and self._direction == "request"
            words = text[span.start : end if reversible else span.end]  # a stream knows no more of them either
            out += (text[at : span.start], self._redactor.replace(span.kind, words, reversible=reversible))
            at = end
        return "".join((*out, text[at:]))


def put_back(node: Kind, originals: Mapping[str, str]) -> Kind:
    """An answer, or a block of one, with what placeholders stand for."""
    return Walk(lambda text: restored(text.text, originals)).node(node, "assistant", "") if originals else node


def put_back_json(document: JsonValue, originals: Mapping[str, str]) -> JsonValue:
    """A document with what placeholders stand for."""
    return Walk(lambda text: restored(text.text, originals)).json(document, "other", "") if originals else document
