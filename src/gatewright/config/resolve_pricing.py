"""Prices: the file's section made into the rules' own terms.

One rule: a figure is taken as it is written; `0.1` is a tenth and not what a machine's fractions make of it.
"""

from collections.abc import Container, Mapping
from decimal import Decimal
from typing import Final

from gatewright.config.references import Desk
from gatewright.config.schema_pricing import PriceSection, PricingSection, TokenPrices
from gatewright.config.suggest import hint
from gatewright.config.tree import KeyPath
from gatewright.providers.catalog import HOSTS
from gatewright.providers.price_rules import KEY_OF, PriceRules, Stated

_OF_TOKENS: Final = tuple(TokenPrices.model_fields)


def resolve_pricing(section: PricingSection, providers: Container[str], desk: Desk) -> PriceRules:
    """Without `hosts`: those follow of the providers."""
    stated = (_stated(name, price, ("pricing", "models", name), providers, desk) for name, price in section.models.items())
    return PriceRules(
        stated=tuple(rule for rule in stated if rule is not None),
        unknown=section.unknown,
        batches=section.batches,
        assume=(_exact(section.assume.input), _exact(section.assume.output)),
    )


def _stated(name: str, section: PriceSection, path: KeyPath, providers: Container[str], desk: Desk) -> Stated | None:
    provider, slash, model = name.partition("/")
    if not slash or not model or name.count("*") > 1:
        desk.wrong(path, f'expected provider/model, with at most one "*", got "{name}"', key=True)
        return None
    if "*" not in provider and provider not in providers:
        desk.wrong(path, f'no provider "{provider}"', key=True)
        return None
    dollars = {word: _exact(price) for word in KEY_OF if (price := getattr(section, word)) is not None}
    if section.like is not None or section.factor is not None:
        if dollars or section.beyond:
            desk.wrong(path, 'prices of its own, or "like" and "factor", not both')
            return None
        return Stated(name, like=_like(section.like, name, path, desk), factor=_exact(section.factor or 1))
    if not dollars and not section.beyond:
        if not desk.told(path, tuple(PriceSection.model_fields)):
            desk.wrong(path, "says no price; 0 is one")
        return None
    beyond = sorted(((more.tokens, _tokens_of(more)) for more in section.beyond), key=lambda pair: pair[0])
    if len({tokens for tokens, _ in beyond}) != len(beyond):
        desk.wrong((*path, "beyond"), "the same number of tokens twice")
        return None
    return Stated(name, dollars=dollars, beyond=tuple(beyond))


def _like(written: str | None, name: str, path: KeyPath, desk: Desk) -> tuple[str, str] | None:
    """The list's names of host and model. A host is meant by the catalogue's name for it, or by the list's."""
    if written is None:
        return None
    host, _, model = written.partition("/")
    if "*" in written and ("*" not in name or written.count("*") > 1 or "*" in host):
        desk.wrong((*path, "like"), 'a "*" stands for what the name\'s own "*" takes, in the model\'s name, once')
        return None
    if host in HOSTS:
        host = HOSTS[host].price
    known = {row.price for row in HOSTS.values() if row.price}
    if host not in known:
        desk.wrong((*path, "like"), f'no host "{host or written}" in the price list{hint(host, sorted(known))}')
        return None
    return host, model


def _tokens_of(section: TokenPrices) -> Mapping[str, Decimal]:
    return {word: _exact(price) for word in _OF_TOKENS if (price := getattr(section, word)) is not None}


def _exact(figure: float) -> Decimal:
    return Decimal(str(figure))
