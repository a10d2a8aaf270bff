"""One trace for a person: who asked whom for what, the conversation, and what it took.

One rule: colours say what words say, too; reasoning and machinery are dim. A terminal is told nothing but text: what clients and
models wrote goes through `safe`, so that no escape of theirs reaches it.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, assert_never

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text as Line

from gatewright.ir.blocks import Block, FileRef, Inline, Media, Native, Reasoning, Refusal, Text, ToolCall, ToolResult, Url
from gatewright.jsontypes import JsonValue
from gatewright.pipeline.limit_words import dollars
from gatewright.record.export_jsonl import instant
from gatewright.record.export_meaning import Meaning
from gatewright.record.otlp_messages import arguments, finish_word, result
from gatewright.record.traces import Trace
from gatewright.wire import json
from gatewright.wire.json import BadJson

MOST_TEXT: Final = 8_000
"""Characters of one block; all of it stands in `--raw` and in exports."""
BAR: Final = 40
"""Characters of the whole time."""
_CONTROLS: Final = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]")
_WHO: Final = {"system": ("system", "magenta"), "user": ("user", "green"), "assistant": ("assistant", "cyan")}


def safe(text: str, most: int = MOST_TEXT) -> str:
    """Without control characters and marks that turn writing around; cut where it is very long."""
    cut = text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} characters more)"
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", cut.replace("\r\n", "\n"))


def page(trace: Trace, meaning: Meaning) -> Group:
    """The whole of it."""
    parts: list[RenderableType] = [heading(trace), facts(trace), Line()]
    if meaning.request is not None:
        for message in meaning.request.messages:
            who, colour = _WHO[message.role]
            if message.blocks and all(isinstance(block, ToolResult) for block in message.blocks):
                who, colour = "tool", "yellow"
            parts += turn(f"{who} {message.name or ''}".rstrip(), colour, message.blocks)
    if meaning.answer is not None:
        end = finish_word(meaning.answer.finish)
        parts += turn("assistant" + (f" · {end}" if end else ""), "bold cyan", meaning.answer.blocks)
        if meaning.answer.others:
            parts.append(Line(f"and {len(meaning.answer.others)} further choices: --raw client-answer", style="dim"))
    parts += [Line(safe(note), style="yellow") for note in meaning.notes]
    if trace.problem or trace.error:
        parts.append(Line(safe(f"failed: {trace.problem or trace.error}"), style="red"))
    return Group(*parts, *_rest(trace))


def heading(trace: Trace) -> Line:
    good = "green" if trace.status < 400 else "red"
    target = f"{trace.provider}/{trace.model}" if trace.provider else "nobody"
    return Line.assemble(
        (trace.id, "bold"),
        f"  {instant(trace.at)[:19].replace('T', ' ')} UTC  ",
        (f"{trace.status}", good),
        f"  {safe(trace.asked, 100) or trace.operation} → {safe(target, 100)}",
    )


def facts(trace: Trace) -> Line:
    known = [
        ("key", trace.key_name),
        ("user", trace.user),
        ("team", trace.team),
        ("route", trace.route if trace.route != trace.asked else ""),
        ("session", "" if trace.session == trace.id else trace.session),
        ("goes on with", trace.parent),
        ("cache", trace.cache),
    ]
    dialects = trace.client_dialect + (
        f" → {trace.upstream_dialect}" if trace.upstream_dialect and trace.upstream_dialect != trace.client_dialect else ""
    )
    said = [dialects + (", streamed" if trace.stream else ""), *(f"{name} {safe(value, 80)}" for name, value in known if value)]
    return Line(" · ".join(said), style="dim")


def turn(who: str, colour: str, blocks: Iterable[Block]) -> Iterator[RenderableType]:
    yield Line(safe(who), style=colour)
    for block in blocks:
        yield Padding(said(block), (0, 0, 0, 2))
    yield Line()


def said(block: Block) -> RenderableType:
    """One block, as somebody reads it."""
    match block:
        case Text():
            return Line(safe(block.text))
        case Refusal():
            return Line(safe(f"refused: {block.text}"), style="red")
        case Reasoning():
            text = block.text or "\n".join(block.summary)
            return Line(safe(text or "(reasoning that is not shown)"), style="dim italic")
        case ToolCall():
            return Group(
                Line.assemble(("→ ", "yellow"), (safe(block.name, 200), "bold yellow"), (f"  {block.id}", "dim")),
                Padding(Line(safe(pretty(arguments(block)))), (0, 0, 0, 2)),
            )
        case ToolResult():
            failed = " failed" if block.is_error else ""
            inner: RenderableType = Line(safe(pretty(result(block))))
            return Group(
                Line.assemble(("← ", "yellow"), (safe(block.name or block.call_id, 200), "yellow"), (failed, "red")),
                Padding(inner, (0, 0, 0, 2)),
            )
        case Media():
            return Line(safe(_media(block)), style="blue")
        case Native():
            return Line(safe(f"{block.origin}: {pretty(block.data)}", 1_000), style="dim")
        case _:
            assert_never(block)


def _media(block: Media) -> str:
    name = f" “{block.title}”" if block.title else ""
    match block.source:
        case Url(url=url):
            return f"[{block.kind}{name} at {url[:200]}]"
        case FileRef(id=ident):
            return f"[{block.kind}{name}, file {ident}]"
        case Inline(media_type=kind, data=data, text=is_text):
            return f"[{block.kind}{name}, {kind or 'of no told kind'}, {len(data) if is_text else len(data) * 3 // 4:,} bytes]"


def pretty(value: JsonValue) -> str:
    """A text as it is; `key: value` a line for a flat object; JSON for all else."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and value and all(not isinstance(item, dict | list) for item in value.values()):
        return "\n".join(f"{key}: {item if isinstance(item, str) else _json(item)}" for key, item in value.items())
    return _json(value)


def _json(value: JsonValue) -> str:
    try:
        return json.encode(value).decode()
    except BadJson:
        return repr(value)


def _rest(trace: Trace) -> Iterator[RenderableType]:
    yield Line()
    yield figures(trace)
    if trace.tried:
        yield Line()
        yield attempts(trace)
    if trace.lost:
        yield _rows("lost on the way", ((loss.path, f"{loss.weight}: {loss.why}") for loss in trace.lost))
    if trace.found:
        rows = (
            (f"{f.rule} ({f.action}{', dry' if f.dry else ''})", f"{f.kind} {f.direction} {f.path} {f.message}")
            for f in trace.found
        )
        yield _rows("guards", rows)
    if trace.redacted:
        yield Line(f"{trace.redacted} secrets were replaced before this was written", style="dim")


def figures(trace: Trace) -> Line:
    told = [f"{name.replace('_', ' ')} {value:,}" for name, value in trace.usage.items() if isinstance(value, int) and value]
    if not trace.attempts:
        return Line(f"nobody was asked · {seconds(trace.took_us)}", style="bold")
    cost = "cost unknown" if trace.cost_micros is None else f"${dollars(trace.cost_micros).removeprefix('$')}"
    first = "" if trace.ttft_us is None else f", first content after {seconds(trace.ttft_us)}"
    return Line(f"{' · '.join(told) or 'no usage told'} · {cost} · {seconds(trace.took_us)}{first}", style="bold")


def seconds(us: int) -> str:
    return f"{us / 1000:.0f} ms" if us < 1_000_000 else f"{us / 1_000_000:.2f} s"


def attempts(trace: Trace) -> Table:
    """One line each, with a bar: when it ran, within the whole time; the lighter end is the answer coming in."""
    table = Table("attempts", "", "", "", box=None, pad_edge=False)
    for attempt in trace.tried:
        good = not attempt.cause
        outcome = str(attempt.status or "") if good else f"{attempt.status or ''} {attempt.cause}".strip()
        words = "hedge " * attempt.hedge + "resumed " * attempt.resumed
        table.add_row(
            Line(safe(attempt.target, 100)),
            Line(outcome, style="green" if good else "red"),
            bar(trace.took_us, attempt.began_us, attempt.ttft_us, attempt.took_us),
            Line(safe(f"{words}{seconds(attempt.took_us)} {attempt.message}".strip(), 300), style="dim"),
        )
    return table


def bar(whole: int, began: int, first: int | None, took: int) -> Line:
    """`whole`, `began`, `took`: microseconds; `first`: until the first content, None: it never came."""
    if whole <= 0:
        return Line()
    at = min(BAR - 1, began * BAR // whole)
    length = max(1, min(BAR - at, round(took * BAR / whole)))
    waited = length if first is None else max(0, min(length, round(first * BAR / whole)))
    return Line.assemble(" " * at, ("█" * waited, "cyan"), ("▒" * (length - waited), "cyan"), " " * (BAR - at - length))


def _rows(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    table = Table(title, "", box=None, pad_edge=False)
    for name, why in rows:
        table.add_row(Line(safe(name, 200)), Line(safe(" ".join(why.split()), 400), style="dim"))
    return table


def marked(snippet: str) -> Line:
    """A snippet of a search, what was found in bold."""
    found = Line()
    for part in re.split("(\x01[^\x02]*\x02?)", snippet.replace("\n", " ")):
        hit = part.startswith("\x01")
        found.append(safe(part.strip("\x01\x02") if hit else part, 400), style="bold yellow" if hit else "")
    return found
