"""Hedging: while one target is silent for longer than it usually is, a second is asked; the first with content answers.

The rule, and what it may cost, is `routing/hedge.py`. One rule: the loser is given up at once, and nobody is answered twice.
"""

import asyncio
import copy
from typing import Final

from gatewright.errors import Refused
from gatewright.exchange import AttemptRecord, Exchange, Reply
from gatewright.pipeline.asking import Asking
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.failures import Failure, leaves_work
from gatewright.pipeline.further import may_ask
from gatewright.routing.hedge import Rule, Running, delay_s, may_hedge, saved, spent
from gatewright.transport.strand import in_a_task

FIRST_PURSE: Final = 1.0
"""What is in a purse at first: one hedge."""


class _Runner:
    """One of the attempts that run at the same time, on a copy of the exchange: what it changes must not reach the others."""

    __slots__ = ("candidate", "exchange", "task")

    def __init__(self, exchange: Exchange, candidate: Candidate) -> None:
        self.exchange = copy.copy(exchange)  # the list of attempts stays one and the same
        self.candidate = candidate
        self.task: asyncio.Task[Reply]


class Hedging:
    """Asks several candidates where one is slow."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking
        self.purses: dict[str, float] = {}
        """What is saved up for hedges, in requests, by the route's name."""

    async def ask(
        self,
        exchange: Exchange,
        candidate: Candidate,
        left: list[Candidate],
        rule: Rule,
        *,
        deadline: float,
        waited_s: float,
        patience_s: float,
    ) -> Reply | list[Failure]:
        """The first answer; or, where all that were asked failed, their failures.

        Candidates that were asked as hedges are taken out of `left`. Raises Refused as `Asking.ask` does.
        """
        health = self.asking.health
        name = str(getattr(exchange.route, "name", ""))
        self.purses[name] = saved(self.purses.get(name, FIRST_PURSE), rule)
        await in_a_task()
        repeatable = not leaves_work(exchange)
        runners: list[_Runner] = []
        failed: list[Failure] = []
        hedges, covered = 0, True

        def begin(who: Candidate, *, hedge: bool) -> float:
            runner = _Runner(exchange, who)
            asked = self.asking.ask(
                runner.exchange, who, hold=True, last=not left, waited_s=waited_s, patience_s=patience_s, hedge=hedge
            )
            runner.task = asyncio.get_running_loop().create_task(asked)
            runners.append(runner)
            return health.clock()

        try:
            began = begin(candidate, hedge=False)
            silence_s = delay_s(health.samples(candidate), rule)
            while True:
                now = health.clock()
                others = [other for other in left if covered and self._may_ask(other)]
                running = Running(
                    waited_s=now - began,
                    delay_s=silence_s,
                    left_s=deadline - now,
                    others=len(others),
                    hedges=hedges,
                    repeatable=repeatable,
                )
                reason = may_hedge(running, self.purses[name], rule)
                if reason == "hedge" and exchange.held is not None and not (covered := await may_ask(exchange)):
                    continue
                if reason == "hedge" and not any(runner.task.done() for runner in runners):  # while that was asked
                    self.purses[name] = spent(self.purses[name]) or 0.0
                    left.remove(others[0])
                    hedges += 1
                    began = begin(others[0], hedge=True)
                    silence_s = delay_s(health.samples(others[0]), rule)
                    continue
                timeout = began + silence_s - now if reason == "too early" else None
                await asyncio.wait([r.task for r in runners], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                for runner in [r for r in runners if r.task.done()]:
                    runners.remove(runner)
                    try:
                        reply = runner.task.result()
                    except Refused as error:
                        if runner.candidate is candidate:
                            raise  # perhaps before there was a record: it could not be written down
                        failed.append(Failure(runner.candidate, _record_of(exchange, runner), error.problem, None))
                        continue
                    if reply.problem is None:
                        _adopt(exchange, runner.exchange)
                        return reply
                    failed.append(Failure(runner.candidate, _record_of(exchange, runner), reply.problem, reply))
                if not runners:
                    return failed
        finally:
            await _given_up(runners)

    def _may_ask(self, candidate: Candidate) -> bool:
        """Whether it could answer at once."""
        health, gate = self.asking.health, candidate.endpoint.gate
        if health.standing(candidate) != "closed" or health.rests_s(candidate) > 0:
            return False
        return gate is None or not gate.full


def _record_of(exchange: Exchange, runner: _Runner) -> AttemptRecord:
    """The newest of its target."""
    return next(record for record in reversed(exchange.attempts) if record.target == runner.candidate.name)


def _adopt(exchange: Exchange, winner: Exchange) -> None:
    """What the attempt that answered has set."""
    exchange.request, exchange.served, exchange.losses = winner.request, winner.served, winner.losses
    exchange.usage = winner.usage


async def _given_up(runners: list[_Runner]) -> None:
    """End what still runs, and wait until it has ended."""
    for runner in runners:
        runner.task.cancel()
    for reply in await asyncio.gather(*(runner.task for runner in runners), return_exceptions=True):
        if isinstance(reply, Reply) and reply.source is not None:
            reply.source.abort()  # it came in the same moment
        elif isinstance(reply, Exception) and not isinstance(reply, Refused):
            raise reply
