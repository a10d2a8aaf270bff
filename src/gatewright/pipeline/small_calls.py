"""Calls to a provider that make no answer: counts of tokens, and what it keeps of responses.

One rule: they take a place among the calls that a provider is sent at once, and leave alone one whose circuit is open or whose
key rests; but they change no circuit, for they say nothing of how it answers.
"""

from typing import Final

from gatewright.exchange import Exchange
from gatewright.pipeline.endpoint import Candidate, Endpoint
from gatewright.pipeline.health import Health

PATIENCE_S: Final = 30.0
"""The longest that one waits for its place, where the queue before the provider allows that."""


class Place:
    """Among the calls that an endpoint is sent at once, from `taken` on until it is left."""

    __slots__ = ("_gate", "_ticket")

    def __init__(self, endpoint: Endpoint) -> None:
        self._gate = endpoint.gate
        self._ticket: int | None = None

    async def taken(self, exchange: Exchange) -> None:
        """Raises `admit.Turned`."""
        if self._gate is not None:
            self._ticket = await self._gate.enter("" if exchange.principal is None else exchange.principal.name, PATIENCE_S)

    def leave(self) -> None:
        """Idempotent."""
        if self._gate is not None and self._ticket is not None:
            ticket, self._ticket = self._ticket, None
            self._gate.leave(ticket)


def is_up(health: Health, candidate: Candidate) -> bool:
    """Whether it may be asked what can also be said without it."""
    return health.standing(candidate) != "open" and health.rests_s(candidate) <= 0
