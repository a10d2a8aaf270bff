"""From the configuration to what calls cost: whose price list holds for a provider, and what the operator says instead.

Part of the composition root.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from gatewright.bookkeeping import database_file
from gatewright.config import Config
from gatewright.pipeline.live_lists import domain
from gatewright.principals.records import Granted
from gatewright.providers.catalog import HOSTS
from gatewright.providers.price_rules import PriceRules
from gatewright.providers.prices import FILE_NAME, PriceBook
from gatewright.providers.pricing import Prices


def list_file(config: Config) -> Path:
    """Where a price list lies that is used in place of the package's."""
    return Path(config.server.state_dir) / FILE_NAME


def list_names(config: Config) -> Mapping[str, str]:
    """Provider → its host's name in the price list; another's server has prices of its own."""
    rows = ((name, provider, HOSTS[provider.kind]) for name, provider in config.providers.items())
    return {name: host.price for name, provider, host in rows if domain(provider.base_url) == domain(host.base_url)}


def rules_of(config: Config) -> PriceRules:
    return msgspec.structs.replace(config.pricing, hosts=list_names(config))


def prices_of(config: Config) -> Prices:
    """Nothing is loaded yet."""
    return Prices(PriceBook(list_file(config)), rules_of(config))


def has_money(config: Config) -> bool:
    """Whether anything asks what calls cost from the beginning: the ledger, what limits money at any level, a key that is told.

    What is stored may limit it too: a database is taken for one that does.
    """
    if config.ledger.enabled or config.database is not None or database_file(config).exists():
        return True
    everybody = Granted(config.limits.limits, config.limits.budgets)
    granted = (everybody, *config.principals.granted.values(), *(key.granted for key in config.keys))
    return any(limits_money(one) for one in granted) or any(key.show_cost for key in config.keys)


def limits_money(granted: Granted) -> bool:
    return bool(granted.budgets) or any(limit.unit == "micros" for limit in granted.limits)
