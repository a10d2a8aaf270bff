"""Guards as the configuration has them: values, until the gateway is put together."""

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import msgspec

from gatewright.guards.check_stream import ReasoningUse
from gatewright.guards.rules import DEFAULT_WINDOW, Asked, Compiled, Rule

if TYPE_CHECKING:
    from gatewright.pipeline.guard_kinds import Means

Ending: TypeAlias = Literal[
    "error",  # the dialect's own error
    "refusal",  # an answer in which the model declines
]


class GuardTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for all rules."""

    window: int = DEFAULT_WINDOW
    """Most characters of an answer that wait for what follows."""
    reasoning: ReasoningUse = "check"
    ending: Ending = "error"


class Maker(Protocol):
    """Settings that were read: makes who is asked, once the gateway's parts are there."""

    @property
    def compiled(self) -> Compiled:
        """Parts and directions; `asked` is not set."""
        ...

    def make(self, means: "Means") -> Asked: ...


class GuardRule(msgspec.Struct, frozen=True, eq=False):
    """A rule as the file has it; who is asked by it is made when the gateway is."""

    rule: Rule
    maker: Maker | None = None


class GuardsConfig(msgspec.Struct, frozen=True, kw_only=True):
    rules: tuple[GuardRule, ...] = ()
    terms: GuardTerms = GuardTerms()

    @property
    def configured(self) -> bool:
        """Whether anything is to pass through guards."""
        return bool(self.rules) or self.terms.reasoning == "drop"
