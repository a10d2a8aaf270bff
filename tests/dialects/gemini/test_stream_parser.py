"""Streams, read: blocks begin and end where the kind of part changes."""

import json

import pytest

from gatewright.ir.blocks import Text, ToolCall
from gatewright.ir.events import (
    BlockStart,
    MessageStop,
    NativeEvent,
    StreamError,
    TextDelta,
    UsageUpdate,
)
from gatewright.ir.fold import fold
from tests.dialects.gemini.asking import chunk, events, sse

END = chunk({"text": ""}, usage={"promptTokenCount": 3, "candidatesTokenCount": 2}, finishReason="STOP")


def folded(*chunks):
    return fold(events(sse(*chunks)))


def kinds(*chunks):
    return [type(block).__name__ for block in folded(*chunks).blocks]


def test_one_delta_a_part():
    """Two chunks, two deltas, one block."""
    found = events(sse(chunk({"text": "a"}), chunk({"text": "b"}), END))
    assert [type(e).__name__ for e in found] == [
        "MessageStart",
        "BlockStart",
        "TextDelta",
        "TextDelta",
        "UsageUpdate",
        "BlockStop",
        "MessageStop",
    ]
    assert [e.text for e in found if isinstance(e, TextDelta)] == ["a", "b"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("framing", ["sse", "lf", "lean", "array", "bom"])
def test_any_chunking_and_framing_gives_the_same_events(size, framing):
    """CRLF, LF, no space after data:, no last blank line, a BOM, or a JSON array instead."""
    chunks = [chunk({"text": 'ü "}{" \\'}), chunk({"functionCall": {"name": "f", "args": {"a": "]}"}}}), END]
    wire = sse(*chunks)
    whole = events(wire)
    match framing:
        case "lf":
            wire = wire.replace(b"\r\n", b"\n")
        case "lean":
            wire = b": hi\n\n" + wire.replace(b"\r\n", b"\n").replace(b"data: ", b"data:").rstrip(b"\n")
        case "array":
            wire = json.dumps(chunks, indent=2, ensure_ascii=False).encode()
        case "bom":
            wire = b"\xef\xbb\xbf" + wire
    assert events(wire, size) == whole


def test_a_change_of_kind_closes_the_block():
    """Thought, text, code, text."""
    code = {"executableCode": {"code": "1"}}
    assert kinds(chunk({"text": "a", "thought": True}), chunk({"text": "b"}, code), chunk({"text": "c"}), END) == [
        "Reasoning",
        "Text",
        "Native",
        "Text",
    ]


def test_a_signature_ends_its_text():
    """What follows was not signed; an empty signed part signs the open text."""
    blocks = folded(chunk({"text": "a"}), chunk({"text": "", "thoughtSignature": "QQ=="}), chunk({"text": "b"}), END).blocks
    assert [(block.text, block.seal and block.seal.data) for block in blocks] == [("a", "QQ=="), ("b", None)]
    assert blocks[0].seal.issuer == "google"


def test_a_signature_alone_is_kept():
    """After a call nothing is open for it."""
    blocks = folded(chunk({"functionCall": {"name": "f"}}), chunk({"thoughtSignature": "QQ=="}), END).blocks
    assert [type(block) for block in blocks] == [ToolCall, Text]
    assert blocks[1].seal.data == "QQ=="


def test_calls_in_one_chunk_all_come():
    """Others lose all but the first."""
    answer = folded(chunk({"functionCall": {"name": "a"}}, {"functionCall": {"name": "b", "args": {"x": 1}}}), END)
    assert [(b.name, b.arguments) for b in answer.blocks] == [("a", "{}"), ("b", '{"x":1}')]
    assert answer.finish.reason == "tool_calls"


def test_streamed_arguments_are_put_together():
    """Pieces by JSON path, ended by an empty call; a next name begins another."""
    part = lambda **call: chunk({"functionCall": call})  # noqa: E731
    answer = folded(
        part(name="f", willContinue=True),
        part(partialArgs=[{"jsonPath": "$.a.b[1]", "stringValue": "x", "willContinue": True}], willContinue=True),
        part(
            partialArgs=[{"jsonPath": "$.a.b[1]", "stringValue": "y"}, {"jsonPath": "$['c d']", "numberValue": 2}],
            willContinue=True,
        ),
        part(),
        part(name="g", willContinue=True),
        part(name="h"),
        END,
    )
    assert [(b.name, b.arguments) for b in answer.blocks] == [("f", '{"a":{"b":[null,"xy"]},"c d":2}'), ("g", "{}"), ("h", "{}")]


def test_usage_is_told_when_it_changes():
    """Every chunk repeats it; what the last chunk leaves out stays told."""
    one, two = {"promptTokenCount": 3}, {"promptTokenCount": 3, "candidatesTokenCount": 2}
    found = events(
        sse(
            chunk({"text": "a"}, usage=one),
            chunk({"text": "b"}, usage=one),
            chunk({"text": "c"}, usage=two),
            chunk(finishReason="STOP", usage=one),
        )
    )
    figures = [(e.usage.input, e.usage.output) for e in found if isinstance(e, UsageUpdate)]
    assert figures[0] == (3, None)
    assert figures[-1] == (3, 2)


def test_stop_in_every_chunk_is_not_the_end():
    """Gemini 1.5 did so."""
    assert folded(chunk({"text": "a"}, finishReason="STOP"), chunk({"text": "b"}, finishReason="STOP")).blocks[0].text == "ab"


def test_fields_beside_the_content_are_kept():
    """The last that says something wins; empty ones do not wipe it out."""
    answer = folded(chunk({"text": "a"}, groundingMetadata={"x": 1}), chunk({"text": "b"}, groundingMetadata={}), END)
    assert answer.extras["candidates[0].groundingMetadata"] == {"x": 1}


def test_other_candidates_pass_as_native_events():
    """Only Gemini's own clients can tell them apart."""
    other = {"content": {"parts": [{"text": "z"}]}, "index": 1}
    found = events(sse(chunk({"text": "a"}), {"candidates": [other]}, END))
    assert [e.data for e in found if isinstance(e, NativeEvent)] == [{"candidates": [other]}]


def test_a_refused_prompt_ends_cleanly():
    """Without a candidate and without a finish reason."""
    *_, stop = events(sse({"promptFeedback": {"blockReason": "SAFETY"}, "responseId": "r"}))
    assert isinstance(stop, MessageStop)
    assert stop.finish.reason == "content_filter"


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"\r\n",
        sse(chunk({"text": "a"})),
        sse(chunk({"text": "a"}))[:-9],
        b"data: {nonsense}\n\n",
        b"data: 3\n\n",
        b'data: {"candidates":[7]}\n\n',
        b'data: {"candidates":[{"content":{"parts":[{"text":7}]}}]}\n\n',
        b"[3, 4]",
        b'[{"candidates":[{"finishReason":"STOP"}]}, {"cand',
        sse(chunk({"functionCall": {"name": "f", "willContinue": True, "partialArgs": [{"jsonPath": "x"}]}})),
        b"<html>busy</html>",
    ],
)
def test_nonsense_and_cuts_end_in_an_error(wire):
    """A truncated stream never looks like success."""
    *_, last = events(wire)
    assert isinstance(last, StreamError)
    assert last.problem.kind == "upstream"


@pytest.mark.parametrize("array", [False, True])
def test_an_error_in_the_stream_is_the_end(array):
    """With its own kind; what follows is ignored."""
    chunks = [chunk({"text": "a"}), {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow"}}, END]
    *_, last = events(json.dumps(chunks).encode() if array else sse(*chunks))
    assert isinstance(last, StreamError)
    assert last.problem.kind == "rate_limit"


def test_logprobs_go_with_their_text():
    """Each chunk brings its own."""
    result = {"chosenCandidates": [{"token": "a", "logProbability": -1.0}]}
    answer = folded(chunk({"text": "a"}, logprobsResult=result), chunk({"text": "b"}), END)
    assert [token.token for token in answer.blocks[0].logprobs] == ["a"]


def test_parts_with_fields_of_their_own_are_blocks_of_their_own():
    """Merging them would lose the fields."""
    start, *_ = (e for e in events(sse(chunk({"text": "a", "partMetadata": {"x": 1}}), END)) if isinstance(e, BlockStart))
    assert start.block.extras == {"partMetadata": {"x": 1}}


def test_a_candidate_whose_index_is_null_is_the_first():
    """Null is what some hosts write for nothing."""
    assert folded(chunk({"text": "a"}, index=None), END).blocks[0].text == "a"
