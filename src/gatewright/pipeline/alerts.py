"""Who is told that a budget comes to its end: the log, and the operator's webhook.

One rule: no request waits for it, and each threshold of each period is told once, however many workers see it.
"""

import asyncio
import datetime as dt
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

import msgspec

from gatewright.errors import GatewrightError
from gatewright.limits.meters import US, Meter
from gatewright.limits.terms import Budget
from gatewright.pipeline.limit_words import dollars, granted, who
from gatewright.stores.counters import Counters, Denied

log = logging.getLogger("gatewright")

Post: TypeAlias = Callable[[str, str, Mapping[str, str], bytes, float], Awaitable[tuple[int, Mapping[str, str], bytes]]]
"""`transport.plain_fetch.PlainFetch`."""

DEADLINE_S: Final = 5.0
TRIES: Final = 3
PAUSE_S: Final = 2.0
"""Before the second try; twice as long before the third."""
MOST_WAITING: Final = 256
KEPT: Final = 10_000
"""Thresholds that this process remembers to have seen."""


class BudgetAlerts:
    """Implements `held.Tell`. Within one event loop."""

    def __init__(self, counters: Counters, clock: Callable[[], int], post: Post | None = None, url: str = "") -> None:
        """`clock`: microseconds since 1970. `url`: empty: only the log is told."""
        self._counters = counters
        self._clock = clock
        self._post = post
        self._url = url
        self._seen: set[tuple[bytes, float, int]] = set()
        self._waiting: deque[tuple[Meter, float]] = deque()
        self._task: asyncio.Task[None] | None = None

    def __call__(self, meter: Meter, left: int, now: int) -> None:
        """So much of the budget is left. Never raises nor waits."""
        threshold = reached(meter, meter.amount - left)
        if threshold is None:
            return
        seen = (meter.key, threshold, since(meter, now))
        if seen in self._seen or len(self._waiting) >= MOST_WAITING:
            return
        if len(self._seen) >= KEPT:
            self._seen.clear()
        self._seen.add(seen)
        self._waiting.append((meter, threshold))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def close(self) -> None:
        """What waits is not told any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while self._waiting:
            meter, threshold = self._waiting.popleft()
            try:
                await self._tell(meter, threshold)
            except Exception:
                log.exception("budgets: an alert failed on a bug of ours")

    async def _tell(self, meter: Meter, threshold: float) -> None:
        now = self._clock()
        found = await self._counters.look([meter], now)
        used = meter.amount if found is None else found[0].used
        if used < int(meter.amount * threshold):  # what was reserved has been given back
            self._seen.discard((meter.key, threshold, since(meter, now)))
            return
        term = meter.term
        assert isinstance(term, Budget)
        once = Meter(meter.level, f"told {threshold} {meter.key.hex()}", Budget(term.period, 1, rolling_s=term.rolling_s))
        if isinstance(got := await self._counters.ask([(once, 1)], now), Denied) and got.meter is not None:
            return  # another worker told
        log.warning("budgets: %s has used %s of %s", who(meter), dollars(used), granted(meter))
        if self._post is None or not self._url:
            return
        body = msgspec.json.encode(
            {
                "event": "budget.threshold",
                "level": meter.level,
                "id": meter.id,
                "threshold": threshold,
                "used_micros": used,
                "budget_micros": meter.amount,
                "per": f"{term.rolling_s} s" if term.period == "rolling" else term.period,
                "models": term.models,
                "stops": term.hard,
                "at": dt.datetime.fromtimestamp(now // US, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )
        await self._send(self._post, body)

    async def _send(self, post: Post, body: bytes) -> None:
        why = ""
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(PAUSE_S * attempt)
            try:
                status, _, _ = await post("POST", self._url, {"content-type": "application/json"}, body, DEADLINE_S)
            except (GatewrightError, OSError) as error:
                why = str(error)
                continue
            if status < 400:
                return
            why = f"it answered {status}"
        log.warning("budgets: the webhook was not told: %s", why[:200])


def reached(meter: Meter, used: int) -> float | None:
    """The highest threshold that so much has reached, 1 for all of it. None: none."""
    term = meter.term
    assert isinstance(term, Budget)
    passed = [share for share in (*term.soft, 1.0) if used >= int(meter.amount * share)]
    return max(passed, default=None)


def since(meter: Meter, now: int) -> int:
    """What tells a budget's period from the one before."""
    term = meter.term
    if isinstance(term, Budget) and term.period == "rolling":
        return now // US // max(1, term.rolling_s)
    return meter.start(now)
