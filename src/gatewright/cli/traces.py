"""`gatewright traces`: what was asked and answered: list, show, search, compare, export, make a test of it.

One rule: nothing is written to the store, and a gateway need not run. For people by default; `--format` for programs.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer
from rich.console import Console

from gatewright.cli import trace_list, trace_show, trace_side
from gatewright.cli.source import give_up, read_config
from gatewright.cli.trace_case import write
from gatewright.cli.trace_diff import Side, compare
from gatewright.cli.trace_source import LAST, NOT_THERE, one, opened, where
from gatewright.jsontypes import JsonObject
from gatewright.record import export_jsonl as jsonl
from gatewright.record.export_jsonl import document, line, summary_document
from gatewright.record.export_meaning import both, meaning_of
from gatewright.record.traces import LEGS, BadCursor, LegName, Trace, TraceFilter, TraceStore, TraceSummary
from gatewright.wire import json as wire_json

Format: TypeAlias = Literal["table", "json", "jsonl"]
Leg: TypeAlias = Literal["upstream", "client"]
Raw: TypeAlias = Literal["client-request", "client-answer", "upstream-request", "upstream-answer"]
DIFFERENT = 1
"""Exit code of `diff --exit-code` for two that differ."""

traces_app = typer.Typer(help="What was asked and answered: list, show, search, compare, export.", no_args_is_help=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file. Default: as for `serve`.")]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="For people (table) or for programs.")]
TraceArgument = Annotated[str, typer.Argument(help="Its id (the x-request-id of the answer), or `last`.")]
Since = Annotated[str, typer.Option(help="Not older than: 15m, 2h, 7d, a date, a time.")]
Until = Annotated[str, typer.Option(help="Before: as --since.")]
Key = Annotated[str, typer.Option(help="Id or name of the key.")]
User = Annotated[str, typer.Option(help="Id of the user.")]
Team = Annotated[str, typer.Option(help="Id of the team.")]
Model = Annotated[str, typer.Option("--model", "-m", help="As asked for or as the provider names it; may hold *.")]
Provider = Annotated[str, typer.Option(help="Who answered.")]
Route = Annotated[str, typer.Option(help="The route.")]
Operation = Annotated[str, typer.Option(help="generate, forward, count_tokens, …")]
Status = Annotated[str, typer.Option(help="200, or a class: 4xx.")]
Outcome = Annotated[str, typer.Option(help="ok, error or left.")]
Session = Annotated[str, typer.Option(help="One agent's run or conversation.")]
Finding = Annotated[str, typer.Option("--finding", help="A guard that had something to say; *: any.")]
MinCost = Annotated[str, typer.Option(help="Dollars, at least: 0.01.")]
MinDuration = Annotated[str, typer.Option(help="At least: 250ms, 5s, 2m.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="Most of them.")]
Cursor = Annotated[str, typer.Option(help="Where the page before ended.")]
Otlp = Annotated[bool, typer.Option("--otlp", help="To the collector of traces.otlp, or $OTEL_EXPORTER_OTLP_ENDPOINT.")]


@traces_app.command("list")
def list_(  # noqa: PLR0917 - typer passes them by name
    since: Since = "",
    until: Until = "",
    key: Key = "",
    user: User = "",
    team: Team = "",
    model: Model = "",
    provider: Provider = "",
    route: Route = "",
    operation: Operation = "",
    status: Status = "",
    outcome: Outcome = "",
    session: Session = "",
    finding: Finding = "",
    min_cost: MinCost = "",
    min_duration: MinDuration = "",
    limit: Limit = 20,
    cursor: Cursor = "",
    form: FormatOption = "table",
    config: ConfigOption = None,
) -> None:
    """The youngest first."""
    given = {name: str(value) for name, value in locals().items() if name not in ("limit", "cursor", "form", "config")}
    with opened(read_config(config)) as store:
        try:
            page = store.list(where(**given), limit=limit, cursor=cursor)
        except BadCursor:
            give_up("--cursor: expected what an earlier page ended with")
    if form != "table":
        _programs(form, page.items, {"next": page.next or None})
    elif not page.items:
        typer.echo("No trace is like that. Leave some filters out, or look further back.")
    else:
        Console(soft_wrap=True).print(trace_list.listed(page))


@traces_app.command()
def show(
    trace: TraceArgument = LAST,
    raw: Annotated[Raw | None, typer.Option(help="The bytes of one leg, as they went, and nothing else.")] = None,
    form: FormatOption = "table",
    config: ConfigOption = None,
) -> None:
    """One conversation, as a person reads it; what it took and cost, whom it was sent to, what guards said."""
    with opened(read_config(config)) as store:
        found = one(store, trace)
    if raw is not None:
        _raw(found, raw)
        return
    meaning = meaning_of(found)
    if form == "table":
        Console(soft_wrap=False).print(trace_show.page(found, meaning))
    else:
        _echo(document(found, meaning.request, meaning.answer), indent=form == "json")


def _raw(found: Trace, name: LegName) -> None:
    assert name in LEGS
    message = found.leg(name)
    if message is None:
        typer.echo(f"trace {found.id} has no {name}: nobody was asked, or nobody answered", err=True)
        raise typer.Exit(NOT_THERE)
    sys.stdout.buffer.write(message.body)
    sys.stdout.buffer.flush()
    if message.is_cut:
        typer.echo(f"\ncut: {len(message.body)} of {message.size} bytes were kept", err=True)


@traces_app.command()
def search(  # noqa: PLR0917 - typer passes them by name
    words: Annotated[str, typer.Argument(help='Words that must all be there; "…": in a row; word*: what begins so.')],
    since: Since = "",
    until: Until = "",
    key: Key = "",
    team: Team = "",
    model: Model = "",
    status: Status = "",
    session: Session = "",
    finding: Finding = "",
    limit: Limit = 20,
    cursor: Cursor = "",
    form: FormatOption = "table",
    config: ConfigOption = None,
) -> None:
    """Those in whose texts the words stand, and where."""
    given = {name: str(value) for name, value in locals().items() if name not in ("words", "limit", "cursor", "form", "config")}
    with opened(read_config(config)) as store:
        try:
            hits = store.search(words, where(**given), limit=limit, cursor=cursor)
        except BadCursor:
            give_up("--cursor: expected what an earlier page ended with")
    if form != "table":
        snippets = [hit.snippet.replace("\x01", "").replace("\x02", "") for hit in hits.items]
        more: list[JsonObject] = [{"snippet": snippet} for snippet in snippets]
        _programs(form, [hit.summary for hit in hits.items], {"next": hits.next or None, "unread": hits.unread}, more)
    elif not hits.items:
        typer.echo("Nothing was found." + (f" {hits.unread} traces cannot be searched yet." if hits.unread else ""))
    else:
        Console(soft_wrap=True).print(trace_list.found(hits))


@traces_app.command()
def diff(
    a: Annotated[str, typer.Argument(help="Id of a trace.")],
    b: Annotated[str, typer.Argument(help="Id of another, or `last`.")] = LAST,
    form: Annotated[Literal["table", "json"], typer.Option("--format", "-f", help="For people or for programs.")] = "table",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 where they differ.")] = False,  # noqa: FBT002 - a flag
    config: ConfigOption = None,
) -> None:
    """Two answers side by side: word by word, call by call, figure by figure."""
    with opened(read_config(config)) as store:
        left, right = one(store, a), one(store, b)
    difference = compare(_side(left), _side(right))
    if form == "json":
        _echo(trace_side.document(difference), indent=True)
    else:
        Console(soft_wrap=False).print(trace_side.page(difference, left.id, right.id))
    if exit_code and not difference.same:
        raise typer.Exit(DIFFERENT)


def _side(trace: Trace) -> Side:
    meaning = meaning_of(trace)
    return Side(summary=trace, request=meaning.request, answer=meaning.answer)


@traces_app.command("to-test")
def to_test(
    trace: TraceArgument = LAST,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A file, or the folder of a corpus. Default: printed.")] = None,
    leg: Annotated[Leg, typer.Option(help="What the provider answered, or what the client was given.")] = "upstream",
    note: Annotated[str, typer.Option(help="What the case shows, in a sentence.")] = "",
    config: ConfigOption = None,
) -> None:
    """A trace as a case of the corpus, which the laws of translation judge."""
    with opened(read_config(config)) as store:
        write(one(store, trace), out, leg, note)


@traces_app.command()
def export(  # noqa: PLR0917 - typer passes them by name
    ids: Annotated[list[str] | None, typer.Argument(help="Ids. Default: all that the filters let through.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File; .gz and .zst are compressed. Default: stdout.")] = None,
    otlp: Otlp = False,  # noqa: FBT002 - a flag
    endpoint: Annotated[str, typer.Option(help="With --otlp: another collector, such as http://127.0.0.1:4318.")] = "",
    bodies: Annotated[bool, typer.Option("--bodies/--no-bodies", help="With what was said, or without.")] = True,  # noqa: FBT002 - a flag
    since: Since = "",
    until: Until = "",
    key: Key = "",
    user: User = "",
    team: Team = "",
    model: Model = "",
    provider: Provider = "",
    route: Route = "",
    operation: Operation = "",
    status: Status = "",
    outcome: Outcome = "",
    session: Session = "",
    finding: Finding = "",
    min_cost: MinCost = "",
    min_duration: MinDuration = "",
    form: Annotated[Literal["jsonl"], typer.Option("--format", "-f", help="One trace a line: docs/traces-jsonl.md.")] = "jsonl",
    config: ConfigOption = None,
) -> None:
    """Traces as lines of JSON, or as OpenTelemetry spans; the oldest first."""
    own = ("ids", "out", "otlp", "endpoint", "bodies", "form", "config")
    given = {name: str(value) for name, value in locals().items() if name not in own}
    settings = read_config(config)
    with opened(settings) as store:
        traces = chosen(store, ids or [], where(**given))
        if otlp or endpoint:
            from gatewright.cli.trace_otlp import send  # noqa: PLC0415 - an extra, which takes its time

            send(settings, traces, endpoint, bodies=bodies)
            return
        lines = (line(document(trace, *both(trace), bodies=bodies)) for trace in traces)
        _lines(lines, out)


def chosen(store: TraceStore, ids: Sequence[str], which: TraceFilter) -> Iterator[Trace]:
    if ids:
        return (one(store, name) for name in ids)
    return store.iterate(which)


def _lines(lines: Iterator[bytes], out: Path | None) -> None:
    if out is None:
        jsonl.write_lines(lines, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    try:
        with jsonl.opened(out) as file:
            count = jsonl.write_lines(lines, file)
    except OSError as error:
        give_up(f"{out} cannot be written: {error.strerror or error}")
    typer.echo(f"{count} traces written to {out}", err=True)


def _programs(form: Format, items: Sequence[TraceSummary], around: JsonObject, more: Sequence[JsonObject] | None = None) -> None:
    told = [{**summary_document(item), **extra} for item, extra in zip(items, more or [{}] * len(items), strict=True)]
    if form == "json":
        _echo({"traces": list(told), **around}, indent=True)
        return
    for each in told:
        _echo(each, indent=False)


def _echo(told: JsonObject, *, indent: bool) -> None:
    if indent:
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False).encode("utf-8", "replace"))
    else:
        typer.echo(wire_json.encode(told))
