"""The price list: what models cost, and how much fits in. Nothing is fetched.

It comes with the package `genai-prices`, or was put into the state folder by `gatewright prices update`.
One rule: loading takes a third of a second and belongs in a thread; until then, and of what it does not know, nothing is told.
https://github.com/pydantic/genai-prices
"""

import json
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from gatewright.providers.facts import NOTHING, Facts
from gatewright.providers.price_rates import Rates, Steps, rates_of

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, PriceVariant, Provider

log = logging.getLogger("gatewright")

KEPT: Final = 10_000
"""Names whose prices are remembered."""
FILE_NAME: Final = "prices.json"
"""In the state folder: a list that is used in place of the package's."""
_MICROS: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ALWAYS: Final = (0, 1 << 62)


class BadList(Exception):
    """A file that is no price list; says why."""


class PriceBook:
    """The price list. Empty until `load`."""

    def __init__(self, file: Path | None = None) -> None:
        """`file`: the list that is used where it exists. May be shared among threads."""
        self._file = file
        self._providers: dict[str, Provider] = {}
        self._all: list[Provider] = []
        self._found: dict[tuple[str, str], tuple[int, Facts]] = {}
        self._lock = threading.Lock()
        self.loaded = False
        self.source = ""
        """Which list it is, for the ledger."""

    def load(self) -> None:
        """Read the list; blocks for about 0.3 s, once. Without the package there are no prices."""
        if not self.loaded:
            with self._lock:
                self._load_once()

    def _load_once(self) -> None:
        if not self.loaded:
            self._all, self.source = self._read()
            self._providers = {provider.id: provider for provider in self._all}
            self.loaded = True

    def _read(self) -> "tuple[list[Provider], str]":
        if self._file is not None and self._file.exists():
            try:
                return read_list(self._file.read_bytes()), f"{self._file.name} of {_day_of(self._file)}"
            except (OSError, BadList) as error:
                log.warning("warning: %s is not used, but the list that comes with the gateway: %s", self._file, error)
        try:
            from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - slow, and mostly not needed

            return get_snapshot().providers, f"genai-prices {version('genai-prices')}"
        except (ImportError, PackageNotFoundError):
            return [], ""

    def facts(self, host: str, model: str) -> Facts:
        """What the list says of a model of `host`, which is the list's own name for it (`Host.price`)."""
        if not self.loaded:
            return NOTHING
        now = int(datetime.now(tz=UTC).timestamp() * _MICROS)
        until, facts = self._found.get((host, model), (0, NOTHING))
        if until <= now:
            entry = self.find(host, model)
            until, facts = (ALWAYS[1], NOTHING) if entry is None else (entry.window(now)[1], _facts(entry, now))
            if len(self._found) >= KEPT:
                self._found.clear()
            self._found[host, model] = until, facts
        return facts

    def find(self, host: str, model: str) -> "PriceEntry | None":
        """The list's entry for a model; None where it has none, or is not loaded. Not remembered here."""
        provider = self._providers.get(host)
        info = None if provider is None else provider.find_model(model, all_providers=self._all)
        if info is None:
            return None
        assert provider is not None
        return PriceEntry(info, own=any(info is one for one in provider.models))

    def hosts(self) -> "Mapping[str, Provider]":
        """Every host of the list by its name there."""
        return self._providers


class PriceEntry(msgspec.Struct, frozen=True, eq=False):
    """One model of the list, with its history, its hours and its tiers of service."""

    info: "ModelInfo"
    own: bool
    """False: another host's model, whose tiers of service this host may not have."""

    @property
    def contexts(self) -> frozenset[str]:
        """What tiers are told apart by: `service_tier`, `processing`, `speed`, …"""
        return frozenset(key for variant in self._variants() for key in variant.when)

    def rates(self, at: int, context: Mapping[str, str]) -> tuple[Rates | None, str]:
        """(the price, the day from which it holds), at so many microseconds since 1970. None: it is of a kind unknown here."""
        when = moment(at)
        standard, since = self._standard(when)
        prices = {key: _steps(price) for key, price in standard.__dict__.items() if price is not None}
        over: dict[str, Steps] = {}
        for variant in self._variants():
            if (variant.constraint is None or variant.constraint.active(when)) and _is_for(variant.when, context):
                for key, price in variant.prices.__dict__.items():
                    if price is not None and key not in over:
                        over[key] = _steps(price)
                        since = _since(variant.constraint) or since
        return rates_of({**prices, **over}), since

    def every_context(self) -> Iterator[Mapping[str, str]]:
        """Each tier that has a price of its own."""
        yield {}
        for variant in self._variants():
            yield variant.when

    def window(self, at: int) -> tuple[int, int]:
        """[since, until) in microseconds since 1970: no price of this model changes within."""
        when = moment(at)
        day = when.replace(hour=0, minute=0, second=0, microsecond=0)
        edges: list[datetime] = []
        constraints = [variant.constraint for variant in self._variants()]
        if isinstance(self.info.prices, list):
            constraints += [price.constraint for price in self.info.prices]
        for constraint in constraints:
            start = getattr(constraint, "start_date", None)
            if start is not None:
                edges.append(datetime(start.year, start.month, start.day, tzinfo=UTC))
            for name in ("start_time", "end_time"):
                time = getattr(constraint, name, None)
                if time is not None:
                    for days in (-1, 0, 1):
                        edge = datetime.combine((day + timedelta(days=days)).date(), time)
                        edges.append(edge.replace(tzinfo=UTC) if edge.tzinfo is None else edge.astimezone(UTC))
        since = max((micros_since(edge) for edge in edges if edge <= when), default=ALWAYS[0])
        return since, min((micros_since(edge) for edge in edges if edge > when), default=ALWAYS[1])

    def _standard(self, when: datetime) -> "tuple[ModelPrice, str]":
        prices = self.info.prices
        if not isinstance(prices, list):
            return prices, ""
        for price in reversed(prices):  # the last that is in force
            if price.constraint is None or price.constraint.active(when):
                return price.prices, _since(price.constraint)
        return prices[0].prices, ""

    def _variants(self) -> "Iterable[PriceVariant]":
        return (self.info.price_variants or ()) if self.own else ()


def moment(at: int) -> datetime:
    """Of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=min(max(at, 0), 1 << 56))


def micros_since(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(microseconds=1)


def read_list(document: bytes) -> "list[Provider]":
    """A price list in genai-prices' own form (its data.json), checked. Raises BadList."""
    from genai_prices.types import (  # noqa: PLC0415 - slow, and mostly not needed
        ModelPrice,
        _providers_from_raw,  # the reader that the package's own updates go through
    )

    try:
        raw = json.loads(document, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise BadList(f"it is no JSON: {str(error)[:120]}") from None
    if not isinstance(raw, list) or not raw:
        raise BadList("it is no list of hosts, as genai-prices' data.json is")
    try:
        providers: list[Provider] = _providers_from_raw(raw)
    except Exception as error:  # noqa: BLE001 - pydantic's, and whatever hostile text makes of its normalizing
        raise BadList(f"it is no price list of genai-prices: {' '.join(str(error).split())[:300]}") from None
    for provider in providers:
        for info in provider.models:
            for prices in _all_prices(info):
                assert isinstance(prices, ModelPrice)
                _check(f"{provider.id}/{info.id}", prices)
    return providers


def _all_prices(info: "ModelInfo") -> "Iterator[ModelPrice]":
    if isinstance(info.prices, list):
        if not info.prices:
            raise BadList(f"{info.id} has no price at all")
        yield from (price.prices for price in info.prices)
    else:
        yield info.prices
    yield from (variant.prices for variant in info.price_variants or ())


def _check(name: str, prices: "ModelPrice") -> None:
    for key, price in prices.__dict__.items():
        if price is None:
            continue
        try:
            steps = _steps(price)
        except (ValueError, TypeError, AttributeError, OverflowError):
            raise BadList(f"{name}: {key} is no price") from None
        if any(not 0 <= dollars < _MICROS for _, dollars in steps):
            raise BadList(f"{name}: {key} is below 0 or above a million dollars")


def _steps(price: object) -> Steps:
    if isinstance(price, Decimal):
        return ((-1, Fraction(price)),)
    base, tiers = price.base, price.tiers  # type: ignore[attr-defined]  # a TieredPrices, which must not be loaded for this
    return (-1, Fraction(base)), *((int(tier.start), Fraction(tier.price)) for tier in tiers)


def _is_for(when: Mapping[str, str], context: Mapping[str, str]) -> bool:
    return all(context.get(key) == value for key, value in when.items())


def _since(constraint: object) -> str:
    start = getattr(constraint, "start_date", None)
    return "" if start is None else str(start)


def _day_of(file: Path) -> str:
    return datetime.fromtimestamp(file.stat().st_mtime, tz=UTC).date().isoformat()


def _facts(entry: PriceEntry, now: int) -> Facts:
    standard, _ = entry._standard(moment(now))  # noqa: SLF001 - of this file
    return Facts(
        title=entry.info.name,
        context=entry.info.context_window,
        input_usd=_base(standard.__dict__.get("input_mtok")),
        output_usd=_base(standard.__dict__.get("output_mtok")),
    )


def _base(price: object) -> Decimal | None:
    """The price of the first token: lists show no tiers."""
    if price is None or isinstance(price, Decimal):
        return price
    base: Decimal = price.base  # type: ignore[attr-defined]  # a TieredPrices
    return base
