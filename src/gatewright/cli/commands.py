"""The commands themselves.

One rule: what is for machines goes to stdout, what is for people who wait goes to stderr.
"""

import asyncio
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gatewright import __version__
from gatewright.cli.accounts import app as accounts_app
from gatewright.cli.banner import banner, base_url, example_model, scheme, started
from gatewright.cli.clients import BY_NAME, CLIENTS, Address, Client, snippet
from gatewright.cli.explain import explain
from gatewright.cli.files import apply
from gatewright.cli.guards import guards_app
from gatewright.cli.import_config import import_app
from gatewright.cli.login import login
from gatewright.cli.merge import CannotMerge
from gatewright.cli.models import configured_table, live_document, live_table, matching, model_rows
from gatewright.cli.prices import app as prices_app
from gatewright.cli.source import find_file, give_up, read_config
from gatewright.cli.usage import usage_app
from gatewright.config import Config, json_schema, with_client_key
from gatewright.config.suggest import hint
from gatewright.errors import GatewrightError

app = typer.Typer(
    name="gatewright",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="About the configuration file.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(import_app, name="import")
app.add_typer(usage_app, name="usage")
app.add_typer(guards_app, name="guards")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Configuration file. Default: $GATEWRIGHT_CONFIG, ./gatewright.yaml, else the environment."
    ),
]


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


VersionOption = Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")]


@app.callback()
def gatewright(version: VersionOption = False) -> None:  # noqa: FBT002 - a flag that its callback serves
    """One self-hosted endpoint that speaks every LLM API dialect, to clients and to providers."""


@app.command()
def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, envvar="GATEWRIGHT_PORT", help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="Processes.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing at start.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Serve until told to stop."""
    from gatewright.logs import set_up  # noqa: PLC0415
    from gatewright.serving import serve as run  # noqa: PLC0415 - the server is needed by this command only

    settings = read_config(config, port=port)
    settings, generated = _keyed(settings)
    at = (host or settings.server.host, settings.server.port if port is None else port)
    log = set_up(settings)
    if log.pretty and not quiet:
        typer.echo(banner(settings, version=__version__, host=at[0], port=at[1], generated_key=generated), err=True)
    elif not quiet:
        log.say("info", started(settings, version=__version__, host=at[0], port=at[1]))
        for warning in settings.warnings:
            log.say("warning", f"warning: {warning}")
    if port:
        os.environ["GATEWRIGHT_PORT"] = str(port)  # worker processes must know it too
    try:
        run(settings, host=host, port=port, workers=workers)
    except GatewrightError as error:  # what the configuration needs is not there, such as the key of the accounts
        give_up(error.problem.message)


@app.command()
def check(config: ConfigOption = None) -> None:
    """Check the configuration: every problem at once, exit code 2."""
    path = find_file(config)
    if path is None:
        give_up("no configuration file: expected --config, $GATEWRIGHT_CONFIG or ./gatewright.yaml")
    settings = read_config(path)
    for warning in settings.warnings:
        typer.echo(f"warning: {warning}", err=True)
    counts = ((len(settings.providers), "provider"), (len(settings.models), "model"), (len(settings.keys), "key"))
    typer.echo(f"{path}: good ({', '.join(f'{n} {word}' if n == 1 else f'{n} {word}s' for n, word in counts)})")


@app.command()
def models(
    words: Annotated[list[str] | None, typer.Argument(help="With --live: show those whose name holds these words.")] = None,
    config: ConfigOption = None,
    live: Annotated[bool, typer.Option("--live", help="Ask the providers what they have: sizes, abilities, prices.")] = False,  # noqa: FBT002 - a flag
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """List what clients can ask for, and where it goes."""
    settings = read_config(config)
    if live:
        _live(settings, words or [], as_json=as_json)
        return
    rows = model_rows(settings)
    if as_json:
        typer.echo(json.dumps([{"model": name, "targets": targets, "fallback": rest} for name, targets, rest in rows], indent=2))
        return
    Console(soft_wrap=True).print(configured_table(rows))


def _live(settings: Config, words: list[str], *, as_json: bool) -> None:
    """Every provider that cannot be asked is told on stderr; when none can, the exit code is 1."""
    from gatewright.listing import list_models  # noqa: PLC0415 - takes its time, for this command only

    shown, problems = asyncio.run(list_models(settings, os.environ))
    for provider, problem in problems.items():
        typer.echo(f"{provider}: {problem}", err=True)
    found = matching(shown, words)
    if as_json:
        typer.echo(json.dumps(live_document(found), indent=2, ensure_ascii=False))
    else:
        Console(soft_wrap=True).print(live_table(found))
    if problems and len(problems) == sum(provider.kind != "demo" for provider in settings.providers.values()):
        raise typer.Exit(1)


@app.command()
def connect(  # noqa: PLR0917 - typer passes them by name
    client: Annotated[str, typer.Argument(help=f"One of: {', '.join(c.name for c in CLIENTS)}.")],
    config: ConfigOption = None,
    write: Annotated[bool, typer.Option("--write", help="Write the client's own settings.")] = False,  # noqa: FBT002 - a flag
    url: Annotated[str | None, typer.Option(help="Where the gateway is. Default: as configured, on this machine.")] = None,
    key: Annotated[str | None, typer.Option(help="Client key. Default: the first declared or the generated one.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Model to ask for. Default: the first configured one.")
    ] = None,
) -> None:
    """Print the settings that make a client use the gateway, or write them where the client looks."""
    known = BY_NAME.get(client)
    if known is None:
        give_up(f'unknown client "{client}"{hint(client, BY_NAME)}')
    settings, _ = _keyed(read_config(config))
    chosen = model or example_model(settings)
    if chosen is None:
        give_up("the configuration names no model; say which one with --model provider/model")
    ours = base_url(settings.server.host, settings.server.port, scheme(settings))
    address = Address(
        url=(url or ours).rstrip("/").removesuffix("/v1"),
        key=key or settings.keys[0].key.reveal(),
        model=chosen,
    )
    if not write:
        typer.echo(snippet(known.name, address))
        if known.edits is not None:
            paths = ", ".join(str(edit.path) for edit in known.edits(address, os.environ))
            typer.echo(f"# with --write: {paths}", err=True)
        return
    _write(known, address)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


app.command()(explain)
app.command()(login)
app.add_typer(accounts_app, name="accounts")
app.add_typer(prices_app, name="prices")


@config_app.command()
def schema() -> None:
    """Print the JSON Schema of gatewright.yaml, for editors."""
    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


def _keyed(config: Config) -> tuple[Config, str | None]:
    """The configuration with at least one client key, and that key where it was generated (or given by environment)."""
    try:
        keyed, added = with_client_key(config, os.environ)
    except OSError as error:
        give_up(f"the generated client key cannot be kept: {error}; declare one under keys:, or set GATEWRIGHT_KEY")
    if added is not None:
        return keyed, added.key.reveal()
    return keyed, keyed.keys[0].key.reveal() if config.source == "environment" else None


def _write(client: Client, address: Address) -> None:
    if client.edits is None:
        give_up(f"{client.title} has no settings file; paste this:\n{client.lines(address)}")
    failed = False
    for edit in client.edits(address, os.environ):
        try:
            outcome, copy = apply(edit, datetime.now().astimezone())
        except (CannotMerge, OSError) as error:
            typer.echo(f"not written: {error}", err=True)
            failed = True
            continue
        typer.echo(f"{outcome}: {edit.path}" + (f" (before: {copy})" if copy else ""))
    if failed:
        typer.echo(f"Paste this instead:\n{client.lines(address)}", err=True)
        raise typer.Exit(1)
