"""Settle: the outermost stage. Every exchange ends in exactly one reply and exactly one settlement, whatever happens.

Answers that leave together are settled together, before any of them leaves (docs/adr/0041).
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from gatewright.errors import GatewrightError, Problem
from gatewright.exchange import Exchange, Next, Reply
from gatewright.pipeline.attempt import error_reply
from gatewright.pipeline.show_cost import ShowCost
from gatewright.pipeline.sources import BaseSource
from gatewright.pipeline.translate import Dialects
from gatewright.transport.turn import before_leaving

log = logging.getLogger("gatewright")


class Recorder(Protocol):
    def settle(self, exchange: Exchange, status: int, problem: Problem | None) -> None:
        """Called once per exchange, at the end of its answer and before that has left. Must not fail or block."""
        ...


class Settle:
    """Turns exceptions into replies in the client's dialect and tells the recorder how it ended."""

    def __init__(self, dialects: Dialects, recorder: Recorder, costs: ShowCost | None = None) -> None:
        """`costs`: tells those who may see it what their answers cost."""
        self.dialects = dialects
        self.recorder = recorder
        self.costs = costs
        self._late: list[tuple[Exchange, int, Problem | None]] = []
        """Exchanges that have ended, and are to be settled before their answers leave."""

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        try:
            reply = await following(exchange)
        except GatewrightError as error:
            reply = error_reply(self.dialects[exchange.dialect], error.problem, exchange.request_id)
        except asyncio.CancelledError:
            exchange.left = True
            self._settle(exchange, 499, None)
            raise
        except Exception:
            log.exception("request %s failed on a bug of ours", exchange.request_id)
            problem = Problem(
                kind="internal", message=f"The gateway failed on this request ({exchange.request_id}); its log says why."
            )
            reply = error_reply(self.dialects[exchange.dialect], problem, exchange.request_id)
        held = exchange.held
        if held is not None:
            reply = held.told(exchange, reply)
        principal = exchange.principal
        if principal is not None and principal.show_cost and self.costs is not None:
            self._show_cost(self.costs, exchange, reply)
        source = reply.source
        if source is None:
            self._settle(exchange, reply.status, reply.problem)
        else:
            assert isinstance(source, BaseSource)
            source.when_ended(self._at_end(exchange, reply, source))
        return reply

    def _at_end(self, exchange: Exchange, reply: Reply, source: BaseSource) -> Callable[[], None]:
        def end() -> None:
            exchange.usage, exchange.left = source.usage, source.left
            principal = exchange.principal
            if principal is not None and principal.show_cost and self.costs is not None:
                self._show_cost(self.costs, exchange, None)
            self._settle(exchange, reply.status, source.problem)

        return end

    def _show_cost(self, costs: ShowCost, exchange: Exchange, reply: Reply | None) -> None:
        """In the head of a reply; None: behind the body."""
        try:
            if reply is None:
                costs.tell_after(exchange)
            else:
                costs.tell(exchange, reply)
        except Exception:  # what is only told must not keep a request from being answered and settled
            log.exception("request %s: what it cost could not be told", exchange.request_id)

    def _settle(self, exchange: Exchange, status: int, problem: Problem | None) -> None:
        """First what it cost is known, then it is written down, then what was held for it is let go."""
        held = exchange.held
        if held is not None:
            held.reckon(exchange)
        attempts, late = exchange.attempts, self._late
        if (len(attempts) == 1 and attempts[0].ended and not exchange.left) or not attempts:  # it is as it will be
            late.append((exchange, status, problem))
            if len(late) == 1 and not before_leaving(self._settle_late):
                self._settle_late()
            return
        try:
            self.recorder.settle(exchange, status, problem)
        finally:
            if held is not None and not before_leaving(partial(held.settle, exchange)):
                held.settle(exchange)

    def _settle_late(self) -> None:
        late, self._late = self._late, []
        settle = self.recorder.settle
        held: list[Exchange] = []
        for exchange, status, problem in late:
            try:
                settle(exchange, status, problem)
            except Exception:
                log.exception("request %s could not be settled, on a bug of ours", exchange.request_id)
            if exchange.held is not None:
                held.append(exchange)
        # What the recorder writes down before anything leaves is written by then.
        if held and not before_leaving(partial(_let_go, held)):
            _let_go(held)


def _let_go(exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        if exchange.held is not None:
            exchange.held.settle(exchange)
