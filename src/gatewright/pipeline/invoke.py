"""Invoke: clients that speak InvokeModel are served as Anthropic's, and told everything in Bedrock's own wrapping.

    framed ▸ settle ▸ authenticate ▸ Invoke ▸ peek ▸ route ▸ attempt

One rule: above `Invoke` and outside of it the exchange is Bedrock's, so that whatever is refused is refused in its words;
beneath it is Anthropic's, so that nothing else knows of this.
"""

from collections.abc import Callable

import msgspec

from gatewright.dialects.bedrock_converse.frames import KEEP_ALIVE
from gatewright.dialects.invoked import HEADERS, Frames, as_counted, as_messages
from gatewright.dialects.protocol import Dialect
from gatewright.errors import Problem
from gatewright.exchange import Client, Exchange, Next, Reply, Segment, Source
from gatewright.pipeline.attempt import SSE, error_reply
from gatewright.pipeline.count import COUNTED, PATHS
from gatewright.pipeline.translate import Dialects
from gatewright.wire.json import decode_object, encode
from gatewright.wire.splice import splice


class Invoke:
    """Beneath authentication: nobody's body is read for free."""

    def __init__(self, dialects: Dialects) -> None:
        self.dialects = dialects

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        client = exchange.dialect
        exchange.call = as_messages(exchange.call)
        exchange.dialect = "anthropic"
        try:
            reply = await following(exchange)
        finally:
            exchange.dialect = client
        if reply.problem is not None:
            return error_reply(self.dialects[client], reply.problem, exchange.request_id)
        if not exchange.stream and exchange.usage is not None:
            for name, count in (("input", exchange.usage.input), ("output", exchange.usage.output)):
                if count is not None:
                    reply.headers += b"x-amzn-bedrock-%b-token-count: %d\r\n" % (name.encode("ascii"), count)
        return reply


class CountInput:
    """For CountTokens, beneath authentication: what is to be counted, as its own clients ask; the answer in Bedrock's words."""

    def __init__(self, dialects: Dialects) -> None:
        self.dialects = dialects

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        client = exchange.dialect
        exchange.dialect, asked = as_counted(exchange.call, exchange.params[0])
        foreign = exchange.dialect != client
        if foreign:  # a counting endpoint refuses what makes no difference to the count
            costless: dict[str, bytes | None] = {
                key: None for key in decode_object(asked.body) if key not in COUNTED["anthropic"]
            }
            asked = msgspec.structs.replace(asked, path=PATHS["anthropic"], body=splice(asked.body, costless))
        exchange.call = asked
        try:
            reply = await following(exchange)
        finally:
            exchange.dialect = client
        if reply.problem is not None and foreign:
            return error_reply(self.dialects[client], reply.problem, exchange.request_id)
        if reply.problem is None and foreign:
            reply.body = encode({"inputTokens": decode_object(reply.body).get("input_tokens")})
        return reply


class Framing:
    """The outermost stage: streams go out in event frames."""

    def __init__(self, dialects: Dialects, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds, as in `exchange.started`."""
        self.dialects = dialects
        self.clock = clock

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        reply = await following(exchange)
        if not exchange.stream or reply.problem is not None:
            return reply
        frames = Frames(
            lambda document: _exception(self.dialects, document, exchange.request_id),
            lambda: round((self.clock() - exchange.started) * 1000),
        )
        reply.headers = HEADERS + reply.headers.removeprefix(SSE)
        if reply.source is None:
            reply.body = frames.feed(reply.body)
        else:
            reply.source = Framed(reply.source, frames, lambda why: self._failure(why, exchange.request_id))
        return reply

    def _failure(self, why: str, request_id: str) -> bytes:
        return self.dialects["bedrock_converse"].render_stream_error(Problem(kind="upstream", message=why), request_id)


def _exception(dialects: Dialects, document: bytes, request_id: str) -> bytes:
    """Anthropic's error event as Bedrock's exception frame."""
    anthropic: Dialect = dialects["anthropic"]
    return dialects["bedrock_converse"].render_stream_error(anthropic.parse_error(0, {}, document), request_id)


class Framed:
    """A source whose server-sent events leave as frames. What fits into none ends the stream as an exception."""

    __slots__ = ("_failure", "_frames", "_over", "_source")

    def __init__(self, source: Source, frames: Frames, failure: Callable[[str], bytes]) -> None:
        """`failure`: the frame that ends a stream, saying why."""
        self._source = source
        self._frames = frames
        self._failure = failure
        self._over = False

    @property
    def broken(self) -> bool:
        return bool(getattr(self._source, "broken", False))

    @property
    def ended(self) -> bool:
        return self._over

    async def flow(self, client: Client) -> None:
        """Pulled: each step is framed anew."""

    async def next(self) -> Segment | None:
        while not self._over and (segment := await self._source.next()) is not None:
            try:
                wire = self._frames.feed(segment.wire)
            except ValueError as error:
                self._source.abort()
                self._over = True
                wire = self._failure(f"the provider's stream cannot be told in frames: {error}")
            if wire:
                return Segment(wire, segment.events)
        return None

    def abort(self) -> None:
        self._source.abort()

    def keepalive(self) -> bytes:
        """What its clients read past, wherever the events beneath leave room for anything."""
        return KEEP_ALIVE if self._source.keepalive() else b""
