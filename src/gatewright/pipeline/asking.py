"""Asking: one attempt, recorded, counted and let through by whoever has a say: the key's rest, the queue, the circuit.

    rests? ─▶ queue ─▶ circuit ─▶ once ─▶ a reply, or a stream that runs on
      └────────┴─────────┴──▶ passed over: recorded, and nothing was sent

One rule: what has begun ends exactly once, in its record, in its circuits and in its queue: at its failure, at the end of its
answer, or when the client leaves.
"""

from collections.abc import Awaitable
from typing import Final, Protocol

from gatewright.errors import Problem, Refused
from gatewright.exchange import AttemptRecord, Exchange, Reply
from gatewright.ir.loss import Loss
from gatewright.pipeline.admit import Turned
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.failures import PASSED_OVER, as_ours, is_open, rests
from gatewright.pipeline.health import Health
from gatewright.pipeline.sources import BaseSource
from gatewright.providers.auth.client_key import ClientKey
from gatewright.routing.admission import Ticket
from gatewright.routing.board import Passed
from gatewright.routing.retry import Cause, cause_of, cause_of_status

_SLOW: Final = frozenset(("silent", "stalled"))
"""Causes whose time says how slow the target is."""


class Tries(Protocol):
    """What is asked: `Attempt`, or a call that is forwarded."""

    def once(
        self,
        exchange: Exchange,
        candidate: Candidate,
        record: AttemptRecord,
        *,
        until_content: bool = False,
        lost: tuple[Loss, ...] = (),
    ) -> Awaitable[Reply]: ...

    def error(self, exchange: Exchange, problem: Problem) -> Reply: ...


class Begins(Protocol):
    """Who writes down that a request goes to an upstream: `record.ledger.Ledger`."""

    def begun(self, exchange: Exchange, target: str, dialect: str) -> None:
        """Before its first attempt. Raises Refused where it cannot be written down, and so is not to be made."""
        ...


class Failed(Protocol):
    """Goes on after a first attempt that has failed; `reply` says how."""

    def __call__(self, exchange: Exchange, reply: Reply, *, hold: bool) -> Awaitable[Reply]: ...


class _Begun:
    """An attempt that has begun and not ended. Called, it says that its stream has."""

    __slots__ = ("asking", "candidate", "exchange", "passed", "record", "source", "ticket")

    def __init__(  # noqa: PLR0917 - keywords cost, and every stream begins so
        self,
        asking: "Asking",
        exchange: Exchange,
        record: AttemptRecord,
        candidate: Candidate,
        passed: Passed,
        ticket: Ticket | None,
        source: BaseSource | None = None,
    ) -> None:
        self.asking = asking
        self.exchange = exchange
        self.record = record
        self.candidate = candidate
        self.passed = passed
        self.ticket = ticket
        self.source = source

    def __call__(self) -> None:
        source, record = self.source, self.record
        assert source is not None
        usage = record.usage = source.usage
        problem = source.problem
        if usage is None or usage.output is None or problem is not None or source.left:
            record.spoken = source.spoken()
        if problem is None and not source.left and self.ticket is None and not record.before:  # as nearly all end
            health = self.asking.health
            record.stage = "content"
            record.ended = now = health.clock()
            health.ended(self.passed, self.candidate, None, record.ttft_s, now=now)
            return
        record.stage = "content" if source.content or problem is None else "streaming"
        if problem is not None:
            record.message = problem.message
            self.over(cause_of(problem, "streaming"))
        else:
            self.over("cancelled" if source.left else None)

    def over(self, cause: Cause | None) -> None:
        """It has ended so; once."""
        record, health = self.record, self.asking.health
        now = health.clock()
        record.cause = cause
        record.ended = now
        ttft_s = now - record.began if cause in _SLOW else record.ttft_s
        unasked = cause is not None and cause != "unreachable" and not record.sent
        health.ended(self.passed, self.candidate, "cancelled" if unasked else cause, ttft_s, asked_s=record.asked_s, now=now)
        if self.ticket is not None and (gate := self.candidate.endpoint.gate) is not None:
            gate.leave(self.ticket)
        if record.before:
            _tell_apart(self.exchange, record)


def _tell_apart(exchange: Exchange, record: AttemptRecord) -> None:
    """What was written several times beneath was several calls: a record for each."""
    at = next(i for i, one in enumerate(exchange.attempts) if one is record)
    exchange.attempts[at:at] = [
        AttemptRecord(
            record.target,
            record.dialect,
            record.began,
            record.waited_s,
            sent=True,
            status=status,
            stage="answered" if status else "waiting",
            cause=cause_of_status(status) if status else "cut",
            ended=record.began,
            hedge=record.hedge,
            resumed=record.resumed,
        )
        for status in record.before
    ]
    record.before = ()


class Asking:
    """Asks one candidate at a time."""

    __slots__ = ("attempt", "health", "recorder")

    def __init__(self, attempt: Tries, health: Health, recorder: Begins | None = None) -> None:
        self.attempt = attempt
        self.health = health
        self.recorder = recorder

    async def ask(  # noqa: PLR0915 - what goes well goes straight through: each call more costs every request
        self,
        exchange: Exchange,
        candidate: Candidate,
        *,
        hold: bool,
        last: bool,
        waited_s: float = 0.0,
        patience_s: float = 0.0,
        lost: tuple[Loss, ...] = (),
        hedge: bool = False,
        force: bool = False,
        failed: "Failed | None" = None,
    ) -> Reply:
        """One attempt. Its record is the newest of the exchange when this begins. A failure is a reply with a problem.

        `hold`: a stream is held back until content has come. `last`: no other target is left. `waited_s`: before this.
        `patience_s`: the longest it may wait in a queue. `lost`: what was taken out of the request for it.
        `force`: although its circuit is open. `failed`: who goes on after a failure, and whose reply it is then.
        Raises Refused where the candidate cannot be asked this at all.
        """
        dialect = candidate.dialect_for(exchange.dialect)
        attempts = exchange.attempts
        if self.recorder is not None and not attempts:
            self.recorder.begun(exchange, candidate.name, dialect)
        health = self.health
        began = health.clock()
        record = AttemptRecord(candidate.name, dialect, began, waited_s)
        if hedge:
            record.hedge = True
        attempts.append(record)
        endpoint = candidate.endpoint
        may_rest = endpoint.credential is not None or health.board.keys
        if may_rest and (rests_s := health.rests_s(candidate, told=last)):
            reply = self._passed_over(exchange, record, "resting", rests(candidate, rests_s))
            return reply if failed is None else await failed(exchange, reply, hold=hold)
        ticket = None
        if (gate := endpoint.gate) is not None:
            try:
                ticket = await gate.enter("" if exchange.principal is None else exchange.principal.name, patience_s)
            except Turned as turned:
                return self._passed_over(exchange, record, "full", turned.problem)
            except BaseException:
                record.cause, record.ended = "cancelled", health.clock()
                raise
            record.began = health.clock()
            record.waited_s += record.began - began
            began = record.began
        passed = health.began(candidate, began)
        if passed is None and force:
            passed = health.forced(candidate)
        if passed is None:
            if gate is not None and ticket is not None:
                gate.leave(ticket)
            reply = self._passed_over(exchange, record, "open", is_open(candidate, health.again_s(candidate)))
            return reply if failed is None else await failed(exchange, reply, hold=hold)
        try:
            reply = await self.attempt.once(exchange, candidate, record, until_content=hold, lost=lost)
        except BaseException as error:
            _raised(_Begun(self, exchange, record, candidate, passed, ticket), error)
            raise
        problem, source = reply.problem, reply.source
        if problem is not None:
            record.message = problem.message
            clients_key = isinstance(candidate.endpoint.credential, ClientKey)
            cause = cause_of(problem, record.stage, clients_key=clients_key)
            _Begun(self, exchange, record, candidate, passed, ticket).over(cause)
            if cause == "our_credential":
                reply = self.attempt.error(exchange, as_ours(candidate, problem))
            return reply if failed is None else await failed(exchange, reply, hold=hold)
        now = health.clock()
        record.ttft_s = ttft_s = now - began
        if source is not None:
            assert isinstance(source, BaseSource)
            source.when_ended(_Begun(self, exchange, record, candidate, passed, ticket, source))
        else:  # as `over`, which most answers need not
            usage = record.usage = exchange.usage
            if usage is None or usage.output is None:
                record.spoken = len(reply.body) // 4
            record.ended = now
            health.ended(passed, candidate, None, ttft_s, now=now)
            if ticket is not None and gate is not None:
                gate.leave(ticket)
        if record.before:
            _tell_apart(exchange, record)
        return reply if failed is None or len(attempts) == 1 else numbered(exchange, reply)

    def _passed_over(self, exchange: Exchange, record: AttemptRecord, why: str, problem: Problem) -> Reply:
        record.cause, record.message, record.ended = why, problem.message, self.health.clock()
        return self.attempt.error(exchange, problem)


def _raised(begun: _Begun, error: BaseException) -> None:
    """The client has left, the candidate cannot be asked this, or a bug of ours."""
    if isinstance(error, Refused):
        begun.record.message = error.problem.message
        begun.over("cancelled")  # nothing was sent, and it says nothing of the target
        begun.record.cause = "client"
    else:
        begun.over("ours" if isinstance(error, Exception) else "cancelled")


def numbered(exchange: Exchange, reply: Reply) -> Reply:
    """The reply, with the number of attempts where there was more than one."""
    made = sum(record.cause not in PASSED_OVER for record in exchange.attempts)
    if made > 1:
        reply.headers += b"x-gatewright-attempts: %d\r\n" % made
    return reply
