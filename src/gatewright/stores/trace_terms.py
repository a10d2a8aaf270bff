"""A trace: one exchange as it went over the wire, and what became of it. What stores of them keep and are asked.

    Exchange ─▶ Trace ─▶ store ─▶ TraceSummary (a line of a list), Trace (all of it)

One rule: a trace holds bytes, not their meaning. What they mean is read from them when somebody asks (`record/trace_reading.py`).
Time is in microseconds since 1970 (UTC), durations in microseconds, money in millionths of a dollar. None: nobody knows.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from gatewright.guards.terms import Finding
from gatewright.ir.blocks import DialectName
from gatewright.ir.loss import Weight

Fields: TypeAlias = tuple[tuple[str, str], ...]
"""Headers by allow-list: names in lower case, in order."""
LegName: TypeAlias = Literal["client-request", "client-answer", "upstream-request", "upstream-answer"]
LEGS: Final[tuple[LegName, ...]] = ("client-request", "client-answer", "upstream-request", "upstream-answer")
Link: TypeAlias = Literal[
    "",  # nothing told it: the trace is a session of its own
    "header",  # the agent named its run
    "body",  # … within the request
    "response",  # `previous_response_id`
    "prefix",  # it goes on with the conversation of an earlier one
]


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One way of one leg: a request or an answer."""

    headers: Fields = ()
    body: bytes = b""
    """As it went over the wire, without its framing; what is secret replaced."""
    size: int = 0
    """Of all of it, in bytes. More than the body has: the rest was not kept."""

    @property
    def is_cut(self) -> bool:
        """Whether the body was longer than is kept."""
        return self.size > len(self.body)


class UpstreamCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went to a provider in one attempt, and what came back."""

    attempt: int
    """Its place among the attempts, from 0 on."""
    target: str
    """`provider/model`."""
    dialect: DialectName
    method: str = "POST"
    path: str = ""
    """Beneath the provider's base, with the query."""
    request: Message = Message()
    status: int = 0
    """0: no answer's head came."""
    answer: Message | None = None
    passed: bool = False
    """As it is written (`trace_document.py`) alone: its answer's bytes are the client's, and stand there once."""
    sent_on: bool = False
    """So are its request's."""


class TracedAttempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One try at one target; those that were passed over among them."""

    target: str
    dialect: DialectName
    began_us: int = 0
    """Since the request came."""
    took_us: int = 0
    waited_us: int = 0
    """Before it: for the backoff, and in the queue."""
    ttft_us: int | None = None
    sent: bool = False
    status: int = 0
    stage: str = ""
    cause: str = ""
    """Of its failure, or why it was not asked. Empty: it went well."""
    message: str = ""
    hedge: bool = False
    resumed: bool = False
    cost_micros: int | None = None


class TracedLoss(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    path: str
    weight: Weight
    why: str = ""


class TraceSummary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a list tells of a trace."""

    id: str
    """The request's, as its client saw it in `x-request-id`."""
    at: int
    """When the request came."""
    took_us: int = 0
    """Until the last byte of its answer."""
    ttft_us: int | None = None
    """Until the first content, or the whole answer, of the attempt that served; since the request came."""
    session: str = ""
    """Of the agent's run or conversation that it belongs to. Empty: it is not known yet."""
    link: Link = ""
    """What told the session."""
    parent: str = ""
    """The trace that it goes on with, where one is known."""
    operation: str = ""
    method: str = "POST"
    path: str = ""
    """That the client asked for, without the query."""
    stream: bool = False
    client_dialect: DialectName = "openai_chat"
    upstream_dialect: DialectName | Literal[""] = ""
    key_id: str = ""
    key_name: str = ""
    user: str = ""
    team: str = ""
    organization: str = ""
    route: str = ""
    asked: str = ""
    """The model as the client wrote it."""
    provider: str = ""
    """Who answered, or was asked last. Empty: nobody was."""
    model: str = ""
    """As that provider names it."""
    status: int = 0
    """HTTP; 499: the client left."""
    outcome: str = ""
    """`ok`, `error`, `left`."""
    error: str = ""
    """The problem's code, or its kind."""
    cache: str = ""
    attempts: int = 0
    losses: int = 0
    findings: int = 0
    rules: tuple[str, ...] = ()
    """Guards that had something to say, each once."""
    input: int | None = None
    """Tokens read, cached or not."""
    output: int | None = None
    """Tokens written, reasoning among them."""
    cost_micros: int | None = None
    """Of all its attempts together."""
    size: int = 0
    """Bytes that are kept of its bodies, before they are compressed."""
    title: str = ""
    """The beginning of what the client's user said last. Empty: it was not read yet, or is not there."""


class Trace(TraceSummary, frozen=True, kw_only=True, omit_defaults=True):
    """All that is kept of one exchange."""

    query: Fields = ()
    request: Message = Message()
    """Of the client."""
    answer: Message = Message()
    """To the client: `status` is its status."""
    upstream: tuple[UpstreamCall, ...] = ()
    """In the order of the attempts. Of those that failed the bodies are kept in part."""
    tried: tuple[TracedAttempt, ...] = ()
    lost: tuple[TracedLoss, ...] = ()
    found: tuple[Finding, ...] = ()
    usage: dict[str, int | str] = {}
    """By the names of `ir.response.Usage`; without its `raw`."""
    problem: str = ""
    """The error in words."""
    price_source: str = ""
    metadata: dict[str, str] = {}
    """The operator's own words about the key."""
    redacted: int = 0
    """How often something was replaced before it was written."""

    @property
    def served(self) -> UpstreamCall | None:
        """The call whose answer the client was given; where none was, the last. None: nobody was asked."""
        good = [call for call in self.upstream if call.answer is not None and 0 < call.status < 400]
        return good[-1] if good else self.upstream[-1] if self.upstream else None

    def leg(self, name: LegName) -> Message | None:
        """One of the four ways; None: there was none."""
        match name:
            case "client-request":
                return self.request
            case "client-answer":
                return self.answer
            case "upstream-request":
                return None if self.served is None else self.served.request
            case "upstream-answer":
                return None if self.served is None else self.served.answer


class TraceFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which traces. Whatever is empty, None or 0 asks for nothing; all that is said must hold."""

    since: int = 0
    until: int = 0
    """Microseconds since 1970: from the first on, before the second."""
    key: str = ""
    """Id or name."""
    user: str = ""
    team: str = ""
    organization: str = ""
    model: str = ""
    """As asked for or as the provider names it; may hold `*`."""
    provider: str = ""
    route: str = ""
    operation: str = ""
    dialect: str = ""
    """The client's or the upstream's."""
    status: str = ""
    """`200`, or a class: `4xx`."""
    outcome: str = ""
    session: str = ""
    finding: str = ""
    """A guard's name, or `*`: any."""
    min_cost_micros: int = 0
    min_took_us: int = 0
    within: tuple[tuple[Literal["key_id", "team", "organization"], str], ...] = ()
    """What whoever asks may see at all, by column and value. Empty: all."""


class Page(msgspec.Struct, frozen=True):
    items: tuple[TraceSummary, ...]
    next: str = ""
    """Cursor of the next page. Empty: there is none."""


class Hit(msgspec.Struct, frozen=True):
    summary: TraceSummary
    snippet: str = ""
    """Around what was found, which stands between `\\x01` and `\\x02`."""


class Hits(msgspec.Struct, frozen=True):
    items: tuple[Hit, ...]
    next: str = ""
    unread: int = 0
    """Traces that were not looked into: their texts are not in the index yet."""


class BadCursor(ValueError):
    """A cursor that is not one of ours."""


class TraceStore(Protocol):
    """Where traces are. All of it blocks; other processes may write at the same time. Raises stores.sql.DatabaseError."""

    def list(self, where: TraceFilter = TraceFilter(), *, limit: int = 100, cursor: str = "") -> Page:  # noqa: B008 - frozen
        """The youngest first. Raises BadCursor."""
        ...

    def get(self, trace_id: str, where: TraceFilter = TraceFilter()) -> Trace | None:  # noqa: B008 - frozen
        """All of one. None: there is none, or `where` does not let it be seen."""
        ...

    def search(self, text: str, where: TraceFilter = TraceFilter(), *, limit: int = 50, cursor: str = "") -> Hits:  # noqa: B008
        """Those in whose texts all the words stand, the youngest first. Raises BadCursor.

        `"…"`: words in a row. `word*`: what begins so.
        """
        ...

    def session(self, name: str, where: TraceFilter = TraceFilter()) -> tuple[TraceSummary, ...]:  # noqa: B008 - frozen
        """Those of one session, the oldest first."""
        ...

    def iterate(self, where: TraceFilter = TraceFilter()) -> Iterator[Trace]:  # noqa: B008 - frozen
        """All of each, the oldest first, read as they are asked for."""
        ...

    def write(self, traces: Sequence[Trace]) -> None:
        """Keep them, in one transaction. One that is there already stays as it is."""
        ...

    def close(self) -> None: ...
