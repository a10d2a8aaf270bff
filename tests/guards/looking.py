"""Detectors that are plain enough to be seen to be right, for the properties of windows."""

import re

from gatewright.guards.rules import Compiled, Rule
from gatewright.guards.terms import Action, Span


class Words:
    """Any of some words, the first that fits, leftmost, not overlapping: as an alternation of regular expressions finds them."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words
        self._pattern = re.compile("|".join(re.escape(word) for word in words))

    def find(self, text: str, start: int = 0) -> list[Span]:
        return [Span(m.start(), m.end(), "word") for m in self._pattern.finditer(text, start)]

    def open_from(self, text: str, start: int = 0) -> int:
        at = start
        while at < len(text):
            rest = text[at:]
            if any(len(word) > len(rest) and word.startswith(rest) for word in self.words):
                return at
            found = self._pattern.match(text, at)
            at = found.end() if found else at + 1
        return len(text)

    @property
    def longest(self) -> int:
        return max(map(len, self.words))


class Numbers:
    """Runs of `least` to `most` digits between characters that are no digits."""

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most

    def find(self, text: str, start: int = 0) -> list[Span]:
        runs = re.finditer(r"(?<!\d)\d+(?!\d)", text)
        return [
            Span(run.start(), run.end(), "number")
            for run in runs
            if run.start() >= start and self.least <= run.end() - run.start() <= self.most
        ]

    def open_from(self, text: str, start: int = 0) -> int:
        run = re.search(r"\d+\Z", text)
        if run is None or run.end() - run.start() > self.most or run.start() < start:
            return len(text)
        return run.start()

    @property
    def longest(self) -> int:
        return self.most + 1


def rule(detector: Words | Numbers, action: Action = "block", name: str = "r", **settings: object) -> Rule:
    """A rule over a detector of this file."""
    check = Compiled(detector=detector, longest=detector.longest)
    return Rule(name=name, kind="test", action=action, check=check, **settings)  # type: ignore[arg-type]
