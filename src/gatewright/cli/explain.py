"""`gatewright explain`: which targets would be tried for a request, in which order and why, and what it would cost.

One rule: nobody is called. What only a running gateway knows (circuits, rests, calls in flight) is told by its `/v1/explain`.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from gatewright.cli.source import give_up, read_config
from gatewright.errors import GatewrightError
from gatewright.jsontypes import JsonObject, JsonValue

REFUSED = 1
"""Exit code for a request that would be refused."""

Format: TypeAlias = Literal["table", "json"]


def explain(
    request: Annotated[str, typer.Argument(help="File with a client's request as it would be sent, or - for standard input.")],
    path: Annotated[str, typer.Option(help="Where it would be sent, such as /v1/messages. Default: as its fields say.")] = "",
    model: Annotated[str, typer.Option("--model", "-m", help="Model to ask for, in place of the request's.")] = "",
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file, as for the other commands.")] = None,
    form: Annotated[Format, typer.Option("--format", "-f", help="For people or for machines.")] = "table",
) -> None:
    """Tell what would become of a request, without calling anybody."""
    from gatewright.explaining import explain_request  # noqa: PLC0415 - the server is needed by this command only

    settings = read_config(config)
    try:
        body = sys.stdin.buffer.read() if request == "-" else Path(request).read_bytes()
    except OSError as error:
        give_up(f"{request} cannot be read: {error.strerror}")
    try:
        told = asyncio.run(explain_request(settings, os.environ, body, path=path, model=model))
    except GatewrightError as error:
        typer.echo(f"refused with {error.problem.http_status}: {error.problem.message}", err=True)
        raise typer.Exit(REFUSED) from None
    if form == "json":
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        Console(soft_wrap=True).print(page(told))
    if told["problem"]:
        raise typer.Exit(REFUSED)


def page(told: JsonObject) -> Group:
    """The explanation for a person."""
    parts: list[Text | Table] = [heading(told), Text()]
    if targets := _entries(told["targets"]):
        parts += [targets_table(targets), Text()]
    if skipped := _entries(told["skipped"]):
        parts += [_rows("skipped", [(entry["target"], entry["why"]) for entry in skipped]), Text()]
    losses = [
        (t["target"], f"{loss['path']}: {loss['why']} ({loss['weight']})") for t in targets for loss in _entries(t["losses"])
    ]
    if losses:
        parts += [_rows("lost on the way", losses), Text()]
    if refused := [(entry["target"], entry["refused"]) for entry in targets if entry["refused"]]:
        parts += [_rows("cannot be asked", refused), Text()]
    return Group(*parts, footer(told))


def heading(told: JsonObject) -> Text:
    """`s → smart: a request in anthropic's words, about 160 tokens; it needs tools`."""
    size = told["size"]
    assert isinstance(size, dict)
    name = str(told["model"]) + ("" if told["route"] == told["model"] else f" → {told['route']}")
    limit = "" if size["max_tokens"] is None else f", answers of at most {size['max_tokens']}"
    needs = told["needs"]
    needed = f"; it needs {', '.join(map(str, needs))}" if isinstance(needs, list) and needs else ""
    return Text.assemble(
        (name, "bold"), f": a request in the words of {told['dialect']}, about {size['input_tokens']} tokens{limit}{needed}"
    )


def targets_table(targets: list[JsonObject]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("", "target", "tier", "sent as", "stands"):
        table.add_column(title, overflow="fold")
    for title in ("$ at least", "$ at most"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("why here")
    for number, entry in enumerate(targets, 1):
        cost = entry["cost_usd"]
        assert isinstance(cost, dict)
        share = (
            f" ({float(entry['share']):.0%} of the first calls)"
            if isinstance(entry["share"], float) and entry["share"] < 1
            else ""
        )
        table.add_row(
            f"{number}.",
            Text(str(entry["target"]), style="bold" if number == 1 else ""),
            str(entry["tier"]),
            f"{entry['dialect']}, {_WAYS[str(entry['bytes'])]}",
            str(entry["circuit"]).replace("_", " "),
            str(cost["lowest"] or ""),
            str(cost["highest"] or ""),
            Text(f"{entry['why']}{share}", style="dim"),
        )
    return table


_WAYS = {"pass": "as it is", "cross": "translated", "refused": "refused"}


def footer(told: JsonObject) -> Text:
    """Problem, cache and persistence, one line each."""
    cache, policy = told["cache"], told["policy"]
    assert isinstance(cache, dict)
    assert isinstance(policy, dict)
    lines = [f"{told['problem']}"] if told["problem"] else []
    asked = (
        f"is looked for, good for {float(str(cache['ttl_s'])):g} s"
        if cache["looked_up"]
        else f"is not looked for: {cache['why']}"
    )
    lines.append(f"a kept answer {asked}")
    tries = f"at most {policy['tries_all']} attempts, {policy['tries_each']} in a row at one target"
    lines.append(f"{tries}, none after {policy['deadline_s']:g} s")
    return Text("\n".join(lines), style="dim")


def _rows(title: str, rows: Sequence[tuple[JsonValue, JsonValue]]) -> Table:
    table = Table(title, "", box=None, pad_edge=False)
    for name, why in rows:
        table.add_row(Text(str(name)), Text(str(why), style="dim"))
    return table


def _entries(value: JsonValue) -> list[JsonObject]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
