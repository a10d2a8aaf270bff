"""The admin API: FastAPI over the registrar, OpenAPI 3.1. Built from the table of permissions, route by route.

    GET    /{kind}?limit=&cursor=     a page; `next` is the cursor of the next one, null at the end
    POST   /{kind}                    201, with `etag`; of a key with what its clients send, this once
    GET    /{kind}/{id}               with `etag`
    PUT    /{kind}/{id}               whole; `if-match` must name the etag of what was read: 428 without, 412 when it is older
    DELETE /{kind}/{id}               the same

One rule: a route that `permissions.ADMIN` does not have is not served, and one that it has and nobody serves fails the start.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Annotated, Any, Final

import msgspec
from fastapi import Body, Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from gatewright.admin import problems
from gatewright.admin.forms import FORMS, KeyForm, RotationForm, document_of, etag_of, record_of
from gatewright.admin.registrar import Forbidden, Invalid, Registrar, Shown
from gatewright.admin.stage import PREFIX, Asked
from gatewright.admin.traces import trace, trace_body, traces
from gatewright.errors import Refused
from gatewright.jsontypes import JsonObject
from gatewright.pipeline.permissions import ADMIN, ROLES_OF, Method, Permission, forbidden
from gatewright.principals.records import Key, Kind
from gatewright.stores.audit import Actor
from gatewright.stores.principals import Conflict, Missing, Row, Stale
from gatewright.stores.sql import DatabaseError

VERSION: Final = version("gatewright")
NOBODY: Final = "\0"
"""A team that nobody is of."""
KINDS: Final[tuple[Kind, ...]] = ("organizations", "teams", "users", "keys", "limits", "budgets")
FILTERS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "organizations": (),
    "teams": ("organization",),
    "users": ("organization", "team"),
    "keys": ("organization", "team", "user", "name"),
    "limits": ("level", "owner"),
    "budgets": ("level", "owner"),
}

Endpoint = Callable[..., Any]
IfMatch = Annotated[str | None, Header(alias="if-match", description="The `etag` of what was read.")]
Size = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str | None, Query(max_length=512)]


def asked(request: Request) -> Asked:
    found: Asked = request.state.asked
    return found


def registrar(request: Request) -> Registrar:
    """The registrar for whoever asks."""
    it = asked(request)
    who = it.principal
    sees_all = who.role == "admin" or (who.role == "viewer" and not (who.team or who.organization))
    within = None if sees_all else who.team or NOBODY
    return Registrar(it.store, it.declared, Actor(who.name, who.key_id, "api"), role=who.role, within=within)


There = Annotated[Registrar, Depends(registrar)]
It = Annotated[Asked, Depends(asked)]


def needs(permission: Permission) -> Callable[[Request], None]:
    """Lets those roles pass that have it."""

    def check(request: Request) -> None:
        principal = asked(request).principal
        if principal.role not in ROLES_OF[permission]:
            raise forbidden(principal, permission)

    return check


def application() -> FastAPI:
    """The application. Raises LookupError where a route and the table of permissions do not agree."""
    app = FastAPI(
        title="Gatewright admin API", version=VERSION, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    endpoints: dict[tuple[Method, str], Endpoint] = {
        ("GET", "/self"): whoami,
        ("GET", "/health"): health,
        ("GET", "/audit"): audit,
        ("GET", "/traces"): traces,
        ("GET", "/traces/{id}"): trace,
        ("GET", "/traces/{id}/body/{leg}"): trace_body,
        ("GET", "/openapi.json"): app.openapi,
        ("POST", "/keys/{id}/rotate"): rotate,
        ("POST", "/keys/{id}/revoke"): revoke,
    }
    for kind in KINDS:
        endpoints["GET", f"/{kind}"] = _lists(kind)
        endpoints["POST", f"/{kind}"] = create_key if kind == "keys" else _creates(kind)
        endpoints["GET", f"/{kind}/{{id}}"] = _gets(kind)
        endpoints["PUT", f"/{kind}/{{id}}"] = _replaces(kind)
        if kind != "keys":  # they are revoked, and their names stay taken
            endpoints["DELETE", f"/{kind}/{{id}}"] = _removes(kind)
    if unlike := set(endpoints) ^ set(ADMIN):
        raise LookupError(f"routes without a permission, or permissions without a route: {sorted(unlike)}")
    for (method, path), endpoint in endpoints.items():
        status = 201 if method == "POST" and path.count("/") == 1 else 204 if method == "DELETE" else 200
        name = f"{method.lower()}{path.replace('/', '_').replace('{id}', 'one').replace('{leg}', 'leg')}"
        permission = ADMIN[method, path]
        app.add_api_route(
            PREFIX + path,
            endpoint,
            methods=[method],
            status_code=status,
            dependencies=[Depends(needs(permission))],
            operation_id=name,
            summary=(endpoint.__doc__ or name).partition("\n")[0],
            description=f"For {', '.join(f'`{role}`' for role in sorted(ROLES_OF[permission]))}.",
            response_model=None,
        )
    _tell(app)
    return app


def _tell(app: FastAPI) -> None:
    """What each error is told as."""
    codes: tuple[tuple[type[Exception], int, str, str], ...] = (
        (Missing, 404, "not_found", "There is no such one."),
        (Forbidden, 403, "not_permitted", ""),
        (Invalid, 422, "invalid", ""),
        (Conflict, 409, "conflict", ""),
        (Stale, 412, "stale", "Somebody has changed it meanwhile: read it again."),
    )
    for kind, status, code, said in codes:
        app.add_exception_handler(kind, _teller(status, code, said))

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        body = problems.of_problem(error.problem, asked(request).request_id)
        return Response(body, error.problem.http_status, media_type=problems.CONTENT_TYPE)

    def unread(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        places = [
            {"pointer": "/" + "/".join(str(step) for step in found["loc"]), "detail": str(found["msg"])[:300]}
            for found in error.errors()[:50]
        ]
        detail = "; ".join(f"{place['pointer']}: {place['detail']}" for place in places[:5])
        return _problem(request, 422, "invalid", detail, places)

    def unserved(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
        return _problem(request, error.status_code, code, str(error.detail))

    def away(request: Request, _error: Exception) -> Response:
        answer = _problem(request, 503, "database_unavailable", "The database does not answer; try again shortly.")
        answer.headers["retry-after"] = "5"
        return answer

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(RequestValidationError, unread)
    app.add_exception_handler(HTTPException, unserved)
    app.add_exception_handler(DatabaseError, away)


def _teller(status: int, code: str, said: str) -> Callable[[Request, Exception], Response]:
    return lambda request, error: _problem(request, status, code, said or str(error))


def _problem(request: Request, status: int, code: str, detail: str, errors: list[dict[str, str]] | None = None) -> Response:
    body = problems.document(status, code, detail, asked(request).request_id, errors or ())
    return Response(body, status, media_type=problems.CONTENT_TYPE)


# -- of every kind -----------------------------------------------------------------------------------------------------------


def _lists(kind: Kind) -> Endpoint:
    def page(there: There, request: Request, limit: Size = 100, cursor: Cursor = None) -> JsonObject:
        """List them: those of the configuration first, then the stored ones by their ids."""
        known = {"limit", "cursor", *FILTERS[kind]}
        if unknown := sorted(set(request.query_params) - known):
            raise Invalid(f'unknown parameter "{unknown[0][:60]}"; known: {", ".join(sorted(known))}')
        where = tuple((name, value) for name, value in request.query_params.items() if name in FILTERS[kind])
        after = _opened(cursor)
        found: list[Shown] = []
        if after is None:
            found, after = there.declared(kind, where), ""
        stored = there.page(kind, after=after, size=limit + 1, where=where)
        more = len(stored) > limit
        found += stored[:limit]
        return {
            "object": "list",
            "data": [document_of(kind, shown) for shown in found],
            "next": _cursor(found[-1].row.record.id) if more else None,
        }

    return page


def _gets(kind: Kind) -> Endpoint:
    def get(id: str, there: There, response: Response) -> JsonObject:  # noqa: A002 - the path's word
        """Read one."""
        return _told(kind, there.get(kind, id), response)

    return get


def _creates(kind: Kind) -> Endpoint:
    form = FORMS[kind]

    def create(there: There, response: Response, body: Annotated[form, Body()]) -> JsonObject:  # type: ignore[valid-type]
        """Make one."""
        return _made(kind, there.create(kind, record_of(kind, body)), response)

    return create


def _replaces(kind: Kind) -> Endpoint:
    form = FORMS[kind]

    def replace(
        id: str,  # noqa: A002 - the path's word
        there: There,
        response: Response,
        body: Annotated[form, Body()],  # type: ignore[valid-type]
        if_match: IfMatch = None,
    ) -> JsonObject:
        """Replace one, whole."""
        expected = _expected(if_match)
        there.get(kind, id)  # what is nobody's business is not there, whatever else is wrong
        row = there.replace(kind, record_of(kind, body, id), expected)
        return _told(kind, Shown(row=row), response)

    return replace


def _removes(kind: Kind) -> Endpoint:
    def remove(id: str, there: There, if_match: IfMatch = None) -> Response:  # noqa: A002 - the path's word
        """Remove one."""
        there.remove(kind, id, _expected(if_match))
        return Response(status_code=204)

    return remove


# -- of keys -----------------------------------------------------------------------------------------------------------------


def create_key(there: There, response: Response, body: KeyForm) -> JsonObject:
    """Make a key. `key` is what its clients send, and is told this once."""
    record = record_of("keys", body)
    assert isinstance(record, Key)
    row, secret = there.create_key(record)
    return {**_made("keys", row, response), "key": secret}


def rotate(
    id: str,  # noqa: A002 - the path's word
    there: There,
    response: Response,
    body: RotationForm | None = None,
    if_match: IfMatch = None,
) -> JsonObject:
    """Have clients send something else. `key` is told this once; what they sent before ends after the overlap."""
    expected = _expected(if_match) if if_match is not None else None
    row, secret = there.rotate(id, 0 if body is None else body.overlap_s, expected)
    return {**_told("keys", Shown(row=row), response), "key": secret}


def revoke(id: str, there: There, response: Response, if_match: IfMatch = None) -> JsonObject:  # noqa: A002 - the path's word
    """Revoke a key, for ever. It is refused within a second, everywhere."""
    expected = _expected(if_match) if if_match is not None else None
    return _told("keys", Shown(row=there.revoke(id, expected)), response)


# -- of the whole ------------------------------------------------------------------------------------------------------------


def whoami(it: It) -> JsonObject:
    """Who is asking."""
    who = it.principal
    return {
        "object": "principal",
        "name": who.name,
        "id": who.key_id,
        "role": who.role,
        "organization": who.organization or None,
        "team": who.team or None,
        "user": who.user or None,
        "models": [list(globs) for globs in (*who.within, who.models)],
    }


def health(it: It) -> JsonObject:
    """How the gateway and its database stand."""
    return {"object": "health", "status": "ok", "version": VERSION, "principals": {"version": it.store.version()}}


def audit(
    there: There,
    limit: Size = 100,
    cursor: Cursor = None,
    kind: Annotated[str, Query(max_length=64)] = "",
    target: Annotated[str, Query(max_length=200)] = "",
) -> JsonObject:
    """Who has changed what, the youngest first."""
    opened = _opened(cursor)
    if opened is not None and not opened.isdecimal():
        raise Invalid("the cursor is not one of ours")
    lines = there.audit(before=int(opened or 0), size=limit + 1, kind=kind, target=target)
    told = lines[:limit]
    return {
        "object": "list",
        "data": [msgspec.to_builtins(msgspec.json.decode(msgspec.json.encode(line))) for line in told],
        "next": _cursor(str(told[-1].number)) if len(lines) > limit else None,
    }


def _told(kind: Kind, shown: Shown, response: Response) -> JsonObject:
    if not shown.declared:
        response.headers["etag"] = etag_of(shown.row.version)
    return document_of(kind, shown)


def _made(kind: Kind, row: Row, response: Response) -> JsonObject:
    response.headers["location"] = f"{PREFIX}/{kind}/{row.record.id}"
    return _told(kind, Shown(row=row), response)


def _expected(if_match: str | None) -> int | None:
    """The version that a change is made of; None for `*`. Raises Invalid, HTTPException (428), Stale."""
    if if_match is None:
        raise HTTPException(428, "Say in `if-match` which `etag` this is a change of, or `*`.")
    text = if_match.strip()
    if text == "*":
        return None
    digits = text.removeprefix("W/").strip('"')
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 18:
        raise Stale(text)
    return int(digits)


def _cursor(record_id: str) -> str:
    return base64.urlsafe_b64encode(record_id.encode()).decode().rstrip("=")


def _opened(cursor: str | None) -> str | None:
    """Raises Invalid."""
    if cursor is None:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        raise Invalid("the cursor is not one of ours") from None
    if "\0" in text:
        raise Invalid("the cursor is not one of ours")
    return text
