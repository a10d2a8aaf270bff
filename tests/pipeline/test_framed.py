"""Streams of binary frames that pass through the gateway."""

import json

from tests.dialects.bedrock_converse.asking import END, START, ask, call, delta, frame, frames, stop
from tests.laws import bedrock_oracle

from gatewright.dialects.bedrock_converse import BEDROCK_CONVERSE
from gatewright.dialects.openai_chat import OPENAI_CHAT
from gatewright.ir.request import Asked
from gatewright.pipeline.attempt import stream_type
from gatewright.pipeline.framed import FrameSource, are_frames, named
from gatewright.pipeline.sources import first_ping
from gatewright.pipeline.translated import TranslatedSource
from gatewright.transport import Cut

TEXT = START + delta(0, text="a") + stop(0) + END


class Given:
    """An `Incoming` that gives these pieces and then ends, or breaks off."""

    status = 200
    headers = ()

    def __init__(self, *pieces: bytes, cut: bool = False) -> None:
        self.pieces = [piece for piece in pieces if piece]
        self.cut = cut
        self.aborted = False

    def header(self, name: bytes) -> None:
        return None

    async def next(self) -> bytes | None:
        if self.pieces:
            return self.pieces.pop(0)
        if self.cut:
            raise Cut("up closed the connection", phase="body", sent=True)
        return None

    async def read(self, max_bytes: int) -> bytes:
        return b""

    def abort(self) -> None:
        self.aborted = True


async def passed(given: Given) -> tuple[list[bytes], FrameSource]:
    source = FrameSource(given, BEDROCK_CONVERSE, BEDROCK_CONVERSE.watch(call(ask("Hi"), stream=True)), "req_1")
    segments = []
    while (segment := await source.next()) is not None:
        segments.append(segment.wire)
    return segments, source


async def test_frames_pass_whole_and_unchanged_however_they_arrive():
    for size in (1, 7, 100, len(TEXT)):
        segments, source = await passed(Given(*(TEXT[at : at + size] for at in range(0, len(TEXT), size))))
        assert b"".join(segments) == TEXT
        for segment in segments:
            assert frames(segment)  # each is whole frames: decoding it alone succeeds
        assert (source.usage.input, source.content, source.problem) == (3, True, None)


async def test_a_cut_becomes_an_exception_frame_and_half_a_frame_is_left_out():
    """What a client has got is whole frames; boto3 raises at the last, instead of a checksum error."""
    for cut in (True, False):
        segments, source = await passed(Given(TEXT[: -len(END) - 3], cut=cut))
        assert [name for name, _ in frames(b"".join(segments))] == [
            "messageStart",
            "contentBlockDelta",
            "modelStreamErrorException",
        ]
        assert source.problem is not None
        assert source.broken is False


async def test_bytes_that_are_no_frames_become_an_exception_frame():
    given = Given(START, b"<html>this is not a frame</html>")
    segments, _ = await passed(given)
    assert [name for name, _ in frames(b"".join(segments))] == ["messageStart", "modelStreamErrorException"]
    assert given.aborted


async def test_an_exception_of_the_upstream_passes_as_it_is():
    wire = START + frame("throttlingException", message="slow down")
    segments, source = await passed(Given(wire))
    assert b"".join(segments) == wire
    assert source.problem is not None
    assert source.problem.kind == "rate_limit"


async def test_a_keep_alive_is_an_event_that_boto3_reads_past():
    source = FrameSource(Given(TEXT), BEDROCK_CONVERSE, BEDROCK_CONVERSE.watch(call(ask("Hi"), stream=True)), "req_1")
    wire = source.keepalive()
    while (segment := await source.next()) is not None:
        wire += segment.wire
    assert next(iter(next(bedrock_oracle.read_stream(wire)))) == "messageStart"
    assert source.keepalive() == b""


def test_the_content_type_is_known():
    assert are_frames(b"application/vnd.amazon.eventstream; charset=x")
    assert not are_frames(b"text/event-stream")


async def test_frames_that_are_rendered_are_not_touched_afterwards():
    """Server-sent events have their line separators escaped on the way out; in a frame that would break its checksum."""
    text = "line\u2028separators\u2029 and \ue2a8" * 50
    upstream = b"".join(
        b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"
        for chunk in (
            {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]},
            {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        )
    )
    asked = BEDROCK_CONVERSE.parse_request(call(ask("Hi"), stream=True))
    source = TranslatedSource(
        Given(upstream, b"data: [DONE]\n\n"),
        OPENAI_CHAT.stream_parser(Asked()),
        BEDROCK_CONVERSE.stream_renderer(asked),
        "req_1",
        sse=BEDROCK_CONVERSE.framing == "sse",
    )
    wire = b""
    while (segment := await source.next()) is not None:
        wire += segment.wire
    told = [payload["delta"]["text"] for name, payload in frames(wire) if name == "contentBlockDelta"]
    assert "".join(told) == text


def test_the_first_word_of_a_stream_is_a_frame_too():
    """What is said while an upstream has not even answered."""
    assert frames(first_ping("bedrock_converse")) == [("ping", {})]
    assert stream_type(BEDROCK_CONVERSE, None).startswith(b"content-type: application/vnd.amazon.eventstream\r\n")


def test_aws_clients_find_the_requests_id():
    """boto3's ResponseMetadata has a RequestId only with this header; an id of Bedrock's own stands."""
    assert named(b"a: b\r\n", BEDROCK_CONVERSE, "req_1") == b"a: b\r\nx-amzn-requestid: req_1\r\n"
    assert named(b"x-amzn-requestid: up\r\n", BEDROCK_CONVERSE, "req_1") == b"x-amzn-requestid: up\r\n"
    assert named(b"a: b\r\n", OPENAI_CHAT, "req_1") == b"a: b\r\n"
