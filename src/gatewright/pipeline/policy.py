"""What a route asks of those who carry it out: targets in tiers, and how persistent to be with them.

One rule: all of it is said when the configuration is read; nothing here changes while the gateway runs.
"""

from typing import Final, Literal

import msgspec

from gatewright.pipeline.conditions import When
from gatewright.providers.facts import Capability
from gatewright.routing.affinity import Kind
from gatewright.routing.balance import Strategy
from gatewright.routing.hedge import Rule as HedgeRule
from gatewright.routing.retry import Rule as RetryRule

ALL_KINDS: Final[frozenset[Kind]] = frozenset(("state", "seal", "session", "prefix"))


class SemanticRule(msgspec.Struct, frozen=True):
    """That the answer to a question may be given to one that is nearly the same."""

    provider: str
    model: str
    """Who tells how near they are, by embeddings."""
    threshold: float
    """Cosine from which they count as one."""
    dimensions: int | None = None
    """To ask for. None: the model's own."""


class CacheRule(msgspec.Struct, frozen=True):
    """That answers of a route may be given again."""

    ttl_s: float
    """Seconds that an answer is good."""
    semantic: SemanticRule | None = None
    """None: only to the very same request."""


class RouteTarget(msgspec.Struct, frozen=True):
    """One target of a tier, as the operator wrote it."""

    provider: str
    model: str
    """The provider's own name for it. May hold one `*`, which takes what the route's own `*` matched."""
    weight: float = 1.0
    priority: int = 0
    """For the strategy `priority`: the lowest number first."""
    context: int | None = None
    """Tokens that fit in. None: as the route says, else as is known of the model."""
    capabilities: tuple[Capability, ...] | None = None
    """What it can do. None: as the route says, else as is known of the model."""
    when: When | None = None
    """Which requests it is for. None: all."""


class Tier(msgspec.Struct, frozen=True):
    """Targets among which a strategy chooses. The next tier is for when all of these have failed."""

    targets: tuple[RouteTarget, ...]
    strategy: Strategy = "weighted"
    when: When | None = None
    """Which requests it is for. None: all."""


def one_by_one(targets: tuple[RouteTarget, ...]) -> tuple[Tier, ...]:
    """A tier for each: tried in the order in which they are written."""
    return tuple(Tier((target,)) for target in targets)


class Policy(msgspec.Struct, frozen=True):
    """How persistent a route is. The default is that of a model nobody has configured."""

    retry: RetryRule = RetryRule()
    deadline_s: float = 600.0
    """From the request's arrival; no attempt begins after it."""
    affinity: frozenset[Kind] = ALL_KINDS
    """What keeps a conversation at its target. Empty: nothing."""
    hedge: HedgeRule | None = None
    """None: never."""
    on_cut: Literal["fail", "resume"] = "fail"
    """What becomes of a stream that breaks after its first content."""
    cache: CacheRule | None = None
    """None: answers are never kept."""


DEFAULT: Final = Policy()
