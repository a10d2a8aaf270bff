"""What a client sends, read: httptools' callbacks, the limits, and what is no request at all.

One rule: whatever is sent, what it costs is bounded, and nothing of one request reaches the next.
https://www.rfc-editor.org/rfc/rfc9112
"""

import asyncio
import re
from typing import TypeAlias

import httptools

from gatewright.errors import Problem
from gatewright.server import framing
from gatewright.server.gateway import Gateway
from gatewright.server.heading import Heading, Repeat, repeat_of
from gatewright.transport.turn import Turn

MAX_HEADER_BYTES = 64 << 10
MAX_HEADERS = 200
MAX_QUIET_BYTES = 64 << 10
"""Most bytes of a body's framing with nothing of the body between: trailers, chunk extensions."""
HEADS_TRIED = 4
"""Heads of a connection that are remembered in vain, before no more are."""
MAX_PIECES = 64
"""Pieces of a body that are kept apart: a client that sends two bytes at a time must not fill the memory with pieces."""

FORWARDED = b"x-forwarded-for"

_OFFER = re.compile(rb"\r\nupgrade:", re.IGNORECASE)

_NO_WEBSOCKETS = Problem(kind="invalid_request", status=426, message="WebSockets are not served here; use HTTP with SSE.")
_HEADERS_TOO_LARGE = Problem(
    kind="invalid_request", status=431, message=f"Too many headers: {MAX_HEADERS} or {MAX_HEADER_BYTES} bytes at most."
)


class _Stop(Exception):
    """This request is answered with a problem, now."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


class _Handover(Exception):
    pass


class _Offer(Exception):
    pass


ReadRequest: TypeAlias = tuple[Heading, bytes, bool, bool]
"""Head, body, whether to keep the connection, whether it is HTTP/1.0."""


class Reader(asyncio.Protocol):
    """One client connection's way in. What becomes of a request is the subclass's business."""

    __slots__ = (
        "_dead", "_fields", "_headers", "_loop", "_parser", "_piece", "_pieces", "_quiet_bytes", "_raw", "_repeat", "_target",
        "_tried", "_turn", "_weighed", "began", "gateway", "on_body", "on_header", "since", "transport", "waiting_body",
    )  # fmt: skip

    def __init__(self, gateway: Gateway, loop: asyncio.AbstractEventLoop) -> None:
        self.gateway = gateway
        self._loop = loop
        self._turn = Turn.of(loop)
        """By which all is written, or after a `flush` of it."""
        self.transport: asyncio.Transport  # set by connection_made
        self._dead = False
        self.began = 0.0
        """Monotonic seconds at which the request now arriving began."""
        self.since = 0.0
        """Monotonic seconds of the last sign of life in the present phase."""
        self.waiting_body = False
        """A request has begun and is not complete."""
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._weighed = -1
        """Bytes of the body when it was last weighed."""
        self._quiet_bytes = 0
        """How many have come since then that were none of it."""
        self._raw: bytes | None = b""
        self._repeat: Repeat | None = None
        """By which the next request may be known."""
        self._tried = 0
        self._piece = b""
        """What has just come, where a request begins with it."""
        self._fields: dict[bytes, bytes] = {}
        self._pieces: list[bytes | bytearray] = []
        self.on_header = self._fields.setdefault
        """The parser's callbacks for headers and for pieces of the body, and no Python in between. The first of several wins."""
        if gateway.behind_proxies:
            self.on_header = self._read_header
        self.on_body = self._pieces.append
        self._parser = httptools.HttpRequestParser(self)

    # -- for the subclass ----------------------------------------------------------------------------------------------------

    @property
    def answering(self) -> bool:
        """Whether a request is being answered."""
        raise NotImplementedError

    def _begin(self, request: ReadRequest) -> None:
        """A request is complete."""
        raise NotImplementedError

    def _reject(self, problem: Problem) -> None:
        """Answer a request that is not a request, and close: nothing after it can be trusted."""
        raise NotImplementedError

    def _hand_over(self) -> None:
        """This path is not the fast lane's: give the connection, with what was read, to another protocol."""
        raise NotImplementedError

    # -- the request ---------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._dead:
            return
        self.since = self._loop.time()
        raw = self._raw
        if raw is not None:
            if raw or self.waiting_body:
                self._piece = b""
                self._raw = raw + data
            else:
                repeat = self._repeat
                if repeat is not None:
                    body = repeat.body_of(data)
                    if body is not None and len(body) <= self.gateway.max_body_bytes:
                        self.began = self.since
                        self._begin((repeat.heading, body, True, False))
                        return
                self._raw = self._piece = data
        else:
            self._piece = b""
        try:
            self._parser.feed_data(data)
            if self._raw:
                if len(self._raw) > MAX_HEADER_BYTES:  # the head goes on and on
                    self._reject(_HEADERS_TOO_LARGE)
            elif self.waiting_body:
                self._weigh(len(data))
        except httptools.HttpParserUpgrade:
            # CONNECT, or an offer amid a packet: the request itself is served, and the connection ends with its answer.
            self._dead = True
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, _Handover):
                self._hand_over()
            elif isinstance(cause, _Offer):
                self._decline()
            elif isinstance(cause, _Stop):
                self._reject(cause.problem)
            else:
                self._reject(Problem(kind="invalid_request", message=f"Malformed HTTP request: {error}"))

    def _weigh(self, count: int) -> None:
        """`count` bytes more of a body that is not complete: is it too large, or in too many pieces?"""
        pieces = self._pieces
        size = sum(map(len, pieces))
        self._quiet_bytes = self._quiet_bytes + count if size == self._weighed else 0
        self._weighed = size
        if size > self.gateway.max_body_bytes:
            self._reject(self._too_large())
        elif self._quiet_bytes > MAX_QUIET_BYTES:
            self._reject(_HEADERS_TOO_LARGE)
        elif len(pieces) > MAX_PIECES:
            grown: bytes | bytearray = pieces[0]
            if not isinstance(grown, bytearray):
                grown = bytearray(grown)
            for piece in pieces[1:]:
                grown += piece  # in place
            pieces[:] = [grown]

    def _read_header(self, name: bytes, value: bytes) -> bytes:
        """As `dict.setdefault`; but a proxy may have added a line of its own to those that its client has made up."""
        if name.lower() != FORWARDED:
            return self._fields.setdefault(name, value)
        before = self._fields.get(FORWARDED)
        found = self._fields[FORWARDED] = value if before is None else before + b", " + value
        return found

    def on_message_begin(self) -> None:
        self.waiting_body = True
        self.began = self.since

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > MAX_HEADER_BYTES:
            raise _Stop(Problem(kind="invalid_request", status=414, message="The request target is too long."))

    def on_headers_complete(self) -> None:
        if self._target.startswith(self.gateway.asgi_prefixes) and not self.answering:
            raise _Handover
        fields = self._fields
        headers = self._headers = {name.lower(): value for name, value in fields.items()}
        if len(headers) < len(fields):  # one name in two spellings: the first wins there too
            headers = self._headers = {name.lower(): fields[name] for name in reversed(fields)}
        fields.clear()
        large = self._raw is None or len(self._raw) > MAX_HEADER_BYTES
        if len(headers) > MAX_HEADERS or (large and sum(len(n) + len(v) + 4 for n, v in headers.items()) > MAX_HEADER_BYTES):
            raise _Stop(_HEADERS_TOO_LARGE)
        if b"upgrade" in headers:
            if headers[b"upgrade"].lower() == b"websocket":
                raise _Stop(_NO_WEBSOCKETS)
            if self._raw and self._parser.should_upgrade():
                raise _Offer
        self._raw = None
        self._weighed = -1
        length = headers.pop(b"content-length", None)  # the framing's, not the message's
        if length is not None and int(length) > self.gateway.max_body_bytes:
            raise _Stop(self._too_large())
        if b"expect" in headers and headers[b"expect"].lower() == b"100-continue" and not self.answering:
            self._turn.write(self.transport, framing.CONTINUE)

    def on_message_complete(self) -> None:
        pieces = self._pieces
        body = bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)
        if len(body) > self.gateway.max_body_bytes:  # its end came with what made it too large
            raise _Stop(self._too_large())
        pieces.clear()
        parser = self._parser
        target = self._target
        keep = parser.should_keep_alive() and not parser.should_upgrade()  # what follows an offer is not parsed any more
        old = parser.get_http_version() == "1.0"
        heading = Heading(parser.get_method(), target, self._headers)
        if self._piece:
            if keep and not old and self._tried < HEADS_TRIED:
                self._tried += 1
                self._repeat = repeat_of(self._piece, body, heading)
            self._piece = b""
        self.waiting_body = False
        self._target = self._raw = b""
        if self._fields:  # trailers: nobody's, least of all the next request's
            self._fields.clear()
        if self._dead:
            return
        self._begin((heading, body, keep, old))

    def _too_large(self) -> Problem:
        return Problem(kind="too_large", message=f"The request body is larger than {self.gateway.max_body_bytes} bytes.")

    def _decline(self) -> None:
        """Parse anew without an offer of another protocol (h2c, as Java's client makes one): the parser would skip the body."""
        head, end, rest = (self._raw or b"").partition(b"\r\n\r\n")
        self._parser = httptools.HttpRequestParser(self)
        self._target = self._raw = b""
        self._fields.clear()
        self.data_received(_OFFER.sub(b"\r\nx-declined:", head) + end + rest)
