"""What the laws find: violations, collected law by law."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewright.ir.blocks import DialectName

if TYPE_CHECKING:
    from tests.laws.seen import Seen


@dataclass(frozen=True)
class Violation:
    law: str
    case: str
    pair: str
    """`anthropic→gemini`; one name for what happens at home."""
    what: str

    def __str__(self) -> str:
        return f"law {self.law} {self.pair}: {self.what}"


class Finder:
    """Collects violations of one law in one case."""

    def __init__(self, law: str, seen: "Seen") -> None:
        self.law = law
        self.seen = seen
        self.found: list[Violation] = []

    def add(self, what: str, name: DialectName | None = None) -> None:
        home = self.seen.case.dialect
        pair = home if name is None or name == home else f"{home}→{name}"
        self.found.append(Violation(self.law, self.seen.case.id, pair, what))

    def all(self, whats: list[str], name: DialectName | None = None, *, about: str = "", at_most: int = 5) -> None:
        for what in whats[:at_most]:
            self.add(f"{about}{what}", name)


def crash(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"
