"""The earlier turns of a conversation that goes on by an id: reserved when they are known, beside what the request brings itself.

    limit (the request's own body) ▸ state ─▶ reserve_whole ─▶ what is beneath

One rule: what will be read is reserved before anything is sent, whoever keeps it. Where there is no room for it nothing is sent,
nothing stays reserved, and the answer names the limit, as if all of it had been asked for at once.
"""

import msgspec

from gatewright.errors import Refused
from gatewright.exchange import Exchange
from gatewright.pipeline.held import Holding
from gatewright.pipeline.limit import Limits
from gatewright.pipeline.limit_words import CLOSED, refusal
from gatewright.stores.counters import Denied, Reserved
from gatewright.transport.strand import back_to, in_a_task


async def reserve_whole(limits: Limits, exchange: Exchange, body: bytes) -> None:
    """Have what `exchange` holds cover `body`: its call's, with the earlier turns in it. Raises Refused."""
    holding = exchange.held
    if not isinstance(holding, Holding):  # nothing limits it
        return
    ways = limits.ways
    whole = _wanted(limits, exchange, body)
    if whole is None:
        return
    had = holding.reserved.reserved()
    more = [(meter, max(0, cost - held)) for (meter, cost), held in zip(whole.claims, had, strict=True)]
    if any(cost for _, cost in more) and holding.reserved.open:
        got = ways.counters.reserve(more, ways.clock())
        if got is None:
            left = await in_a_task()
            got = await ways.counters.ask(more, ways.clock())
            await back_to(left)
        if isinstance(got, Denied):
            _let_go(holding, exchange)
            raise _refused(limits, exchange, whole, had, got)
        if got.open:  # else it is let pass uncounted
            holding.reserved.more += (got,)
    holding.reads, holding.writes, holding.micros, holding.sure = whole.reads, whole.writes, whole.micros, whole.sure


def _wanted(limits: Limits, exchange: Exchange, body: bytes) -> Holding | None:
    """What would have been reserved for a call with this body, and what was seen of it at a glance: the length of its answer."""
    call = exchange.call
    exchange.call = msgspec.structs.replace(call, body=body)
    try:
        return limits.wanted(exchange, limits.ways.clock())
    finally:
        exchange.call = call


def _let_go(holding: Holding, exchange: Exchange) -> None:
    """As if it had been refused at first: it is no request."""
    reserved: Reserved = holding.reserved
    if reserved.open and reserved.batch is not None:
        reserved.batch.withdraw()
    ways = holding.ways
    ways.counters.settle(reserved, [0] * len(reserved.claims), ways.clock())
    exchange.held = None


def _refused(limits: Limits, exchange: Exchange, whole: Holding, had: list[int], denied: Denied) -> Refused:
    if denied.meter is None:
        return Refused(CLOSED)
    meter, now = denied.meter, limits.ways.clock()
    cost, held = next((cost, held) for (one, cost), held in zip(whole.claims, had, strict=True) if one is meter)
    left = denied.left + held  # its own part has been given back
    if meter.is_budget and limits.ways.tell is not None:
        limits.ways.tell(meter, min(left, meter.amount), now)
    return Refused(refusal(meter, cost, left, denied.wait_us, now, exchange.dialect))
