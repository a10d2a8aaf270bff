"""The gateway as a server sees it: give it a request, get a reply."""

from collections.abc import Awaitable, Callable, Mapping

from gatewright.dialects.invoked import HEADERS
from gatewright.dialects.protocol import Dialect
from gatewright.errors import Problem
from gatewright.exchange import Exchange, Reply
from gatewright.ir.blocks import DialectName
from gatewright.pipeline import Stacks
from gatewright.pipeline.attempt import error_reply, stream_type
from gatewright.pipeline.sources import first_ping
from gatewright.server.heading import Heading
from gatewright.server.inbound import Inbound, dialect_by_headers

HEALTH = Reply(200, b"content-type: application/json\r\n", b'{"status":"ok"}')

_FULL = Problem(
    kind="overloaded",
    code="too_many_requests_at_once",
    message="The gateway is answering as many requests as it may; try again shortly.",
    retry_after_s=1.0,
    headers=(("retry-after", "1"),),
)


def _coded(coding: str) -> Problem:
    return Problem(
        kind="invalid_request",
        status=415,
        code="unsupported_content_encoding",
        message=f"content-encoding {coding[:40]!r}: request bodies are read as they are; send it uncompressed.",
        headers=(("accept-encoding", "identity"),),
    )


class Gateway:
    """Stateless but for what its stages hold. Built by the composition root."""

    def __init__(
        self,
        *,
        stacks: Stacks,
        dialects: Mapping[DialectName, Dialect],
        providers: frozenset[str],
        max_body_bytes: int,
        max_concurrent: int = 0,
        keepalive_s: float = 15.0,
        asgi_prefixes: tuple[bytes, ...] = (),
        behind_proxies: bool = False,
    ) -> None:
        self.stacks = stacks
        self.dialects = dialects
        self.inbound = Inbound(dialects, providers)
        self.max_body_bytes = max_body_bytes
        self.keepalive_s = keepalive_s
        """Silence towards a streaming client after which a keep-alive is sent, in seconds."""
        self.asgi_prefixes = asgi_prefixes
        """Paths that the fast lane hands over to ordinary ASGI."""
        self.max_concurrent = max_concurrent
        """Requests answered at once by this process; more are told to come back. 0: no limit."""
        self.active = 0
        self.others: Callable[[], int] = lambda: 0
        """Answers of other gateways in this process: those that this one took over from."""
        self.draining = False
        self.behind_proxies = behind_proxies
        """Whether `x-forwarded-for` counts: then all of its lines are read, and not the first alone."""
        self.starting: list[Callable[[], None]] = []
        """What begins with the gateway, inside its event loop: background work that has a reason not to wait for a request."""

    def exchange(self, method: bytes, target: bytes, headers: Mapping[bytes, bytes], body: bytes) -> Exchange:
        return self.inbound.exchange(Heading(method, target, headers), body)

    def handle(self, exchange: Exchange) -> Awaitable[Reply]:
        """The reply. Awaited, it raises only CancelledError (the client left)."""
        operation = exchange.operation
        if operation == "health" or operation == "ready":  # noqa: PLR1714 - two comparisons cost less than a tuple
            return self._at_once(HEALTH if operation == "health" else self._ready())
        if self.max_concurrent and self.active + self.others() > self.max_concurrent:
            return self._at_once(error_reply(self.dialects[exchange.dialect], _FULL, exchange.request_id))
        coding = exchange.call.headers.get("content-encoding")
        if coding is not None and coding.strip().lower() not in ("", "identity"):
            return self._at_once(error_reply(self.dialects[exchange.dialect], _coded(coding), exchange.request_id))
        return self.stacks.handle(exchange)

    async def _at_once(self, reply: Reply) -> Reply:
        return reply

    def _ready(self) -> Reply:
        if self.draining:
            return Reply(503, b"content-type: application/json\r\nretry-after: 5\r\n", b'{"status":"draining"}')
        return Reply(200, b"content-type: application/json\r\n", b'{"status":"ready"}')

    def refusal(self, method: bytes, target: bytes, headers: Mapping[bytes, bytes], problem: Problem) -> Reply:
        """An error for a request that never became an exchange (too large, malformed HTTP), in the dialect its path names."""
        matched, *_ = self.inbound.matched(method, target)
        dialect = dialect_by_headers(headers, matched.dialect)
        return error_reply(self.dialects[dialect], problem, self.inbound.new_id())

    def late_error(self, exchange: Exchange, problem: Problem) -> bytes:
        """The error event for a stream whose head is already out."""
        return self.dialects[exchange.dialect].render_stream_error(problem, exchange.request_id)

    def early_head(self, exchange: Exchange) -> bytes | None:
        """The head of a stream that is committed before the upstream answered; None where no error could follow."""
        if exchange.stream and exchange.operation == "invoke":
            return HEADERS
        if not exchange.stream or (exchange.dialect == "gemini" and exchange.call.query.get("alt") != "sse"):
            return None
        return stream_type(self.dialects[exchange.dialect], exchange.call.query.get("alt"))

    def early_ping(self, exchange: Exchange) -> bytes:
        """What breaks the silence after `early_head`."""
        return first_ping("bedrock_converse" if exchange.operation == "invoke" else exchange.dialect)
