"""Limits and budgets as a configuration describes them: where they are counted, and the stage that asks there."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gatewright.config import Config
from gatewright.dialects import BY_NAME
from gatewright.limits.terms import Scope
from gatewright.pipeline.alerts import BudgetAlerts
from gatewright.pipeline.held import Prices, Ways
from gatewright.pipeline.limit import LimitCheck, Limits, LimitStage
from gatewright.stores.counters import Counters
from gatewright.stores.counters_batched import BatchedCounters
from gatewright.stores.counters_shared import FOLDER
from gatewright.transport.plain_fetch import PlainFetch

if TYPE_CHECKING:
    from gatewright.stores.counters_batched_redis import BatchedRedisCounters


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def counters_of(config: Config, before: Counters | None = None) -> Counters:
    """Where is counted. `before`: what is there now, which goes on where it is the same place.

    Raises ValueError where the configuration names a shared store that cannot be used.
    """
    url = "" if config.counters.url is None else config.counters.url.reveal()
    if not url:
        if not isinstance(before, BatchedCounters):
            return BatchedCounters(Path(config.server.state_dir) / FOLDER, open_when_down=_open_when_down(config))
        before.open_when_down = _open_when_down(config)
        return before
    try:
        from gatewright.stores.counters_batched_redis import BatchedRedisCounters  # noqa: PLC0415 - only where it is configured
    except ImportError:
        raise ValueError("counters: the package `redis` is not installed: pip install 'gatewright[redis]'") from None
    if isinstance(before, BatchedRedisCounters) and before.url == url:
        before.open_when_down = _open_when_down(config)
        before.deadline_s = config.counters.deadline_ms / 1000
        return before
    return BatchedRedisCounters(url, open_when_down=_open_when_down(config), deadline_s=config.counters.deadline_ms / 1000)


def _open_when_down(config: Config) -> frozenset[str]:
    """Of what is let pass uncounted while the store does not answer."""
    ways = {"rates": config.counters.rates, "money": config.counters.money}
    return frozenset(what for what, way in ways.items() if way == "open")


def everybody(config: Config) -> Scope:
    """What holds for all keys together."""
    return Scope("all", "", config.limits.limits, config.limits.budgets)


def limited(
    config: Config, counters: Counters, prices: Prices, clock: Callable[[], int] = now_us
) -> tuple[LimitCheck | LimitStage]:
    """The stage, for beneath `route`."""
    url = "" if config.limits.webhook is None else config.limits.webhook.reveal()
    tell = BudgetAlerts(counters, clock, PlainFetch(os.environ), url)
    ways = Ways(counters, prices, BY_NAME, clock, tell, config.limits.on_outgrown)
    limits = Limits(
        ways, everybody(config), unknown="deny" if config.pricing.unknown == "deny" else "allow", batches=config.pricing.batches
    )
    if isinstance(counters, BatchedCounters):
        return (LimitCheck(limits, counters),)
    return (LimitStage(limits, cast("BatchedRedisCounters", counters)),)
