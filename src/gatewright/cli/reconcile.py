"""`gatewright usage reconcile`: a provider's own export held against the ledger, day by day and model by model.

One rule: it looks, and changes nothing. Where the two disagree the exit code is 1.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from gatewright.billing import anthropic, openai
from gatewright.billing.bill import BadBill, Bill, model_name
from gatewright.billing.compare import Compared, Difference, Ours, compare, told_of
from gatewright.bookkeeping import JOURNALS, database_of
from gatewright.cli.source import give_up, read_config
from gatewright.config import Config
from gatewright.costing import prices_of
from gatewright.jsontypes import JsonObject
from gatewright.pipeline.limit_words import dollars
from gatewright.record.fresh import fresh
from gatewright.stores.report_terms import Query

DISAGREE: Final = 1
"""Exit code where the two differ by more than the tolerance."""
MOST_LINES: Final = 100
Company: TypeAlias = Literal["openai", "anthropic"]
_READERS: Final = {"openai": openai.read, "anthropic": anthropic.read}
_EPOCH: Final = date(1970, 1, 1)


def reconcile(  # noqa: PLR0917 - typer passes them by name
    company: Annotated[Company, typer.Argument(help="Whose bill it is.")],
    bill: Annotated[Path, typer.Argument(help="The provider's export of usage or of costs, as CSV.")],
    provider: Annotated[
        list[str] | None,
        typer.Option(help="Names of providers in the configuration that the bill is for. Default: those of its kind."),
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0, max=100, help="Per cent of the bill that a figure may be off.")] = 1.0,
    form: Annotated[Literal["table", "json"], typer.Option("--format", "-f", help="For people or for programs.")] = "table",
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file. Default: as for `serve`.")] = None,
) -> None:
    """Compare a provider's own export with the ledger. Exit code 1 where they disagree."""
    settings = read_config(config)
    theirs = _bill(company, bill)
    names = provider or [name for name, one in settings.providers.items() if one.kind == company] or [company]
    found = compare(theirs, _ledger(settings, names, theirs), tolerance=tolerance / 100)
    if form == "json":
        typer.echo(json.dumps(document(theirs, names, found), indent=2, ensure_ascii=False))
    else:
        Console(soft_wrap=True).print(page(theirs, names, found, tolerance))
    if found.differences:
        raise typer.Exit(DISAGREE)


def _bill(company: Company, path: Path) -> Bill:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return _READERS[company](lines)
    except OSError as error:
        give_up(f"{path} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        give_up(f"{path} is no text in UTF-8; export it as CSV")
    except BadBill as error:
        give_up(f"{path}: {error}")


def _ledger(settings: Config, providers: list[str], bill: Bill) -> dict[tuple[date, str], Ours]:
    """What the ledger has of these days, and of a day on either side."""
    from gatewright.stores.sql import BadDatabase, DatabaseError, migrate  # noqa: PLC0415 - takes its time

    first, last = bill.days
    query = Query(
        since=((first - _EPOCH).days - 1) * 24,
        until=((last - _EPOCH).days + 2) * 24,
        by=("day", "model"),
        only=tuple(("provider", name) for name in providers),
    )
    try:
        engine = database_of(settings)
        migrate(engine)
        found = fresh(engine, query, Path(settings.server.state_dir) / JOURNALS, prices_of(settings).price).report
    except BadDatabase as error:
        give_up(str(error))
    except DatabaseError as error:
        give_up(f"the database cannot be asked: {str(error).splitlines()[0]}")
    ours: dict[tuple[date, str], Ours] = {}
    for line in found.lines:
        key = (date.fromisoformat(line.group["day"]), model_name(line.group["model"]))
        ours.setdefault(key, Ours()).add(_ours(line.sums))
    return ours


def _ours(sums: Mapping[str, int]) -> Ours:
    return Ours(
        requests=sums["attempts"] - sums["failed"],
        read=sum(sums[axis] for axis in ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in")),
        written=sum(sums[axis] for axis in ("output", "reasoning", "audio_out")),
        cost=sums["cost_micros"],
        unknown=sums["unknown"],
        estimated=sums["estimated"],
    )


def page(bill: Bill, providers: list[str], found: Compared, tolerance: float) -> Group:
    """For a person: what disagrees and why, then the sums."""
    parts: list[Table | Text] = []
    if found.differences:
        table = Table(box=None, pad_edge=False)
        for title in ("day", "model", ""):
            table.add_column(title, no_wrap=title == "day", overflow="fold")
        for title in ("bill", "ledger", "off by"):
            table.add_column(title, justify="right", no_wrap=True)
        table.add_column("likely", justify="right")
        reasons = told_of(found.differences)
        for one in found.differences[:MOST_LINES]:
            table.add_row(*map(Text, _cells(one)), Text(f"[{reasons.index(one.why) + 1}]"))
        parts += [table, Text()]
        parts.append(Text("\n".join(f"[{number}] {why}" for number, why in enumerate(reasons, 1)) + "\n"))
        if len(found.differences) > MOST_LINES:
            parts.append(Text(f"… and {len(found.differences) - MOST_LINES} more: --format json\n"))
    return Group(*parts, Text("\n".join(_summary(bill, providers, found, tolerance))))


def _cells(one: Difference) -> Iterator[str]:
    yield one.day.isoformat()
    yield one.model or "all"
    yield one.what
    yield _figure(one.what, one.theirs)
    yield _figure(one.what, one.ours)
    yield _figure(one.what, one.ours - one.theirs, sign=True) + ("" if one.share is None else f" ({one.share:+.1%})")


def _figure(what: str, n: int, *, sign: bool = False) -> str:
    mark = "-" if n < 0 else "+" if sign else ""
    return mark + (dollars(abs(n)) if what == "cost" else f"{abs(n):,}")


def _summary(bill: Bill, providers: list[str], found: Compared, tolerance: float) -> Iterator[str]:
    first, last = bill.days
    yield f"{bill.kind} from {first} to {last} (UTC), against the ledger's calls to {', '.join(providers)}:"
    for what, theirs in found.theirs.items():
        ours = found.ours[what]
        off = _figure(what, ours - theirs, sign=True)
        yield f"  {what:9} bill {_figure(what, theirs)}, ledger {_figure(what, ours)}, off by {off}"
    if bill.not_tokens:
        yield f"  beside it the bill has ${bill.not_tokens:f} for other services than model calls, which are not compared"
    if found.differences:
        yield f"{len(found.differences)} figures of {found.pairs} days and models disagree by more than {tolerance:g} %"
    else:
        yield f"good: {found.pairs} days and models agree within {tolerance:g} %"


def document(bill: Bill, providers: list[str], found: Compared) -> JsonObject:
    """For programs. Costs are micro-dollars."""
    return {
        "object": "usage.reconciliation",
        "bill": bill.kind,
        "from": bill.days[0].isoformat(),
        "to": bill.days[1].isoformat(),
        "providers": list(providers),
        "agrees": not found.differences,
        "compared": found.pairs,
        "totals": {what: {"bill": n, "ledger": found.ours[what]} for what, n in found.theirs.items()},
        "other_services_usd": f"{bill.not_tokens:f}",
        "differences": [
            {
                "day": one.day.isoformat(),
                "model": one.model,
                "what": one.what,
                "bill": one.theirs,
                "ledger": one.ours,
                "likely": one.why,
            }
            for one in found.differences
        ],
    }
