"""`gatewright usage verify`: whether journal, rows, rollups and budgets agree."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatewright.admitting import declared_by
from gatewright.bookkeeping import JOURNALS, database_of
from gatewright.cli.source import give_up, read_config
from gatewright.config import Config
from gatewright.costing import prices_of
from gatewright.limiting import counters_of, everybody, now_us
from gatewright.limits.meters import Meter, meters_of
from gatewright.limits.terms import Scope
from gatewright.record.budgets import Compared, compare
from gatewright.record.verify import told
from gatewright.record.verify import verify as look

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

DISAGREE = 1
"""Exit code where something does not add up."""


def verify(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file. Default: as for `serve`.")] = None,
    mend: Annotated[bool, typer.Option("--mend", help="Set budgets to what the ledger says. Only while nothing runs.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Check that journals, requests, attempts, sums and budgets agree. Every disagreement is a line; then the exit code is 1."""
    from gatewright.stores.sql import BadDatabase, DatabaseError, migrate  # noqa: PLC0415 - takes its time

    settings = read_config(config)
    try:
        engine = database_of(settings)
        migrate(engine)
        found = look(engine, Path(settings.server.state_dir) / JOURNALS, prices_of(settings).price)
        budgets = asyncio.run(_budgets(settings, engine, mend=mend))
    except BadDatabase as error:
        give_up(str(error))
    except DatabaseError as error:
        give_up(f"the database cannot be asked: {str(error).splitlines()[0]}")
    except ValueError as error:  # of the counters' configuration
        give_up(str(error))
    for line in (*found.problems, *budgets.problems):
        typer.echo(line, err=True)
    for line in (*(f"note: {note}" for note in (*found.notes, *budgets.notes)), *told(found, budgets.problems)):
        typer.echo(line)
    if found.problems or budgets.problems:
        raise typer.Exit(DISAGREE)


async def _budgets(settings: Config, engine: "Engine", *, mend: bool) -> Compared:
    meters = budget_meters(settings, engine)
    if not meters:
        return Compared()
    counters = counters_of(settings)
    try:
        return await compare(engine, counters, meters, now_us(), mend=mend)
    finally:
        await counters.close()


def budget_meters(settings: Config, engine: "Engine") -> tuple[Meter, ...]:
    """Of every budget there is, declared or stored. Raises DatabaseError."""
    from gatewright.stores.principals import PrincipalStore  # noqa: PLC0415 - takes its time

    stored, _ = PrincipalStore(engine).everything(keys=False)
    granted = {**stored.granted, **declared_by(settings).granted}
    scopes = [everybody(settings), *(Scope(level, owner, has.limits, has.budgets) for (level, owner), has in granted.items())]
    return tuple(meter for scope in scopes for meter in meters_of(scope) if meter.is_budget)
