"""Who is asked to go on with a stream that broke, with what request, and when nobody is.

One rule: a resume is an attempt: queues, circuits, retries and the deadline hold for it, it counts, and it is recorded.
"""

import copy
import logging
from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from gatewright.errors import GatewrightError, Problem
from gatewright.exchange import Exchange, Next, Reply
from gatewright.ir.blocks import DialectName
from gatewright.ir.continuing import Continued, continued, why_not
from gatewright.ir.request import Request
from gatewright.ir.response import Usage
from gatewright.pipeline.continuation import Live, Spliced, takes_prefill
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.further import may_ask
from gatewright.pipeline.policy import Policy
from gatewright.pipeline.route import Route
from gatewright.pipeline.translate import Dialects
from gatewright.routing.retry import Cause, cause_of

MOST_RESUMES: Final = 2
"""Of one stream: what breaks a third time is better told."""
RESUMABLE: Final[frozenset[Cause]] = frozenset(("cut", "broken", "stalled", "silent", "overloaded"))
"""What the upstream did, and may not do again. Filters, limits and whatever the client must mend end the stream."""
_COMMENTED: Final[frozenset[DialectName]] = frozenset(("openai_chat", "openai_responses", "anthropic"))
"""Google's SDKs take a comment for JSON, and binary frames have none."""

log = logging.getLogger("gatewright")
replace = msgspec.structs.replace


class Resumption:
    """Who is asked to go on with one exchange's stream, and with what."""

    def __init__(self, dialects: Dialects, exchange: Exchange, route: Route, following: Next, clock: Callable[[], float]) -> None:
        """`following`: the attempts. `clock`: monotonic seconds."""
        self.client = dialects[exchange.dialect]
        self.exchange = exchange
        self._asked_as = copy.copy(exchange)
        """As it is beneath: a stage above may have another dialect for it (`invoke.py`)."""
        self.served = exchange.served
        """`provider/model` that answers now."""
        self.takes_trailers = False
        """The client reads headers behind a body."""
        self.times = 0
        """How often the stream was resumed."""
        self.usage: Usage | None = None
        """Of an answer that went on whole and not as a stream."""
        self._dialects = dialects
        self._route = route
        self._following = following
        self._deadline = exchange.started + route.policy.deadline_s
        self._clock = clock

    @property
    def request(self) -> Request:
        """What the client asked for. Raises Refused, though not after it was answered."""
        return self._asked_as.understood(self._dialects)

    def forbidden(self, problem: Problem, live: Live) -> str:
        """Why this stream cannot be gone on with; empty: it can."""
        if cause_of(problem, "streaming") not in RESUMABLE:
            return "this is not mended by another try"
        if self.times >= MOST_RESUMES:
            return f"it was resumed {self.times} times"
        if self._tries_left() < 1:
            return f"{self._made()} attempts were made"
        if self._clock() >= self._deadline:
            return "the time is up"
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
        if left < 1 or self._clock() >= self._deadline:
            return None
        rule = replace(rule, tries_all=left, tries_each=rule.tries_each if last else 1)
        policy: Policy = replace(self._route.policy, on_cut="fail", hedge=None, cache=None, retry=rule)
        if exchange.held is not None and not await may_ask(exchange, onward=True):
            return None
        onwards = copy.copy(self._asked_as)
        onwards.held = exchange.held  # another's by now, where others wait for this answer too
        onwards.route = replace(self._route, policy=policy)
        onwards.plan = (candidate,)  # one at a time: for a next one the attempts begin anew with what the client sent
        onwards.request = onwards.neutral = onward.request
        made = len(exchange.attempts)  # and whoever is asked now adds to them: it is one request, written down once
        onwards.over = lambda _renderer: Spliced(live, onward, self.request, usage)
        try:
            reply = await self._following(onwards)
        except GatewrightError:
            return None
        except Exception:  # a stream must end in words, whoever failed
            log.exception("request %s: it could not be gone on with, on a bug of ours", exchange.request_id)
            return None
        finally:
            for record in exchange.attempts[made:]:
                record.resumed = True
        if reply.problem is None:
            self.served, self.usage = onwards.served, onwards.usage
        return reply

    def mark(self) -> bytes:
        """Tell who goes on: a comment for a person who reads the wire, a trailer for a client that takes one."""
        shown = "".join(c if " " <= c <= "~" else "?" for c in self.served[:200]).encode("ascii")
        if self.takes_trailers:
            self.exchange.trailers = b"x-gatewright-resumed: %b\r\n" % shown
        if self.exchange.operation != "generate" or self.client.name not in _COMMENTED:
            return b""
        return b": gatewright resumed on %b\n\n" % shown
