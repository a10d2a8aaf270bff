"""Streams as they were told: what stands in their events, a few letters at a time, read together.

    data: {"delta": {"text": "sk-"}}   data: {"delta": {"text": "abc"}}      →  "sk-abc", and which event holds which letter

One rule: no dialect decides here. Texts at the same place of events that follow one another are one text: so it is in each.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

Spans = Callable[[str], Sequence[tuple[int, int, str]]]

GROWING: Final = frozenset((
    "content", "text", "delta", "arguments", "partial_json", "thinking", "reasoning_content", "reasoning", "refusal", "input",
))  # fmt: skip
"""Fields whose texts are told in parts."""
FEW: Final = 8
"""Events of another form that a stream of events alike may have: its first, its last."""
_GROWS: Final = re.compile(rb'"(?:%b)" ?: ?"((?:[^"\\]|\\.)*)"' % "|".join(sorted(GROWING)).encode())
_BETWEEN: Final = re.compile(rb"\n\nevent:[^\n]*\ndata:")
_LINE: Final = re.compile(rb"^data:[ ]?(.*)$", re.MULTILINE)


class _Function(msgspec.Struct, gc=False):
    arguments: str | None = None


class _Call(msgspec.Struct, gc=False):
    index: int = 0
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: _Delta | None = None
    text: str | None = None


class _Part(msgspec.Struct, gc=False):
    text: str = ""


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] = []


class _Candidate(msgspec.Struct, gc=False):
    index: int = 0
    content: _Content | None = None


class _Event(msgspec.Struct, gc=False):
    """What grows in the events of the dialects that stream as text."""

    delta: str | _Delta | None = None
    choices: tuple[_Choice, ...] = ()
    candidates: tuple[_Candidate, ...] = ()


_events: Final = msgspec.json.Decoder(list[_Event]).decode


def _told_alike(body: bytes) -> bytes | None:
    """Of events that differ in one text alone, as those of many hosts do: what they differ in. None: they are not such."""
    pieces = body.split(b"\n\n")
    if len(pieces) < FEW:
        return None
    found = list(_GROWS.finditer(pieces[len(pieces) // 2]))
    if len(found) != 1:
        return None
    begin, end = found[0].span(1)
    before, behind = found[0].string[:begin], found[0].string[end:]
    tail = -len(behind)
    alike = [piece.startswith(before) and piece.endswith(behind) for piece in pieces]
    if alike.count(False) > FEW:
        return None
    said = [piece[begin:tail] for piece in pieces]  # of those that are alike; the others are told by themselves
    at = -1
    for _ in range(alike.count(False)):
        at = alike.index(False, at + 1)
        told = _told(pieces[at])
        if told is None:
            return None
        said[at] = told
    return b"".join(said)


def _told(body: bytes) -> bytes | None:
    """By reading every event."""
    start = body.find(b"data:")
    if start < 0:
        return b""
    body = body[start + 5 :].replace(b"\n\ndata:", b",")
    if b"\n\nevent:" in body:
        body = _BETWEEN.sub(b",", body)
    try:
        events = _events(b"[%b]" % body.rstrip().removesuffix(b"[DONE]").rstrip(b", "))
    except (msgspec.MsgspecError, RecursionError):
        return None
    choices = [choice for event in events for choice in event.choices]
    if choices:
        return _told_by(choices)
    deltas = [event.delta for event in events if event.delta is not None]
    said = "".join([delta if isinstance(delta, str) else _said(delta) for delta in deltas])
    by_index: dict[int, list[str]] = {}
    for event in events:
        for candidate in event.candidates:
            if candidate.content is not None:
                by_index.setdefault(candidate.index, []).extend([part.text for part in candidate.content.parts])
    if by_index:
        said = "\0".join([said, *("".join(parts) for parts in by_index.values())])
    return said.encode("utf-8", "replace")


def _told_by(choices: list[_Choice]) -> bytes:
    """As nearly all are: one answer of text. Else each answer, and each call within one, by itself."""
    deltas = [choice.delta for choice in choices if choice.delta is not None]
    texts = [delta.content for delta in deltas if delta.content]
    plain = len(texts) + 2 >= len(choices) and not any(choice.index for choice in choices)
    if plain and not any(delta.tool_calls for delta in deltas):
        return "".join(texts).encode("utf-8", "replace")
    said: dict[object, list[str]] = {}
    for choice in choices:
        delta = choice.delta
        text = choice.text if delta is None else _said(delta)
        if text:
            said.setdefault(choice.index, []).append(text)
        for call in (delta.tool_calls or ()) if delta is not None else ():
            if call.function is not None and call.function.arguments:
                said.setdefault((choice.index, call.index), []).append(call.function.arguments)
    return "\0".join(["".join(parts) for parts in said.values()]).encode("utf-8", "replace")


def _said(delta: _Delta) -> str:
    return (
        delta.content
        or delta.text
        or delta.partial_json
        or delta.thinking
        or delta.reasoning_content
        or delta.reasoning
        or delta.refusal
        or ""
    )


class Stream:
    """The body of one, as server-sent events."""

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        self._body = body

    def told(self) -> bytes | None:
        """What its deltas say one after the other, each answer by itself, with JSON's escapes or without: for a first look, which
        costs little. None: they are of no form that is known here, and only a closer look can tell.
        """
        body = self._body if b"\r" not in self._body else self._body.replace(b"\r\n", b"\n")
        return _told_alike(body) or _told(body)

    def without(self, spans: Spans, placeholder: str) -> tuple[bytes, int]:
        """The body with what `spans` finds replaced, wherever its letters stand; and how many there were."""
        lines = list(_LINE.finditer(self._body))
        documents = [_document(line[1]) for line in lines]
        texts: dict[tuple[object, ...], list[_Piece]] = {}
        for number, document in enumerate(documents):
            if document is not None:
                _collect(document, (), number, texts)
        count = 0
        changed: set[int] = set()
        for pieces in texts.values():
            whole = "".join(piece.text for piece in pieces)
            for start, end, kind in reversed(spans(whole)):
                count += 1
                changed |= _replace(pieces, start, end, placeholder.format(kind))
        if not changed:
            return self._body, 0
        parts, at = [], 0
        for number, line in enumerate(lines):
            if number in changed:
                parts += [self._body[at : line.start(1)], msgspec.json.encode(documents[number])]
                at = line.start(1) + len(line[1].rstrip(b"\r"))
        return b"".join((*parts, self._body[at:])), count


def stream_of(body: bytes) -> Stream | None:
    """None: it is no stream of events."""
    start = body[:200].lstrip()
    return Stream(body) if start.startswith((b"data:", b"event:", b":", b"id:")) and b"data:" in body else None


class _Piece:
    """A text in one event."""

    __slots__ = ("holder", "key", "number", "text")

    def __init__(self, holder: Any, key: Any, number: int, text: str) -> None:
        self.holder = holder
        self.key = key
        self.number = number
        self.text = text


def _document(line: bytes) -> Any:
    try:
        found = msgspec.json.decode(line.strip())
    except (msgspec.MsgspecError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def _collect(value: Any, path: tuple[object, ...], number: int, texts: dict[tuple[object, ...], list[_Piece]]) -> None:
    """Every text by its place. What is one of several says which by its `index`, if not by where it stands."""
    if len(path) > 60:
        return
    if isinstance(value, dict):
        at = tuple(
            which for name in ("index", "output_index", "content_index") if isinstance(which := value.get(name), int | str)
        )
        for key, one in value.items():
            here = (*path, at, key)
            if isinstance(one, str):
                together = here if key in GROWING else (*here, number)
                texts.setdefault(together, []).append(_Piece(value, key, number, one))
            elif isinstance(one, dict | list):
                _collect(one, here, number, texts)
    elif isinstance(value, list):
        for place, one in enumerate(value):
            here = (*path, place)
            if isinstance(one, str):
                texts.setdefault((*here, number), []).append(_Piece(value, place, number, one))
            elif isinstance(one, dict | list):
                _collect(one, here, number, texts)


def _replace(pieces: Sequence[_Piece], start: int, end: int, placeholder: str) -> set[int]:
    """Take `start` to `end` of all of them together out; where it began, the placeholder stands. Which events have changed."""
    changed: set[int] = set()
    at = 0
    for piece in pieces:
        before, at = at, at + len(piece.text)
        if at <= start or before >= end:
            continue
        first, last = max(0, start - before), min(len(piece.text), end - before)
        piece.text = piece.text[:first] + (placeholder if before <= start else "") + piece.text[last:]
        piece.holder[piece.key] = piece.text
        changed.add(piece.number)
    return changed
