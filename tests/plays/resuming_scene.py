"""A gateway whose routes resume, before an upstream that breaks off: what was settled there, and who was tried."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

from gatewright.exchange import Exchange
from tests.plays.breaking import (
    CUT_AT,
    STORY,
    Breaking,
    config,
)
from tests.serving import gateway
from tests.upstreams.script import Say

TOLD = (Say(STORY),)
COMMENTED = ("openai_chat", "openai_responses", "anthropic")
"""Those whose streams have comments, for a client to be told in."""
OUT = STORY[:CUT_AT]
"""What is out where it breaks off."""


@asynccontextmanager
async def scene(tmp_path, *routes, tells=TOLD, more="", slow=0, slowly="", breaker="false", **how):
    """A gateway before the strict upstream; `settled` are the exchanges that have ended."""
    with Breaking(tells).telling() as up:
        async with gateway(config(up.port, *routes, more=more, slow=slow, slowly=slowly, breaker=breaker), tmp_path, **how) as gw:
            gw.up, gw.settled = up, []
            recorder = gw.house.current.books.usage
            before = recorder.settle

            def settle(exchange: Exchange, status, problem):
                gw.settled.append(SimpleNamespace(exchange=exchange, status=status, problem=problem, usage=exchange.usage))
                before(exchange, status, problem)

            recorder.settle = settle
            yield gw


def refusals(up: Breaking) -> list[bytes]:
    return [answer.body for answer in up.answers if answer.status >= 400]


def attempts(gw) -> list[tuple[str, bool]]:
    """(target, resumed) of those of the last exchange that were sent."""
    return [(record.target, record.resumed) for record in gw.settled[-1].exchange.attempts if record.sent]
