r"""Texts that stand side by side, looked at each by itself and joined: a word that is split over parts is still that word.

    "the sec" + "ret plan" ─▶ "the sec" │ "ret plan" │ "the secret plan" │ "the sec\nret plan" ─▶ spans of the texts as joined

One rule: what is found in one text alone stays found, whatever stands beside it; joining only adds.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from gatewright.guards.terms import Detector, Direction, Span

SEPARATORS: Final[dict[Direction, tuple[str, ...]]] = {"request": ("", "\n"), "answer": ("",)}
"""What may stand between two texts where they are read. Providers hand a model its parts with nothing between them; Gemini's
renderer joins the texts of a tool's result by newlines, and so does many a prompt template. An answer's blocks are joined with
nothing wherever a dialect has one text for them."""


def starts_of(texts: Sequence[str], separator: str = "") -> list[int]:
    """Where each begins when they are joined."""
    step = len(separator)
    return list(accumulate((len(text) + step for text in texts[:-1]), initial=0))


def index_at(starts: Sequence[int], position: int) -> int:
    """The text that the character at `position` is of."""
    return max(bisect_right(starts, position) - 1, 0)


def pieces_of(span: Span, starts: Sequence[int]) -> Iterator[tuple[int, Span]]:
    """A span in joined texts, cut where they meet: which text, and what of it."""
    i, at = index_at(starts, span.start), span.start
    while at < span.end:
        end = min(span.end, starts[i + 1]) if i + 1 < len(starts) else span.end
        if at < end:
            yield i, Span(at - starts[i], end - starts[i], span.kind)
        i, at = i + 1, end


def spans_of(detector: Detector, texts: Sequence[str], separators: Sequence[str]) -> list[Span]:
    """All that is found in the texts, placed as if they were joined with nothing; what lies within another is left out."""
    starts = starts_of(texts)
    found = [
        Span(span.start + start, span.end + start, span.kind)
        for text, start in zip(texts, starts, strict=True)
        for span in detector.find(text)
    ]
    for separator in separators:
        found += _joined(detector, texts, starts, separator)
    return _outermost(found)


def _joined(detector: Detector, texts: Sequence[str], starts: Sequence[int], separator: str) -> Iterable[Span]:
    spans = detector.find(separator.join(texts))
    if not separator:
        return spans
    apart = starts_of(texts, separator)

    def place(position: int, character: int) -> int:
        i = index_at(apart, character)
        return starts[i] + min(position - apart[i], len(texts[i]))

    placed = (Span(place(span.start, span.start), place(span.end, span.end - 1), span.kind) for span in spans)
    return [span for span in placed if span.start < span.end]  # the rest was nothing but separators


def _outermost(spans: list[Span]) -> list[Span]:
    kept: list[Span] = []
    reached = -1
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.end > reached:
            kept.append(span)
            reached = span.end
    return kept
