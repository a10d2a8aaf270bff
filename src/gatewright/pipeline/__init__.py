"""The whole stack, top to bottom, with the reason for each height.

settle        outermost: whatever happens beneath, one reply in the client's dialect and one settlement
authenticate  before anything that costs: an unknown key reaches nothing
peek          beneath that: nobody's body is read for free
route         after who and what are known: which targets, in which order
limit         beneath route: what a request may cost depends on its targets; above all that costs anything. What it reserves is
              settled by `settle`, however it ends
state         beneath routing: whether `previous_response_id` passes or becomes items depends on the target
guard         beneath state, where a conversation is all there and what passes is kept; above cache, so that what is given again
              is looked at again. Only where rules are configured. `ForwardGuard` stands at its height for forwarded endpoints
cache         beneath state: a conversation that goes on by an id is all there to be looked up, and what is given again is kept
              for its client; above attempts, which it spares. Only where a model keeps answers
resume        above attempts, which it asks again when a stream breaks; beneath cache, whose listeners all hear the one answer.
              Only where a model resumes
attempts      innermost: send, give the answer back, and decide what follows a failure; each attempt asks `translate` whether
              bytes pass or cross the neutral form
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from gatewright.errors import refuse
from gatewright.exchange import Check, Exchange, Next, Operation, Reply, Stage


async def nothing_beneath(_exchange: Exchange) -> Reply:
    """Ends every stack: innermost stages answer themselves."""
    raise refuse("not_found", "Nothing is served at this path.")


def compose(stages: Sequence[Stage | Check]) -> Next:
    """One callable from stages listed top to bottom. Checks in a row are one step: a coroutine each costs more than they do."""
    below: Next = nothing_beneath
    checks: list[Callable[[Exchange], None]] = []
    for stage in reversed(stages):
        if isinstance(stage, Check):
            checks.insert(0, stage.check)
            continue
        if checks:
            below = partial(_checked, checks=tuple(checks), following=below)
            checks = []
        below = partial(stage, following=below)
    return partial(_checked, checks=tuple(checks), following=below) if checks else below


def _checked(exchange: Exchange, *, checks: Sequence[Callable[[Exchange], None]], following: Next) -> Awaitable[Reply]:
    for check in checks:
        check(exchange)
    return following(exchange)


class Stacks:
    """One composed stack per operation; model calls of Responses clients have one more stage than others."""

    def __init__(self, by_operation: Mapping[Operation, Next], responses: Next, otherwise: Next) -> None:
        self.by_operation = dict(by_operation)
        self.responses = responses
        self.otherwise = otherwise

    def handle(self, exchange: Exchange) -> Awaitable[Reply]:
        operation = exchange.operation
        if operation == "generate" and exchange.dialect == "openai_responses":
            return self.responses(exchange)
        return self.by_operation.get(operation, self.otherwise)(exchange)
