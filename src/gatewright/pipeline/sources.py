"""Streamed answers, pulled by the server or pushed to it: what all kinds share.

    PassSource        passed.py        the upstream's own bytes, watched
    TranslatedSource  translated.py    the upstream's events, rendered for the client
    WrappedSource     below            around another one, to look at what it tells, or to change it

One rule: a source never raises. A cut, a stall or nonsense becomes the dialect's error event; a stream that did not tell its
own end never ends cleanly. Whoever asked by `when_ended` is told exactly once, however it ends.
"""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from gatewright.dialects.bedrock_converse.frames import KEEP_ALIVE
from gatewright.errors import Problem
from gatewright.exchange import Client, Segment
from gatewright.ir.blocks import DialectName
from gatewright.ir.response import Usage
from gatewright.transport import Incoming

COMMENT = b": keep-alive\n\n"
_BLANK = b"\r\n"
PINGS: dict[DialectName, bytes] = {"anthropic": b'event: ping\ndata: {"type": "ping"}\n\n', "gemini": _BLANK}
"""Google's own SDKs take a comment for JSON; blank lines they skip."""

log = logging.getLogger("gatewright")

BEGINNING_BYTES = 64 << 10
"""A beginning without content that is longer than this goes out all the same."""

CUT = Problem(kind="upstream", code="stream_cut", message="The provider's stream ended before its answer did.")


def bug(request_id: str) -> Problem:
    return Problem(kind="internal", message=f"The gateway failed on this answer ({request_id}); its log says why.")


def first_ping(dialect: DialectName) -> bytes:
    """What may be said before anything else of a stream."""
    if dialect == "bedrock_converse":
        return KEEP_ALIVE
    return _BLANK if dialect == "gemini" else COMMENT


class BaseSource:
    """What both kinds share: the first segment is taken early (`begin`), the end is told once."""

    __slots__ = ("_first", "_incoming", "_on_end", "broken", "content", "ended", "left", "problem", "scrub", "usage")

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._first: Segment | None = None
        self.ended = False
        """The last step has been given, or waits in `_first`."""
        self._on_end: tuple[Callable[[], None], ...] = ()
        self.usage: Usage | None = None
        self.problem: Problem | None = None
        """What ended the stream, if it was an error."""
        self.content = False
        """Whether anything a client can see has been told."""
        self.left = False
        """The client left before the end."""
        self.scrub: Callable[[bytes], bytes] = bytes
        """Takes the upstream's credentials out of its errors. Set before the first step, by who knows them."""
        self.broken = False
        """The framing has no error event: the server must not end the body cleanly."""

    @property
    def incoming(self) -> Incoming:
        return self._incoming

    def when_ended(self, tell: Callable[[], None]) -> None:
        """Have `tell` called once, at the end of the answer, after whoever asked before; now, if that is past."""
        if self.ended:
            tell()
            return
        self._on_end += (tell,)

    async def begin(self, *, until_content: bool = False) -> None:
        """Wait for the first segment and keep it: until it is out, an error can still be an HTTP status.

        `until_content`: for as long as nothing that a client can see has come, within bounds: until then another target can
        take over without the client's notice.
        """
        first = self._first = await self._pull()
        while until_content and first is not None and not (self.content or self.ended or self.problem is not None):
            more = await self._pull()
            if more is None:
                break
            first.wire += more.wire
            first.events = None if first.events is None or more.events is None else (*first.events, *more.events)
            until_content = len(first.wire) < BEGINNING_BYTES

    async def flow(self, client: Client) -> None:
        """Push what arrives, where each piece can be told by itself and the transport can do so. Kinds that cannot are pulled."""

    async def _pour(self, client: Client) -> None:
        """`flow`, for a kind that can."""
        pour = getattr(self._incoming, "pour", None)
        if pour is not None and self._first is None and not self.ended:
            await pour(self._sink(client))

    def _sink(self, client: Client) -> Callable[[bytes], bool]:
        """What `flow` pours into: does with a piece what `_pull` would, and says whether it did."""
        raise NotImplementedError

    def next(self) -> Coroutine[Any, Any, Segment | None]:
        """The next segment, to be awaited. Not `async` itself: that would be a frame more for every event."""
        return self._pull() if self._first is None and not self.ended else self._kept()

    async def _kept(self) -> Segment | None:
        first, self._first = self._first, None
        return first

    async def _pull(self) -> Segment | None:
        raise NotImplementedError

    def _end(self) -> None:
        self.ended = True
        on_end, self._on_end = self._on_end, ()
        for tell in on_end:
            try:
                tell()
            except Exception:  # the answer is out, whoever watched it
                log.exception("what follows an answer failed on a bug of ours")

    def keepalive(self) -> bytes:
        raise NotImplementedError

    def usage_so_far(self) -> Usage | None:
        """What has been told of usage until now."""
        return self.usage

    def spoken(self) -> int:
        """Tokens of the answer that were told until now: an estimate, for who cannot know from the usage."""
        return 0

    def abort(self) -> None:
        """The client left. Idempotent; after the end it does nothing but free the connection."""
        self._incoming.abort()
        if not self.ended:
            self.left = self.problem is None
            self._end()


class WrappedSource(BaseSource):
    """Around the source that answers: what that one has told is what this one has."""

    __slots__ = ("_inner",)

    def __init__(self, inner: BaseSource) -> None:
        super().__init__(inner._incoming)  # noqa: SLF001 - the same answer, seen through
        self._inner = inner
        self.content = inner.content

    def _over(self) -> None:
        """The end: that of the inner one, unless this one had a problem of its own."""
        inner = self._inner
        self.usage = inner.usage if inner.usage is not None else inner.usage_so_far()
        if self.problem is None:
            self.problem, self.broken, self.left = inner.problem, inner.broken, inner.left
        self._end()

    def keepalive(self) -> bytes:
        return b"" if self.ended else self._inner.keepalive()

    def usage_so_far(self) -> Usage | None:
        return self._inner.usage_so_far()

    def spoken(self) -> int:
        return self._inner.spoken()

    def abort(self) -> None:
        self._inner.abort()
        if not self.ended:
            self._over()
