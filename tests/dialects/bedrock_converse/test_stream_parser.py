"""Streams of a Converse upstream, read."""

import pytest

from gatewright.ir.blocks import Media, Native, Reasoning, Text
from gatewright.ir.events import MessageStop, NativeEvent, StreamError
from gatewright.ir.fold import fold
from gatewright.ir.request import Asked
from gatewright.wire.eventstream import encode
from tests.dialects.bedrock_converse.asking import END, START, delta, events, frame, stop

TEXT = START + delta(0, text="a") + delta(0, text="b") + stop(0) + END


def folded(wire, **more):
    return fold(events(wire, **more))


@pytest.mark.parametrize("size", [0, 1, 7])
def test_text_begins_without_an_event_of_its_own(size):
    response = folded(TEXT, size=size)
    assert [block.text for block in response.blocks] == ["ab"]
    assert (response.finish.reason, response.usage.input) == ("stop", 3)


def test_a_change_of_kind_or_number_closes_the_open_block():
    """Reasoning and text under one number, and a block whose stop never came."""
    wire = START + delta(0, reasoningContent={"text": "r"}) + delta(0, text="a") + delta(1, text="b") + END
    assert [type(block) for block in folded(wire).blocks] == [Reasoning, Text, Text]


def test_calls_are_told_by_their_start_and_pieces():
    call = {"toolUse": {"toolUseId": "t", "name": "f"}}
    wire = START + frame("contentBlockStart", contentBlockIndex=0, start=call)
    wire += (
        delta(0, toolUse={"input": ""}) + delta(0, toolUse={"input": '{"a":'}) + delta(0, toolUse={"input": "1}"}) + stop(0) + END
    )
    (block,) = folded(wire).blocks
    assert (block.id, block.name, block.arguments) == ("t", "f", '{"a":1}')
    (answer,) = folded(wire, asked=Asked(json_tool="f")).blocks
    assert answer.text == '{"a":1}'


def test_signatures_and_redacted_content_are_seals():
    wire = START + delta(0, reasoningContent={"text": "r"}) + delta(0, reasoningContent={"signature": "S"}) + stop(0)
    wire += delta(1, reasoningContent={"redactedContent": "QQ=="}) + stop(1) + END
    told, hidden = folded(wire).blocks
    assert (told.text, told.seal.data, told.seal.issuer) == ("r", "S", "aws")
    assert (hidden.redacted, hidden.seal.data) == (True, "QQ==")


def test_tools_that_bedrock_runs_itself_are_told_whole():
    call = {"toolUse": {"toolUseId": "t", "name": "nova_grounding", "type": "server_tool_use"}}
    result = {"toolResult": {"toolUseId": "t", "type": "nova_grounding_result", "status": "success"}}
    wire = START + frame("contentBlockStart", contentBlockIndex=0, start=call) + delta(0, toolUse={"input": '{"q":1}'}) + stop(0)
    wire += frame("contentBlockStart", contentBlockIndex=1, start=result) + delta(1, toolResult=[{"text": "x"}]) + stop(1) + END
    first, second = folded(wire).blocks
    assert isinstance(first, Native)
    assert first.data["toolUse"]["input"] == {"q": 1}
    assert second.data["toolResult"]["content"] == [{"text": "x"}]


def test_an_image_is_put_together():
    wire = START + frame("contentBlockStart", contentBlockIndex=0, start={"image": {"format": "png"}})
    wire += delta(0, image={"source": {"bytes": "QUJD"}}) + delta(0, image={"source": {"bytes": "REVG"}}) + stop(0) + END
    (image,) = folded(wire).blocks
    assert isinstance(image, Media)
    assert image.source.data == "QUJDREVG"


def test_citations_belong_to_the_open_text_or_stand_alone():
    place = {"location": {"web": {"url": "https://x"}}}
    wire = START + delta(0, text="a") + delta(0, citation=place) + stop(0) + delta(1, citation=place) + stop(1) + END
    assert [(block.text, len(block.citations)) for block in folded(wire).blocks] == [("a", 1), ("", 1)]


def test_what_nobody_knows_is_passed_on_as_its_own():
    wire = START + frame("tideTable", high="noon") + delta(0, scent="tar") + stop(0) + END
    natives = [event for event in events(wire) if isinstance(event, NativeEvent)]
    assert [(event.name, event.data) for event in natives] == [
        ("tideTable", {"high": "noon"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"scent": "tar"}}),
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("throttlingException", "rate_limit"), ("validationException", "invalid_request"), ("modelStreamErrorException", "upstream"),
     ("serviceUnavailableException", "overloaded"), ("newException", "upstream")],
)  # fmt: skip
def test_an_exception_frame_ends_the_stream(name, kind):
    wire = START + delta(0, text="a") + frame(name, message="because") + END
    last = events(wire)[-1]
    assert isinstance(last, StreamError)
    assert (last.problem.kind, last.problem.message) == (kind, "because")


def test_an_error_frame_ends_it_too():
    """The other kind of failure that the format has: all in headers."""
    told = {":message-type": "error", ":error-code": "ThrottlingException", ":error-message": "slow down"}
    last = events(START + encode(told, b""))[-1]
    assert (last.problem.kind, last.problem.message) == ("rate_limit", "slow down")


@pytest.mark.parametrize("wire", [b"", START, TEXT[: -len(END)], TEXT[: -len(END) - 1], START + b"event: x\n\n", b"<html>" * 9])
def test_a_cut_is_never_a_clean_end(wire):
    for size in (0, 1):
        assert isinstance(events(wire, size)[-1], StreamError)


def test_nothing_is_lost_when_the_metadata_are():
    """The stop has been told: a cut behind it is no failure."""
    wire = START + delta(0, text="a") + stop(0) + frame("messageStop", stopReason="max_tokens")
    for tail in (b"", b"\0\0\0", b"garbage that is no frame"):
        for size in (0, 1):
            last = events(wire + tail, size)[-1]
            assert isinstance(last, MessageStop)
            assert last.finish.reason == "length"


@pytest.mark.parametrize(
    "bad",
    [encode({":event-type": "contentBlockDelta"}, b"[]"), encode({":event-type": "messageStart"}, b"{"),
     frame("contentBlockDelta", delta={"text": "x"}), frame("contentBlockDelta", contentBlockIndex=0, delta={"text": 7}),
     frame("contentBlockStart", contentBlockIndex=0, start={"toolUse": {"name": "f"}})],
)  # fmt: skip
def test_nonsense_is_an_error_with_words(bad):
    last = events(START + bad + END)[-1]
    assert isinstance(last, StreamError)
    assert "cannot be read" in last.problem.message


def test_a_block_behind_the_stop_is_closed():
    """Out of order, and still a whole answer."""
    wire = START + frame("messageStop", stopReason="end_turn") + delta(0, text="a") + frame("metadata", metrics={})
    assert [block.text for block in folded(wire).blocks] == ["a"]
