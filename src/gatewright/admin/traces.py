"""Traces over the admin API: a page of them, one with what it means, and the bytes of each way.

    GET /traces?since=&until=&key=&model=&status=4xx&finding=*&q=…     `q` searches their texts
    GET /traces/{id}
    GET /traces/{id}/body/{leg}                                        client-request, client-answer, upstream-request, …

One rule: whose traces somebody sees is decided here as it is for usage; what is another team's is not there.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, cast

import msgspec
from fastapi import Query, Request, Response

from gatewright.admin.registrar import Invalid
from gatewright.admin.stage import Asked
from gatewright.jsontypes import JsonObject
from gatewright.pipeline.usage_report import within
from gatewright.record.export_meaning import meaning_of
from gatewright.stores.principals import Missing
from gatewright.stores.trace_document import CannotOpen
from gatewright.stores.trace_terms import BadCursor, LegName, Message, Trace, TraceFilter, TraceStore, TraceSummary

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

Text = Annotated[str, Query(max_length=500)]
Size = Annotated[int, Query(ge=1, le=500)]
Least = Annotated[float, Query(ge=0, le=1e9)]


def traces(
    request: Request,
    *,
    limit: Size = 100,
    cursor: Text = "",
    q: Text = "",
    since: Text = "",
    until: Text = "",
    key: Text = "",
    user: Text = "",
    team: Text = "",
    organization: Text = "",
    model: Text = "",
    provider: Text = "",
    route: Text = "",
    operation: Text = "",
    dialect: Text = "",
    status: Text = "",
    outcome: Text = "",
    session: Text = "",
    finding: Text = "",
    min_cost: Least = 0,
    min_seconds: Least = 0,
) -> JsonObject:
    """List traces, the youngest first."""
    it: Asked = request.state.asked
    now = datetime.now(UTC)
    where = TraceFilter(
        since=_moment(since, now),
        until=_moment(until, now),
        key=key,
        user=user,
        team=team,
        organization=organization,
        model=model,
        provider=provider,
        route=route,
        operation=operation,
        dialect=dialect,
        status=status,
        outcome=outcome,
        session=session,
        finding=finding,
        min_cost_micros=round(min_cost * 1e6),
        min_took_us=round(min_seconds * 1e6),
        within=_within(it),
    )
    store = _opened(it)
    if store is None:
        return {"object": "list", "data": [], "next": None}
    try:
        if q:
            hits = store.search(q, where, limit=limit, cursor=cursor)
            found: list[Any] = [{**_line(hit.summary), "snippet": hit.snippet} for hit in hits.items]
            return {"object": "list", "data": found, "next": hits.next or None, "unread": hits.unread}
        page = store.list(where, limit=limit, cursor=cursor)
    except BadCursor as error:
        raise Invalid(str(error)) from None
    finally:
        store.close()
    return {"object": "list", "data": [_line(one) for one in page.items], "next": page.next or None}


def trace(id: str, request: Request) -> JsonObject:  # noqa: A002 - the path's word
    """Read one, with what its bytes mean."""
    found = _found(id, request)
    meaning = meaning_of(found)
    told = msgspec.to_builtins(msgspec.structs.replace(found, request=Message(), answer=Message(), upstream=()))
    ways = {name: _way(name, found) for name in ("client-request", "client-answer", "upstream-request", "upstream-answer")}
    calls = [
        {"attempt": call.attempt, "target": call.target, "dialect": call.dialect, "path": call.path, "status": call.status}
        for call in found.upstream
    ]
    return {
        "object": "trace",
        **{name: value for name, value in told.items() if name not in ("request", "answer", "upstream")},
        "legs": {name: way for name, way in ways.items() if way is not None},
        "upstream": cast("Any", calls),
        "conversation": {
            "request": msgspec.to_builtins(meaning.request),
            "answer": msgspec.to_builtins(meaning.answer),
            "notes": list(meaning.notes),
        },
    }


def trace_body(id: str, leg: LegName, request: Request) -> Response:  # noqa: A002 - the path's word
    """Read the bytes of one way, as they went over the wire; what was secret is replaced."""
    message = _found(id, request).leg(leg)
    if message is None:
        raise Missing(id)
    headers = {"content-disposition": f'attachment; filename="{leg}"', "x-gatewright-size": str(message.size)}
    return Response(message.body, media_type="application/octet-stream", headers=headers)


def _found(trace_id: str, request: Request) -> Trace:
    it: Asked = request.state.asked
    store = _opened(it)
    if store is None:
        raise Missing(trace_id)
    try:
        found = store.get(trace_id, TraceFilter(within=_within(it)))
    except CannotOpen as error:
        raise Invalid(f"this trace does not open: {error}") from None
    finally:
        store.close()
    if found is None:
        raise Missing(trace_id)
    return found


def _opened(it: Asked) -> TraceStore | None:
    """None: nothing was ever kept."""
    return None if it.traces is None else it.traces()


def _within(it: Asked) -> Any:
    return within(it.principal)


def _line(summary: TraceSummary) -> dict[str, Any]:
    told = msgspec.to_builtins(summary)
    assert isinstance(told, dict)
    return {"object": "trace", **told}


def _way(name: str, found: Trace) -> JsonObject | None:
    message = found.leg(cast("LegName", name))
    if message is None:
        return None
    return {"headers": [list(pair) for pair in message.headers], "size": message.size, "kept": len(message.body)}


def _moment(text: str, now: datetime) -> int:
    """Microseconds since 1970: of a moment, or of an age such as `90m`, `24h`, `7d`. 0: nobody said. Raises Invalid."""
    if not text:
        return 0
    number, unit = text[:-1], text[-1:]
    if unit in _UNITS and number.isascii() and number.isdecimal() and len(number) < 6:
        then = now - timedelta(**{_UNITS[unit]: int(number)})
    else:
        try:
            then = datetime.fromisoformat(text)
        except ValueError:
            raise Invalid(f'expected a moment such as 2026-11-21T12:00 or an age such as 24h, got "{text[:40]}"') from None
    return max(1, int((then if then.tzinfo is not None else then.replace(tzinfo=UTC)).timestamp() * 1e6))
