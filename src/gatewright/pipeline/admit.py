"""Admit: so many calls at once to an endpoint, a fair queue before it, and a word at once to who would wait too long.

The rule is `routing/admission.py`; here is who does the waiting. One rule: whoever entered leaves, and whoever waited and has
gone leaves too, so that no place is lost.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import Final

from gatewright.errors import Problem
from gatewright.routing.admission import Admission, Limits, Moved, Shed, Ticket
from gatewright.transport.strand import back_to, in_a_task

_WHY: Final = {
    "queue full": "{name} is answering as many requests as it may, and as many wait as may wait.",
    "would wait too long": "{name} is answering as many requests as it may, and the queue before it is too long.",
    "waited too long": "{name} is answering as many requests as it may, and this one has waited too long for its turn.",
}


class Turned(Exception):
    """Not admitted. `problem` says why, and when to come back."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Gate:
    """Before one endpoint, in one process. Belongs to one event loop."""

    def __init__(self, name: str, limits: Limits, clock: Callable[[], float]) -> None:
        """`name`: the endpoint's. `clock`: monotonic seconds."""
        self.name = name
        self.clock = clock
        self.admission = Admission(limits)
        self._tickets = itertools.count()
        self._waiting: dict[Ticket, asyncio.Future[Shed | None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def full(self) -> bool:
        """Whether one more would have to wait."""
        return len(self.admission.running) >= self.admission.limits.running or len(self.admission) > 0

    @property
    def running(self) -> int:
        return len(self.admission.running)

    @property
    def waiting(self) -> int:
        return len(self.admission)

    async def enter(self, tenant: str, patience_s: float) -> Ticket:
        """A place, to be given back by `leave`. Waits `patience_s` at most, or as long as the queue allows. Raises Turned."""
        ticket = next(self._tickets)
        moved = self.admission.arrived(ticket, tenant, self.clock(), patience_s=max(0.0, patience_s))
        if ticket in moved.started:
            self._tell(moved)
            return ticket
        for shed in moved.shed:
            if shed.ticket == ticket:
                self._tell(moved)
                raise Turned(self._problem(shed))
        turn = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        self._tell(moved)
        try:
            left = await in_a_task()
            turned = await turn
            await back_to(left)
        except BaseException:  # the client has gone, perhaps in the moment of its turn
            self.leave(ticket)
            raise
        if turned is not None:
            raise Turned(self._problem(turned))
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """A call has ended, or who waited has gone."""
        self._waiting.pop(ticket, None)
        self._tell(self.admission.left(ticket, self.clock()))

    def _tell(self, moved: Moved) -> None:
        """Wake whoever was moved, and come back when the next patience ends."""
        for ticket in moved.started:
            self._wake(ticket, None)
        for shed in moved.shed:
            self._wake(shed.ticket, shed)
        if self._timer is None and (at := self.admission.next_deadline()) is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.001, at - self.clock()), self._time_passed)

    def _wake(self, ticket: Ticket, shed: Shed | None) -> None:
        turn = self._waiting.pop(ticket, None)
        if turn is not None and not turn.done():  # who has gone leaves by itself
            turn.set_result(shed)

    def _time_passed(self) -> None:
        self._timer = None
        self._tell(self.admission.passed(self.clock()))

    def _problem(self, shed: Shed) -> Problem:
        return Problem(
            kind="overloaded",
            code="too_many_requests_at_once",
            message=f"{_WHY[shed.why].format(name=self.name)} Try again in {shed.retry_after_s:.0f} s.",
            retry_after_s=shed.retry_after_s,
        )
