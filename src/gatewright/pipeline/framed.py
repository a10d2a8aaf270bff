"""Streams of binary frames: passed whole, watched, and ended by an exception frame where they are cut.

One rule: a frame goes on when all of it is here and its checksums are right, and not a byte of it is changed.
"""

from gatewright.dialects.bedrock_converse.frames import KEEP_ALIVE
from gatewright.dialects.protocol import Dialect, Watch
from gatewright.errors import Problem, scrubbed
from gatewright.exchange import Segment
from gatewright.pipeline.passed import PassSource
from gatewright.transport import Incoming
from gatewright.transport.failures import BadAnswer
from gatewright.wire.eventstream import CONTENT_TYPE, BadFrame, Splitter

FRAMES = f"content-type: {CONTENT_TYPE}\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n".encode("latin-1")


def are_frames(content_type: bytes) -> bool:
    """Whether a content type is that of binary frames."""
    return content_type.startswith(b"application/vnd.amazon.eventstream")


def named(head: bytes, client: Dialect, request_id: str) -> bytes:
    """The head of a translated answer with the request's id where AWS's SDKs look for it: some programs break without one."""
    if client.framing == "sse" or b"x-amzn-requestid" in head:
        return head
    return head + b"x-amzn-requestid: %b\r\n" % request_id.encode("latin-1")


class WholeFrames:
    """An `Incoming` that gives nothing but whole frames. A last one that is cut is left out: whoever reads knows the end."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._frames = Splitter()

    @property
    def status(self) -> int:
        return self._incoming.status

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return self._incoming.headers

    def header(self, name: bytes) -> bytes | None:
        return self._incoming.header(name)

    async def next(self) -> bytes | None:
        while (data := await self._incoming.next()) is not None:
            try:
                whole = self._frames.feed(data)
            except BadFrame as error:
                self._incoming.abort()
                raise BadAnswer(f"the provider's stream cannot be read: {error}", phase="body", sent=True) from None
            if whole:
                return b"".join(whole)
        return None

    async def read(self, max_bytes: int) -> bytes:
        return await self._incoming.read(max_bytes)

    def abort(self) -> None:
        self._incoming.abort()


class FrameSource(PassSource):
    """The upstream's own frames, watched."""

    __slots__ = ()

    def __init__(self, incoming: Incoming, dialect: Dialect, watch: Watch, request_id: str) -> None:
        super().__init__(WholeFrames(incoming), dialect, watch, request_id, sse=False)

    def _told(self, wire: bytes, problem: Problem) -> bytes:
        """A frame says how long it is: what must not be told is not cut out of it, the error is told in one of ours."""
        self.problem = scrubbed(problem, self.scrub)
        return wire if self.scrub(wire) == wire else self._dialect.render_stream_error(self.problem, self._request_id)

    def _fail(self, problem: Problem) -> Segment | None:
        self._incoming.abort()
        self.problem = problem
        self.usage = self._watch.usage
        self._end()
        return Segment(self._dialect.render_stream_error(problem, self._request_id))

    def keepalive(self) -> bytes:
        return b"" if self.ended else KEEP_ALIVE
