"""What calls cost that the gateway makes for a request of its own accord, such as one for embeddings.

One rule: money and tokens are reserved for them and settled, by all limits and budgets of the client's key; they are no requests
of the client's, so limits on requests and on what runs do not count them.
"""

from collections.abc import Callable
from typing import Final

from gatewright.errors import Refused
from gatewright.exchange import Exchange
from gatewright.pipeline.granted import Granted
from gatewright.pipeline.held import Holding
from gatewright.pipeline.limit import Limits
from gatewright.stores.counters import Reserved

KEPT: Final = 4096
_CLIENTS: Final = frozenset(("requests", "concurrent"))


class Beside:
    """Asked before each such call."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._granted: dict[Granted, Granted] = {}

    async def reserved(self, exchange: Exchange) -> bool:
        """Whether what it may cost is held from now on, in `exchange.held` where anything limits it; else it must not be made."""
        try:
            wanted = self.limits.wanted(exchange, self.limits.ways.clock())
        except Refused:  # it has no price, and a budget applies
            return False
        if wanted is None:
            return True
        granted = self._granted.get(wanted.granted)
        if granted is None:
            if len(self._granted) >= KEPT:
                self._granted.clear()
            meters = tuple(meter for meter in wanted.granted.meters if meter.unit not in _CLIENTS)
            granted = self._granted[wanted.granted] = Granted(meters)
        if not granted.meters:
            return True
        ways = wanted.ways
        claims = [(meter, cost) for meter, cost in wanted.claims if meter.unit not in _CLIENTS]
        holding = Holding(ways, granted, wanted.reads, wanted.writes, wanted.micros, wanted.sure)
        got = ways.counters.reserve(claims, ways.clock())
        if got is None:
            got = await ways.counters.ask(claims, ways.clock())
        if not isinstance(got, Reserved):
            return False
        holding.taken = got
        exchange.held = holding
        return True

    @staticmethod
    def settle(exchange: Exchange, write_down: Callable[[], None]) -> None:
        """Its end is known: what it cost, then `write_down`, then what was held for it is let go."""
        held = exchange.held
        if held is None:
            write_down()
            return
        held.reckon(exchange)
        try:
            write_down()
        finally:
            held.settle(exchange)
