"""What a client drops around a tool call comes back; what an upstream cannot read is left out."""

from gatewright.errors import Problem
from gatewright.ir.blocks import Message, Reasoning, Text, ToolCall
from gatewright.ir.events import BlockStart
from gatewright.ir.fold import unfold
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.ir.seal import Seal
from gatewright.pipeline.replayed import MARK
from gatewright.pipeline.seals import (
    SealWatch,
    has_seals,
    name_call,
    name_calls,
    refused_for_a_seal,
    restore,
    sealed_rows,
    without_seals,
)
from gatewright.stores.kept import KeptStore

SEAL = Seal(dialect="anthropic", data="EqQB")
THOUGHT = Reasoning(text="hm", seal=SEAL)
CALL = ToolCall(id="c1", name="f", arguments="{}", seal=Seal(dialect="gemini", data="sig"))
ANSWER = Response(origin="anthropic", id="m", model="m", blocks=(THOUGHT, Text(text="ok"), CALL))
REPLAY = Request(
    origin="openai_chat",
    model="m",
    messages=(
        Message(role="user", blocks=(Text(text="q"),)),
        Message(role="assistant", blocks=(Reasoning(text="hm"), Text(text="ok"), ToolCall(id="c1", name="f", arguments="{}"))),
    ),
)


async def test_a_dropped_seal_is_put_back_for_its_own_key_alone():
    """Chat clients keep neither signatures nor sealed reasoning; another key never gets ours."""
    store = KeptStore(None)
    await store.put("ann", "seal", sealed_rows(ANSWER.blocks), 60)
    restored = await restore(REPLAY, store, "ann")
    assert restored.messages[1].blocks == (THOUGHT, Text(text="ok"), CALL)
    assert await restore(REPLAY, store, "bob") == REPLAY
    await store.close()


async def test_a_mark_on_a_call_is_no_seal():
    """Gemini CLI drops the signed thought before a call of another API and keeps the mark on the call."""
    marked = ToolCall(id="c1", name="f", arguments="{}", seal=Seal(dialect="anthropic", data="", issuer="a", kind=MARK))
    store = KeptStore(None)
    await store.put("ann", "seal", sealed_rows((THOUGHT, ToolCall(id="c1", name="f", arguments="{}"))), 60)
    replay = Request(origin="gemini", model="m", messages=(Message(role="assistant", blocks=(Text(text="ok"), marked)),))
    restored = await restore(replay, store, "ann")
    assert restored.messages[0].blocks == (THOUGHT, Text(text="ok"), marked)
    await store.close()


async def test_reasoning_that_came_back_is_not_put_back_twice():
    """Responses clients replay reasoning and calls as items of their own: together they are one turn."""
    store = KeptStore(None)
    await store.put("ann", "seal", sealed_rows((THOUGHT, ToolCall(id="c1", name="f", arguments="{}"))), 60)
    replay = Request(
        origin="openai_responses",
        model="m",
        messages=(
            Message(role="assistant", blocks=(THOUGHT,)),
            Message(role="assistant", blocks=(ToolCall(id="c1", name="f", arguments="{}"),)),
        ),
    )
    assert await restore(replay, store, "ann") == replay
    await store.close()


def test_streamed_and_whole_answers_keep_the_same():
    """The watch over events sees what the whole answer says."""
    watch = SealWatch()
    for event in unfold(ANSWER):
        watch.add(event)
    assert [row.id for row in watch.rows()] == [row.id for row in sealed_rows(ANSWER.blocks)] == ["c1"]
    assert watch.rows()[0].body == sealed_rows(ANSWER.blocks)[0].body


def test_calls_without_an_id_get_one_that_no_other_turn_has():
    """Ids made of a position alone collide between turns."""
    bare = Response(
        origin="gemini",
        id="",
        model="m",
        blocks=(ToolCall(id="", name="f", arguments="{}"), ToolCall(id="", name="g", arguments="{}")),
    )
    one, other = name_calls(bare, "req_a1"), name_calls(bare, "req_b2")
    ids = [b.id for b in (*one.blocks, *other.blocks)]
    assert len(set(ids)) == 4
    assert all(0 < len(i) <= 40 for i in ids)
    event = name_call(BlockStart(0, bare.blocks[0]), "req_a1")
    assert event.block.id == ids[0]


def test_doing_without_leaves_calls_and_texts():
    """A refused seal must not cost the conversation."""
    sealed = Request(origin="anthropic", model="m", messages=(Message(role="assistant", blocks=ANSWER.blocks),))
    bare = without_seals(sealed)
    assert has_seals(sealed)
    assert not has_seals(bare)
    assert [type(b) for b in bare.messages[0].blocks] == [Text, ToolCall]


def test_only_a_complaint_about_a_seal_counts():
    """Another 400 is the client's to mend."""
    assert refused_for_a_seal(
        Problem(kind="invalid_request", message="messages.1.content.0: Invalid `signature` in `thinking` block")
    )
    assert refused_for_a_seal(Problem(kind="invalid_request", message="The encrypted content could not be verified"))
    assert not refused_for_a_seal(Problem(kind="invalid_request", message="max_tokens: too large"))
    assert not refused_for_a_seal(Problem(kind="rate_limit", message="signature"))
