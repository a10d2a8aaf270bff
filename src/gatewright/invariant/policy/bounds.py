"""How much a policy may cost: policies come in headers, and whoever sends one may mean harm.

One rule: every loop and every text that a policy can make grow is counted here, and the count ends in an error with words.
"""

from gatewright.invariant.policy.faults import Failed, Spot

MAX_CHARS = 65_536
"""Of a policy's text. Header lines are shorter by far; files of rules come near."""
MAX_TOKENS = 20_000
MAX_NESTING = 32
"""Brackets and blocks within one another, as the parser descends."""
MAX_HEIGHT = 80
"""Levels of an expression, chains of operators included, as the evaluation descends."""
MAX_BLOCK = 100
"""Lines of one block."""
MAX_RULES = 200
MAX_PATTERNS = 200
"""Regular expressions of one policy."""
MAX_PATTERN_SIZE = 50_000
"""Of all of them together, in RE2's instructions."""
MAX_PATTERN_CHARS = 2_000
MAX_WORK = 100_000
"""Units of one evaluation. One is 1 to 8 microseconds on two busy cores (2026-11-21, `python -m tests.invariant.cost`)."""
CHARS_GRANTED = 64
"""Characters of a conversation for which there is one unit more, so that a long one can be read through some dozen times."""
MAX_DEPTH = 200
"""Of an evaluation, predicates that ask one another included."""
MAX_MADE = 1_000_000
"""Characters of a text, or items of a list, that a policy builds itself."""
MAX_INTEGER_BITS = 256
MAX_VIOLATIONS = 100
"""Told of one evaluation. What is more is cut: nobody reads it, and one is enough to refuse."""
MAX_KEPT = 1_000
"""Found of one evaluation, those that were told before included."""
MAX_MARKS = 100
"""Places marked in one text for one condition."""

CHARS_SCANNED = 512
"""Characters that `in`, a method of texts or a regular expression reads for one unit."""
CHARS_DETECTED = 32
"""Characters that a detector reads for one unit, of texts that the policy makes itself."""
CHARS_READ = 1_024
"""The same, of the conversation's own texts, each of which a detector reads once; other rules of guards do that, too."""
MAX_READINGS = 8
"""Detectors, each with its options, that read the conversation at that price. Further ones pay as for texts that are made."""


class Budget:
    """The work that is left to one evaluation."""

    __slots__ = ("depth", "left")

    def __init__(self, work: int = MAX_WORK) -> None:
        self.left = work
        self.depth = 0

    def spend(self, at: Spot, units: int = 1) -> None:
        self.left -= units
        if self.left < 0:
            raise Failed(at, "is too much work over this conversation: bind fewer variables, or filter each on its next line")

    def scan(self, at: Spot, chars: int) -> None:
        self.spend(at, 1 + chars // CHARS_SCANNED)

    def detect(self, at: Spot, chars: int, *, granted: bool = False) -> None:
        self.spend(at, 1 + chars // (CHARS_READ if granted else CHARS_DETECTED))

    def enter(self, at: Spot) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Failed(at, "is nested too deeply: predicates that ask predicates")

    def leave(self) -> None:
        self.depth -= 1
