"""How two exchanges differ: word by word in what was said, field by field in what tools were called with, figure by figure.

One rule: pure, and bounded: of a text that is too long for words, lines are compared.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from gatewright.ir.blocks import Block, Media, Message, Native, Reasoning, Refusal, Text, ToolCall, ToolResult
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonValue
from gatewright.record.otlp_messages import arguments, finish_word, parts, result
from gatewright.record.traces import TraceSummary
from gatewright.wire import json
from gatewright.wire.json import BadJson

Op: TypeAlias = Literal["same", "changed", "removed", "added"]
MOST_WORDS: Final = 4_000
"""Of both texts together: comparing costs their product."""

_WORDS: Final = re.compile(r"\s+|\w+|[^\w\s]")


class Piece(msgspec.Struct, frozen=True):
    """A run of words, in one text and in the other."""

    op: Op
    a: str = ""
    b: str = ""


class Change(msgspec.Struct, frozen=True):
    """A value at a path that is not the same. None: it is not there."""

    path: str
    op: Op
    a: JsonValue = None
    b: JsonValue = None


class CallChange(msgspec.Struct, frozen=True):
    """A tool's call in one answer, beside the one in the other."""

    name: str
    op: Op
    a: JsonValue = None
    """Its arguments."""
    b: JsonValue = None
    changes: tuple[Change, ...] = ()


class Figure(msgspec.Struct, frozen=True):
    name: str
    a: int | None
    b: int | None
    unit: Literal["", "us", "micros"] = ""
    """Microseconds, or millionths of a dollar."""


class Fact(msgspec.Struct, frozen=True):
    name: str
    a: str
    b: str


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of two exchanges."""

    summary: TraceSummary
    request: Request | None
    answer: Response | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    a: str
    """Ids."""
    b: str
    facts: tuple[Fact, ...]
    """Model, status, finish: all of them, equal or not."""
    figures: tuple[Figure, ...]
    asked: tuple[Change, ...]
    """What was asked differently; `messages[2]`, `tools[0]`, …"""
    text: tuple[Piece, ...]
    reasoning: tuple[Piece, ...]
    calls: tuple[CallChange, ...]

    @property
    def same(self) -> bool:
        """Whether both said the same, whatever it cost."""
        ops: list[Op] = [piece.op for piece in (*self.text, *self.reasoning)] + [call.op for call in self.calls]
        return not self.asked and all(op == "same" for op in ops)


def compare(a: Side, b: Side) -> Difference:
    return Difference(
        a=a.summary.id,
        b=b.summary.id,
        facts=tuple(_facts(a, b)),
        figures=tuple(_figures(a.summary, b.summary)),
        asked=tuple(_asked(a.request, b.request)),
        text=words(_text(a.answer), _text(b.answer)),
        reasoning=words(_reasoning(a.answer), _reasoning(b.answer)),
        calls=calls(_calls(a.answer), _calls(b.answer)),
    )


def _facts(a: Side, b: Side) -> Iterator[Fact]:
    def target(side: Side) -> str:
        summary = side.summary
        return f"{summary.provider}/{summary.model}" if summary.provider else summary.model or "—"

    def finish(side: Side) -> str:
        return "—" if side.answer is None else finish_word(side.answer.finish) or "—"

    yield Fact("asked for", a.summary.asked or "—", b.summary.asked or "—")
    yield Fact("answered by", target(a), target(b))
    yield Fact("status", str(a.summary.status or "—"), str(b.summary.status or "—"))
    yield Fact("ended with", finish(a), finish(b))
    if a.summary.error or b.summary.error:
        yield Fact("error", a.summary.error or "—", b.summary.error or "—")


def _figures(a: TraceSummary, b: TraceSummary) -> Iterator[Figure]:
    yield Figure("tokens read", a.input, b.input)
    yield Figure("tokens written", a.output, b.output)
    yield Figure("cost", a.cost_micros, b.cost_micros, "micros")
    yield Figure("first content", a.ttft_us, b.ttft_us, "us")
    yield Figure("whole answer", a.took_us, b.took_us, "us")


def _text(answer: Response | None) -> str:
    blocks = () if answer is None else answer.blocks
    return "\n".join(block.text for block in blocks if isinstance(block, Text | Refusal))


def _reasoning(answer: Response | None) -> str:
    blocks = () if answer is None else answer.blocks
    return "\n".join(block.text or "\n".join(block.summary) for block in blocks if isinstance(block, Reasoning))


def _calls(answer: Response | None) -> list[tuple[str, JsonValue]]:
    blocks = () if answer is None else answer.blocks
    return [(block.name, arguments(block)) for block in blocks if isinstance(block, ToolCall)]


def words(a: str, b: str) -> tuple[Piece, ...]:
    """Both texts in pieces; those that changed side by side."""
    if a == b:
        return (Piece("same", a, b),) if a else ()
    one, other = _WORDS.findall(a), _WORDS.findall(b)
    if len(one) + len(other) > MOST_WORDS:
        one, other = a.splitlines(keepends=True), b.splitlines(keepends=True)
    if len(one) + len(other) > MOST_WORDS:
        return (_piece("replace", a, b),)
    found = difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
    return tuple(_piece(tag, "".join(one[i:j]), "".join(other[k:end])) for tag, i, j, k, end in found)


def _piece(tag: str, a: str, b: str) -> Piece:
    if tag == "equal":
        return Piece("same", a, b)
    return Piece("changed" if a and b else "removed" if a else "added", a, b)


def calls(a: Sequence[tuple[str, JsonValue]], b: Sequence[tuple[str, JsonValue]]) -> tuple[CallChange, ...]:
    """In their order, by name; of those that both made, what their arguments differ in."""
    found: list[CallChange] = []
    matcher = difflib.SequenceMatcher(None, [name for name, _ in a], [name for name, _ in b], autojunk=False)
    for tag, i, j, k, end in matcher.get_opcodes():
        if tag == "equal":
            for (name, left), (_, right) in zip(a[i:j], b[k:end], strict=True):
                changed = tuple(changes("$", left, right))
                found.append(CallChange(name, "changed" if changed else "same", left, right, changed))
            continue
        found += [CallChange(name, "removed", a=left) for name, left in a[i:j]]
        found += [CallChange(name, "added", b=right) for name, right in b[k:end]]
    return tuple(found)


def changes(path: str, a: JsonValue, b: JsonValue) -> Iterator[Change]:
    """Where two documents differ, the deepest places. `1` and `1.0` are the same; `true` and `1` are not."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys((*a, *b)):
            at = f"{path}.{key}"
            if key not in b:
                yield Change(at, "removed", a=a[key])
            elif key not in a:
                yield Change(at, "added", b=b[key])
            else:
                yield from changes(at, a[key], b[key])
    elif isinstance(a, list) and isinstance(b, list):
        for number in range(max(len(a), len(b))):
            at = f"{path}[{number}]"
            if number >= len(b):
                yield Change(at, "removed", a=a[number])
            elif number >= len(a):
                yield Change(at, "added", b=b[number])
            else:
                yield from changes(at, a[number], b[number])
    elif a != b or isinstance(a, bool) != isinstance(b, bool):
        yield Change(path, "changed", a, b)


def _asked(a: Request | None, b: Request | None) -> Iterator[Change]:
    if a is None or b is None:
        return
    one, other = [_message(message) for message in a.messages], [_message(message) for message in b.messages]
    keys = [_key(message) for message in one], [_key(message) for message in other]
    for tag, i, j, k, end in difflib.SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if tag == "replace" and j - i == end - k:
            for number in range(j - i):
                yield from changes(f"messages[{k + number}]", one[i + number], other[k + number])
        elif tag != "equal":
            yield from (Change(f"messages[{number}]", "removed", a=one[number]) for number in range(i, j))
            yield from (Change(f"messages[{number}]", "added", b=other[number]) for number in range(k, end))
    yield from changes("tools", [tool.name for tool in a.tools], [tool.name for tool in b.tools])
    if (a.max_tokens, a.sampling, a.thinking) != (b.max_tokens, b.sampling, b.thinking):
        yield from changes("", _settings(a), _settings(b))


def _settings(request: Request) -> JsonValue:
    told = {"max_tokens": request.max_tokens, "sampling": request.sampling, "thinking": request.thinking}
    return json.decode(json.encode(told))


def _message(message: Message) -> JsonValue:
    return {"role": message.role, "blocks": [_block(block) for block in message.blocks]}


def _block(block: Block) -> JsonValue:
    match block:
        case Text() | Refusal():
            return block.text
        case ToolResult():
            return {"result of": block.name or block.call_id, "content": result(block)}
        case ToolCall():
            return {"call": block.name, "arguments": arguments(block)}
        case Reasoning() | Media() | Native():
            return next(iter(parts((block,))))


def _key(message: JsonValue) -> bytes:
    try:
        return json.encode(message)
    except BadJson:
        return repr(message).encode("utf-8", "replace")
