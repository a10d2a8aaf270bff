"""A ledger with some days of traffic in it, and the same added up by hand."""

import random
from collections.abc import Callable, Iterable

import msgspec
from tests.record.entries import settled, tried

from gatewright.record.entries import ENCODER, Settled, Who
from gatewright.record.rows import Cost, Rows
from gatewright.stores import ledger_sql
from gatewright.stores.ledger_rows import Mark

HOUR_US = 3_600_000_000
NOON = 20_000 * 24 + 12
"""An hour: noon of day 20000."""
TARGETS = ("openai/gpt-5", "openai/gpt-5-mini", "anthropic/claude-4.5", "google/gem_ini%")
TEAMS = ("red", "blue", "")


def priced(_provider: str, model: str, usage, _at: int) -> Cost:
    """A tenth of a cent a call; of one model nobody knows."""
    return Cost() if model == "claude-4.5" else Cost(1000 + (usage.input or 0), "list", "2026-01-01")


def who(number: int) -> Who:
    return Who(f"key_{number}", f"name {number}", f"user{number % 4}", TEAMS[number % 3], "acme" if number % 2 else "")


def lots(requests: int = 400, *, days: int = 4, seed: int = 1) -> list[Settled]:
    """Requests of `days` days around `NOON`, of a few keys, some failed, some from the cache, some with two attempts."""
    chance = random.Random(seed)
    found = []
    for number in range(requests):
        hour = NOON + chance.randrange(-12 * days, 12 * days)
        target = chance.choice(TARGETS)
        status = chance.choice((200, 200, 200, 429))
        cache = chance.choice(("", "", "hit", "miss"))
        attempts = [] if cache == "hit" else [tried(target, usage=(chance.randrange(90), None, None, None, None, 7, None, None))]
        if attempts and number % 5 == 0:
            attempts.insert(0, tried(chance.choice(TARGETS), status=500, cause="server", usage=None))
        found.append(
            settled(
                f"req_{seed}_{number}",
                *attempts,
                at=hour * HOUR_US + chance.randrange(HOUR_US),
                who=msgspec.Raw(ENCODER.encode(who(chance.randrange(6)))),
                status=status,
                outcome="ok" if status == 200 else "error",
                cache=cache,
                served=target,
                route=f"r{number % 2}",
            )
        )
    return found


def batch_of(entries: Iterable[Settled], price: Callable = priced):
    rows = Rows("traffic", price)
    for entry in entries:
        rows.settled(entry, in_flight=False)
    return rows.done()


def written(engine, entries: list[Settled], parts: int = 4) -> None:
    """Bring them to the tables in several batches, as they come."""
    mark = Mark()
    for number in range(parts):
        after = Mark(1, number + 1)
        ledger_sql.write(engine, batch_of(entries[number::parts]), mark, after, host="h", pid=1, records=1)
        mark = after
