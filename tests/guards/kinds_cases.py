"""The detectors of the built-in kinds in windows: random texts of what they look for, cut anywhere."""

import random

from gatewright.guards.kinds import compile_kind
from gatewright.guards.redact import Redactor
from gatewright.guards.rules import Rule
from gatewright.guards.window import Window
from gatewright.jsontypes import JsonObject
from tests.guards.streaming import pieces_of

SETTINGS: dict[str, JsonObject] = {
    "patterns": {"patterns": ["secret (plan|sauce)", "[0-9]{3}-[0-9]{4}", "\\bcat\\b", "a{2,5}b"]},
    "secrets": {},
    "pii": {},
}
SEEDS = (
    "secret plan", "secret sauces", "555-1234", "5555-12345", "cat", "concat cats", "aaab", "aaaaaaab", "secret ",
    "sk-proj-", "AKIAIOSFODNN7EXAMPLE", "ghp_", "password=", "hunter2hunter2", "-----BEGIN PRIVATE KEY-----", "eyJhbGciOi",
    "ann@example.com", "ann@", "+49 30 901820", "4111 1111 1111 1111", "4111111111111112", "DE89370400440532013000", "078-05-1120",
    "192.168.0.1", " ", ", ", "\n", "é", "🜁", "the", "of", "1", "0", "x",
)  # fmt: skip
_SAFE = frozenset(("secrets",))
"""Kinds that may find more in pieces than in the whole, where what looked like a match hides one: less leaves then, never more."""
_COMPILED = {kind: compile_kind(kind, settings) for kind, settings in SETTINGS.items()}


class _Marks(Redactor):
    def replace(self, kind: str, words: str, *, reversible: bool) -> str:
        return "\0"


def check_kind(seed: int) -> int:
    """One text under one kind: what leaves is what stands in no match of the whole text. Gives the most that was held."""
    chance = random.Random(seed)
    kind = chance.choice(tuple(SETTINGS))
    check = _COMPILED[kind]
    detector = check.detector
    assert detector is not None
    text = "".join(chance.choice(SEEDS) for _ in range(chance.randint(1, 30)))
    window_chars = check.longest or 512
    action = chance.choice(("redact", "block"))
    window = Window([Rule(name="r", kind=kind, action=action, check=check)], _Marks(), window_chars)
    out, taken, most = "", 0, 0
    for piece in pieces_of(text, chance):
        window.feed(piece)
        out += window.cut(taken, window.decided)
        taken = window.decided
        if window.violation is not None:
            break
        most = max(most, window.held)
        assert window.held <= window_chars, f"{kind}, seed {seed}: {window.held} held"
    window.close()
    out += window.cut(taken, window.decided)
    spans = detector.find(text)
    if action == "block":
        kept = text[: spans[0].start] if spans else text
    else:
        gone = {i for span in spans for i in range(span.start, span.end)}
        kept = "".join(c for i, c in enumerate(text) if i not in gone)
    left = out.replace("\0", "")
    right = _within(left, kept) if kind in _SAFE else left == kept
    assert right, f"{kind}, seed {seed}: {out!r} left of {text!r}, not {kept!r}"
    return most


def _within(less: str, more: str) -> bool:
    """Whether one text is another with something left out."""
    rest = iter(more)
    return all(c in rest for c in less)
