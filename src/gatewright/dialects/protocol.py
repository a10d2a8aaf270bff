"""What a dialect is: one wire format, spoken to clients and to providers alike, sans I/O.

The same object serves as client dialect and as upstream dialect. A host that deviates is a provider (data and quirks), never a
new dialect. Implementations live in one folder each and know only `ir`, `wire` and `errors`.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from gatewright.errors import Problem
from gatewright.ir.blocks import DialectName
from gatewright.ir.events import StreamEvent
from gatewright.ir.loss import Loss
from gatewright.ir.request import Asked, Rendered, Request, Target
from gatewright.ir.response import Response, Usage
from gatewright.wire.http import Call, HttpAnswer

Framing = Literal["sse", "eventstream"]
"""How a stream's events are told apart: server-sent events, or AWS's binary frames, which are to pass whole and untouched."""


class Peek(msgspec.Struct, frozen=True, kw_only=True):
    """The little that routing needs of a request body, read without building the document."""

    model: str
    stream: bool
    is_text: bool = False
    """All strings of the body were seen to be text."""


class StreamParser(Protocol):
    """An upstream's stream -> events. Raises nothing: nonsense becomes a StreamError, after which nothing more comes."""

    def feed(self, data: bytes) -> list[StreamEvent]: ...

    def close(self) -> list[StreamEvent]:
        """The upstream ended its body. A stream that had no end of its own gives a StreamError: a cut is never a clean stop."""
        ...


class StreamRenderer(Protocol):
    """Events -> the client's wire, framing included. Several events at once cost one call."""

    losses: list[Loss]
    """What could not be said so far."""

    def render(self, events: Sequence[StreamEvent]) -> bytes:
        """The wire for these events. After a StreamError or MessageStop the wire is complete."""
        ...

    def keepalive(self) -> bytes:
        """What to send while the upstream thinks: the dialect's own ping, or what its framing has; empty if it has nothing."""
        ...


class Watch(Protocol):
    """Watches a stream that passes through in its own dialect. Costs nothing where nothing is to be learnt."""

    usage: Usage | None
    content: bool
    """Whether content that a client can see has passed."""
    finished: bool
    """Whether the stream told its own end (a terminal event or a finish reason)."""
    problem: Problem | None
    """An error event that has passed."""

    def feed(self, data: bytes) -> bytes:
        """What to pass on: `data` itself wherever possible.

        `data` is whole events or frames. Only the last may lack its end, and one too large to be held comes in parts, of which
        nothing need be learnt. (A JSON array comes in pieces of any kind.)
        """
        ...


class Dialect(Protocol):
    name: DialectName
    framing: Framing

    def peek(self, call: Call) -> Peek:
        """Raises Malformed when the body is not JSON of the least shape (an object with a model)."""
        ...

    def asked_output(self, call: Call) -> int:
        """The most tokens of output that the call asks for, over all answers it wants; 0: it does not say. After `peek`."""
        ...

    def asked_answers(self, call: Call) -> int:
        """How many answers the call wants: at least 1. After `peek`."""
        ...

    def parse_request(self, call: Call) -> Request:
        """Raises Malformed with the path of what is wrong."""
        ...

    def render_request(self, request: Request, target: Target) -> Rendered:
        """The request for an upstream of this dialect. Raises Refused for what cannot be said at all and must not be dropped."""
        ...

    def parse_response(self, body: bytes, asked: Asked) -> Response:
        """A whole answer (HTTP 2xx). Raises UpstreamFailed when it is an error in disguise or not of the dialect's shape."""
        ...

    def render_response(self, response: Response, request: Request) -> Rendered:
        """The answer for a client of this dialect who sent `request`."""
        ...

    def stream_parser(self, asked: Asked) -> StreamParser: ...

    def stream_renderer(self, request: Request) -> StreamRenderer: ...

    def watch(self, call: Call) -> Watch:
        """For a stream that passes through; `call` is what the client sent (it may not have asked for usage)."""
        ...

    def read_usage(self, body: bytes) -> Usage | None:
        """The usage in a whole answer that passes through; None when it says none or is not JSON. Never raises."""
        ...

    def pass_edits(self, call: Call, target: Target) -> dict[str, bytes | None]:
        """Top-level edits (raw JSON values; None removes) that make the client's body fit the target when bytes pass through:
        the model name, `stream_options`.
        """
        ...

    def pass_path(self, call: Call, target: Target) -> str:
        """Path and query under the provider's base URL for a call that passes through."""
        ...

    def parse_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        """Any answer of an upstream with a status of 400 or more, JSON or not. Never raises."""
        ...

    def render_error(self, problem: Problem, request_id: str) -> HttpAnswer:
        """The error for a client of this dialect: status, body and the headers to carry over."""
        ...

    def render_stream_error(self, problem: Problem, request_id: str) -> bytes:
        """The dialect's own error event, for a stream whose head is already out and that passes through."""
        ...
