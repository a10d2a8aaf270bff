"""Resume: a stream that breaks after content was out goes on from another target, where its route says so.

The stage right above the attempts, which it asks again (`resumption.py`) with a request that goes on from what is out. The client
reads one answer (`resuming.py`); that it was resumed is told in the attempts, and by a comment where the client's programs read
past one.
One rule: where the two halves would not make one true answer, the stream fails as it would have, and the attempt says why.
"""

from collections.abc import Awaitable, Callable

from gatewright.exchange import Exchange, Next, Reply
from gatewright.pipeline.continuation import Live
from gatewright.pipeline.framed import FrameSource
from gatewright.pipeline.passed import PassSource
from gatewright.pipeline.resuming import ResumingSource
from gatewright.pipeline.resumption import Resumption
from gatewright.pipeline.route import Route
from gatewright.pipeline.sources import BaseSource
from gatewright.pipeline.translate import Dialects
from gatewright.pipeline.translated import TranslatedSource


class Resume:
    """The stage. A route that fails on a cut costs it one look."""

    def __init__(self, dialects: Dialects, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds, as in `exchange.started`."""
        self.dialects = dialects
        self.clock = clock

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
            resumption = Resumption(self.dialects, exchange, route, following, self.clock)
            if "trailers" in (exchange.call.headers.get("te") or ""):
                resumption.takes_trailers = True
                reply.headers += b"trailer: x-gatewright-resumed\r\n"
            reply.source = ResumingSource(source, resumption, live if isinstance(live, Live) else None)
        return reply
