"""Many traces: a line each, for a person."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group
from rich.table import Table
from rich.text import Text

from gatewright.cli.models import tokens
from gatewright.cli.trace_show import marked, safe, seconds
from gatewright.pipeline.limit_words import dollars
from gatewright.record.traces import Hit, Hits, Page, TraceSummary


def listed(page: Page) -> Group:
    """A page, and how to see the next."""
    rows: list[Table | Text] = [table(page.items)]
    if page.next:
        rows.append(Text(f"more: --cursor {page.next}", style="dim"))
    return Group(*rows)


def found(hits: Hits) -> Group:
    """Each with where the words stand."""
    rows: list[Table | Text] = []
    for hit in hits.items:
        rows += [_hit(hit), Text("  ").append_text(marked(hit.snippet)), Text()]
    if hits.next:
        rows.append(Text(f"more: --cursor {hits.next}", style="dim"))
    if hits.unread:
        rows.append(Text(f"{hits.unread} traces are too young to be searched; ask again in a moment", style="dim"))
    return Group(*rows)


def table(items: Sequence[TraceSummary]) -> Table:
    """The youngest first, as the store gives them."""
    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("id", no_wrap=True, style="bold")
    shown.add_column("when (UTC)", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for title in ("key", "asked", "target"):
        shown.add_column(title, overflow="fold", max_width=32)
    for title in ("read", "written", "cost", "took"):
        shown.add_column(title, justify="right", no_wrap=True)
    shown.add_column("guards", overflow="fold", max_width=24)
    shown.add_column("", overflow="ellipsis", no_wrap=True, max_width=48)
    for item in items:
        shown.add_row(
            item.id,
            when(item.at),
            status(item),
            Text(safe(item.key_name, 64)),
            Text(safe(item.asked or item.operation, 64)),
            Text(safe(target(item), 100)),
            _count(item.input),
            _count(item.output),
            "?" if item.cost_micros is None else dollars(item.cost_micros),
            seconds(item.took_us),
            Text(safe(", ".join(item.rules), 100), style="yellow"),
            Text(safe(" ".join(item.title.split()), 100), style="dim"),
        )
    return shown


def _hit(hit: Hit) -> Text:
    item = hit.summary
    return Text.assemble(
        (item.id, "bold"), f"  {when(item.at)}  ", status(item), f"  {safe(item.asked, 64)} → {safe(target(item), 100)}"
    )


def target(item: TraceSummary) -> str:
    if not item.provider:
        return "—"
    return f"{item.provider}/{item.model}" if item.model else item.provider


def when(at: int) -> str:
    """Today's by their time, others by their day, too."""
    moment = datetime.fromtimestamp(at / 1_000_000, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def status(item: TraceSummary) -> Text:
    good = item.status < 400 and item.outcome != "error"
    return Text(f"{item.status}{'' if good or item.status >= 400 else '!'}", style="green" if good else "red")


def _count(figure: int | None) -> str:
    return "" if figure is None else tokens(figure)
