"""What can go wrong between us and an upstream.

    TransportError
    ├── ConnectFailed   no connection: name, refusal, TLS, proxy; nothing was sent
    ├── PoolTimeout     every connection of the endpoint was busy for too long; nothing was sent
    ├── TimedOut        a phase lasted longer than its `Timeouts` allow
    ├── Cut             the peer closed or reset before the end of its answer
    ├── BadAnswer       what came is not HTTP/1.1, or more of it than anyone needs
    ├── TooLarge        the body is longer than the reader asked for
    └── Closed          we have closed the transport: the upstream has done nothing wrong

One rule: messages name host:port and seconds, never a body, a header's value or a credential.
"""

from typing import ClassVar, Literal

from gatewright.errors import Problem, ProblemKind

Phase = Literal["connect", "send", "headers", "body"]


class TransportError(Exception):
    """The exchange failed. `problem` is the same, as a value."""

    kind: ClassVar[ProblemKind] = "upstream"

    def __init__(self, message: str, *, phase: Phase, sent: bool) -> None:
        super().__init__(message)
        self.phase: Phase = phase
        """How far the exchange had come."""
        self.sent = sent
        """Whether any byte was written to a connection that might have processed it: only False is safe to repeat blindly."""

    @property
    def problem(self) -> Problem:
        return Problem(kind=self.kind, message=str(self))

    def again(self) -> "TransportError":
        """The same, to be raised: what has been raised holds the frames it went through, and so may not be held by an answer."""
        return type(self)(str(self), phase=self.phase, sent=self.sent)


class ConnectFailed(TransportError):
    """No connection could be made. Nothing was sent."""


class PoolTimeout(TransportError):
    """No connection became free in time: the cap of this endpoint is reached. Nothing was sent."""

    kind = "overloaded"


class TimedOut(TransportError):
    """A phase lasted too long."""

    kind = "timeout"


class Cut(TransportError):
    """The peer closed or reset the connection before the end of its answer, or we gave it up."""


class BadAnswer(TransportError):
    """The answer breaks HTTP/1.1 or its limits."""


class TooLarge(TransportError):
    """The body is longer than `read` allowed."""


class Closed(TransportError):
    """The transport was closed, which is done when nobody uses it any more, or when the gateway stops: then this is seen.

    The gateway's own doing: nothing is tried again, and no circuit counts it.
    """

    @property
    def problem(self) -> Problem:
        message = "The gateway is stopping; ask again."
        return Problem(kind="internal", status=503, code="gateway_stopping", message=message, headers=(("retry-after", "1"),))
