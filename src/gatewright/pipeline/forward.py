"""Forward: endpoints that are passed on as they are, each only to a provider that has it, with usage tapped."""

from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from gatewright.dialects.forms import model_field, rename
from gatewright.dialects.forwarded import (
    family_of,
    model_in_json,
    rename_in_embeddings,
    usage_in,
    usage_in_tail,
)
from gatewright.errors import Problem, Refused, refuse
from gatewright.exchange import AttemptRecord, Exchange, Next, Reply, Segment
from gatewright.ir.blocks import DialectName
from gatewright.ir.loss import Loss
from gatewright.ir.request import Target
from gatewright.pipeline import uploads
from gatewright.pipeline.asking import Asking, Begins
from gatewright.pipeline.attempt import MAX_ERROR_BYTES, Attempt, attributed, carried
from gatewright.pipeline.endpoint import Candidate, Endpoint, forwarded_headers
from gatewright.pipeline.health import Health
from gatewright.pipeline.passed import PassSource
from gatewright.pipeline.route import Router, allowed, may_use, may_use_all
from gatewright.pipeline.sources import BaseSource
from gatewright.providers.quirks import let_through
from gatewright.transport import Incoming, TransportError, header_lines
from gatewright.wire.json import BadJson, decode_lenient, encode
from gatewright.wire.splice import splice

WHOLE_BYTES = 8 << 20
"""JSON answers up to this size are read whole for their usage; everything else is passed on as it comes."""
TAIL_BYTES = 8 << 10
"""What is kept of the end of a stream, to find its usage in."""

PATIENCE_S: Final = 600.0
"""The longest in a queue; what the queue itself allows is less."""

_OPENAI: Final[tuple[DialectName, ...]] = ("openai_chat", "openai_responses")
"""Two dialects, one API around them."""


def _FIRST() -> float:  # noqa: N802 - a constant in the place of chance
    """Forwarded calls take a route's heaviest target: their answers (files, batches) live where they were made."""
    return 0.5


class Forward:
    """Innermost stage of `forward`. It chooses by model where the request names one, else by what the providers have."""

    def __init__(
        self, attempt: Attempt, health: Health, router: Router, scheme: str = "http", recorder: Begins | None = None
    ) -> None:
        """`scheme`: by which clients reach this gateway, where no proxy before it says otherwise."""
        self.attempt = attempt
        self.health = health
        self.router = router
        self.scheme = scheme
        self.recorder = recorder

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        family = family_of(exchange.call.path)
        try:
            candidate, body = self._choose(exchange, family)
        except BadJson as error:
            raise refuse("invalid_request", f"The request body is {error}.") from None
        endpoint = candidate.endpoint
        if not (has(endpoint, family) and speaks(exchange.dialect, endpoint)):
            raise refuse("not_found", f"Provider '{endpoint.name}' has no {family} endpoint to forward {exchange.call.path} to.")
        dialect = spoken(exchange.dialect, endpoint)
        uploading = uploads.is_upload(exchange.call.path)
        content_type = exchange.call.headers.get("content-type") or ("" if uploading else "application/json")
        headers = forwarded_headers(dialect, exchange.call.headers)
        if uploading:
            headers += uploads.asked(exchange.call.headers)
        if dialect == "anthropic" and exchange.call.headers.get("anthropic-version") is None:
            headers += (("anthropic-version", "2023-06-01"),)
        if endpoint.betas is not None:
            headers, _ = let_through(endpoint.betas, headers)
        call = _Forwarded(
            self,
            dialect,
            path=self._path(exchange, candidate, dialect),
            headers=header_lines(headers) if headers else b"",
            body=body,
            content_type=header_lines((("content-type", content_type),)) if body and content_type else b"",
        )
        asking = Asking(call, self.health, self.recorder)
        reply = await asking.ask(exchange, candidate, hold=False, last=True, patience_s=PATIENCE_S)
        if exchange.attempts[-1].cause == "unreachable":  # nothing was sent; most often one of several addresses is down
            reply = await asking.ask(exchange, candidate, hold=False, last=True, patience_s=PATIENCE_S)
        return reply

    async def answer(self, exchange: Exchange, candidate: Candidate, incoming: Incoming, dialect: DialectName) -> Reply:
        """The upstream's answer as it goes back. Raises TransportError."""
        if incoming.status >= 400:
            return await self._refused(exchange, candidate, incoming, dialect)
        return await self._answer(exchange, candidate, incoming, dialect)

    def _choose(self, exchange: Exchange, family: str) -> tuple[Candidate, bytes]:
        """Whom to forward to, and the body with the model's name there."""
        call = exchange.call
        body = call.body
        if uploads.is_upload(call.path):
            return Candidate(self._by_family(exchange, family), ""), body
        content_type = call.headers.get("content-type") or ""
        field = model_field(body, content_type) if body and content_type.lower().startswith("multipart/") else None
        in_path = exchange.dialect == "gemini" and bool(exchange.params)
        model = exchange.params[0] if in_path else field.value if field is not None else model_in_json(body)
        exchange.model = model
        if not model:
            return Candidate(self._by_family(exchange, family), ""), body
        candidate = self._by_model(exchange, model)
        if in_path:
            return candidate, rename_in_embeddings(body, candidate.model)
        if family == "completions" and exchange.method == "POST":
            edits = self.attempt.dialects["openai_chat"].pass_edits(call, Target(model=candidate.model, issuer=""))
            most = None if exchange.principal is None else exchange.principal.max_tokens
            if most is not None and _asks_for_more(body, most):
                edits = {**edits, "max_tokens": encode(most)}
            return candidate, splice(body, edits) if edits else body
        if candidate.model != model:
            body = rename(body, field, candidate.model) if field else splice(body, {"model": encode(candidate.model)})
        return candidate, body

    def _by_model(self, exchange: Exchange, model: str) -> Candidate:
        """The heaviest target of the model's route. Raises Refused where this key may not use it."""
        route, starred = self.router.resolve(model, exchange.pin)
        principal = exchange.principal
        assert principal is not None
        if not may_use(principal, model, route, exchange.pin):
            raise Refused(
                Problem(
                    kind="permission",
                    code="model_not_allowed",
                    param="model",
                    message=f"This key may not use the model '{model[:200]}'. It may use: {allowed(principal)}.",
                )
            )
        return self.router.plan(route, starred, _FIRST)[0]

    def _by_family(self, exchange: Exchange, family: str) -> Endpoint:
        """The one provider that has it, for keys that may use all its models. Several: the client must say which."""
        path = exchange.call.path
        endpoints = self.router.endpoints
        principal = exchange.principal
        assert principal is not None
        asked = [endpoints[exchange.pin]] if exchange.pin else endpoints.values()
        having = [e for e in asked if has(e, family) and speaks(exchange.dialect, e)]
        if not having:
            where = f"Provider '{exchange.pin}' has no" if exchange.pin else "No provider here has a"
            raise refuse("not_found", f"{where} {family} endpoint to forward {path} to.")
        usable = [e for e in having if may_use_all(principal, e.name)]
        if not usable:
            raise refuse(
                "permission",
                f"{path} names no model, so it needs a key for every model of the provider (such as '{having[0].name}/*'); "
                f"this key may use: {allowed(principal)}.",
                code="model_not_allowed",
            )
        if len(usable) == 1:
            return usable[0]
        names = ", ".join(e.name for e in usable)
        raise refuse(
            "invalid_request",
            f"{path} names no model and several providers have it ({names}); say which by path: /{usable[0].name}{path}.",
        )

    @staticmethod
    def _path(exchange: Exchange, candidate: Candidate, dialect: DialectName) -> str:
        path = exchange.call.path
        if dialect in _OPENAI:
            path = path.removeprefix("/v1")  # the base URL of an OpenAI-style host has it
        elif not path.startswith("/v1") and not uploads.is_upload(path):
            path = ("/v1beta" if dialect == "gemini" else "/v1") + path
        if exchange.dialect == "gemini" and exchange.params:
            path = f"/{path.split('/')[1]}/models/{candidate.model}:{exchange.params[1]}"
        pairs = exchange.call.pairs
        return quote(path, safe="/:@!$&'()*+,;=-._~") + ("?" + urlencode(pairs) if pairs else "")

    async def _answer(self, exchange: Exchange, candidate: Candidate, incoming: Incoming, dialect: DialectName) -> Reply:
        head = answer_lines(incoming) + carried(incoming) + candidate.served_line
        if uploads.is_upload(exchange.call.path):
            head += uploads.told(incoming, exchange, candidate.endpoint.name, self.scheme)
        content_type = (incoming.header(b"content-type") or b"").lower()
        length = incoming.header(b"content-length")
        if content_type.startswith(b"application/json") and (length is None or int(length) <= WHOLE_BYTES):
            body = await incoming.read(self.attempt.max_answer_bytes)
            exchange.usage = usage_in(body)
            return Reply(incoming.status, head, body)
        if b"event-stream" in content_type and family_of(exchange.call.path) == "completions":
            # A legacy completion streams as chats do: the same watch takes the usage, and leaves it out where nobody asked.
            chat = self.attempt.dialects["openai_chat"]
            source = PassSource(incoming, chat, chat.watch(exchange.call), exchange.request_id, sse=True)
            return Reply(incoming.status, head, source=source)
        return Reply(incoming.status, head, source=RawSource(incoming, sse=b"event-stream" in content_type))

    async def _refused(self, exchange: Exchange, candidate: Candidate, incoming: Incoming, dialect: DialectName) -> Reply:
        """An error of the upstream: its own document where it is one."""
        body = candidate.endpoint.scrub(await incoming.read(MAX_ERROR_BYTES))
        seen = {n.decode("latin-1"): v.decode("latin-1") for n, v in incoming.headers}
        reply = self.attempt.error(exchange, self.attempt.dialects[dialect].parse_error(incoming.status, seen, body))
        try:
            document = decode_lenient(body)
        except BadJson:
            return reply
        if isinstance(document, dict) and "error" in document:
            reply.body = body
            reply.status = incoming.status
        return reply


class _Completion(msgspec.Struct):
    max_tokens: object = None
    """None: 16, by the API."""


_completion = msgspec.json.Decoder(_Completion)


def _asks_for_more(body: bytes, most: int) -> bool:
    """Whether a legacy completion may be longer than that. Raises BadJson."""
    try:
        asked = _completion.decode(body).max_tokens
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadJson(f"not readable: {error}") from None
    return asked is not None and not (isinstance(asked, int) and 0 <= asked <= most)  # some hosts take -1 for no end


class _Forwarded:
    """One call to forward, as often as it is tried."""

    def __init__(
        self, stage: Forward, dialect: DialectName, *, path: str, headers: bytes, body: bytes, content_type: bytes
    ) -> None:
        self.stage = stage
        self.dialect: DialectName = dialect
        self.path = path
        self.headers = headers
        self.body = body
        self.content_type = content_type

    async def once(
        self,
        exchange: Exchange,
        candidate: Candidate,
        record: AttemptRecord,
        *,
        until_content: bool = False,
        lost: tuple[Loss, ...] = (),
    ) -> Reply:
        """As `Attempt.once`."""
        record.dialect = self.dialect
        try:
            incoming = await candidate.endpoint.send(
                dialect=self.dialect,
                method=exchange.method,
                path=self.path,
                headers=self.headers,
                body=self.body,
                content_type=self.content_type,
                model=candidate.model,
                client=exchange.call.headers,
                trail=record,
            )
            record.sent, record.status = True, incoming.status
            record.stage = "answered" if incoming.status >= 400 else "streaming"
            exchange.served = candidate.name
            return await self.stage.answer(exchange, candidate, incoming, self.dialect)
        except TransportError as error:
            record.sent |= error.sent
            if record.stage == "connecting" and error.sent:
                record.stage = "waiting"
            return self.error(exchange, attributed(candidate, error.problem))

    def error(self, exchange: Exchange, problem: Problem) -> Reply:
        return self.stage.attempt.error(exchange, problem)


def has(endpoint: Endpoint, family: str) -> bool:
    """Whether the provider has such an endpoint; `any` stands for what nobody has heard of."""
    return family in endpoint.forwards if family != "any" else "any" in endpoint.forwards


def speaks(dialect: DialectName, endpoint: Endpoint) -> bool:
    """Whether the provider's API is the client's: an OpenAI path means nothing to Anthropic."""
    return spoken(dialect, endpoint) in (_OPENAI if dialect in _OPENAI else (dialect,))


def spoken(dialect: DialectName, endpoint: Endpoint) -> DialectName:
    """The dialect whose base URL and credential a call of a client's goes out with."""
    if dialect in _OPENAI and dialect not in endpoint.dialects:
        return next((d for d in _OPENAI if d in endpoint.dialects), endpoint.dialects[0])
    return endpoint.dialect_for(dialect)


def answer_lines(incoming: Incoming) -> bytes:
    """The upstream's headers that describe the body."""
    wanted = [(n, v) for n, v in incoming.headers if n in (b"content-type", b"content-disposition")]
    return b"".join(b"%b: %b\r\n" % pair for pair in wanted)


class RawSource(BaseSource):
    """Bytes of any kind, as they come. In an SSE answer the last usage told counts."""

    __slots__ = ("_sse", "_tail")

    def __init__(self, incoming: Incoming, *, sse: bool) -> None:
        super().__init__(incoming)
        self._sse = sse
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
            self._end()
            return None
        if self._sse:
            self._tail = (self._tail + data)[-TAIL_BYTES:]
        return Segment(data)

    def _end(self) -> None:
        self.usage = usage_in_tail(self._tail)
        super()._end()

    def keepalive(self) -> bytes:
        return b""
