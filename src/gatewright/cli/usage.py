"""`gatewright usage`: what was used and what it cost, by key, team, model or time, for people, spreadsheets and programs.

One rule: figures are exact. Money is written with all its digits; what is not known is said, and is never a zero.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from gatewright.bookkeeping import JOURNALS, database_of
from gatewright.cli.models import tokens
from gatewright.cli.reconcile import reconcile
from gatewright.cli.source import give_up, read_config
from gatewright.cli.verify import verify
from gatewright.config import Config
from gatewright.costing import prices_of
from gatewright.pipeline.limit_words import dollars
from gatewright.record.fresh import Fresh, fresh
from gatewright.record.usage_document import COLUMNS, document, flat, moment
from gatewright.stores.report_terms import BY, BadQuery, Line, Query, query_of

Format: TypeAlias = Literal["table", "csv", "json"]
MOST_LINES: Final = 60
"""Of a table that a person reads."""
BAR: Final = 20
"""Characters of the longest bar."""
_SHORTEST: Final = 4
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"

usage_app = typer.Typer(help="What was used, and what it cost.", no_args_is_help=False)
usage_app.command("verify")(verify)
usage_app.command("reconcile")(reconcile)


@usage_app.callback(invoke_without_command=True)
def usage(  # noqa: PLR0917 - typer passes them by name
    context: typer.Context,
    by: Annotated[str, typer.Option("--by", help=f"One or more of: {', '.join(BY)}; separated by commas.")] = "model",
    since: Annotated[str, typer.Option(help="7d (today and the six days before), 2w, 24h, or a date. Days are UTC's.")] = "7d",
    until: Annotated[str, typer.Option(help="A date, which counts as a whole, or a time. Default: now.")] = "",
    only: Annotated[
        list[str] | None, typer.Option("--filter", help="key=ci, model=gpt-*, team=…; again for more.", metavar="NAME=VALUE")
    ] = None,
    form: Annotated[Format, typer.Option("--format", "-f", help="For people, spreadsheets or programs.")] = "table",
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file. Default: as for `serve`.")] = None,
) -> None:
    """What was used and what it cost, the dearest first."""
    if context.invoked_subcommand is not None:
        return
    try:
        query = query_of(since=since, until=until, by=by, filters=only or ())
    except BadQuery as error:
        give_up(str(error))
    settings = read_config(config)
    found = asked(settings, query)
    if form == "json":
        typer.echo(json.dumps(document(found), indent=2, ensure_ascii=False))
    elif form == "csv":
        typer.echo(sheet(found), nl=False)
    elif not found.report.lines:
        typer.echo(nothing(settings, query))
    else:
        console = Console(soft_wrap=True)
        console.print(page(found, console.width))


def asked(settings: Config, query: Query) -> Fresh:
    """The report. Ends the command where the database cannot be asked."""
    from gatewright.stores.sql import BadDatabase, DatabaseError, migrate  # noqa: PLC0415 - takes its time

    try:
        engine = database_of(settings)
        migrate(engine)
        return fresh(engine, query, Path(settings.server.state_dir) / JOURNALS, prices_of(settings).price)
    except BadDatabase as error:
        give_up(str(error))
    except DatabaseError as error:
        give_up(f"the database cannot be asked: {str(error).splitlines()[0]}")


def nothing(settings: Config, query: Query) -> str:
    """For who finds nothing: why, and what to do."""
    if not settings.ledger.enabled:
        return "The ledger is off: set `ledger: {enabled: true}` in the configuration, and what is used will be here."
    if query.only:
        return "Nothing was used that these filters let through. Leave some out, or look further back: --since 30d."
    return (
        f"Nothing was used since {moment(query.since)}. Requests will be here a second after they end; send one:\n"
        "  gatewright serve\n"
        "  gatewright connect curl\n"
        "Or look further back: gatewright usage --since 90d"
    )


def sheet(found: Fresh) -> str:
    """Lines for a spreadsheet, without totals: it makes its own."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    groups = list(found.report.lines[0].group) if found.report.lines else list(found.report.query.by)
    writer.writerow((*groups, *COLUMNS))
    for line in found.report.lines:
        told = flat(line.sums)
        writer.writerow((*map(_safe, line.group.values()), *("" if told[name] is None else told[name] for name in COLUMNS)))
    return out.getvalue()


def _safe(text: str) -> str:
    """Clients choose names of models; a spreadsheet would compute what begins so."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


class _Column:
    def __init__(self, title: str, tell: Callable[[dict[str, int]], str], *, needs: Sequence[str] = ()) -> None:
        self.title = title
        self.tell = tell
        self.needs = needs
        """Left out where all of these are 0."""


def _sum(*names: str) -> Callable[[dict[str, int]], str]:
    def tell(sums: dict[str, int]) -> str:
        total = sum(sums[name] for name in names)
        return tokens(total) if total else ""

    return tell


def _share(name: str) -> Callable[[dict[str, int]], str]:
    def tell(sums: dict[str, int]) -> str:
        n, of = sums[name], sums["requests"]
        return "" if not n else f"{n} ({n / of:.0%})" if of else str(n)

    return tell


def cost(sums: dict[str, int]) -> str:
    """With all its digits; `?`: of some calls it is not known."""
    if not sums["unknown"]:
        return dollars(sums["cost_micros"])
    return f"{dollars(sums['cost_micros'])} + ?" if sums["cost_micros"] else "?"


_COLUMNS: Final = (
    _Column("requests", lambda sums: str(sums["requests"])),
    _Column("errors", _share("errors"), needs=("errors",)),
    _Column("cut off", _share("interrupted"), needs=("interrupted",)),
    _Column("from cache", _share("hits"), needs=("hits",)),
    _Column("read", _sum("input"), needs=("input",)),
    _Column("cached", _sum("cache_read"), needs=("cache_read",)),
    _Column("stored", _sum("cache_write_5m", "cache_write_1h"), needs=("cache_write_5m", "cache_write_1h")),
    _Column("audio", _sum("audio_in", "audio_out"), needs=("audio_in", "audio_out")),
    _Column("written", _sum("output"), needs=("output",)),
    _Column("thought", _sum("reasoning"), needs=("reasoning",)),
    _Column("cost", cost),
)


def page(found: Fresh, width: int = 120) -> Group:
    """The table, its total, and what is to be known of it. `width`: characters of a line; bars take what is left."""
    report = found.report
    columns = [column for column in _COLUMNS if not column.needs or any(report.total[name] for name in column.needs)]
    titles = [*(report.query.by or ("",)), *(column.title for column in columns)]
    names = max(len(report.query.by), 1)
    shown = report.lines[:MOST_LINES]
    rows = [[*_group(line, report.query), *(column.tell(line.sums) for column in columns)] for line in shown]
    if len(report.lines) > 1:
        rows.append(["total", *[""] * (names - 1), *(column.tell(report.total) for column in columns)])
    taken = sum(min(40, max(map(len, cells))) + 1 for cells in zip(titles, *rows, strict=True))
    longest = min(BAR, width - taken - 1)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for number, title in enumerate(titles):
        if number < names:
            table.add_column(title, overflow="fold", max_width=40)
        else:
            table.add_column(title, justify="right", no_wrap=True)
    if longest >= _SHORTEST:
        table.add_column("")
    weigh = "cost_micros" if report.total["cost_micros"] else "requests"
    most = max((line.sums[weigh] for line in report.lines), default=0)
    errors = titles.index("errors") if "errors" in titles[names:] else -1
    for number, cells in enumerate(rows):
        style = "" if number < len(shown) else "bold"
        texts = [Text(cell, style="red" if at == errors else style) for at, cell in enumerate(cells)]
        if longest >= _SHORTEST and not style:
            texts.append(Text(bar(shown[number].sums[weigh], most, longest), style="cyan"))
        table.add_row(*texts)
    return Group(table, Text("\n".join(_notes(found)), style="dim"))


def _group(line: Line, query: Query) -> Iterator[str]:
    if not query.by:
        yield "all"
    for name in query.by:
        yield line.group[name] or "—"


def _notes(found: Fresh) -> Iterator[str]:
    report, total = found.report, found.report.total
    yield ""
    if len(report.lines) > MOST_LINES:
        yield f"{len(report.lines) - MOST_LINES} lines more; all of them: --format csv"
    if total["unknown"]:
        yield f"?: of {_calls(total['unknown'])} the cost is not known, for nobody has their price: `pricing.models`"
    if total["estimated"]:
        yield f"the tokens of {_calls(total['estimated'])} are estimates: their provider did not tell, or not to the end"
    if total["interrupted"]:
        yield "cut off: the gateway's process died before they ended; they are taken to have cost what was reserved"
    if not found.complete:
        yield "more stands in the journals than was read of them; ask again shortly"
    yield f"since {moment(report.query.since)}, by UTC"


def _calls(n: int) -> str:
    return f"{n} call" if n == 1 else f"{n} calls"


def bar(n: int, most: int, longest: int = BAR) -> str:
    """`n` of `most`, which is the `longest` bar, in eighths of a character. What is not nothing can be seen."""
    if n <= 0 or most <= 0:
        return ""
    eighths = max(1, round(Decimal(n) / most * longest * 8))
    return _EIGHTHS[8] * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
