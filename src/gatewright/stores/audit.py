"""The audit log: who has changed what, when, and what it was before.

One rule: a line is written in the transaction of its change, or not at all; the database lets nobody change or remove one.
"""

from typing import Literal, TypeAlias

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gatewright.stores.principals_tables import AUDIT

Action: TypeAlias = Literal["create", "update", "delete", "rotate", "revoke", "reload"]


class Actor(msgspec.Struct, frozen=True):
    """Who changes something."""

    name: str
    id: str
    via: Literal["api", "cli"]


class AuditLine(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    at_us: int
    """Microseconds since 1970."""
    actor: str
    actor_id: str
    via: str
    action: str
    kind: str
    target: str
    before: msgspec.Raw | None
    after: msgspec.Raw | None


def write(
    connection: Connection,
    by: Actor,
    action: Action,
    kind: str,
    target: str,
    *,
    at_us: int,
    team: str = "",
    before: str | None = None,
    after: str | None = None,
) -> None:
    """`team`: whose admins may read it; empty: admins alone. `before`, `after`: JSON without secrets. Raises DatabaseError."""
    connection.execute(
        sa.insert(AUDIT).values(
            at=at_us,
            actor=by.name,
            actor_id=by.id,
            via=by.via,
            action=action,
            kind=kind,
            target=target,
            team=team,
            before=before,
            after=after,
        )
    )


def lines(
    connection: Connection, *, before: int, size: int, kind: str = "", target: str = "", team: str | None = None
) -> list[AuditLine]:
    """The youngest first, from in front of number `before` on; 0: from the youngest. `team`: only what concerns that team."""
    asked = sa.select(AUDIT).order_by(AUDIT.c.number.desc()).limit(size)
    if before:
        asked = asked.where(AUDIT.c.number < before)
    if kind:
        asked = asked.where(AUDIT.c.kind == kind)
    if target:
        asked = asked.where(AUDIT.c.target == target)
    if team is not None:
        asked = asked.where(AUDIT.c.team == team)
    return [
        AuditLine(
            number=row["number"],
            at_us=row["at"],
            actor=row["actor"],
            actor_id=row["actor_id"],
            via=row["via"],
            action=row["action"],
            kind=row["kind"],
            target=row["target"],
            before=_raw(row["before"]),
            after=_raw(row["after"]),
        )
        for row in connection.execute(asked).mappings()
    ]


def _raw(text: str | None) -> msgspec.Raw | None:
    return None if text is None else msgspec.Raw(text.encode())
