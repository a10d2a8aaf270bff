"""Conversations that another API answered: marked on the way to the client, brought into order on the way back."""

from gatewright.ir.blocks import Message, Reasoning, Text, ToolCall, ToolResult
from gatewright.ir.events import BlockStart, BlockStop, ReasoningDelta, SealDelta, StreamEvent
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.ir.seal import Seal
from gatewright.pipeline.replayed import MARK, Marker, mark, settle, unmark

REAL = Seal(dialect="gemini", data="c2ln", issuer="google")


def request(*messages: Message) -> Request:
    return Request(origin="gemini", model="m", messages=messages)


def test_unsealed_reasoning_is_marked_for_every_client() -> None:
    """A home upstream would refuse it, and bytes that look native would pass."""
    answer = Response(origin="gemini", id="r", model="m", blocks=(Reasoning(text="hm"), Text(text="hi")))
    marked = mark(answer, "anthropic", "google")
    assert marked.blocks[0] == Reasoning(text="hm", seal=Seal(dialect="gemini", data="", issuer="google", kind=MARK))
    assert marked.blocks[1] == Text(text="hi")


def test_unsealed_calls_are_marked_for_google_clients_alone() -> None:
    """Gemini 3 refuses calls that it did not sign; the other APIs sign none."""
    answer = Response(origin="anthropic", id="r", model="m", blocks=(ToolCall(id="1", name="f", arguments="{}"),))
    assert mark(answer, "openai_chat", "claude") is answer
    assert isinstance(call := mark(answer, "gemini", "claude").blocks[0], ToolCall)
    assert call.seal == Seal(dialect="anthropic", data="", issuer="claude", kind=MARK)


def test_what_is_sealed_is_not_marked() -> None:
    """A mark never takes a seal's place."""
    answer = Response(origin="gemini", id="r", model="m", blocks=(Reasoning(text="hm", seal=REAL),))
    assert mark(answer, "anthropic", "google") is answer


def test_a_stream_is_marked_at_the_end_of_an_unsealed_block() -> None:
    """Whether a seal comes is only known at the block's end."""
    marker = Marker("anthropic", "gemini", "google")
    events: list[StreamEvent] = [BlockStart(0, Reasoning()), ReasoningDelta(0, "hm"), BlockStop(0)]
    events += [BlockStart(1, Reasoning()), SealDelta(1, REAL), BlockStop(1)]
    assert [i for i, event in enumerate(events) if marker.needs(event)] == [2]
    assert marker.delta(0).seal.kind == MARK


def test_a_mark_is_gone_before_its_origin_sees_it_and_stays_for_others() -> None:
    """To its origin the block is what it was; for all others it is foreign."""
    plain = request(Message(role="assistant", blocks=(Reasoning(text="hm"),)))
    marked = request(
        Message(
            role="assistant",
            blocks=mark(
                Response(origin="gemini", id="", model="", blocks=plain.messages[0].blocks), "anthropic", "google"
            ).blocks,
        )
    )
    assert unmark(marked, "gemini") == plain
    assert unmark(marked, "anthropic") is marked


def test_the_pieces_of_a_streamed_answer_are_joined() -> None:
    """Google's clients send back each piece as a part, or as a content, of its own."""
    pieces = request(
        Message(
            role="assistant",
            blocks=(Reasoning(text="Let me "), Reasoning(text="see."), Reasoning(seal=REAL), Text(text="I "), Text(text="")),
        ),
        Message(role="assistant", blocks=(Text(text="know"),)),
        Message(role="user", blocks=(Text(text="one"), Text(text="two"))),
    )
    first, second = settle(pieces).messages
    assert first.blocks == (Reasoning(text="Let me see.", seal=REAL), Text(text="I know"))
    assert [block.text for block in second.blocks if isinstance(block, Text)] == ["one", "two"]


def test_parts_with_fields_of_their_own_are_not_joined() -> None:
    """Nothing that the origin said of a piece is lost by joining it."""
    told = request(Message(role="assistant", blocks=(Text(text="a"), Text(text="b", extras={"partMetadata": {"k": 1}}))))
    assert settle(told).messages == told.messages


def test_results_without_an_id_get_that_of_their_call() -> None:
    """Automatic function calling of Google's SDK gives names only; calls made by others have ids."""
    told = request(
        Message(
            role="assistant",
            blocks=(
                ToolCall(id="a", name="f", arguments="{}"),
                ToolCall(id="", name="g", arguments="{}"),
                ToolCall(id="b", name="f", arguments="{}"),
            ),
        ),
        Message(
            role="user",
            blocks=(
                ToolResult(call_id="", name="f", content=()),
                ToolResult(call_id="", name="f", content=()),
                ToolResult(call_id="", name="g", content=()),
            ),
        ),
    )
    calls, results = settle(told).messages
    made = [block.id for block in calls.blocks if isinstance(block, ToolCall)]
    assert made[0::2] == ["a", "b"]
    assert [block.call_id for block in results.blocks if isinstance(block, ToolResult)] == ["a", "b", made[1]]
