"""Exchange, Segment, Reply: one client request's life, and what travels back.

    client ─▶ server ─▶ settle ─▶ authenticate ─▶ state ─▶ route ─▶ attempt ─▶ translate ─▶ transport ─▶ upstream
    client ◀─ server ◀──────────────── the same stages, in reverse, over Segments ◀───────────────────── upstream

A stage is `async (exchange, next) -> Reply`, or a `Check`, which needs neither the answer nor to wait; nothing else.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from time import monotonic
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from gatewright.errors import Problem, refuse
from gatewright.guards.rules import Rule
from gatewright.guards.terms import Finding
from gatewright.ir.blocks import DialectName
from gatewright.ir.events import StreamEvent
from gatewright.ir.loss import Loss
from gatewright.ir.request import Request
from gatewright.ir.response import Response, Usage
from gatewright.jsontypes import JsonObject
from gatewright.limits.terms import Scope
from gatewright.wire.http import Call
from gatewright.wire.json import BadJson

Operation = Literal[
    "generate",  # a model call in one of the dialects
    "invoke",  # Bedrock's InvokeModel: Anthropic's Messages in another wrapping
    "count_tokens",
    "count_input",  # Bedrock's CountTokens: a model call in a wrapping, to be counted
    "list_models",
    "get_model",
    "get_response",
    "delete_response",
    "cancel_response",
    "list_input_items",
    "explain",  # what would become of a model call
    "forward",  # an endpoint that is forwarded, not translated
    "health",
    "target_health",  # how each target stands
    "ready",
    "usage",  # what was used, and what it cost
    "metrics",  # how the gateway does, for Prometheus
    "reload",  # an admin's: read the configuration again
    "admin",  # what is under /admin/v1 beside it: each of its routes says whom it is for
    "invariant",  # what Invariant's gateway says of itself: health, preflights, fixed refusals
    "unknown",
]


CacheUse = Literal[
    "",  # nobody looked: the route keeps no answers
    "hit",
    "miss",
    "coalesced",  # the answer to another, same request that was running
    "bypass",  # what is asked for cannot be kept, or is not to be
]


Role: TypeAlias = Literal["admin", "team_admin", "member", "viewer"]
"""What somebody may do, whatever they may ask for: `pipeline/permissions.py` says what that is."""
Network: TypeAlias = IPv4Network | IPv6Network


class Principal(msgspec.Struct, frozen=True, eq=False):
    """Who is calling. Compared by identity: one object a key, for as long as nothing about it changes."""

    name: str
    models: tuple[str, ...] = ("*",)
    """Globs of the model names this key may ask for."""
    tags: tuple[str, ...] = ()
    """Words that conditions of routes ask for."""
    role: Role = "member"
    """`admin` may ask for what concerns the whole gateway."""
    key_id: str = ""
    """By which the ledger knows it. Of a declared key: its name."""
    user: str = ""
    team: str = ""
    organization: str = ""
    """Ids of whom it belongs to; empty where it belongs to none."""
    within: tuple[tuple[str, ...], ...] = ()
    """Globs of the levels above that do not grant all: a name must fit one of each of them, too."""
    dialects: frozenset[DialectName] = frozenset()
    """In which it may make model calls. Empty: in all."""
    routes: tuple[str, ...] = ()
    """Operations and globs of paths that it may ask for. Empty: all that its role allows."""
    networks: tuple[Network, ...] = ()
    """Where it may call from. Empty: from anywhere."""
    defaults: JsonObject = {}
    """Parameters, in neutral names, for what its requests leave unsaid."""
    max_tokens: int | None = None
    """Most tokens of an answer."""
    metadata: Mapping[str, str] = {}
    """The operator's own words about it, for traces."""
    show_cost: bool = False
    """Whether its answers say what they cost."""
    traced: bool = True
    """Whether traces may be kept of what it asks, where any are."""
    expires: float = 0.0
    """Unix seconds from which on it is good for nothing. 0: never."""
    scopes: tuple[Scope, ...] = ()
    """Levels at which something is granted, the widest first."""
    guarded: bool = False
    """Whether `expires`, `networks`, `dialects` or `routes` say anything."""


class Segment(msgspec.Struct, gc=False):
    """One step of an answer on its way to the client."""

    wire: bytes
    """The bytes for the client. In passthrough: the upstream's own."""
    events: Sequence[StreamEvent] | None = None
    """What `wire` means, where it was rendered from events. None: bytes that pass; whoever needs their meaning parses them."""


class Client(Protocol):
    """The server's side of a streamed answer, for a source that gives what it has in the very call that brings it."""

    @property
    def unread(self) -> bool:
        """More waits for the client than it should: nothing is to be pushed."""
        ...

    def push(self, wire: bytes) -> None:
        """Send the next step of the answer. Not empty, and only after `next` has given the one before. Never raises."""
        ...


class Source(Protocol):
    """A streamed answer, pulled by the server as fast as the client reads."""

    @property
    def ended(self) -> bool:
        """What `next` gave last was the last step; it may leave together with the end of the body."""
        ...

    async def next(self) -> Segment | None:
        """The next step; None at the end. Never raises: failures are the dialect's error event, then None."""
        ...

    async def flow(self, client: Client) -> None:
        """Push what arrives to `client` until something else is to be done, or the client reads too slowly; `next` goes on then.

        A source that must be pulled returns at once. Never raises.
        """
        ...

    def abort(self) -> None:
        """The client left: stop the upstream at once. Idempotent."""
        ...

    def keepalive(self) -> bytes:
        """What may be written while nothing comes; empty when nothing may."""
        ...


class Reads(Protocol):
    """The one thing that is asked of a dialect here."""

    def parse_request(self, call: Call) -> Request: ...


class Renders(Protocol):
    """A renderer of streams: `dialects.protocol.StreamRenderer`."""

    losses: list[Loss]

    def render(self, events: Sequence[StreamEvent]) -> bytes: ...

    def keepalive(self) -> bytes: ...


class Reply(msgspec.Struct, eq=False):
    """What goes back: a whole body or a source of segments. (A Struct: they are made fastest.)"""

    status: int
    headers: bytes
    """Ready header lines (`name: value\\r\\n`…), without length, connection and request id."""
    body: bytes = b""
    source: Source | None = None
    problem: Problem | None = None
    """Set when the reply is an error: what it says, in no dialect's words."""
    response: Response | None = None
    """What `body` means, where it was rendered from it; as the upstream told it, without our marks. None: bytes that pass."""


class Held(Protocol):
    """What a request has taken of limits and budgets. None of this raises, and `covers` alone may wait."""

    def told(self, exchange: "Exchange", reply: Reply) -> Reply:
        """The reply with what its client is told of limits."""
        ...

    def reckon(self, exchange: "Exchange") -> None:
        """Its end is known: write into its attempts what they cost."""
        ...

    def settle(self, exchange: "Exchange") -> None:
        """Give back what it did not use; once."""
        ...

    async def covers(self, exchange: "Exchange", *, onward: bool) -> bool:
        """Whether one attempt more is reserved, as from now on it is. `onward`: it must read what the others have said."""
        ...


AttemptStage = Literal["connecting", "waiting", "answered", "streaming", "content"]
"""How far an attempt came: what `routing.retry.Stage` says."""


class AttemptRecord(msgspec.Struct, eq=False, gc=False):
    """One try at one target, filled in as it goes. A target that was passed over is recorded too: nothing was sent to it."""

    target: str
    """`provider/model`."""
    dialect: DialectName
    """In which it was asked."""
    began: float
    """Monotonic seconds."""
    waited_s: float = 0.0
    """Before it: for the backoff, and in the queue."""
    sent: bool = False
    """Whether the upstream may have seen it."""
    status: int = 0
    """Of the upstream's answer. 0: no head of one came."""
    stage: AttemptStage = "connecting"
    """How far it came."""
    cause: str | None = None
    """Why it failed: a `routing.retry.Cause`; or why it was not asked: `open`, `resting`, `full`. None: it has not failed."""
    message: str = ""
    """The failure in words."""
    ttft_s: float | None = None
    """Seconds until the first content, or until the whole answer. None: none came."""
    ended: float = 0.0
    """Monotonic seconds; 0: it runs."""
    hedge: bool = False
    """Sent while another was still silent."""
    resumed: bool = False
    """Sent to go on with a stream that another left unfinished."""
    usage: Usage | None = None
    """What the upstream told of this try. None: nothing."""
    spoken: int = 0
    """Tokens that were seen of an answer whose usage was not told to its end: an estimate."""
    cost_micros: int | None = None
    """Micro-dollars. None: not known, or not asked for yet (`price_source` is empty)."""
    price_source: str = ""
    """Whose price it is: set by who needs the cost first, else when the attempt is written to the ledger."""
    price_date: str = ""
    asked_s: float | None = None
    """Of a refusal: in how many seconds the upstream wants to be asked again. None: it did not say."""
    repeatable: bool = True
    """Of a refusal: False where the upstream wants no repetition."""
    before: tuple[int, ...] = ()
    """Statuses of what came to nothing beneath, so that it was written again; 0: its connection had ended. Records of their own
    when the attempt is over."""
    refused_as: int = 0
    """The status that the next time it is written will have been for."""
    written: float = 0.0
    """Monotonic seconds, when it was written last. 0: nobody said."""
    leg: object | None = None
    """What went over the wire, for the trace: a `record.trace_capture.Leg`. None: nobody keeps it."""

    def wrote(self) -> None:
        """The call was written to a connection; perhaps once more, beneath: see `transport.seam.Trail`."""
        self.written = monotonic()
        if not self.sent:
            self.sent = True
            self.stage = "waiting"
        else:
            self.before += (self.refused_as,)
            self.refused_as = 0

    def refused(self, status: int) -> None:
        """It was answered so, and is to be written once more."""
        self.refused_as = status


class Connection(Protocol):
    """A client's connection, as asyncio's transports are one."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`peername`: (address, port, …) of the other end."""
        ...


class Narrowed(msgspec.Struct, frozen=True):
    """What a key asks for beside what its request says."""

    defaults: JsonObject
    """Parameters, in neutral names, for what is unsaid."""
    max_tokens: int | None
    """Most tokens of an answer. None: as it says."""


class Exchange(msgspec.Struct, eq=False, kw_only=True):
    """One client request's life. The comment beside a field says which stage sets it. (A Struct: they are made fastest.)"""

    request_id: str  # server
    dialect: DialectName  # server: the client's dialect
    operation: Operation  # server
    method: str  # server
    call: Call  # server; the state stage may replace it
    started: float  # server: monotonic seconds
    credential: bytes = b""  # server: the client's key as sent
    pin: str = ""  # server: provider named by the path
    params: tuple[str, ...] = ()  # server: path parameters
    model: str = ""  # server: as the client wrote it
    stream: bool = False  # server
    connection: "Connection | None" = None  # server: by which it came; None: nobody knows from where
    principal: Principal | None = None  # authenticate
    route: object | None = None  # route: the Route that serves it
    plan: Sequence[object] = ()  # route: the candidates in the order to try
    over: Callable[[Renders], Renders] | None = None  # resume: what goes around the renderer of a stream
    trailers: bytes = b""  # resume: header lines that follow a stream's body, where the client takes them
    answer: JsonObject = {}  # state: fields of a Responses answer that only the gateway can tell
    neutral: Request | None = None  # understood: what the client's bytes mean, for those who decide by it
    narrowed: Narrowed | None = None  # limit: what the key asks for beside it; set, the request is rendered anew
    request: Request | None = None  # translate: parsed once, for all attempts; set, it is rendered anew
    onward: bytes = b""  # forward_to: the body as it is passed on
    served: str = ""  # attempt: `provider/model` that answered
    attempts: list[AttemptRecord] = []  # attempts: in the order they began
    cache: CacheUse = ""  # cache: how the answer came about
    losses: tuple[Loss, ...] = ()  # translate
    usage: Usage | None = None  # translate, at the end of the answer
    rules: tuple[Rule, ...] = ()  # who knows of rules for this request alone: guard asks them beside the operator's
    findings: tuple[Finding, ...] = ()  # guard: what its rules had to say, in the order they said it
    held_back: tuple[int, float] = (0, 0.0)  # guard: the most characters, the longest seconds that its stream waited for rules
    reserved: int | None = None  # limit: micro-dollars that it may cost at most; None: nobody reckoned
    held: Held | None = None  # limit: to be settled; None: nothing limits it
    left: bool = False  # settle: the client left before the end of its answer

    def understood(self, dialects: Mapping[DialectName, "Reads"]) -> Request:
        """What the request means, read once for all who decide by it. Its bytes may pass all the same.

        Raises Refused for what the client must mend.
        """
        if self.request is not None:
            return self.request
        if self.neutral is None:
            try:
                self.neutral = dialects[self.dialect].parse_request(self.call)
            except BadJson as error:
                raise refuse("invalid_request", f"The request body is {error}.") from None
        return self.neutral


class Check:
    """A stage that only looks at the request: it sets fields, or raises Refused. It waits for nothing and sees no answer."""

    __slots__ = ()

    def check(self, exchange: Exchange) -> None:
        """Raises Refused."""
        raise NotImplementedError


class Stage(Protocol):
    """One layer of the stack that waits, or sees the answer too. `following` is the rest of it."""

    def __call__(self, exchange: Exchange, following: "Next") -> Awaitable[Reply]: ...


Next: TypeAlias = Callable[[Exchange], Awaitable[Reply]]
