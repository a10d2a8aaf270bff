"""The configuration as the gateway uses it: frozen, resolved, checked. Nothing here can be wrong any more.

One rule: every reference is followed and every default filled in, so that nobody asks the environment or the catalogue again.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from gatewright.config.credentials import CredentialConfig
from gatewright.config.invariant import ExplorerConfig, InvariantConfig
from gatewright.config.secrets import Secret
from gatewright.config.watch import Stamp
from gatewright.exchange import Role
from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject
from gatewright.limits.terms import Budget, Level, Limit
from gatewright.logs_rule import LoggingRule
from gatewright.pipeline.guard_terms import GuardsConfig
from gatewright.pipeline.policy import DEFAULT, Policy, RouteTarget, Tier
from gatewright.principals.records import NOTHING, Granted, Organization, Team, User
from gatewright.providers.catalog import Auth, Forward
from gatewright.providers.facts import Facts
from gatewright.providers.ladder import Ladder
from gatewright.providers.price_rules import PriceRules
from gatewright.record.ledger import LedgerRule
from gatewright.record.metrics_cells import MetricsRule
from gatewright.record.trace_rule import TraceRule
from gatewright.routing.breaker import Rule as BreakerRule


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    port: int = 4000
    workers: int = 1
    max_body_bytes: int = 64 << 20
    max_answer_bytes: int = 256 << 20
    max_concurrent: int = 0
    """Per worker. 0: no limit."""
    keepalive_s: float = 15
    drain_s: int = 30
    state_dir: str = ""
    """Absolute. May not exist yet."""
    watch: bool = True
    trusted_proxies: tuple[str, ...] = ()
    """Networks."""
    tls_cert_file: str | None = None
    """Absolute. None: plain HTTP."""
    tls_key_file: str | None = None
    """Absolute. None: it is in `tls_cert_file`."""

    @property
    def scheme(self) -> str:
        """By which clients reach it, where no proxy before it says otherwise."""
        return "https" if self.tls_cert_file else "http"


class OtlpConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where traces are sent: see `schema_otlp.OtlpSection`."""

    endpoint: str | None = None
    headers: tuple[tuple[str, Secret], ...] = ()
    content: bool = False
    langfuse: bool | None = None
    timeout_s: float | None = None
    queue_size: int = 2_048
    propagate: bool = False


class TimeoutsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, each for another kind of waiting: see `schema.TimeoutsSection`."""

    connect_s: float = 5
    headers_s: float = 600
    first_event_s: float = 600
    idle_s: float = 120
    total_s: float = 3600


class QueueConfig(msgspec.Struct, frozen=True, kw_only=True):
    size: int = 1000
    """Calls that may wait."""
    wait_s: float = 10


class ProbeConfig(msgspec.Struct, frozen=True, kw_only=True):
    every_s: float
    """Above 0."""
    model: str
    """As the provider names it."""


class ProviderConfig(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    kind: str
    """Name of its row in the catalogue."""
    dialects: tuple[DialectName, ...]
    """The first is used for clients of any other."""
    bases: Mapping[DialectName, str]
    """Base URL of each of `dialects`, without a slash at the end."""
    auth: Auth
    api_key: Secret | None = None
    """None: calls carry no credential, or `credential` makes one."""
    credential: CredentialConfig | None = None
    """What is more than one key: a pool, tokens, the client's own. `api_key` is None then."""
    headers: tuple[tuple[str, Secret], ...] = ()
    ca_file: str | None = None
    """Absolute path."""
    verify_tls: bool = True
    proxy: str | None = None
    """A URL; `direct` for none; None: as the environment says."""
    max_connections: int = 4096
    max_concurrent: int = 0
    """Calls at once, per worker. 0: no limit."""
    queue: QueueConfig = QueueConfig()
    probe: ProbeConfig | None = None
    """None: no probes are made."""
    forwards: frozenset[Forward] = frozenset()
    stores_responses: bool = False
    quirks: tuple[str, ...] = ()
    """Names of what deviates."""
    settings: Mapping[str, str] = {}
    """What its kind must be told beside a credential; only what is set."""
    timeouts: TimeoutsConfig = TimeoutsConfig()

    @property
    def base_url(self) -> str:
        """Base of the preferred dialect; forwarded endpoints lie under it too."""
        return self.bases[self.dialects[0]]


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    """May hold one `*`."""
    tiers: tuple[Tier, ...]
    """The first holds the `targets`, each further one comes of `fallback`."""
    policy: Policy = DEFAULT
    losses: Literal["warn", "refuse"] = "warn"
    overrides: JsonObject = {}
    defaults: JsonObject = {}
    ladder: Ladder | None = None
    """In place of `targets`, which are then empty."""
    facts: Facts = Facts()
    """What the operator says of it."""

    @property
    def targets(self) -> tuple[RouteTarget, ...]:
        """Those of the first tier."""
        return self.tiers[0].targets

    @property
    def fallback(self) -> tuple[RouteTarget, ...]:
        """Those of all further tiers, in order."""
        return tuple(target for tier in self.tiers[1:] for target in tier.targets)


class KeyConfig(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    key: Secret
    models: tuple[str, ...] = ("*",)
    """Names and patterns that it may use."""
    tags: tuple[str, ...] = ()
    role: Role = "member"
    organization: str = ""
    team: str = ""
    user: str = ""
    """Ids of whom it belongs to; empty for none."""
    expires: int = 0
    """Unix seconds. 0: never."""
    disabled: bool = False
    dialects: tuple[DialectName, ...] = ()
    routes: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    """Empty: all, each of the three."""
    defaults: JsonObject = {}
    max_tokens: int | None = None
    metadata: Mapping[str, str] = {}
    show_cost: bool = False
    traces: bool = True
    granted: Granted = NOTHING


class PrincipalsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Whom keys belong to, as far as the file declares them."""

    organizations: Mapping[str, Organization] = {}
    teams: Mapping[str, Team] = {}
    users: Mapping[str, User] = {}
    granted: Mapping[tuple[Level, str], Granted] = {}
    """By level and id; without what belongs to keys."""


class JwtConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An identity provider whose tokens are taken."""

    issuer: str
    audience: tuple[str, ...]
    jwks: str = ""
    """URL. Empty: by discovery."""
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    user: str = "sub"
    team: str = ""
    organization: str = ""
    role: str = ""
    """Paths of claims; empty for none."""
    roles: Mapping[str, Role] = {}
    """Empty: the claim has our own words."""
    models: tuple[str, ...] = ("*",)
    skew_s: float = 30


class MediaFetchConfig(msgspec.Struct, frozen=True, kw_only=True):
    enabled: bool = False
    allow_hosts: frozenset[str] = frozenset()
    """In lower case."""
    max_bytes: int = 20 << 20


class ResponsesStateConfig(msgspec.Struct, frozen=True, kw_only=True):
    store: bool = True
    ttl_s: float = 86_400 * 30
    max_items: int = 100_000


class ModelListsConfig(msgspec.Struct, frozen=True, kw_only=True):
    live: bool = True
    refresh_s: float = 3600


class RoutingConfig(msgspec.Struct, frozen=True, kw_only=True):
    policy: Policy = DEFAULT
    """For names without an entry; a model's own policy is whole."""
    breaker: BreakerRule | None = BreakerRule()
    """None: no circuit ever opens."""


class CacheConfig(msgspec.Struct, frozen=True, kw_only=True):
    max_bytes: int = 256 << 20
    """In memory, per worker."""
    url: Secret | None = None
    """Of a Redis or Valkey; it may hold a password. None: memory only."""


class LimitsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for everybody together, and for all budgets."""

    limits: tuple[Limit, ...] = ()
    budgets: tuple[Budget, ...] = ()
    webhook: Secret | None = None
    """URL; it may hold a secret. None: nobody is told."""
    on_outgrown: Literal["extend", "stop"] = "extend"


class CountersConfig(msgspec.Struct, frozen=True, kw_only=True):
    url: Secret | None = None
    """Of a Redis or Valkey; it may hold a password. None: memory that the workers share."""
    deadline_ms: int = 50
    rates: Literal["open", "closed"] = "open"
    money: Literal["open", "closed"] = "closed"
    """What becomes of requests while it does not answer."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    """The file it was read from; `environment` when there was none."""
    server: ServerConfig = ServerConfig()
    providers: Mapping[str, ProviderConfig] = {}
    models: Mapping[str, ModelConfig] = {}
    aliases: Mapping[str, str] = {}
    """Each leads to a model's name or to `provider/model`, never to another alias."""
    keys: tuple[KeyConfig, ...] = ()
    principals: PrincipalsConfig = PrincipalsConfig()
    jwt: tuple[JwtConfig, ...] = ()
    media_fetch: MediaFetchConfig = MediaFetchConfig()
    timeouts: TimeoutsConfig = TimeoutsConfig()
    responses_state: ResponsesStateConfig = ResponsesStateConfig()
    model_lists: ModelListsConfig = ModelListsConfig()
    routing: RoutingConfig = RoutingConfig()
    cache: CacheConfig = CacheConfig()
    limits: LimitsConfig = LimitsConfig()
    counters: CountersConfig = CountersConfig()
    ledger: LedgerRule = LedgerRule()
    metrics: MetricsRule = MetricsRule()
    logging: LoggingRule = LoggingRule()
    traces: TraceRule = TraceRule()
    otlp: OtlpConfig | None = None
    explorer: ExplorerConfig | None = None
    """Where ordinary conversations are pushed to. None: nowhere."""
    """Where traces are sent as they end. None: nowhere."""
    guards: GuardsConfig = GuardsConfig()
    pricing: PriceRules = PriceRules()
    """Without `hosts`: `pricing.py` finds them by the providers."""
    database: Secret | None = None
    """A URL; it may hold a password. None: a file of SQLite in the state folder."""
    invariant: InvariantConfig = InvariantConfig()
    files: Mapping[str, Stamp] = {}
    """Absolute paths of what it was read from, secrets among them, as they were just before."""
    warnings: tuple[str, ...] = ()
    """What works but should not stay so, one line each, with the place."""
