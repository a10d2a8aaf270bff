"""Attempts: try the planned candidates until one answers, and decide after each failure what follows.

    ask ─▶ went well ─▶ the reply
     └──▶ failed ─▶ mend the request, wait and repeat, go on to the next, or stop

The decisions are rules of `routing/retry.py`; here is who waits, counts and moves on. One rule: once content is out, nothing is
tried again; and what one client's request left behind cannot be begun twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from gatewright.errors import Refused
from gatewright.exchange import Exchange, Next, Reply
from gatewright.ir.loss import Loss
from gatewright.pipeline.asking import Asking, Begins, numbered
from gatewright.pipeline.attempt import Attempt
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.failures import Failure, all_failed, leaves_work
from gatewright.pipeline.further import may_ask
from gatewright.pipeline.health import Health
from gatewright.pipeline.hedging import Hedging
from gatewright.pipeline.policy import DEFAULT, Policy
from gatewright.pipeline.route import Route
from gatewright.routing.retry import POLICY, Decision, Tried, decide, wait_s
from gatewright.transport.strand import back_to, in_a_task

_PERHAPS_AT_WORK: Final = frozenset(("silent", "stalled", "cut", "broken"))
"""Causes after which nobody knows whether the upstream has done, or does, what was asked."""


class Attempts:
    """The innermost stage."""

    def __init__(self, attempt: Attempt, health: Health, chance: Callable[[], float], recorder: Begins | None = None) -> None:
        """`chance`: a number in [0, 1), another each time."""
        self.attempt = attempt
        self.health = health
        self.chance = chance
        self.asking = Asking(attempt, health, recorder)
        self.hedging = Hedging(self.asking)
        self._pauses: set[asyncio.Future[None]] = set()

    def __call__(self, exchange: Exchange, following: Next) -> Awaitable[Reply]:
        """Not `async` itself: what goes well at once is one coroutine the less."""
        route, plan = exchange.route, exchange.plan
        policy = route.policy if isinstance(route, Route) else DEFAULT
        first, alone = plan[0], len(plan) == 1
        assert isinstance(first, Candidate)
        hold = not alone or policy.retry.tries_each > 1
        if exchange.stream and exchange.dialect == "openai_responses" and leaves_work(exchange):
            hold = False  # its client waits for the id, not for the answer
        if policy.hedge is None and first.endpoint.gate is None:  # nearly always
            return self.asking.ask(exchange, first, hold=hold, last=alone, failed=self._failed)
        return _Course(self, exchange, policy, hold=hold).run(None)

    def _failed(self, exchange: Exchange, reply: Reply, *, hold: bool) -> Awaitable[Reply]:
        """The first attempt has failed so."""
        route = exchange.route
        policy = route.policy if isinstance(route, Route) else DEFAULT
        return _Course(self, exchange, policy, hold=hold).run(reply)

    async def pause(self, seconds: float) -> None:
        """Wait before a repetition."""
        left = await in_a_task()
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _set, over)
        self._pauses.add(over)
        try:
            await over
        finally:
            timer.cancel()
            self._pauses.discard(over)
        await back_to(left)

    def stop(self) -> None:
        """The gateway stops: whoever waits before a repetition need not wait to be told so."""
        for over in self._pauses:
            _set(over)


class _Course:
    """What becomes of one request whose first attempt has failed, or that is to be hedged or to queue."""

    def __init__(self, stage: Attempts, exchange: Exchange, policy: Policy, *, hold: bool) -> None:
        self.stage = stage
        self.exchange = exchange
        self.policy = policy
        self.hold = hold
        self.left = [candidate for candidate in exchange.plan if isinstance(candidate, Candidate)]
        self.left.sort(key=lambda candidate: candidate.endpoint.gate is not None and candidate.endpoint.gate.full)
        self.candidate = self.left.pop(0)
        self.deadline = exchange.started + policy.deadline_s
        self.failures: list[Failure] = []
        self.deferred: set[Candidate] = set()
        """Those whose keys rest: asked once more when all others have failed, for a rest may be no more than our guess."""
        self.forced: list[Candidate] = []
        """Those whose circuits are open, to be asked all the same: nobody else is left."""
        self.here = 0
        """Attempts at this candidate in a row."""
        self.rounds = 1
        self.waited_s = 0.0
        """Before the next attempt."""
        self.lost: tuple[Loss, ...] = ()
        """What was taken out of the request, that this candidate would take it."""

    async def run(self, reply: Reply | None) -> Reply:
        """The reply at the end. `reply`: of the first attempt, which has failed; None: none was made."""
        while True:
            try:
                failed = await self._ask() if reply is None else [self._failure(reply)]
            except Refused as error:
                if not self.failures:
                    raise
                failed = [Failure(self.candidate, self.exchange.attempts[-1], error.problem, None)]
            if isinstance(failed, Reply):
                return numbered(self.exchange, failed)
            reply = None
            over = await self._after(failed)
            if over is not None:
                return numbered(self.exchange, over)

    async def _ask(self) -> Reply | list[Failure]:
        """The answer, or what failed, in the order of the attempts."""
        stage, exchange, hedge = self.stage, self.exchange, self.policy.hedge
        patience_s = self.deadline - stage.health.clock()
        waited_s, self.waited_s = self.waited_s, 0.0
        if hedge is not None and self.left and not self.lost:
            return await stage.hedging.ask(
                exchange, self.candidate, self.left, hedge, deadline=self.deadline, waited_s=waited_s, patience_s=patience_s
            )
        reply = await stage.asking.ask(
            exchange,
            self.candidate,
            hold=self.hold,
            last=not self.left or self.candidate in self.deferred,
            waited_s=waited_s,
            patience_s=patience_s,
            lost=self.lost,
            force=self.candidate in self.forced,
        )
        return reply if reply.problem is None else [self._failure(reply)]

    def _failure(self, reply: Reply) -> Failure:
        assert reply.problem is not None
        return Failure(self.candidate, self.exchange.attempts[-1], reply.problem, reply)

    async def _after(self, failed: list[Failure]) -> Reply | None:
        """What these failures come to: the end, or None when there is to be another attempt, for which all is ready then."""
        last = failed[-1]
        if last.record.stage == "answered" and (lost := self.stage.attempt.mended(self.exchange, last.problem)):
            self.lost += lost
            return None
        self.failures += failed
        cause = last.record.cause
        if cause == "resting" and self.left and self.candidate not in self.deferred:
            self.deferred.add(self.candidate)
            self.left.append(self.candidate)
        self.here += cause not in ("open", "full")
        if last.reply is not None and last.made and not POLICY[last.cause]:
            return last.reply  # the client's to mend
        decision = self._decide(last)
        if decision.way == "stop" and not self._has_a_last_resort(last) and not self._goes_round(last):
            return self._end()
        if decision.way != "same":
            self.candidate = self.left.pop(0)
            self.here, self.lost = 0, ()
            self.exchange.request = None  # what was fetched, put back or taken out was for the one before
        else:
            self.waited_s = decision.wait_s
        if self.exchange.held is not None and not await may_ask(self.exchange):
            return self._end()
        if self.waited_s:
            await self.stage.pause(self.waited_s)
        return None

    def _goes_round(self, last: Failure) -> bool:
        """Whether all targets are asked once more, from the first on: where there are several, and tries and time are left.

        What failed by chance at each of them may go well the next time. Then all is ready for it.
        """
        rule, stage = self.policy.retry, self.stage
        if self.left or last.reply is None or self._begun_work(last):
            return False
        wait = wait_s(self.rounds, rule, stage.chance())
        at = stage.health.clock() + wait
        newest = {failure.candidate: failure for failure in self.failures}
        again = [candidate for candidate, failure in newest.items() if self._may_go_well(failure, at)]
        made = sum(failure.made for failure in self.failures)
        if len(again) < 2 or made >= rule.tries_all or at >= self.deadline:
            return False
        self.left = again
        self.rounds += 1
        self.waited_s = wait
        return True

    def _has_a_last_resort(self, last: Failure) -> bool:
        """Whether a target is to be asked although its circuit is open: the others have failed, and it may serve after all.

        Where nobody could be asked at all, nobody is: then the answer is an error at once. Then all is ready for it.
        """
        made = sum(failure.made for failure in self.failures)
        late = self.stage.health.clock() >= self.deadline
        if self.left or self.forced or not made or made >= self.policy.retry.tries_all or late or self._begun_work(last):
            return False
        shut = dict.fromkeys(failure.candidate for failure in self.failures if failure.record.cause == "open")
        failed = {failure.candidate for failure in self.failures if failure.made}
        self.forced = [candidate for candidate in shut if candidate not in failed]
        self.left = list(self.forced)
        return bool(self.left)

    def _may_go_well(self, failure: Failure, at: float) -> bool:
        """Whether its target may be asked again at that time."""
        record = failure.record
        if failure.reply is None or not failure.made or not record.repeatable or record.ended + (record.asked_s or 0.0) > at:
            return False
        return "same" in POLICY[failure.cause] and not self.stage.health.rests_s(failure.candidate, told=True)

    def _begun_work(self, last: Failure) -> bool:
        """Whether the upstream may be at work that must not be begun twice."""
        return last.record.sent and last.record.cause in _PERHAPS_AT_WORK and leaves_work(self.exchange)

    def _decide(self, last: Failure) -> Decision:
        record, others = last.record, len(self.left)
        if last.reply is None or record.cause in ("open", "full"):
            return Decision("next" if others else "stop")
        if self._begun_work(last):
            return Decision("stop")
        cause = last.cause
        made = sum(failure.made for failure in self.failures)
        asked_s = record.asked_s if record.asked_s is not None else last.problem.retry_after_s
        if cause == "throttled" and (rests_s := self.stage.health.rests_s(self.candidate, told=True)):
            asked_s = max(asked_s or 0.0, rests_s)  # others may have been told more, and no rest is of no time
        return decide(
            cause,
            Tried(here=max(1, self.here), all=made, others=others),
            self.policy.retry,
            now=self.stage.health.clock(),
            deadline=self.deadline,
            chance=self.stage.chance(),
            asked_s=asked_s,
            may_repeat=record.repeatable,
        )

    def _end(self) -> Reply:
        problem = all_failed(self.failures)
        if problem is not None:
            return self.stage.attempt.error(self.exchange, problem)
        own = [f.reply for f in self.failures if f.reply is not None and f.made]
        passed_over = [f.reply for f in self.failures if f.reply is not None]
        return (own or passed_over)[-1]


def _set(over: "asyncio.Future[None]") -> None:
    if not over.done():
        over.set_result(None)
