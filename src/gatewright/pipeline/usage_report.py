"""Usage, told: `GET /v1/usage` says what a key has used and what it cost; `GET /admin/v1/usage` is the same for its admins.

    ?by=model,day&since=7d&until=2026-11-20&filter=model=gpt-*&filter=key=ci&limit=100&cursor=…

    member, team admin of no team              their own key
    team admin, viewer of a team               the team
    viewer of an organization                  the organization
    admin, viewer who belongs to neither       all

One rule: whom it is for is decided here, by ids, before anything is asked of the database; filters can only narrow it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec

from gatewright.errors import Refused, refuse
from gatewright.exchange import Exchange, Next, Principal, Reply
from gatewright.record.fresh import Fresh
from gatewright.record.ledger import who_of
from gatewright.record.usage_document import document
from gatewright.stores.report_terms import BadQuery, Query, query_of
from gatewright.transport.strand import in_a_task

JSON = b"content-type: application/json\r\ncache-control: no-store\r\n"
PAGE: Final = 100
"""Lines of an answer, where nobody says how many."""
LARGEST_PAGE: Final = 1000
SINCE: Final = "7d"
BY: Final = "model"
_KNOWN: Final = frozenset(("by", "since", "until", "filter", "limit", "cursor"))
"""A filter is not a parameter of its own name: `?key=` is a credential."""


class Reports(Protocol):
    """Who knows."""

    async def ask(self, query: Query) -> Fresh:
        """In a task. Raises Refused where nobody can tell now."""
        ...


class UsageReport:
    """The stage that answers."""

    def __init__(self, reports: Reports) -> None:
        self.reports = reports

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        assert exchange.principal is not None
        call = exchange.call
        first, most = _page(call.query)
        query = asked(call.pairs or tuple(call.query.items()), exchange.principal, datetime.now(UTC))
        await in_a_task()
        found = await self.reports.ask(query)
        told = {**document(found, first=first, most=most), "scope": dict(query.within) or "all"}
        return Reply(200, JSON, msgspec.json.encode(told))


def asked(pairs: tuple[tuple[str, str], ...], principal: Principal, now: datetime) -> Query:
    """What a client asks for, within what it may see. Raises Refused."""
    given = dict(pairs)
    if unknown := sorted(set(given) - _KNOWN):
        raise refuse("invalid_request", f"Usage knows no '{unknown[0][:40]}'; it knows {', '.join(sorted(_KNOWN))}.")
    filters = [value for name, value in pairs if name == "filter"]
    try:
        query = query_of(
            since=given.get("since") or SINCE, until=given.get("until", ""), by=given.get("by", BY), filters=filters, now=now
        )
    except BadQuery as error:
        raise _wrong(str(error)) from None
    return msgspec.structs.replace(query, within=within(principal))


def within(principal: Principal) -> tuple[tuple[str, str], ...]:
    """What somebody may see of usage, by column and value. Empty: all."""
    role = principal.role
    if role in ("team_admin", "viewer") and principal.team:
        return (("team", principal.team),)
    if role == "viewer" and principal.organization:
        return (("organization", principal.organization),)
    if role in ("admin", "viewer"):
        return ()
    return (("key_id", who_of(principal).key_id),)


def _page(query: Mapping[str, str]) -> tuple[int, int]:
    """The first line and how many. Raises Refused."""
    limit, cursor = query.get("limit", str(PAGE)), query.get("cursor", "0")
    if not limit.isascii() or not limit.isdecimal() or len(limit) > 6 or not 1 <= int(limit) <= LARGEST_PAGE:
        raise _wrong(f"limit: expected a number from 1 to {LARGEST_PAGE}")
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 9:
        raise _wrong("cursor: expected the `next` of the answer before")
    return int(cursor), int(limit)


def _wrong(message: str) -> Refused:
    return refuse("invalid_request", message[0].upper() + message[1:] + ".")
