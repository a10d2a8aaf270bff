"""Prices for people: a model's price as a row, and what one list says otherwise than another. Pure.

One rule: what a model has no price of its own for is an empty cell; figures are exact text.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from gatewright.jsontypes import JsonObject
from gatewright.providers.price_rates import AXES, Rates
from gatewright.providers.prices import PriceEntry, micros_since

if TYPE_CHECKING:
    from genai_prices.types import Provider

HEADINGS: Final[Mapping[str, str]] = {
    "input": "in",
    "cache_read": "cache read",
    "cache_write_5m": "write",
    "cache_write_1h": "write 1h",
    "audio_in": "sound in",
    "output": "out",
    "reasoning": "thoughts",
    "audio_out": "sound out",
    "beyond": "dearer from",
    "since": "since",
}
"""Columns of the table, by the row's keys."""
_OF: Final = {"cache_read": 0, "cache_write_5m": 0, "cache_write_1h": 2, "audio_in": 0, "reasoning": 5, "audio_out": 5}
"""What an axis costs where it has no price of its own: as this one."""


def row_of(host: str, model: str, rates: Rates | None, since: str, source: str) -> JsonObject:
    """Dollars for a million tokens, as text. None: it has none of its own, or it is unknown."""
    row: JsonObject = {"host": host, "model": model}
    for at, axis in enumerate(AXES):
        own = rates is not None and not rates.untold and _own(rates, axis)
        row[axis] = text_of(Fraction(rates.brackets[0][at], rates.scale)) if rates is not None and own else None
    row["beyond"] = None if rates is None else " ".join(f"{bound // 1000}k" for bound in rates.bounds) or None
    row["since"] = since or None
    row["source"] = source
    return row


def text_of(dollars: Fraction) -> str:
    """`1.25`: exact where it has an end, else to ten places."""
    return format((Decimal(dollars.numerator) / Decimal(dollars.denominator)).quantize(Decimal("1e-10")).normalize(), "f")


class Change(msgspec.Struct, frozen=True):
    kind: Literal["new", "gone", "changed"]
    told: str


def changes(old: "Mapping[str, Provider]", new: "Mapping[str, Provider]", when: datetime) -> list[Change]:
    """What `new` says otherwise: changed prices first, then what is gone, then what is new."""
    before, after = _all_rates(old, when), _all_rates(new, when)
    found = [
        Change("changed", f"changed: {name}: {_short(before[name])} → {_short(after[name])}")
        for name in before
        if name in after and before[name] != after[name]
    ]
    found += [Change("gone", f"gone:    {name}: {_short(before[name])}") for name in before if name not in after]
    found += [Change("new", f"new:     {name}: {_short(after[name])}") for name in after if name not in before]
    return found


def _all_rates(hosts: "Mapping[str, Provider]", when: datetime) -> dict[str, Rates | None]:
    at = micros_since(when)
    entries = ((f"{host}/{info.id}", PriceEntry(info, own=True)) for host, listed in hosts.items() for info in listed.models)
    return {name: entry.rates(at, {})[0] for name, entry in entries}


def _own(rates: Rates, axis: str) -> bool:
    """Whether it costs something else than what it is part of."""
    return axis not in _OF or rates.brackets[0][AXES.index(axis)] != rates.brackets[0][_OF[axis]]


def _short(rates: Rates | None) -> str:
    if rates is None:
        return "of a kind that this gateway does not understand"
    read, written = (text_of(Fraction(rates.brackets[0][at], rates.scale)) for at in (0, 5))
    told = [f"{axis} {text_of(Fraction(rates.brackets[0][AXES.index(axis)], rates.scale))}" for axis in _OF if _own(rates, axis)]
    return ", ".join((f"{read} in", f"{written} out", *told)) + (" and beyond" if rates.bounds else "")
