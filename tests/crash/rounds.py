"""Rounds of load with a death in each, and the books looked at after each. Run by `python -m tests.crash`, and a few by pytest."""

import asyncio
import random
from pathlib import Path
from typing import Literal

from tests.crash.postgres import Postgres
from tests.crash.site import Site, summary
from tests.serving import upstream

Death = Literal["worker", "gateway", "database"]
LOAD_S = 1.2


async def one_round(site: Site, death: Death, postgres: Postgres | None) -> None:
    """Load; somewhere within it, a death; then what has died is back, and everything that was seen is in the books."""
    loading = asyncio.create_task(site.load(LOAD_S))
    await asyncio.sleep(0.1 + site.chance.random() * (LOAD_S - 0.3))
    if death == "worker":
        site.kill_a_worker()
    elif death == "gateway":
        await site.kill_all()
        await site.start()
    elif postgres is not None:
        postgres.kill()
        await asyncio.sleep(site.chance.random() * 0.5)
        postgres.start()
        await postgres.answers()
    await loading
    await site.caught_up()
    site.audit()


async def run(folder: Path, rounds: int, *, seed: int, database: bool = False, tell=lambda _line: None) -> str:
    """So many rounds, and what came of them. `database`: the ledger is in a PostgreSQL that is killed too, else in SQLite."""
    chance = random.Random(seed)
    postgres = Postgres(folder / "pg") if database else None
    state = folder / "state"
    state.mkdir()
    site = None
    async with upstream() as up:
        try:
            if postgres is not None:
                postgres.start()
                await postgres.answers()
            site = Site(state, up, database="" if postgres is None else postgres.url, chance=chance)
            await site.start()
            for number in range(1, rounds + 1):
                deaths: tuple[Death, ...] = (
                    ("worker", "worker", "gateway") if postgres is None else ("worker", "gateway", "database")
                )
                death = deaths[(number - 1) % 3] if rounds < 6 else chance.choice(deaths)
                before = len(site.seen)
                await one_round(site, death, postgres)
                tell(f"round {number}: {death} died; {len(site.seen) - before} answers seen whole, all of them in the ledger")
            await site.stop()
            site.audit()
            return summary(site)
        finally:
            if site is not None:
                await site.stop()
            if postgres is not None:
                postgres.kill()
