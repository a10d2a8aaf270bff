"""Prices that the operator states, which go before the price list: contracts, own machines, deployments with names of their own.

One rule: the rule that names a model most exactly holds: one without a `*`, else the one with the longest fixed text.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

import msgspec

from gatewright.providers.price_rates import Rates, Steps, rates_of

Unknown = Literal["deny", "allow", "assume"]
"""What becomes of a request whose price nobody knows, where a budget applies."""

KEY_OF: Final[Mapping[str, str]] = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "reasoning": "output_reasoning_mtok",
    "audio_in": "input_audio_mtok",
    "audio_out": "output_audio_mtok",
    "image_in": "input_image_mtok",
    "image_out": "output_image_mtok",
    "request": "requests_kcount",
    "web_search": "web_searches_kcount",
    "audio_hour": "audio_hours",
}
"""The configuration's words → the price list's."""
_FOR_ONE: Final = frozenset(("request", "web_search"))
"""Said for one, and listed for a thousand."""


class Stated(msgspec.Struct, frozen=True):
    """One rule."""

    pattern: str
    """`provider/model`, with one `*` for any text."""
    dollars: Mapping[str, Decimal] = {}
    """By the words of `KEY_OF`; for a million tokens."""
    beyond: tuple[tuple[int, Mapping[str, Decimal]], ...] = ()
    """(tokens read, the prices of requests that read more), rising; what they leave out stays."""
    like: tuple[str, str] | None = None
    """(host, model) of the price list: as that; a `*` is what the pattern's `*` took. `dollars` are empty then."""
    factor: Decimal = Decimal(1)
    """Of the list's price: 0.8 for a fifth off."""

    def taken(self, target: str) -> str | None:
        """What the `*` stands for in a target; None where the rule is not for it."""
        head, star, tail = self.pattern.partition("*")
        if not star:
            return "" if target == head else None
        fits = len(target) >= len(head) + len(tail) and target.startswith(head) and target.endswith(tail)
        return target[len(head) : len(target) - len(tail)] if fits else None

    @property
    def is_whole(self) -> bool:
        """Whether it says all prices itself."""
        return bool(self.dollars or self.beyond)

    def listed(self, host: str, model: str, target: str) -> tuple[str, str]:
        """(host, model) whose price in the list holds for a target, which is `host` and `model` there itself."""
        if self.like is None:
            return host, model
        return self.like[0], self.like[1].replace("*", self.taken(target) or "", 1)


class PriceRules(msgspec.Struct, frozen=True, eq=False):
    """All that a configuration says of prices."""

    hosts: Mapping[str, str] = {}
    """Provider → its name in the price list. None of those whose server is somebody else's."""
    stated: tuple[Stated, ...] = ()
    unknown: Unknown = "allow"
    batches: Literal["deny", "allow"] = "deny"
    assume: tuple[Decimal, Decimal] = (Decimal(3), Decimal(15))
    """Dollars for a million tokens read, and written."""

    def for_target(self, target: str) -> Stated | None:
        fitting = [rule for rule in self.stated if rule.taken(target) is not None]
        return max(fitting, key=lambda rule: ("*" not in rule.pattern, len(rule.pattern)), default=None)


def stated_rates(rule: Stated) -> Rates:
    """What a rule with prices of its own comes to."""
    prices: dict[str, Steps] = {}
    for word, key in KEY_OF.items():
        steps = [(-1, rule.dollars[word])] if word in rule.dollars else []
        steps += [(over, more[word]) for over, more in rule.beyond if word in more]
        if steps and steps[0][0] != -1:  # only beyond: until then it is what it is part of
            steps.insert(0, (-1, _parent(rule.dollars, word)))
        if steps:
            prices[key] = tuple((over, Fraction(price) * (1000 if word in _FOR_ONE else 1)) for over, price in steps)
    rates = rates_of(prices)
    assert rates is not None
    return rates


def _parent(dollars: Mapping[str, Decimal], word: str) -> Decimal:
    own = {"cache_write_1h": "cache_write"}.get(word, "")
    return dollars.get(own, dollars.get("output" if word in ("reasoning", "audio_out", "image_out") else "input", Decimal(0)))


def assumed_rates(assume: Sequence[Decimal]) -> Rates:
    rates = rates_of({"input_mtok": ((-1, Fraction(assume[0])),), "output_mtok": ((-1, Fraction(assume[1])),)})
    assert rates is not None
    return rates
