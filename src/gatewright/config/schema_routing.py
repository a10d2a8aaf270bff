"""The shape of what routes: how targets are chosen, tried again, rested, hedged and cached.

One rule: what is left out costs nothing; each default is what a gateway does that nobody has configured.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gatewright.config.secrets import Secret
from gatewright.config.section import Count, Name, Seconds, Section, Share
from gatewright.ir.blocks import DialectName
from gatewright.providers.facts import Capability
from gatewright.routing.affinity import Kind
from gatewright.routing.balance import Strategy


class RetrySection(Section):
    """How persistent a route is when an attempt fails."""

    tries_each: Count = 2
    """Attempts at one target in a row, the first counted."""
    tries_all: Count = 6
    """Attempts at all targets together."""
    base_s: Annotated[float, Field(ge=0, le=3600)] = 0.25
    """The longest wait before the first repetition; it doubles with each, and any time up to it may be drawn."""
    cap_s: Annotated[float, Field(ge=0, le=3600)] = 8
    """The longest wait before any."""
    patience_s: Annotated[float, Field(ge=0, le=3600)] = 10
    """A target that asks for a longer wait than this is not waited for."""


class RetryOverride(Section):
    """As `routing.retry`, for one model; what is left out stays as it is for all."""

    tries_each: Count | None = None
    """Attempts at one target in a row."""
    tries_all: Count | None = None
    """Attempts at all targets together."""
    base_s: Annotated[float, Field(ge=0, le=3600)] | None = None
    """The longest wait before the first repetition."""
    cap_s: Annotated[float, Field(ge=0, le=3600)] | None = None
    """The longest wait before any."""
    patience_s: Annotated[float, Field(ge=0, le=3600)] | None = None
    """A target that asks for a longer wait is not waited for."""


class BreakerSection(Section):
    """When a target that fails is left alone, and how it comes back."""

    in_a_row: Count = 5
    """So many failures with no success between them open the circuit."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """So large a share of failures opens it, …"""
    least_calls: Annotated[float, Field(ge=1)] = 20
    """… where so many calls are counted."""
    half_life_s: Seconds = 30
    """A call this old counts half."""
    open_s: Seconds = 10
    """How long the first opening lasts; each further one twice as long, …"""
    longest_s: Seconds = 300
    """… up to this."""
    probes: Count = 1
    """Calls at once while it is half open."""
    closing: Count = 2
    """Good probes that close it."""


BreakerEntry = Annotated[
    BreakerSection | None,
    BeforeValidator(lambda value: None if value is False else value, json_schema_input_type=BreakerSection | Literal[False]),
]


class RoutingSection(Section):
    """What holds for every model, and for `provider/model` without an entry; a model can say all but the breaker again."""

    retry: RetrySection = RetrySection()
    deadline_s: Seconds = 600
    """From the request's arrival: no attempt begins after it."""
    affinity: list[Kind] = ["state", "seal", "session", "prefix"]
    """What keeps a conversation at its target: kept responses, sealed reasoning, a session's id, the same long beginning.
    `[]` for nothing."""
    breaker: BreakerEntry = BreakerSection()
    """When a target that fails is left alone; `false` for never."""


class WhenSection(Section):
    """Which requests a target or a tier is for. All that is said must hold; of a list, one entry is enough."""

    dialects: list[DialectName] = []
    """The client's dialect."""
    needs: list[Capability] = []
    """What the request needs."""
    tags: list[Name] = []
    """Tags of the client's key."""
    headers: dict[Name, Name] = {}
    """Request headers and their values, with `*` for any text; every one of them must be there."""
    hours: list[Name] = []
    """Windows of time, such as `Mon-Fri 08:00-18:00 Europe/Berlin`. Without days every day, without a zone UTC."""


def _long_form(value: object) -> object:
    return {"target": value} if isinstance(value, str) else value


class TargetSection(Section):
    """One target of a model."""

    target: Name
    """`provider/model`."""
    weight: Annotated[int, Field(ge=0)] = 1
    """Share of the calls, against the other targets'. 0: only where no other is left."""
    priority: int = 0
    """For the strategy `priority`: the lowest number first."""
    context: Count | None = None
    """Tokens that fit in; a longer request skips it. Default: the model's own `context`, else as the price list tells."""
    capabilities: list[Capability] | None = None
    """What it can do; a request that needs more skips it. Default: the model's own, else as the provider tells."""
    when: WhenSection | None = None
    """Which requests it is for. Default: all."""


TargetEntry = Annotated[TargetSection, BeforeValidator(_long_form, json_schema_input_type=str | TargetSection)]


class FallbackSection(Section):
    """What comes after the targets: one more target, or a tier of several."""

    target: Name | None = None
    """`provider/model`; this and the next four as under `targets`."""
    weight: Annotated[int, Field(ge=0)] = 1
    """Of one target: its share. It has no others beside it."""
    priority: int = 0
    """Of one target."""
    context: Count | None = None
    """Of one target: tokens that fit in."""
    capabilities: list[Capability] | None = None
    """Of one target: what it can do."""
    strategy: Strategy = "weighted"
    """How the tier's targets are ordered."""
    targets: Annotated[list[TargetEntry], Field(min_length=1)] | None = None
    """In place of `target`: the tier's targets."""
    when: WhenSection | None = None
    """Which requests it is for. Default: all."""


FallbackEntry = Annotated[FallbackSection, BeforeValidator(_long_form, json_schema_input_type=str | FallbackSection)]


class HedgeSection(Section):
    """Ask a second target while the first is still silent."""

    share: Share = 0.05
    """Of the cost of all requests that hedges may add."""
    percentile: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """A request slower than so many of the target's own is hedged, …"""
    least_s: Annotated[float, Field(ge=0, le=3600)] = 0.5
    """… never sooner than this, …"""
    unknown_s: Annotated[float, Field(ge=0, le=3600)] = 10
    """… and after this where too little is known of the target."""
    hedges: Count = 1
    """For one request."""


class SemanticSection(Section):
    """Give the answer to a question that is nearly the same, too: never where tools are, and only where all else is the same."""

    embeddings: Name
    """`provider/model` that tells how near two questions are."""
    threshold: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Cosine from which two questions count as one. Which is right depends on the model: measure it."""
    dimensions: Count | None = None
    """Of the embeddings, for models that can be asked for fewer. Default: the model's own."""


class ModelCacheSection(Section):
    """Whether answers of this model are kept and given again to the same request of the same key."""

    ttl_s: Seconds
    """How long an answer is good."""
    semantic: SemanticSection | None = None
    """Whether questions are compared that are nearly the same. Default: only the very same request has the same answer."""


class CacheSection(Section):
    """Where answers are kept, for models with `cache`."""

    max_bytes: Count = 256 << 20
    """In memory, per worker."""
    url: Secret | None = None
    """A Redis or Valkey that all workers share, such as `redis://127.0.0.1:6379/0`, or `env:REDIS_URL`. Default: memory only."""


class QueueSection(Section):
    """Where calls wait while `max_concurrent` are running."""

    size: Annotated[int, Field(ge=0)] = 1000
    """Calls that may wait; more are answered 503."""
    wait_s: Seconds = 10
    """The longest that one waits."""


class ProbeSection(Section):
    """A small call now and then, to know of a failure before a client does."""

    every_s: Annotated[float, Field(ge=0, le=86_400)] = 0
    """0: none; health is known from the clients' own calls."""
    model: Name | None = None
    """The model to call, as the provider names it. Needed for probes."""
