"""A stream that may cost more than was reserved for it: more is reserved as it goes on, or it ends in an error.

Only where money is limited and nobody said how long the answer may be; all others are not touched.
One rule: what flows is only counted in bytes; how many tokens that is, is asked when it could be too many, which is seldom.
"""

from typing import TYPE_CHECKING, Final

from gatewright.dialects.protocol import Dialect
from gatewright.errors import Problem
from gatewright.exchange import Exchange, Segment
from gatewright.ir.events import StreamError
from gatewright.pipeline.passed import PassSource
from gatewright.pipeline.sources import BaseSource, WrappedSource
from gatewright.pipeline.translated import TranslatedSource
from gatewright.transport.strand import back_to, in_a_task

if TYPE_CHECKING:
    from gatewright.pipeline.held import Holding

STEP: Final = 4096
"""Tokens that are reserved at once."""
AHEAD: Final = 256
"""… when no more than so many are left."""
LEAST_BYTES: Final = 2
"""Of a token on the wire, at the least."""


class MeteredSource(WrappedSource):
    """Around the source that answers."""

    __slots__ = ("_dialect", "_exchange", "_holding", "_look_at", "_seen")

    def __init__(self, inner: BaseSource, holding: "Holding", exchange: Exchange, dialect: Dialect) -> None:
        super().__init__(inner)
        self._holding = holding
        self._exchange = exchange
        self._dialect = dialect
        self._seen = 0
        self._look_at = max(1, holding.writes - AHEAD) * LEAST_BYTES

    async def _pull(self) -> Segment | None:
        inner = self._inner
        segment = await inner.next()
        if segment is None:
            self._over()
            return None
        self.content = inner.content
        self._seen += len(segment.wire)
        if inner.ended:
            self._over()
        elif self._seen > self._look_at and not await self._goes_on():
            return self._stopped(segment)
        return segment

    async def _goes_on(self) -> bool:
        """Whether what comes next is paid for."""
        holding = self._holding
        spoken = self._inner.spoken()
        if spoken + AHEAD > holding.writes:
            if holding.ways.on_outgrown == "stop":
                return spoken <= holding.writes and self._later(holding.writes - spoken)
            micros = holding.most(self._exchange, STEP)
            if micros is not None and micros > 0:
                got = holding.extend(micros, STEP)
                if got is None:
                    left = await in_a_task()
                    got = await holding.ask_more(micros, STEP)
                    await back_to(left)
                if not got:
                    return spoken <= holding.writes and self._later(holding.writes - spoken)
            else:  # nobody knows what it costs: so it was let through
                holding.writes += STEP
        return self._later(holding.writes - spoken - AHEAD)

    def _later(self, tokens: int) -> bool:
        self._look_at = self._seen + max(16, tokens) * LEAST_BYTES
        return True

    def _stopped(self, segment: Segment) -> Segment:
        inner, exchange = self._inner, self._exchange
        problem = Problem(
            kind="rate_limit",
            code="budget_exceeded",
            message="The answer has grown beyond what its budget has left; it ends here.",
        )
        no_words = type(inner) is PassSource and not inner.whole_events  # a JSON array: it ends as one that was cut
        if no_words:
            words = b""
        elif isinstance(inner, TranslatedSource):
            words = inner.renderer.render((StreamError(problem),))
        else:
            words = self._dialect.render_stream_error(problem, exchange.request_id)
        inner.abort()
        self.problem = problem
        self.broken = no_words or inner.broken
        self._over()
        return Segment(segment.wire + words)
