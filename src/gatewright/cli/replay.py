"""`gatewright replay`: a recorded request once more, against this gateway's other models, and both answers side by side.

One rule: it is a real request, with a key, limits, a place in the ledger and a cost.
"""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer
from rich.console import Console

from gatewright.cli import trace_side
from gatewright.cli.banner import base_url, scheme
from gatewright.cli.source import give_up, read_config
from gatewright.cli.trace_again import Again, CannotAgain, NobodyThere, Price, request_of, send
from gatewright.cli.trace_case import write
from gatewright.cli.trace_diff import Side, compare
from gatewright.cli.trace_source import LAST, NOT_THERE, one, opened
from gatewright.config import Config, with_client_key
from gatewright.errors import GatewrightError
from gatewright.ir.response import Usage
from gatewright.record.export_meaning import meaning_of
from gatewright.record.traces import Trace

Format: TypeAlias = Literal["table", "json"]


def replay(  # noqa: PLR0917 - typer passes them by name
    trace: Annotated[str, typer.Argument(help="Id of the trace (the x-request-id of its answer), or `last`.")] = LAST,
    model: Annotated[str, typer.Option("--model", "-m", help="Model to ask for in place of the recorded one.")] = "",
    key: Annotated[str, typer.Option(help="Client key. Default: the first declared or the generated one.")] = "",
    url: Annotated[str, typer.Option("--base-url", help="Where the gateway is. Default: as configured, on this machine.")] = "",
    in_process: Annotated[bool, typer.Option("--in-process", help="Need no running gateway: be one for this request.")] = False,  # noqa: FBT002 - a flag
    write_test: Annotated[Path | None, typer.Option("--write-test", help="Write the new answer as a case of the corpus.")] = None,
    form: Annotated[Format, typer.Option("--format", "-f", help="For people or for programs.")] = "table",
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file. Default: as for `serve`.")] = None,
) -> None:
    """Send a recorded request again and show both answers side by side."""
    settings = read_config(config)
    with opened(settings) as store:
        recorded = one(store, trace)
    try:
        again = request_of(recorded, model)
    except CannotAgain as error:
        give_up(f"trace {recorded.id} cannot be sent again: {error}")
    if recorded.redacted:
        typer.echo(
            f"note: {recorded.redacted} secrets were replaced when this was recorded; it is sent as it stands now", err=True
        )
    settings, _ = with_client_key(settings, os.environ)
    base = (url or base_url(settings.server.host, settings.server.port, scheme(settings))).rstrip("/").removesuffix("/v1")
    secret = key or settings.keys[0].key.reveal()
    answered = _asked(settings, base, secret, again, recorded, in_process=in_process)
    a, b = meaning_of(recorded), meaning_of(answered)
    difference = compare(
        Side(summary=recorded, request=a.request, answer=a.answer), Side(summary=answered, request=b.request, answer=b.answer)
    )
    if form == "json":
        typer.echo(json.dumps(trace_side.document(difference), indent=2, ensure_ascii=False))
    else:
        Console(soft_wrap=False).print(trace_side.page(difference, f"recorded {recorded.id}", f"now {answered.id}"))
        for note in b.notes:
            typer.echo(note, err=True)
    if answered.status >= 400:
        typer.echo(f"refused with {answered.status}: {answered.problem}", err=True)
    if write_test is not None:
        write(answered, write_test, "client")
    if answered.status >= 400:
        raise typer.Exit(NOT_THERE)


def _asked(settings: Config, base: str, key: str, again: Again, recorded: Trace, *, in_process: bool) -> Trace:
    try:
        return asyncio.run(_ask(settings, base, key, again, recorded, in_process=in_process))
    except NobodyThere as error:
        give_up(f"{error}; start it with `gatewright serve`, say where it is with --base-url, or use --in-process")
    except GatewrightError as error:  # the configuration needs what is not there
        give_up(error.problem.message)
    except ValueError as error:
        give_up(f"{base} cannot be asked: {error}")


async def _ask(settings: Config, base: str, key: str, again: Again, recorded: Trace, *, in_process: bool) -> Trace:
    price = _price(settings)
    if not in_process:
        return await send(base, again, key, price, recorded)
    from gatewright.cli.trace_house import running  # noqa: PLC0415 - the server is needed by this way only

    async with running(settings) as here:
        return await send(here, again, key, price, recorded)


def _price(settings: Config) -> Price:
    from gatewright.costing import prices_of  # noqa: PLC0415 - takes its time

    prices = prices_of(settings)

    def price(provider: str, model: str, usage: Usage) -> int | None:
        return prices.price(provider, model, usage, int(time.time() * 1_000_000)).micros if provider else None

    return price
