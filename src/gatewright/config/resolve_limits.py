"""Limits and budgets: the file's sections made into the rules' own terms.

One rule: an amount is one whole number of one unit; what an operator wrote twice, or not at all, is told and never guessed.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from gatewright.config.model import CountersConfig, LimitsConfig
from gatewright.config.redis_url import redis_url
from gatewright.config.references import Desk, url_fault
from gatewright.config.schema_limits import BudgetSection, BudgetsSection, CountersSection, LimitSection
from gatewright.config.secrets import Secret
from gatewright.config.tree import KeyPath
from gatewright.limits.terms import DAY, HOUR, MINUTE, MONTH, SECOND, Budget, Limit, Unit

_PER: Final = {"second": SECOND, "minute": MINUTE, "hour": HOUR, "day": DAY, "month": MONTH}
_UNITS: Final[tuple[Unit, ...]] = ("requests", "tokens", "input_tokens", "output_tokens", "concurrent")
_AMOUNTS: Final = (*_UNITS, "dollars")
_LENGTHS: Final = {"h": HOUR, "d": DAY}


def micros_of(dollars: float) -> int:
    """Whole micro-dollars, rounded half up; never below 1."""
    return max(1, int(Decimal(str(dollars)) * 1_000_000 + Decimal("0.5")))


def resolve_limits(sections: Sequence[LimitSection], path: KeyPath, desk: Desk) -> tuple[Limit, ...]:
    """The limits at `path`, in the file's order."""
    return tuple(limit for i, section in enumerate(sections) if (limit := _limit(section, (*path, i), desk)) is not None)


def _limit(section: LimitSection, path: KeyPath, desk: Desk) -> Limit | None:
    said = [name for name in _AMOUNTS if getattr(section, name) is not None]
    if len(said) != 1:
        if not desk.told(path, _AMOUNTS):
            got = " and ".join(said) if said else "none"
            desk.wrong(path, f"expected one of {', '.join(_AMOUNTS[:-1])} or {_AMOUNTS[-1]}, got {got}")
        return None
    name, models = said[0], tuple(section.models)
    if name == "concurrent":
        if section.per is not None:
            desk.wrong((*path, "per"), "what runs at once knows no time; leave it out", key=True)
            return None
        assert section.concurrent is not None
        return Limit(0, "concurrent", section.concurrent, models)
    if section.per is None:
        if not desk.told(path, ("per",)):
            desk.wrong(path, 'missing key "per": second, minute, hour, day or month')
        return None
    if section.dollars is not None:
        return Limit(_PER[section.per], "micros", micros_of(section.dollars), models)
    unit = next(unit for unit in _UNITS if unit == name)
    return Limit(_PER[section.per], unit, getattr(section, unit), models)


def resolve_budgets(sections: Sequence[BudgetSection], path: KeyPath, desk: Desk) -> tuple[Budget, ...]:
    """The budgets at `path`, in the file's order."""
    found = (_budget(section, (*path, i), desk) for i, section in enumerate(sections))
    return tuple(budget for budget in found if budget is not None)


def _budget(section: BudgetSection, path: KeyPath, desk: Desk) -> Budget | None:
    calendar, length = section.per.calendar, section.per.rolling
    if (calendar is None) == (length is None):
        if not desk.told(path, ("per",)):
            desk.wrong((*path, "per"), "expected day, week, month, total or {rolling: 30d}")
        return None
    if section.on_exceeded == "warn" and not section.soft:
        desk.warn(path, 'without "soft" and with "on_exceeded: warn" this budget is told of only when it is all spent')
    return Budget(
        period=calendar or "rolling",
        micros=micros_of(section.dollars),
        soft=tuple(sorted(set(section.soft))),
        hard=section.on_exceeded == "stop",
        models=tuple(section.models),
        rolling_s=int(length[:-1]) * _LENGTHS[length[-1]] if length else 0,
    )


def resolve_everybody(limits: Sequence[LimitSection], budgets: BudgetsSection, desk: Desk) -> LimitsConfig:
    """What holds for everybody together."""
    webhook = None
    if budgets.webhook is not None:
        path: KeyPath = ("budgets", "webhook")
        text = desk.text(budgets.webhook.reveal(), path)
        if text is not None:
            fault = url_fault(text.strip().partition("?")[0])
            if fault is not None:  # which quotes it, and it may be a secret
                desk.wrong(path, "expected an http:// or https:// URL, such as https://hooks.example.com/budgets")
            webhook = Secret(text.strip())
    return LimitsConfig(
        limits=resolve_limits(limits, ("limits",), desk),
        budgets=resolve_budgets(budgets.everybody, ("budgets", "everybody"), desk),
        webhook=webhook,
        on_outgrown=budgets.on_outgrown,
    )


def resolve_counters(section: CountersSection, desk: Desk) -> CountersConfig:
    url = redis_url(section.url, ("counters",), desk)
    return CountersConfig(url=url, deadline_ms=section.deadline_ms, rates=section.rates, money=section.money)
