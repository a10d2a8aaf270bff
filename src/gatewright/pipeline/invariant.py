"""Invariant's gateway at its own paths: who may call there, what it says of itself, and its list of models.

    settle ▸ invariant (keys, principal) ▸ peek ▸ route ▸ limit ▸ policies ▸ attempts

One rule: what is asked for there is an exchange like any other; only the words at its edges are Invariant's.
https://github.com/invariantlabs-ai/invariant-gateway
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from gatewright.errors import Problem, Refused, refuse
from gatewright.exchange import Check, Exchange, Next, Principal, Reply
from gatewright.ir.blocks import DialectName
from gatewright.pipeline import Stacks
from gatewright.pipeline.attempt import JSON, MAX_ERROR_BYTES, attributed, carried, error_reply
from gatewright.pipeline.authenticate import Authenticate
from gatewright.pipeline.endpoint import Candidate, Endpoint, Headers
from gatewright.pipeline.invariant_keys import Brought, read_keys
from gatewright.pipeline.invariant_paths import HEALTH, NO_METHOD, PINS, PREFLIGHT
from gatewright.pipeline.translate import Dialects
from gatewright.providers.auth.client_key import bare
from gatewright.transport import Incoming, TransportError, header_lines
from gatewright.transport.seam import Trail

NOBODY: Final = Principal(name="invariant/open", key_id="invariant/open")
"""Whoever calls where the operator has opened these paths: known by a provider's key alone. No key is called so by mistake."""
MAX_LIST_BYTES: Final = 8 << 20

_NO_METHOD: Final = b"Invalid endpoint - only generateContent and streamGenerateContent supported"
_NO_KEY: Final = (
    "Who calls here needs a key of this gateway: send it as `x-gatewright-key` (or in the place of the Invariant key). "
    "The operator may let in whoever has a provider's key: `invariant: {open: true}`."
)


class Desk:
    """Answers the operation `invariant`: what is fixed."""

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        match exchange.params:
            case (first,) if first == HEALTH:
                return Reply(200, JSON, b'{"message":"Hello from Invariant v1/gateway"}')
            case (first,) if first == NO_METHOD:
                return Reply(400, b"content-type: text/plain; charset=utf-8\r\n", _NO_METHOD)
            case (first, verb) if first == PREFLIGHT:
                lines = (
                    ("access-control-allow-origin", exchange.call.headers.get("origin") or "*"),
                    ("access-control-allow-methods", f"{verb}, OPTIONS"),
                    ("access-control-allow-headers", "Authorization, Content-Type"),
                    ("access-control-max-age", "86400"),
                    ("vary", "origin"),
                )
                return Reply(204, header_lines(lines))
            case _:
                raise refuse("not_found", "Nothing is served at this path.")


class InvariantKeys(Check):
    """Sets `exchange.principal`, and reads the keys into `exchange.call.headers`. In place of `authenticate`."""

    def __init__(self, authenticate: Authenticate, *, open_to_all: bool, own_key: str = "") -> None:
        """`own_key`: the operator's for Explorer, on behalf of those that are known here."""
        self.authenticate = authenticate
        self.open = open_to_all
        self.own_key = own_key

    def check(self, exchange: Exchange) -> None:
        call, dialect = exchange.call, exchange.dialect
        view = call.headers
        is_ours = self.authenticate.is_ours
        ours = bare(view.get("x-gatewright-key") or "")
        known = bool(ours) and is_ours(ours)
        keys = read_keys(exchange.pin, exchange.params[-1], view, dialect, is_ours, needed=not (known and self.own_key))
        if keys.invariant and is_ours(keys.invariant):
            ours, keys.invariant = ours or keys.invariant, ""
        if keys.guardrails and is_ours(keys.guardrails):
            keys.guardrails = ""
        if ours:
            exchange.credential = ours.encode("latin-1", "replace")
            self.authenticate.check(exchange)
            keys.invariant = keys.invariant or self.own_key
        elif self.open:
            exchange.principal = NOBODY
        else:
            raise Refused(Problem(kind="authentication", code="missing_api_key", message=_NO_KEY))
        exchange.credential = b""
        version = call.path.split("/", 2)[1] if dialect == "gemini" else ""
        exchange.call = msgspec.structs.replace(call, headers=Brought(view, keys, version))


class VersionedEndpoint(Endpoint):
    """An endpoint that is called in the version of Gemini's API that the client's path names."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Of the same transports and settings as `endpoint`, in whose place it stands."""
        for name in Endpoint.__slots__:
            setattr(self, name, getattr(endpoint, name))

    def send(
        self,
        *,
        dialect: DialectName,
        method: str,
        path: str,
        headers: bytes,
        body: bytes,
        content_type: bytes = b"content-type: application/json\r\n",
        client: Headers | None = None,
        model: str = "",
        stream: bool = False,
        trail: Trail | None = None,
    ) -> Awaitable[Incoming]:
        if isinstance(client, Brought) and client.version and path.startswith("/v1beta/"):
            path = f"/{client.version}/{path.removeprefix('/v1beta/')}"
        return super().send(
            dialect=dialect,
            method=method,
            path=path,
            headers=headers,
            body=body,
            content_type=content_type,
            client=client,
            model=model,
            stream=stream,
            trail=trail,
        )


class InvariantModels:
    """OpenAI's own list of models, as it comes."""

    def __init__(self, dialects: Dialects, endpoints: Mapping[str, Endpoint]) -> None:
        self.dialects = dialects
        self.endpoints = endpoints

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        endpoint = self.endpoints[exchange.pin]
        candidate = Candidate(endpoint, "")
        dialect = self.dialects[exchange.dialect]
        try:
            incoming = await endpoint.send(
                dialect=endpoint.dialects[0],
                method="GET",
                path="/models",
                headers=b"",
                body=b"",
                content_type=b"",
                client=exchange.call.headers,
            )
            body = endpoint.scrub(await incoming.read(MAX_LIST_BYTES if incoming.status < 400 else MAX_ERROR_BYTES))
        except TransportError as error:
            return error_reply(dialect, attributed(candidate, error.problem), exchange.request_id)
        content_type = incoming.header(b"content-type") or b"application/json"
        return Reply(incoming.status, b"content-type: %b\r\n" % content_type + carried(incoming), body)


class InvariantStacks(Stacks):
    """The gateway's stacks, with those of Invariant's paths beside them."""

    def __init__(self, stacks: Stacks, generate: Next, models: Next) -> None:
        super().__init__(stacks.by_operation, stacks.responses, stacks.otherwise)
        self._ordinary: Callable[[Exchange], Awaitable[Reply]] = stacks.handle
        self._generate = generate
        self._models = models

    def handle(self, exchange: Exchange) -> Awaitable[Reply]:
        if exchange.pin not in PINS:
            return self._ordinary(exchange)
        return self._models(exchange) if exchange.operation == "list_models" else self._generate(exchange)
