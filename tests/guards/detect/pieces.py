"""What every detector promises of a text in pieces, as it would go out: nothing that is part of a match before it is known."""

from collections.abc import Iterable
from itertools import pairwise

from gatewright.guards.terms import Detector, Span


def let_go(detector: Detector, pieces: Iterable[str]) -> list[tuple[int, list[Span]]]:
    """After each piece: up to where the text went out, and the spans that were seen by then. As a window does it."""
    text, start, seen, steps = "", 0, [], []
    for piece in pieces:
        text += piece
        spans = detector.find(text, start)
        at = detector.open_from(text, start)
        assert start <= at <= len(text)
        assert not [span for span in spans if span.start - span.led < at < span.end], "a cut through what was found"
        seen += [span for span in spans if span.end <= at]
        start = at
        steps.append((start, list(seen)))
    seen += detector.find(text, start)
    return [*steps, (len(text), seen)]


def holds(detector: Detector, text: str, cuts: Iterable[int]) -> None:
    """In pieces the same is found as in the whole, and nothing of it went out before."""
    places = sorted({0, *(cut % (len(text) + 1) for cut in cuts), len(text)})
    pieces = [text[a:b] for a, b in pairwise(places)]
    whole = list(detector.find(text))
    check_order(whole, text)
    steps = let_go(detector, pieces)
    assert steps[-1][1] == whole, (steps, whole)
    for out, seen in steps[:-1]:
        for span in whole:
            assert span in seen or span.start >= out, (span, out, seen)


def check_order(spans: list[Span], text: str) -> None:
    end = 0
    for span in spans:
        assert end <= span.start < span.end <= len(text)
        assert 0 <= span.led <= span.start
        end = span.end
