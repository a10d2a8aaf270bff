"""Forward: endpoints that are passed on as they are, each only to a provider that has it, with usage tapped."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from gatewright.dialects.forwarded import (
    family_of,
    model_in_json,
    model_in_multipart,
    rename_in_multipart,
    usage_in,
    usage_of,
)
from gatewright.errors import Problem, Refused, refuse
from gatewright.exchange import Exchange, Next, Reply, Segment
from gatewright.ir.blocks import DialectName
from gatewright.pipeline.attempt import MAX_ERROR_BYTES, Attempt, carried
from gatewright.pipeline.endpoint import Candidate, Endpoint, forwarded_headers
from gatewright.pipeline.route import Router, may_use
from gatewright.pipeline.sources import BaseSource
from gatewright.transport import Incoming, TransportError, header_lines
from gatewright.wire.json import BadJson, decode_lenient, encode
from gatewright.wire.splice import splice

WHOLE_BYTES = 8 << 20
"""JSON answers up to this size are read whole for their usage; everything else is passed on as it comes."""


def _FIRST() -> float:  # noqa: N802 - a constant in the place of chance
    """Forwarded calls take a route's heaviest target: their answers (files, batches) live where they were made."""
    return 0.5


class Forward:
    """Innermost stage of `forward`. It chooses by model where the request names one, else by what the providers have."""

    def __init__(self, attempt: Attempt, router: Router) -> None:
        self.attempt = attempt
        self.router = router

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        family = family_of(exchange.call.path)
        candidate, body = self._choose(exchange, family)
        endpoint = candidate.endpoint
        if family not in endpoint.forwards and "any" not in endpoint.forwards:
            raise refuse("not_found", f"Provider '{endpoint.name}' has no {family} endpoint to forward {exchange.call.path} to.")
        dialect = self._spoken(exchange.dialect, endpoint)
        content_type = exchange.call.headers.get("content-type") or "application/json"
        headers = forwarded_headers(dialect, exchange.call.headers)
        if dialect == "anthropic" and exchange.call.headers.get("anthropic-version") is None:
            headers += (("anthropic-version", "2023-06-01"),)
        try:
            incoming = await endpoint.send(
                dialect=dialect,
                method=exchange.method,
                path=self._path(exchange, candidate, dialect),
                headers=header_lines(headers) if headers else b"",
                body=body,
                content_type=header_lines((("content-type", content_type),)) if body else b"",
            )
            exchange.served = candidate.name
            return await self._answer(exchange, candidate, incoming, dialect)
        except TransportError as error:
            return self.attempt.error(exchange, error.problem)

    def _choose(self, exchange: Exchange, family: str) -> tuple[Candidate, bytes]:
        """Whom to forward to, and the body with the model's name there."""
        body = exchange.call.body
        multipart = (exchange.call.headers.get("content-type") or "").startswith("multipart/")
        in_path = exchange.dialect == "gemini" and bool(exchange.params)
        model = exchange.params[0] if in_path else model_in_multipart(body) if multipart else model_in_json(body)
        exchange.model = model
        if not model:
            return Candidate(self._by_family(exchange, family), ""), body
        route, starred = self.router.resolve(model, exchange.pin)
        principal = exchange.principal
        assert principal is not None
        if not may_use(principal, model, route):
            raise Refused(
                Problem(kind="permission", code="model_not_allowed", message=f"This key may not use the model '{model[:200]}'.")
            )
        candidate = self.router.plan(route, starred, _FIRST)[0]
        if candidate.model != model and not in_path:
            body = rename_in_multipart(body, candidate.model) if multipart else splice(body, {"model": encode(candidate.model)})
        return candidate, body

    def _by_family(self, exchange: Exchange, family: str) -> Endpoint:
        """The one provider that has it. Several: the client must say which."""
        endpoints: Mapping[str, Endpoint] = self.router.endpoints
        principal = exchange.principal
        assert principal is not None
        if exchange.pin:
            having = [endpoints[exchange.pin]]
        else:
            having = [
                e
                for e in endpoints.values()
                if (family in e.forwards or "any" in e.forwards) and self._speaks(exchange.dialect, e)
            ]
        allowed = [e for e in having if any(p == "*" or p.partition("/")[0] in ("*", e.name) for p in principal.models)]
        if len(allowed) == 1:
            return allowed[0]
        if not allowed:
            raise refuse("not_found", f"No provider here has a {family} endpoint for {exchange.call.path}.")
        names = ", ".join(e.name for e in allowed)
        raise refuse(
            "invalid_request",
            f"{exchange.call.path} names no model and several providers have it ({names}); "
            f"say which by path: /{allowed[0].name}{exchange.call.path}.",
        )

    @staticmethod
    def _speaks(dialect: DialectName, endpoint: Endpoint) -> bool:
        openai = dialect in ("openai_chat", "openai_responses")
        return any((d in ("openai_chat", "openai_responses")) == openai and (openai or d == dialect) for d in endpoint.dialects)

    @staticmethod
    def _spoken(dialect: DialectName, endpoint: Endpoint) -> DialectName:
        return endpoint.dialect_for(dialect)

    @staticmethod
    def _path(exchange: Exchange, candidate: Candidate, dialect: DialectName) -> str:
        path = exchange.call.path
        if dialect in ("openai_chat", "openai_responses"):
            path = path.removeprefix("/v1")  # the base URL of an OpenAI-style host has it
        elif not path.startswith("/v1"):
            path = "/v1" + path
        if exchange.dialect == "gemini" and exchange.params and candidate.model:
            path = f"/{path.split('/')[1]}/models/{candidate.model}:{exchange.params[1]}"
        query = {k: v for k, v in exchange.call.query.items() if k != "key"}
        return quote(path, safe="/:@!$&'()*+,;=-._~") + ("?" + urlencode(query) if query else "")

    async def _answer(self, exchange: Exchange, candidate: Candidate, incoming: Incoming, dialect: DialectName) -> Reply:
        if incoming.status >= 400:
            body = candidate.endpoint.scrub(await incoming.read(MAX_ERROR_BYTES))
            seen = {n.decode("latin-1"): v.decode("latin-1") for n, v in incoming.headers}
            reply = self.attempt.error(exchange, self.attempt.dialects[dialect].parse_error(incoming.status, seen, body))
            try:
                decode_lenient(body)
            except BadJson:
                return reply
            reply.body = body
            return reply
        head = answer_lines(incoming) + carried(incoming) + candidate.served_line
        content_type = incoming.header(b"content-type") or b""
        length = incoming.header(b"content-length")
        if content_type.startswith(b"application/json") and (length is None or int(length) <= WHOLE_BYTES):
            body = await incoming.read(self.attempt.max_answer_bytes)
            exchange.usage = usage_in(body)
            return Reply(incoming.status, head, body)
        return Reply(incoming.status, head, source=RawSource(incoming))


def answer_lines(incoming: Incoming) -> bytes:
    """The upstream's headers that describe the body."""
    wanted = [(n, v) for n, v in incoming.headers if n.startswith((b"content-type", b"content-disposition"))]
    return b"".join(b"%b: %b\r\n" % pair for pair in wanted)


class RawSource(BaseSource):
    """Bytes of any kind, as they come. In an SSE answer the last usage seen counts."""

    __slots__ = ("_tail",)

    def __init__(self, incoming: Incoming) -> None:
        super().__init__(incoming)
        self._tail = b""

    async def _pull(self) -> Segment | None:
        try:
            data = await self._incoming.next()
        except TransportError as error:
            self.problem = error.problem
            self.broken = True
            self._end()
            return None
        if data is None:
            self._read_usage()
            self._end()
            return None
        self._tail = (self._tail + data)[-4096:]
        return Segment(data)

    def _read_usage(self) -> None:
        """The last event of a streamed legacy completion holds the usage."""
        for line in reversed(self._tail.split(b"\n")):
            if line.startswith(b"data: {") and b'"usage"' in line:
                try:
                    event = decode_lenient(line[6:])
                except BadJson:
                    return
                told = event.get("usage") if isinstance(event, dict) else None
                if isinstance(told, dict):
                    self.usage = usage_of(told)
                    return

    def keepalive(self) -> bytes:
        return b""
