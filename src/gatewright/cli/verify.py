"""`gatewright usage verify`: whether journal, rows, rollups and budgets agree."""

from pathlib import Path
from typing import Annotated

import typer

from gatewright.bookkeeping import JOURNALS, database_of
from gatewright.cli.source import give_up, read_config
from gatewright.costing import prices_of
from gatewright.record.verify import told
from gatewright.record.verify import verify as look

DISAGREE = 1
"""Exit code where something does not add up."""


def verify(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file. Default: as for `serve`.")] = None,
) -> None:
    """Check that journals, requests, attempts and hourly sums agree. Every disagreement is a line; then the exit code is 1."""
    from gatewright.stores.sql import BadDatabase, DatabaseError, migrate  # noqa: PLC0415 - takes its time

    settings = read_config(config)
    try:
        engine = database_of(settings)
        migrate(engine)
        found = look(engine, Path(settings.server.state_dir) / JOURNALS, prices_of(settings).price)
    except BadDatabase as error:
        give_up(str(error))
    except DatabaseError as error:
        give_up(f"the database cannot be asked: {str(error).splitlines()[0]}")
    for line in told(found):
        typer.echo(line, err=line in found.problems)
    if found.problems:
        raise typer.Exit(DISAGREE)
