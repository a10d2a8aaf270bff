"""Two exchanges side by side, for a person; and the same for programs."""

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gatewright.cli.trace_diff import CallChange, Change, Difference, Figure, Op, Piece
from gatewright.cli.trace_show import pretty, safe, seconds
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.pipeline.limit_words import dollars
from gatewright.wire import json

_LEFT: dict[Op, str] = {"same": "", "changed": "red", "removed": "red", "added": ""}
_RIGHT: dict[Op, str] = {"same": "", "changed": "green", "removed": "", "added": "green"}


def page(difference: Difference, left: str, right: str) -> Group:
    """`left`, `right`: how the two are called."""
    parts: list[RenderableType] = [_facts(difference, left, right), Text()]
    if difference.asked:
        parts += [Text("asked differently", style="bold"), _changes(difference.asked), Text()]
    if difference.reasoning:
        parts += [*_texts("reasoning", difference.reasoning, left, right), Text()]
    if difference.text:
        parts += [*_texts("said", difference.text, left, right), Text()]
    if difference.calls:
        parts += [_calls(difference.calls, left, right), Text()]
    verdict = "both say the same" if difference.same else _verdict(difference)
    return Group(*parts, Text(verdict, style="bold"))


def _verdict(difference: Difference) -> str:
    calls = sum(call.op != "same" for call in difference.calls)
    texts = sum(piece.op != "same" for piece in difference.text)
    said = [
        *([f"{len(difference.asked)} differences in what was asked"] if difference.asked else []),
        *([f"{texts} in what was said"] if texts else []),
        *([f"{calls} tool calls differ"] if calls else []),
    ]
    return "; ".join(said) or "only the reasoning differs"


def _facts(difference: Difference, left: str, right: str) -> Table:
    table = Table("", left, right, "", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for fact in difference.facts:
        style = "" if fact.a == fact.b else "yellow"
        table.add_row(fact.name, Text(safe(fact.a, 100), style=style), Text(safe(fact.b, 100), style=style), "")
    for figure in difference.figures:
        table.add_row(figure.name, _told(figure.a, figure), _told(figure.b, figure), Text(change(figure), style="dim"))
    return table


def _told(value: int | None, figure: Figure) -> str:
    if value is None:
        return "?"
    match figure.unit:
        case "us":
            return seconds(value)
        case "micros":
            return dollars(value)
        case "":
            return f"{value:,}"


def change(figure: Figure) -> str:
    """`+12%`; empty where nothing can be said."""
    if figure.a is None or figure.b is None or not figure.a or figure.a == figure.b:
        return ""
    return f"{(figure.b - figure.a) / figure.a:+.0%}"


def _texts(title: str, pieces: Iterable[Piece], left: str, right: str) -> Iterator[RenderableType]:
    one, other = Text(), Text()
    for piece in pieces:
        one.append(safe(piece.a), style=_LEFT[piece.op])
        other.append(safe(piece.b), style=_RIGHT[piece.op])
    table = Table(f"{title}: {left}", f"{title}: {right}", expand=True, show_lines=False)
    table.columns[0].ratio = table.columns[1].ratio = 1
    table.add_row(one, other)
    yield table


def _calls(calls: Iterable[CallChange], left: str, right: str) -> Table:
    table = Table("tool", left, right, expand=True)
    for call in calls:
        if call.op == "changed":
            one = "\n".join(f"{c.path}: {_value(c.a)}" for c in call.changes if c.op != "added")
            other = "\n".join(f"{c.path}: {_value(c.b)}" for c in call.changes if c.op != "removed")
        else:
            one = "" if call.op == "added" else pretty(call.a)
            other = "" if call.op == "removed" else "the same" if call.op == "same" else pretty(call.b)
        dim = "dim" if call.op == "same" else ""
        table.add_row(
            Text(safe(call.name, 100), style="bold"),
            Text(safe(one, 2_000), style=dim or _LEFT[call.op]),
            Text(safe(other, 2_000), style=dim or _RIGHT[call.op]),
        )
    return table


def _changes(changes: Iterable[Change]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for change_ in changes:
        table.add_row(
            Text(safe(change_.path, 200)),
            Text("" if change_.op == "added" else safe(_value(change_.a), 500), style="red"),
            Text("" if change_.op == "removed" else safe(_value(change_.b), 500), style="green"),
        )
    return table


def _value(value: JsonValue) -> str:
    return json.encode(value).decode("utf-8", "replace")


def document(difference: Difference) -> JsonObject:
    """For programs."""
    told = json.decode(json.encode(difference))
    assert isinstance(told, dict)
    return {"same": difference.same, **told}
