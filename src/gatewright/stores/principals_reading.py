"""The rows of principals, read as records: all of them, or those that were written since.

One rule: what is known and what was written since hold all that there is; where they hold more, some are gone, and the ids say
which.
"""

from collections.abc import Collection, Mapping
from typing import Final, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gatewright.principals.records import GrantedBudget, GrantedLimit, Held, Key, Kind, Organization, Team, User
from gatewright.principals.stored import Change, Entries
from gatewright.stores.principals_tables import TABLES

T = TypeVar("T")

KINDS: Final[tuple[Kind, ...]] = tuple(TABLES)
_STANDING: Final = sa.union_all(
    *(
        sa.select(sa.literal(kind), sa.func.count(), sa.func.coalesce(sa.func.max(table.c.version), 0)).select_from(table)
        for kind, table in TABLES.items()
    )
)
"""Of each kind: how many there are, and when one was written last."""


def entries_of(connection: Connection, *, since: int = -1, kinds: Collection[Kind] = KINDS) -> Entries:
    """What was written after a version; of these kinds."""

    def found(kind: Kind, of: type[T]) -> Mapping[str, T]:
        if kind not in kinds:
            return {}
        decode, table = msgspec.json.Decoder(of).decode, TABLES[kind]
        rows = connection.execute(sa.select(table.c.id, table.c.record).where(table.c.version > since))
        return {row_id: decode(record) for row_id, record in rows}

    return Entries(
        organizations=found("organizations", Organization),
        teams=found("teams", Team),
        users=found("users", User),
        keys=_keys(connection, since) if "keys" in kinds else {},
        limits=found("limits", GrantedLimit),
        budgets=found("budgets", GrantedBudget),
    )


def _keys(connection: Connection, since: int) -> Mapping[str, Held]:
    table, decode = TABLES["keys"], msgspec.json.Decoder(Key).decode
    asked = sa.select(table.c.id, table.c.record, table.c.digest, table.c.previous, table.c.previous_ends)
    return {
        row_id: Held(key=decode(record), digest=bytes(digest), previous=bytes(previous or b""), previous_ends=ends)
        for row_id, record, digest, previous, ends in connection.execute(asked.where(table.c.version > since))
    }


def change_of(connection: Connection, known: Entries, since: int, version: int) -> Change:
    """What has become of the records since `known`, which is of the version `since`. `version`: of now. In one transaction."""
    counts: dict[Kind, int] = {}
    changed: set[Kind] = set()
    for kind, count, written_last in connection.execute(_STANDING):
        counts[kind] = count
        if written_last > since:
            changed.add(kind)
    written = entries_of(connection, since=since, kinds=changed)
    gone: dict[Kind, Collection[str]] = {}
    for kind, count in counts.items():
        before, more = _of(known, kind), _of(written, kind)
        if len(before) + sum(one not in before for one in more) != count:
            there = set(connection.execute(sa.select(TABLES[kind].c.id)).scalars())
            gone[kind] = before.keys() - there
    return Change(version, written, gone)


def _of(entries: Entries, kind: Kind) -> Mapping[str, object]:
    found: Mapping[str, object] = getattr(entries, kind)
    return found
