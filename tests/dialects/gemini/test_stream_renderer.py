"""Streams, written for Gemini clients."""

import base64
import json

import pytest

from gatewright.dialects.gemini import GEMINI
from gatewright.errors import Problem
from gatewright.ir.blocks import Citation, Inline, Media, Native, Reasoning, Text, TokenLogprob, ToolCall
from gatewright.ir.events import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    CitationDelta,
    MessageStart,
    MessageStop,
    NativeEvent,
    ReasoningDelta,
    SealDelta,
    StreamError,
    TextDelta,
    UsageUpdate,
)
from gatewright.ir.fold import fold
from gatewright.ir.response import Finish, Usage
from gatewright.ir.seal import Seal
from tests.dialects.gemini.asking import chunk, client, events, sse

START = MessageStart(id="r", model="m", origin="openai_chat")
STOP = MessageStop(finish=Finish(reason="stop", raw="stop"))


def chunks_of(wire):
    return [json.loads(line[6:]) for line in wire.decode().split("\r\n") if line.startswith("data: ")]


def shown(*found):
    renderer = GEMINI.stream_renderer(client())
    wire = b"".join(renderer.render([event]) for event in found)
    return chunks_of(wire), renderer.losses


def parts(chunks):
    return [part for c in chunks for part in c["candidates"][0]["content"]["parts"] if part != {"text": ""}]


def test_text_leaves_at_once():
    """One delta, one chunk, with id and model as Google repeats them."""
    renderer = GEMINI.stream_renderer(client())
    renderer.render([START, BlockStart(0, Text(text=""))])
    wire = renderer.render([TextDelta(0, 'ü"')])
    assert wire.endswith(b"\r\n\r\n")
    assert chunks_of(wire) == [
        {
            "candidates": [{"content": {"parts": [{"text": 'ü"'}], "role": "model"}, "index": 0}],
            "modelVersion": "m",
            "responseId": "r",
        }
    ]


def test_the_last_chunk_has_the_finish_and_the_usage():
    """Usage updates add up before."""
    chunks, _ = shown(START, UsageUpdate(Usage(input=3)), UsageUpdate(Usage(output=4)), STOP)
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
    assert chunks[-1]["usageMetadata"] == {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}


def test_calls_leave_whole():
    """Gemini clients know no pieces of arguments."""
    call = ToolCall(id="c", name="f", arguments="")
    chunks, _ = shown(START, BlockStart(0, call), ArgumentsDelta(0, '{"a"'), ArgumentsDelta(0, ":1}"), BlockStop(0), STOP)
    assert parts(chunks) == [{"functionCall": {"name": "f", "id": "c", "args": {"a": 1}}}]


def test_seals_follow_their_text_and_come_back():
    """A foreign seal is base64 to the SDK, and the same seal when replayed."""
    seal = Seal(dialect="anthropic", data="EqQB", issuer="anthropic")
    chunks, _ = shown(START, BlockStart(0, Reasoning()), ReasoningDelta(0, "hm"), SealDelta(0, seal), BlockStop(0), STOP)
    thought, sealed = parts(chunks)
    assert thought == {"text": "hm", "thought": True}
    again = fold(events(sse(*chunks))).blocks[0]
    assert (again.text, again.seal) == ("hm", seal)
    assert base64.b64decode(sealed["thoughtSignature"], validate=True).startswith(b"gw1.")


def test_summary_parts_are_paragraphs():
    """One thought, parted by blank lines."""
    chunks, _ = shown(START, BlockStart(0, Reasoning()), ReasoningDelta(0, "a", 0), ReasoningDelta(0, "b", 1), BlockStop(0), STOP)
    assert "".join(part["text"] for part in parts(chunks)) == "a\n\nb"


@pytest.mark.parametrize("size", [1, 100])
def test_a_json_array_is_written_piece_by_piece(size):
    """For clients that did not ask for alt=sse; valid once it has ended."""
    renderer = GEMINI.stream_renderer(client(None))
    found = [START, BlockStart(0, Text(text="")), TextDelta(0, "a"), TextDelta(0, "b"), BlockStop(0), STOP]
    wire = b"".join(renderer.render(found[i : i + size]) for i in range(0, len(found), size))
    document = json.loads(wire)
    assert [c["candidates"][0]["content"]["parts"][0]["text"] for c in document] == ["a", "b", ""]


def test_an_error_ends_both_framings():
    """In Google's words, and the array is closed."""
    problem = Problem(kind="overloaded", message="busy", retry_after_s=2)
    chunks, _ = shown(START, StreamError(problem))
    assert chunks[-1]["error"]["status"] == "UNAVAILABLE"
    assert json.loads(GEMINI.stream_renderer(client(None)).render([StreamError(problem)]))[0]["error"]["code"] == 503


@pytest.mark.parametrize("alt", ["sse", None])
def test_the_keepalive_is_harmless(alt):
    """Google's SDK takes an SSE comment for JSON; a blank line is nothing in either framing."""
    renderer = GEMINI.stream_renderer(client(alt))
    wire = (
        renderer.keepalive()
        + renderer.render([START, BlockStart(0, Text(text="")), TextDelta(0, "a"), BlockStop(0)])
        + renderer.keepalive()
        + renderer.render([STOP])
    )
    assert wire.replace(b"\r\n", b"").isascii()
    if alt:
        assert len(chunks_of(wire)) == 2
    else:
        assert len(json.loads(wire)) == 2


def test_citations_become_grounding_at_the_end():
    """Counted over the whole text."""
    citation = Citation(kind="url_citation", origin="openai_chat", url="https://e.org", start=0, end=1)
    chunks, _ = shown(
        START,
        BlockStart(0, Text(text="")),
        TextDelta(0, "ab"),
        BlockStop(0),
        BlockStart(1, Text(text="")),
        TextDelta(1, "cd"),
        CitationDelta(1, citation),
        BlockStop(1),
        STOP,
    )
    (support,) = chunks[-1]["candidates"][0]["groundingMetadata"]["groundingSupports"]
    assert support["segment"] == {"startIndex": 2, "endIndex": 3, "text": "c"}


def test_what_gemini_cannot_show_is_told():
    """Foreign native blocks, events and extras."""
    start = MessageStart(id="r", model="m", origin="openai_chat", extras={"system_fingerprint": "fp"})
    native = Native(origin="openai_chat", data={"type": "odd"}, at="odd")
    _, losses = shown(
        start, BlockStart(0, native), BlockStop(0), NativeEvent(origin="openai_chat", data={"a": 1}, name="ping"), STOP
    )
    assert {loss.path for loss in losses} == {"system_fingerprint", "odd", "ping"}


def test_logprobs_and_media():
    """With the chunk they belong to."""
    picture = Media(kind="image", source=Inline(media_type="image/png", data="AAAA"))
    token = TokenLogprob(token="a", logprob=-1.0)
    chunks, _ = shown(
        START, BlockStart(0, Text(text="")), TextDelta(0, "a", (token,)), BlockStop(0), BlockStart(1, picture), BlockStop(1), STOP
    )
    assert chunks[0]["candidates"][0]["logprobsResult"] == {"chosenCandidates": [{"token": "a", "logProbability": -1.0}]}
    assert parts(chunks)[1] == {"inlineData": {"data": "AAAA", "mimeType": "image/png"}}


def test_a_stream_comes_back_at_home():
    """Parse, render, parse: the same answer."""
    wire = sse(
        chunk({"text": "hm", "thought": True}),
        chunk({"text": "a", "partMetadata": {"x": 1}}, {"text": "b"}),
        chunk({"functionCall": {"name": "f"}, "thoughtSignature": "QQ=="}),
        chunk(finishReason="STOP", usage={"promptTokenCount": 1}, safetyRatings=[{"category": "X"}]),
    )
    answer = fold(events(wire))
    again = GEMINI.stream_renderer(client()).render(events(wire))
    assert fold(events(again)) == answer
