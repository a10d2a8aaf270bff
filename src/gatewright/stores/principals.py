"""Principals in SQL: known whole to every worker, changed one at a time, each change with its line in the audit log.

    store.version()                             whether there is anything new
    store.news(known)                           what that is, and what is stored with it
    store.everything()                          the records of one moment
    store.create(record, by) / replace / remove  one transaction: the row, the audit, the version
    store.rotate(key_id, digest, ends, by)

One rule: a change and its line in the log are one transaction. All of it blocks, so it runs in threads.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from gatewright.limits.terms import Level
from gatewright.principals.records import (
    KIND_OF,
    TYPES,
    AnyRecord,
    GrantedBudget,
    GrantedLimit,
    Key,
    Kind,
    Records,
    Team,
    User,
)
from gatewright.principals.stored import NOTHING, Change, Stored, Touched, after
from gatewright.stores import audit
from gatewright.stores.audit import Action, Actor, AuditLine
from gatewright.stores.principals_reading import KINDS, change_of, entries_of
from gatewright.stores.principals_tables import META, TABLES
from gatewright.stores.sql import writing

_COLUMNS: Final[dict[Kind, tuple[str, ...]]] = {
    "organizations": (),
    "teams": ("organization",),
    "users": ("organization", "team"),
    "keys": ("name", "organization", "team", "user"),
    "limits": ("level", "owner"),
    "budgets": ("level", "owner"),
}
"""Fields of a record that have a column of their own."""

_BENEATH: Final[dict[Kind, tuple[tuple[Kind, str], ...]]] = {
    "organizations": (("teams", "organization"), ("users", "organization"), ("keys", "organization")),
    "teams": (("users", "team"), ("keys", "team")),
    "users": (("keys", "user"),),
    "keys": (),
    "limits": (),
    "budgets": (),
}
"""Who is to be gone before one of this kind may go."""

_LEVEL: Final[dict[Kind, Level]] = {kind: level for level, kind in KIND_OF.items()}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    record: AnyRecord
    version: int
    """Another for every change of it."""
    created: int
    """Unix seconds."""
    previous_ends: int = 0
    """Of a key that was rotated: until when the one before is good."""


class Missing(LookupError):
    """There is no such record."""


class Conflict(Exception):
    """It cannot be, beside what is there. The message says why."""


class Stale(Exception):
    """Somebody else has changed it meanwhile."""


class PrincipalStore:
    """All calls raise DatabaseError when the database does not answer."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock

    def close(self) -> None:
        """Let go of the connections that nobody uses; they come again when they are needed."""
        self._engine.dispose()

    # -- reading -------------------------------------------------------------------------------------------------------------

    def version(self) -> int:
        """Another after every change."""
        with self._engine.connect() as connection:
            return _version(connection)

    def everything(self, *, keys: bool = True) -> tuple[Records, int]:
        """All records, of one moment, and the version that they are of. `keys`: whether these too, of which there are many."""
        with self._moment() as connection:
            version = _version(connection)
            entries = entries_of(connection, kinds=[kind for kind in KINDS if keys or kind != "keys"])
        return after(NOTHING, Change(version, entries))[0].records, version

    def news(self, known: Stored) -> tuple[Stored, Touched]:
        """What is stored, of one moment, and whom that concerns that is not `known`.

        Costs what has changed, and a look at every row's version in the database. Where nothing is known, or the versions have
        gone back, as by a backup that was restored, everything is read.
        """
        with self._moment() as connection:
            version = _version(connection)
            if known.version == 0 or version < known.version:
                stored, touched = after(NOTHING, Change(version, entries_of(connection)))
                return stored, msgspec.structs.replace(touched, everybody=True)
            return after(known, change_of(connection, known.entries, known.version, version))

    @contextmanager
    def _moment(self) -> Iterator[Connection]:
        """What is read is of one moment."""
        with self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("set transaction isolation level repeatable read, read only"))
            yield connection

    def get(self, kind: Kind, record_id: str) -> Row:
        """Raises Missing."""
        with self._engine.connect() as connection:
            return _get(connection, kind, record_id)

    def named(self, name: str) -> Row:
        """The key of that name. Raises Missing."""
        table = TABLES["keys"]
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(table.c.id).where(table.c.name == name)).scalar()
            if found is None:
                raise Missing(name)
            return _get(connection, "keys", found)

    def page(self, kind: Kind, *, after: str = "", size: int = 100, where: Sequence[tuple[str, str]] = ()) -> list[Row]:
        """Records in the order of their ids, from behind `after` on. `where`: columns and what they are to be."""
        table = TABLES[kind]
        asked = sa.select(table).where(table.c.id > after).order_by(table.c.id).limit(size)
        for column, value in where:
            asked = asked.where(table.c[column] == value)
        with self._engine.connect() as connection:
            return [_row(kind, row) for row in connection.execute(asked).mappings()]

    def audit(
        self, *, before: int = 0, size: int = 100, kind: str = "", target: str = "", team: str | None = None
    ) -> list[AuditLine]:
        """Lines of the log, the youngest first, from in front of number `before` on. `team`: only what concerns that team."""
        with self._engine.connect() as connection:
            return audit.lines(connection, before=before, size=size, kind=kind, target=target, team=team)

    # -- changing ------------------------------------------------------------------------------------------------------------

    def create(self, kind: Kind, record: AnyRecord, by: Actor, *, digest: bytes | None = None) -> Row:
        """A new record; of a key with the digest of what clients will send. Raises Conflict where its id or name is taken."""
        table, now = TABLES[kind], int(self._clock())
        try:
            with writing(self._engine) as connection:
                version = _grow(connection)
                own = {"digest": digest, "previous_ends": 0} if kind == "keys" else {}
                connection.execute(
                    sa.insert(table).values(
                        id=record.id, record=_json(record), version=version, created=now, **own, **_columns(kind, record)
                    )
                )
                self._note(connection, by, "create", kind, before=None, after=record)
        except IntegrityError:
            name = record.name if isinstance(record, Key) else record.id
            also = ", perhaps one that was revoked: names are not used twice" if kind == "keys" else ""
            raise Conflict(f'there is one of the name "{name}" already{also}') from None
        return Row(record=record, version=version, created=now)

    def replace(self, kind: Kind, record: AnyRecord, by: Actor, *, expected: int | None, action: Action = "update") -> Row:
        """Raises Missing, Stale, Conflict. `expected`: the version that the change is made of. None: whatever there is."""
        table = TABLES[kind]
        try:
            with writing(self._engine) as connection:
                version = _grow(connection)  # first: nobody else writes from here on
                before = _expected(connection, kind, record.id, expected)
                connection.execute(
                    sa.update(table)
                    .where(table.c.id == record.id)
                    .values(record=_json(record), version=version, **_columns(kind, record))
                )
                self._note(connection, by, action, kind, before=before.record, after=record)
                return msgspec.structs.replace(before, record=record, version=version)
        except IntegrityError:
            raise Conflict("there is one of that name already") from None

    def remove(self, kind: Kind, record_id: str, by: Actor, *, expected: int | None) -> None:
        """With what is granted to it. Raises Missing, Stale, and Conflict where others belong to it."""
        with writing(self._engine) as connection:
            _grow(connection)
            before = _expected(connection, kind, record_id, expected)
            for beneath, column in _BENEATH[kind]:
                table = TABLES[beneath]
                found = connection.execute(sa.select(table.c.record).where(table.c[column] == record_id)).scalars()
                count = sum(not _is_over(msgspec.json.decode(record, type=TYPES[beneath])) for record in found)
                if count:
                    raise Conflict(f"{count} of its {beneath} are still there; move or remove them first, or disable it")
            connection.execute(sa.delete(TABLES[kind]).where(TABLES[kind].c.id == record_id))
            if kind in _LEVEL:
                grants: tuple[Kind, ...] = ("limits", "budgets")
                for granted in grants:
                    table = TABLES[granted]
                    mine = sa.and_(table.c.level == _LEVEL[kind], table.c.owner == record_id)
                    connection.execute(sa.delete(table).where(mine))
            self._note(connection, by, "delete", kind, before=before.record, after=None)

    def rotate(self, key_id: str, digest: bytes, ends: int, by: Actor, *, expected: int | None) -> Row:
        """Have another digest open it; the one before does so until `ends` (unix seconds). Raises Missing, Stale, Conflict."""
        table = TABLES["keys"]
        with writing(self._engine) as connection:
            version = _grow(connection)
            row = _expected(connection, "keys", key_id, expected)
            if isinstance(row.record, Key) and row.record.revoked:
                raise Conflict("it was revoked, which is for ever; make another key")
            connection.execute(
                sa.update(table)
                .where(table.c.id == key_id)
                .values(previous=table.c.digest, previous_ends=ends, digest=digest, version=version)
            )
            self._note(connection, by, "rotate", "keys", before=row.record, after=row.record, more={"overlap_ends": ends})
            return msgspec.structs.replace(row, version=version, previous_ends=ends)

    def note(self, by: Actor, action: Action, kind: str, target: str, after: bytes) -> None:
        """A change of something that is not stored here. `after`: a JSON document, without secrets."""
        with writing(self._engine) as connection:
            audit.write(connection, by, action, kind, target, at_us=self._now_us(), after=after.decode())

    def _now_us(self) -> int:
        return int(self._clock() * 1_000_000)

    def _note(
        self,
        connection: Connection,
        by: Actor,
        action: Action,
        kind: Kind,
        *,
        before: AnyRecord | None,
        after: AnyRecord | None,
        more: dict[str, int] | None = None,
    ) -> None:
        of = after if after is not None else before
        assert of is not None
        told = None if after is None else _json(after) if more is None else _text({**msgspec.to_builtins(after), **more})
        audit.write(
            connection,
            by,
            action,
            kind,
            of.id,
            at_us=self._now_us(),
            team=_team_of(connection, of),
            before=None if before is None else _json(before),
            after=told,
        )


def _team_of(connection: Connection, record: AnyRecord) -> str:
    """Whose admins may read of a change."""
    match record:
        case Team():
            return record.id
        case User() | Key():
            return record.team
        case GrantedLimit() | GrantedBudget():
            if record.level == "team":
                return record.owner
            if record.level in ("user", "key"):
                table = TABLES[KIND_OF[record.level]]
                return str(connection.execute(sa.select(table.c.team).where(table.c.id == record.owner)).scalar() or "")
            return ""
        case _:
            return ""


def _is_over(record: AnyRecord) -> bool:
    return isinstance(record, Key) and bool(record.revoked)


def _version(connection: Connection) -> int:
    return int(connection.execute(sa.select(META.c.value).where(META.c.name == "version")).scalar_one())


def _grow(connection: Connection) -> int:
    """The version of what is being written. Whoever else writes waits here until it is."""
    connection.execute(sa.update(META).where(META.c.name == "version").values(value=META.c.value + 1))
    return _version(connection)


def _get(connection: Connection, kind: Kind, record_id: str) -> Row:
    table = TABLES[kind]
    found = connection.execute(sa.select(table).where(table.c.id == record_id)).mappings().first()
    if found is None:
        raise Missing(record_id)
    return _row(kind, found)


def _expected(connection: Connection, kind: Kind, record_id: str, expected: int | None) -> Row:
    row = _get(connection, kind, record_id)
    if expected is not None and row.version != expected:
        raise Stale(record_id)
    return row


def _row(kind: Kind, found: Any) -> Row:
    record: AnyRecord = msgspec.json.decode(found["record"], type=TYPES[kind])
    ends = found["previous_ends"] if kind == "keys" else 0
    return Row(record=record, version=found["version"], created=found["created"], previous_ends=ends)


def _columns(kind: Kind, record: AnyRecord) -> dict[str, str]:
    return {name: getattr(record, name) for name in _COLUMNS[kind]}


def _json(record: AnyRecord) -> str:
    return msgspec.json.encode(record).decode()


def _text(document: object) -> str:
    return msgspec.json.encode(document).decode()
