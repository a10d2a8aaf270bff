"""Choose: which targets of a route a request may go to, and in which order to try them.

    skipped   its condition does not hold, it cannot do what is needed, or the request is too long for it
    last      its circuit is open, all its keys rest, or the request may just be too long: tried when nothing else is left
    first     by the strategy of its tier, then the tie: a session or a beginning chooses within a tier, a seal among all

One rule: this is a function of its arguments. The time, chance, turns and what is known of targets are among them, and what a
request needs is asked for only where the answer can matter.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, Protocol

import msgspec

from gatewright.ir.blocks import DialectName
from gatewright.pipeline.conditions import Headers, When, hinders
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.needs import HARD, Needs, plainly_text
from gatewright.providers.facts import Capability
from gatewright.routing.affinity import Affinity, arrange
from gatewright.routing.balance import Chance, Strategy, View, order
from gatewright.routing.breaker import Standing

UNSURE: Final = 1.25
"""Sizes are estimates: what is over a target's context by no more than this is tried there, after all others."""
SHORT: Final = 2
"""A body of so many bytes for each token that fits in is surely not too long: it need not be measured."""
_OF_LISTS: Final[frozenset[Capability]] = frozenset(("vision", "audio", "video", "documents", "tools"))
"""What a provider's list is believed on, where it says that a model cannot do it."""
_SAME: Final[dict[Strategy, Callable[[View], object]]] = {
    "priority": lambda view: view.priority,
    "cheapest": lambda view: view.cost,
}
"""Strategies whose order says more than preference: a tie chooses only among those that are equal to the first."""


class Option(msgspec.Struct, frozen=True, eq=False):
    """A target of a tier, with what is known of it."""

    candidate: Candidate
    weight: float = 1.0
    priority: int = 0
    when: When | None = None
    context: int | None = None
    """Tokens that fit in. None: nobody said."""
    can: frozenset[Capability] | None = None
    """All that it can do, in the operator's words. None: the operator did not say."""
    lacks: frozenset[Capability] = frozenset()
    """What its provider says that it cannot do."""
    input_usd: float | None = None
    """For a million tokens read. None: no price is known."""
    output_usd: float | None = None

    @property
    def is_choosy(self) -> bool:
        """Whether anything can keep a request from it."""
        return self.when is not None or self.can is not None or bool(self.lacks) or self.context is not None


class Rank(msgspec.Struct, frozen=True, eq=False):
    """A tier."""

    options: tuple[Option, ...]
    strategy: Strategy = "weighted"
    when: When | None = None
    is_choosy: bool = False
    """Whether any of its options is."""


class Choices(msgspec.Struct, frozen=True, eq=False):
    """All that a route offers. Made once."""

    ranks: tuple[Rank, ...]
    only: Candidate | None = None
    """The one target of a route that has one, for all requests alike."""


def choices(ranks: Iterable[tuple[Sequence[Option], Strategy, When | None]]) -> Choices:
    """A route's options, tier by tier."""
    made = tuple(
        Rank(tuple(options), strategy, when, any(option.is_choosy for option in options)) for options, strategy, when in ranks
    )
    every = [option for rank in made for option in rank.options]
    free = len(every) == 1 and every[0].when is None and all(rank.when is None for rank in made)
    return Choices(made, every[0].candidate if free else None)


class Standings(Protocol):
    """What is known of targets from the calls made to them: `health.Health`."""

    def standing(self, candidate: Candidate, /) -> Standing: ...

    def rests_s(self, candidate: Candidate, /) -> float: ...

    def view(self, candidate: Candidate, /, *, weight: float, priority: int, cost: float | None) -> View: ...


class Look:
    """What choosing may ask of one request; what is slow is found out when it is asked for first."""

    __slots__ = (
        "dialect",
        "tags",
        "headers",
        "unix_s",
        "body",
        "_needs",
        "_held",
        "_tie",
        "_found_needs",
        "_found_held",
        "_found_tie",
    )

    def __init__(
        self,
        *,
        dialect: DialectName,
        tags: tuple[str, ...],
        headers: Headers,
        unix_s: float,
        body: bytes,
        needs: Callable[[], Needs],
        held: Callable[[], Affinity | None],
        tie: Callable[[], Affinity | None],
    ) -> None:
        """The callables may read the request. `held`: by whom, for what elsewhere would be lost. `unix_s`: when it came."""
        self.dialect: DialectName = dialect
        self.tags = tags
        self.headers = headers
        self.unix_s = unix_s
        self.body = body
        self._needs = needs
        self._held = held
        self._tie = tie
        # `functools.cached_property` takes a lock: it costs more than what it keeps.
        self._found_needs: Needs | None = None
        self._found_held: Affinity | Literal["unread"] | None = "unread"
        self._found_tie: Affinity | Literal["unread"] | None = "unread"

    @property
    def is_text(self) -> bool:
        """Whether its bytes show that it needs nothing beyond text."""
        return self._found_needs is None and plainly_text(self.body)

    @property
    def needs(self) -> Needs:
        needs = self._found_needs
        if needs is None:
            needs = self._found_needs = self._needs()
        return needs

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.needs.capabilities

    @property
    def held(self) -> Affinity | None:
        if self._found_held == "unread":
            self._found_held = self._held()
        return self._found_held

    @property
    def tie(self) -> Affinity | None:
        if self._found_tie == "unread":
            self._found_tie = self._tie()
        return self._found_tie


Why = Literal["condition", "capability", "context"]


class Skipped(msgspec.Struct, frozen=True, eq=False):
    option: Option
    rank: int
    why: Why
    told: str
    """For a person."""


class Chosen(msgspec.Struct, frozen=True, eq=False):
    first: tuple[Option, ...]
    last: tuple[Option, ...]
    """What is tried when nothing else is left."""
    skipped: tuple[Skipped, ...] = ()
    tied: Affinity | None = None
    """What the first of `first` was chosen by, where that was not the strategy."""

    @property
    def plan(self) -> list[Candidate]:
        """In the order to try."""
        return [option.candidate for option in (*self.first, *self.last)]


def choose(offered: Choices, look: Look, health: Standings, *, turn: int, chance: Chance) -> Chosen:
    """The order for one request. `turn` counts the requests of this route.

    A route with a single target is never skipped for what that cannot do: its provider says best what is wrong.
    """
    first: list[Option] = []
    last: list[Option] = []
    skipped: list[Skipped] = []
    tied = None
    alone = sum(len(rank.options) for rank in offered.ranks) == 1
    for number, rank in enumerate(offered.ranks):
        if rank.when is not None and (hindrance := hinders(rank.when, look)) is not None:
            skipped += (Skipped(option, number, "condition", hindrance) for option in rank.options)
            continue
        able: Sequence[Option] = rank.options
        if rank.is_choosy:
            sifted = [(option, _unfit(option, number, look, alone=alone)) for option in rank.options]
            skipped += (unfit for _, unfit in sifted if unfit is not None)
            able = [option for option, unfit in sifted if unfit is None]
        ordered, waiting, tie = _ordered(rank.strategy, able, look, health, turn=turn, chance=chance)
        if not first and ordered:
            tied = tie
        first += ordered
        last += waiting
    if len(first) > 1 and (held := look.held) is not None:
        kept = [option for option in first if option.candidate.endpoint.name == held.issuer]
        if kept:
            first, tied = [*kept, *(option for option in first if option not in kept)], held
    return Chosen(tuple(first), tuple(last), tuple(skipped), tied)


def _unfit(option: Option, rank: int, look: Look, *, alone: bool) -> Skipped | None:
    if option.when is not None and (hindrance := hinders(option.when, look)) is not None:
        return Skipped(option, rank, "condition", hindrance)
    if alone:
        return None
    if (option.can is not None or option.lacks) and not look.is_text and (missing := missing_in(option, look.needs)):
        return Skipped(option, rank, "capability", f"it cannot do {', '.join(sorted(missing))}, which the request needs")
    if _over(option, look) > UNSURE:
        told = f"about {look.needs.sure_tokens} tokens do not fit into its {option.context}"
        return Skipped(option, rank, "context", told)
    return None


def missing_in(option: Option, needs: Needs) -> frozenset[Capability]:
    """What the request needs and the target has not."""
    hard = needs.capabilities & HARD
    return hard - option.can if option.can is not None else hard & option.lacks & _OF_LISTS


def _over(option: Option, look: Look) -> float:
    """How often the request fills the target's context; 0 where it surely fits, or nobody knows how much does."""
    if option.context is None or len(look.body) <= SHORT * option.context:
        return 0.0
    return look.needs.sure_tokens / option.context


def _ordered(
    strategy: Strategy, able: Sequence[Option], look: Look, health: Standings, *, turn: int, chance: Chance
) -> tuple[list[Option], list[Option], Affinity | None]:
    """(those to try, those to try when nothing else is left, the tie by which the first was chosen)."""
    if len(able) == 1:
        return (list(able), [], None) if _stands(able[0], look, health) else ([], list(able), None)
    if not able:
        return [], [], None
    views = [view_of(option, strategy, look, health) for option in able]
    ranked = order(strategy, views, turn, chance)
    standing = [i for i in ranked if _stands(able[i], look, health)]
    waiting = [able[i] for i in ranked if i not in standing] if len(standing) < len(ranked) else []
    tied = None
    if len(standing) > 1 and look.held is None and (tie := look.tie) is not None:
        standing, tied = _tied(standing, able, views, strategy, tie)
    return [able[i] for i in standing], waiting, tied


def _tied(
    standing: list[int], able: Sequence[Option], views: Sequence[View], strategy: Strategy, tie: Affinity
) -> tuple[list[int], Affinity | None]:
    """The order with the tied target at its front; and the tie, where it had a choice."""
    same = _SAME.get(strategy)
    equal = standing if same is None else [i for i in standing if same(views[i]) == same(views[standing[0]])]
    arranged = arrange(equal, [option.candidate.name for option in able], [option.weight for option in able], tie)
    return [*arranged, *(i for i in standing if i not in equal)], tie if len(equal) > 1 else None


def view_of(option: Option, strategy: Strategy, look: Look, health: Standings) -> View:
    """What the strategy looks at."""
    if strategy in ("weighted", "round_robin", "priority"):
        return View(weight=option.weight, priority=option.priority)
    cost = expected_cost(option, look.needs) if strategy == "cheapest" else None
    return health.view(option.candidate, weight=option.weight, priority=option.priority, cost=cost)


def expected_cost(option: Option, needs: Needs) -> float | None:
    """Micro-dollars for a request of this size with an ordinary answer. None: no price is known."""
    if option.input_usd is None or option.output_usd is None:
        return None
    return needs.tokens * option.input_usd + needs.expected_output * option.output_usd


def _stands(option: Option, look: Look, health: Standings) -> bool:
    candidate = option.candidate
    fits = option.context is None or _over(option, look) <= 1.0
    return fits and health.standing(candidate) != "open" and health.rests_s(candidate) <= 0
