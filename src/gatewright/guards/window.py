"""The hold-back window: of a text that comes in pieces, what no rule can match any more may leave.

    feed ─▶ │ decided: leaves, edited │ may still be a match: waits │
                                      └──── at most `window` ───────┘

One rule: nothing of a match leaves. What may be a match for longer than its rule may hold is taken for one, and ends the text.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from gatewright.guards.redact import Redactor
from gatewright.guards.rules import Rule
from gatewright.guards.terms import BEHIND, Detector, Span

UNDECIDED: Final = "undecided"
"""Kind of a match that is none yet, and was for too long."""
MOST_HELD: Final = 4 << 20
"""Characters that a rule over whole texts may hold."""


class Hit(msgspec.Struct, frozen=True):
    """What a rule has found, at a place counted from the text's beginning."""

    rule: Rule
    start: int
    end: int
    kind: str


class _Eye:
    """One rule's detector, and how far it has come."""

    __slots__ = ("acts", "at", "begins", "bound", "detector", "proven", "rule", "whole")

    def __init__(self, rule: Rule, detector: Detector, window: int) -> None:
        self.rule = rule
        self.detector = detector
        self.acts = rule.acts
        self.whole = rule.check.whole
        self.bound = min(window, rule.longest or window)
        self.proven = rule.check.longest is not None and rule.check.longest <= self.bound
        """No match is longer than `bound`: what may be one for longer is none."""
        self.begins = 0
        """Where the text begins that it looks at."""
        self.at = 0
        """All before is decided."""

    def again(self) -> "_Eye":
        """Another that has come as far."""
        eye = _Eye(self.rule, self.detector, self.bound)
        eye.bound, eye.proven, eye.at = self.bound, self.proven, self.at
        return eye


class Window:
    """One text, under rules that act (block, redact) or only listen. Positions count from the text's beginning."""

    __slots__ = (
        "_base",
        "_covered",
        "_eyes",
        "_hits",
        "_of_piece",
        "_redactor",
        "_seams",
        "_text",
        "_window",
        "decided",
        "end",
        "hits",
        "violation",
    )

    def __init__(self, rules: Sequence[Rule], redactor: Redactor, window: int) -> None:
        self._eyes = [_Eye(rule, rule.check.detector, window) for rule in rules if rule.check.detector is not None]
        self._of_piece: list[_Eye] = []
        """Those that see nothing of what stands before the last seam. None before the first: all see the same."""
        self._seams: list[int] = []
        """Where pieces end of what is kept."""
        self._redactor = redactor
        self._window = window
        self._text = ""
        self._base = 0
        """Position of the first character that is kept."""
        self._hits: list[Hit] = []
        """Decided, and not yet cut, by their beginning."""
        self._covered = 0
        """All before belongs to matches that were replaced already."""
        self.end = 0
        """How far the text has come."""
        self.decided = 0
        """All before may leave, edited. After a violation: where it begins."""
        self.hits: list[Hit] = []
        """Whatever was found since somebody took it."""
        self.violation: Hit | None = None
        """What ended the text. Nothing from its beginning on may leave."""

    @property
    def held(self) -> int:
        """Characters that wait."""
        return self.end - self.decided

    def feed(self, text: str) -> None:
        if text and self.violation is None:
            self._text += text
            self.end += len(text)
            self._look(closed=False)

    def seam(self) -> None:
        """A piece of the text ends here, such as a block: a match of the piece alone is one, and one that goes on is one too."""
        if self.violation is not None:
            return
        if not self._of_piece:
            self._of_piece = [eye.again() for eye in self._eyes]
        self._seams = [*(at for at in self._seams if at >= self._base), self.end]
        new = [hit for eye in self._of_piece for hit in self._seen(eye, closed=True)]
        for eye in self._of_piece:
            eye.begins = eye.at = self.end
        self._settle(new, closed=False)

    def close(self) -> None:
        """The text ends here: all is decided."""
        if self.violation is None:
            self._look(closed=True)

    def cut(self, start: int, end: int) -> str:
        """What leaves of the text from `start` to `end`, which is decided. In order; what was cut once is forgotten."""
        out: list[str] = []
        at = max(start, min(self._covered, end))
        while self._hits and self._hits[0].start < end:
            hit = self._hits.pop(0)
            if hit.start >= self._covered:
                words = self._text[hit.start - self._base : hit.end - self._base]
                out += (self._slice(at, hit.start), self._redactor.replace(hit.kind, words, reversible=False))
            self._covered = max(self._covered, hit.end)
            at = max(at, min(self._covered, end))
        out.append(self._slice(at, end))
        self._forget(end)
        return "".join(out)

    def _slice(self, start: int, end: int) -> str:
        return self._text[start - self._base : end - self._base] if start < end else ""

    def _forget(self, taken: int) -> None:
        if self._hits:
            taken = min(taken, self._hits[0].start)
        keep = min(taken, min((eye.at for eye in (*self._eyes, *self._of_piece)), default=taken) - BEHIND)
        if keep - self._base > 256:
            self._text = self._text[keep - self._base :]
            self._base = keep

    def _look(self, *, closed: bool) -> None:
        new: list[Hit] = []
        for eye in self._eyes:
            hits = self._seen(eye, closed=closed)
            if hits:
                new += hits
        for eye in self._of_piece:
            new += self._seen(eye, closed=closed)
        self._settle(new, closed=closed)

    def _settle(self, new: list[Hit], *, closed: bool) -> None:
        """What may leave, with what was newly found."""
        if new:
            self.hits += new
            acting = (piece for hit in new if hit.rule.acts for piece in self._pieces(hit))
            self._hits = sorted([*self._hits, *acting], key=lambda hit: (hit.start, -hit.end))
        decided = min((eye.at for eye in self._eyes if eye.acts), default=self.end)
        if self._of_piece:
            decided = min((eye.at for eye in self._of_piece if eye.acts and eye.at < decided), default=decided)
        stop = next((hit for hit in self._hits if hit.rule.action == "block" or hit.kind == UNDECIDED), None)
        if stop is not None and (stop.start <= decided or closed):
            self.violation = stop
            self._hits = [hit for hit in self._hits if hit.start < stop.start]
            decided = stop.start
        self.decided = max(self.decided, decided)

    def _pieces(self, hit: Hit) -> list[Hit]:
        """A match cut at the seams: each piece is replaced where it stands."""
        cuts = [at for at in self._seams if hit.start < at < hit.end]
        return [Hit(hit.rule, start, end, hit.kind) for start, end in zip([hit.start, *cuts], [*cuts, hit.end], strict=True)]

    def _seen(self, eye: _Eye, *, closed: bool) -> list[Hit]:
        """What one rule has newly decided; moves it on."""
        if eye.whole and not closed:
            if self.end - eye.at <= MOST_HELD:
                return []
            return self._undecided(eye)
        behind = min(BEHIND, eye.at - max(self._base, eye.begins))
        text = self._text[eye.at - behind - self._base :]
        spans = eye.detector.find(text, behind)
        opened = len(text) if closed else max(behind, eye.detector.open_from(text, behind))
        offset = eye.at - behind
        if len(text) - opened > eye.bound and eye.proven:
            opened = len(text) - eye.bound
        hits = [_hit(eye.rule, span, offset) for span in spans if span.start < opened]
        if len(text) - opened > eye.bound:
            eye.at = offset + opened
            return [*hits, *self._undecided(eye)]
        eye.at = max(offset + opened, hits[-1].end if hits else 0)
        return hits

    def _undecided(self, eye: _Eye) -> list[Hit]:
        hit = Hit(eye.rule, eye.at, self.end, UNDECIDED)
        eye.at = self.end
        return [hit] if eye.acts else []


def _hit(rule: Rule, span: Span, offset: int) -> Hit:
    return Hit(rule, span.start + offset, span.end + offset, span.kind)
