"""Further attempts of a request: a second try, a hedge, a stream that is gone on with. Each is reserved before it is made.

    a try has failed, is slow or broke ─▶ may_ask ─▶ covered already | more is reserved | it is not made

One rule: what the attempts before it have used, what those that run may use and what it may use itself is reserved, all of it;
and what nobody bills leaves its share to the next.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from gatewright.exchange import AttemptRecord, Exchange
from gatewright.pipeline.endpoint import Candidate
from gatewright.transport.strand import back_to, in_a_task

if TYPE_CHECKING:
    from gatewright.pipeline.held import Holding

WHY: Final = "no more is left of the budget or limit"
"""Why one was not made, for the record of the last that was."""
_MOST_PRICED: Final = 8


async def may_ask(exchange: Exchange, *, onward: bool = False) -> bool:
    """Whether one more attempt is paid for, reserved from now on; the newest record says so where it is not.

    `onward`: it is told what the others have said, which it must read.
    """
    held = exchange.held
    if held is None or await held.covers(exchange, onward=onward):
        return True
    sent = [record for record in exchange.attempts if record.sent]
    if sent and WHY not in sent[-1].message:
        sent[-1].message = f"{sent[-1].message}; {WHY}".removeprefix("; ")
    return False


async def covers(holding: "Holding", exchange: Exchange, *, onward: bool) -> bool:
    """As `Held.covers`."""
    more = _missing(holding, exchange, onward=onward)
    if not any(more):
        return True
    counters, now = holding.ways.counters, holding.ways.clock()
    got = counters.extend(holding.reserved, more, now)
    if got is None:
        left = await in_a_task()
        got = await counters.ask_more(holding.reserved, more, now)
        await back_to(left)
    return got


def _missing(holding: "Holding", exchange: Exchange, *, onward: bool) -> list[int]:
    """Of each claim, what is not reserved yet of what the attempts come to, one more included."""
    granted = holding.granted
    over = [record for record in exchange.attempts if record.ended]
    reads, writes, micros = holding.spent(exchange, over)
    spent = granted.used(reads, writes, micros)
    tries = 1 + sum(record.sent and not record.ended for record in exchange.attempts)
    heard = _read_anew(holding, exchange, over) if onward else 0
    missing: list[int] = []
    for (meter, cost), used, held in zip(holding.claims, spent, holding.reserved.reserved(), strict=True):
        if meter.unit in ("requests", "concurrent"):
            missing.append(0)
            continue
        need = used + tries * cost + (heard if meter.unit == "micros" else 0)
        if meter.unit != "micros":  # as for the first: an answer that could be too long for the limit is not shut out by that
            need = max(min(need, meter.bound), used + min(cost, 1))
        missing.append(max(0, need - held))
    return missing


def _read_anew(holding: "Holding", exchange: Exchange, over: Iterable[AttemptRecord]) -> int:
    """What it costs at most to read what the others have written."""
    _, written, _ = holding.spent(exchange, over)
    if not written or not holding.granted.has_money:
        return 0
    plan = [candidate for candidate in exchange.plan[:_MOST_PRICED] if isinstance(candidate, Candidate)]
    return max((holding.ways.prices.upper(candidate, written, 0) or 0 for candidate in plan), default=0)
