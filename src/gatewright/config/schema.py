"""The shape of `gatewright.yaml`: what an operator may write, with the words an editor shows.

One rule: names here are a contract; a new setting is a new field with its docstring, and nothing else is accepted.
What the names refer to (providers, models, variables, files) is checked in `resolve`.
"""

from typing import Annotated, Literal

from pydantic import Field

from gatewright.config.schema_guards import GuardRuleSection, GuardsSection
from gatewright.config.schema_invariant import InvariantSection
from gatewright.config.schema_ledger import LedgerSection
from gatewright.config.schema_limits import BudgetsSection, CountersEntry, CountersSection, LimitSection
from gatewright.config.schema_logging import LoggingSection
from gatewright.config.schema_metrics import MetricsSection
from gatewright.config.schema_parameters import OverridesSection
from gatewright.config.schema_pricing import PricingSection
from gatewright.config.schema_principals import AuthSection, KeySection, OrganizationSection, TeamSection, UserSection
from gatewright.config.schema_routing import (
    CacheSection,
    FallbackEntry,
    HedgeSection,
    ModelCacheSection,
    ProbeSection,
    QueueSection,
    RetryOverride,
    RoutingSection,
    TargetEntry,
)
from gatewright.config.schema_traces import TracesSection
from gatewright.config.secrets import Secret
from gatewright.config.section import Count, Name, Port, Seconds, Section
from gatewright.ir.blocks import DialectName
from gatewright.providers.catalog import Auth, Forward
from gatewright.providers.facts import Capability
from gatewright.providers.oauth.rotation import Rotation
from gatewright.routing.affinity import Kind
from gatewright.routing.balance import Strategy


class ServerSection(Section):
    """Where the gateway listens and what it bears."""

    host: Name = "127.0.0.1"
    """Address to listen on. The default is this machine only; 0.0.0.0 opens it to the network."""
    port: Port = 4000
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Processes; one per core is enough."""
    max_body_bytes: Annotated[int, Field(ge=1024)] = 64 << 20
    """Largest request body accepted; a larger one is answered 413."""
    max_answer_bytes: Annotated[int, Field(ge=1 << 16)] = 256 << 20
    """Longest answer of a provider that is held as a whole: to be given as one, or to others who ask the same. A stream that
    nobody else waits for may be longer."""
    max_concurrent: Annotated[int, Field(ge=0)] = 0
    """Requests served at once, over all keys and per worker; more are answered 503. 0: no limit."""
    keepalive_s: Seconds = 15
    """Silence of a streaming answer after which its client is sent a keep-alive, so that nothing on the way hangs up."""
    drain_s: Annotated[int, Field(ge=0)] = 30
    """After SIGTERM: how long running answers may go on before they end in an error event."""
    watch: bool = True
    """Whether changes of this file, and of secret files that it names, are taken over while serving. SIGHUP works in any case."""
    tls_cert_file: Name | None = None
    """PEM file with the certificate to serve HTTPS with, and its chain. Default: plain HTTP, behind a proxy or on this machine.
    The AWS SDKs send bearer tokens over HTTPS only."""
    tls_key_file: Name | None = None
    """PEM file with its private key. Default: the same file."""
    trusted_proxies: list[Name] = []
    """Networks of proxies in front of the gateway that are believed in `x-forwarded-for`. Default: nobody is; where a request
    comes from is what the connection says."""
    state_dir: Name | None = None
    """Folder for what must survive a restart. Default: $GATEWRIGHT_HOME, else the user's state folder."""


class TimeoutsSection(Section):
    """Seconds; each ends another kind of waiting for the provider."""

    connect_s: Seconds = 5
    """Until the connection stands, TLS included."""
    headers_s: Seconds = 600
    """From the request's last byte to the answer's head."""
    first_event_s: Seconds = 600
    """From the answer's head to its first event."""
    idle_s: Seconds = 120
    """Between two pieces of an answer."""
    total_s: Seconds = 3600
    """For the whole call."""


class TimeoutsOverride(Section):
    """As `timeouts`, for one provider; what is left out stays as it is for all."""

    connect_s: Seconds | None = None
    headers_s: Seconds | None = None
    first_event_s: Seconds | None = None
    idle_s: Seconds | None = None
    total_s: Seconds | None = None


class OAuthSection(Section):
    """How people log in to a provider with `auth: account`. What is left out stays as the kind has it."""

    device_url: Name | None = None
    """Where a login by device code begins (RFC 8628)."""
    authorize_url: Name | None = None
    """Where a login by browser begins (RFC 7636)."""
    token_url: Name | None = None
    """Where tokens are granted and refreshed."""
    client_id: Name | None = None
    """The program's name there. These four may be `env:NAME`."""
    client_secret: Secret | None = None
    """For a client of the operator's own that has one."""
    scopes: list[Name] | None = None
    """What the login is to be good for; often `offline_access` is needed for a refresh token."""
    parameters: dict[Name, str] | None = None
    """More to say when a login begins, such as `audience`."""
    redirect_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Port of this machine that the browser comes back to. 0: any free one."""
    identity: dict[Name, Name] | None = None
    """Parts of the identity → where the token answer says them, such as `org_id: user.org`."""
    bearer: Name | None = None
    """What calls carry, such as `{access_token}:{org_id}`."""
    refresh_ahead_s: Seconds | None = None
    """How long before its end a token is refreshed; of a short life, the last quarter."""


class ProviderSection(Section):
    """Who hosts models, and how to reach it."""

    kind: Name | None = None
    """The catalogue entry whose behaviour it has. Default: the provider's own name."""
    base_url: Name | None = None
    """Base of the API: with the version for OpenAI-style hosts (`…/v1`), without for Anthropic and Gemini. May be `env:NAME`."""
    base_urls: dict[DialectName, Name] = {}
    """Bases of single dialects, where they differ."""
    dialects: Annotated[list[DialectName], Field(min_length=1)] | None = None
    """What it speaks, the preferred one first.
    Default: all that the kind speaks, Chat Completions first behind another base URL."""
    api_key: Secret | None = None
    """The credential: `env:NAME`, `file:/path`, or a literal (warned about).
    Default: the kind's usual variable (`OPENAI_API_KEY`), unless another base URL is given."""
    api_keys: list[Secret] = []
    """Several credentials, used in turn; one that is refused or over its limit rests while the others serve."""
    credentials: Literal["client"] | None = None
    """`client`: the client brings its own key for this provider, beside the gateway's in `x-gatewright-key`."""
    auth: Auth | None = None
    """How the credential travels: `bearer` (Authorization), or the header of that name. `google`, `entra`, `aws` and `account`
    obtain tokens or sign calls. Default: as the kind has it."""
    credentials_file: Name | None = None
    """Google's JSON: a service account, a login of gcloud's, a workload identity.
    Default with `auth: google`: GOOGLE_APPLICATION_CREDENTIALS, gcloud's own file, the metadata server."""
    tenant_id: Name | None = None
    """Of Entra ID; this and the next five are for `auth: entra`. Default: AZURE_TENANT_ID."""
    client_id: Name | None = None
    """Of the application, or of a managed identity. Default: AZURE_CLIENT_ID."""
    client_secret: Secret | None = None
    """Of the application. Default: AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH, AZURE_FEDERATED_TOKEN_FILE;
    without any of them the machine's managed identity."""
    certificate_file: Name | None = None
    """PEM file with the application's certificate and private key, in place of a secret."""
    federated_token_file: Name | None = None
    """File with a token of another identity provider (workload identity), in place of a secret."""
    authority: Name | None = None
    """Where tokens are asked for, in sovereign clouds. Default: AZURE_AUTHORITY_HOST, https://login.microsoftonline.com."""
    access_key_id: Secret | None = None
    """Of AWS; this and the next six are for `auth: aws`. Default: AWS's own chain: AWS_ACCESS_KEY_ID, web identity, the profile,
    the container's or the instance's role."""
    secret_access_key: Secret | None = None
    """Of the access key."""
    session_token: Secret | None = None
    """Of a temporary access key."""
    profile: Name | None = None
    """Of AWS's own files. Default: AWS_PROFILE, `default`."""
    role_arn: Name | None = None
    """Role to assume with whatever keys there are."""
    external_id: Name | None = None
    """That the role's owner asks for."""
    role_session_name: Name | None = None
    """Under which the account's trail shows the gateway. Default: `gatewright`."""
    scope: Name | None = None
    """What tokens are for. Default: `cloud-platform` at Google, `https://cognitiveservices.azure.com/.default` at Entra ID."""
    resource: Name | None = None
    """Of Azure: the resource's name, in place of a base URL. This and the next five may be `env:NAME`."""
    account: Name | None = None
    """Of Cloudflare, Snowflake, Databricks: the account or workspace, in place of a base URL."""
    project: Name | None = None
    """Of Google Cloud."""
    location: Name | None = None
    """Of Google Cloud: a region, `us`, `eu` or `global`."""
    region: Name | None = None
    """Of AWS."""
    api_version: Name | None = None
    """Of Azure: a dated version, for deployments in the path. Default: the surface without versions."""
    rotation: Rotation | None = None
    """Which of several accounts a call uses, with `auth: account`: one as long as it serves, each in turn, or any.
    Default: `sticky`."""
    oauth: OAuthSection | None = None
    """How to log in, where it differs from what the kind knows, or where the kind knows nothing."""
    headers: dict[Name, Secret] = {}
    """Headers to send with every call; values may be references."""
    ca_file: Name | None = None
    """PEM file of authorities to trust instead of the system's."""
    verify_tls: bool = True
    """False: any certificate is believed. For tests only."""
    proxy: Name | None = None
    """HTTP proxy for this provider, or `direct` for none. Default: HTTP_PROXY, HTTPS_PROXY and NO_PROXY."""
    max_connections: Count = 4096
    """Connections to it at once, per worker; more calls wait."""
    max_concurrent: Annotated[int, Field(ge=0)] = 0
    """Calls at once, per worker; more wait in the queue. 0: no limit."""
    queue: QueueSection = QueueSection()
    probe: ProbeSection = ProbeSection()
    forward: list[Forward] | None = None
    """Endpoints that are forwarded as they are (`embeddings`, `files`, …). Default: those the kind has."""
    quirks: list[Name] | None = None
    """In which ways it deviates (docs/providers has the names), such as `mistral-call-ids`. Default: as the kind does."""
    timeouts: TimeoutsOverride = TimeoutsOverride()


class LadderSection(Section):
    """A rule for names that a provider may not have: the nearest that it lists is called."""

    provider: Name
    """Whose list of models counts."""
    vendors: list[Name] = ["anthropic"]
    """Prefixes under which it lists what clients ask for bare: `anthropic/claude-…`."""
    families: list[Name] = ["haiku", "sonnet", "opus"]
    """Words of which a name holds one: a name that is not there goes to the newest of its family."""
    preferred: list[Name] = []
    """The provider's names for what belongs to no family; the first that it lists."""


class ModelSection(Section):
    """A name that clients ask for, and where it goes."""

    targets: Annotated[list[TargetEntry], Field(min_length=1)] | None = None
    """Where calls go: `provider/model`, or `{target, weight, …}`."""
    strategy: Strategy = "weighted"
    """How targets are ordered for each request."""
    ladder: LadderSection | None = None
    """In place of `targets`: the provider's model that comes nearest to the name asked for."""
    fallback: list[FallbackEntry] = []
    """Tried in order when no target answers: a target, or a tier of several, `{strategy, targets}`."""
    retry: RetryOverride = RetryOverride()
    deadline_s: Seconds | None = None
    """As `routing.deadline_s`, for this model."""
    affinity: list[Kind] | None = None
    """As `routing.affinity`, for this model."""
    hedge: HedgeSection | None = None
    """Ask a second target while the first is silent. Default: never."""
    on_cut: Literal["fail", "resume"] = "fail"
    """When a stream breaks after it has begun: end it with an error, or go on with another target."""
    cache: ModelCacheSection | None = None
    """Whether answers are kept and given again. Default: never."""
    guards: list[GuardRuleSection] = []
    """Rules for this model alone, beside those of `guards`."""
    losses: Literal["warn", "refuse"] = "warn"
    """What to do when the target's dialect cannot say all that the client said: tell in a header, or refuse."""
    defaults: OverridesSection = OverridesSection()
    """Parameters for what the client left unsaid."""
    overrides: OverridesSection = OverridesSection()
    """Parameters that are set whatever the client said."""
    context: Count | None = None
    """Tokens that fit in; targets that say nothing of their own have this. Default: as the provider or the price list tells."""
    max_output: Count | None = None
    """Tokens of the longest answer; asked for where a dialect wants a limit and the client gave none."""
    capabilities: list[Capability] | None = None
    """What it can do; targets that say nothing of their own have this. Default: as the provider tells."""


class MediaFetchSection(Section):
    """Whether the gateway may fetch a URL that a client gave, for a provider that takes none."""

    enabled: bool = False
    allow_hosts: list[Name] = []
    """Hosts that may be fetched from though their addresses are not public, by exact name."""
    max_bytes: Count = 20 << 20
    """Largest image or document fetched."""


class ResponsesStateSection(Section):
    """The gateway's own memory of Responses items, for providers that keep none."""

    store: bool = True
    """False: nothing is kept, and `previous_response_id` is refused for such providers."""
    ttl_s: Seconds = 86_400 * 30
    """How long an answer can be continued."""
    max_items: Count = 100_000
    """Answers kept; the oldest go first."""


class ModelListsSection(Section):
    """What `GET /v1/models` shows beside the configured names."""

    live: bool = True
    """Whether providers are asked for their lists, in the background, when somebody looks. Ladders ask in any case."""
    refresh_s: Annotated[float, Field(ge=10, le=86_400 * 365)] = 3600
    """Age at which a list is asked for again."""


class ConfigFile(Section):
    """Gatewright's configuration."""

    server: ServerSection = ServerSection()
    providers: dict[Name, ProviderSection] = {}
    """Who hosts: a name of yours → how to reach it. A catalogue name needs no more than its credential."""
    models: dict[Name, ModelSection] = {}
    """What clients ask for → where it goes. `provider/model` always works, without an entry."""
    aliases: dict[Name, Name] = {}
    """Other names for models."""
    organizations: dict[Name, OrganizationSection] = {}
    """Whoever teams, users and keys belong to. These four may also be stored: see docs/keys.md."""
    teams: dict[Name, TeamSection] = {}
    """Of an organization, or of none."""
    users: dict[Name, UserSection] = {}
    """Of a team, or of none."""
    keys: list[KeySection] = []
    """Declared client keys."""
    auth: AuthSection = AuthSection()
    routing: RoutingSection = RoutingSection()
    cache: CacheSection = CacheSection()
    limits: list[LimitSection] = []
    """For everybody together."""
    budgets: BudgetsSection = BudgetsSection()
    counters: CountersEntry = CountersSection()
    """Where limits and budgets are counted: a URL, or a mapping."""
    ledger: LedgerSection = LedgerSection()
    metrics: MetricsSection = MetricsSection()
    logging: LoggingSection = LoggingSection()
    pricing: PricingSection = PricingSection()
    traces: TracesSection = TracesSection()
    guards: GuardsSection = GuardsSection()
    database: Secret | None = None
    """Where the ledger is kept, and keys that are made at run time: `postgresql://…` when several machines share it. Default: a
    file of SQLite in the state folder."""
    media_fetch: MediaFetchSection = MediaFetchSection()
    timeouts: TimeoutsSection = TimeoutsSection()
    responses_state: ResponsesStateSection = ResponsesStateSection()
    model_lists: ModelListsSection = ModelListsSection()
    invariant: InvariantSection = InvariantSection()
