"""`gatewright keys`: virtual keys, made, listed, rotated, disabled, revoked."""

from typing import Annotated

import typer

from gatewright.admin.forms import KeyForm, record_of
from gatewright.admin.registrar import Shown
from gatewright.cli.principals import (
    ConfigOption,
    FormatOption,
    Many,
    Option,
    all_of,
    changed,
    fail,
    form_of,
    key_named,
    moment_of,
    pairs_of,
    registrar_of,
    seconds_of,
    show,
    show_one,
    tried,
)
from gatewright.jsontypes import JsonObject
from gatewright.principals.records import Key

app = typer.Typer(help="Virtual keys.", no_args_is_help=True)

KeyName = Annotated[str, typer.Argument(help="Name or id of a key.")]
_COLUMNS = ("name", "status", "role", "team", "user", "models", "expires", "created", "declared")


@app.command()
def create(  # noqa: PLR0917 - typer passes them by name
    name: Annotated[str, typer.Argument(help="For logs and usage; no two keys have the same.")],
    models: Annotated[
        Many, typer.Option("--model", "-m", help="A model it may use, with `*` for any text. Default: all.")
    ] = None,
    team: Annotated[Option, typer.Option(help="That it belongs to.")] = None,
    user: Annotated[Option, typer.Option(help="That it belongs to.")] = None,
    organization: Annotated[Option, typer.Option(help="That it belongs to.")] = None,
    role: Annotated[str, typer.Option(help="admin, team_admin, member or viewer.")] = "member",
    expires: Annotated[Option, typer.Option(help="A date, or a time from now such as 30d. Default: never.")] = None,
    tags: Annotated[Many, typer.Option("--tag", help="A word that conditions of routes ask for.")] = None,
    ips: Annotated[Many, typer.Option("--ip", help="A network it may be used from, such as 10.0.0.0/8. Default: any.")] = None,
    dialects: Annotated[Many, typer.Option("--dialect", help="In which it may make model calls. Default: all.")] = None,
    routes: Annotated[Many, typer.Option("--route", help="An operation, or a path with `*`, it may ask for.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Most tokens of an answer.")] = None,
    metadata: Annotated[Many, typer.Option("--metadata", help="name=value.")] = None,
    show_cost: Annotated[bool, typer.Option("--show-cost", help="Answers say what they cost.")] = False,  # noqa: FBT002 - a flag
    traces: Annotated[bool, typer.Option("--traces/--no-traces", help="Whether traces may be kept.")] = True,  # noqa: FBT002
    config: ConfigOption = None,
    how: FormatOption = "table",
) -> None:
    """Make a key, and print it this once."""
    said: dict[str, object] = {
        "name": name,
        "models": models,
        "team": team,
        "user": user,
        "organization": organization,
        "role": role,
        "expires": moment_of(expires) if expires else None,
        "tags": tags,
        "ips": ips,
        "dialects": dialects,
        "routes": routes,
        "max_tokens": max_tokens,
        "metadata": pairs_of(metadata) or None,
        "show_cost": show_cost or None,
        "traces": None if traces else False,
    }
    form = form_of(KeyForm, said)
    registrar = registrar_of(config)
    record = tried(lambda: record_of("keys", form))
    assert isinstance(record, Key)
    row, secret = tried(lambda: registrar.create_key(record))
    show_one("keys", Shown(row=row), how, {"key": secret})
    if how == "table":
        typer.echo("This is the only time that the key is shown.", err=True)


@app.command("list")
def list_keys(
    team: Annotated[Option, typer.Option(help="Of this team alone.")] = None,
    user: Annotated[Option, typer.Option(help="Of this user alone.")] = None,
    config: ConfigOption = None,
    how: FormatOption = "table",
) -> None:
    """List all keys, those of the configuration too."""
    where = tuple((name, value) for name, value in (("team", team), ("user", user)) if value)
    found = all_of(registrar_of(config), "keys", where)
    show("keys", found, _COLUMNS, how, "make one with: gatewright keys create NAME")


@app.command("show")
def show_key(name: KeyName, config: ConfigOption = None, how: FormatOption = "table") -> None:
    """Show one key; never what clients send."""
    show_one("keys", key_named(registrar_of(config), name), how)


@app.command()
def rotate(
    name: KeyName,
    overlap: Annotated[str, typer.Option(help="How long the old one goes on, such as 24h.")] = "0s",
    config: ConfigOption = None,
    how: FormatOption = "table",
) -> None:
    """Have clients send another key, and print it this once."""
    overlap_s = seconds_of(overlap)
    registrar = registrar_of(config)
    found = key_named(registrar, name)
    row, secret = tried(lambda: registrar.rotate(found.row.record.id, overlap_s, None))
    show_one("keys", Shown(row=row), how, {"key": secret})


@app.command()
def revoke(name: KeyName, config: ConfigOption = None, how: FormatOption = "table") -> None:
    """Refuse a key from now on, for ever."""
    registrar = registrar_of(config)
    found = key_named(registrar, name)
    show_one("keys", Shown(row=tried(lambda: registrar.revoke(found.row.record.id, None))), how)


@app.command()
def disable(name: KeyName, config: ConfigOption = None, how: FormatOption = "table") -> None:
    """Refuse a key for now."""
    _set(name, {"disabled": True}, config, how)


@app.command()
def enable(name: KeyName, config: ConfigOption = None, how: FormatOption = "table") -> None:
    """Take a key that was disabled again."""
    _set(name, {"disabled": False}, config, how)


def _set(name: str, changes: JsonObject, config: ConfigOption, how: FormatOption) -> None:
    registrar = registrar_of(config)
    found = key_named(registrar, name)
    record = found.row.record
    if isinstance(record, Key) and record.revoked:
        fail(f'"{name}" was revoked, which is for ever; make another key')
    show_one("keys", changed(registrar, "keys", record.id, changes, KeyForm), how)
