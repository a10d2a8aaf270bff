"""Two streams spliced into one answer: the grammar holds at every cut, blocks go on or follow, tokens add up."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.errors import Problem
from gatewright.ir.blocks import Citation, Reasoning, Refusal, Text, ToolCall
from gatewright.ir.continuing import Delivered, anchor_of
from gatewright.ir.events import (
    BlockStart,
    BlockStop,
    CitationDelta,
    Grammar,
    MessageStart,
    MessageStop,
    NativeEvent,
    ReasoningDelta,
    SealDelta,
    StreamError,
    TextDelta,
    UsageUpdate,
)
from gatewright.ir.fold import Folder, fold, unfold
from gatewright.ir.response import Finish, Response, Usage
from gatewright.ir.seal import Seal
from gatewright.ir.splicing import Splicer, added

replace = msgspec.structs.replace
CUT = StreamError(Problem(kind="upstream", message="cut"))
SEAL = Seal(dialect="anthropic", data="EqQB", issuer="claude")
STOP = MessageStop(finish=Finish(reason="stop"))
START = MessageStart(id="b", model="b", origin="openai_chat")

WORDS = st.text(alphabet="ab \n.é好", max_size=8)
TEXTS = st.lists(WORDS, max_size=4)
SEALS = st.none() | st.just(SEAL)


@st.composite
def streams(draw):
    """Any stream of the grammar: blocks of all kinds that are told in pieces, usage and native events anywhere."""
    events = [MessageStart(id=draw(st.sampled_from(["a", "b"])), model="m", origin="anthropic")]

    def noise():
        if draw(st.booleans()):
            events.append(
                UsageUpdate(Usage(input=draw(st.none() | st.integers(0, 9)), output=draw(st.none() | st.integers(0, 9))))
            )
        if draw(st.integers(0, 5)) == 0:
            events.append(NativeEvent(origin="anthropic", data={"index": 3}))

    for index in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["text", "text", "reasoning", "call", "refusal"]))
        noise()
        match kind:
            case "text":
                events.append(BlockStart(index, Text(text=draw(WORDS))))
                events += [TextDelta(index, text) for text in draw(TEXTS)]
            case "reasoning":
                events.append(BlockStart(index, Reasoning(text=draw(WORDS))))
                events += [ReasoningDelta(index, text) for text in draw(TEXTS)]
            case "call":
                events.append(BlockStart(index, ToolCall(id="c", name="f", arguments="{}")))
            case "refusal":
                events.append(BlockStart(index, Refusal(text="no")))
        if draw(st.booleans()) and kind in ("text", "reasoning"):
            events.append(SealDelta(index, SEAL))
        noise()
        events.append(BlockStop(index))
    noise()
    events.append(draw(st.sampled_from([STOP, STOP, CUT])))
    return events


def delivered_of(events) -> Delivered:
    folder, open_ = Folder(), False
    for event in events:
        folder.add(event)
        open_ = isinstance(event, BlockStart) or (open_ and not isinstance(event, BlockStop))
    folder.add(CUT)
    return Delivered(tuple(folder.blocks), open_)


@settings(deadline=None, max_examples=300)
@given(streams(), st.data(), st.sampled_from(["again", "prefill", "turn"]))
def test_the_grammar_holds_at_every_cut_of_every_stream(first, data, way):
    """Whatever came before the cut and whatever comes after it, together they are one answer; and so a third time."""
    out = first[: data.draw(st.integers(0, len(first) - 1))]
    usage = None
    for _ in range(data.draw(st.integers(1, 2))):
        delivered = delivered_of(out)
        splicer = Splicer(
            delivered,
            begun=out[0] if out else None,
            usage=usage,
            way=way,
            anchor=anchor_of(delivered.text) if way == "turn" else "",
        )
        second = data.draw(streams())
        end = data.draw(st.integers(1, len(second)))
        size = data.draw(st.integers(1, 5))
        for at in range(0, end, size):
            out += splicer.feed(second[at : min(at + size, end)])
        usage = splicer.usage
        if out and isinstance(out[-1], MessageStop | StreamError):
            break
    grammar = Grammar()
    for event in out:
        grammar.check(event)


def answer(*blocks, usage=None, finish="stop") -> Response:
    return Response(origin="openai_chat", id="b", model="b", blocks=blocks, usage=usage, finish=Finish(reason=finish))


def spliced(out, second, **how) -> Response:
    """The whole answer that a client sees, where `out` was cut and `second` went on."""
    splicer = Splicer(delivered_of(out), begun=out[0], **how)
    return fold([*out, *splicer.feed(second)])


BEGUN = [MessageStart(id="a", model="a", origin="anthropic"), BlockStart(0, Text(text="")), TextDelta(0, "The quick")]


def test_one_message_of_one_text():
    """The client sees the first one's id and model, and one block."""
    whole = spliced(BEGUN, unfold(answer(Text(text=" brown fox"))), way="prefill")
    assert (whole.id, whole.model, whole.blocks, whole.finish) == ("a", "a", (Text(text="The quick brown fox"),), STOP.finish)


def test_a_tool_call_may_follow_what_was_said():
    """The open text ends, and the second model's call is its own."""
    call = ToolCall(id="c1", name="look", arguments='{"a": 1}')
    whole = spliced(BEGUN, unfold(answer(Text(text=" brown fox"), call, finish="tool_calls")), way="prefill")
    assert whole.blocks == (Text(text="The quick brown fox"), call)
    assert spliced(BEGUN, unfold(answer(call)), way="prefill").blocks == (Text(text="The quick"), call)


def test_thoughts_on_how_to_go_on_are_not_shown_within_a_text():
    """They would tear it apart; before a text that has not begun they are shown as they are."""
    second = unfold(answer(Reasoning(text="hm", seal=SEAL), Text(text=" brown")))
    assert spliced(BEGUN, second, way="prefill").blocks == (Text(text="The quick brown"),)
    assert spliced(BEGUN[:1], second).blocks == (Reasoning(text="hm", seal=SEAL), Text(text=" brown"))


def test_a_text_that_had_ended_is_followed_by_one_that_fits():
    """White space is mended across two blocks too, and one that adds nothing is left out."""
    ended = [*BEGUN, BlockStop(0)]
    anchor = "The quick"
    whole = spliced(ended, unfold(answer(Text(text="The quick brown"))), way="turn", anchor=anchor)
    assert whole.blocks == (Text(text="The quick"), Text(text=" brown"))
    assert spliced(ended, unfold(answer(Text(text="The quick"))), way="turn", anchor=anchor).blocks == (Text(text="The quick"),)


def test_reasoning_that_has_said_nothing_is_filled_by_the_next_model():
    """The client has seen it begin; all that is in it is one model's, and so is its seal."""
    out = [BEGUN[0], BlockStart(0, Reasoning())]
    second = unfold(answer(Reasoning(text="hm", seal=SEAL), Text(text="So")))
    assert spliced(out, second).blocks == (Reasoning(text="hm", seal=SEAL), Text(text="So"))
    assert spliced(out, unfold(answer(Text(text="So")))).blocks == (Reasoning(), Text(text="So"))


def test_no_seal_covers_the_words_of_two():
    """Gemini signs texts: a signature over half of one would be refused when it is sent back."""
    second = unfold(answer(Text(text=" brown", seal=SEAL)))
    assert spliced(BEGUN, second, way="prefill").blocks == (Text(text="The quick brown"),)


def test_citations_count_from_where_the_text_begins():
    """Their places are moved by what is out, and by what was dropped of the repetition."""
    cited = Citation(kind="url_citation", origin="openai_chat", start=10, end=15)
    second = [START, BlockStart(0, Text(text="")), TextDelta(0, "The quick brown"), CitationDelta(0, cited), BlockStop(0), STOP]
    (block,) = spliced(BEGUN, second, way="turn", anchor="The quick").blocks
    assert block.text[block.citations[0].start : block.citations[0].end] == "brown"


def test_the_client_is_told_the_tokens_of_both():
    """Axis by axis, each stream's last word counts once; neither's own usage object is passed off as the sum."""
    first = [*BEGUN, UsageUpdate(Usage(input=10, output=3, raw={"input_tokens": 10}))]
    second = [START, UsageUpdate(Usage(input=12, cache_read=1)), BlockStart(0, Text(text="")), TextDelta(0, " x"), BlockStop(0)]
    second += [UsageUpdate(Usage(output=4, raw={"output_tokens": 4})), STOP]
    splicer = Splicer(
        delivered_of(first), begun=first[0], usage=Usage(input=10, output=3, raw={"input_tokens": 10}), way="prefill"
    )
    told = [event.usage for event in splicer.feed(second) if isinstance(event, UsageUpdate)]
    assert told == [Usage(input=22, cache_read=1, output=3), Usage(input=22, cache_read=1, output=7)]
    assert splicer.usage == told[-1]


def test_what_nobody_told_is_not_added():
    """None is not 0."""
    assert added(None, None) is None
    assert added(Usage(input=1), None) == Usage(input=1)
    assert added(Usage(input=1), Usage(input=2, reasoning=5)) == Usage(input=3, reasoning=5)


def test_held_words_are_not_lost_at_the_end():
    """A continuation that ends while it might still be a repetition is told all the same."""
    whole = spliced(BEGUN, unfold(answer(Text(text="The"))), way="turn", anchor="The quick")
    assert whole.blocks == (Text(text="The quick The"),)


def test_what_is_told_at_a_blocks_end_is_told_of_the_first():
    """Responses says there that an item is complete; whose item it is has been said."""
    begun = [BEGUN[0], BlockStart(0, Text(text="", extras={"item": {"id": "msg_a"}})), *BEGUN[2:]]
    late = {"item": {"id": "msg_b", "status": "completed"}}
    for second, ending in (
        ([replace(START, origin="anthropic"), BlockStart(0, Text(text="")), TextDelta(0, " x"), BlockStop(0, late), STOP], None),
        ([START, BlockStart(0, Text(text="")), TextDelta(0, " x"), BlockStop(0, {"foreign": 1}), STOP], late),
        ([START, STOP], late),
    ):
        out = Splicer(delivered_of(begun), begun=begun[0], way="prefill", ending=ending).feed(second)
        assert [event.extras for event in out if isinstance(event, BlockStop)] == [
            {"item": {"id": "msg_a", "status": "completed"}}
        ]
