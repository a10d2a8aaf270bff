"""Whether budgets have counted what the ledger says was spent.

One rule: a counter may be above the ledger and never below it. It counts what is reserved, and what a dead worker had reserved
stays spent; but one that has less than was spent lets too much through.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from gatewright.limits.meters import US, Meter
from gatewright.limits.terms import Budget
from gatewright.stores.counters import Counters

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine


class Compared(msgspec.Struct, frozen=True):
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    budgets: int = 0
    mended: int = 0


async def compare(engine: "Engine", counters: Counters, meters: Sequence[Meter], now: int, *, mend: bool = False) -> Compared:
    """Look at every budget. `now`: microseconds since 1970. Raises DatabaseError.

    `mend`: set the counters to what the ledger says; only where nothing runs, for what is reserved would be forgotten.
    """
    from gatewright.stores.ledger_spent import running  # noqa: PLC0415 - takes its time

    budgets = [meter for meter in meters if isinstance(meter.term, Budget)]
    seen = await counters.look(budgets, now) if budgets else []
    if seen is None:
        return Compared(notes=("budgets: the counters do not answer, so nobody can say what they have",), budgets=len(budgets))
    quiet = running(engine) == 0
    problems: list[str] = []
    notes: list[str] = []
    mended = 0
    for meter, stands in zip(budgets, seen, strict=True):
        ledger = _spent(engine, meter, now)
        if stands.used == ledger:
            continue
        name = f"budget of {meter.level} {meter.id or 'together'} per {meter.period}"
        figures = f"its counter has {stands.used} micro-dollars, the ledger {ledger}"
        if mend and quiet:
            await counters.correct(meter, ledger, now)
            mended += 1
            notes.append(f"{name}: {figures}; mended")
        elif stands.used < ledger:
            problems.append(f"{name}: {figures}: so much too much may be spent (a budget that is younger than its period?)")
        elif quiet and meter.period != "rolling":  # a window that slides counts a little more than its length
            notes.append(f"{name}: {figures}; what a dead worker had reserved stays spent, until it is mended (--mend)")
    if mend and not quiet:
        notes.append("budgets: not mended, for requests are running")
    return Compared(tuple(problems), tuple(notes), len(budgets), mended)


def _spent(engine: "Engine", meter: Meter, now: int) -> int:
    from gatewright.stores.ledger_spent import HOUR_US, spent  # noqa: PLC0415 - takes its time

    term = meter.term
    assert isinstance(term, Budget)
    if meter.period == "rolling":
        since = now - term.rolling_s * US
        if not term.models:
            since += -since % HOUR_US  # whole hours alone can be told from their sums: a little less than the window
    else:
        since = meter.start(now)
    globs = term.models
    if not globs:
        return spent(engine, meter.level, meter.id, since)
    return spent(
        engine, meter.level, meter.id, since, lambda asked, route: any(fnmatchcase(n, g) for g in globs for n in (asked, route))
    )
