"""The seam between the gateway and an upstream: one request out, one answer in.

One rule: bytes only. What a header or a body means is the caller's business; this layer owns the framing
(host, content-length, connection, transfer-encoding, content-encoding) and nothing else.
https://www.rfc-editor.org/rfc/rfc9112
"""

import re
from collections.abc import Iterable
from typing import Protocol

import msgspec

FRAMING = frozenset(
    {b"host", b"content-length", b"connection", b"transfer-encoding", b"keep-alive", b"proxy-connection", b"te", b"upgrade"}
)
"""Headers of the connection, not of the message: the transport writes its own, `header_lines` leaves them out."""

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_IN_VALUE = re.compile(rb"[\x00\r\n]")


class Timeouts(msgspec.Struct, frozen=True):
    """How long each phase of an exchange may last, in seconds."""

    connect_s: float = 5.0
    """Waiting for a free connection, then separately name lookup + TCP + proxy + TLS."""
    headers_s: float = 600.0
    """From the last byte of the request to the head of the answer."""
    first_event_s: float = 600.0
    """From the head to the first byte of the body."""
    idle_s: float = 120.0
    """Between two pieces of the body, either way. Does not run while the reader is the one who is slow."""
    total_s: float = 3600.0
    """From `send` to the end of the body, whatever happens in between."""


class Trail(Protocol):
    """Told what becomes of a request beneath who sent it."""

    def wrote(self) -> None:
        """It was written to a connection; once more, if that ended at once, or another key is tried."""
        ...

    def refused(self, status: int) -> None:
        """It was answered so, and is to be written once more."""
        ...


class Outgoing(msgspec.Struct, frozen=True):
    """A request, ready for the wire."""

    method: bytes
    path: bytes
    """With the query, percent-encoded, as it stands on the wire. A byte that may not stand there is a `ValueError`."""
    headers: bytes
    """Ready lines, `name: value\\r\\n` each, made by `header_lines`: without the headers in `FRAMING`."""
    body: bytes = b""
    timeouts: Timeouts = Timeouts()
    trail: "Trail | None" = None
    """Who wants to know how often it is written. None: nobody."""


KEPT_FEW = 16
"""Pieces that lie one by one with who keeps them: few enough to be in the cache still when they are put together."""


class Kept(Protocol):
    """An answer as it comes, piece by piece."""

    few: list[bytes]
    """What came last."""

    def add(self, piece: bytes) -> None: ...

    def gather(self) -> None:
        """There are `KEPT_FEW` of them: put them together elsewhere."""
        ...


class Keeper(Protocol):
    """Who keeps what is read of an answer, as it is given to its reader."""

    def whole(self, body: bytes) -> None:
        """All of it, or all the rest."""
        ...

    def pieces(self) -> Kept:
        """For the next piece: the same each time."""
        ...


class Incoming(Protocol):
    """An answer whose head is there and whose body is arriving."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Names in lower case, values as received.

        `content-encoding` and `content-length` still describe the wire, not what `next` gives: never forward them.
        """
        ...

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header; `name` in lower case."""
        ...

    async def next(self) -> bytes | None:
        """What has arrived since the last call, in one piece, content coding undone; None at the clean end.

        Raises `TransportError`. After it raised or gave None it does so again. One caller at a time.
        """
        ...

    async def read(self, max_bytes: int) -> bytes:
        """The whole rest of the body, decoded. Raises `TooLarge` (and aborts) beyond `max_bytes`."""
        ...

    def abort(self) -> None:
        """Give up: close the connection now. Never raises; does nothing when the answer is complete."""
        ...


class Transport(Protocol):
    """Something that answers requests: a pool of connections to one endpoint, a replay, a built-in model."""

    async def send(self, outgoing: Outgoing) -> Incoming:
        """Return when the head of the answer is there. Raises `TransportError`."""
        ...

    async def close(self) -> None:
        """Close every connection; running exchanges fail. `send` fails from now on."""
        ...


def header_lines(headers: Iterable[tuple[bytes | str, bytes | str]]) -> bytes:
    """Header lines for `Outgoing.headers`, in order, without those the transport writes itself.

    Strings are encoded as latin-1. Raises ValueError, naming the header and never its value, for a name that is not
    a token or a value that would break out of its line.
    """
    lines: list[bytes] = []
    for name, value in headers:
        key = name if isinstance(name, bytes) else name.encode("latin-1", "replace")
        text = value if isinstance(value, bytes) else value.encode("latin-1", "replace")
        if key.lower() in FRAMING:
            continue
        if _NAME.fullmatch(key) is None:
            raise ValueError(f"{key[:64]!r} is not a header name")
        if _BAD_IN_VALUE.search(text) is not None:
            raise ValueError(f"the value of header {key.decode('latin-1')!r} has a line break or a NUL in it")
        lines.append(b"%b: %b\r\n" % (key, text))
    return b"".join(lines)
