"""Forward: endpoints that are passed on as they are, each only to a provider that has it, with usage tapped."""

from typing import Final
from urllib.parse import quote, urlencode

from gatewright.dialects.forwarded import (
    begins_batch,
    family_of,
    usage_in,
    usage_in_tail,
)
from gatewright.errors import Problem
from gatewright.exchange import AttemptRecord, Exchange, Next, Reply, Segment
from gatewright.ir.blocks import DialectName
from gatewright.ir.loss import Loss
from gatewright.pipeline import uploads
from gatewright.pipeline.asking import Asking, Begins
from gatewright.pipeline.attempt import MAX_ERROR_BYTES, Attempt, attributed, carried
from gatewright.pipeline.endpoint import Candidate, forwarded_headers
from gatewright.pipeline.forward_to import spoken
from gatewright.pipeline.health import Health
from gatewright.pipeline.passed import PassSource
from gatewright.pipeline.sources import BaseSource
from gatewright.providers.quirks import let_through
from gatewright.transport import Incoming, TransportError, header_lines
from gatewright.wire.json import BadJson, decode_lenient

WHOLE_BYTES = 8 << 20
"""JSON answers up to this size are read whole for their usage; everything else is passed on as it comes."""
TAIL_BYTES = 8 << 10
"""What is kept of the end of a stream, to find its usage in."""

BATCH: Final = "unknown: a batch is billed when it is done"
"""The `price_source` of the call that began one."""
PATIENCE_S: Final = 600.0
"""The longest in a queue; what the queue itself allows is less."""

_OPENAI: Final[tuple[DialectName, ...]] = ("openai_chat", "openai_responses")
"""Two dialects, one API around them."""


class Forward:
    """Innermost stage of `forward`, beneath `ForwardTo`."""

    def __init__(self, attempt: Attempt, health: Health, scheme: str = "http", recorder: Begins | None = None) -> None:
        """`scheme`: by which clients reach this gateway, where no proxy before it says otherwise."""
        self.attempt = attempt
        self.health = health
        self.scheme = scheme
        self.recorder = recorder

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        candidate, body = exchange.plan[0], exchange.onward
        assert isinstance(candidate, Candidate)
        endpoint = candidate.endpoint
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
        if reply.problem is None and begins_batch(exchange.method, exchange.call.path):
            exchange.attempts[-1].price_source = BATCH  # and no cost: not free, but unknown
        return reply

    async def answer(self, exchange: Exchange, candidate: Candidate, incoming: Incoming, dialect: DialectName) -> Reply:
        """The upstream's answer as it goes back. Raises TransportError."""
        if incoming.status >= 400:
            return await self._refused(exchange, candidate, incoming, dialect)
        return await self._answer(exchange, candidate, incoming, dialect)

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
            source.scrub = candidate.endpoint.scrub_for(exchange.call.headers)
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
        tap, headers = self.stage.attempt.tap, self.headers
        try:
            if tap is not None:
                asked = (self.dialect, exchange.method, self.path, headers, self.body, self.content_type)
                headers = tap.asks(exchange, candidate.endpoint, record, *asked)
            incoming = await candidate.endpoint.send(
                dialect=self.dialect,
                method=exchange.method,
                path=self.path,
                headers=headers,
                body=self.body,
                content_type=self.content_type,
                model=candidate.model,
                client=exchange.call.headers,
                trail=record,
            )
            if tap is not None:
                incoming = tap.heard(record, incoming)
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
