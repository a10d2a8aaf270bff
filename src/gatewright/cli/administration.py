"""The commands of whoever hands out keys and looks at traces, put beside the others.

One rule: a server does without them, and without what they import.
"""

import typer

from gatewright.cli import keys, teams
from gatewright.cli.reload import reload
from gatewright.cli.replay import replay
from gatewright.cli.traces import traces_app


def add_to(app: typer.Typer) -> None:
    app.add_typer(keys.app, name="keys")
    app.add_typer(teams.organizations, name="organizations")
    app.add_typer(teams.teams, name="teams")
    app.add_typer(teams.users, name="users")
    app.add_typer(teams.limits, name="limits")
    app.add_typer(teams.budgets, name="budgets")
    app.command()(teams.audit)
    app.command()(reload)
    app.add_typer(traces_app, name="traces")
    app.command()(replay)
