"""What `gatewright models` prints: the configuration's names, or with `--live` everything that can be asked for now.

One rule: unknown is an empty cell, never a zero. Prices are the list prices of a million tokens, in US dollars.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from rich.table import Table
from rich.text import Text

from gatewright.config import Config
from gatewright.jsontypes import JsonObject
from gatewright.pipeline.model_shapes import Shown


def model_rows(config: Config) -> list[tuple[str, list[str], list[str]]]:
    """(name, targets, fallback) of everything that the configuration names."""
    rows = [
        (
            name,
            [f"{t.provider}/{t.model}" for t in model.targets] or [f"{model.ladder.provider}/… (ladder)" if model.ladder else ""],
            [f"{t.provider}/{t.model}" for t in model.fallback],
        )
        for name, model in config.models.items()
    ]
    rows += [(alias, [goal], []) for alias, goal in config.aliases.items()]
    for name, provider in config.providers.items():
        demo = provider.kind == "demo"
        rows.append((f"{name}/{'demo' if demo else '…'}", ["built in" if demo else provider.base_url], []))
    return rows


def configured_table(rows: Iterable[tuple[str, list[str], list[str]]]) -> Table:
    table = Table("model", "goes to", "then", box=None, pad_edge=False)
    for name, targets, rest in rows:
        table.add_row(*(Text(text) for text in (name, ", ".join(targets), ", ".join(rest))))
    return table


def matching(shown: Iterable[Shown], words: Sequence[str]) -> list[Shown]:
    """Those whose name, title or provider holds every word, case aside."""
    wanted = [word.casefold() for word in words]
    return [one for one in shown if all(word in _searched(one) for word in wanted)]


def _searched(one: Shown) -> str:
    return f"{one.name} {one.facts.title or ''} {one.owner}".casefold()


def live_table(shown: Iterable[Shown]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "provider"):
        table.add_column(heading, overflow="fold")
    for heading in ("context", "output", "$/M in", "$/M out"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("can")
    for one in shown:
        facts = one.facts
        table.add_row(
            Text(one.name),
            Text(one.owner, style="dim"),
            tokens(facts.context),
            tokens(facts.max_output),
            dollars(facts.input_usd),
            dollars(facts.output_usd),
            Text(" ".join(facts.capabilities or ()), style="dim"),
        )
    return table


def live_document(shown: Iterable[Shown]) -> list[JsonObject]:
    """For machines; what is unknown is null. Prices are text: no float tells them exactly."""
    return [
        {
            "model": one.name,
            "provider": one.owner,
            "title": one.facts.title,
            "context": one.facts.context,
            "max_output": one.facts.max_output,
            "capabilities": None if one.facts.capabilities is None else list(one.facts.capabilities),
            "input_usd_per_million": dollars(one.facts.input_usd) or None,
            "output_usd_per_million": dollars(one.facts.output_usd) or None,
        }
        for one in shown
    ]


def tokens(count: int | None) -> str:
    """`128k`, `1M`, `1.05M`: as people say it."""
    if count is None:
        return ""
    if count < 1000:
        return str(count)
    if count < 999_500:
        return f"{round(count / 1000)}k"
    return f"{count / 1_000_000:.2f}".rstrip("0").rstrip(".") + "M"


def dollars(price: Decimal | None) -> str:
    """As it stands in the list, without zeros that say nothing: `3`, `0.25`."""
    return "" if price is None else format(price.normalize(), "f")
