"""`gatewright prices`: what a model costs here, and a newer price list from a file. Nothing is fetched.

One rule: a file is looked through before anything is written, and what would change is told; the old list stays where that fails.
"""

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatewright.cli.price_rows import HEADINGS, Change, changes, row_of
from gatewright.cli.source import give_up, read_config
from gatewright.config import Config
from gatewright.costing import list_file, prices_of
from gatewright.jsontypes import JsonObject
from gatewright.providers.catalog import HOSTS
from gatewright.providers.prices import BadList, PriceBook, PriceEntry, read_list
from gatewright.providers.pricing import Prices

app = typer.Typer(help="What models cost.", no_args_is_help=True)

FAILED = 1
"""Exit code where nothing was found, or nothing taken over."""
MOST_TOLD = 40
"""Changes that are told one by one."""
MOST_BYTES = 64 << 20

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file. Default: as for `serve`.")]


@app.command()
def show(
    model: Annotated[str | None, typer.Argument(help="`provider/model` as configured, a model's name, or a part of it.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="A host of the price list, or of docs/providers.")] = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Show what models cost now, in dollars for a million tokens: by the configuration, else by the price list."""
    settings = read_config(config)
    prices = prices_of(settings)
    prices.book.load()
    rows = list(_found(prices, settings, model or "", host))
    if not rows:
        give = f'"{model}"' if model else "nothing"
        typer.echo(f"{give} is not in {prices.book.source or 'the price list'}; state its price in pricing.models", err=True)
        raise typer.Exit(FAILED)
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    Console(soft_wrap=True).print(_table(rows))
    typer.echo(f"{prices.book.source}; dollars for a million tokens", err=True)


@app.command()
def update(
    file: Annotated[Path, typer.Option("--from", help="A data.json of genai-prices.")],
    config: ConfigOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would change.")] = False,  # noqa: FBT002 - a flag
    force: Annotated[bool, typer.Option("--force", help="Take a list over that knows far fewer models, too.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Use a newer price list from now on. It is checked first, and what changes is told."""
    settings = read_config(config)
    try:
        if file.stat().st_size > MOST_BYTES:
            give_up(f"{file}: more than {MOST_BYTES >> 20} MiB")
        document = file.read_bytes()
        new = {provider.id: provider for provider in read_list(document)}
    except OSError as error:
        give_up(f"{file}: {error.strerror}")
    except BadList as error:
        give_up(f"{file}: {error}; the list stays as it is")
    place = list_file(settings)
    book = PriceBook(place)
    book.load()
    found = changes(book.hosts(), new, datetime.now(tz=UTC))
    _tell(found)
    before, after = (sum(len(host.models) for host in hosts.values()) for hosts in (book.hosts(), new))
    if after * 2 < before and not force:
        give_up(f"{file} knows {after} models where {book.source} knows {before}: it looks like a part of one (--force takes it)")
    if dry_run:
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        half = place.with_suffix(f".{os.getpid()}")
        half.write_bytes(document)
        half.replace(place)
    except OSError as error:
        give_up(f"{place}: {error.strerror}")
    typer.echo(f"written: {place} ({after} models); gateways that start from now on use it")


@app.command()
def reset(config: ConfigOption = None) -> None:
    """Use the price list that comes with the gateway again."""
    place = list_file(read_config(config))
    try:
        place.unlink()
    except FileNotFoundError:
        typer.echo("the list that comes with the gateway is used already")
        return
    except OSError as error:
        give_up(f"{place}: {error.strerror}")
    typer.echo(f"removed: {place}; gateways that start from now on use the list that comes with the gateway")


def _found(prices: Prices, settings: Config, asked: str, host: str | None) -> Iterator[JsonObject]:
    """A configured target; else every model of the list, or of one host, whose name holds what was asked for."""
    now = time.time_ns() // 1000
    provider, slash, name = asked.partition("/")
    if host is None and slash and provider in settings.providers:
        rates, source, since = prices.told(provider, name, now)
        if rates is not None:
            yield row_of(provider, name, rates, since, source)
        return
    wanted = None if host is None else HOSTS[host].price if host in HOSTS else host
    hosts = {name: listed for name, listed in prices.book.hosts().items() if wanted in (None, name)}
    exact = [(name, entry) for name in hosts if asked and (entry := prices.book.find(name, asked)) is not None and entry.own]
    if not exact:
        exact = [
            (name, PriceEntry(info, own=True))
            for name, listed in hosts.items()
            for info in listed.models
            if asked.casefold() in f"{name}/{info.id} {info.name or ''}".casefold()
        ]
    for name_of_host, entry in exact:
        rates, since = entry.rates(now, {})
        yield row_of(name_of_host, entry.info.id, rates, since, prices.book.source)


def _table(rows: list[JsonObject]) -> Table:
    table = Table(box=None, pad_edge=False)
    shown = [key for key in HEADINGS if any(row[key] for row in rows)]
    table.add_column("host", no_wrap=True)
    table.add_column("model", overflow="fold")
    for key in shown:
        table.add_column(HEADINGS[key], justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(str(row[key] or "")) for key in ("host", "model", *shown)))
    return table


def _tell(found: list[Change]) -> None:
    for change in found[:MOST_TOLD]:
        typer.echo(change.told)
    if len(found) > MOST_TOLD:
        typer.echo(f"… and {len(found) - MOST_TOLD} more")
    counts = {kind: sum(change.kind == kind for change in found) for kind in ("new", "gone", "changed")}
    typer.echo(f"{counts['new']} new, {counts['gone']} gone, {counts['changed']} changed")
