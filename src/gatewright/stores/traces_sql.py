"""The store of traces, in SQLite or PostgreSQL.

    trace ──▶ blob of many, compressed, perhaps sealed ──▶ later: a line to be listed by ──▶ later: its words, its session

One rule: one transaction for what comes together. A process that is killed leaves what it has committed, and nothing by halves.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from gatewright.stores import trace_words
from gatewright.stores.sql import TRACES as LINEAGE
from gatewright.stores.sql import migrate, writing
from gatewright.stores.trace_blobs import Opener, Packed, Packer, Rest, count_in, rest_in, rest_of, traces_in
from gatewright.stores.trace_document import CannotOpen, trace_of
from gatewright.stores.trace_tables import BLOBS, LINKS, TRACES
from gatewright.stores.trace_terms import Hit, Hits, Page, Trace, TraceFilter, TraceSummary
from gatewright.stores.trace_where import conditions, cursor_of, numbers_of, plain

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

    from gatewright.stores.sealed import Sealer

NOTHING: Final = TraceFilter()
MOST: Final = 1000
"""Lines of a page."""
LISTED: Final = 0
DAMAGED: Final = 2
"""Of a blob that does not open, so that nobody tries again."""
BLOBS_AT_ONCE: Final = 8
AT_ONCE: Final = 200
"""Traces that are read in one go, and blobs that are removed."""

_FILLED = (
    "id", "at", "took_us", "session", "link", "parent", "title", "key_id", "key_name", "user", "team", "organization",
    "operation", "route", "asked", "provider", "model", "client_dialect", "upstream_dialect", "status", "outcome", "cost_micros",
)  # fmt: skip
_BLOB_COLUMNS = ("last", "size", "seal", "data", "lengths", "unlisted")
_COLUMNS = (*_FILLED, "rules", "rest", "blob", "start", "length", "unread")
_SHOWN = (TRACES.c.number, *(TRACES.c[name] for name in _FILLED), TRACES.c.rules, TRACES.c.rest)


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """What was read in a trace, after it was written."""

    number: int
    trace: str
    at: int
    owner: str
    """Whose conversation it is: the key's id."""
    session: str
    link: str
    parent: str
    title: str
    text: str
    """For the index."""
    marks: tuple[str, ...] = ()
    """By which a later trace knows that it goes on with this one."""


class SqlTraces:
    """Of one database. Its methods block; one thread at a time may use it."""

    def __init__(self, engine: "Engine", sealer: "Sealer | None" = None, *, seals: bool = False) -> None:
        """`sealer`: opens what is encrypted. `seals`: what is written is."""
        self.engine = engine
        self.seals = seals
        self._packer = Packer(sealer if seals else None)
        self._opener = Opener(sealer)
        self._ready = False

    def prepare(self) -> None:
        """Make the tables, once. Raises DatabaseError, BadDatabase."""
        if not self._ready:
            migrate(self.engine, lineage=LINEAGE)
            self._ready = True

    # -- writing -------------------------------------------------------------------------------------------------------------

    def write(self, traces: Sequence[Trace]) -> None:
        """Raises DatabaseError."""
        self.write_packed(list(self._packer.pack_all(traces)))

    def write_packed(self, blobs: Iterable[Packed]) -> None:
        """Costs as little as can be: the lines by which traces are found are made later, by whoever looks or reads them.

        Raises DatabaseError.
        """
        self.prepare()
        rows = [(blob.last, len(blob.data), blob.seal, blob.data, blob.lengths, 1) for blob in blobs]
        if rows:
            with writing(self.engine) as connection:
                connection.exec_driver_sql(_insert(connection.dialect.name, BLOBS, _BLOB_COLUMNS), rows)

    def catch_up(self, most: int | None = None) -> None:
        """Make the lines of what was written since the last look, of `most` blobs. What does not open has none.

        Raises DatabaseError.
        """
        self.prepare()
        query = sa.select(BLOBS.c.number).where(BLOBS.c.unlisted == 1).order_by(BLOBS.c.number)
        if self._opener.is_blind:
            query = query.where(BLOBS.c.seal == "")
        with self.engine.connect() as connection:
            numbers = connection.execute(query.limit(most)).scalars().all()
        for first in range(0, len(numbers), BLOBS_AT_ONCE):
            some = numbers[first : first + BLOBS_AT_ONCE]
            with writing(self.engine) as connection:
                still = sa.select(BLOBS).where(BLOBS.c.number.in_(some), BLOBS.c.unlisted == 1).order_by(BLOBS.c.number)
                rows: list[tuple[object, ...]] = []
                done: dict[int, list[int]] = {LISTED: [], DAMAGED: []}
                for blob in connection.execute(still.with_for_update()).all():
                    try:
                        found = list(traces_in(self._opener.open(blob.data, blob.seal), blob.lengths))
                    except CannotOpen:
                        if not blob.seal:  # else with another key it may
                            done[DAMAGED].append(blob.number)
                        continue
                    done[LISTED].append(blob.number)
                    rows += [_row(trace, blob.number, start, length) for start, length, trace in found]
                if rows:
                    connection.exec_driver_sql(
                        f"{_insert(connection.dialect.name, TRACES, _COLUMNS)} on conflict (id) do nothing", rows
                    )
                for state, which in done.items():
                    if which:
                        connection.execute(BLOBS.update().where(BLOBS.c.number.in_(which)).values(unlisted=state))

    # -- reading -------------------------------------------------------------------------------------------------------------

    def list(self, where: TraceFilter = NOTHING, *, limit: int = 100, cursor: str = "") -> Page:
        self.catch_up()
        limit = min(max(1, limit), MOST)
        query = sa.select(*_SHOWN).where(*conditions(where)).order_by(TRACES.c.at.desc(), TRACES.c.number.desc())
        if cursor:
            at, number = numbers_of(cursor, 2)
            query = query.where(sa.or_(TRACES.c.at < at, sa.and_(TRACES.c.at == at, TRACES.c.number < number)))
        with self.engine.connect() as connection:
            rows = connection.execute(query.limit(limit + 1)).all()
        more = cursor_of(rows[limit - 1].at, rows[limit - 1].number) if len(rows) > limit else ""
        return Page(tuple(map(_summary, rows[:limit])), more)

    def get(self, trace_id: str, where: TraceFilter = NOTHING) -> Trace | None:
        """Raises CannotOpen."""
        self.catch_up()
        found = list(self._read(TRACES.c.id == plain(trace_id), *conditions(where)))
        return found[0] if found else None

    def session(self, name: str, where: TraceFilter = NOTHING) -> tuple[TraceSummary, ...]:
        self.catch_up()
        query = (
            sa.select(*_SHOWN).where(TRACES.c.session == plain(name), *conditions(where)).order_by(TRACES.c.at, TRACES.c.number)
        )
        with self.engine.connect() as connection:
            return tuple(map(_summary, connection.execute(query)))

    def iterate(self, where: TraceFilter = NOTHING) -> Iterator[Trace]:
        """Raises CannotOpen."""
        self.catch_up()
        asked = conditions(where)
        query = sa.select(TRACES.c.at, TRACES.c.number).where(*asked).order_by(TRACES.c.at, TRACES.c.number)
        at, number = -1, -1
        while True:  # a connection is not held while whoever asks does something with what it has
            after = sa.or_(TRACES.c.at > at, sa.and_(TRACES.c.at == at, TRACES.c.number > number))
            with self.engine.connect() as connection:
                some = connection.execute(query.where(after).limit(AT_ONCE)).all()
            if not some:
                return
            at, number = some[-1]
            yield from self._read(TRACES.c.number.in_([row.number for row in some]))

    def search(self, text: str, where: TraceFilter = NOTHING, *, limit: int = 50, cursor: str = "") -> Hits:
        self.catch_up()
        limit = min(max(1, limit), MOST)
        terms = trace_words.terms_of(text)
        before = numbers_of(cursor, 1)[0] if cursor else 0
        with self.engine.connect() as connection:
            unread = trace_words.unread(connection)
            if not terms:
                return Hits((), "", unread)
            words, number, found = trace_words.matches(terms, connection.dialect.name)
            younger = (number < before,) if before else ()
            query = sa.select(*_SHOWN).select_from(words.join(TRACES, TRACES.c.number == number))
            query = query.where(found, *younger, *conditions(where)).order_by(number.desc()).limit(limit + 1)
            rows = connection.execute(query).all()
            around = trace_words.snippets(connection, [row.number for row in rows[:limit]], terms)
        hits = tuple(Hit(_summary(row), around.get(row.number, "")) for row in rows[:limit])
        return Hits(hits, cursor_of(rows[limit - 1].number) if len(rows) > limit else "", unread)

    def _read(self, *which: sa.ColumnElement[bool]) -> Iterator[Trace]:
        """The oldest first."""
        place = (TRACES.c.blob, TRACES.c.start, TRACES.c.length)
        query = sa.select(*_SHOWN, *place).where(*which).order_by(TRACES.c.at, TRACES.c.number)
        with self.engine.connect() as connection:
            rows = connection.execute(query).all()
            blobs = connection.execute(sa.select(BLOBS).where(BLOBS.c.number.in_({row.blob for row in rows}))).all()
        opened = {blob.number: self._opener.open(blob.data, blob.seal) for blob in blobs}
        for row in rows:
            if row.blob not in opened:  # removed between the two questions
                continue
            trace = trace_of(opened[row.blob][row.start : row.start + row.length])
            yield msgspec.structs.replace(trace, session=row.session, link=row.link, parent=row.parent, title=row.title)

    # -- what is known later -------------------------------------------------------------------------------------------------

    def unread(self, limit: int) -> tuple[tuple[int, Trace], ...]:
        """Those whose texts are not in the index yet, by number, the oldest first. Raises CannotOpen."""
        self.prepare()
        query = sa.select(TRACES.c.number, TRACES.c.id).where(TRACES.c.unread == 1).order_by(TRACES.c.number).limit(limit)
        numbers: dict[str, int] = {}
        for _ in range(2):
            with self.engine.connect() as connection:
                numbers = {row.id: row.number for row in connection.execute(query)}
            if len(numbers) >= limit:
                break
            self.catch_up(1)  # no more lines than are read: they cost their time, too
        traces = self._read(TRACES.c.number.in_(numbers.values()))
        return tuple(sorted(((numbers[trace.id], trace) for trace in traces), key=lambda pair: pair[0]))

    def came(self, mark: int) -> tuple[int, int]:
        """How many were written since a mark, and the next mark. 0: none is known yet; then none is counted."""
        self.prepare()
        with self.engine.connect() as connection:
            if not mark:
                return connection.execute(sa.select(sa.func.coalesce(sa.func.max(BLOBS.c.number), 1))).scalar_one(), 0
            query = sa.select(BLOBS.c.number, BLOBS.c.lengths).where(BLOBS.c.number > mark).order_by(BLOBS.c.number)
            found = connection.execute(query).all()
        return (found[-1].number if found else mark), sum(count_in(row.lengths) for row in found)

    def linked(self, owner: str, marks: Sequence[str]) -> tuple[str, str, str] | None:
        """The first of these marks that is known: it, its trace and its session."""
        if not marks:
            return None
        wanted = LINKS.c.mark.in_([plain(mark) for mark in marks])
        query = sa.select(LINKS.c.mark, LINKS.c.trace, LINKS.c.session).where(LINKS.c.owner == owner, wanted)
        with self.engine.connect() as connection:
            found = {row.mark: (row.mark, row.trace, row.session) for row in connection.execute(query)}
        return next((found[mark] for mark in marks if mark in found), None)

    def learn(self, lessons: Sequence[Lesson]) -> None:
        """Write down what was read in them. What is encrypted leaves no words behind."""
        numbers = [lesson.number for lesson in lessons]
        with writing(self.engine) as connection:
            still = set(
                connection.execute(sa.select(TRACES.c.number).where(TRACES.c.number.in_(numbers), TRACES.c.unread == 1)).scalars()
            )  # another process may have read them meanwhile, or they are gone
            new = [lesson for lesson in lessons if lesson.number in still]
            if not new:
                return
            if not self.seals:
                trace_words.put(connection, [(lesson.number, lesson.text) for lesson in new])
            mark = "?" if connection.dialect.name == "sqlite" else "%s"
            told = [(plain(one.session), one.link, one.parent, "" if self.seals else plain(one.title), one.number) for one in new]
            connection.exec_driver_sql(
                f"update traces set session = {mark}, link = {mark}, parent = {mark}, title = {mark}, unread = 0"  # noqa: S608
                f" where number = {mark}",
                told,
            )
            marks = [(one.owner, plain(known_by), one.trace, plain(one.session), one.at) for one in new for known_by in one.marks]
            if marks:
                connection.exec_driver_sql(
                    f"insert into trace_links (owner, mark, trace, session, at) values ({', '.join([mark] * 5)})"  # noqa: S608
                    " on conflict (owner, mark) do update"
                    " set trace = excluded.trace, session = excluded.session, at = excluded.at",
                    marks,
                )

    # -- retention -----------------------------------------------------------------------------------------------------------

    def retire(self, before: int, max_bytes: int) -> int:
        """Remove whole blobs: those whose traces all came before a time, and the oldest beyond so many bytes. How many traces
        are gone. Raises DatabaseError.
        """
        self.prepare()
        gone = 0
        while True:
            with writing(self.engine) as connection:
                blobs = self._due(connection, before, max_bytes)
                if not blobs:
                    connection.execute(LINKS.delete().where(LINKS.c.at < before))
                    return gone
                numbers = connection.execute(sa.select(TRACES.c.number).where(TRACES.c.blob.in_(blobs))).scalars().all()
                trace_words.remove(connection, numbers)
                connection.execute(TRACES.delete().where(TRACES.c.blob.in_(blobs)))
                connection.execute(BLOBS.delete().where(BLOBS.c.number.in_(blobs)))
                gone += len(numbers)

    def _due(self, connection: "Connection", before: int, max_bytes: int) -> Sequence[int]:
        old = connection.execute(sa.select(BLOBS.c.number).where(BLOBS.c.last < before).limit(AT_ONCE)).scalars().all()
        if old or not max_bytes:
            return old
        held = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(BLOBS.c.size), 0))).scalar_one()
        excess, due = int(held) - max_bytes, list[int]()
        if excess <= 0:
            return due
        for number, size in connection.execute(sa.select(BLOBS.c.number, BLOBS.c.size).order_by(BLOBS.c.number).limit(AT_ONCE)):
            due.append(number)
            excess -= size
            if excess <= 0:
                break
        return due

    def close(self) -> None:
        self.engine.dispose()


def _insert(dialect: str, table: sa.Table, columns: Sequence[str]) -> str:
    mark = "?" if dialect == "sqlite" else "%s"
    names = ", ".join(f'"{name}"' for name in columns)
    return f"insert into {table.name} ({names}) values ({', '.join([mark] * len(columns))})"  # noqa: S608


def _row(trace: Trace, blob: int, start: int, length: int) -> tuple[object, ...]:
    rules = f" {' '.join(trace.rules)} " if trace.rules else ""
    filled = [plain(value) if isinstance(value := getattr(trace, name), str) else value for name in _FILLED]
    return (*filled, rules, rest_of(trace), blob, start, length, 1)


def _summary(row: Any) -> TraceSummary:
    told = {name: getattr(row, name) for name in _FILLED}
    rest = rest_in(row.rest)
    return TraceSummary(**told, rules=tuple(row.rules.split()), **{name: getattr(rest, name) for name in Rest.__struct_fields__})
