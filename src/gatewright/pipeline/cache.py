"""Cache: an answer that is known is given again; one that is being given is given to all who ask for it meanwhile.

    route ▸ state ▸ cache ▸ attempts

Beneath `route`, whose policy says for which models, and beneath `state`: a conversation that is continued by an id is all there
then, and an answer given again is kept for its client like any other.
One rule: nobody gets what another tenant asked for, and whatever fails here costs a call and no answer.
"""

import copy
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import msgspec

from gatewright.errors import GatewrightError, Problem, Refused, UpstreamFailed
from gatewright.exchange import CacheUse, Exchange, Next, Reply
from gatewright.ir.packing import KeptAnswer, pack, unpack
from gatewright.ir.request import Request
from gatewright.pipeline.asking import Begins
from gatewright.pipeline.attempt import answered, error_reply, stream_type
from gatewright.pipeline.cacheable import Keys, Wishes, why_not_asked, why_not_kept, wishes
from gatewright.pipeline.flight import FREE, Flight, Listener, gateway_failed
from gatewright.pipeline.framed import named
from gatewright.pipeline.listening import JoinedSource, LedSource, until_ended, until_known
from gatewright.pipeline.nearest import Questions
from gatewright.pipeline.policy import CacheRule
from gatewright.pipeline.replay_answer import answer_id, replayed, request_losses, target_line
from gatewright.pipeline.replayed import Marker
from gatewright.pipeline.route import Route
from gatewright.pipeline.seals import sealed_rows
from gatewright.pipeline.semantic import Meanings, question_of
from gatewright.pipeline.sources import BaseSource
from gatewright.pipeline.translate import Dialects, loss_lines
from gatewright.stores.answers import Answers
from gatewright.stores.kept import Kept

log = logging.getLogger("gatewright")

_LINES: Final[Mapping[CacheUse, bytes]] = {
    use: f"x-gatewright-cache: {use}\r\n".encode("ascii") for use in ("hit", "miss", "coalesced", "bypass")
}


class _Sought(msgspec.Struct, frozen=True):
    """What is looked for."""

    key: bytes
    request: Request
    rule: CacheRule
    wishes: Wishes
    route: str


class Cache:
    """Sets `exchange.cache`; for what it answers itself `served`, `losses` and `usage`, too."""

    def __init__(
        self,
        dialects: Dialects,
        answers: Answers,
        clock: Callable[[], float],
        *,
        hosts: Mapping[str, str],
        keep_seals: Callable[[Exchange, list[Kept]], None],
        meanings: Meanings | None = None,
        recorder: Begins | None = None,
        keeps_responses: bool = True,
        max_answer_bytes: int = 256 << 20,
    ) -> None:
        """`clock`: Unix seconds. `hosts`: see `Keys`. `keep_seals`: what a client may drop is put by, beside the answer's way.
        `meanings`: for routes that compare questions. `recorder`: who writes down whose a call is.
        """
        self.dialects = dialects
        self.answers = answers
        self.clock = clock
        self.keys = Keys(hosts)
        self.keep_seals = keep_seals
        self.recorder = recorder
        self.keeps_responses = keeps_responses
        self.max_answer_bytes = max_answer_bytes
        self.meanings = meanings
        self.questions = Questions(time.monotonic)
        self.flights: dict[bytes, Flight] = {}

    def __call__(self, exchange: Exchange, following: Next) -> Awaitable[Reply]:
        """Not `async`: a route that keeps nothing is not to pay for a coroutine."""
        route = exchange.route
        if not isinstance(route, Route) or (rule := route.policy.cache) is None:
            return following(exchange)
        return self._cached(exchange, following, route, rule)

    async def _cached(self, exchange: Exchange, following: Next, route: Route, rule: CacheRule) -> Reply:
        asked = wishes(exchange.call.headers.get("cache-control"))
        request = self._understood(exchange) if asked.use else None
        if request is None or why_not_asked(request, keeps_responses=self.keeps_responses):
            return await self._bypassed(exchange, following)
        sought = _Sought(self.keys.key(exchange, request, route.name), request, rule, asked, route.name)
        if not asked.fresh:
            kept = self._good(self.answers.near(sought.key), sought)
            if kept is not None:
                return self._hit(kept, exchange, request)
        flight = None if asked.fresh else self.flights.get(sought.key)
        if flight is None:
            return await self._led(exchange, following, sought)
        listener = flight.join(exchange)
        await until_known(listener)
        if flight.found is not None and self._good(flight.found, sought) is None:  # good enough for the leader, not for this one
            listener.leave()
            return await self._led(exchange, following, sought)
        return await self._joined(listener, exchange, request, following)

    async def _bypassed(self, exchange: Exchange, following: Next) -> Reply:
        exchange.cache = "bypass"
        exchange.usage = None
        reply = await following(exchange)
        reply.headers += _LINES["bypass"]
        return reply

    def _understood(self, exchange: Exchange) -> Request | None:
        """None: it is not for us to refuse what an upstream may take."""
        try:
            return exchange.understood(self.dialects)
        except Refused:
            return None

    # -- what is kept --------------------------------------------------------------------------------------------------------

    def _good(self, kept: bytes | KeptAnswer | None, sought: "_Sought") -> KeptAnswer | None:
        """The answer, if it is young enough for the route and for the client."""
        if isinstance(kept, bytes):
            kept = unpack(kept)
        if kept is None:
            return None
        age, oldest = self.clock() - kept.made, sought.wishes.max_age_s
        return kept if age < sought.rule.ttl_s and (oldest is None or age <= oldest) else None

    async def _look(self, sought: "_Sought", flight: Flight) -> KeptAnswer | None:
        """Where it takes a while: in the shared store, and among answers to questions that are nearly the same."""
        if sought.wishes.fresh:
            return None
        kept = self._good(await self.answers.far(sought.key, sought.rule.ttl_s), sought)
        if kept is not None or self.meanings is None or (rule := sought.rule.semantic) is None:
            return kept
        question = question_of(sought.request)
        vector = None if question is None else await self.meanings.direction_of(question.text, flight.shadow, rule)
        if question is None or vector is None:
            return None
        kind = self.keys.key(flight.shadow, question.kind, sought.route)
        flight.question = kind, vector
        nearest = self.questions.nearest(kind, vector, rule.threshold)
        if nearest is None:
            return None
        key, flight.similarity = nearest
        return self._good(self.answers.near(key) or await self.answers.far(key, sought.rule.ttl_s), sought)

    async def _keep(self, flight: Flight, sought: "_Sought") -> None:
        response, shadow = flight.response, flight.shadow
        assert response is not None
        assert flight.reply is not None
        if flight.reply.status != 200 or why_not_kept(response) or any(attempt.resumed for attempt in shadow.attempts):
            return
        answer = KeptAnswer(
            response=response, target=shadow.served, made=self.clock(), losses=shadow.losses, dialect=shadow.dialect
        )
        if (body := pack(answer)) is not None:
            self.answers.hold(sought.key, body, sought.rule.ttl_s)
            if flight.question is not None:
                self.questions.add(*flight.question, sought.key, sought.rule.ttl_s)
            await self.answers.share(sought.key, body, sought.rule.ttl_s)

    def _hit(self, kept: KeptAnswer, exchange: Exchange, request: Request, similarity: float = 1.0) -> Reply:
        """`similarity`: of the question that it answered. Raises Refused where the route refuses what this client would lose."""
        exchange.cache = "hit"
        exchange.served = kept.target
        exchange.usage = FREE
        self.keep_seals(exchange, sealed_rows(kept.response.blocks))
        lines = _LINES["hit"] + b"age: %d\r\n" % max(0, int(self.clock() - kept.made))
        if similarity < 1:
            lines += b"x-gatewright-similarity: %.4f\r\n" % similarity
        return replayed(kept, exchange, request, self.dialects, lines)

    # -- one call for all ----------------------------------------------------------------------------------------------------

    def _flight(self, exchange: Exchange, sought: "_Sought") -> Flight:
        shadow = copy.copy(exchange)
        shadow.attempts = []
        flight = Flight(
            shadow,
            self.dialects,
            max_answer_bytes=self.max_answer_bytes,
            landed=partial(self._keep, sought=sought),
            over=partial(self._forget, sought.key),
            inherits=self._inherited,
        )
        self.flights.setdefault(sought.key, flight)
        return flight

    def _inherited(self, heir: Exchange, shadow: Exchange) -> None:
        """Written down before the one who left is settled: the call, and what it may yet cost, is somebody's at every moment."""
        shadow.held = heir.held
        if not shadow.attempts:  # what will be called is written down as the heir's: the one who left is settled
            shadow.request_id, shadow.started = heir.request_id, heir.started
            shadow.principal, shadow.reserved = heir.principal, heir.reserved
            return
        if self.recorder is None:
            return
        attempt = shadow.attempts[-1]
        try:
            self.recorder.begun(heir, attempt.target, attempt.dialect)
        except Refused:  # the journal is full, and the call goes on in any case
            log.warning("request %s: it could not be written down that it pays for the call of another", heir.request_id)

    def _forget(self, key: bytes, flight: Flight) -> None:
        if self.flights.get(key) is flight:
            del self.flights[key]

    async def _led(self, exchange: Exchange, following: Next, sought: "_Sought") -> Reply:
        """A call of one's own, that others may join; its own reply, bytes and all."""
        flight = self._flight(exchange, sought)
        listener = flight.join(exchange)
        flight.begin(partial(self._look, sought, flight), following)
        await until_known(listener)
        if flight.found is not None:
            listener.leave()
            return self._hit(flight.found, exchange, sought.request, flight.similarity)
        exchange.cache = "miss"
        exchange.served, exchange.losses = flight.shadow.served, flight.shadow.losses
        reply = flight.reply
        if reply is None:
            listener.leave()
            raise flight.error or UpstreamFailed(gateway_failed(exchange.request_id))
        reply.headers += _LINES["miss"]
        if isinstance(reply.source, BaseSource):
            return Reply(reply.status, reply.headers, source=LedSource(listener, reply.source))
        listener.leave()
        return reply

    async def _joined(self, listener: Listener, exchange: Exchange, request: Request, following: Next) -> Reply:
        """The same answer, for who asked the same meanwhile."""
        flight, shadow = listener.flight, listener.flight.shadow
        exchange.cache = "coalesced"
        reply = flight.reply
        if reply is not None and reply.problem is None:
            if reply.source is not None and exchange.stream:
                return self._streamed(listener, exchange, request)
            await until_ended(listener)
        listener.leave()
        if flight.found is not None:
            return self._hit(flight.found, exchange, request, flight.similarity)
        if flight.response is not None:
            kept = KeptAnswer(
                response=flight.response,
                target=shadow.served,
                made=self.clock(),
                losses=shadow.losses,
                dialect=shadow.dialect,
            )
            self.keep_seals(exchange, sealed_rows(kept.response.blocks))
            return replayed(kept, exchange, request, self.dialects, _LINES["coalesced"])
        problem = _problem(flight)
        if problem is None:  # bytes that went to the leader, and that we do not understand
            return await self._bypassed(exchange, following)
        reply = error_reply(self.dialects[exchange.dialect], problem, exchange.request_id)
        reply.headers += _LINES["coalesced"]
        return reply

    def _streamed(self, listener: Listener, exchange: Exchange, request: Request) -> Reply:
        client = self.dialects[exchange.dialect]
        flight, shadow = listener.flight, listener.flight.shadow
        try:
            exchange.losses = request_losses(shadow.losses, shadow.dialect, shadow.served, exchange, self.dialects)
        except Refused:
            listener.leave()
            raise
        request = answered(request, exchange)
        origin = flight.origin
        source = JoinedSource(
            listener,
            client.stream_renderer(request),
            own_id=answer_id(exchange),
            marker=None if origin == client.name else Marker(client.name, origin, shadow.served.partition("/")[0]),
            sse=client.framing == "sse",
        )
        source.when_ended(lambda: self.keep_seals(exchange, source.seals.rows()))
        lines = target_line(shadow.served) + _LINES["coalesced"] + loss_lines(exchange.losses)
        head = stream_type(client, request.client.get("alt")) + lines
        return Reply(200, named(head, client, exchange.request_id), source=source)


def _problem(flight: Flight) -> Problem | None:
    """Why a flight has no answer. None: it has one, that only its leader's client understands."""
    if flight.problem is not None:
        return flight.problem
    if flight.reply is not None and flight.error is None:
        return flight.reply.problem
    error = flight.error
    return error.problem if isinstance(error, GatewrightError) else gateway_failed(flight.shadow.request_id)
