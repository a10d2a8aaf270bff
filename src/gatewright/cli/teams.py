"""`gatewright organizations`, `teams`, `users`, `limits`, `budgets`, `audit`: whom keys belong to, and what is granted."""

import json
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from gatewright.admin.forms import BudgetForm, LimitForm, OrganizationForm, TeamForm, UserForm, record_of
from gatewright.admin.registrar import Shown
from gatewright.cli.principals import (
    ConfigOption,
    FormatOption,
    Many,
    Option,
    all_of,
    changed,
    console,
    form_of,
    key_named,
    pairs_of,
    registrar_of,
    show,
    show_one,
    tried,
)
from gatewright.jsontypes import JsonObject
from gatewright.principals.records import Kind

Name = Annotated[str, typer.Argument(help="Its id.")]
Models = Annotated[Many, typer.Option("--model", "-m", help="A model its keys may use, with `*` for any text. Default: all.")]
Notes = Annotated[Many, typer.Option("--metadata", help="name=value.")]
Organization = Annotated[Option, typer.Option(help="That it belongs to.")]
Team = Annotated[Option, typer.Option(help="That it belongs to.")]
Whose = Annotated[Option, typer.Option("--id", help="Id of the organization, team or user; name or id of the key.")]
Level = Annotated[str, typer.Option(help="all, organization, team, user or key.")]
Named = Annotated[Many, typer.Option("--model", "-m", help="A name asked for that counts, with `*`. Default: every name.")]

organizations = typer.Typer(help="Organizations.", no_args_is_help=True)
teams = typer.Typer(help="Teams.", no_args_is_help=True)
users = typer.Typer(help="Users.", no_args_is_help=True)
limits = typer.Typer(help="Limits on requests, tokens, money and what runs at once.", no_args_is_help=True)
budgets = typer.Typer(help="Budgets.", no_args_is_help=True)

_COLUMNS: dict[Kind, tuple[str, ...]] = {
    "organizations": ("id", "disabled", "models", "created", "declared"),
    "teams": ("id", "organization", "disabled", "models", "created", "declared"),
    "users": ("id", "team", "organization", "role", "disabled", "models", "created", "declared"),
    "limits": (
        "id", "level", "owner", "per", "requests", "tokens", "input_tokens", "output_tokens", "dollars", "concurrent", "models",
        "declared",
    ),
    "budgets": ("id", "level", "owner", "per", "dollars", "soft", "on_exceeded", "models", "declared"),
}  # fmt: skip


@organizations.command("create")
def create_organization(
    name: Name, models: Models = None, metadata: Notes = None, config: ConfigOption = None, how: FormatOption = "table"
) -> None:
    """Make an organization."""
    said: dict[str, object] = {"id": name, "models": models, "metadata": pairs_of(metadata) or None}
    _make("organizations", OrganizationForm, said, config, how)


@teams.command("create")
def create_team(  # noqa: PLR0917 - typer passes them by name
    name: Name,
    organization: Organization = None,
    models: Models = None,
    metadata: Notes = None,
    config: ConfigOption = None,
    how: FormatOption = "table",
) -> None:
    """Make a team."""
    said: dict[str, object] = {"id": name, "organization": organization, "models": models, "metadata": pairs_of(metadata) or None}
    _make("teams", TeamForm, said, config, how)


@users.command("create")
def create_user(  # noqa: PLR0917 - typer passes them by name
    name: Name,
    team: Team = None,
    organization: Organization = None,
    role: Annotated[str, typer.Option(help="With a token whose claims name none.")] = "member",
    models: Models = None,
    metadata: Notes = None,
    config: ConfigOption = None,
    how: FormatOption = "table",
) -> None:
    """Make a user."""
    said: dict[str, object] = {"id": name, "team": team, "organization": organization, "role": role, "models": models}
    _make("users", UserForm, {**said, "metadata": pairs_of(metadata) or None}, config, how)


@limits.command("create")
def create_limit(  # noqa: PLR0917 - typer passes them by name
    level: Level = "all",
    owner: Whose = None,
    per: Annotated[Option, typer.Option(help="second, minute, hour, day or month.")] = None,
    requests: Annotated[int | None, typer.Option()] = None,
    tokens: Annotated[int | None, typer.Option()] = None,
    input_tokens: Annotated[int | None, typer.Option()] = None,
    output_tokens: Annotated[int | None, typer.Option()] = None,
    dollars: Annotated[float | None, typer.Option()] = None,
    concurrent: Annotated[int | None, typer.Option(help="Requests that run at once.")] = None,
    models: Named = None,
    config: ConfigOption = None,
    how: FormatOption = "table",
) -> None:
    """Limit somebody: one of the amounts, in any time of that length."""
    amounts: dict[str, object] = {
        "requests": requests,
        "tokens": tokens,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "dollars": dollars,
        "concurrent": concurrent,
    }
    said: dict[str, object] = {"level": level, "owner": owner, "per": per, **amounts, "models": models}
    _make("limits", LimitForm, said, config, how)


@budgets.command("create")
def create_budget(  # noqa: PLR0917 - typer passes them by name
    dollars: Annotated[float, typer.Argument(help="To the millionth.")],
    level: Level = "all",
    owner: Whose = None,
    per: Annotated[str, typer.Option(help="day, week, month, total, or a length that slides, such as 30d.")] = "month",
    soft: Annotated[list[float] | None, typer.Option(help="A share at which the webhook is told, such as 0.8.")] = None,
    on_exceeded: Annotated[str, typer.Option(help="stop or warn.")] = "stop",
    models: Named = None,
    config: ConfigOption = None,
    how: FormatOption = "table",
) -> None:
    """Give somebody a budget."""
    period: JsonObject | str = {"rolling": per} if per[:1].isdecimal() else per
    said: dict[str, object] = {"level": level, "owner": owner, "per": period, "dollars": dollars, "soft": list(soft or ())}
    _make("budgets", BudgetForm, {**said, "on_exceeded": on_exceeded, "models": models}, config, how)


def _make(
    kind: Kind,
    form: type[OrganizationForm | LimitForm | BudgetForm],
    said: dict[str, object],
    config: ConfigOption,
    how: FormatOption,
) -> None:
    registrar = registrar_of(config)
    if said.get("level") == "key" and said.get("owner"):
        said["owner"] = key_named(registrar, str(said["owner"])).row.record.id
    filled = form_of(form, said)
    row = tried(lambda: registrar.create(kind, record_of(kind, filled)))
    show_one(kind, Shown(row=row), how)


def _add(app: typer.Typer, kind: Kind, form: type[OrganizationForm] | None, word: str) -> None:
    """The commands that all of them have."""

    @app.command("list", help=f"List all {kind}, those of the configuration too.")
    def listed(config: ConfigOption = None, how: FormatOption = "table") -> None:
        show(kind, all_of(registrar_of(config), kind), _COLUMNS[kind], how, f"make one with: gatewright {kind} create")

    @app.command("show", help=f"Show one {word}.")
    def shown(name: Name, config: ConfigOption = None, how: FormatOption = "table") -> None:
        registrar = registrar_of(config)
        show_one(kind, tried(lambda: registrar.get(kind, name)), how)

    @app.command("remove", help=f"Remove a {word}, for ever.")
    def remove(name: Name, config: ConfigOption = None) -> None:
        registrar = registrar_of(config)
        tried(lambda: registrar.remove(kind, name, None))
        typer.echo(f"{word} {name}: removed", err=True)

    if form is None:
        return

    @app.command("disable", help=f"Refuse all keys of a {word} for now.")
    def disable(name: Name, config: ConfigOption = None, how: FormatOption = "table") -> None:
        show_one(kind, changed(registrar_of(config), kind, name, {"disabled": True}, form), how)

    @app.command("enable", help=f"Take the keys of a {word} again.")
    def enable(name: Name, config: ConfigOption = None, how: FormatOption = "table") -> None:
        show_one(kind, changed(registrar_of(config), kind, name, {"disabled": False}, form), how)


_add(organizations, "organizations", OrganizationForm, "organization")
_add(teams, "teams", TeamForm, "team")
_add(users, "users", UserForm, "user")
_add(limits, "limits", None, "limit")
_add(budgets, "budgets", None, "budget")


def audit(
    kind: Annotated[str, typer.Option(help="Of keys, teams, … alone.")] = "",
    target: Annotated[str, typer.Option(help="Of this id alone.")] = "",
    last: Annotated[int, typer.Option(min=1, max=100_000, help="So many lines.")] = 50,
    config: ConfigOption = None,
    how: FormatOption = "table",
) -> None:
    """Show who has changed what, the youngest last."""
    registrar = registrar_of(config)
    lines = list(reversed(tried(lambda: registrar.audit(before=0, size=last, kind=kind, target=target))))
    if how == "json":
        typer.echo(json.dumps(msgspec.json.decode(msgspec.json.encode(lines)), indent=2, ensure_ascii=False))
        return
    if not lines:
        typer.echo("nothing was changed yet", err=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("when (UTC)", "who", "via", "what", "of", "which", "changes"):
        table.add_column(column, overflow="fold")
    for line in lines:
        when = datetime.fromtimestamp(line.at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(when, line.actor, line.via, line.action, line.kind, line.target, _difference(line.before, line.after))
    console().print(table)


def _difference(before: msgspec.Raw | None, after: msgspec.Raw | None) -> str:
    """Fields that are another now; of what is new, all of them."""
    was = {} if before is None else msgspec.json.decode(before, type=dict)
    now = {} if after is None else msgspec.json.decode(after, type=dict)
    if after is None:
        return ""
    return ", ".join(
        f"{name}: {json.dumps(was[name]) + ' → ' if name in was else ''}{json.dumps(now.get(name))}"
        for name in (*now, *(name for name in was if name not in now))
        if was.get(name) != now.get(name) and name != "id"
    )
