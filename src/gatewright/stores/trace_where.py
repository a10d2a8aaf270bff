"""What is asked of traces, as conditions of SQL; and where a page ends, as a cursor.

One rule: whatever a client writes is a parameter of a statement and never a part of it.
"""

import base64
import binascii
from typing import Any

import sqlalchemy as sa

from gatewright.stores.trace_tables import TRACES
from gatewright.stores.trace_terms import BadCursor, TraceFilter

LONGEST = 500
"""Characters of a text that clients choose."""
Condition = sa.ColumnElement[bool]

_T = TRACES.c
_SAME = ("user", "team", "organization", "provider", "route", "operation", "outcome", "session")


def conditions(where: TraceFilter) -> list[Condition]:
    """All of them must hold."""
    found: list[Condition] = [_T[column] == plain(value) for column, value in where.within]
    if where.since:
        found.append(_T.at >= where.since)
    if where.until:
        found.append(_T.at < where.until)
    if where.key:
        found.append(sa.or_(_T.key_id == plain(where.key), _T.key_name == plain(where.key)))
    found += [_T[column] == plain(value) for column in _SAME if (value := getattr(where, column))]
    if where.model:
        found.append(sa.or_(_named(_T.asked, where.model), _named(_T.model, where.model)))
    if where.dialect:
        found.append(_dialect(plain(where.dialect)))
    if where.status:
        found.append(_status(where.status))
    if where.finding:
        rules: sa.Column[Any] = _T.rules
        found.append(rules != "" if where.finding == "*" else rules.contains(f" {plain(where.finding)} ", autoescape=True))
    if where.min_cost_micros:
        found.append(_T.cost_micros >= where.min_cost_micros)
    if where.min_took_us:
        found.append(_T.took_us >= where.min_took_us)
    return found


def _named(column: "sa.Column[Any]", wanted: str) -> Condition:
    wanted = plain(wanted)
    if "*" not in wanted:
        return column == wanted
    escaped = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
    return column.like(escaped, escape="\\")


def _dialect(wanted: str) -> Condition:
    return sa.or_(_T.client_dialect == wanted, _T.upstream_dialect == wanted)


def _status(wanted: str) -> Condition:
    """`200`, or a class of them. What is neither fits nothing."""
    if len(wanted) == 3 and wanted.endswith("xx") and wanted[0].isascii() and wanted[0].isdecimal():
        first = int(wanted[0]) * 100
        return sa.and_(_T.status >= first, _T.status < first + 100)
    return _T.status == int(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 7 else sa.false()


def plain(text: str) -> str:
    """What both engines take: no NUL, no half of a surrogate pair, and no more of it than an index holds."""
    if len(text) <= LONGEST and text.isascii():
        return text if "\0" not in text else text.replace("\0", " ")
    return text[:LONGEST].replace("\0", " ").encode("utf-8", "replace").decode()


def cursor_of(*numbers: int) -> str:
    return base64.urlsafe_b64encode(".".join(map(str, numbers)).encode()).decode().rstrip("=")


def numbers_of(cursor: str, count: int) -> tuple[int, ...]:
    """Raises BadCursor."""
    try:
        texts = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").split(".")
    except (binascii.Error, ValueError):
        raise BadCursor("the cursor is not one of ours") from None
    if len(texts) != count or not all(text.isdecimal() and len(text) < 19 for text in texts):
        raise BadCursor("the cursor is not one of ours")
    return tuple(map(int, texts))
