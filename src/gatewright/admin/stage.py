"""The admin API as a stage of the gateway: one way in, one authentication, one normalisation of paths for all that is served.

The application behind it is ordinary ASGI, made when it is first asked for: whoever never does pays nothing for it.
One rule: it is never reached but by a principal that has passed `authenticate`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias
from urllib.parse import urlencode

import msgspec

from gatewright.admin import problems
from gatewright.errors import GatewrightError, Problem, Refused
from gatewright.exchange import Exchange, Next, Principal, Reply
from gatewright.principals.records import Records
from gatewright.transport.seam import header_lines
from gatewright.transport.strand import in_a_task

if TYPE_CHECKING:
    from gatewright.stores.principals import PrincipalStore
    from gatewright.stores.trace_terms import TraceStore

log = logging.getLogger("gatewright.admin")

PREFIX: Final = "/admin/v1"
MAX_BODY_BYTES: Final = 1 << 20
_HEARD: Final = ("content-type", "accept", "if-match", "if-none-match")
_SERVER_ADDS: Final = frozenset({"content-length", "connection", "date"})
_ALWAYS: Final = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))

Asgi: TypeAlias = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[MutableMapping[str, Any]], Awaitable[None]]],
    Awaitable[None],
]


class Directory(Protocol):
    """Who knows all principals: `admitting.Directory`."""

    async def store(self) -> "PrincipalStore": ...

    async def changed(self) -> None: ...

    def declared(self) -> Records: ...


class Asked(msgspec.Struct, frozen=True):
    """What the application is told beside the request."""

    principal: Principal
    store: "PrincipalStore"
    declared: Records
    request_id: str
    traces: "Callable[[], TraceStore | None] | None" = None
    """Opens them; None of it: nothing was ever kept. It is to be closed."""


class TellProblems:
    """Outermost: whatever happens beneath is told in RFC 9457's words."""

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        try:
            return await following(exchange)
        except GatewrightError as error:
            problem = error.problem
        except Exception:
            log.exception("request %s failed on a bug of ours", exchange.request_id)
            message = f"The gateway failed on this request ({exchange.request_id}); its log says why."
            problem = Problem(kind="internal", code="internal", message=message)
        more = (("www-authenticate", "Bearer"),) if problem.http_status == 401 else ()
        headers = (("content-type", problems.CONTENT_TYPE), *_ALWAYS, *problem.headers, *more)
        return Reply(
            problem.http_status, header_lines(headers), problems.of_problem(problem, exchange.request_id), problem=problem
        )


class AdminApi:
    """Innermost: hands the request to the application, and its answer back."""

    def __init__(self, directory: Directory, traces: "Callable[[], TraceStore | None] | None" = None) -> None:
        self._directory = directory
        self._traces = traces
        self._app: Asgi | None = None
        self._making = asyncio.Lock()

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        principal = exchange.principal
        assert principal is not None
        await in_a_task()
        if len(exchange.call.body) > MAX_BODY_BYTES:
            raise Refused(Problem(kind="too_large", message=f"At most {MAX_BODY_BYTES} bytes are read here."))
        app = await self._made()
        try:
            store = await self._directory.store()
        except Exception as error:  # noqa: BLE001 - a database has many ways to fail
            raise _away(error) from None
        asked = Asked(principal, store, self._directory.declared(), exchange.request_id, self._traces)
        status, headers, body = await _ask(app, exchange, asked)
        if exchange.method != "GET" and status < 300:
            await self._directory.changed()
        kept = ((name, value) for name, value in headers if name not in _SERVER_ADDS)
        return Reply(status, header_lines((*kept, *_ALWAYS)), body)

    async def _made(self) -> Asgi:
        async with self._making:
            if self._app is None:
                self._app = await asyncio.to_thread(_make)
            return self._app


def _make() -> Asgi:
    from gatewright.admin.api import application  # noqa: PLC0415 - takes its time and memory, for whoever asks

    return application()


def _away(error: Exception) -> Refused:
    log.warning("the database of principals does not answer: %s", error)
    message = "The database does not answer; try again shortly."
    return Refused(Problem(kind="overloaded", code="database_unavailable", message=message, headers=(("retry-after", "5"),)))


async def _ask(app: Asgi, exchange: Exchange, asked: Asked) -> tuple[int, list[tuple[str, str]], bytes]:
    call = exchange.call
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": exchange.method,
        "scheme": "http",
        "path": call.path,
        "raw_path": call.path.encode("utf-8", "replace"),
        "root_path": "",
        "query_string": urlencode(call.pairs).encode("ascii"),
        "headers": _headers(call.headers),
        "server": None,
        "client": None,
        "state": {"asked": asked},
    }
    status, headers, parts = 500, list[tuple[str, str]](), list[bytes]()
    sent = False

    async def receive() -> Any:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": call.body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in message["headers"]]
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return status, headers, b"".join(parts)


def _headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Those that mean something here; a credential is not among them."""
    found = ((name, headers.get(name)) for name in _HEARD)
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in found if value is not None]
