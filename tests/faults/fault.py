"""A row of the lab: one thing that an upstream does wrong, and the cause by which the gateway must judge it."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from gatewright.ir.blocks import DialectName
from gatewright.routing.retry import Cause
from tests.faults import fates, saying
from tests.faults.upstreams import Asked, Play, Step, healthy, stream_head
from tests.serving import answer

LIMIT_S: Final = 2.0
"""What each of the gateway's timeouts is set to in the lab; long enough for a loaded machine to answer in."""
LONG: Final = 30.0
"""Seconds that an upstream is silent where it is to be given up."""
PATIENCE_S: Final = 3.0
MAX_ANSWER_BYTES: Final = 1 << 20

Part = Literal[
    "Connecting",
    "Before the head",
    "By status",
    "Throttled",
    "Behind a 200, before content",
    "After content",
    "Failing once",
    "Left alone",
    "After a keep-alive",
    "No failure",
]

WHOLE, STREAM = (False,), (True,)
BOTH: Final = (False, True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """What is played, and what it is."""

    part: Part
    name: str
    cause: Cause | None
    """None: a good gateway takes no offence."""
    play: Play
    forms: tuple[bool, ...] = BOTH
    """Whether it can happen to whole answers (False), to streams (True)."""
    dialects: tuple[DialectName, ...] = saying.DIALECTS
    """In which the upstream can say it."""
    status: int = 0
    """As the upstream gives it. 0: it gives none."""
    statuses: Mapping[DialectName, int] = dataclasses.field(default_factory=dict)
    """The same, where only some upstream dialects give one."""
    where_bytes_pass: Cause | None = None
    """The cause there, where it is another: nobody reads what passes."""
    alone: int = 0
    before_next: int | None = None
    mends: bool = False
    """Only the first call fails."""
    door: Literal["open", "closed", "full"] = "open"
    unread: bool = False
    """The upstream breaks off without having read, so it sees no call."""
    heavy: bool = False
    """One cell at a time: many bytes must not be taken for slowness."""
    prime: Play | None = None
    """What is played before, to requests that do not count."""
    primes: int = 1
    """How many of these there are."""
    left_alone: int = 0
    """It is not asked at all; where there is no other, the status that is told."""
    late: bool = False
    """The client has been sent a keep-alive by then, and with it the head of a stream."""
    tells_when: bool = False
    """An error tells when to come back."""
    limit_s: float = 0.0
    """What each failing call lasts, because only a timeout ends it."""
    asked_s: float = 0.0
    """What the upstream asks to be left alone for: a repetition comes no earlier."""

    def steps(self, asked: Asked) -> Iterable[Step]:
        return healthy(asked) if self.mends and asked.count > 0 else self.play(asked)

    def expected(self, client: DialectName, upstream: DialectName, *, safe: bool) -> fates.Expected:
        """What a cell must show, by the causes' table."""
        cause = self.where_bytes_pass if self.where_bytes_pass is not None and client == upstream else self.cause
        return fates.expected(
            cause,
            client=client,
            safe=safe,
            status=self.statuses.get(upstream, self.status),
            mends=self.mends,
            alone=self.alone,
            before_next=self.before_next,
            left_alone=self.left_alone,
            late=self.late,
        )


def status_play(status: int, headers: str = "", delay: str = "") -> Play:
    """The API's own error document."""

    def play(asked: Asked) -> list[Step]:
        document, told = saying.refusal(asked.dialect, status, delay=delay)
        return [answer(document, status=status, headers=told + headers)]

    return play


def page_play(status: int) -> Play:
    """A page of the proxy before the provider."""
    page = b"<html><head><title>Sorry</title></head><body><center>nginx</center></body></html>"
    return lambda _: [answer(page, status=status, content_type="text/html")]


def head_then(*steps: Step) -> Play:
    """A good head, then these."""

    def play(asked: Asked) -> list[Step]:
        whole = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        return [stream_head(asked.dialect) if asked.stream else whole, *steps]

    return play


def body_play(body: bytes, content_type: str = "", headers: str = "") -> Play:
    """A whole HTTP answer with status 200 that holds just this, under the content type that was to be expected."""

    def play(asked: Asked) -> list[Step]:
        kind = content_type or saying.content_type(asked.dialect, stream=asked.stream)
        return [answer(body, content_type=kind, headers=headers)]

    return play


def just(*steps: Step) -> Play:
    return lambda _: list(steps)
