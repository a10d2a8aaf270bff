"""Resume: a stream that breaks after content was out goes on from another target, where its route says so.

The stage right above the attempts, which it asks again with a request that goes on from what is out. The client reads one
answer; that it was resumed is told in the attempts, and by a comment where the client's programs read past one.
One rule: where the two halves would not make one true answer, the stream fails as it would have, and the attempt says why.
"""

import copy
import logging
from collections.abc import Awaitable, Sequence
from typing import Final, Literal

import msgspec

from gatewright.dialects.protocol import StreamParser
from gatewright.errors import GatewrightError, Problem
from gatewright.exchange import Exchange, Next, Reply, Segment
from gatewright.ir.blocks import DialectName
from gatewright.ir.continuing import Continued, continued, why_not
from gatewright.ir.events import StreamError, StreamEvent
from gatewright.ir.request import Asked, Request
from gatewright.ir.response import Usage
from gatewright.ir.splicing import added
from gatewright.pipeline.continuation import Live, Spliced, takes_prefill
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.framed import FrameSource
from gatewright.pipeline.policy import Policy
from gatewright.pipeline.route import Route
from gatewright.pipeline.sources import BaseSource, PassSource, TranslatedSource
from gatewright.pipeline.translate import Dialects
from gatewright.routing.retry import Cause, cause_of

MOST_RESUMES: Final = 2
"""Of one stream: what breaks a third time is better told."""
MOST_KEPT_BYTES: Final = 8 << 20
"""Of a passing stream, to be read if it breaks. One that is longer is not resumed."""
RESUMABLE: Final[frozenset[Cause]] = frozenset(("cut", "broken", "stalled", "silent", "overloaded"))
"""What the upstream did, and may not do again. Filters, limits and whatever the client must mend end the stream."""
_COMMENTED: Final[frozenset[DialectName]] = frozenset(("openai_chat", "openai_responses", "anthropic"))
"""Google's SDKs take a comment for JSON, and binary frames have none."""

_ENDS: Final = (b"\n\n", b"\n\r\n", b"\r\r")
"""How whole events end."""

log = logging.getLogger("gatewright")
replace = msgspec.structs.replace


class Resume:
    """The stage. A route that fails on a cut costs it one look."""

    def __init__(self, dialects: Dialects) -> None:
        self.dialects = dialects

    def __call__(self, exchange: Exchange, following: Next) -> Awaitable[Reply]:
        route = exchange.route
        if isinstance(route, Route) and route.policy.on_cut == "resume" and exchange.stream:
            return self._resumable(exchange, route, following)
        return following(exchange)

    async def _resumable(self, exchange: Exchange, route: Route, following: Next) -> Reply:
        client = self.dialects[exchange.dialect]
        exchange.over = lambda renderer: Live(renderer, client)
        reply = await following(exchange)
        source = reply.source
        live = source.renderer if isinstance(source, TranslatedSource) else None
        whole = isinstance(source, FrameSource) or (isinstance(source, PassSource) and source.whole_events)
        if isinstance(source, BaseSource) and (whole or isinstance(live, Live)):
            resumption = Resumption(self.dialects, exchange, route, following)
            reply.source = ResumingSource(source, resumption, live if isinstance(live, Live) else None)
        return reply


class Resumption:
    """Who is asked to go on with one exchange's stream, and with what."""

    def __init__(self, dialects: Dialects, exchange: Exchange, route: Route, following: Next) -> None:
        self.client = dialects[exchange.dialect]
        self.exchange = exchange
        self._asked_as = copy.copy(exchange)
        """As it is beneath: a stage above may have another dialect for it (`invoke.py`)."""
        self.served = exchange.served
        """`provider/model` that answers now."""
        self.times = 0
        """How often the stream was resumed."""
        self.usage: Usage | None = None
        """Of an answer that went on whole and not as a stream."""
        self._dialects = dialects
        self._route = route
        self._following = following

    @property
    def request(self) -> Request:
        """What the client asked for. Raises Refused, though not after it was answered."""
        return self._asked_as.understood(self._dialects)

    def parser(self) -> StreamParser:
        """For the bytes that passed."""
        issuer, _, model = self.served.partition("/")
        return self.client.stream_parser(Asked(issuer=issuer, model=model))

    def forbidden(self, problem: Problem, live: Live) -> str:
        """Why this stream cannot be gone on with; empty: it can."""
        if cause_of(problem, "streaming") not in RESUMABLE:
            return "this is not mended by another try"
        if self.times >= MOST_RESUMES:
            return f"it was resumed {self.times} times"
        if self._tries_left() < 1:
            return f"{self._made()} attempts were made"
        return why_not(self.request, live.delivered)

    def note(self, why: str) -> None:
        """Have the last attempt that was made say why nobody went on."""
        for record in reversed(self.exchange.attempts):
            if record.sent:
                record.message = f"{record.message}; not resumed: {why}"
                return

    async def go_on(self, live: Live, usage: Usage | None) -> Reply | None:
        """The answer that goes on, rendered into the first; None: nobody gives one."""
        self.times += 1
        candidates = self._candidates()
        delivered = live.delivered
        for candidate in candidates:
            ways: tuple[Literal["prefill", "turn"], ...] = ("turn",)
            if takes_prefill(candidate, self.client.name, self.request):
                ways = ("prefill", "turn")
            for way in ways:
                onward = continued(self.request, delivered, way)
                reply = await self._asked(live, onward, usage, candidate, last=candidate is candidates[-1])
                if reply is None or reply.problem is None:
                    break
                if onward.way != "prefill" or reply.problem.kind not in ("invalid_request", "unprocessable"):
                    break  # else it does not take a begun turn after all
            if reply is not None and reply.problem is None:
                return reply
        self.note("no target took it over")
        return None

    def _candidates(self) -> Sequence[Candidate]:
        """Whoever comes after the target that broke, then whoever came before it; itself, where it is the only one."""
        plan = [candidate for candidate in self.exchange.plan if isinstance(candidate, Candidate)]
        place = next((i for i, candidate in enumerate(plan) if candidate.name == self.served), -1)
        others = [c for c in (*plan[place + 1 :], *plan[: max(place, 0)]) if c.name != self.served]
        return others or plan

    def _made(self) -> int:
        return sum(1 for record in self.exchange.attempts if record.sent)

    def _tries_left(self) -> int:
        return self._route.policy.retry.tries_all - self._made()

    async def _asked(
        self, live: Live, onward: Continued, usage: Usage | None, candidate: Candidate, *, last: bool
    ) -> Reply | None:
        """What one target answers, by all the rules that hold for attempts. None: it cannot be asked, or not any more."""
        exchange, rule = self.exchange, self._route.policy.retry
        left = self._tries_left()
        if left < 1:
            return None
        rule = replace(rule, tries_all=left, tries_each=rule.tries_each if last else 1)
        policy: Policy = replace(self._route.policy, on_cut="fail", hedge=None, cache=None, retry=rule)
        onwards = copy.copy(self._asked_as)
        onwards.route = replace(self._route, policy=policy)
        onwards.plan = (candidate,)
        onwards.request = onwards.neutral = onward.request
        onwards.attempts = []
        onwards.over = lambda _renderer: Spliced(live, onward, self.request, usage)
        try:
            reply = await self._following(onwards)
        except GatewrightError:
            return None
        except Exception:  # a stream must end in words, whoever failed
            log.exception("request %s: it could not be gone on with, on a bug of ours", exchange.request_id)
            return None
        finally:
            for record in onwards.attempts:
                record.resumed = True
            exchange.attempts += onwards.attempts
        if reply.problem is None:
            self.served, self.usage = onwards.served, onwards.usage
        return reply

    def mark(self) -> bytes:
        """What tells a person reading the wire that another goes on here."""
        if self.exchange.operation != "generate" or self.client.name not in _COMMENTED:
            return b""
        shown = "".join(c if " " <= c <= "~" else "?" for c in self.served[:200])
        return f": gatewright resumed on {shown}\n\n".encode("ascii")


class ResumingSource(BaseSource):
    """A stream that may be gone on with. Until it breaks, the segments of the first go by as they are."""

    __slots__ = ("_bytes", "_inner", "_live", "_passed", "_passing", "_pending", "_resumption", "_spent")

    def __init__(self, inner: BaseSource, resumption: Resumption, live: Live | None) -> None:
        """`live`: the renderer of the stream. None: its bytes pass."""
        super().__init__(inner._incoming)  # noqa: SLF001 - the same answer, seen through
        self._inner = inner
        self._resumption = resumption
        self._live = live
        self._passing = live is None
        """Nobody is told events of it: they would begin in the middle."""
        self._passed: list[bytes] = []
        """The bytes that have passed, to be read if the stream breaks."""
        self._bytes = 0
        self._pending: Problem | None = None
        """What broke the stream, when all that came before it is out and somebody is to go on."""
        self._spent: Usage | None = None
        """The tokens of the streams before this one."""
        self.content = inner.content

    async def _pull(self) -> Segment | None:
        while not self.ended:
            if self._pending is not None:
                segment = await self._resume(self._pending)
            else:
                segment = await self._inner.next()
                problem = self._inner.problem
                if problem is not None:
                    segment = self._broke(b"" if segment is None else segment.wire, problem)
                else:
                    segment = None if segment is None else self._seen(segment)
                    if segment is None or self._inner.ended:
                        self._finish(None)
            if segment is not None:
                return segment
        return None

    def _seen(self, segment: Segment) -> Segment:
        if self._live is not None:
            return self._told(segment.wire)
        self._bytes += len(segment.wire)
        if self._bytes <= MOST_KEPT_BYTES:
            self._passed.append(segment.wire)
        return segment

    def _told(self, wire: bytes, *more: StreamEvent) -> Segment:
        """A segment of what the renderer was told since the last."""
        told = self._live.taken() if self._live is not None else []
        return Segment(wire, None if self._passing else [*told, *more])

    def _broke(self, wire: bytes, problem: Problem) -> Segment | None:
        """The stream has failed: gives what goes out yet. `wire`: what it said last; of bytes that pass, its error event too."""
        self._inner.abort()
        live, said = (self._live, wire) if self._live is not None else self._caught_up(wire)
        why = "what is out cannot be read" if live is None else self._resumption.forbidden(problem, live)
        if live is not None and not why:
            self._live, self._pending = live, problem
            self._passed.clear()
            return self._told(said) if said else None
        self._resumption.note(why)
        if self._live is None:
            self._finish(problem)
            return Segment(wire) if wire else None
        return self._failed(problem, wire)

    def _failed(self, problem: Problem, wire: bytes = b"") -> Segment:
        assert self._live is not None
        self._finish(problem)
        return self._told(wire + self._live.fail(problem), StreamError(problem))

    def _caught_up(self, last: bytes) -> tuple[Live | None, bytes]:
        """The renderer as if it had told all that passed, and what it tells of the last bytes. None: they cannot be read."""
        if self._bytes > MOST_KEPT_BYTES or not self._whole():
            return None, b""
        resumption = self._resumption
        try:
            live = Live(resumption.client.stream_renderer(resumption.request), resumption.client)
            parser = resumption.parser()
            before = parser.feed(b"".join(self._passed))
            if any(isinstance(event, StreamError) for event in before):
                return None, b""
            live.render(before)
            return live, live.render(parser.feed(last))
        except GatewrightError:
            return None, b""
        except Exception:
            log.exception("request %s: what passed cannot be read, on a bug of ours", resumption.exchange.request_id)
            return None, b""

    def _whole(self) -> bool:
        """Whether the client has whole events: half of one that was too large to be held cannot be taken back."""
        return self._resumption.client.framing != "sse" or not self._passed or self._passed[-1].endswith(_ENDS)

    async def _resume(self, problem: Problem) -> Segment | None:
        live = self._live
        assert live is not None
        resumption = self._resumption
        reply = await resumption.go_on(live, self.usage_so_far())
        self._pending = None
        if reply is None:
            return self._failed(problem)
        self._spent = self.usage_so_far()
        mark = resumption.mark()
        if isinstance(reply.source, BaseSource):
            self._inner = reply.source
            return Segment(mark, None if self._passing else ()) if mark else None
        self._finish(None, added(self._spent, resumption.usage))
        return self._told(mark + reply.body)

    def _finish(self, problem: Problem | None, usage: Usage | None = None) -> None:
        """`usage`: where it is not what the streams told."""
        self.usage = usage or self.usage_so_far()
        self.problem = problem
        self.broken = self._inner.broken
        self._end()

    def usage_so_far(self) -> Usage | None:
        """The tokens of all streams; of one alone as it told them."""
        usage = self._inner.usage_so_far()
        return usage if self._spent is None else added(self._spent, usage)

    def keepalive(self) -> bytes:
        if self.ended:
            return b""
        return self._inner.keepalive() if self._pending is None or self._live is None else self._live.keepalive()

    def abort(self) -> None:
        self._inner.abort()
        if not self.ended:
            self.usage = self.usage_so_far()
            self.left = True
            self._end()
