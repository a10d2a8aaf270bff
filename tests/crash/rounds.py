"""Rounds of load with a death in each, and the books looked at after each. Run by `python -m tests.crash`, and a few by pytest."""

import asyncio
import random
from pathlib import Path
from typing import Literal

from tests.crash.postgres import Postgres
from tests.crash.redis import Redis
from tests.crash.site import Site, summary
from tests.serving import upstream

Death = Literal["worker", "gateway", "database", "counters"]
LOAD_S = 1.2


async def one_round(site: Site, death: Death, postgres: Postgres | None, redis: Redis | None) -> None:
    """Load; somewhere within it, a death; then what has died is back, and everything that was seen is in the books."""
    loading = asyncio.create_task(site.load(LOAD_S))
    await asyncio.sleep(0.1 + site.chance.random() * (LOAD_S - 0.3))
    if death == "worker":
        site.kill_a_worker()
    elif death == "gateway":
        await site.kill_all()
        await site.start()
    elif (died := postgres if death == "database" else redis) is not None:
        died.kill()
        await asyncio.sleep(site.chance.random() * 0.5)
        died.start()
        await died.answers()
    await loading
    await site.caught_up()
    site.audit()
    await site.audit_budgets()


async def run(folder: Path, rounds: int, *, seed: int, database: bool = False, tell=lambda _line: None) -> str:
    """So many rounds, and what came of them. `database`: with a PostgreSQL and a Redis that are killed too."""
    chance = random.Random(seed)
    postgres = Postgres() if database else None
    redis = Redis(folder / "redis") if database else None
    state = folder / "state"
    state.mkdir()
    site = None
    async with upstream() as up:
        try:
            for one in (postgres, redis):
                if one is not None:
                    one.start()
                    await one.answers()
            urls = {} if postgres is None or redis is None else {"database": postgres.url, "counters": redis.url}
            site = Site(state, up, **urls, chance=chance)
            await site.start()
            for number in range(1, rounds + 1):
                deaths: tuple[Death, ...] = ("worker", "gateway", "worker")
                if postgres is not None:
                    deaths = ("worker", "database", "counters", "gateway")
                death = deaths[(number - 1) % len(deaths)] if rounds < 6 else chance.choice(deaths)
                before = len(site.seen)
                await one_round(site, death, postgres, redis)
                tell(f"round {number}: {death} died; {len(site.seen) - before} answers seen whole, all of them in the ledger")
            await site.stop()
            site.audit()
            return summary(site)
        finally:
            if site is not None:
                await site.stop()
            for one in (postgres, redis):
                if one is not None:
                    one.close()
