"""List prices and context sizes from the price list that comes with the package `genai-prices`. Nothing is fetched.

One rule: loading costs a third of a second and happens when somebody asks for a list of models, in a thread; until then, and for
what the list does not know, nothing is told.
https://github.com/pydantic/genai-prices
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from gatewright.providers.facts import NOTHING, Facts

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider, TieredPrices

KEPT: Final = 10_000
"""Names whose prices are remembered."""


class PriceBook:
    """The price list. Empty until `load`."""

    def __init__(self) -> None:
        self._providers: dict[str, Provider] = {}
        self._all: list[Provider] = []
        self._found: dict[tuple[str, str], Facts] = {}
        self.loaded = False

    def load(self) -> None:
        """Read the list; blocks for about 0.3 s, once. Without the package there are no prices."""
        if self.loaded:
            return
        try:
            from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - slow, and mostly not needed
        except ImportError:
            self.loaded = True
            return
        self._all = get_snapshot().providers
        self._providers = {provider.id: provider for provider in self._all}
        self.loaded = True

    def facts(self, host: str, model: str) -> Facts:
        """What the list says of a model of `host`, which is the list's own name for it (`Host.price`)."""
        if not self.loaded:
            return NOTHING
        found = self._found.get((host, model))
        if found is None:
            if len(self._found) >= KEPT:
                self._found.clear()
            found = self._found[host, model] = self._look_up(host, model)
        return found

    def _look_up(self, host: str, model: str) -> Facts:
        provider = self._providers.get(host)
        info = None if provider is None else provider.find_model(model, all_providers=self._all)
        return NOTHING if info is None else _facts(info)


def _facts(info: "ModelInfo") -> Facts:
    price = info.get_prices(datetime.now(tz=UTC))
    return Facts(
        title=info.name,
        context=info.context_window,
        input_usd=_base(price.input_mtok),
        output_usd=_base(price.output_mtok),
    )


def _base(price: "Decimal | TieredPrices | None") -> Decimal | None:
    """The price of the first token: lists show no tiers."""
    if price is None or isinstance(price, Decimal):
        return price
    return price.base
