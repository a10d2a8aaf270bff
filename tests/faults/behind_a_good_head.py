"""Faults behind a status of 200: lies of the framing, nonsense, errors in disguise, and all that breaks a stream."""

import gzip
from collections.abc import Iterator
from typing import Final

from gatewright.ir.blocks import DialectName
from gatewright.routing.retry import Cause
from tests.faults import saying
from tests.faults.fault import BOTH, LIMIT_S, LONG, STREAM, WHOLE, Fault, body_play, head_then, just, page_play
from tests.faults.upstreams import HANG_UP, RESET, Asked, Play, Step, healthy, stream_head
from tests.serving import END, answer, chunk

_PART: Final = "Behind a 200, before content"
_AFTER: Final = "After content"
SSE: Final[tuple[DialectName, ...]] = tuple(d for d in saying.DIALECTS if d != "bedrock_converse")
FLOOD_BYTES: Final = 100 << 20
STREAM_FLOOD_BYTES: Final = 20 << 20


def _lengthy(asked: Asked, by: int) -> bytes:
    """A good answer whose content-length is wrong by so much."""
    body = b"".join(saying.events(asked.dialect, asked.text)) if asked.stream else saying.whole(asked.dialect, asked.text)
    kind = saying.content_type(asked.dialect, stream=asked.stream)
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body) + by}\r\n\r\n".encode() + body


def _short(asked: Asked) -> list[Step]:
    """A stream whose content-length ends it within the event after its first content."""
    body = b"".join(saying.events(asked.dialect, asked.text))
    kind = saying.content_type(asked.dialect, stream=True)
    length = len(saying.begun(asked.dialect)) + 10
    return [f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n".encode() + body]


def _until_closed(asked: Asked, *, end: int | None = None) -> list[Step]:
    """As HTTP/1.0 has it: the body ends where the connection does. `end`: only so much of it."""
    body = b"".join(saying.events(asked.dialect, asked.text)) if asked.stream else saying.whole(asked.dialect, asked.text)
    kind = saying.content_type(asked.dialect, stream=asked.stream)
    return [f"HTTP/1.0 200 OK\r\ncontent-type: {kind}\r\n\r\n".encode() + body[:end], HANG_UP]


def _byte_by_byte(asked: Asked) -> Iterator[Step]:
    body = b"".join(saying.events(asked.dialect, asked.text)) if asked.stream else saying.whole(asked.dialect, asked.text)
    yield from head_then()(asked)
    for at in range(len(body)):
        yield chunk(body[at : at + 1])
    yield END


def _early_hints(asked: Asked) -> list[Step]:
    first, *rest = healthy(asked)
    return [b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n", first, *rest]


def _half_chunk(asked: Asked) -> list[Step]:
    start = saying.beginning(asked.dialect) if asked.stream else saying.whole(asked.dialect)[:40]
    return [*head_then()(asked), b"1000\r\n" + start, LONG]


def begun_then(*steps: Step) -> Play:
    """A stream up to what comes before content, then these."""
    return lambda asked: [stream_head(asked.dialect), chunk(saying.beginning(asked.dialect)), 0.02, *steps]


def content_then(*steps: Step) -> Play:
    """A stream up to its first content, then these."""
    return lambda asked: [stream_head(asked.dialect), chunk(saying.begun(asked.dialect)), 0.05, *steps]


def _half_an_event(*steps: Step) -> Play:
    def play(asked: Asked) -> list[Step]:
        return [*content_then()(asked), chunk(saying.next_event(asked.dialect)[:-20]), 0.02, *steps]

    return play


def inside(cause: Cause, *, begun: bool = False) -> Play:
    """An error where an answer was to come; `begun`: after the beginning of a stream."""

    def play(asked: Asked) -> list[Step]:
        if not asked.stream:
            return [answer(saying.error_as_answer(asked.dialect, cause))]
        start = [chunk(saying.beginning(asked.dialect)), 0.02] if begun else []
        return [stream_head(asked.dialect), *start, chunk(saying.error_inside(asked.dialect, cause)), END]

    return play


def half_a_document(asked: Asked) -> list[Step]:
    return [answer(saying.whole(asked.dialect)[:-25])]


def _zipped(asked: Asked, end: int) -> list[Step]:
    body = b"".join(saying.events(asked.dialect)) if asked.stream else saying.whole(asked.dialect)
    kind = saying.content_type(asked.dialect, stream=asked.stream)
    return [answer(gzip.compress(body)[:end], content_type=kind, headers="content-encoding: gzip\r\n")]


def _flood(asked: Asked) -> Iterator[Step]:
    """Letters without end or sense."""
    yield from head_then()(asked)
    piece = chunk(b"x" * 65536)
    for _ in range((STREAM_FLOOD_BYTES if asked.stream else FLOOD_BYTES) >> 16):
        yield piece
    yield END


def _drip(asked: Asked) -> Iterator[Step]:
    """Signs of life, and nothing else."""
    yield from head_then()(asked)
    sign = saying.frame("ping") if asked.dialect == "bedrock_converse" else b": still here\n\n" if asked.stream else b" "
    for _ in range(300):
        yield chunk(sign)
        yield 0.1


def _inside_of(cause: Cause, name: str, status: int) -> Fault:
    """Google's documents name a status, the others' do not."""
    return Fault(part=_PART, name=name, cause=cause, play=inside(cause), statuses={"gemini": status}, dialects=SSE, forms=WHOLE)


def _inside_a_stream(cause: Cause, name: str, status: int) -> Fault:
    return Fault(part=_PART, name=name, cause=cause, play=inside(cause), statuses={"gemini": status}, forms=STREAM)


def _last_chunk_left_out(asked: Asked) -> list[Step]:
    return (
        [*list(healthy(asked))[:-1], HANG_UP]
        if asked.stream
        else [*head_then()(asked), chunk(saying.whole(asked.dialect)), HANG_UP]
    )


def _not_json(asked: Asked) -> list[Step]:
    return [*content_then()(asked), chunk(b"data: {never was JSON\n\n"), END]


def _failed(asked: Asked) -> list[Step]:
    told = saying.failed_response(stream=asked.stream)
    return [stream_head(asked.dialect), chunk(told), END] if asked.stream else [answer(told)]


BEFORE_CONTENT: Final = (
    Fault(part=_PART, name="a head, then silence", cause="stalled", play=head_then(LONG), limit_s=LIMIT_S),
    Fault(part=_PART, name="a head, then a reset", cause="cut", play=head_then(0.02, RESET)),
    Fault(part=_PART, name="a head, then the end", cause="cut", play=head_then(END)),
    Fault(part=_PART, name="half a chunk, then silence", cause="stalled", play=_half_chunk, limit_s=LIMIT_S),
    Fault(part=_PART, name="a chunk of no size", cause="cut", play=head_then(b"zz\r\nnonsense\r\n", LONG)),
    Fault(part=_PART, name="the beginning of a stream, then silence", cause="stalled", play=begun_then(LONG), forms=STREAM, limit_s=LIMIT_S),
    Fault(part=_PART, name="the beginning of a stream, then a reset", cause="cut", play=begun_then(RESET), forms=STREAM),
    Fault(part=_PART, name="the beginning of a stream, then the end", cause="cut", play=begun_then(END), forms=STREAM),
    Fault(part=_PART, name="signs of life, and nothing else", cause="stalled", play=_drip, limit_s=2 * LIMIT_S),
    Fault(part=_PART, name="content-length too long, then the end", cause="cut", play=lambda a: [_lengthy(a, 50), HANG_UP], forms=WHOLE),
    Fault(part=_PART, name="content-length too long, then silence", cause="stalled", play=lambda a: [_lengthy(a, 50), LONG], forms=WHOLE, limit_s=LIMIT_S),
    Fault(part=_PART, name="content-length too short", cause="cut", play=lambda a: [_lengthy(a, -20)], forms=WHOLE),
    Fault(part=_PART, name="closes in the midst of a body that closing ends", cause="cut", play=lambda a: _until_closed(a, end=-25), forms=WHOLE),
    Fault(part=_PART, name="no last chunk", cause="cut", play=_last_chunk_left_out, forms=WHOLE),
    Fault(part=_PART, name="a page with status 200", cause="broken", play=page_play(200)),
    Fault(part=_PART, name="a page that calls itself an answer", cause="broken", play=body_play(b"<html>Sorry</html>")),
    Fault(part=_PART, name="nothing", cause="broken", play=body_play(b"")),
    Fault(part=_PART, name="an empty object", cause="broken", play=just(answer(b"{}"))),
    Fault(part=_PART, name="half a document", cause="broken", play=half_a_document),
    Fault(part=_PART, name="invalid gzip", cause="broken", play=body_play(b"\x1f\x8b\x08\x00nonsense", headers="content-encoding: gzip\r\n")),
    Fault(part=_PART, name="half of a gzip", cause="cut", play=lambda a: _zipped(a, -12), forms=WHOLE),
    Fault(part=_PART, name="100 MB of garbage", cause="broken", play=_flood, heavy=True, forms=WHOLE),
    Fault(part=_PART, name="20 MB of garbage", cause="broken", play=_flood, heavy=True, forms=STREAM, dialects=SSE),
    _inside_of("overloaded", "an overload as the whole answer", 503),
    _inside_of("broken", "an error as the whole answer", 500),
    _inside_of("throttled", "a rate limit as the whole answer", 429),
    _inside_of("client", "an error of the client's as the whole answer", 400),
    _inside_a_stream("overloaded", "an overload as the first event", 503),
    _inside_a_stream("broken", "an error as the first event", 500),
    _inside_a_stream("throttled", "a rate limit as the first event", 429),
    _inside_a_stream("client", "an error of the client's as the first event", 400),
    Fault(part=_PART, name="an overload after the beginning of a stream", cause="overloaded", play=inside("overloaded", begun=True), statuses={"gemini": 503}, forms=STREAM),
    Fault(part=_PART, name="a failed response", cause="broken", play=_failed, dialects=("openai_responses",)),
)  # fmt: skip

AFTER_CONTENT: Final = (
    Fault(part=_AFTER, name="a reset", cause="content", play=content_then(RESET), forms=STREAM),
    Fault(part=_AFTER, name="the end of the connection", cause="content", play=content_then(HANG_UP), forms=STREAM),
    Fault(part=_AFTER, name="the end of the body", cause="content", play=content_then(END), forms=STREAM),
    Fault(part=_AFTER, name="silence", cause="content", play=content_then(LONG), forms=STREAM, limit_s=LIMIT_S),
    Fault(part=_AFTER, name="half an event, then a reset", cause="content", play=_half_an_event(RESET), forms=STREAM),
    Fault(part=_AFTER, name="half an event, then the end", cause="content", play=_half_an_event(END), forms=STREAM),
    Fault(part=_AFTER, name="half an event, then silence", cause="content", play=_half_an_event(LONG), forms=STREAM, limit_s=LIMIT_S),
    Fault(part=_AFTER, name="half a chunk, then a reset", cause="content", play=content_then(b"1000\r\nabc", 0.02, RESET), forms=STREAM),
    Fault(part=_AFTER, name="a chunk of no size", cause="content", play=content_then(b"zz\r\n", LONG), forms=STREAM),
    Fault(part=_AFTER, name="content-length too short", cause="content", play=_short, forms=STREAM),
    Fault(part=_AFTER, name="the end of a body that closing ends", cause="content", play=lambda a: _until_closed(a, end=len(saying.begun(a.dialect))), forms=STREAM),
    Fault(part=_AFTER, name="an event that is no JSON", cause="content", play=_not_json, forms=STREAM, dialects=SSE),
    *(
        Fault(part=_AFTER, name=name, cause="content", play=lambda a, c=cause: [*content_then()(a), chunk(saying.error_inside(a.dialect, c)), END], forms=STREAM)
        for cause, name in (("overloaded", "an overload"), ("broken", "an error"), ("throttled", "a rate limit"))
    ),
)  # fmt: skip


def _withheld(asked: Asked) -> list[Step]:
    told = saying.filtered(asked.dialect, stream=asked.stream)
    return [stream_head(asked.dialect), chunk(told), END] if asked.stream else [answer(told)]


def _blocked(asked: Asked) -> list[Step]:
    if not asked.stream:
        return [answer(saying.GEMINI_BLOCKED)]
    return [stream_head(asked.dialect), chunk(b"data: " + saying.GEMINI_BLOCKED + b"\n\n"), END]


def _as_other(asked: Asked) -> list[Step]:
    """Streamed where a whole answer was asked for, whole where a stream was."""
    return list(healthy(asked._replace(stream=not asked.stream)))


def _under_another_type(asked: Asked) -> list[Step]:
    body = b"".join(saying.events(asked.dialect, asked.text)) if asked.stream else saying.whole(asked.dialect, asked.text)
    return [answer(body, content_type="text/plain")]


NO_FAILURE: Final = (
    Fault(part="No failure", name="an answer withheld for its content", cause="filtered", play=_withheld),
    Fault(part="No failure", name="a prompt withheld for its content", cause="filtered", play=_blocked, dialects=("gemini",)),
    Fault(part="No failure", name="a wrong content type", cause=None, play=_under_another_type, dialects=SSE),
    Fault(part="No failure", name="a stream where none was asked for, or none where one was", cause=None, play=_as_other),
    Fault(part="No failure", name="a finished stream without a last chunk", cause=None, play=_last_chunk_left_out, forms=STREAM),
    Fault(part="No failure", name="a finished stream shorter than its content-length", cause=None, play=lambda a: [_lengthy(a, 50), HANG_UP], forms=STREAM),
    Fault(part="No failure", name="a body that closing ends (HTTP/1.0)", cause=None, play=_until_closed),
    Fault(part="No failure", name="one byte at a time", cause=None, play=_byte_by_byte),
    Fault(part="No failure", name="early hints before the head", cause=None, play=_early_hints),
    Fault(part="No failure", name="gzip", cause=None, play=lambda a: _zipped(a, 1 << 20), forms=BOTH),
)  # fmt: skip
