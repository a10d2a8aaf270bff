"""The demo model behind the transport's seam: bytes in, bytes out, at a reader's pace.

One rule: nothing here knows a dialect. The path says which one speaks; its object reads the request and writes the answer.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qsl, unquote

import msgspec

from gatewright.dialects.protocol import Dialect
from gatewright.errors import GatewrightError, Problem, refuse
from gatewright.ir.blocks import DialectName
from gatewright.ir.events import ArgumentsDelta, ReasoningDelta, StreamEvent, TextDelta
from gatewright.ir.fold import unfold
from gatewright.ir.request import Request
from gatewright.jsontypes import JsonObject
from gatewright.transport.demo.mind import Thought, think
from gatewright.transport.demo.reading import count_tokens
from gatewright.transport.failures import Cut, TooLarge
from gatewright.transport.seam import Incoming, Outgoing
from gatewright.wire.http import Call, HttpAnswer
from gatewright.wire.json import BadJson, decode_object

WHERE = "the demo model"
REQUEST_ID = "req_demo"
PIECE_CHARS = 12
"""Characters of one delta."""
PACE_S = 0.012
"""Seconds between deltas: fast reading, slow enough to see it stream."""

ENDS: tuple[tuple[str, DialectName], ...] = (
    ("/chat/completions", "openai_chat"),
    ("/responses", "openai_responses"),
    ("/responses/input_tokens", "openai_responses"),
    ("/messages", "anthropic"),
    ("/messages/count_tokens", "anthropic"),
)
"""End of a path → the dialect that is spoken there. Gemini's paths end in an action instead."""

COUNTED: dict[DialectName, Callable[[int], JsonObject]] = {
    "openai_responses": lambda tokens: {"object": "response.input_tokens", "input_tokens": tokens},
    "anthropic": lambda tokens: {"input_tokens": tokens},
    "gemini": lambda tokens: {"totalTokens": tokens},
}
"""The answer of each dialect's token counter."""


class DemoAnswer:
    """An answer whose pieces are known beforehand and come at a pace."""

    __slots__ = ("_aborted", "_cut", "_pace_s", "_pieces", "_sent", "_wait_s", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        pieces: Sequence[bytes],
        *,
        pace_s: float = 0,
        wait_s: float = 0,
        cut: bool = False,
    ) -> None:
        self.status = status
        self.headers = tuple(headers)
        self._pieces = pieces
        self._sent = 0
        self._pace_s = pace_s
        self._wait_s = wait_s
        self._cut = cut
        self._aborted = False

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key == name), None)

    async def next(self) -> bytes | None:
        if self._aborted:
            raise self._broken("given up before the end of the answer")
        delay_s = self._pace_s if self._sent else self._wait_s
        if delay_s and self._sent < len(self._pieces):
            await asyncio.sleep(delay_s)
        if self._cut and self._sent * 2 >= len(self._pieces):
            raise self._broken("broke off in the middle of its answer, as it was asked to")
        if self._sent == len(self._pieces):
            return None
        self._sent += 1
        return self._pieces[self._sent - 1]

    async def read(self, max_bytes: int) -> bytes:
        whole = b""
        while (piece := await self.next()) is not None:
            whole += piece
            if len(whole) > max_bytes:
                self.abort()
                raise TooLarge(f"{WHERE} sent a body of more than {max_bytes} bytes", phase="body", sent=True)
        return whole

    def abort(self) -> None:
        self._aborted = self._aborted or self._sent < len(self._pieces)

    def _broken(self, how: str) -> Cut:
        return Cut(f"{WHERE} {how}", phase="body", sent=True)


class DemoTransport:
    """Answers every dialect that it was given. `pace_s` is the time between deltas; `now` gives Unix seconds."""

    def __init__(
        self, dialects: Mapping[DialectName, Dialect], *, pace_s: float = PACE_S, now: Callable[[], float] = time.time
    ) -> None:
        self._dialects = dialects
        self._pace_s = pace_s
        self._now = now

    async def send(self, outgoing: Outgoing) -> Incoming:
        call = call_of(outgoing)
        name = dialect_of(call.path)
        dialect = self._dialects.get(name) if name is not None else None
        if name is None or dialect is None:
            body = {"error": {"message": f"{WHERE} has no {call.path}", "type": "not_found", "code": None, "param": None}}
            return _whole(404, msgspec.json.encode(body))
        try:
            return self._answer(name, dialect, call)
        except GatewrightError as error:
            return _refused(dialect.render_error(error.problem, REQUEST_ID))
        except BadJson as error:
            return _refused(dialect.render_error(Problem(kind="invalid_request", message=str(error)), REQUEST_ID))

    async def close(self) -> None:
        """Nothing is open."""

    def _answer(self, name: DialectName, dialect: Dialect, call: Call) -> DemoAnswer:
        """Raises GatewrightError or BadJson for a request that a provider would refuse."""
        if call.path.endswith(("_tokens", ":countTokens")):
            return _whole(200, msgspec.json.encode(COUNTED[name](_count(dialect, call))))
        streams = dialect.peek(call).stream
        request = dialect.parse_request(call)
        _require_messages(request, name)
        thought = think(request, name)
        response = msgspec.structs.replace(thought.response, created=int(self._now()))
        thought = msgspec.structs.replace(thought, response=response)
        if not streams:
            body = msgspec.json.encode(dialect.render_response(response, request).body)
            return _whole(200, body, wait_s=thought.wait_s, cut=thought.cut)
        pieces = _stream(dialect, request, thought)
        kind = b"text/event-stream" if _is_sse(pieces) else b"application/json"
        return DemoAnswer(200, ((b"content-type", kind),), pieces, pace_s=self._pace_s, wait_s=thought.wait_s, cut=thought.cut)


def call_of(outgoing: Outgoing) -> Call:
    """The request as a dialect sees it. Credentials stay out."""
    path, _, query = outgoing.path.decode("latin-1").partition("?")
    headers: dict[str, str] = {}
    for line in outgoing.headers.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon and name.lower() not in ("authorization", "x-api-key", "x-goog-api-key", "api-key"):
            headers.setdefault(name.lower(), value.strip())
    return Call(path=unquote(path), body=outgoing.body, query=dict(parse_qsl(query, keep_blank_values=True)), headers=headers)


def dialect_of(path: str) -> DialectName | None:
    """The dialect that a provider speaks at this path; None where the demo model has nothing."""
    if "/models/" in path and path.rpartition(":")[2] in ("generateContent", "streamGenerateContent", "countTokens"):
        return "gemini"
    return next((name for end, name in ENDS if path.endswith(end)), None)


def split_deltas(events: Sequence[StreamEvent], chars: int = PIECE_CHARS) -> list[StreamEvent]:
    """The same events with long deltas cut into pieces, as a model's come."""
    split: list[StreamEvent] = []
    for event in events:
        match event:
            case TextDelta(index=index, text=text, logprobs=()):
                split += [TextDelta(index, piece) for piece in _cut(text, chars)]
            case ReasoningDelta(index=index, text=text, part=part):
                split += [ReasoningDelta(index, piece, part) for piece in _cut(text, chars)]
            case ArgumentsDelta(index=index, text=text):
                split += [ArgumentsDelta(index, piece) for piece in _cut(text, chars)]
            case _:
                split.append(event)
    return split


def _cut(text: str, chars: int) -> list[str]:
    return [text[at : at + chars] for at in range(0, len(text), chars)]


def _stream(dialect: Dialect, request: Request, thought: Thought) -> list[bytes]:
    """The stream's pieces: what each event writes, with what writes nothing left out."""
    renderer = dialect.stream_renderer(request)
    rendered = (renderer.render([event]) for event in split_deltas(unfold(thought.response)))
    return [piece for piece in rendered if piece]


def _is_sse(pieces: Sequence[bytes]) -> bool:
    """Gemini streams are JSON arrays unless the client asked for events."""
    return not pieces or not pieces[0].lstrip().startswith(b"[")


def _count(dialect: Dialect, call: Call) -> int:
    """Tokens of the request in a counter's body; Gemini wraps it or sends the messages alone."""
    wrapped = decode_object(call.body).get("generateContentRequest")
    if isinstance(wrapped, dict):
        call = msgspec.structs.replace(call, body=msgspec.json.encode(wrapped))
    call = msgspec.structs.replace(call, path=call.path.replace(":countTokens", ":generateContent"))
    return count_tokens(dialect.parse_request(call))


def _require_messages(request: Request, name: DialectName) -> None:
    """OpenAI answers instructions alone; the others want a turn to answer. Raises Refused."""
    if not any(message.role != "system" or name.startswith("openai_") for message in request.messages):
        raise refuse("invalid_request", "expected at least one message to answer, got none")


def _whole(status: int, body: bytes, *, wait_s: float = 0, cut: bool = False) -> DemoAnswer:
    headers = ((b"content-type", b"application/json"), (b"x-request-id", REQUEST_ID.encode()))
    # Two pieces, so that an answer that is to break off has a middle.
    pieces = (body[: len(body) // 2], body[len(body) // 2 :]) if cut else (body,)
    return DemoAnswer(status, headers, pieces, wait_s=wait_s, cut=cut)


def _refused(answer: HttpAnswer) -> DemoAnswer:
    headers = tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers)
    return DemoAnswer(answer.status, ((b"content-type", b"application/json"), *headers), (answer.body,))
