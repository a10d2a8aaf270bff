"""The commands of whoever hands out keys, put beside the others.

One rule: a server does without them, and without what they import.
"""

import typer

from gatewright.cli import keys, teams


def add_to(app: typer.Typer) -> None:
    app.add_typer(keys.app, name="keys")
    app.add_typer(teams.organizations, name="organizations")
    app.add_typer(teams.teams, name="teams")
    app.add_typer(teams.users, name="users")
    app.add_typer(teams.limits, name="limits")
    app.add_typer(teams.budgets, name="budgets")
    app.command()(teams.audit)
