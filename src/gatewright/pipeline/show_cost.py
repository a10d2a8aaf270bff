"""What an answer has cost, told to its client, where its key says `show_cost`.

    x-gatewright-cost: 0.004125               dollars, of all attempts together; `unknown` where one of them has no price
    x-gatewright-budget-remaining: 12.5       dollars left of the tightest budget that stops anybody

A stream's head is out before anybody knows: it has the budget as it stands with what is reserved, and the cost follows the body
as a trailer, for clients that send `te: trailers`.

One rule: it is the figure that the ledger writes, made once and written into the attempts.
"""

from typing import Final, Protocol

from gatewright.exchange import Exchange, Operation, Reply
from gatewright.ir.response import Usage
from gatewright.pipeline.held import Holding, Price, used_by
from gatewright.providers.pricing import dollars

_COSTS: Final[frozenset[Operation]] = frozenset(("generate", "invoke", "forward"))
COST: Final = b"x-gatewright-cost: %b\r\n"
LEFT: Final = b"x-gatewright-budget-remaining: %b\r\n"
ANNOUNCED: Final = b"trailer: x-gatewright-cost\r\n"


class Prices(Protocol):
    """Whom the cost is asked of."""

    def price(self, provider: str, model: str, usage: Usage, at: int) -> Price:
        """`at`: microseconds since 1970."""
        ...


class Clock(Protocol):
    def __call__(self) -> int:
        """Microseconds since 1970."""
        ...


class ShowCost:
    """Asked by `settle`, for keys with `show_cost` alone."""

    def __init__(self, prices: Prices, clock: Clock) -> None:
        self.prices = prices
        self.clock = clock

    def tell(self, exchange: Exchange, reply: Reply) -> None:
        """Add what is known to the head of an answer."""
        if exchange.operation not in _COSTS:
            return
        held = exchange.held
        left = held.budget_left() if isinstance(held, Holding) else None
        if reply.source is not None:
            if left is not None:
                reply.headers += LEFT % _dollars(left)
            if _takes_trailers(exchange):
                reply.headers += ANNOUNCED
            return
        cost = self.cost(exchange)
        reply.headers += COST % (b"unknown" if cost is None else _dollars(cost))
        if left is not None:
            # What was reserved for it is not yet given back.
            back = 0 if cost is None else (exchange.reserved or cost) - cost
            reply.headers += LEFT % _dollars(max(0, left + back))

    def tell_after(self, exchange: Exchange) -> None:
        """Add what a stream has cost to its trailers."""
        if exchange.operation in _COSTS and _takes_trailers(exchange):
            cost = self.cost(exchange)
            exchange.trailers += COST % (b"unknown" if cost is None else _dollars(cost))

    def cost(self, exchange: Exchange) -> int | None:
        """Micro-dollars of all attempts that somebody may be billed for. None: of one it is not known."""
        total = 0
        for record in exchange.attempts:
            usage = used_by(exchange, record)
            if usage is None:
                known = not exchange.model and (record.cost_micros is not None or not record.price_source)
                if record.sent and record.status < 400 and exchange.operation == "forward" and not known:
                    return None  # nobody told what it used
                continue
            if not record.price_source:
                provider, _, model = record.target.partition("/")
                price = self.prices.price(provider, model, usage, self.clock())
                record.cost_micros, record.price_source, record.price_date = price.micros, price.source, price.dated
            if record.cost_micros is None:
                return None
            total += record.cost_micros
        return total


def _takes_trailers(exchange: Exchange) -> bool:
    return "trailers" in (exchange.call.headers.get("te") or "")


def _dollars(micros: int) -> bytes:
    return (dollars(micros) or "").encode("ascii")
