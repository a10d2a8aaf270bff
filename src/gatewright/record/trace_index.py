"""Reading traces after they were written: their words for the search, their sessions, a title for the list.

    trace ──▶ meaning (`export_meaning.py`) ──▶ words, title, marks ──▶ the store's `Lesson`

One rule: a conversation that goes on is read once: of a trace whose parent is known, what is new alone goes into the index.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from gatewright.ir.blocks import Block, Media, Native, Reasoning, Refusal, Text, ToolCall, ToolResult
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.record import trace_sessions
from gatewright.record.export_meaning import meaning_of
from gatewright.stores.trace_terms import Link, Message, Trace
from gatewright.stores.trace_words import LARGEST_TEXT
from gatewright.stores.traces_sql import Lesson, SqlTraces

AT_ONCE: Final = 10
TITLE: Final = 120
"""Characters."""
LONGEST_WORD: Final = 400
"""What is longer without a space is no word: an image, a seal."""


class Indexer:
    """Of one store. Used by one thread."""

    def __init__(self, store: SqlTraces) -> None:
        self.store = store
        self._new: dict[tuple[str, str], tuple[str, str]] = {}
        """Marks of traces that are being read and not written down yet: trace and session."""

    def some(self, limit: int = AT_ONCE) -> int:
        """Read the oldest that were not read yet. How many there were. Raises DatabaseError, CannotOpen."""
        unread = self.store.unread(limit)
        if not unread:
            return 0
        self._new = {}
        lessons = [self._lesson(number, trace) for number, trace in unread]
        self.store.learn(lessons)
        return len(lessons)

    def _lesson(self, number: int, trace: Trace) -> Lesson:
        meaning = meaning_of(trace)
        request, answer = meaning.request, meaning.answer
        owner, session, link, parent = trace.key_id, trace.session, trace.link, ""
        before: tuple[str, ...] = ()
        kind: Link = "prefix"
        previous = trace_sessions.told(trace.request.headers, trace.request.body).previous
        if previous:
            before, kind = (trace_sessions.response_mark(previous),), "response"
        elif request is not None:
            before, kind = trace_sessions.marks_before(request), "prefix"
        earlier = self._earlier(owner, before)
        old = 0
        if earlier is not None:
            parent = earlier[0]
            if not session:
                session, link = earlier[1], kind
            if request is not None and kind == "prefix":
                old = _turns_before(request)
        session = session or trace.id
        marks = () if request is None else trace_sessions.marks_behind(request, answer)
        for body in {trace.answer.body, *(call.answer.body for call in trace.upstream if call.answer is not None)}:
            if named := trace_sessions.response_id(body):
                marks += (trace_sessions.response_mark(named),)
        for mark in marks:
            self._new[owner, mark] = (trace.id, session)
        return Lesson(
            number=number,
            trace=trace.id,
            at=trace.at,
            owner=owner,
            session=session,
            link=link,
            parent=parent,
            title=_title(request),
            text=words(trace, request, answer, old),
            marks=marks,
        )

    def _earlier(self, owner: str, marks: Sequence[str]) -> tuple[str, str] | None:
        """The trace that this one goes on with, and its session."""
        for mark in marks:
            if (found := self._new.get((owner, mark))) is not None:
                return found
        known = self.store.linked(owner, marks)
        return None if known is None else known[1:]


def words(trace: Trace, request: Request | None, answer: Response | None, old: int = 0) -> str:
    """What can be looked for. `old`: messages at the beginning that an earlier trace has told."""
    parts: list[str] = []
    if request is not None:
        for message in request.messages[old:]:
            for block in message.blocks:
                parts += _said(block)
        if not old:
            parts += [f"{tool.name} {tool.description or ''}" for tool in request.tools]
    elif trace.request.body:
        parts += _texts_of(trace.request)
    if answer is not None:
        for block in answer.blocks:
            parts += _said(block)
    elif trace.answer.body and (request is None or trace.outcome == "error"):
        parts += _texts_of(trace.answer)
    parts += [trace.problem, *(one.message for one in trace.tried), *(finding.rule for finding in trace.found)]
    size, kept = 0, list[str]()
    for part in parts:
        if part:
            kept.append(_without_long(part))
            size += len(part)
            if size > LARGEST_TEXT:
                break
    return "\n".join(kept)


def _said(block: Block) -> Iterator[str]:
    match block:
        case Text() | Refusal():
            yield block.text
        case Reasoning():
            yield block.text
            yield from block.summary
        case ToolCall():
            yield f"{block.name} {block.arguments}"
        case ToolResult():
            yield block.name
            for part in block.content:
                yield from _said(part)
            if block.structured is not None:
                yield from _strings(block.structured)
        case Media():
            yield block.title or ""
        case Native():
            yield from _strings(block.data)


def _texts_of(message: Message) -> Iterator[str]:
    """Of what is no model call: the texts of its document."""
    try:
        document = msgspec.json.decode(message.body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return
    yield from _strings(document)


def _strings(value: object, deep: int = 0) -> Iterator[str]:
    if deep > 60:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _strings(one, deep + 1)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one, deep + 1)


def _without_long(text: str) -> str:
    if len(text) <= LONGEST_WORD:
        return text
    return " ".join(word for word in text.split() if len(word) <= LONGEST_WORD)


def _turns_before(request: Request) -> int:
    """Messages up to the last answer in them."""
    return max((at + 1 for at, message in enumerate(request.messages) if message.role == "assistant"), default=0)


def _title(request: Request | None) -> str:
    """What its user said last, in a line; what agents put in between is none of it."""
    if request is None:
        return ""
    for message in reversed(request.messages):
        if message.role != "user":
            continue
        for block in reversed(message.blocks):
            if isinstance(block, Text) and block.text.strip() and not block.text.lstrip().startswith("<"):
                return " ".join(block.text[: 4 * TITLE].split())[:TITLE]
    return ""
